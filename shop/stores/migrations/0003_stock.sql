-- Stock (decision 55). Without an inventory nothing is ever written here.

-- A row per article.
create table stock (
    sku text not null primary key,
    held integer not null check (held >= 0),
    sold integer not null,
    released integer not null
) strict, without rowid;

-- What each order holds or held: quantities by article, as JSON.
create table reservations (
    number integer primary key,
    key text not null unique,
    quantities text not null,
    state text not null check (state in ('held', 'sold', 'released'))
) strict;
