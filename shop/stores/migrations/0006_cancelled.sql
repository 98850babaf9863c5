-- Charges that were cancelled before they were made.
create table payments_anew (
    key text not null primary key,
    amount_cents integer not null,
    status text not null check (status in ('paid', 'declined', 'cancelled')),
    charge_id text,
    check ((status = 'paid') = (charge_id is not null))
) strict, without rowid;
insert into payments_anew select key, amount_cents, status, charge_id from payments;
drop table payments;
alter table payments_anew rename to payments;
