import LibPQ
import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A stream, and how far it has come.
public struct StreamSummary: Sendable, Hashable {
    public enum Filter: Sendable, Hashable, CaseIterable { case all, open, closed }

    public enum Status: String, Sendable, Hashable {
        /// The root coroutine has not closed.
        case open
        /// It closed, with that result.
        case ok, error, cancelled
        /// It closed, with what is no result: somebody wrote it by other means, and `verify` says where.
        case unknown

        init(closedWith result: EffectResult) {
            self =
                switch result {
                case .ok: .ok
                case .error: .error
                case .cancelled: .cancelled
                }
        }
    }

    public let name: StreamName
    public let eventCount: Int
    /// When the last event was recorded; of an empty stream, when it was created.
    public let lastActivity: Date
    /// 0: never claimed.
    public let epoch: Int
    public let status: Status

    /// The journal makes its own; this is for those who stand in for one, in tests.
    public init(name: StreamName, eventCount: Int, lastActivity: Date, epoch: Int, status: Status) {
        self.name = name
        self.eventCount = eventCount
        self.lastActivity = lastActivity
        self.epoch = epoch
        self.status = status
    }
}

/// The streams of a journal in order of their names, a page at a time; see `Journal.streams`.
public struct StreamList: AsyncSequence, Sendable {
    public typealias Element = StreamSummary
    public typealias Failure = JournalError

    let journal: Journal
    let prefix: String
    let filter: StreamSummary.Filter

    public func makeAsyncIterator() -> Iterator { Iterator(list: self) }

    public struct Iterator: AsyncIteratorProtocol {
        let list: StreamList
        private var page: [StreamSummary] = []
        private var index = 0
        private var last = ""
        private var isAtEnd = false
        private static let pageSize = 500

        init(list: StreamList) { self.list = list }

        public mutating func next() async throws(JournalError) -> StreamSummary? {
            if index == page.count {
                guard !isAtEnd else { return nil }
                page = try await list.page(after: last, limit: Self.pageSize)
                index = 0
                isAtEnd = page.count < Self.pageSize
                guard let name = page.last?.name.text else { return nil }
                last = name
            }
            defer { index += 1 }
            return page[index]
        }
    }

    fileprivate func page(after last: String, limit: Int) async throws(JournalError) -> [StreamSummary] {
        try StreamName.check(prefix: prefix)
        var parameters = Parameters()
        parameters.append(last)
        parameters.append(prefix)
        parameters.append(Self.successor(of: prefix))
        parameters.append(limit)
        let statement =
            switch filter {
            case .all: journal.statements.list
            case .open: journal.statements.listOpen
            case .closed: journal.statements.listClosed
            }
        let result = try await journal.request(statement, parameters)
        return (0..<result.rowCount).map { row in
            let closed =
                result.isNull(row: row, column: 5)
                ? nil
                : DurableEvent(
                    trusting: JSONText(trusting: result.bytes(row: row, column: 5), owner: result),
                    kind: .close,
                    coroutineID: .root
                )
            let activity = result.timestamp(row: row, column: 4) ?? result.timestamp(row: row, column: 2) ?? 0
            return StreamSummary(
                name: StreamName(trusting: result.text(row: row, column: 0)),
                eventCount: result.integer(row: row, column: 3) ?? 0,
                lastActivity: Date(postgresMicroseconds: activity),
                epoch: result.integer(row: row, column: 1) ?? 0,
                status: closed.map { close in
                    (try? close.result()).map(StreamSummary.Status.init(closedWith:)) ?? .unknown
                } ?? .open
            )
        }
    }

    /// The least text, bytewise, above all that begin with `prefix`; nil where there is none.
    static func successor(of prefix: String) -> String? {
        var scalars = Array(prefix.unicodeScalars)
        while let last = scalars.popLast() {
            // UTF-8 orders scalars by their number; the surrogates have none.
            var next = last.value + 1
            if next == 0xD800 { next = 0xE000 }
            guard let scalar = Unicode.Scalar(next) else { continue }
            return String(String.UnicodeScalarView(scalars + [scalar]))
        }
        return nil
    }
}
