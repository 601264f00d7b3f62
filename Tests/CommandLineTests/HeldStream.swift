extension ToolDatabase {
    /// Runs `body` while somebody holds stream s, so that no first append to it ends, nor a claim; gives it how to wait until
    /// one waits, and how to let go before its end.
    static func withHeldStream<R: Sendable>(
        _ body: (Tool, _ isWaiting: () async throws -> Void, _ letGo: () async throws -> Void) async throws -> R
    ) async throws -> R {
        try await with { tool in
            let lock = """
                do $$ begin
                    perform pg_advisory_lock(hashtextextended('durable_streams/s', 0));
                    while not exists (select from pg_class where relname = 'enough') loop perform pg_sleep(0.01); end loop;
                end $$
                """
            let holder = Task { try await psql(lock, on: tool) }
            func wait(for event: String) async throws {
                let count = """
                    select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event = '\(event)'
                    """
                while try await psql(count, on: tool) != "1" { try Task.checkCancellation() }
            }
            try await wait(for: "PgSleep")
            func letGo() async throws {
                try await psql("create table if not exists public.enough ()", on: tool)
                _ = try await holder.value
            }
            let result = try await body(tool, { try await wait(for: "advisory") }, letGo)
            try await letGo()
            return result
        }
    }
}
