import Metrics
import MetricsTestKit
import Testing
import TisynStreams

@testable import PostgresStreams

/// What a journal measures, as a backend gets it.
@Suite("Metrics", .serialized, .timeLimit(.minutes(10)))
struct JournalMetricsTests {
    private static let event = DurableEvent.close(.root, .ok(nil))

    private func places(_ dimensions: [(String, String)]) -> [String] { dimensions.prefix(3).map(\.0) }

    @Test("appends, their failures, what they hold, and lost connections are measured, each with the journal's place")
    func appends() async throws {
        let metrics = TestMetrics()
        try await withMetricsFactory(metrics) {
            try await withTestJournal { journal in
                let stream = try journal.stream("s")
                for n in 0..<3 { try await stream.append(Self.event, expecting: n) }
                _ = await thrown { try await stream.append(Self.event, expecting: 7) }
                let timer = try #require(metrics.timers(label: "durable_streams_append_duration").first)
                #expect(timer.values.count == 3)
                #expect(timer.values.allSatisfy { $0 > 0 })
                #expect(places(timer.dimensions) == ["schema", "database", "server"])
                #expect(timer.dimensions.first?.1 == "durable_streams")
                #expect(timer.dimensions.dropFirst().first?.1.hasPrefix("durable_streams_test") == true)
                let failures = metrics.counters(label: "durable_streams_append_failures").filter { $0.totalValue > 0 }
                #expect(failures.map { $0.dimensions.last?.1 } == ["conflict"])
                #expect(failures.map(\.totalValue) == [1])
                let queued = try #require(metrics.meters(label: "durable_streams_queued_bytes").first)
                #expect(queued.values.max() ?? 0 > 100)
                #expect(queued.lastValue == 0)
                #expect(metrics.recorders.contains { $0.label == "durable_streams_segment_appends" })

                try await withSQL(journal.configuration.databaseURL) { sql in
                    try await sql.run(
                        """
                        select pg_terminate_backend(pid, 60000) from pg_stat_activity
                        where datname = current_database() and application_name = 'durable-streams'
                        """
                    )
                }
                try await stream.append(Self.event)
                let lost = metrics.counters(label: "durable_streams_connections_lost")
                #expect(lost.contains { $0.dimensions.last?.1 == "append" && $0.totalValue > 0 })
                #expect(lost.map { $0.dimensions.last?.1 ?? "" }.sorted() == JournalMetrics.purposes)
            }
        }
    }

    @Test("the gauge of listening is 1 but where something keeps tails from it, and for each journal its own")
    func listening() async throws {
        let metrics = TestMetrics()
        func gauge(_ journal: Journal) throws -> TestRecorder {
            let gauges = metrics.recorders(label: "durable_streams_listening")
            let schema = journal.configuration.schema
            return try #require(gauges.first { $0.dimensions.contains { $0 == ("schema", schema) } })
        }
        try await withMetricsFactory(metrics) {
            try await withTestJournal(.patientProbes) { journal in
                let configuration = JournalConfiguration.with(journal.configuration.databaseURL) {
                    $0.schema = "deaf"
                    $0.listening.isEnabled = false
                }
                try await withJournal(configuration, migrate: true) { deaf in
                    #expect(try gauge(journal).values == [1])
                    #expect(try gauge(deaf).values == [1])
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for journal in [journal, deaf] {
                            let stream = try journal.stream("s")
                            group.addTask { for try await _ in stream.tail() {} }
                        }
                        for await state in journal.listeningStates() where state == .listening { break }
                        for await state in deaf.listeningStates() where state == .polling(.turnedOff) { break }
                        // It is recorded a little later than the state is changed.
                        try await until { try gauge(deaf).lastValue == 0 }
                        #expect(try gauge(journal).values.allSatisfy { $0 == 1 })
                        group.cancelAll()
                    }
                    for await state in deaf.listeningStates() where state == .idle { break }
                    try await until { try gauge(deaf).lastValue == 1 }
                }
            }
        }
    }

    @Test("the metrics of a place go when its last journal is gone, and not before")
    func destroyed() throws {
        let metrics = TestMetrics()
        let configuration = JournalConfiguration(databaseURL: "postgresql://h/metrics_of_two")
        withMetricsFactory(metrics) {
            var first: JournalMetrics? = JournalMetrics(configuration)
            var second: JournalMetrics? = JournalMetrics(configuration)
            first?.notifyFailed()
            first = nil
            second?.notifyFailed()
            #expect(metrics.counterTotal(label: "durable_streams_notify_failures") == 2)
            #expect(!metrics.timers.isEmpty)
            second = nil
            #expect(metrics.counters.isEmpty)
            #expect(metrics.timers.isEmpty)
            #expect(metrics.meters.isEmpty)
            #expect(metrics.recorders.isEmpty)
            #expect(first == nil && second == nil)
        }
    }
}
