import LibPQ

/// What a journal sends to its schema, all of it, but for the texts of the caller's transactions.
///
/// What is sent for each append, page and look-up reads a range of an index, at any size of the tables; `PlanTests` holds
/// it to that.
struct Statements: Sendable {
    let greeting: Statement
    let readCommitted: Statement
    let planning: Statement
    let schemaVersion: Statement
    let append: AppendStatements
    let isAtWork: Statement
    let transactionSettings: Statement
    let lockTimeout: Statement
    let lockStream: Statement
    let holdStream: Statement
    let listen: Statement
    let unlisten: Statement
    let notify: Statement
    let clearNotificationQueue: Statement
    let claim: Statement
    let resolve: Statement
    let page: Statement
    let tailPage: Statement
    let tailNext: Statement
    let tailNextByID: Statement
    let tailPages: Statement
    let tailLook: Statement
    let discover: Statement
    let indexPage: Statement
    let indexEnd: Statement
    let eventsAt: Statement
    let heads: Statement
    let nextPosition: Statement
    let list: Statement
    let listOpen: Statement
    let listClosed: Statement
    let verifyPage: Statement
    let strayEvents: Statement

    let schema: SchemaName

    init(schema: SchemaName) {
        self.schema = schema
        let quoted = schema.quoted

        greeting = Statement(
            name: "greeting",
            sql: """
                select pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
                pg_catalog.current_setting('transaction_read_only'), pg_catalog.current_setting('server_encoding'), \
                pg_catalog.current_setting('transaction_isolation'), pg_catalog.pg_postmaster_start_time()
                """
        )

        // For a session of our own whose defaults are others: see claim() in 0002_append.sql.
        readCommitted = Statement(
            name: "read_committed",
            sql: "set default_transaction_isolation = 'read committed'"
        )

        // For a session of our own: prepared statements keep a plan, and one that is from when the tables were small must be
        // as good when they are not. Of the ways to find rows it leaves an index. (A way that is switched off counts as so
        // dear that the server might compile the plan for it, were there no other.)
        // And another's functions and operators may go before the server's: all tables below are named with their schema.
        let off = ["enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "jit"]
        // Rows that are hidden from this role would pass for rows that are not there: without row_security that is an error.
        let settings = [("search_path", "pg_catalog, pg_temp"), ("row_security", "off")] + off.map { ($0, "off") }
        let setting = settings.map { "pg_catalog.set_config('\($0)', '\($1)', false)" }.joined(separator: ", ")
        planning = Statement(name: "planning", sql: "select \(setting)")

        // Also whether the functions work in another schema: they keep the name that theirs had when they were made.
        schemaVersion = Statement(
            name: "schema_version",
            sql: """
                select coalesce(pg_catalog.max(version), 0), (
                    select pg_catalog.bool_or(pg_catalog.row_security_active($1 || '.' || t.name))
                    from pg_catalog.unnest(array['migrations', 'streams', 'events']) as t (name)),
                    \(Self.isRenamed(schema))
                from \(quoted).migrations
                """,
            parameterTypes: [.text]
        )

        append = AppendStatements(in: quoted)

        // Whether the server is at what the process was sent: it does not wait for us, with more to come or an answer to be
        // taken. Where processes are not shown, it may be. Of a pooler's, which are many, one that waits for a lock or a
        // standby may be the one.
        isAtWork = Statement(
            name: "",
            sql: """
                select exists (select from pg_catalog.pg_stat_activity \
                where usename = session_user and datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid() \
                and case when $1 is not null then pid = $1 and (state is null or state = 'disabled' \
                or state in ('active', 'fastpath function call') and wait_event_type is distinct from 'Client') \
                else state = 'active' and wait_event_type in ('Lock', 'IPC') end)
                """,
            parameterTypes: [.int8]
        )

        // A caller that gives up closes the connection. The server is to notice though it is at work, and free the locks;
        // not every platform lets it look.
        transactionSettings = Statement(
            name: "transaction_settings",
            sql: """
                select pg_catalog.pg_backend_pid(), pg_catalog.set_config('synchronous_commit', $1, true), \
                pg_catalog.set_config('client_min_messages', 'warning', true), \
                case when pg_catalog.version() ~ 'linux|darwin|bsd'
                    then pg_catalog.set_config('client_connection_check_interval', '500ms', true) end
                """,
            parameterTypes: [.text]
        )

        // For the transaction.
        lockTimeout = Statement(
            name: "lock_timeout",
            sql: "select pg_catalog.set_config('lock_timeout', $1, true)",
            parameterTypes: [.text]
        )

        lockStream = Statement(
            name: "lock_stream",
            sql: "select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))",
            parameterTypes: [.text]
        )

        // The same in a transaction of the caller's, which is to wait longer than others' appends: it would have to be run
        // again. Its own time for locks stays as it is. Taken out of the row first: the columns are worked out one by one.
        holdStream = Statement(
            name: "hold_stream",
            sql: """
                select pg_catalog.set_config('lock_timeout', '5s', true),
                    pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0)),
                    pg_catalog.set_config('lock_timeout', own.patience, true)
                from (select pg_catalog.current_setting('lock_timeout') as patience offset 0) own
                """,
            parameterTypes: [.text]
        )

        // The schema's name is the channel's.
        listen = Statement(name: "listen", sql: "listen \(quoted)")
        unlisten = Statement(name: "unlisten", sql: "unlisten \(quoted)")

        notify = Statement(name: "notify", sql: "select pg_catalog.pg_notify($1, $2)", parameterTypes: [.text, .text])

        // Not for its answer: it is what makes the server drop what nobody will read any more.
        clearNotificationQueue = Statement(name: "queue_usage", sql: "select pg_catalog.pg_notification_queue_usage()")

        claim = Statement(
            name: "claim",
            sql: "select epoch, position from \(quoted).claim($1, $2)",
            parameterTypes: [.text, .text]
        )

        resolve = Statement(
            name: "resolve",
            sql: "select position, next_position, epoch from \(quoted).resolve($1, $2, $3, $4, $5)",
            parameterTypes: [.text, .uuid, .int8, .bool, .text]
        )

        // The last column says, in the first row, where the page ends if nothing is missing; that row is there though it may
        // have nothing else. So a hole in the log does not pass for its end, nor move what comes behind it. One statement, and
        // so one snapshot: both are as of the same moment.
        func page(_ name: String, _ columns: String) -> Statement {
            Statement(
                name: name,
                sql: """
                    select \(columns), case when e.position = $2 or e.position is null then p.last end
                    from (
                        select s.id, least($2 + $3 - 1, coalesce((
                                select l.position from \(quoted).events l
                                where l.stream_id = s.id and l.kind <> 'r' order by l.position desc limit 1), -1),
                            \(Self.firstLarge(of: "s.id", in: quoted, from: "$2", count: "$3"))) as last
                        from \(quoted).streams s where s.name = $1 offset 0) p
                    left join lateral (
                        select * from \(quoted).events e
                        where e.stream_id = p.id and e.position >= $2 and e.position <= p.last and e.kind <> 'r'
                        order by e.position offset 0) e on true
                    """,
                parameterTypes: [.text, .int8, .int8]
            )
        }
        self.page = page("page", EventRow.columns)
        indexPage = page("index_page", EventPage.columns)

        let stream = "(select s.id from \(quoted).streams s where s.name = $1)"
        tailPage = Statement(
            name: "tail_page",
            sql: """
                select \(EventRow.columns) from \(quoted).events e
                where \(Self.page(of: stream, in: quoted, from: "$2", count: "$3"))
                order by e.position
                """,
            parameterTypes: [.text, .int8, .int8]
        )

        // For a tail at the end of its stream: so few that no large one among them has to end the page. That look, and the
        // second for the stream, take as long as all the rest.
        //
        // Once it is known the stream's id goes with it: the look-up of the name would cost half as much again.
        func tailNext(_ name: String, of stream: String, _ columns: String, _ type: ParameterType) -> Statement {
            Statement(
                name: name,
                sql: """
                    select \(columns) from \(quoted).events e
                    where e.stream_id = \(stream) and e.position >= $2 and e.position < $2 + $3 and e.kind <> 'r'
                    order by e.position
                    """,
                parameterTypes: [type, .int8, .int8]
            )
        }
        self.tailNext = tailNext("tail_next", of: stream, "\(EventRow.columns), e.stream_id", .text)
        tailNextByID = tailNext("tail_next_by_id", of: "$1", EventRow.columns, .int8)

        // By ids, and by names where those are not known. The offset, here and below, keeps the planner from joining in
        // another order, by which a table is read whole. And each tail's rows come in order from a range of their own; to sort
        // all of them took the server longer than to find them.
        tailPages = Statement(
            name: "tail_pages",
            sql: """
                select t.ordinal, \(EventRow.columns), t.id
                from (
                    select t.ordinal, t.position, t.most,
                        coalesce(t.id, (select s.id from \(quoted).streams s where s.name = t.name)) as id
                    from unnest($1, $2, $3, $4) with ordinality as t (name, id, position, most, ordinal)
                ) t
                cross join lateral (
                    select \(EventRow.columns) from \(quoted).events e
                    where \(Self.page(of: "t.id", in: quoted, from: "t.position", count: "t.most"))
                    order by e.position offset 0) e
                """,
            parameterTypes: [.textArray, .int8Array, .int8Array, .int8Array]
        )

        // The ordinals of those that have moved; and 0 where the server is no standby. A scalar subquery, or the planner may
        // read a table to join it.
        tailLook = Statement(
            name: "tail_look",
            sql: """
                select t.ordinal from unnest($1, $2) with ordinality as t (name, position, ordinal)
                where (
                    select true from \(quoted).events e
                    where e.stream_id = (select s.id from \(quoted).streams s where s.name = t.name)
                        and e.position = t.position and e.kind <> 'r')
                union all select 0 where not pg_catalog.pg_is_in_recovery()
                """,
            parameterTypes: [.textArray, .int8Array]
        )

        // Streams by id, each with its end where that is asked for; which transactions were under way, the oldest and the
        // first that has not begun; and the greatest id there is. (A snapshot's xmax is the first that has not ended and is
        // past all that have; age() counts from the next one there will be.) The upper bound is none; with it the planner
        // takes the range of ids to be narrow, on a table that was never analyzed too.
        let greatest = "(select m.id from \(quoted).streams m order by m.id desc limit 1)"
        discover = Statement(
            name: "discover",
            sql: """
                select pg_catalog.pg_snapshot_xmin(now.snapshot)::text::bigint, pg_catalog.pg_snapshot_xmax(now.snapshot)::text::bigint
                        + pg_catalog.age(pg_catalog.pg_snapshot_xmax(now.snapshot)::xid),
                    \(greatest), s.id, s.name, case when $3 then coalesce((
                        select \(Self.next(after: "e.position")) from \(quoted).events e
                        where e.stream_id = s.id and e.kind <> 'r' order by e.position desc limit 1), 0) end
                from (select pg_catalog.pg_current_snapshot() as snapshot) now
                left join (
                    select s.id, s.name from \(quoted).streams s
                    where s.id > $1 and s.id <= \(greatest)
                    order by s.id limit $2) s on true
                order by s.id
                """,
            parameterTypes: [.int8, .int8, .bool]
        )

        // Large ones do not come with others, so that what is asked for together is bounded.
        eventsAt = Statement(
            name: "events_at",
            sql: """
                select w.ordinal, \(EventPage.columns)
                from pg_catalog.unnest($2) with ordinality as w (position, ordinal)
                cross join lateral (
                    select * from \(quoted).events e
                    where e.stream_id = \(stream) and e.position = w.position offset 0) e
                where pg_catalog.octet_length(e.event::text) <= \(PageReader.largeEventByteCount) or pg_catalog.cardinality($2) = 1
                """,
            parameterTypes: [.text, .int8Array]
        )

        func last(_ kind: String, where condition: String = "true") -> String {
            """
            left join lateral (
                select e.position, e.event from \(quoted).events e
                where e.stream_id = s.id and e.kind = '\(kind)' and \(condition)
                    and pg_catalog.hashtextextended(e.coroutine_id, 0) = pg_catalog.hashtextextended($2, 0) and e.coroutine_id = $2
                    and e.position < $3
                order by e.position desc limit 1) \(kind) on true
            """
        }
        // The condition on yields is that of the index `events_yields`.
        heads = Statement(
            name: "heads",
            sql: """
                select \(StreamEnd.columns(in: quoted, anchor: "$5")), y.position, c.position, case when $4 then c.event end
                from \(quoted).streams s
                \(StreamEnd.last(in: quoted))
                \(last("y", where: "e.position >= \(StreamIndex.indexedFrom)"))
                \(last("c"))
                where s.name = $1
                """,
            parameterTypes: [.text, .text, .int8, .bool, .int8]
        )

        indexEnd = Statement(
            name: "index_end",
            sql: """
                select \(StreamEnd.columns(in: quoted, anchor: "$2"))
                from \(quoted).streams s
                \(StreamEnd.last(in: quoted))
                where s.name = $1
                """,
            parameterTypes: [.text, .int8]
        )

        nextPosition = Statement(
            name: "next_position",
            sql: """
                select coalesce((
                    select \(Self.next(after: "e.position")) from \(quoted).events e
                    where e.stream_id = s.id and e.kind <> 'r' order by e.position desc limit 1), 0)
                from \(quoted).streams s where s.name = $1
                """,
            parameterTypes: [.text]
        )

        func list(_ name: String, where condition: String) -> Statement {
            Statement(
                name: name,
                sql: """
                    select s.name, s.epoch, s.created_at, \(Self.next(after: "last.position")), last.recorded_at, closed.event
                    from \(quoted).streams s
                    left join lateral (
                        select e.position, e.recorded_at from \(quoted).events e
                        where e.stream_id = s.id and e.kind <> 'r' order by e.position desc limit 1) last on true
                    left join lateral (
                        select e.event from \(quoted).events e
                        where e.stream_id = s.id and e.kind = 'c' and e.coroutine_id = 'root'
                            and pg_catalog.hashtextextended(e.coroutine_id, 0) = pg_catalog.hashtextextended('root', 0)
                        order by e.position desc limit 1) closed on true
                    where s.name > $1 and s.name >= $2 and ($3::text is null or s.name < $3) and \(condition)
                    order by s.name limit $4
                    """,
                parameterTypes: [.text, .text, .text, .int8]
            )
        }
        self.list = list("list", where: "true")
        // Wrapped, or the planner takes open streams to be rare and sorts all there are, for each page.
        listOpen = list("list_open", where: "not coalesce(closed.event is not null, false)")
        listClosed = list("list_closed", where: "coalesce(closed.event is not null, false)")

        // Unlike a page of reading it takes no position for granted; large events end it all the same.
        verifyPage = Statement(
            name: "verify_page",
            sql: """
                select \(EventRow.columns), e.kind = 'r' from \(quoted).events e
                where e.stream_id = \(stream) and e.position >= $2 and e.position <= coalesce((
                    select l.position from \(quoted).events l
                    where l.stream_id = \(stream) and l.position >= $2
                        and pg_catalog.octet_length(l.event::text) > \(PageReader.largeEventByteCount)
                    order by l.position limit 1), 9223372036854775807)
                order by e.position limit $3
                """,
            parameterTypes: [.text, .int8, .int8]
        )

        // From one stream's events to the next's by the key: not the whole table.
        strayEvents = Statement(
            name: "stray_events",
            sql: """
                with recursive ids (id) as (
                    (select stream_id from \(quoted).events order by stream_id limit 1)
                    union all
                    select (select stream_id from \(quoted).events where stream_id > ids.id
                        order by stream_id limit 1)
                    from ids where ids.id is not null)
                select ids.id, (select pg_catalog.min(e.position) from \(quoted).events e where e.stream_id = ids.id) from ids
                where ids.id is not null and not exists (select from \(quoted).streams s where s.id = ids.id)
                limit 1
                """
        )
    }
}
