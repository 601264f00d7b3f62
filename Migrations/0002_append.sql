-- The SQL interface: append (append, append_batch, the view appends and append_next), claim, resolve, read, announce. Any
-- client may use it; the Swift library does.
--
--     select * from append('orders/17', array['{"type":"yield",…}', '{"type":"close",…}']::json[]);
--     select announce(array['orders/17']);                      -- in a transaction of its own, after the commit
--     select * from read('orders/17', 0, 100);
--
-- Every rule a writer must keep is kept here. What they all rest on is the primary key of events: a position is taken once,
-- whatever snapshot or lock who takes it had.
--
--   * Two ways to append. A writer whose own append is the stream's last one names it (its position and its token), and its
--     next goes behind it or nowhere: the view appends, one statement, no lock. Everybody else, and whoever was refused
--     there, goes by append_batch, which looks where the stream ends and whether an earlier sending is there already.
--   * A claim reserves the stream's next position with a row of its own, which only append_batch replaces, and only for the
--     epoch of that claim. Older writers, one that is just inserting included, find the place taken: the key lets one of
--     them and the claim go first, and the other see it.
--   * append_batch and claim take the stream's advisory lock, for the transaction, on hashtextextended(schema || '/' || name,
--     0): it works through poolers and costs a fraction of a row lock, which writes WAL. It spares them collisions; what the
--     view's appends collide with, they try again.
--   * Conflict and fencing are answers, not errors, so that they do not abort a transaction shared with other appends.
--   * The token makes a retry safe. A client that lost its connection sends the same append (same token, same position)
--     again: 'written' says that it is there once, whichever of the two sendings wrote it.
--   * A commit that warns (SQLSTATE 01000, "canceling wait for synchronous replication") is on this server, and the standbys
--     may not have it. Whoever relies on them sends the append, or the claim, again: its commit waits anew. The functions
--     see to it that the warning comes through, whatever client_min_messages is by default.
--   * No NOTIFY here: it would hold a lock of the whole cluster until the commit is flushed. announce() does it after. Where
--     nobody does, tails have the events with their next check, by default within 10 s.
--   * append_batch, append_next and the view take kinds, coroutine ids and events as they are given: kind and coroutine_id must
--     be the event's, the id spelt as the column's comment says, or replays and tails read something else. Only append looks
--     into events. Of their size nothing is said here; the library appends none of more than 64 MiB or nested deeper than 1,002.
--
-- To tail: LISTEN on the channel that is the schema's name ("durable_streams"), in a transaction that is committed; then read
-- up to the end; then wait, and read again at each notification, which only hints, and now and then without one.
--
-- The functions are "security definer", and the view's rule works with the rights of its owner: a writer needs no right on
-- the tables (roles.sql). Hence the fixed search_path, with pg_temp at its end: unnamed it would come first, and a caller's
-- temporary table "events" be taken for ours.

select set_config('search_path', quote_ident(current_schema()) || ', pg_temp', false);

-- One append for each of several streams, in one transaction: the group commit of the library.
--
-- Per run (one stream's append; the n-th elements of these belong together; streams each once, sorted by name, bytewise, or
-- two batches may deadlock):
--   p_streams    the stream's name; it is created if it does not exist and the run is written (above read committed also
--                where it is refused)
--   p_epochs     the epoch the writer claimed; null (or 0) for an unclaimed writer
--   p_positions  where the run's first event goes (exact), or the lowest position it can have (not exact); from 0
--   p_exact      true: at p_positions or not at all. false: at the end of the stream, wherever that is by now
--   p_tokens     the run's random token. It alone tells a run that is sent again: what else is sent with it is not compared
-- Per event: p_runs (which run it belongs to, from 1), p_offsets (its place in the run, from 0), p_kinds ('y', 'c'),
-- p_coroutine_ids, p_events. Each run has at least one.
-- p_synchronous_commit: what the commit must wait for, null for 'on'; set for this transaction whatever the defaults say.
--
-- It waits a second for each lock that another transaction holds, and is then refused (55P03): all its streams wait with those
-- that are held. Send them again one by one. Who wants to wait longer takes the stream's lock first.
--
-- Per run it answers an outcome, a position and the stream's epoch:
--   written   the run is in the stream (now, or since an earlier sending) and starts at the position
--   conflict  exact, and the stream's next position, which is answered, is another; nothing was written. Also not exact,
--             and the stream ends before p_positions
--   behind    not exact, and the stream is more than 1,000 events past p_positions: too far to look for an earlier
--             sending of this run; nothing was written and never will be for this position; the next one is answered
--   fenced    the epoch is not the stream's, which is answered; the position is null, or the run's where it had been
--             written before it was fenced
-- and the stream's id, which the view appends asks for; null where there is no such stream.
create function append_batch(
    p_streams text[], p_epochs bigint[], p_positions bigint[], p_exact boolean[], p_tokens uuid[],
    p_runs integer[], p_offsets integer[], p_kinds "char"[], p_coroutine_ids text[], p_events json[],
    p_synchronous_commit text default 'on',
    out outcomes text[], out positions bigint[], out epochs bigint[], out stream_ids bigint[]
)
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '1s'
as $$
declare
    v_count integer := cardinality(p_streams);
    v_size integer := cardinality(p_events);
    v_missing text[];
    v_reserved boolean[];
    v_next bigint;
    v_is_reserved boolean;
    v_found bigint;
    v_now timestamptz;
    v_prefix text := current_schema() || '/';
    v_appending text := current_setting('durable_streams.appending', true);
    v_is_read_committed boolean := current_setting('transaction_isolation') in ('read committed', 'read uncommitted');
    -- Assigned, where PERFORM would run a query.
    v_setting text;
begin
    if current_setting('synchronous_commit') is distinct from p_synchronous_commit then
        v_setting := set_config('synchronous_commit', coalesce(p_synchronous_commit, 'on'), true);
    end if;
    if current_setting('client_min_messages') = 'error' then
        v_setting := set_config('client_min_messages', 'warning', true);
    end if;

    if ('[1:' || v_count || ']' = all (array[array_dims(p_streams), array_dims(p_epochs), array_dims(p_positions),
            array_dims(p_exact), array_dims(p_tokens)])
        and '[1:' || v_size || ']' = all (array[array_dims(p_runs), array_dims(p_offsets), array_dims(p_kinds),
            array_dims(p_coroutine_ids), array_dims(p_events)])) is not true
    then
        raise exception 'append_batch: arrays that are empty, not of one length or do not begin at 1'
            using errcode = '22023';
    end if;
    -- A run has events, and offsets that leave no gap; as a rule one, at 0. (Two of the same the primary key refuses.)
    if (v_size = v_count and 0 = all (p_offsets) and p_runs = array(select generate_series(1, v_count))) is not true
        and (
            select (count(*) = v_count and count(r.run) = v_count and count(*) filter (where r.is_dense) = v_count
                and min(r.run) = 1 and max(r.run) = v_count) is not true
            from (
                select e.run, min(e.place) = 0 and max(e.place) = count(*) - 1 as is_dense
                from unnest(p_runs, p_offsets) as e (run, place) group by e.run) r)
    then
        raise exception 'append_batch: the runs are not 1, 2, … with events at the offsets 0, 1, …' using errcode = '22023';
    end if;
    if 0 > any (p_positions) or 9223372036854774807 <= any (p_positions) then
        raise exception 'append_batch: positions are 0 to 2^63 - 1002' using errcode = '22023';
    end if;
    if 'r' = any (p_kinds) then
        raise exception 'append_batch: an event''s kind is y or c' using errcode = '22023';
    end if;

    perform pg_advisory_xact_lock(pg_catalog.hashtextextended(v_prefix || r.name, 0)) from unnest(p_streams) as r (name);
    if not v_is_read_committed then
        -- Our snapshot is older than the locks: a claim since then fails this statement (40001), an append the insert.
        perform from streams s where s.name = any (p_streams) for no key update;
    end if;

    -- Tells the guards of 0003_guards.sql that positions were checked. Not by a SET clause of the function: to name a
    -- setting that no server knows takes a superuser there.
    v_setting := set_config('durable_streams.appending', 'on', true);

    -- Once, as a rule. Again where a stream had to be created, or an append by the view took our place meanwhile.
    for attempt in 1..12 loop
        -- It looks only from the predecessor of the named position on: one index entry, where max() over the whole
        -- stream would read a leaf page.
        select array_agg(tail.id), array_agg(tail.epoch), array_agg(tail.next), array_agg(tail.is_reserved), array_agg(
            case when tail.next = tail.named and tail.epoch = coalesce(tail.writer, 0) then 'written' end)
        into stream_ids, epochs, positions, v_reserved, outcomes
        from (
            select s.id, coalesce(s.epoch, 0) as epoch, r.named, r.writer, coalesce(last.kind = 'r', false) as is_reserved,
                coalesce(last.position + (last.kind <> 'r')::integer, case when r.named = 0 then 0 end) as next
            from unnest(p_streams, p_positions, p_epochs) with ordinality as r (name, named, writer, run)
            -- Behind an offset, here and below: the planner must not join, whatever it thinks of the table's size.
            left join lateral (select s.id, s.epoch from streams s where s.name = r.name offset 0) s on true
            left join lateral (
                select e.position, e.kind from events e where e.stream_id = s.id and e.position >= r.named - 1
                order by e.position desc limit 1) last on true
            order by r.run
        ) tail;

        if array_position(stream_ids, null) is not null then
            if array_position(p_streams, null) is not null then
                raise exception 'append_batch: a stream is null' using errcode = '22023';
            end if;
            -- Those that are written to. What names an epoch, or a position that an empty stream has not, is refused below;
            -- but by an old snapshot they may be there all the same, and to make them tells (40001).
            v_missing := array(
                select r.name from unnest(p_streams, stream_ids, p_positions, p_epochs) as r (name, id, named, writer)
                where r.id is null
                    and (not v_is_read_committed or coalesce(r.named, 0) = 0 and coalesce(r.writer, 0) = 0));
            if v_missing <> '{}' then
                if attempt > 1 then
                    raise exception 'append_batch: streams that were created are not there' using errcode = '55000';
                end if;
                -- First the transaction's number, then the streams': who looks for new streams by number waits for the ends of
                -- the transactions that may yet bring one below those there are, and would not know of this one.
                v_setting := pg_current_xact_id();
                insert into streams (name) select distinct r.name collate "C" from unnest(v_missing) as r (name) order by 1
                on conflict on constraint streams_name_is_unique do nothing;
                continue;
            end if;
        end if;

        if array_position(outcomes, null) is not null then
            for i in 1..v_count loop
                continue when outcomes[i] is not null;
                if positions[i] is null then
                    -- No position was named, or one past the end.
                    select e.position + (e.kind <> 'r')::integer, e.kind = 'r' into v_next, v_is_reserved
                    from events e where e.stream_id = stream_ids[i] order by e.position desc limit 1;
                    positions[i] := coalesce(v_next, 0);
                    v_reserved[i] := coalesce(v_is_reserved, false);
                end if;
                -- An earlier sending of this very run?
                select min(e.position) into v_found from events e
                where e.stream_id = stream_ids[i] and e.token = p_tokens[i] and e.position >= p_positions[i]
                    and e.position <= case when p_exact[i] then p_positions[i] else p_positions[i] + 1000 end;
                if epochs[i] <> coalesce(p_epochs[i], 0) then
                    outcomes[i] := 'fenced';
                    positions[i] := v_found;
                elsif v_found is not null then
                    outcomes[i] := 'found';
                    positions[i] := v_found;
                elsif positions[i] < p_positions[i] or (p_exact[i] and positions[i] > p_positions[i]) then
                    outcomes[i] := 'conflict';
                    if not v_is_read_committed then
                        -- The stream may go on behind our snapshot. If so its next place is taken, which the key knows.
                        begin
                            delete from events e
                            where e.stream_id = stream_ids[i] and e.position = positions[i] and e.kind = 'r';
                            insert into events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
                            values (stream_ids[i], positions[i], clock_timestamp(), p_tokens[i], 'r', '', 'null');
                            raise exception 'undone' using errcode = 'DS000';
                        exception
                            when sqlstate 'DS000' then null;
                            when unique_violation then
                                raise exception 'stream % has grown since the transaction''s snapshot', p_streams[i]
                                    using errcode = '40001';
                        end;
                    end if;
                elsif positions[i] - p_positions[i] > 1000 then
                    outcomes[i] := 'behind';
                else
                    outcomes[i] := 'written';
                end if;
            end loop;
        end if;

        v_now := clock_timestamp();
        begin
            if true = any (v_reserved) then
                for i in 1..v_count loop
                    continue when not v_reserved[i] or outcomes[i] <> 'written';
                    delete from events e
                    where e.stream_id = stream_ids[i] and e.position = positions[i] and e.kind = 'r';
                end loop;
            end if;
            insert into events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
            select stream_ids[e.run], positions[e.run] + e.place, v_now, p_tokens[e.run], e.kind, e.coroutine_id, e.event
            from unnest(p_runs, p_offsets, p_kinds, p_coroutine_ids, p_events) as e (run, place, kind, coroutine_id, event)
            where outcomes[e.run] = 'written';
            exit;
        exception when unique_violation then
            if (select count(distinct r.name) from unnest(p_streams) as r (name)) < v_count then
                raise exception 'append_batch: a stream is there twice' using errcode = '22023';
            end if;
            if attempt = 12 or not v_is_read_committed then
                raise;
            end if;
        end;
    end loop;
    v_setting := set_config('durable_streams.appending', coalesce(v_appending, ''), true);

    if array['found', 'fenced'] && outcomes then
        -- What is there already may be on this server only, if its own commit was cut short. The locks are written, so that
        -- our commit waits for the standbys that its own would have waited for.
        perform from streams s
        where s.id = any (array(
            select f.id from unnest(stream_ids, outcomes, positions) as f (id, outcome, position)
            where f.outcome = 'found' or f.outcome = 'fenced' and f.position is not null))
        order by s.id for no key update;
        outcomes := array_replace(outcomes, 'found', 'written');
    end if;
end
$$;

-- One event for each of several streams, each behind the append that its writer made last: what a workflow does all the
-- time, as cheap as the insert that it is.
--
--     insert into appends (stream_id, position, previous, token, kind, coroutine_id, event) values (…), (…);
--
--   stream_id  as append_batch answered it
--   position   the next: one past that of the writer's last event
--   previous   the token of the writer's last append; of no other's: it stands for the claim
--
-- The rows it takes are written; the command tag counts them ("INSERT 0 2"). One whose writer's last append is not there, at
-- the position before, is left out: the log is another one than the writer knew. Where something stands at the position
-- already, since somebody else appended or claimed, the statement fails (23505). Both are to be sent again, tokens and
-- positions as they were, by append_batch: it knows why. Streams sorted by name, bytewise, as there.
--
-- Set for the session or the transaction: synchronous_commit, client_min_messages where it is 'error', and
-- durable_streams.appending to 'on', or the guard of 0003_guards.sql checks each row for itself, which costs more and refuses
-- streams that were claimed. Where the statement is prepared, enable_seqscan to 'off' too, or a plan from when the table was
-- small stays. No epoch is named: who claims reserves the next position, so that the append which can be followed is always
-- one of the present epoch.
--
-- With "returning recorded_at" it answers when each row was written; what is given for that column is passed over.
create view appends as
select e.stream_id, e.position, e.token as previous, e.token, e.kind, e.coroutine_id, e.event, e.recorded_at
from events e where false;

-- One look-up by the key, and nothing is asked of what comes behind: the key itself refuses a position that is taken. What is
-- inserted can be given as expressions that answer differently each time; so the place is taken from the row that was found,
-- and no other column is named twice. The offset keeps the planner from joining: a plan from when the table was all but empty
-- would read all of it for each row.
create rule append as on insert to appends do instead
insert into events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
select e.stream_id, e.position + 1, clock_timestamp(), new.token, nullif(new.kind, 'r'), new.coroutine_id, new.event
from lateral (
    select e.stream_id, e.position from events e
    where e.stream_id = new.stream_id and e.position = new.position - 1 and e.token = new.previous and e.kind <> 'r'
    offset 0) e
returning stream_id, position, null::uuid, token, kind, coroutine_id, event, recorded_at;

comment on view appends is 'Takes inserts only: events, each behind the append its writer made last.';

-- The same for who cannot prepare a statement, or set anything for a session, since a pooler is in between: the n-th elements
-- are a row of the view, and how many rows were written is answered. The server's session has the plan from the call before,
-- whoever made that; by the view each insert would be planned anew, and the settings be a statement of their own. It waits a
-- second for what another transaction holds.
create function append_next(
    p_stream_ids bigint[], p_positions bigint[], p_previous uuid[], p_tokens uuid[], p_kinds "char"[],
    p_coroutine_ids text[], p_events json[], p_synchronous_commit text default 'on'
) returns integer
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
set enable_bitmapscan = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '1s'
as $$
declare
    v_count integer;
    v_appending text := current_setting('durable_streams.appending', true);
    v_setting text;
begin
    if current_setting('synchronous_commit') is distinct from p_synchronous_commit then
        v_setting := set_config('synchronous_commit', coalesce(p_synchronous_commit, 'on'), true);
    end if;
    if current_setting('client_min_messages') = 'error' then
        v_setting := set_config('client_min_messages', 'warning', true);
    end if;
    v_setting := set_config('durable_streams.appending', 'on', true);
    insert into appends (stream_id, position, previous, token, kind, coroutine_id, event)
    select unnest(p_stream_ids), unnest(p_positions), unnest(p_previous), unnest(p_tokens), unnest(p_kinds),
        unnest(p_coroutine_ids), unnest(p_events);
    get diagnostics v_count = row_count;
    v_setting := set_config('durable_streams.appending', coalesce(v_appending, ''), true);
    return v_count;
end
$$;

-- One append to one stream, for clients that write their own SQL. All events or none.
--
--   p_position null: at the end of the stream. n: exactly there, or 'conflict'.
--   p_epoch    what claim() answered, for a stream that was claimed.
--   p_token    to be able to send the same append again: name the position too, and pass the same token again.
--
-- The kind and the coroutine id are taken from the events. Events that spell NUL or lone surrogates (\u0000, \ud800) need
-- append_batch: PostgreSQL can store them but not look into them.
create function append(
    p_stream text, p_events json[], p_position bigint default null, p_epoch bigint default null,
    p_token uuid default gen_random_uuid(), p_synchronous_commit text default 'on',
    out outcome text, out "position" bigint, out epoch bigint
)
language plpgsql volatile security definer
set search_path from current
as $$
declare
    v_kinds "char"[];
    v_ids text[];
    v_answer record;
begin
    if coalesce(cardinality(p_events), 0) = 0 then
        raise exception 'append: there are no events' using errcode = '22023';
    end if;
    if exists (
        select from (
            -- Behind the offset each is looked for once.
            select e.event -> 'coroutineId' as id, e.event ->> 'type' as type, e.event -> 'description' as description,
                e.event -> 'result' as result
            from unnest(p_events) as e (event) offset 0) e
        where (json_typeof(e.id) = 'string'
            and case e.type
                when 'close' then true
                when 'yield' then json_typeof(e.description -> 'type') = 'string'
                    and json_typeof(e.description -> 'name') = 'string'
                    and coalesce(json_typeof(e.description -> 'sha'), 'string') = 'string' end
            and case e.result ->> 'status'
                when 'ok' then true when 'cancelled' then true
                when 'error' then json_typeof(e.result -> 'error' -> 'message') = 'string'
                    and coalesce(json_typeof(e.result -> 'error' -> 'name'), 'string') = 'string' end) is not true)
    then
        raise exception 'append: one of the events is none' using errcode = '22023',
            hint = '{"type":"yield","coroutineId":…,"description":{"type":…,"name":…},"result":{"status":"ok","value":…}}, '
                'or a close, without description.';
    end if;
    select array_agg(case e.event ->> 'type' when 'yield' then 'y' when 'close' then 'c' end::"char" order by e.ordinal),
        -- The content of a JSON string, spelt as to_json spells it.
        array_agg(substr(to_json(e.event ->> 'coroutineId')::text, 2,
            length(to_json(e.event ->> 'coroutineId')::text) - 2) order by e.ordinal)
    into v_kinds, v_ids
    from unnest(p_events) with ordinality as e (event, ordinal);
    select b.* into v_answer from append_batch(
        array[p_stream], array[p_epoch], array[p_position], array[p_position is not null], array[p_token],
        array_fill(1, array[cardinality(p_events)]),
        array(select i - 1 from generate_series(1, cardinality(p_events)) as i), v_kinds, v_ids, p_events,
        p_synchronous_commit) b;
    outcome := v_answer.outcomes[1];
    position := v_answer.positions[1];
    epoch := v_answer.epochs[1];
end
$$;

-- Makes the caller the stream's only writer, creating the stream if there is none. Answers the new epoch, which its
-- appends must carry, and the next position as of the claim, which it reserves. It waits for appends that are under way;
-- once it has committed, none of an older epoch can commit. Sent twice, it only raises the epoch twice.
--
-- At read committed only: in a transaction with one snapshot for all its statements, it would answer a position from
-- before it had the lock, with events of older epochs past it. (Appends are safe there: a position that is out of date
-- exists, and the insert fails.)
create function claim(p_stream text, p_synchronous_commit text default 'on', out epoch bigint, out "position" bigint)
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
as $$
declare
    v_id bigint;
    v_appending text := current_setting('durable_streams.appending', true);
    v_setting text;
begin
    if current_setting('synchronous_commit') is distinct from p_synchronous_commit then
        v_setting := set_config('synchronous_commit', coalesce(p_synchronous_commit, 'on'), true);
    end if;
    if current_setting('client_min_messages') = 'error' then
        v_setting := set_config('client_min_messages', 'warning', true);
    end if;
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'claim works at read committed, not at %', current_setting('transaction_isolation')
            using errcode = '0A000', hint = 'Reset default_transaction_isolation for this role or database.';
    end if;
    v_setting := pg_advisory_xact_lock(pg_catalog.hashtextextended(current_schema() || '/' || p_stream, 0));
    -- As in append_batch.
    v_setting := pg_current_xact_id();
    insert into streams (name) values (p_stream) on conflict on constraint streams_name_is_unique do nothing;
    update streams s set epoch = s.epoch + 1 where s.name = p_stream returning s.id, s.epoch into v_id, epoch;
    v_setting := set_config('durable_streams.appending', 'on', true);
    loop
        select e.position + (e.kind <> 'r')::integer into position
        from events e where e.stream_id = v_id order by e.position desc limit 1;
        position := coalesce(position, 0);
        -- An append by the view that is just being committed is waited for, and then is the end we look for.
        insert into events as e (stream_id, position, recorded_at, token, kind, coroutine_id, event)
        values (v_id, claim.position, clock_timestamp(), gen_random_uuid(), 'r', '', 'null')
        on conflict on constraint events_pkey do update set token = excluded.token, recorded_at = excluded.recorded_at
            where e.kind = 'r';
        exit when found;
    end loop;
    v_setting := set_config('durable_streams.appending', coalesce(v_appending, ''), true);
end
$$;

-- Where the append with this token is, looking from p_position on: its first position, or null. next_position and epoch
-- are the stream's as of the same moment: an append that is not found, and was sent for an exact position below it or with
-- an earlier epoch, is not there and never will be.
--
--   p_position  null or 0: through the whole stream, as for an append that named none.
--   p_waits     waits for a transaction that holds the stream, 5 s at most (55P03): the append may be inside it. At read
--               committed only, since what that transaction leaves must be seen.
--
-- Where it is there the stream's row is locked, on a primary: in a transaction that is read-only that is refused (25006).
create function resolve(
    p_stream text, p_token uuid, p_position bigint, p_waits boolean default false, p_synchronous_commit text default 'on',
    out "position" bigint, out next_position bigint, out epoch bigint
)
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
set lock_timeout = '5s'
as $$
declare
    v_id bigint;
    v_from bigint := coalesce(p_position, 0);
    v_setting text;
begin
    if p_stream is null or p_token is null then
        raise exception 'resolve: the stream or the token is null' using errcode = '22023';
    end if;
    if current_setting('synchronous_commit') is distinct from p_synchronous_commit then
        v_setting := set_config('synchronous_commit', coalesce(p_synchronous_commit, 'on'), true);
    end if;
    if current_setting('client_min_messages') = 'error' then
        v_setting := set_config('client_min_messages', 'warning', true);
    end if;
    if p_waits then
        if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
            raise exception 'resolve waits at read committed, not at %', current_setting('transaction_isolation')
                using errcode = '0A000', hint = 'Reset default_transaction_isolation for this role or database.';
        end if;
        v_setting := pg_advisory_xact_lock(pg_catalog.hashtextextended(current_schema() || '/' || p_stream, 0));
    end if;
    select s.id, s.epoch into v_id, epoch from streams s where s.name = p_stream;
    epoch := coalesce(epoch, 0);
    select min(e.position) filter (where e.token = p_token), coalesce(max(e.position) + 1, 0)
    into position, next_position
    from events e where e.stream_id = v_id and e.position >= v_from and e.kind <> 'r';
    if next_position = 0 then
        -- By a later snapshot, in which there may be more: nothing was at v_from or behind it when the token was looked for.
        select least(coalesce(max(e.position) + 1, 0), v_from) into next_position from events e
        where e.stream_id = v_id and e.kind <> 'r';
    end if;
    if position is not null and not pg_is_in_recovery() then
        -- It may be on this server only, if its own commit was cut short. The lock is written, so that ours waits for the
        -- standbys that its own would have waited for.
        perform from streams s where s.id = v_id for no key update;
    end if;
end
$$;

-- Tells the tails of all processes that these streams have new events. In a transaction of its own, after the commit:
-- inside the append's it would hold a lock of the whole cluster until the commit is flushed.
--
-- The channel is the schema's name; the payload, with commas between, the first 16 hex digits of SHA-256 of each name. A
-- hint: tails read the rows. What is no digest is passed over: the library's begin with '-' and a number, by which a process
-- knows its own.
create function announce(p_streams text[]) returns void
language plpgsql volatile
set search_path from current
as $$
declare
    v_digests text[];
begin
    select array_agg(left(encode(sha256(convert_to(s.name, 'UTF8')), 'hex'), 16)) into v_digests
    from unnest(p_streams) as s (name);
    -- A payload stays below 8,000 bytes: 400 × 17.
    for i in 0..coalesce(cardinality(v_digests) - 1, -1) / 400 loop
        exit when v_digests is null;
        perform pg_notify(current_schema(), array_to_string(v_digests[i * 400 + 1:(i + 1) * 400], ','));
    end loop;
end
$$;

-- Up to p_limit events of a stream from p_position on, in order; null, like nothing, is 1,000. A stream that does not exist
-- is empty.
create function read(p_stream text, p_position bigint default 0, p_limit integer default 1000)
returns table ("position" bigint, recorded_at timestamptz, event json)
language sql stable
begin atomic
    select e.position, e.recorded_at, e.event
    from events e
    where e.stream_id = (select s.id from streams s where s.name = p_stream) and e.position >= coalesce(p_position, 0)
        and e.kind <> 'r'
    order by e.position
    limit coalesce(p_limit, 1000);
end;

-- Who may call what is granted in roles.sql, not to everybody.
revoke all on function
    append_batch(text[], bigint[], bigint[], boolean[], uuid[], integer[], integer[], "char"[], text[], json[], text),
    append_next(bigint[], bigint[], uuid[], uuid[], "char"[], text[], json[], text),
    append(text, json[], bigint, bigint, uuid, text), claim(text, text), resolve(text, uuid, bigint, boolean, text),
    announce(text[]),
    read(text, bigint, integer)
from public;

insert into migrations (version, name) values (2, '0002_append');
