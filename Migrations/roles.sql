-- Roles of least privilege, to be run by hand after the migrations, by a superuser, or by the schema's owner if that may
-- create roles or the roles are there already, the reader granted to the writer:
--
--     psql -v schema=durable_streams -f roles.sql
--
-- The owner of the schema is whoever migrated it. Give a worker's log-in the writer role, a watcher's the reader role:
--
--     grant durable_streams_writer to my_worker;
--
-- A writer appends and claims through the functions and the view appends only. It cannot insert, change or delete a row of
-- the tables, so it can neither leave a gap nor lower an epoch. In one thing writers are trusted: whoever names a stream's
-- epoch, or the token of its last append, is taken for its writer, and writers can read both. It is a fence between processes
-- that keep the rules, not between tenants: who is not to write to a stream at all must not have the role.
--
-- Roles are the whole cluster's: run for several schemas, or databases, whoever has one of these has it in all of them.
-- Where they are to be kept apart, give each its own: -v writer=orders_writer -v reader=orders_reader.
--
-- Whoever can connect to the database, with no right at all, can hold an advisory lock, and so keep a stream's appends waiting:
-- revoke connect from public, where that is not wanted. It changes nothing.

\set on_error_before :ON_ERROR_STOP
\set ON_ERROR_STOP on
\if :{?schema}
\else
    \set schema durable_streams
\endif
\if :{?writer}
\else
    \set writer durable_streams_writer
\endif
\if :{?reader}
\else
    \set reader durable_streams_reader
\endif

select pg_catalog.format('create role %I nologin', wanted)
from pg_catalog.unnest(array[:'reader', :'writer']) wanted
where not exists (select from pg_catalog.pg_roles where rolname = wanted)
\gexec
select pg_catalog.format('grant %I to %I', :'reader', :'writer')
where not pg_catalog.pg_has_role(:'writer', :'reader', 'member')
\gexec

grant usage on schema :"schema" to :"reader";
grant select on :"schema".migrations, :"schema".streams, :"schema".events to :"reader";
grant execute on function :"schema".read(text, bigint, integer) to :"reader";

grant execute on function
    :"schema".append_batch(
        text[], bigint[], bigint[], boolean[], uuid[], integer[], integer[], "char"[], text[], json[], text),
    :"schema".append_next(bigint[], bigint[], uuid[], uuid[], "char"[], text[], json[], text),
    :"schema".append(text, json[], bigint, bigint, uuid, text),
    :"schema".claim(text, text), :"schema".resolve(text, uuid, bigint, boolean, text), :"schema".announce(text[])
to :"writer";
grant insert, select (recorded_at) on :"schema".appends to :"writer";

\set ON_ERROR_STOP :on_error_before
