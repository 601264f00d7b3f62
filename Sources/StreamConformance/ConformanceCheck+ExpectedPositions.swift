import TisynStreams

/// An append that names its position lands there or nowhere.
extension ConformanceCheck {
    func expectedPosition<Backend: PositionExpecting>(_ backend: Backend) async throws {
        try await withTwo(backend) { stream, other in
            for number in 0..<5 {
                // The last two by a process that wrote nothing so far.
                let writer = number < 3 ? stream : other
                let position = try await backend.append(event(number), to: writer, expecting: number)
                try expect(position == number, "an append expected at position \(number) returned \(position)")
            }
            try await append(event(5), to: stream, at: 5)
            try await expect(stream, holds: events(0..<6), "after appends at expected positions")
        }
    }

    func wrongExpectation<Backend: PositionExpecting>(_ backend: Backend) async throws {
        try await withTwo(backend) { stream, other in
            for wrong in [1, 7] {
                try await expectRefusal(of: "an append expected at position \(wrong) of an empty stream") {
                    try await backend.append(event(9, of: "refused"), to: stream, expecting: wrong)
                }
            }
            try await append(events(0..<3), to: stream)
            for wrong in [0, 1, 2, 4, 100] {
                try await expectRefusal(of: "an append expected at position \(wrong) of a stream of 3") {
                    try await backend.append(event(9, of: "refused"), to: stream, expecting: wrong)
                }
                try await expectRefusal(of: "elsewhere, an append expected at position \(wrong) of a stream of 3") {
                    try await backend.append(event(9, of: "refused"), to: other, expecting: wrong)
                }
            }
            try await expect(stream, holds: events(0..<3), "after appends that were refused")
            try await append(event(3), to: stream, at: 3)
            try await expect(stream, holds: events(0..<4), "after the append that followed refused ones")
        }
    }

    func race<Backend: PositionExpecting>(_ backend: Backend) async throws {
        try await withTwo(backend) { stream, other in
            var winners: [DurableEvent] = []
            for position in 0..<5 {
                let won = await withTaskGroup(of: DurableEvent?.self) { group in
                    for racer in 0..<8 {
                        group.addTask {
                            let (event, stream) = (event(position, of: "\(racer)"), [stream, other][racer % 2])
                            return (try? await backend.append(event, to: stream, expecting: position)) == nil
                                ? nil : event
                        }
                    }
                    return await group.reduce(into: [DurableEvent]()) { won, event in
                        if let event { won.append(event) }
                    }
                }
                try expect(
                    won.count == 1,
                    "of 8 appends that expected position \(position), \(won.count) were acknowledged"
                )
                winners += won
            }
            try await expect(stream, holds: winners, "after races for each position")
        }
    }
}
