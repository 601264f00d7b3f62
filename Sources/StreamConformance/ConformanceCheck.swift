import TisynStreams

/// One promise that every ``DurableStream`` makes (contract §2), or that its capabilities add; and the proof of it.
///
/// Used by the author of a backend as the argument of a parameterized test, see ``StreamBackend``, so that each promise is
/// a test of its own name; any other test framework can loop over them. The checks need nothing but a backend: they do not
/// look at the clock, and never wait for anything but the stream. One that loses an event of a tail is waited for: give the
/// test a time limit.
public enum ConformanceCheck: String, CaseIterable, Sendable {
    // Appending and reading.
    case emptyStream = "a stream that nobody wrote to reads as empty"
    case positions = "positions are 0, 1, 2 and so on"
    case order = "what is read is what was appended, in order"
    case text = "an event's text is kept byte for byte"
    case equalEvents = "equal events are all kept"
    case sizes = "large events and many events are kept"
    case separation = "streams do not mix"
    case stability = "what was read stays as it was"

    // Durability.
    case acknowledgement = "an event is recorded when its append returns"
    case reopening = "a stream is found again as it was left"
    case concurrentAppends = "concurrent appends each land once, where they say"
    case prefixes = "a read during appends is a prefix without gaps"

    // Failures.
    case failedAppend = "an append that fails leaves nothing, and the next one lands in its place"
    case lostAcknowledgement = "an append whose acknowledgement is lost leaves its event once"
    case failedBatch = "a batch that fails leaves nothing"

    // Batches.
    case batch = "a batch lands without gaps, in order, and takes its positions"
    case wholeBatches = "a batch is never seen in part, nor mixed with another"

    // Expected positions.
    case expectedPosition = "an event lands where it was expected"
    case wrongExpectation = "an event expected elsewhere is refused, and nothing is written"
    case race = "of many appends that expect one position one wins"

    // Tails.
    case tail = "a tail delivers what is there and what comes, each once and in order"
    case tailStart = "a tail begins at its position, whether it is there yet or not"
    case tailEnd = "a tail ends when its task is cancelled"

    // Claims.
    case fencing = "a claim fences every earlier writer, for good"
    case fencedBatch = "a claim fences batches too"
    case fencedExpectation = "a claim fences appends that expect a position too"
    case claimDuringAppends = "a claim in the middle of others' appends is their end"
    case lastingClaim = "a claim outlives the process that made it"
    case rivalClaims = "of many claims one holds"

    /// What a backend must conform to for the check to run.
    public enum Capability: Sendable, Hashable {
        case batchAppending, positionExpecting, tailing, claiming, failureInjecting
    }

    /// What the check needs beyond appending and reading.
    public var capabilities: Set<Capability> {
        switch self {
        case .emptyStream, .positions, .order, .text, .equalEvents, .sizes, .separation, .stability, .acknowledgement,
            .reopening, .concurrentAppends, .prefixes:
            []
        case .failedAppend, .lostAcknowledgement: [.failureInjecting]
        case .failedBatch: [.failureInjecting, .batchAppending]
        case .batch, .wholeBatches: [.batchAppending]
        case .expectedPosition, .wrongExpectation, .race: [.positionExpecting]
        case .tail, .tailStart, .tailEnd: [.tailing]
        case .fencing, .claimDuringAppends, .lastingClaim, .rivalClaims: [.claiming]
        case .fencedBatch: [.claiming, .batchAppending]
        case .fencedExpectation: [.claiming, .positionExpecting]
        }
    }

    /// The checks for what this backend can.
    public static func checks<Backend: StreamBackend>(of backend: Backend.Type) -> [ConformanceCheck] {
        var offered: Set<Capability> = []
        if backend is any BatchAppending.Type { offered.insert(.batchAppending) }
        if backend is any PositionExpecting.Type { offered.insert(.positionExpecting) }
        if backend is any Tailing.Type { offered.insert(.tailing) }
        if backend is any Claiming.Type { offered.insert(.claiming) }
        if backend is any FailureInjecting.Type { offered.insert(.failureInjecting) }
        return allCases.filter { $0.capabilities.isSubset(of: offered) }
    }

    /// Runs the check, on streams of new names. Several can run on one backend at once.
    ///
    /// - Throws: ``ConformanceViolation`` when the stream breaks the promise or the backend lacks a capability; what the
    ///   backend throws where it should not.
    public func run<Backend: StreamBackend>(on backend: Backend) async throws {
        let failing = backend as? any FailureInjecting
        let failingBatches = backend as? any BatchAppending & FailureInjecting
        let batching = backend as? any BatchAppending
        let expecting = backend as? any PositionExpecting
        let tailing = backend as? any Tailing
        let claiming = backend as? any Claiming
        let claimingBatches = backend as? any Claiming & BatchAppending
        let claimingPositions = backend as? any Claiming & PositionExpecting
        switch self {
        case .emptyStream: return try await emptyStream(backend)
        case .positions: return try await positions(backend)
        case .order: return try await order(backend)
        case .text: return try await text(backend)
        case .equalEvents: return try await equalEvents(backend)
        case .sizes: return try await sizes(backend)
        case .separation: return try await separation(backend)
        case .stability: return try await stability(backend)
        case .acknowledgement: return try await acknowledgement(backend)
        case .reopening: return try await reopening(backend)
        case .concurrentAppends: return try await concurrentAppends(backend)
        case .prefixes: return try await prefixes(backend)
        case .failedAppend: if let failing { return try await failedAppend(failing) }
        case .lostAcknowledgement: if let failing { return try await lostAcknowledgement(failing) }
        case .failedBatch: if let failingBatches { return try await failedBatch(failingBatches) }
        case .batch: if let batching { return try await batch(batching) }
        case .wholeBatches: if let batching { return try await wholeBatches(batching) }
        case .expectedPosition: if let expecting { return try await expectedPosition(expecting) }
        case .wrongExpectation: if let expecting { return try await wrongExpectation(expecting) }
        case .race: if let expecting { return try await race(expecting) }
        case .tail: if let tailing { return try await tail(tailing) }
        case .tailStart: if let tailing { return try await tailStart(tailing) }
        case .tailEnd: if let tailing { return try await tailEnd(tailing) }
        case .fencing: if let claiming { return try await fencing(claiming) }
        case .fencedBatch: if let claimingBatches { return try await fencedBatch(claimingBatches) }
        case .fencedExpectation: if let claimingPositions { return try await fencedExpectation(claimingPositions) }
        case .claimDuringAppends: if let claiming { return try await claimDuringAppends(claiming) }
        case .lastingClaim: if let claiming { return try await lastingClaim(claiming) }
        case .rivalClaims: if let claiming { return try await rivalClaims(claiming) }
        }
        throw ConformanceViolation(check: self, reason: "the backend does not offer what the check is about")
    }
}

extension ConformanceCheck: CustomStringConvertible {
    /// The promise as a sentence: the name of the test.
    public var description: String { rawValue }
}
