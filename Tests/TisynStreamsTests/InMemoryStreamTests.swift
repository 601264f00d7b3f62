import Testing
import TisynStreams

@Suite("In-memory stream (contract §2)")
struct InMemoryStreamTests {
    private struct Refused: Error, Equatable {
        var number = 0
    }

    private func event(_ number: Int) -> DurableEvent {
        .close(.root.child(number), .ok(nil))
    }

    @Test("Positions are sequential from 0 and what was appended is read back in order")
    func appends() async throws {
        let stream = InMemoryStream()
        for number in 0..<5 {
            #expect(try await stream.append(event(number)) == number)
        }
        #expect(try await stream.readAll() == (0..<5).map(event))
        #expect(stream.appendCount == 5)
    }

    @Test("Given events come first and are not counted as appends")
    func given() async throws {
        let stream = InMemoryStream([event(0), event(1)])
        #expect(stream.appendCount == 0)
        #expect(try await stream.append(event(2)) == 2)
        #expect(stream.snapshot() == [event(0), event(1), event(2)])
        #expect(stream.appendCount == 1)
    }

    @Test("An event's text is kept byte for byte")
    func text() async throws {
        let text = #" {"coroutineId":"\u0072oot","x":1e400,"type":"close","result":{"status":"cancelled"}} "#
        let stream: any DurableStream = InMemoryStream()
        try await stream.append(DurableEvent(text))
        #expect(try await stream.readAll().map(\.json.string) == [text])
    }

    @Test("What a caller does to arrays it passed in or got out changes nothing")
    func independence() async throws {
        var given = [event(0)]
        let stream = InMemoryStream(given)
        given.append(event(9))
        var taken = stream.snapshot()
        taken[0] = event(8)
        var read = try await stream.readAll()
        read.removeAll()
        #expect(stream.snapshot() == [event(0)])
        try await stream.append(event(1))
        #expect(taken == [event(8)])
    }

    @Test("Asked to fail, it throws that error, records nothing, and then works again")
    func failure() async throws {
        let stream = InMemoryStream([event(0)])
        stream.failAppends(2, with: Refused(number: 1))
        for _ in 0..<2 {
            await #expect(throws: Refused(number: 1)) { try await stream.append(event(1)) }
        }
        #expect(stream.snapshot() == [event(0)])
        #expect(stream.appendCount == 0)
        #expect(try await stream.append(event(1)) == 1)
    }

    @Test("It can record an event and fail all the same, as when an acknowledgement is lost")
    func unacknowledged() async throws {
        let stream = InMemoryStream()
        stream.failAppends(with: Refused(), afterRecording: true)
        await #expect(throws: Refused()) { try await stream.append(event(0)) }
        #expect(stream.snapshot() == [event(0)])
        #expect(stream.appendCount == 1)
        #expect(try await stream.append(event(1)) == 1)
    }

    @Test("Failures asked for one after another come in that order")
    func failuresInOrder() async throws {
        let stream = InMemoryStream()
        stream.failAppends(with: Refused(number: 1))
        stream.failAppends(0, with: Refused(number: 2))
        stream.failAppends(-1, with: Refused(number: 3))
        stream.failAppends(with: Refused(number: 4), afterRecording: true)
        await #expect(throws: Refused(number: 1)) { try await stream.append(event(0)) }
        await #expect(throws: Refused(number: 4)) { try await stream.append(event(1)) }
        #expect(try await stream.append(event(2)) == 1)
        #expect(stream.snapshot() == [event(1), event(2)])
    }

    @Test("Reset starts over, without the failures that were to come")
    func reset() async throws {
        let stream = InMemoryStream()
        try await stream.append(event(0))
        stream.failAppends(.max, with: Refused())
        stream.reset(to: [event(5)])
        #expect(stream.appendCount == 0)
        #expect(stream.snapshot() == [event(5)])
        #expect(try await stream.append(event(6)) == 1)
        stream.reset()
        #expect(stream.snapshot().isEmpty)
    }

    @Test("Concurrent appends each get a position of their own, and each event is where its position says")
    func concurrency() async throws {
        let stream = InMemoryStream()
        stream.failAppends(50, with: Refused())
        let positions = await withTaskGroup(of: (number: Int, position: Int?).self) { group in
            for number in 0..<1_000 {
                group.addTask { (number, try? await stream.append(event(number))) }
            }
            return await group.reduce(into: [:]) { found, next in found[next.number] = next.position }
        }
        let events = try await stream.readAll()
        #expect(events.count == 950)
        #expect(stream.appendCount == 950)
        #expect(Set(positions.values) == Set(0..<950))
        for (number, position) in positions {
            #expect(events[position] == event(number))
        }
    }

    @Test("An append in a cancelled task is recorded all the same")
    func cancellation() async throws {
        let stream = InMemoryStream()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await stream.append(event(0))
        }
        #expect(try await task.value == 0)
        #expect(stream.snapshot() == [event(0)])
    }
}
