extension ToolDatabase {
    /// Runs `body` while somebody holds stream s, so that no first append to it ends, nor a claim; gives it how to wait until
    /// one waits.
    static func withHeldStream(
        _ body: (Tool, _ isWaiting: () async throws -> Void) async throws -> Void
    ) async throws {
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
            try await body(tool) { try await wait(for: "advisory") }
            try await psql("create table public.enough ()", on: tool)
            _ = try await holder.value
        }
    }
}
