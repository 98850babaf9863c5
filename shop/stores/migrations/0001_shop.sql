-- Ids are the 16 bytes of a UUID.
-- Times are microseconds since the Unix epoch, UTC.

create table users (
    email text not null primary key,
    id blob not null unique check (length(id) = 16),
    password_hash text not null
) strict, without rowid;

-- The number is the rowid: who was first, whatever the clock did. Without rowids such wide rows would
-- cost a quarter more CPU time (examples/rows.rs).
create table orders (
    number integer primary key,
    id blob not null unique check (length(id) = 16),
    key text not null,
    customer blob not null check (length(customer) = 16),
    fingerprint text not null,
    items text not null,
    total_cents integer not null,
    card text,
    status text not null check (status in ('pending', 'paid', 'declined')),
    charge_id text,
    created_at integer not null,
    settled_at integer
) strict;

create unique index orders_key on orders (key);

-- Every index ends with the number: pages and the recovery read in order, without sorting.
create index orders_customer on orders (customer);
create index orders_pending on orders (status) where status = 'pending';

create table payments (
    key text not null primary key,
    amount_cents integer not null,
    status text not null check (status in ('paid', 'declined')),
    charge_id text,
    check ((status = 'paid') = (charge_id is not null))
) strict, without rowid;

-- A number is never given again, so that forgetting a row twice cannot forget another's.
create table outbox (
    number integer primary key autoincrement,
    key text not null,
    amount_cents integer not null,
    card text not null
) strict;
