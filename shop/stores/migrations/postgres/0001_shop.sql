-- Times are microseconds since the Unix epoch, UTC.

create table users (
    email text primary key,
    id uuid not null unique,
    password_hash text not null
);

-- The number is drawn when a row is inserted, and seen when that is committed: a reader who wants to know that
-- no lower one comes any more waits at the gate until all that have entered are through.
create table gate ();

create table orders (
    number bigint generated always as identity primary key,
    id uuid not null unique,
    key text not null unique,
    customer uuid not null,
    fingerprint text not null,
    items text not null,
    total_cents bigint not null,
    card text,
    status text not null check (status in ('pending', 'paid', 'declined')),
    charge_id text,
    created_at bigint not null,
    settled_at bigint
) with (autovacuum_vacuum_scale_factor = 0.02);

create index orders_customer on orders (customer, number);
create index orders_pending on orders (number) where status = 'pending';

-- One that is begun is charged by somebody, until then; it stays so if he ends meanwhile.
create table payments (
    key text primary key,
    amount_cents bigint not null,
    status text not null check (status in ('begun', 'paid', 'declined')),
    charge_id text,
    until timestamptz,
    check ((status = 'paid') = (charge_id is not null)),
    check ((status = 'begun') = (until is not null))
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

-- What is handed over is deleted: vacuum comes by the number of rows, not by a part of none.
create table outbox (
    number bigint generated always as identity primary key,
    key text not null,
    amount_cents bigint not null,
    card text not null,
    -- Until then a relay has it.
    claimed timestamptz not null default '-infinity'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
