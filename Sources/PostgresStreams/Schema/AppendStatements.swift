import LibPQ

/// What a journal sends to append. What it rests on is told in 0002_append.sql.
struct AppendStatements: Sendable {
    /// What those by the view `appends` need, for a session or a transaction.
    let settings: Statement
    /// Any runs of any streams.
    let batch: Statement
    /// An event behind one of ours, and one for each of several streams.
    let chained: Statement
    let allChained: Statement
    /// The same, answering when each was recorded: where somebody tails in this process, who has the events from the answer.
    let chainedTimed: Statement
    let allChainedTimed: Statement
    /// As `allChained`, without the settings.
    let next: Statement

    /// How long an append waits for what another transaction holds before it is refused, and then goes alone: `append_batch`
    /// and `append_next` say so too. Until then all streams that share its transaction wait, since one of them is held.
    ///
    /// Less than a second, and commits that wait for a slow standby would be taken for it: they hold their locks for as long.
    /// Refused too early, an append is only tried again, so that more would but prolong the wait of the others.
    static let patience = "1s"

    /// - Parameter schema: its name, quoted.
    init(in schema: String) {
        // What append_batch sets for itself and the view appends cannot.
        settings = Statement(
            name: "append_settings",
            sql: """
                select pg_catalog.set_config('synchronous_commit', $1, $2), \
                pg_catalog.set_config('durable_streams.appending', 'on', $2), \
                pg_catalog.set_config('enable_seqscan', 'off', $2), pg_catalog.set_config('enable_bitmapscan', 'off', $2), \
                pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', $2), \
                pg_catalog.set_config('lock_timeout', '\(Self.patience)', $2), \
                pg_catalog.set_config('client_min_messages', 'warning', $2)
                """,
            parameterTypes: [.text, .bool]
        )

        batch = Statement(
            name: "append_batch",
            sql: "select * from \(schema).append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            parameterTypes: [
                .textArray, .int8Array, .int8Array, .boolArray, .uuidArray, .int4Array, .int4Array, .charArray,
                .textArray, .jsonArray, .text,
            ]
        )

        let columns = "(stream_id, position, previous, token, kind, coroutine_id, event)"
        func statement(_ name: String, returning clause: String = "") -> Statement {
            Statement(
                name: name,
                sql: "insert into \(schema).appends \(columns) values ($1, $2, $3, $4, $5, $6, $7)\(clause)",
                parameterTypes: [.int8, .int8, .uuid, .uuid, .char, .text, .json]
            )
        }

        // In the select list, where the arrays give their elements row by row; in FROM each would be stored whole first. And
        // by the function's full name: behind a pooler the search path is whatever it is.
        func arrayStatement(_ name: String, returning clause: String = "") -> Statement {
            Statement(
                name: name,
                sql: """
                    insert into \(schema).appends \(columns) \
                    select \((1...7).map { "pg_catalog.unnest($\($0))" }.joined(separator: ", "))\(clause)
                    """,
                parameterTypes: [
                    .int8Array, .int8Array, .uuidArray, .uuidArray, .charArray, .textArray, .jsonArray,
                ]
            )
        }
        chained = statement("append_chained")
        allChained = arrayStatement("append_all_chained")
        chainedTimed = statement("append_chained_timed", returning: " returning recorded_at")
        allChainedTimed = arrayStatement("append_all_chained_timed", returning: " returning recorded_at")

        // Behind a pooler, and until a session has its settings: what it rests on it sets for itself, and it is planned once.
        next = Statement(
            name: "append_next",
            sql: "select \(schema).append_next($1, $2, $3, $4, $5, $6, $7, $8)",
            parameterTypes: [
                .int8Array, .int8Array, .uuidArray, .uuidArray, .charArray, .textArray, .jsonArray, .text,
            ]
        )
    }
}
