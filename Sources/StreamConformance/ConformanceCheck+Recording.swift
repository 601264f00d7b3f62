import TisynStreams

/// Append-only, prefix-closed, monotonic (contract §2); byte for byte (contract §1).
extension ConformanceCheck {
    func emptyStream(_ backend: some StreamBackend) async throws {
        let name = newName()
        try await backend.withStream(named: name) { stream in
            try await expect(stream, holds: [], "before anything was appended")
        }
        try await backend.withStream(named: name) { stream in
            try await append(event(0), to: stream, at: 0)
            try await expect(stream, holds: [event(0)], "after one append")
        }
    }

    func positions(_ backend: some StreamBackend) async throws {
        try await backend.withStream(named: newName()) { stream in
            for number in 0..<20 { try await append(event(number), to: stream, at: number) }
        }
    }

    func order(_ backend: some StreamBackend) async throws {
        try await backend.withStream(named: newName()) { stream in
            // Names that sort otherwise than they come.
            let events = [5, 1, 10, 3, 2, 11, 4].map { event($0) }
            for (count, event) in events.enumerated() {
                try await stream.append(event)
                try await expect(stream, holds: Array(events[...count]), "after \(count + 1) appends")
            }
        }
    }

    func text(_ backend: some StreamBackend) async throws {
        let name = newName()
        let events = try AwkwardEvents.all()
        try await backend.withStream(named: name) { stream in
            for event in events { try await stream.append(event) }
            try await expect(stream, holds: events, "in the stream they were appended to")
        }
        try await backend.withStream(named: name) { stream in
            let found = try await stream.readAll()
            try expect(found, are: events, "in the stream that was opened again")
            // A journal may keep these beside the text.
            for (event, original) in zip(found, events) {
                let isSame = event.kind == original.kind && event.coroutineID == original.coroutineID
                try expect(isSame, "kind or coroutine id is not that of the text: \(original)")
            }
        }
    }

    func equalEvents(_ backend: some StreamBackend) async throws {
        let events = [0, 0, 1, 0, 1, 1].map { event($0) }
        try await backend.withStream(named: newName()) { stream in
            try await append(events, to: stream)
            try await expect(stream, holds: events, "after appends of equal events")
        }
    }

    func sizes(_ backend: some StreamBackend) async throws {
        let name = newName()
        let large = DurableEvent.close(
            "large",
            .ok(try JSONText("\"" + String(repeating: "x", count: 1 << 20) + "\""))
        )
        let expected = try await backend.withStream(named: name) { stream in
            // More than one reads in a page.
            let small = try await appendConcurrently(to: [stream], writers: 30, each: 50)
            try await append([large, event(0), large, large, event(1)], to: stream, from: small.count)
            return small + [large, event(0), large, large, event(1)]
        }
        try await backend.withStream(named: name) { stream in
            try await expect(stream, holds: expected, "after 1,505 appends, three of them of 1 MiB")
        }
    }

    func separation(_ backend: some StreamBackend) async throws {
        let names = [newName(), newName()]
        try await backend.withStream(named: names[0]) { first in
            try await backend.withStream(named: names[1]) { second in
                for number in 0..<5 {
                    try await append(event(number, of: "first"), to: first, at: number)
                    try await append(event(number, of: "second"), to: second, at: number)
                }
                try await expect(first, holds: events(0..<5, of: "first"), "in the first of two streams")
                try await expect(second, holds: events(0..<5, of: "second"), "in the second of two streams")
            }
        }
    }

    func stability(_ backend: some StreamBackend) async throws {
        let name = newName()
        let (early, late) = try await backend.withStream(named: name) { stream in
            try await append(events(0..<5), to: stream)
            var early = try await stream.readAll()
            try await append(events(5..<10, of: "x"), to: stream, from: 5)
            let late = try await stream.readAll()
            try expect(early, are: events(0..<5), "in what had been read before later appends and reads")
            early.removeFirst()
            return (early, late)
        }
        let expected = events(0..<5) + events(5..<10, of: "x")
        try await backend.withStream(named: name) { stream in
            try await expect(stream, holds: expected, "after the array of an earlier read was changed")
        }
        try expect(early, are: events(1..<5), "in what was read from a stream that is gone")
        try expect(late, are: expected, "in what was read from a stream that is gone")
    }
}
