-- Taking a body changes nothing that an index holds, so it writes no index. A body is free once `until` has passed:
-- from the beginning while it has no claim. Its words are compared byte by byte, and long bodies are not compressed.
drop index bodies_waiting;
drop index bodies_taken;
alter table bodies drop constraint bodies_check, drop constraint bodies_pkey;
update bodies set until = '-infinity' where until is null;
alter table bodies
    alter queue type text collate "C",
    alter body set storage external,
    alter until set default '-infinity',
    alter until set not null,
    add primary key (queue, id),
    add check ((claim is null) = (heard is null)),
    -- Room for the claim beside the body, on the same page.
    set (fillfactor = 50, toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000);
