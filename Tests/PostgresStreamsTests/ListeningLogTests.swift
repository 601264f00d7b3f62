import Foundation
import Logging
import Testing

@testable import PostgresStreams

/// What of the listener is news.
@Suite("The log of how tails learn")
struct ListeningLogTests {
    private var log = ListeningLog()
    private let since = Date()

    private mutating func levels(_ states: ListeningState...) -> [Logger.Level] { states.map { log.level(of: $0) } }

    @Test("tails that begin, listen and end are no news")
    mutating func short() {
        for _ in 0..<2 {
            #expect(
                levels(.reconnecting(since: since, .starting), .listening, .idle) == [.debug, .debug, .debug]
            )
        }
    }

    @Test("trouble is news once, each kind of it, and so is its end, whatever comes between")
    mutating func trouble() {
        #expect(
            levels(
                .reconnecting(since: since, .starting),
                .listening,
                .reconnecting(since: since, .connectionLost("a")),
                .reconnecting(since: since, .connectionLost("b")),
                .idle,
                .reconnecting(since: since, .starting),
                .reconnecting(since: since, .connectionLost("c")),
                .listening,
                .listening
            ) == [.debug, .debug, .info, .debug, .debug, .debug, .debug, .info, .debug]
        )
        #expect(
            levels(
                .polling(.heartbeatMissed),
                .reconnecting(since: since, .heartbeatMissed),
                .polling(.noPermission),
                .polling(.standby),
                .listening,
                .polling(.turnedOff)
            ) == [.warning, .debug, .warning, .info, .info, .info]
        )
    }

    @Test("naps are no news, and do not make old trouble new")
    mutating func naps() {
        #expect(levels(.listening, .polling(.quiet), .listening) == [.debug, .debug, .debug])
        #expect(
            levels(.polling(.pooler), .polling(.quiet), .polling(.pooler), .polling(.quiet), .listening)
                == [.info, .debug, .debug, .debug, .info]
        )
    }
}
