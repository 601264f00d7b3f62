import TisynStreams

/// A tail gives exactly the recorded events, in order, each once.
extension ConformanceCheck {
    func tail<Backend: Tailing>(_ backend: Backend) async throws {
        let all = events(0..<60)
        try await withTwo(backend) { stream, other in
            try await append(Array(all[..<20]), to: stream)
            let (caughtUp, signal) = AsyncStream.makeStream(of: Void.self)
            async let delivered = {
                // Also where the tail ends early, or nobody would go on.
                defer { signal.finish() }
                return try await collect(backend, stream, from: 0, until: all[59]) { events in
                    if events.last == all[19] || events.count == 20 { signal.finish() }
                }
            }()
            for await _ in caughtUp {}
            for position in 20..<40 { try await append(all[position], to: stream, at: position) }
            // By another process. The last again by its own, so that a tail that hears no other comes to its end.
            for position in 40..<59 { try await append(all[position], to: other, at: position) }
            try await append(all[59], to: stream, at: 59)
            try expect(try await delivered, are: all, "in a tail from the start")
        }
    }

    func tailStart<Backend: Tailing>(_ backend: Backend) async throws {
        let all = events(0..<12)
        try await backend.withStream(named: newName()) { stream in
            // Each of these begins to wait at some time before or after the appends; what it delivers is the same.
            async let fromNothing = collect(backend, stream, from: 0, until: all[11])
            try await append(Array(all[..<5]), to: stream)
            async let fromMiddle = collect(backend, stream, from: 3, until: all[11])
            async let fromEnd = collect(backend, stream, from: 5, until: all[11])
            async let fromBeyond = collect(backend, stream, from: 8, until: all[11])
            try await append(Array(all[5...]), to: stream, from: 5)
            try expect(try await fromNothing, are: all, "in a tail that began on an empty stream")
            try expect(try await fromMiddle, are: Array(all[3...]), "in a tail from position 3")
            try expect(try await fromEnd, are: Array(all[5...]), "in a tail from the end")
            try expect(try await fromBeyond, are: Array(all[8...]), "in a tail from a position beyond the end")
            let again = try await collect(backend, stream, from: 11, until: all[11])
            try expect(again, are: [all[11]], "in a tail from the last event on")
        }
    }

    func tailEnd<Backend: Tailing>(_ backend: Backend) async throws {
        try await backend.withStream(named: newName()) { stream in
            try await append(event(0), to: stream, at: 0)
            let (began, signal) = AsyncStream.makeStream(of: Void.self)
            let consumer = Task {
                defer { signal.finish() }
                // The last event never comes: only the cancellation ends it.
                _ = try? await collect(backend, stream, from: 0, until: event(1)) { _ in signal.finish() }
            }
            for await _ in began {}
            consumer.cancel()
            _ = await consumer.value
            try await append(event(1), to: stream, at: 1)
            try await expect(stream, holds: events(0..<2), "after a tail was cancelled")
        }
    }

    /// What a tail delivers up to `last`. Ends too when far more came than there is, so that repetitions are found.
    private func collect<Backend: Tailing>(
        _ backend: Backend,
        _ stream: Backend.Stream,
        from position: Int,
        until last: DurableEvent,
        _ progress: @Sendable ([DurableEvent]) -> Void = { _ in }
    ) async throws -> [DurableEvent] {
        var delivered: [DurableEvent] = []
        for try await event in backend.tail(stream, from: position) {
            delivered.append(event)
            progress(delivered)
            if event == last || delivered.count > 1_000 { return delivered }
        }
        throw ConformanceViolation(check: self, reason: "the tail ended after \(delivered.count) events")
    }
}
