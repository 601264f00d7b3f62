import LibPQ
import Metrics
import Synchronization

/// Everything that a journal measures, by swift-metrics: the only file that names a metric. Made once for a journal, shared
/// by all its parts, and taken out of the backend when the last of them is gone.
///
/// All have the dimensions `schema`, `database` and `server` (`host:port` of all hosts), as the connection string has them,
/// so that those of several journals of a process are told apart. Without a backend the costs are a call of an empty
/// function each; no clock is read.
final class JournalMetrics: Sendable {
    /// What a connection is for.
    static let purposes = ["append", "claim", "inquire", "listen", "lock", "notify", "read"]

    /// What an append may fail with; anything else is counted as `other`.
    private static let codes: [JournalError.Code] = [
        .unreachable, .unfit, .schemaBehind, .schemaAhead, .conflict, .fenced, .refused, .cancelled, .logReplaced,
        .closed,
    ]
    private static let otherCode = "other"

    private let appendDuration: Timer
    private let appendFailures: [String: Counter]
    private let queuedBytes: Meter
    private let segmentAppends: Recorder
    private let notifyFailures: Counter
    private let connectionsLost: [String: Counter]
    private let listeningGauge: Gauge
    /// Whether there is anybody who wants to know how long things take.
    private let isMeasuring: Bool

    private struct Place: Hashable {
        var schema: String
        var database: String
        var server: String

        var dimensions: [(String, String)] { [("schema", schema), ("database", database), ("server", server)] }
    }

    private let place: Place
    /// How many there are for each place: a backend has one metric for all of them, which goes with the last.
    private static let counts = Mutex<[Place: Int]>([:])

    init(_ configuration: JournalConfiguration) {
        let options = SessionOptions(connectionString: configuration.databaseURL)
        let place = Place(
            schema: configuration.schema,
            database: options.database ?? "",
            server: options.target
        )
        self.place = place
        let factory = MetricsSystem.factory
        isMeasuring = !(factory is NOOPMetricsHandler)
        Self.counts.withLock { $0[place, default: 0] += 1 }
        let dimensions = place.dimensions
        func counters(_ label: String, _ dimension: String, _ values: [String]) -> [String: Counter] {
            let counters = values.map {
                ($0, Counter(label: label, dimensions: dimensions + [(dimension, $0)], factory: factory))
            }
            return Dictionary(counters) { first, _ in first }
        }
        appendDuration = Timer(
            label: "durable_streams_append_duration",
            dimensions: dimensions,
            preferredDisplayUnit: .milliseconds,
            factory: factory
        )
        appendFailures = counters(
            "durable_streams_append_failures",
            "code",
            Self.codes.map(\.description) + [Self.otherCode]
        )
        queuedBytes = Meter(label: "durable_streams_queued_bytes", dimensions: dimensions, factory: factory)
        segmentAppends = Recorder(label: "durable_streams_segment_appends", dimensions: dimensions, factory: factory)
        notifyFailures = Counter(label: "durable_streams_notify_failures", dimensions: dimensions, factory: factory)
        connectionsLost = counters("durable_streams_connections_lost", "purpose", Self.purposes)
        listeningGauge = Gauge(label: "durable_streams_listening", dimensions: dimensions, factory: factory)
        listeningGauge.record(1)
    }

    deinit {
        // Under the lock, so that none that is made meanwhile is taken out of the backend with these.
        Self.counts.withLock { counts in
            counts[place, default: 1] -= 1
            guard counts[place] == 0 else { return }
            counts[place] = nil
            appendDuration.destroy()
            for counter in appendFailures.values { counter.destroy() }
            queuedBytes.destroy()
            segmentAppends.destroy()
            notifyFailures.destroy()
            for counter in connectionsLost.values { counter.destroy() }
            listeningGauge.destroy()
        }
    }

    // MARK: Appends

    /// An append that came then is durable, and its caller about to be told.
    func appended(since time: ContinuousClock.Instant) {
        guard isMeasuring else { return }
        let (seconds, attoseconds) = (ContinuousClock.now - time).components
        appendDuration.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// An append failed, and its caller is about to be told.
    func appendFailed(_ code: JournalError.Code) {
        (appendFailures[code.description] ?? appendFailures[Self.otherCode])?.increment()
    }

    /// Events were let into the queue.
    func queued(_ byteCount: Int) {
        guard isMeasuring else { return }
        queuedBytes.increment(by: Double(byteCount))
    }

    /// They are answered, and no longer held.
    func left(_ byteCount: Int) {
        guard isMeasuring else { return }
        queuedBytes.decrement(by: Double(byteCount))
    }

    /// So many appends are sent in one transaction.
    func sent(_ appends: Int) { segmentAppends.record(appends) }

    // MARK: Tails

    /// A NOTIFY failed.
    func notifyFailed() { notifyFailures.increment() }

    func listening(_ state: ListeningState) { listeningGauge.record(state.isTroubled ? 0 : 1) }

    // MARK: Connections

    /// A connection was lost, or could not be made.
    func connectionLost(_ purpose: String) { connectionsLost[purpose]?.increment() }
}
