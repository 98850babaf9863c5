-- Orders over several databases (decision 75). Without any, nothing is ever written here.

-- Whose an order is, by its key and by its id; each entry lies where its name says, not where the order does.
create table entries (
    name text primary key,
    customer uuid not null,
    found text not null
);

-- Customers that have moved here, all of them, in the last move.
create table arrivals (customer uuid primary key);

-- Which database of several this is; in the first, how orders are spread.
create table notes (
    name text primary key,
    text text not null
);
