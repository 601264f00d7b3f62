extension SQLSession {
    /// Whether an append is held up by a lock. Inside a transaction it would see the same for ever.
    func seesAppendWaiting() async throws -> Bool {
        try await integer(
            """
            select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
                and query like '%append_%'
            """
        ) > 0
    }

    /// From here on appends by `append_batch` wait for a lock for as long as it takes. As they come they give it up after a
    /// while, and try again.
    func letAppendsWait() async throws {
        try await run(
            """
            do $$
            declare
                f regprocedure;
            begin
                for f in select oid from pg_proc where proname = 'append_batch' loop
                    execute format('alter function %s set lock_timeout = 0', f);
                end loop;
            end $$
            """
        )
    }
}
