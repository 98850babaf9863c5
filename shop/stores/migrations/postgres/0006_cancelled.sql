-- Charges that were cancelled before they were made.
alter table payments drop constraint payments_status_check;
alter table payments add constraint payments_status_check
    check (status in ('begun', 'paid', 'declined', 'cancelled'));
