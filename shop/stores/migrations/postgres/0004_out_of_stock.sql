-- Orders that are declined because something was not there.

-- Why it was declined, if not by the card network.
alter table orders add column reason text check (reason is null or status = 'declined');

-- A reservation may be lacking.
alter table reservations drop constraint reservations_state_check;
alter table reservations add constraint reservations_state_check
    check (state in ('held', 'sold', 'released', 'lacking'));
