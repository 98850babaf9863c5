-- Those who follow settlements (decision 55). Without any, nothing is ever written here.

-- Where a customer wants to be told of his order; forgotten when all who follow have been told.
create table callbacks (
    key text primary key,
    url text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Final orders whose followers are not told yet. A number is never given again.
create table events (
    number bigint generated always as identity primary key,
    key text not null unique
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Notifications that nobody will take.
create table given_up (
    number bigint generated always as identity primary key,
    key text not null unique,
    error text not null,
    at bigint not null
);

-- A row per article, which is changed by every order of it: room for that beside it. Sorted byte by byte.
create table stock (
    sku text collate "C" primary key,
    held bigint not null check (held >= 0),
    sold bigint not null,
    released bigint not null
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- What each order holds or held: quantities by article, as JSON.
create table reservations (
    number bigint generated always as identity primary key,
    key text not null unique,
    quantities text not null,
    state text not null check (state in ('held', 'sold', 'released'))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
