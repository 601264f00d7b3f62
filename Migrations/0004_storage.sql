-- How the server keeps the events. Each of these is an improvement a server may not offer; where it does not, the
-- journal works without.

do $$
begin
    -- Faster than the default at nearly the same size. Events above about 2 kB are compressed at all.
    alter table events alter column event set compression lz4;
exception when feature_not_supported or invalid_parameter_value or syntax_error then
    raise notice 'this server has no lz4: events are compressed with its default';
end
$$;

do $$
begin
    -- Hardly a row is ever updated (a claim's reservation is), so vacuum has one thing to do: mark pages visible and freeze
    -- them, in passing and early, rather than all of them at once when the transaction ids run out.
    alter table events set (
        autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_insert_threshold = 10000,
        autovacuum_freeze_min_age = 0);
exception when feature_not_supported or invalid_parameter_value or syntax_error then
    raise notice 'this server takes no storage parameters: it vacuums as it always does';
end
$$;

insert into migrations (version, name) values (4, '0004_storage');
