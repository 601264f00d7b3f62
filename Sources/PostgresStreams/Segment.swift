import LibPQ
import TisynStreams

/// What one transaction appends: for each of its streams one run of events.
struct Segment: Sendable {
    /// Appends to one stream, one after the other, with one token: all of them are written or none.
    struct Run: Sendable {
        var stream: StreamName
        var epoch: Int?
        /// Exact: where the first event goes. Otherwise: the lowest position it can have.
        var position: Int
        var isExact: Bool
        var token: Token
        var appends: [Append]

        var eventCount: Int { appends.reduce(0) { $0 + $1.events.count } }
    }

    /// What the server answered to a run.
    struct Answer: Sendable, Equatable {
        enum Outcome: String, Sendable { case written, conflict, behind, fenced }

        var outcome: Outcome
        var position: Int?
        var epoch: Int
    }

    /// Tells one sending from another in this process; the server never sees it.
    var id: Int
    var runs: [Run]

    var appendCount: Int { runs.reduce(0) { $0 + $1.appends.count } }

    var eventCount: Int { runs.reduce(0) { $0 + $1.eventCount } }

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

    /// The statement that appends this, with its parameters.
    func command(_ statements: Statements, _ durability: JournalConfiguration.Durability) -> (Statement, Parameters) {
        if runs.count == 1, let run = runs.first, run.appends.count == 1, let append = run.appends.first,
            append.events.count == 1, let event = append.events.first
        {
            return (statements.appendSingle, Self.parameters(run, event, durability))
        }
        return (statements.appendBatch, parameters(durability))
    }

    /// The parameters of `append_single`, in its order.
    private static func parameters(
        _ run: Run,
        _ event: DurableEvent,
        _ durability: JournalConfiguration.Durability
    ) -> Parameters {
        var parameters = Parameters(reservingCapacity: event.json.utf8Count + 256)
        parameters.append(run.stream.text)
        parameters.append(run.epoch)
        parameters.append(run.position)
        parameters.append(run.isExact)
        parameters.append(run.token)
        parameters.append(char: event.kindByte)
        parameters.append(event.coroutineID.encoded)
        event.json.withUTF8Bytes { parameters.append(bytes: $0) }
        parameters.append(durability.rawValue)
        return parameters
    }

    /// The parameters of `append_batch`, in its order.
    private func parameters(_ durability: JournalConfiguration.Durability) -> Parameters {
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
        parameters.appendArray(.char, count: eventCount) { elements in
            forEachEvent { _, _, event in elements.add(char: event.kindByte) }
        }
        parameters.appendArray(.text, count: eventCount) { elements in
            forEachEvent { _, _, event in elements.add(event.coroutineID.encoded) }
        }
        parameters.appendArray(.json, count: eventCount) { elements in
            forEachEvent { _, _, event in event.json.withUTF8Bytes { elements.add(bytes: $0) } }
        }
        parameters.append(durability.rawValue)
        return parameters
    }

    /// Reads what the statement answered; nil when it is not an answer to this segment.
    func answers(_ result: QueryResult) -> [Answer]? {
        guard result.rowCount == 1, result.columnCount == 3 else { return nil }
        // `append_single` answers values, `append_batch` arrays of them.
        if let outcome = Answer.Outcome(rawValue: result.text(row: 0, column: 0)) {
            guard runs.count == 1, let epoch = result.integer(row: 0, column: 2) else { return nil }
            return [Answer(outcome: outcome, position: result.integer(row: 0, column: 1), epoch: epoch)]
        }
        let outcomes = result.array(row: 0, column: 0)
        let positions = result.array(row: 0, column: 1)
        let epochs = result.array(row: 0, column: 2)
        guard outcomes.count == runs.count, positions.count == runs.count, epochs.count == runs.count else {
            return nil
        }
        var answers: [Answer] = []
        for index in runs.indices {
            guard
                let outcome = outcomes[index].flatMap({ Answer.Outcome(rawValue: String(decoding: $0, as: UTF8.self)) }
                ),
                let epoch = epochs[index], epoch.count == 8
            else { return nil }
            let position = positions[index].flatMap { $0.count == 8 ? Int($0.loadBigEndian(Int64.self, at: 0)) : nil }
            answers.append(
                Answer(outcome: outcome, position: position, epoch: Int(epoch.loadBigEndian(Int64.self, at: 0)))
            )
        }
        return answers
    }
}

extension DurableEvent {
    /// As the column `kind` has it.
    fileprivate var kindByte: UInt8 { kind == .close ? UInt8(ascii: "c") : UInt8(ascii: "y") }
}

extension Segment.Run {
    /// Whether this append can follow the run's last one; `eventCount` is the run's so far.
    func accepts(_ append: Append, after eventCount: Int) -> Bool {
        guard append.epoch == epoch, !append.goesAlone else { return false }
        return isExact ? append.expecting == position + eventCount : append.expecting == nil
    }

    func receipt(offset: Int) -> AppendReceipt {
        AppendReceipt(stream: stream, position: position, token: token, offset: offset)
    }
}
