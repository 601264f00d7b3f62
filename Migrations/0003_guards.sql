-- What the keys and checks of 0001_journal.sql cannot refuse, refused: for everyone who may write to the tables, their owner
-- included. It keeps mistakes out, not whoever means it: an owner can switch triggers off, and who has a right on the tables
-- can say that positions were checked (durable_streams.appending). Writers have none (roles.sql).
--
-- Triggers cost the append path nothing that could be measured: those on change do not fire on insert, and the one on
-- insert is only asked whether append_batch or the view appends is at work. An engine without triggers can do without this
-- file's rules, as long as nobody but those writes.

-- As in 0002_append.sql: files may be run in sessions of their own.
select set_config('search_path', quote_ident(current_schema()) || ', pg_temp', false);

create function refuse_change() returns trigger
language plpgsql
as $$
begin
    raise exception '% of %.% is refused: events are never changed or deleted', tg_op, tg_table_schema, tg_table_name
        using errcode = '55000', hint = 'Append a new event instead.';
end
$$;

create trigger events_are_never_changed
    before update or delete on events
    for each statement when (current_setting('durable_streams.appending', true) is distinct from 'on')
    execute function refuse_change();

-- What claim() reserved is no event: it is replaced when somebody claims again, and when the claimer appends.
create trigger only_reservations_are_replaced
    before update or delete on events
    for each row when (old.kind <> 'r')
    execute function refuse_change();

create trigger events_are_never_truncated
    before truncate on events
    for each statement execute function refuse_change();

create trigger streams_are_never_deleted
    before delete or truncate on streams
    for each statement execute function refuse_change();

-- append_batch and the view appends have checked; anybody else is checked here, row by row.
create function check_insert() returns trigger
-- A writer through the view appends has no right to lock the stream.
language plpgsql security definer
set search_path from current
set enable_seqscan = off
as $$
begin
    -- Elsewhere the columns' types, and what is done to compare them with ours, would be somebody else's.
    if tg_relid <> 'events'::regclass then
        raise exception 'check_insert is for events' using errcode = '42501';
    end if;
    perform pg_advisory_xact_lock(pg_catalog.hashtextextended(current_schema() || '/' || s.name, 0))
    from streams s where s.id = new.stream_id;
    -- A statement of its own, under the lock.
    perform from streams s where s.id = new.stream_id and s.epoch = 0 for no key update;
    if not found or new.kind = 'r' then
        raise exception 'there is no stream % that is open to every writer', new.stream_id
            using errcode = '23503', hint = 'Write through append(), with the epoch of the claim.';
    end if;
    if new.position > 0 and not exists (
        select from events e
        where e.stream_id = new.stream_id and e.position = new.position - 1 and e.kind <> 'r')
    then
        raise exception 'position % of stream % would leave a gap', new.position, new.stream_id
            using errcode = '23514', constraint = 'events_positions_are_dense',
                hint = 'Write through append(), which knows the next position.';
    end if;
    return new;
end
$$;

create trigger events_positions_are_dense
    before insert on events
    for each row when (current_setting('durable_streams.appending', true) is distinct from 'on')
    execute function check_insert();

create function check_stream_change() returns trigger
language plpgsql
as $$
begin
    if new.epoch < old.epoch or new.name <> old.name or new.id <> old.id then
        raise exception 'a stream keeps its name, and its epoch only rises'
            using errcode = '55000', hint = 'claim() raises the epoch.';
    end if;
    return new;
end
$$;

create trigger streams_epoch_only_rises
    before update on streams
    for each row execute function check_stream_change();

-- To make a trigger takes the right to execute its function, to have it fire takes none.
revoke all on function refuse_change(), check_insert(), check_stream_change() from public;

insert into migrations (version, name) values (3, '0003_guards');
