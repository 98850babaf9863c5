-- A body is with nobody while it has no claim. Who takes it makes a claim of his own, which nobody else knows.
create table bodies (
    id bigint generated always as identity primary key,
    queue text not null,
    body bytea not null,
    claim uuid,
    -- Since when nothing was heard of who has it, and until when it is his.
    heard timestamptz,
    until timestamptz,
    check ((claim is null) = (heard is null) and (claim is null) = (until is null))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

create index bodies_waiting on bodies (queue, id) where claim is null;
create index bodies_taken on bodies (queue, until) where claim is not null;
