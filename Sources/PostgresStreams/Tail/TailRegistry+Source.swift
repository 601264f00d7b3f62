import LibPQ

extension TailRegistry {
    /// A stream that is followed for one consumer.
    struct Source {
        let consumer: Int
        let stream: StreamName
        /// The position of the next event to read.
        var cursor: Int
        /// The token of the event before it, where this tail delivered one: to notice that the log was replaced.
        var lastToken: Token?
        /// The reader's connection it was last compared on. Another one may be another server.
        var comparedOn = -1
        /// As that connection told it. On another server, which has lost the end of the log, it may be another stream's. (On
        /// the same one too, where an operator makes the schema anew: what is tailed is then another log under any name.)
        var streamID: Int?
        /// The last read was for comparing, and brought nothing else: what is behind it is read without.
        var isJustCompared = false
        var mayHaveMore = true
        /// These by what the last reads found.
        var lane = Lane.catchingUp
        var expectsOne = false
        /// Nothing is known yet: as large as one gets that does not end its page.
        var eventByteCount = PageReader.largeEventByteCount
        var pageByteCount = 0
        var place = Place.nowhere

        /// The last read found its end, and nothing has been heard of it since.
        var isAtEnd: Bool { !mayHaveMore && place == .nowhere }

        /// Takes an event that is to be delivered without being read, if it is the next.
        mutating func take(_ row: EventRow, behind predecessor: Token) -> Bool {
            guard isAtEnd, cursor == row.position, (lastToken ?? predecessor) == predecessor else { return false }
            cursor += 1
            lastToken = row.token
            // The next read finds out whether it is from the same log.
            (comparedOn, isJustCompared) = (-1, false)
            return true
        }

        /// It has taken an event since it was last read.
        var hasTaken: Bool { lastToken != nil && comparedOn == -1 }

        private static let smallPageByteCount = 128 << 10

        /// What a read of it is expected to bring: of what follows as much as the last one, or an event that is not large.
        var expectedByteCount: Int {
            lane == .following ? max(pageByteCount, min(eventByteCount, 4 << 10)) : eventByteCount
        }

        /// What the rows of a read say of the next one.
        mutating func learn(from rows: ArraySlice<EventRow>, isFull: Bool, expectedOne: Bool) {
            // It was for comparing, and brought nothing else.
            if isFull, rows.isEmpty { return }
            pageByteCount = rows.reduce(0) { $0 + $1.event.json.utf8Count }
            if !rows.isEmpty {
                // Small ones do not mean at once that no large ones come.
                eventByteCount = max(1, pageByteCount / rows.count, eventByteCount / 8)
            }
            expectsOne = !isFull && rows.count <= 1
            let isSmall = eventByteCount <= PageReader.largeEventByteCount && pageByteCount <= Self.smallPageByteCount
            lane = isSmall && (!isFull || expectedOne) ? .following : .catchingUp
        }
    }

    /// Where a source that may have more is kept; one place at a time.
    enum Place {
        case nowhere
        /// With its consumer, which does not pull.
        case marked
        /// In `ready`.
        case ready
        case beingRead
    }
}
