-- Orders that are declined because something was not there.

-- Why it was declined, if not by the card network.
alter table orders add column reason text check (reason is null or status = 'declined');

-- A reservation may be lacking.
create table reservations_anew (
    number integer primary key,
    key text not null unique,
    quantities text not null,
    state text not null check (state in ('held', 'sold', 'released', 'lacking'))
) strict;
insert into reservations_anew select number, key, quantities, state from reservations;
drop table reservations;
alter table reservations_anew rename to reservations;
