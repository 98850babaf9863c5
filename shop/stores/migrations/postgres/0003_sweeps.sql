-- Until then a sweep has this order, which is pending. No index holds it: a claim changes none where its page has room.
alter table orders add column claimed timestamptz;
