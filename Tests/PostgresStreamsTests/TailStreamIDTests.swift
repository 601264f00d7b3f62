import PostgresStreams
import PrivatePostgres
import Testing

/// A tail reads on by the id that its connection has told; which does not keep it from what the name says.
@Suite("A tail's stream under another id", .timeLimit(.minutes(10)))
struct TailStreamIDTests {
    @Test("a stream that an operator has put under another id: its tail finds it by the slow check, and follows it")
    func otherID() async throws {
        try await withTestDatabase { url in
            try await withSQL(url) { operatorsSession in
                try await withJournal(.quiet(url)) { writing in
                    var configuration = JournalConfiguration.quiet(url)
                    configuration.listening.checkInterval = .milliseconds(500)
                    try await TailedStream.with(configuration) { tailed in
                        await tailed.journal.untilState(.listening)
                        for position in 0..<3 {
                            try await TailedStream.append(position..<(position + 1), by: writing)
                            try await tailed.expect(position..<(position + 1))
                        }
                        // Past the guards, as data is restored.
                        try await operatorsSession.run(
                            """
                            begin;
                            set local session_replication_role = replica;
                            create temporary table moved as select * from durable_streams.streams where name = 's';
                            delete from durable_streams.streams where name = 's';
                            insert into durable_streams.streams overriding system value
                                select id + 1000, name, epoch, created_at from moved;
                            update durable_streams.events set stream_id = stream_id + 1000
                                where stream_id = (select id from moved);
                            commit
                            """
                        )
                        for position in 3..<6 {
                            try await TailedStream.append(position..<(position + 1), by: writing)
                            try await tailed.expect(position..<(position + 1))
                        }
                    }
                }
            }
        }
    }
}
