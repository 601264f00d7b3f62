import LibPQ
import TisynStreams

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How a segment is sent, and how its answer is read.
extension Segment {
    /// The statement that appends this, with its parameters.
    ///
    /// - Parameters:
    ///   - hasSettings: the transaction has the settings that the view `appends` needs.
    ///   - isTimed: the answer is to say when each event was recorded, where the view is asked.
    func command(
        _ statements: Statements,
        _ durability: JournalConfiguration.Durability,
        hasSettings: Bool,
        isTimed: Bool = false
    ) -> Batch.Command {
        guard isChained else { return (statements.append.batch, batchParameters(durability)) }
        guard hasSettings else { return (statements.append.next, nextParameters(durability)) }
        guard runs.count == 1 else {
            return (isTimed ? statements.append.allChainedTimed : statements.append.allChained, allChainedParameters())
        }
        return (isTimed ? statements.append.chainedTimed : statements.append.chained, chainedParameters())
    }

    /// What goes before it so that it waits so long at most for what somebody else holds.
    func lock(_ statements: Statements, atMost patience: Duration) -> [(Statement, Parameters)] {
        let timeout = statements.waiting(atMost: patience)
        return isChained ? [timeout] : [timeout] + runs.map { statements.locking($0.stream) }
    }

    /// What the server says it did, for each run.
    func answers(_ result: QueryResult) -> Answers {
        isChained ? chainedAnswers(result) : batchAnswers(result).map(Answers.answers) ?? .unreadable
    }

    enum Answers {
        case answers([Answer])
        /// So many of a chained segment's runs were written, fewer than it has.
        case partial(Int)
        /// It is no answer to this segment.
        case unreadable
    }

    /// An event of a chained segment as it stands in the log.
    struct Written {
        var stream: StreamName
        /// The token of the event before it.
        var predecessor: Token
        var row: EventRow
    }

    /// All its events, where the answer tells when each was recorded, as it does where that was asked; nil otherwise.
    func written(_ result: QueryResult) -> [Written]? {
        guard isChained, result.commandTag.hasPrefix("INSERT "), result.rowCount == runs.count else { return nil }
        var written: [Written] = []
        written.reserveCapacity(runs.count)
        for (index, run) in runs.enumerated() {
            guard let predecessor = run.predecessor, let event = run.appends.first?.events.first,
                let recordedAt = result.timestamp(row: index, column: 0)
            else { return nil }
            let row = EventRow(
                position: run.position,
                recordedAt: Date(postgresMicroseconds: recordedAt),
                token: run.token,
                event: event
            )
            written.append(Written(stream: run.stream, predecessor: predecessor.token, row: row))
        }
        return written
    }

    // MARK: Parameters

    /// The values of one row of the view `appends`, in its order.
    private func chainedParameters() -> Parameters {
        guard let run = runs.first, let predecessor = run.predecessor, let event = run.appends.first?.events.first
        else {
            return Parameters()
        }
        var parameters = Parameters(reservingCapacity: event.json.utf8Count + 128)
        parameters.append(predecessor.streamID)
        parameters.append(run.position)
        parameters.append(predecessor.token)
        parameters.append(run.token)
        parameters.append(char: event.kindByte)
        parameters.append(event.coroutineID.encoded)
        event.json.withUTF8Bytes { parameters.append(bytes: $0) }
        return parameters
    }

    /// The columns of the view `appends`, in its order, as arrays.
    private func allChainedParameters() -> Parameters {
        let count = runs.count
        let byteCount = runs.reduce(0) { $0 + $1.appends.reduce(64) { $0 + $1.byteCount } }
        var parameters = Parameters(reservingCapacity: byteCount + 1024)
        parameters.appendArray(.int8, count: count) { for run in runs { $0.add(run.predecessor?.streamID) } }
        parameters.appendArray(.int8, count: count) { for run in runs { $0.add(run.position) } }
        parameters.appendArray(.uuid, count: count) { for run in runs { $0.add(run.predecessor?.token ?? run.token) } }
        parameters.appendArray(.uuid, count: count) { for run in runs { $0.add(run.token) } }
        addEvents(to: &parameters, count: count)
        return parameters
    }

    /// The parameters of `append_next`, in its order.
    private func nextParameters(_ durability: JournalConfiguration.Durability) -> Parameters {
        var parameters = allChainedParameters()
        parameters.append(durability.rawValue)
        return parameters
    }

    /// Kinds, coroutine ids and texts: three arrays.
    private func addEvents(to parameters: inout Parameters, count: Int) {
        parameters.appendArray(.char, count: count) { elements in
            forEachEvent { _, _, event in elements.add(char: event.kindByte) }
        }
        parameters.appendArray(.text, count: count) { elements in
            forEachEvent { _, _, event in elements.add(event.coroutineID.encoded) }
        }
        parameters.appendArray(.json, count: count) { elements in
            forEachEvent { _, _, event in event.json.withUTF8Bytes { elements.add(bytes: $0) } }
        }
    }

    /// The parameters of `append_batch`, in its order.
    private func batchParameters(_ durability: JournalConfiguration.Durability) -> Parameters {
        let byteCount = runs.reduce(0) { $0 + $1.appends.reduce(64) { $0 + $1.byteCount } }
        var parameters = Parameters(reservingCapacity: byteCount + 1024)
        let runCount = runs.count
        parameters.appendArray(.text, count: runCount) { for run in runs { $0.add(run.stream.text) } }
        parameters.appendArray(.int8, count: runCount, hasNull: true) { for run in runs { $0.add(run.epoch) } }
        parameters.appendArray(.int8, count: runCount) { for run in runs { $0.add(run.position) } }
        parameters.appendArray(.bool, count: runCount) { for run in runs { $0.add(run.isExact) } }
        parameters.appendArray(.uuid, count: runCount) { for run in runs { $0.add(run.token) } }
        let eventCount = eventCount
        parameters.appendArray(.int4, count: eventCount) { elements in
            forEachEvent { run, _, _ in elements.add(Int32(run + 1)) }
        }
        parameters.appendArray(.int4, count: eventCount) { elements in
            forEachEvent { _, offset, _ in elements.add(Int32(offset)) }
        }
        addEvents(to: &parameters, count: eventCount)
        parameters.append(durability.rawValue)
        return parameters
    }

    /// Each event with the index of its run and its place in it.
    private func forEachEvent(_ body: (_ run: Int, _ offset: Int, _ event: DurableEvent) -> Void) {
        for index in runs.indices {
            var offset = 0
            for append in runs[index].appends {
                for event in append.events {
                    body(index, offset, event)
                    offset += 1
                }
            }
        }
    }

    // MARK: Answers

    private func chainedAnswers(_ result: QueryResult) -> Answers {
        let tag = result.commandTag
        // An insert says it in its tag, append_next is asked for it.
        let written =
            tag.hasPrefix("INSERT ")
            ? tag.split(separator: " ").last.flatMap { Int($0) } : result.integer(row: 0, column: 0)
        guard let count = written else { return .unreadable }
        guard count == runs.count else { return .partial(count) }
        return .answers(
            runs.map { run in
                Answer(
                    outcome: .written,
                    position: run.position,
                    epoch: run.epoch ?? 0,
                    streamID: run.predecessor?.streamID ?? 0
                )
            }
        )
    }

    private func batchAnswers(_ result: QueryResult) -> [Answer]? {
        guard result.rowCount == 1, result.columnCount == 4 else { return nil }
        let outcomes = result.array(row: 0, column: 0)
        let positions = result.array(row: 0, column: 1)
        let epochs = result.array(row: 0, column: 2)
        let streamIDs = result.array(row: 0, column: 3)
        guard [outcomes, positions, epochs, streamIDs].allSatisfy({ $0.count == runs.count }) else { return nil }
        func integer(_ bytes: UnsafeRawBufferPointer?) -> Int? {
            bytes.flatMap { $0.count == 8 ? Int($0.loadBigEndian(Int64.self, at: 0)) : nil }
        }
        var answers: [Answer] = []
        for index in runs.indices {
            guard
                let outcome = outcomes[index].flatMap({ Answer.Outcome(rawValue: String(decoding: $0, as: UTF8.self)) }
                ),
                let epoch = integer(epochs[index])
            else { return nil }
            // What is refused may be for a stream that is not there.
            let streamID = integer(streamIDs[index])
            guard streamID != nil || outcome == .conflict || outcome == .fenced else { return nil }
            answers.append(
                Answer(outcome: outcome, position: integer(positions[index]), epoch: epoch, streamID: streamID ?? 0)
            )
        }
        return answers
    }
}

extension DurableEvent {
    /// As the column `kind` has it.
    fileprivate var kindByte: UInt8 { kind == .close ? UInt8(ascii: "c") : UInt8(ascii: "y") }
}
