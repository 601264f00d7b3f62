import StreamStress
import Testing

@testable import PostgresStreams

@Suite("What is announced, when, and over which connection")
struct AnnouncementQueueTests {
    private static let start = ContinuousClock.now

    /// Whether an append takes its announcement along.
    private static func isBehindAppends(_ queue: AnnouncementQueue, at time: ContinuousClock.Instant) -> Bool {
        var queue = queue
        return !queue.takeBehind(1, to: [1], at: time).isEmpty
    }

    /// One announcement behind an append, answered so long after it.
    private static func announce(
        _ queue: inout AnnouncementQueue,
        at now: inout ContinuousClock.Instant,
        answeredAfter duration: Duration
    ) {
        let digests = queue.takeBehind(1, to: [1], at: now)
        #expect(digests == [1])
        #expect(queue.appended(1, to: [1], isAlone: false, at: now) == false)
        #expect(!queue.hasWaiting)
        now += duration
        let isDue = queue.sent(at: now)
        #expect(!isDue)
    }

    @Test("few go behind an append, with what waits, each once")
    func fewGoBehind() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.appended(2, to: [1, 2, 3, 2] as [UInt64], isAlone: false, at: now) == false)
        #expect(queue.takeBehind(1, to: [2, 9], at: now) == [2, 9, 1, 3])
        #expect(!queue.hasWaiting)
        #expect(!queue.isIdle)
        #expect(queue.sent(at: now) == false)
        #expect(queue.isIdle)
    }

    @Test("one that the append's answer has overtaken still goes behind it, with what it moved")
    func overtaken() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.appended(1, to: [1] as [UInt64], isAlone: false, at: now) == false)
        #expect(queue.takeBehind(1, to: [1], at: now) == [1])
        #expect(!queue.hasWaiting)
        #expect(queue.sent(at: now + .seconds(1)) == false)
        // How long it took is not known.
        #expect(Self.isBehindAppends(queue, at: now + .seconds(1)))
    }

    @Test("one behind an append awaits that one's answer, one that goes by itself none")
    func awaiting() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(!queue.awaitsAppend)
        #expect(queue.takeBehind(1, to: [1], at: now) == [1])
        #expect(queue.awaitsAppend)
        #expect(queue.appended(2, to: [2], isAlone: false, at: now) == false)
        #expect(queue.awaitsAppend)
        #expect(queue.appended(1, to: [1], isAlone: false, at: now) == false)
        #expect(!queue.awaitsAppend)
        #expect(queue.sent(at: now) == false)
        #expect(queue.takeWhileIdle(at: now) == [2])
        #expect(!queue.awaitsAppend)
    }

    @Test("an append that departs again is not told of by what is behind its first departure")
    func departedAgain() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.takeBehind(1, to: [1], at: now) == [1])
        #expect(queue.takeBehind(2, to: [1], at: now) == [])
        #expect(queue.appended(2, to: [1] as [UInt64], isAlone: false, at: now) == false)
        #expect(queue.sent(at: now) == false)
        #expect(queue.takeWhileIdle(at: now + .milliseconds(2)) == [1])
    }

    @Test("what was there is known to be announced though more comes all the time")
    func through() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.takeBehind(1, to: [1], at: now) == [1])
        queue.add([2])
        let number = queue.lastNumber
        #expect(!queue.isAnnounced(through: number))
        _ = queue.sent(at: now)
        queue.add([3])
        #expect(!queue.isAnnounced(through: number))
        #expect(queue.takeBehind(2, to: [4], at: now + .seconds(1)) == [4, 2, 3])
        #expect(!queue.isAnnounced(through: number))
        queue.add([5])
        _ = queue.sent(at: now + .seconds(1))
        #expect(queue.isAnnounced(through: number))
        #expect(!queue.isIdle)
        #expect(queue.takeBehind(3, to: [2], at: now + .seconds(2)) == [2, 5])
        _ = queue.sent(at: now + .seconds(2))
        #expect(queue.isAnnounced(through: number))
        #expect(queue.isIdle)
    }

    @Test("where there is no connection for many they go behind appends for a while, where anything may")
    func cutOff() {
        var queue = AnnouncementQueue()
        let many = [UInt64](1...20)
        #expect(queue.takeBehind(1, to: many, at: Self.start) == [])
        #expect(queue.appended(1, to: many, isAlone: false, at: Self.start) == true)
        #expect(queue.takeApart(at: Self.start) == many)
        var now = Self.start + .seconds(1)
        queue.cutOff(many, at: now)
        #expect(queue.sent(at: now) == false)
        #expect(queue.appended(2, to: [21], isAlone: false, at: now) == false)
        let taken = queue.takeBehind(3, to: [1, 2, 30], at: now)
        #expect(taken == [1, 2, 30] + many[2...] + [21])
        now += .milliseconds(10)
        #expect(queue.sent(at: now) == false)
        #expect(queue.appended(4, to: many, isAlone: true, at: now) == true)
        now += .seconds(5)
        #expect(queue.takeBehind(5, to: many, at: now) == [])
        #expect(queue.appended(5, to: many, isAlone: false, at: now) == true)
    }

    @Test("one is under way at a time; what moves meanwhile is in the next")
    func oneAtATime() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.takeBehind(1, to: [1], at: now) == [1])
        #expect(queue.takeBehind(1, to: [2], at: now) == [])
        #expect(queue.appended(2, to: [2] as [UInt64], isAlone: false, at: now) == false)
        #expect(queue.takeWhileIdle(at: now) == [])
        #expect(queue.takeApart(at: now) == [])
        // Somebody has asked for it.
        #expect(queue.sent(at: now) == true)
        #expect(queue.takeApart(at: now) == [2])
        #expect(queue.sent(at: now) == false)
    }

    @Test("many streams go apart, after a pause that grows with their number to 8 ms")
    func manyGoApart() {
        var queue = AnnouncementQueue()
        let now = Self.start
        let many = (0..<UInt64(AnnouncementQueue.many)).map { $0 }
        #expect(queue.takeBehind(1, to: many, at: now) == [])
        #expect(queue.appended(2, to: many, isAlone: false, at: now) == true)
        #expect(queue.takeApart(at: now) == many)
        #expect(queue.sent(at: now) == false)
        let pause = Duration.microseconds(120 * (many.count - 1))
        #expect(queue.appended(2, to: many, isAlone: false, at: now + pause - .nanoseconds(1)) == false)
        #expect(queue.appended(2, to: [], isAlone: false, at: now + pause) == true)
        _ = queue.takeApart(at: now)
        _ = queue.sent(at: now)
        queue.add(100..<400)
        _ = queue.takeApart(at: now)
        _ = queue.sent(at: now)
        #expect(!Self.isBehindAppends(queue, at: now + AnnouncementQueue.longestPause - .nanoseconds(1)))
        #expect(Self.isBehindAppends(queue, at: now + AnnouncementQueue.longestPause))
    }

    @Test(
        "what no append takes along goes apart at once, or when the one under way is answered; many after their pause"
    )
    func apart() {
        var queue = AnnouncementQueue()
        let now = Self.start
        #expect(queue.appended(1, to: [1] as [UInt64], isAlone: true, at: now) == true)
        #expect(queue.takeApart(at: now) == [1])
        #expect(queue.appended(2, to: [2] as [UInt64], isAlone: true, at: now) == true)
        #expect(queue.takeApart(at: now) == [])
        #expect(queue.sent(at: now) == true)
        #expect(queue.takeApart(at: now) == [2])
        #expect(queue.sent(at: now) == false)
        let many = (0..<UInt64(AnnouncementQueue.many)).map { $0 }
        #expect(queue.appended(3, to: many, isAlone: true, at: now) == true)
        #expect(queue.takeApart(at: now) == many)
        #expect(queue.appended(4, to: many, isAlone: true, at: now) == false)
        #expect(queue.sent(at: now) == false)
        let pause = Duration.microseconds(120 * (many.count - 1))
        #expect(queue.appended(5, to: many, isAlone: true, at: now + pause - .nanoseconds(1)) == false)
        #expect(queue.appended(6, to: many, isAlone: true, at: now + pause) == true)
    }

    @Test("a payload's capacity is kept to; the rest is due at once")
    func capacity() {
        var queue = AnnouncementQueue()
        var now = Self.start
        queue.add(0..<1000)
        #expect(queue.takeBehind(1, to: [5000], at: now).count == HintPayload.capacity)
        #expect(queue.sent(at: now) == false)
        now += AnnouncementQueue.longestPause
        #expect(queue.takeApart(at: now).count == HintPayload.capacity)
        #expect(queue.sent(at: now) == true)
        #expect(queue.takeApart(at: now).count == 201)
        #expect(queue.sent(at: now) == false)
        #expect(queue.isIdle)
    }

    @Test("one slow answer keeps announcements apart for a moment, one after the other for longer, a quick one ends it")
    func slowAnswers() {
        var queue = AnnouncementQueue()
        var now = Self.start
        let quick = AnnouncementQueue.slow
        let slow = quick + .nanoseconds(1)
        Self.announce(&queue, at: &now, answeredAfter: quick)
        #expect(Self.isBehindAppends(queue, at: now))
        Self.announce(&queue, at: &now, answeredAfter: slow)
        #expect(!Self.isBehindAppends(queue, at: now + .milliseconds(24)))
        #expect(Self.isBehindAppends(queue, at: now + .milliseconds(50)))
        // What an append moves meanwhile goes at once.
        #expect(queue.appended(2, to: [1] as [UInt64], isAlone: false, at: now) == true)
        _ = queue.takeApart(at: now)
        #expect(queue.sent(at: now) == false)
        for _ in 0..<10 {
            now += .seconds(5)
            Self.announce(&queue, at: &now, answeredAfter: slow)
        }
        #expect(!Self.isBehindAppends(queue, at: now + .milliseconds(2499)))
        #expect(Self.isBehindAppends(queue, at: now + .seconds(5)))
        now += .seconds(5)
        Self.announce(&queue, at: &now, answeredAfter: quick)
        Self.announce(&queue, at: &now, answeredAfter: slow)
        #expect(Self.isBehindAppends(queue, at: now + .milliseconds(50)))
    }

    @Test("an answer to one that went apart says nothing about those behind appends")
    func slowApart() {
        var queue = AnnouncementQueue()
        var now = Self.start
        queue.add([1] as [UInt64])
        _ = queue.takeApart(at: now)
        now += .seconds(1)
        #expect(queue.sent(at: now) == false)
        #expect(Self.isBehindAppends(queue, at: now))
    }

    @Test(
        "whatever happens, all that was added is announced after it was added",
        arguments: 1...50 as ClosedRange<UInt64>
    )
    func model(seed: UInt64) {
        var queue = AnnouncementQueue()
        var now = Self.start
        var random = SeededGenerator(seed: seed)
        /// Streams that have moved since they were last in an announcement.
        var moved: Set<UInt64> = []
        var isUnderWay = false
        var isToGo = false
        /// Departures that are not answered, and the one that the announcement under way is behind.
        var departures: [Int: Set<UInt64>] = [:]
        var lastDeparture = 0
        var behind: Int?
        func appended(_ departure: Int, to digests: Set<UInt64>) {
            if behind != departure { moved.formUnion(digests) }
            let isAlone = random.once(in: 3)
            isToGo = queue.appended(departure, to: digests, isAlone: isAlone, at: now) || isToGo
        }
        func takeBehind(_ departure: Int, to digests: Set<UInt64>) {
            let taken = queue.takeBehind(departure, to: Array(digests), at: now)
            depart(taken)
            if !taken.isEmpty { behind = departure }
        }
        func sent() {
            (isUnderWay, behind) = (false, nil)
            isToGo = queue.sent(at: now) || isToGo
        }
        func depart(_ digests: [UInt64]) {
            #expect(Set(digests).count == digests.count)
            #expect(digests.count <= HintPayload.capacity)
            guard !digests.isEmpty else { return }
            #expect(!isUnderWay)
            isUnderWay = true
            moved.subtract(digests)
        }
        for _ in 0..<2000 {
            now += .microseconds(Int.random(in: 0...3000, using: &random))
            let digests = Set(
                (0..<Int.random(in: 0...12, using: &random)).map { _ in
                    UInt64.random(in: 0..<600, using: &random)
                }
            )
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                // Answered before it is worked out what goes behind it.
                lastDeparture += 1
                appended(lastDeparture, to: digests)
                takeBehind(lastDeparture, to: digests)
            case 1:
                lastDeparture += 1
                departures[lastDeparture] = digests
                takeBehind(lastDeparture, to: digests)
            case 2:
                guard let departure = departures.keys.sorted().randomElement(using: &random),
                    let digests = departures.removeValue(forKey: departure), !random.once(in: 10)
                else { break }
                appended(departure, to: digests)
            case 3: depart(queue.takeWhileIdle(at: now))
            case 4: depart(queue.takeApart(at: now))
            default:
                if isUnderWay { sent() }
            }
            if isToGo { depart(queue.takeApart(at: now)) }
            isToGo = false
            #expect(queue.hasWaiting == !moved.isEmpty)
            #expect(queue.isIdle == (moved.isEmpty && !isUnderWay))
        }
        // What was asked for comes by itself, answer by answer.
        depart(queue.takeApart(at: now))
        while isUnderWay {
            sent()
            if isToGo { depart(queue.takeApart(at: now)) }
            isToGo = false
        }
        #expect(moved.isEmpty)
        #expect(queue.isIdle)
    }
}
