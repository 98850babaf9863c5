-- Orders over several databases (decision 75). Without any, nothing is ever written here.

-- Whose an order is, by its key and by its id; each entry lies where its name says, not where the order does.
create table entries (
    name text not null primary key,
    customer blob not null check (length(customer) = 16),
    found text not null
) strict, without rowid;

-- Customers that have moved here, all of them, in the last move.
create table arrivals (
    customer blob not null primary key check (length(customer) = 16)
) strict, without rowid;

-- Which database of several this is; in the first, how orders are spread.
create table notes (
    name text not null primary key,
    text text not null
) strict, without rowid;
