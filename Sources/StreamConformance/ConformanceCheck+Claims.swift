import TisynStreams

/// Single writer: at most one at any time, and the others learn it (contract §2).
extension ConformanceCheck {
    func fencing<Backend: Claiming>(_ backend: Backend) async throws {
        try await withTwo(backend) { unclaimed, other in
            try await append(event(0), to: unclaimed, at: 0)
            let first = try await backend.claim(unclaimed)
            try await append(event(1), to: first, at: 1)
            try await expectFenced(unclaimed, "a writer without a claim")
            try await expectFenced(other, "a writer without a claim, in another process")
            let second = try await backend.claim(unclaimed)
            try await expectFenced(first, "the first writer, after the second claimed")
            try await expectFenced(unclaimed, "a writer without a claim")
            try await append(event(2), to: second, at: 2)
            try await expectFenced(first, "the first writer, after the second wrote")
            // Claimed by way of a fenced writer: fencing is the stream's, not the value's.
            let third = try await backend.claim(first)
            try await expectFenced(second, "the second writer, after the third claimed")
            try await append(event(3), to: third, at: 3)
            let fourth = try await backend.claim(other)
            try await expectFenced(third, "the third writer, after a fourth in another process claimed")
            try await append(event(4), to: fourth, at: 4)
            try await expectFenced(third, "the third writer, after a fourth in another process wrote")
            for stream in [unclaimed, other] { try await expect(stream, holds: events(0..<5), "after four claims") }
        }
    }

    func fencedBatch<Backend: Claiming & BatchAppending>(_ backend: Backend) async throws {
        try await withTwo(backend) { unclaimed, other in
            let first = try await backend.claim(unclaimed)
            let second = try await backend.claim(other)
            for (writer, who) in [(unclaimed, "a writer without a claim"), (first, "the first of two that claimed")] {
                try await expectRefusal(of: "a batch by \(who)") {
                    try await backend.append(contentsOf: events(0..<3, of: "fenced"), to: writer).lowerBound
                }
            }
            let range = try await backend.append(contentsOf: events(0..<3), to: second)
            try expect(range == 0..<3, "the claimer's batch, the stream's first, returned \(range)")
            try await expect(unclaimed, holds: events(0..<3), "after batches of fenced writers and one of the claimer")
        }
    }

    func fencedExpectation<Backend: Claiming & PositionExpecting>(_ backend: Backend) async throws {
        try await withTwo(backend) { unclaimed, other in
            let first = try await backend.claim(unclaimed)
            let second = try await backend.claim(other)
            for (writer, who) in [(unclaimed, "a writer without a claim"), (first, "the first of two that claimed")] {
                try await expectRefusal(of: "an append at the next position by \(who)") {
                    try await backend.append(event(9, of: "fenced"), to: writer, expecting: 0)
                }
            }
            let position = try await backend.append(event(0), to: second, expecting: 0)
            try expect(position == 0, "the claimer's append expected at position 0 returned \(position)")
            try await expect(unclaimed, holds: events(0..<1), "after appends of fenced writers and one of the claimer")
        }
    }

    func claimDuringAppends<Backend: Claiming>(_ backend: Backend) async throws {
        let (writers, most) = (8, 500)
        let ended = Count()
        try await withTwo(backend) { stream, other in
            try await withThrowingTaskGroup(of: [DurableEvent].self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        defer { ended.value.withLock { $0 += 1 } }
                        var acknowledged: [DurableEvent] = []
                        for event in events(0..<most, of: "\(writer)") {
                            guard (try? await [stream, other][writer % 2].append(event)) != nil else { break }
                            acknowledged.append(event)
                        }
                        return acknowledged
                    }
                }
                // Once they are at it.
                while try await stream.readAll().count < writers, ended.value.withLock({ $0 }) < writers {
                    try Task.checkCancellation()
                    await Task.yield()
                }
                let count = try await stream.readAll().count
                try expect(count >= writers, "of \(writers) writers' appends before any claim \(count) are there")
                let claimed = try await backend.claim(stream)
                let recorded = try await stream.readAll()
                let acknowledged = try await group.reduce(into: []) { $0 += $1 }
                try await expect(stream, holds: recorded, "once the appends were over that a claim had met")
                try expect(
                    Set(acknowledged).isSubset(of: recorded),
                    "an append that a claim met was acknowledged, and is not there"
                )
                try await append(event(0), to: claimed, at: recorded.count)
            }
        }
    }

    func lastingClaim<Backend: Claiming>(_ backend: Backend) async throws {
        let name = newName()
        try await backend.withStream(named: name) { stream in
            let claimed = try await backend.claim(stream)
            try await append(event(0), to: claimed, at: 0)
        }
        try await backend.withStream(named: name) { stream in
            try await expectFenced(stream, "a writer without a claim, after the claimer was gone")
            let claimed = try await backend.claim(stream)
            try await backend.withStream(named: name) { other in
                try await expectFenced(other, "a writer without a claim, elsewhere")
            }
            try await append(event(1), to: claimed, at: 1)
            try await expect(stream, holds: events(0..<2), "after claims of two processes")
        }
    }

    func rivalClaims<Backend: Claiming>(_ backend: Backend) async throws {
        try await withTwo(backend) { stream, other in
            let claimed = try await withThrowingTaskGroup(of: Backend.Stream.self) { group in
                for rival in 0..<8 { group.addTask { try await backend.claim([stream, other][rival % 2]) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            // All have claimed, so that only the last can write, whichever that is.
            let written = await withTaskGroup(of: DurableEvent?.self) { group in
                for (rival, writer) in claimed.enumerated() {
                    group.addTask {
                        let event = event(rival)
                        return (try? await writer.append(event)) == nil ? nil : event
                    }
                }
                return await group.reduce(into: [DurableEvent]()) { written, event in
                    if let event { written.append(event) }
                }
            }
            try expect(written.count == 1, "of 8 rivals that claimed the stream \(written.count) could write")
            try await expect(stream, holds: written, "after 8 rivals claimed and one wrote")
        }
    }

    private func expectFenced(_ writer: some DurableStream, _ who: String) async throws {
        try await expectRefusal(of: "an append by \(who)") { try await writer.append(event(9, of: "fenced")) }
    }
}
