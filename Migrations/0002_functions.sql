-- The SQL interface: append (append_single, append_batch), claim, resolve, read, announce. Any client may use it; the Swift library does.
--
--     select * from append('orders/17', array['{"type":"yield",…}', '{"type":"close",…}']::json[]);
--     select announce(array['orders/17']);                      -- in a transaction of its own, after the commit
--     select * from read('orders/17', 0, 100);
--
-- Every rule a writer must keep is kept here:
--
--   * The caller names the position, the server checks it under the stream's lock. That lock also orders it against
--     claim(): once a claim has committed, no append of an older epoch can commit. It is an advisory lock of the
--     transaction, on hashtextextended(schema || '/' || name, 0): it works through poolers, and costs a fraction of a row
--     lock, which writes WAL. A batch holds one for each of its streams.
--   * Conflict and fencing are answers, not errors, so that they do not abort a transaction shared with other appends.
--   * The token makes a retry safe. A client that lost its connection sends the same append (same token, same position)
--     again: 'written' says that it is there once, whichever of the two sendings wrote it.
--   * No NOTIFY here: it would hold a lock of the whole cluster until the commit is flushed. announce() does it after.
--
-- They are "security definer": a writer needs no right on the tables (roles.sql). Hence the fixed search_path, with pg_temp
-- at its end: unnamed it would come first, and a caller's temporary table "events" be taken for ours.

select set_config('search_path', quote_ident(current_schema()) || ', pg_temp', false);

-- One append for each of several streams, in one transaction: the group commit of the library.
--
-- Per run (one stream's append; the n-th elements of these belong together; streams each once, sorted by name, bytewise, or
-- two batches may deadlock):
--   p_streams    the stream's name; it is created if it does not exist
--   p_epochs     the epoch the writer claimed; null (or 0) for an unclaimed writer
--   p_positions  where the run's first event goes (exact), or the lowest position it can have (not exact)
--   p_exact      true: at p_positions or not at all. false: at the end of the stream, wherever that is by now
--   p_tokens     the run's random token
-- Per event: p_runs (which run it belongs to, from 1), p_offsets (its place in the run, from 0), p_kinds ('y', 'c'),
-- p_coroutine_ids, p_events.
-- p_synchronous_commit: what the commit must wait for, e.g. 'on'; set for this transaction whatever the defaults say.
--
-- Per run it answers an outcome, a position and the stream's epoch:
--   written   the run is in the stream (now, or since an earlier sending) and starts at the position
--   conflict  exact, and the stream's next position, which is answered, is another; nothing was written
--   behind    not exact, and the stream is more than 1,000 events past p_positions: too far to look for an earlier
--             sending of this run; nothing was written and never will be for this position; the next one is answered
--   fenced    the epoch is not the stream's, which is answered; the position is null, or the run's where it had been
--             written before it was fenced
create function append_batch(
    p_streams text[], p_epochs bigint[], p_positions bigint[], p_exact boolean[], p_tokens uuid[],
    p_runs integer[], p_offsets integer[], p_kinds "char"[], p_coroutine_ids text[], p_events json[],
    p_synchronous_commit text default 'on',
    out outcomes text[], out positions bigint[], out epochs bigint[]
)
language plpgsql volatile security definer
set search_path from current
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set lock_timeout = '5s'
as $$
declare
    v_count integer := cardinality(p_streams);
    v_ids bigint[];
    v_next bigint;
    v_found bigint;
    v_now timestamptz;
    v_prefix text := current_schema() || '/';
    -- Assigned, where PERFORM would run a query.
    v_setting text;
begin
    if current_setting('synchronous_commit') <> p_synchronous_commit then
        v_setting := set_config('synchronous_commit', p_synchronous_commit, true);
    end if;

    -- Offsets that leave no gap: all 0 where each run has one event. (Two of the same the primary key refuses.)
    if (cardinality(p_events) = v_count and 0 = all (p_offsets)) is not true and exists (
        select from unnest(p_runs, p_offsets) as e (run, place)
        group by e.run having min(e.place) <> 0 or max(e.place) <> count(*) - 1)
    then
        raise exception 'append_batch: the offsets of a run are not 0, 1, 2 …' using errcode = '22023';
    end if;

    perform pg_advisory_xact_lock(hashtextextended(v_prefix || r.name, 0)) from unnest(p_streams) as r (name);
    if current_setting('transaction_isolation') <> 'read committed' then
        -- Our snapshot is older than the locks: a claim since then fails this statement (40001), an append the insert.
        perform from streams s where s.name = any (p_streams) for no key update;
    end if;

    for attempt in 1..2 loop
        -- A statement of its own, so that its snapshot is taken under the locks: what it sees of these streams is final.
        -- It looks only from the predecessor of the named position on: one index entry, where max() over the whole
        -- stream would read a leaf page.
        select array_agg(tail.id), array_agg(tail.epoch), array_agg(tail.next), array_agg(
            case when tail.next = tail.named and tail.epoch = coalesce(tail.writer, 0) then 'written' end)
        into v_ids, epochs, positions, outcomes
        from (
            select s.id, s.epoch, r.named, r.writer, coalesce(
                (select max(e.position) + 1 from events e where e.stream_id = s.id and e.position >= r.named - 1),
                case when r.named = 0 then 0 end) as next
            from unnest(p_streams, p_positions, p_epochs) with ordinality as r (name, named, writer, run)
            join streams s on s.name = r.name
            order by r.run
        ) tail;
        exit when cardinality(v_ids) = v_count;
        if attempt = 2 then
            raise exception 'append_batch: a stream is null' using errcode = '22023';
        end if;
        insert into streams (name) select distinct r.name collate "C" from unnest(p_streams) as r (name) order by 1
        on conflict on constraint streams_name_is_unique do nothing;
    end loop;

    if array_position(outcomes, null) is not null then
        for i in 1..v_count loop
            continue when outcomes[i] is not null;
            if positions[i] is null then
                -- No position was named, or one past the end.
                select coalesce(max(e.position) + 1, 0) into v_next from events e where e.stream_id = v_ids[i];
                positions[i] := v_next;
            end if;
            v_next := positions[i];
            -- An earlier sending of this very run?
            select min(e.position) into v_found from events e
            where e.stream_id = v_ids[i] and e.token = p_tokens[i] and e.position >= p_positions[i]
                and e.position <= case when p_exact[i] then p_positions[i] else p_positions[i] + 1000 end;
            if epochs[i] <> coalesce(p_epochs[i], 0) then
                outcomes[i] := 'fenced';
                positions[i] := v_found;
            elsif v_found is not null then
                outcomes[i] := 'found';
                positions[i] := v_found;
            elsif v_next < p_positions[i] or (p_exact[i] and v_next > p_positions[i]) then
                outcomes[i] := 'conflict';
            elsif v_next - p_positions[i] > 1000 then
                outcomes[i] := 'behind';
            else
                outcomes[i] := 'written';
            end if;
        end loop;
    end if;

    v_now := clock_timestamp();
    -- Tells the guard of 0003_guards.sql that positions were checked. Not by a SET clause of the function: to name a
    -- setting that no server knows takes a superuser there.
    v_setting := set_config('durable_streams.appending', 'on', true);
    insert into events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
    select v_ids[e.run], positions[e.run] + e.place, v_now, p_tokens[e.run], e.kind, e.coroutine_id, e.event
    from unnest(p_runs, p_offsets, p_kinds, p_coroutine_ids, p_events) as e (run, place, kind, coroutine_id, event)
    where outcomes[e.run] = 'written';
    v_setting := set_config('durable_streams.appending', 'off', true);

    outcomes := array_replace(outcomes, 'found', 'written');
end
$$;

-- One event to one stream: append_batch for the most common case, at half its price. Parameters and answers as there.
--
-- One statement does it where all is as expected. Whatever is not (a new stream, another writer, an earlier sending, a
-- fence, a transaction with an older snapshot) is left to append_batch.
--
-- No SET clauses here: each costs every call some microseconds. So that no caller's search_path can put other tables,
-- functions or operators in the place of ours, every name is qualified, and the schema's is written into the body.
do $do$
begin
    execute format($create$
        create function append_single(
            p_stream text, p_epoch bigint, p_position bigint, p_exact boolean, p_token uuid,
            p_kind "char", p_coroutine_id text, p_event json,
            p_synchronous_commit text default 'on',
            out outcome text, out "position" bigint, out epoch bigint
        )
        language plpgsql volatile security definer
        as $body$
        declare
            v_setting pg_catalog.text;
        begin
            if pg_catalog.current_setting('synchronous_commit') operator(pg_catalog.<>) p_synchronous_commit then
                v_setting := pg_catalog.set_config('synchronous_commit', p_synchronous_commit, true);
            end if;
            if pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'read committed' then
                v_setting := pg_catalog.pg_advisory_xact_lock(
                    pg_catalog.hashtextextended(%2$L operator(pg_catalog.||) p_stream, 0));
                v_setting := pg_catalog.set_config('durable_streams.appending', 'on', true);
                -- A statement of its own, so that its snapshot is taken under the lock: what it sees is final.
                insert into %1$I.events (stream_id, position, recorded_at, token, kind, coroutine_id, event)
                select s.id, p_position, pg_catalog.clock_timestamp(), p_token, p_kind, p_coroutine_id, p_event
                from %1$I.streams s
                where s.name operator(pg_catalog.=) p_stream
                    and s.epoch operator(pg_catalog.=) case when p_epoch is null then 0 else p_epoch end
                    and (p_position operator(pg_catalog.-) 1) operator(pg_catalog.=) case
                        when p_position operator(pg_catalog.=) 0 and not exists (
                            select from %1$I.events e where e.stream_id operator(pg_catalog.=) s.id) then -1
                        else (
                            select e.position from %1$I.events e
                            where e.stream_id operator(pg_catalog.=) s.id
                                and e.position operator(pg_catalog.>=) (p_position operator(pg_catalog.-) 1)
                            order by e.position desc limit 1)
                        end;
                v_setting := pg_catalog.set_config('durable_streams.appending', 'off', true);
                if found then
                    outcome := 'written';
                    position := p_position;
                    epoch := case when p_epoch is null then 0 else p_epoch end;
                    return;
                end if;
            end if;
            select b.outcomes[1], b.positions[1], b.epochs[1] into outcome, position, epoch
            from %1$I.append_batch(
                array[p_stream], array[p_epoch], array[p_position], array[p_exact], array[p_token], array[1], array[0],
                array[p_kind], array[p_coroutine_id], array[p_event], p_synchronous_commit) b;
        end
        $body$
        $create$, current_schema(), current_schema() || '/');
end
$do$;

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
-- appends must carry, and the next position as of the claim. It waits for appends that hold the stream's lock; once it
-- has committed, none of an older epoch can commit. Sent twice, it only raises the epoch twice.
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
    v_setting text;
begin
    if current_setting('synchronous_commit') <> p_synchronous_commit then
        v_setting := set_config('synchronous_commit', p_synchronous_commit, true);
    end if;
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception 'claim works at read committed, not at %', current_setting('transaction_isolation')
            using errcode = '0A000', hint = 'Reset default_transaction_isolation for this role or database.';
    end if;
    v_setting := pg_advisory_xact_lock(hashtextextended(current_schema() || '/' || p_stream, 0));
    insert into streams (name) values (p_stream) on conflict on constraint streams_name_is_unique do nothing;
    update streams s set epoch = s.epoch + 1 where s.name = p_stream returning s.id, s.epoch into v_id, epoch;
    -- A statement of its own, under the lock: what it sees is final.
    select coalesce(max(e.position) + 1, 0) into position from events e where e.stream_id = v_id;
end
$$;

-- Where the append with this token is, looking from p_position on: its first position, or null. next_position is the
-- stream's next as of the same moment: an append sent for an exact position below it, and not found, is not there and
-- never will be.
create function resolve(
    p_stream text, p_token uuid, p_position bigint, out "position" bigint, out next_position bigint
)
language plpgsql stable security definer
set search_path from current
set enable_seqscan = off
as $$
declare
    v_id bigint;
begin
    select s.id into v_id from streams s where s.name = p_stream;
    select min(e.position) filter (where e.token = p_token), coalesce(max(e.position) + 1, 0)
    into position, next_position
    from events e where e.stream_id = v_id and e.position >= p_position;
    if next_position = 0 then
        select coalesce(max(e.position) + 1, 0) into next_position from events e where e.stream_id = v_id;
    end if;
end
$$;

-- Tells the tails of all processes that these streams have new events. In a transaction of its own, after the commit:
-- inside the append's it would hold a lock of the whole cluster until the commit is flushed.
--
-- The channel is the schema's name; the payload, with commas between, the first 16 hex digits of SHA-256 of each name. A
-- hint: tails read the rows.
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

-- Up to p_limit events of a stream from p_position on, in order. A stream that does not exist is empty.
create function read(p_stream text, p_position bigint default 0, p_limit integer default 1000)
returns table ("position" bigint, recorded_at timestamptz, event json)
language sql stable
begin atomic
    select e.position, e.recorded_at, e.event
    from streams s
    join events e on e.stream_id = s.id
    where s.name = p_stream and e.position >= p_position
    order by e.position
    limit p_limit;
end;

-- Who may call what is granted in roles.sql, not to everybody.
revoke all on function
    append_batch(text[], bigint[], bigint[], boolean[], uuid[], integer[], integer[], "char"[], text[], json[], text),
    append_single(text, bigint, bigint, boolean, uuid, "char", text, json, text),
    append(text, json[], bigint, bigint, uuid, text), claim(text, text), resolve(text, uuid, bigint), announce(text[]),
    read(text, bigint, integer)
from public;

insert into migrations (version, name) values (2, '0002_functions');
