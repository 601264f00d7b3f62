-- The journal: streams of events.
--
-- A stream is a totally ordered, append-only sequence of events with dense positions 0, 1, 2, …
--
--     streams (one row a stream)                events (one row an event)
--     id, name, epoch                   1 ──< * stream_id, position, recorded_at, token, kind, coroutine_id, event
--
-- Everything is created in the first schema of search_path, so the file runs under any schema name:
--
--     create schema durable_streams;
--     set search_path = durable_streams;
--     \i 0001_journal.sql
--
-- The functions keep that schema's name: to rename it is to break them.
--
-- Writing goes through 0002_append.sql, and nothing else: there no gap, no second writer and no overwritten position can
-- be committed. 0003_guards.sql refuses whatever tries to go round it.
--
-- Appends change no row but a claim's reservation (kind 'r'): a counter kept in the stream's row would leave a dead version
-- at each append, and one long transaction anywhere in the database would make every look-up walk them all.

-- Which files of this folder have been applied, and with what content.
create table migrations (
    version    integer     not null,
    name       text        not null,
    -- SHA-256 of the file, lower-case hex; null where a person ran the file by hand, until the tool next migrates.
    sha256     text,
    applied_at timestamptz not null default now(),
    constraint migrations_pkey primary key (version),
    constraint migrations_version_is_positive check (version > 0)
);

comment on table migrations is 'The migration files applied here. Written by the files and by durable-streams migrate.';

create table streams (
    id         bigint      generated always as identity,
    -- Bytes decide (collation C): the same on every server, and the cheapest to compare.
    name       text        collate "C" not null,
    -- 0: never claimed, open to every writer. n: only the writer whose claim raised it to n may append.
    epoch      bigint      not null default 0,
    created_at timestamptz not null default now(),
    constraint streams_pkey primary key (id),
    constraint streams_name_is_unique unique (name),
    constraint streams_name_is_1_to_512_bytes check (octet_length(name) between 1 and 512),
    constraint streams_epoch_is_not_negative check (epoch >= 0)
);

comment on table streams is 'One row a stream: its name, and the epoch of the writer that owns it.';
comment on column streams.epoch is 'Raised by claim(); appends of any other epoch are fenced. 0: never claimed.';

create table events (
    stream_id    bigint      not null,
    position     bigint      not null,
    -- When the server inserted the row, under the stream's lock: a little before the commit.
    recorded_at  timestamptz not null,
    -- Random, one an append (all events of a batch share it): tells a retried append from another writer's.
    token        uuid        not null,
    -- 'y' yield, 'c' close: what the replay index needs without parsing JSON. 'r' is no event: claim() reserved the place of
    -- the stream's next one, so that no older writer can take it; the claimer's first append replaces it.
    kind         "char"      not null,
    -- The event's coroutineId as the content of a canonical JSON string (so that NUL and lone surrogates have a
    -- spelling); for ordinary ids the id itself.
    coroutine_id text        collate "C" not null,
    -- json, not jsonb: the text comes back byte for byte, and costs a fraction to write.
    event        json        not null,
    constraint events_pkey primary key (stream_id, position),
    constraint events_position_is_not_negative check (position >= 0),
    constraint events_kind_is_known check (kind in ('y', 'c', 'r'))
);

comment on table events is
    'One row an event, never changed, never deleted; positions of a stream are dense from 0. Kind r is no event.';
comment on constraint events_pkey on events is 'A position holds one event. Every hot query is a range of this index.';

-- Whether and how a coroutine closed, without reading its stream. Hashed, since an index entry is bounded at about
-- 2,700 bytes and a coroutine id is not.
create index events_closes on events (stream_id, pg_catalog.hashtextextended(coroutine_id, 0), position) where kind = 'c';

-- Where a coroutine's last yield is, so that a replay need not read a long stream to its end to learn that a coroutine
-- which never closed yields no more. Reading 4,096 events costs a few milliseconds, so that shorter streams, which are
-- most, pay nothing for it; a yield of a longer one costs the server some 4 microseconds more, by bulk load 9 for 5.
create index events_yields on events (stream_id, pg_catalog.hashtextextended(coroutine_id, 0), position)
    where kind = 'y' and position >= 4096;

-- Where a page of reading must end early: with this a page of n events is at most n × 32 KiB and one large event,
-- whatever the stream holds, and small events pay nothing for it.
create index events_large on events (stream_id, position) where octet_length(event::text) > 32768;

insert into migrations (version, name) values (1, '0001_journal');
