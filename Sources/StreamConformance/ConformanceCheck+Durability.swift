import TisynStreams

/// Durable: what was acknowledged is there, for everybody and later (contract §2). And what failed is not.
extension ConformanceCheck {
    func acknowledgement(_ backend: some StreamBackend) async throws {
        let name = newName()
        try await backend.withStream(named: name) { writer in
            for number in 0..<3 {
                try await append(event(number), to: writer, at: number)
                try await backend.withStream(named: name) { reader in
                    try await expect(
                        reader,
                        holds: events(0..<(number + 1)),
                        "for another reader, after the append returned"
                    )
                }
            }
        }
    }

    func reopening(_ backend: some StreamBackend) async throws {
        let name = newName()
        for life in 0..<3 {
            try await backend.withStream(named: name) { stream in
                try await expect(stream, holds: events(0..<(life * 2)), "when it was opened again")
                try await append(events((life * 2)..<(life * 2 + 2)), to: stream, from: life * 2)
            }
        }
    }

    func concurrentAppends(_ backend: some StreamBackend) async throws {
        let name = newName()
        let expected = try await backend.withStream(named: name) { one in
            try await backend.withStream(named: name) { other in
                let expected = try await appendConcurrently(to: [one, other], writers: 8, each: 25)
                for stream in [one, other] {
                    try await expect(
                        stream,
                        holds: expected,
                        "after concurrent appends, at the positions they returned"
                    )
                }
                return expected
            }
        }
        try await backend.withStream(named: name) { stream in
            try await expect(stream, holds: expected, "when it was opened again after concurrent appends")
        }
    }

    func prefixes(_ backend: some StreamBackend) async throws {
        let all = events(0..<101)
        try await backend.withStream(named: newName()) { stream in
            let acknowledged = Count()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for (position, event) in all.enumerated() {
                        try await append(event, to: stream, at: position)
                        acknowledged.value.withLock { $0 += 1 }
                    }
                }
                group.addTask {
                    var least = 0
                    repeat {
                        try Task.checkCancellation()
                        least = acknowledged.value.withLock { $0 }
                        let found = try await stream.readAll()
                        try expect(
                            found.count >= least,
                            "\(least) events had been acknowledged before a read that found \(found.count)"
                        )
                        try expect(found, are: Array(all.prefix(found.count)), "in a read while appends went on")
                        await Task.yield()
                    } while least < all.count
                }
                // Not `waitForAll`, which cancels nobody when one fails: the reader would go on for ever.
                for try await _ in group {}
            }
        }
    }

    // MARK: Failures

    func failedAppend<Backend: FailureInjecting>(_ backend: Backend) async throws {
        try await backend.withStream(named: newName()) { stream in
            try await append(events(0..<2), to: stream)
            try await backend.failNextAppend(to: stream, afterRecording: false)
            try await expectRefusal(of: "the append that was to fail") {
                try await stream.append(event(9, of: "failed"))
            }
            try await expect(stream, holds: events(0..<2), "after an append that failed")
            try await append(event(2), to: stream, at: 2)
            try await expect(stream, holds: events(0..<3), "after the append that followed one that failed")
        }
    }

    func lostAcknowledgement<Backend: FailureInjecting>(_ backend: Backend) async throws {
        try await backend.withStream(named: newName()) { stream in
            try await append(events(0..<2), to: stream)
            try await backend.failNextAppend(to: stream, afterRecording: true)
            try await expectRefusal(of: "the append that was to fail") { try await stream.append(event(2)) }
            try await expect(stream, holds: events(0..<3), "after an append that was recorded and not acknowledged")
            try await append(event(3), to: stream, at: 3)
            try await expect(stream, holds: events(0..<4), "after the append that followed it")
        }
    }

    func failedBatch<Backend: BatchAppending & FailureInjecting>(_ backend: Backend) async throws {
        try await backend.withStream(named: newName()) { stream in
            try await append(events(0..<2), to: stream)
            try await backend.failNextAppend(to: stream, afterRecording: false)
            try await expectRefusal(of: "the batch that was to fail") {
                try await backend.append(contentsOf: events(0..<10, of: "failed"), to: stream).lowerBound
            }
            try await expect(stream, holds: events(0..<2), "after a batch that failed")
            try await append(event(2), to: stream, at: 2)
            try await expect(stream, holds: events(0..<3), "after the append that followed a batch that failed")
        }
    }
}
