import StreamConformance
import Testing
import TisynStreams

@Suite("The conformance suite", .timeLimit(.minutes(10)))
struct ConformanceCheckTests {
    @Test("passes a stream that keeps every promise", arguments: ConformanceCheck.checks(of: FlawedBackend.self))
    func passes(check: ConformanceCheck) async throws {
        try await check.run(on: FlawedBackend())
    }

    @Test("fails a stream that breaks a promise, and says how", arguments: Flaw.allCases)
    func fails(flaw: Flaw) async throws {
        let (check, words) = flaw.breaks
        let violation = await #expect(throws: ConformanceViolation.self) {
            try await check.run(on: FlawedBackend(flaw))
        }
        #expect(violation?.check == check)
        #expect(violation?.reason.contains(words) == true, "\(violation?.reason ?? "")")
        #expect(violation?.description.hasPrefix(check.description) == true)
    }

    @Test(
        "fails a stream whose processes trust their own memory, wherever two of them meet",
        arguments: [
            ConformanceCheck.batch, .wholeBatches, .expectedPosition, .wrongExpectation, .race, .tail, .fencing,
            .fencedBatch, .fencedExpectation, .claimDuringAppends, .rivalClaims,
        ]
    )
    func trustingItsMemory(check: ConformanceCheck) async throws {
        // A violation, or an append that should not have been refused.
        await #expect(throws: (any Error).self) { try await check.run(on: FlawedBackend(.trustsItsMemory)) }
    }

    @Test("has no check that no stream can fail")
    func everyCheckIsProven() {
        #expect(Set(Flaw.allCases.map(\.breaks.check)) == Set(ConformanceCheck.allCases))
    }

    @Test("asks of a backend only what it offers")
    func selection() {
        #expect(ConformanceCheck.checks(of: FlawedBackend.self) == ConformanceCheck.allCases)
        let plain = ConformanceCheck.checks(of: PlainBackend.self)
        #expect(plain == ConformanceCheck.allCases.filter(\.capabilities.isEmpty))
        #expect(plain.contains(.reopening))
        #expect(!plain.contains(.batch))
        let tailed = ConformanceCheck.checks(of: TailedBackend.self)
        #expect(tailed == ConformanceCheck.allCases.filter { $0.capabilities.isSubset(of: [.tailing]) })
        #expect(tailed.count > plain.count)
    }

    @Test(
        "never passes a check for which the backend lacks a capability",
        arguments: ConformanceCheck.allCases.filter { !$0.capabilities.isEmpty }
    )
    func lacking(check: ConformanceCheck) async throws {
        let violation = await #expect(throws: ConformanceViolation.self) { try await check.run(on: PlainBackend()) }
        #expect(violation?.check == check)
        #expect(violation?.reason == "the backend does not offer what the check is about")
    }

    @Test("passes on what the backend throws where it should not")
    func thrownByTheBackend() async throws {
        for check in ConformanceCheck.checks(of: BrokenBackend.self) {
            await #expect(throws: BrokenBackend.Broken.self) { try await check.run(on: BrokenBackend()) }
        }
    }

    @Test("names each check by a sentence of its own")
    func names() {
        #expect(Set(ConformanceCheck.allCases.map(\.description)).count == ConformanceCheck.allCases.count)
    }
}

/// Offers nothing but streams.
private struct PlainBackend: StreamBackend {
    private let backend = FlawedBackend()

    func withStream<R: Sendable>(named name: String, _ body: (FlawedStream) async throws -> R) async throws -> R {
        try await backend.withStream(named: name, body)
    }
}

/// Offers tails too.
private struct TailedBackend: Tailing {
    private let backend = FlawedBackend()

    func withStream<R: Sendable>(named name: String, _ body: (FlawedStream) async throws -> R) async throws -> R {
        try await backend.withStream(named: name, body)
    }

    func tail(_ stream: FlawedStream, from position: Int) -> AsyncStream<DurableEvent> {
        backend.tail(stream, from: position)
    }
}

/// Opens nothing.
private struct BrokenBackend: StreamBackend {
    struct Broken: Error {}

    func withStream<R: Sendable>(named name: String, _ body: (FlawedStream) async throws -> R) async throws -> R {
        throw Broken()
    }
}
