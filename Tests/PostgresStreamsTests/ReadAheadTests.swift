import Testing

@testable import PostgresStreams

/// Which pages are asked for and in what order they are taken in: transcripts, without a server.
@Suite("Reading ahead")
struct ReadAheadTests {
    /// The machine, and what it asked for, by position.
    private final class Transcript {
        private var ahead: ReadAhead<String>
        private var asked: [Int: ReadAhead<String>.Request] = [:]

        init(mostEvents: Int) { ahead = ReadAhead(mostEvents: mostEvents) }

        var isIdle: Bool { ahead.isIdle }

        /// What is asked for, as `start+count`.
        func ask(from position: Int, towards target: Int = .max, end: Int?, most: Int = 3) -> String {
            let requests = ahead.requests(from: position, towards: target, end: end, most: most)
            for request in requests { asked[request.start] = request }
            return requests.map { "\($0.start)+\($0.count)" }.joined(separator: " ")
        }

        /// The page at `start` has come; whether anybody waits for it.
        func come(_ start: Int) -> Bool { asked[start].map { ahead.received("\(start)", for: $0) } ?? false }

        func fail(_ start: Int) -> Bool { asked[start].map { ahead.failed($0) } ?? false }

        /// Takes in the pages whose turn it is: where each begins.
        ///
        /// - Parameter count: how many events the first of them has, the last of which is large; nil: all are full.
        func takeIn(count: Int? = nil) -> String {
            var taken: [String] = []
            while let (request, page) = ahead.next() {
                taken.append(page)
                let events = count ?? request.count
                ahead.tookIn(request, count: events, weight: events * 300, endsLarge: count != nil)
            }
            return taken.joined(separator: " ")
        }

        func forget() { ahead.forget() }
    }

    @Test("the first page is small, the next are as large as they may be, three at a time")
    func depth() {
        let ahead = Transcript(mostEvents: 1000)
        #expect(ahead.ask(from: 0, end: nil) == "0+128")
        #expect(ahead.come(0))
        #expect(ahead.takeIn() == "0")
        #expect(ahead.ask(from: 128, end: 5000) == "128+1000 1128+1000 2128+1000")
        #expect(ahead.ask(from: 128, end: 5000) == "")
    }

    @Test("pages grow step by step, so that who stops early has not asked for much")
    func growth() {
        let ahead = Transcript(mostEvents: 2000)
        #expect(ahead.ask(from: 0, end: 9000, most: 1) == "0+128")
        #expect(ahead.ask(from: 0, end: 9000, most: 1) == "")
        #expect(ahead.come(0))
        #expect(ahead.takeIn() == "0")
        #expect(ahead.ask(from: 128, end: 9000, most: 1) == "128+1024")
        #expect(ahead.ask(from: 128, end: 9000, most: 2) == "1152+1024")
        #expect(ahead.come(128))
        #expect(ahead.takeIn() == "128")
        #expect(ahead.ask(from: 1152, end: 9000, most: 2) == "2176+2000")
        #expect(ahead.ask(from: 1152, end: 9000, most: 0) == "")
    }

    @Test("while the end is not known, one page is asked for at a time")
    func unknownEnd() {
        let ahead = Transcript(mostEvents: 100)
        #expect(ahead.ask(from: 0, end: nil) == "0+100")
        #expect(ahead.ask(from: 0, end: nil) == "")
    }

    @Test("nothing is asked for beyond the end, nor beyond what is wanted")
    func bounds() {
        let ahead = Transcript(mostEvents: 100)
        #expect(ahead.ask(from: 0, end: 250) == "0+100 100+100 200+50")
        ahead.forget()
        #expect(ahead.ask(from: 0, towards: 101, end: 250) == "0+100 100+100")
        ahead.forget()
        #expect(ahead.ask(from: 250, end: 250) == "")
    }

    @Test("pages that come out of order are taken in in order")
    func order() {
        let ahead = Transcript(mostEvents: 100)
        #expect(ahead.ask(from: 0, end: 300) == "0+100 100+100 200+100")
        #expect(ahead.come(200))
        #expect(ahead.come(100))
        #expect(ahead.takeIn() == "")
        #expect(ahead.come(0))
        #expect(ahead.takeIn() == "0 100 200")
        #expect(ahead.isIdle)
    }

    @Test("behind a page that a large event ended, all are asked for again, and one at a time")
    func shortPage() {
        let ahead = Transcript(mostEvents: 100)
        #expect(ahead.ask(from: 0, end: 300) == "0+100 100+100 200+100")
        #expect(ahead.come(0))
        #expect(ahead.takeIn(count: 40) == "0")
        #expect(!ahead.come(100))
        #expect(ahead.ask(from: 40, end: 300) == "40+100")
        #expect(ahead.come(40))
        #expect(ahead.takeIn() == "40")
        #expect(ahead.ask(from: 140, end: 300) == "140+100 240+60")
    }

    @Test("a failure ends all that is under way: what comes after it is nobody's")
    func failure() {
        let ahead = Transcript(mostEvents: 100)
        #expect(ahead.ask(from: 0, end: 300) == "0+100 100+100 200+100")
        #expect(ahead.fail(100))
        #expect(!ahead.fail(200))
        #expect(!ahead.come(0))
        #expect(ahead.ask(from: 0, towards: 1, end: 300) == "0+100")
    }
}
