import TisynStreams

/// A batch is one append: all of it or nothing, and nothing in between.
extension ConformanceCheck {
    func batch<Backend: BatchAppending>(_ backend: Backend) async throws {
        try await withTwo(backend) { stream, other in
            try await append(events(0..<3), to: stream, from: 0, by: backend)
            try await append(event(3), to: stream, at: 3)
            try await append(events(4..<5), to: stream, from: 4, by: backend)
            try await append([], to: stream, from: 5, by: backend)
            try await append(events(5..<105), to: stream, from: 5, by: backend)
            try await append(event(105), to: stream, at: 105)
            try await append(events(106..<109), to: other, from: 106, by: backend)
            try await append(events(109..<112), to: stream, from: 109, by: backend)
            try await expect(stream, holds: events(0..<112), "after batches and single appends")
        }
    }

    func wholeBatches<Backend: BatchAppending>(_ backend: Backend) async throws {
        let (writers, batches, size) = (4, 10, 7)
        let ended = Count()
        try await withTwo(backend) { stream, other in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<writers {
                    group.addTask {
                        defer { ended.value.withLock { $0 += 1 } }
                        for batch in 0..<batches {
                            let events = events(0..<size, of: "\(writer).\(batch)")
                            let range = try await backend.append(contentsOf: events, to: [stream, other][writer % 2])
                            let isRight = range.count == size && range.lowerBound.isMultiple(of: size)
                            try expect(
                                isRight,
                                "a batch landed at \(range), behind a part of a batch: all have \(size)"
                            )
                        }
                    }
                }
                group.addTask {
                    while ended.value.withLock({ $0 }) < writers {
                        try Task.checkCancellation()
                        try expectWholeBatches(try await stream.readAll(), size: size)
                        await Task.yield()
                    }
                }
                // Not `waitForAll`, which cancels nobody when one fails: the reader would go on for ever.
                for try await _ in group {}
            }
            for stream in [stream, other] {
                let found = try await stream.readAll()
                try expectWholeBatches(found, size: size)
                let isAll = found.count == writers * batches * size
                try expect(isAll, "of \(writers * batches) acknowledged batches \(found.count / size) are there")
            }
        }
    }

    private func append<Backend: BatchAppending>(
        _ events: [DurableEvent],
        to stream: Backend.Stream,
        from position: Int,
        by backend: Backend
    ) async throws {
        let range = try await backend.append(contentsOf: events, to: stream)
        let expected = position..<(position + events.count)
        try expect(range == expected, "a batch that should have landed at \(expected) returned \(range)")
    }

    private func expectWholeBatches(_ found: [DurableEvent], size: Int) throws {
        let isWhole = found.count.isMultiple(of: size)
        try expect(isWhole, "a read found a part of a batch: \(found.count) events of batches of \(size)")
        for start in stride(from: 0, to: found.count, by: size) {
            // Each event's coroutine is `root.writer.batch.number`.
            let batch = found[start].coroutineID.encoded.dropLast(2)
            for offset in 0..<size {
                let isNext = found[start + offset].coroutineID.encoded == "\(batch).\(offset)"
                try expect(isNext, "at position \(start + offset) a batch is mixed with another, or out of order")
            }
        }
    }
}
