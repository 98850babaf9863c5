-- Those who follow settlements (decision 55). Without any, nothing is ever written here.

-- Where a customer wants to be told of his order; forgotten when all who follow have been told.
create table callbacks (
    key text not null primary key,
    url text not null
) strict, without rowid;

-- Final orders whose followers are not told yet. A number is never given again.
create table events (
    number integer primary key autoincrement,
    key text not null unique
) strict;

-- Notifications that nobody will take.
create table given_up (
    number integer primary key autoincrement,
    key text not null unique,
    error text not null,
    at integer not null
) strict;
