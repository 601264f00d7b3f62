import PostgresStreams
import StreamHistory
import TisynStreams

/// Those of a run that read: tails that follow to the end, and reads of whole streams in between.
struct StressReader {
    let plan: StressPlan
    let journal: Journal
    let ledger: StressLedger

    /// Some tails begin at a position, at most at this one.
    static let lastStart = 20

    /// Follows a stream to its root's close, whatever happens: given up and resumed now and then, and slow where its number
    /// says so.
    func tail(_ number: Int) async throws {
        let streamNumber = number % plan.streams
        let stream = try journal.stream(StressPlan.name(streamNumber))
        var random = SeededGenerator(seed: plan.seed, part: 1_000_000 + number)
        let isSlow = number % 5 == 4
        var position = number % 3 == 2 ? Int.random(in: 0...Self.lastStart, using: &random) : 0
        while true {
            try Task.checkCancellation()
            let tail = ledger.record { $0.beginTail(of: streamNumber, from: position) }
            var left = number % 2 == 1 ? Int.random(in: 1...2000, using: &random) : .max
            do {
                for try await recorded in stream.tail(from: .position(position), untilClose: true) {
                    let id = StressEvent.id(of: recorded.event)
                    ledger.record { $0.deliver(id, at: recorded.position, to: tail) }
                    position = recorded.position + 1
                    if Int(id?.writer ?? 0) == StressEvent.closer {
                        ledger.record { $0.completeTail(tail) }
                        ledger.count("events delivered", position)
                        ledger.count("tails that came to the end")
                        return
                    }
                    if isSlow, random.once(in: 40) { try await Task.sleep(for: .milliseconds(50)) }
                    left -= 1
                    if left == 0 { break }
                }
                if left > 0 { ledger.record { $0.loseTail(tail, "the root has not closed") } }
                ledger.count("tails given up and resumed")
                // What it had may be lost while nobody tails; who resumes by a bare position cannot be told.
                if plan.mayLoseEnds { position = 0 }
            } catch let error as JournalError where error.code != .cancelled {
                failed(error, "tail \(number) at \(position)", [tail])
                if error.code == .logReplaced { position = 0 }
                guard error.code != .closed else { return }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// Follows all streams of the run, those that are yet to come included, until each has closed.
    func tailAll() async throws {
        while true {
            try Task.checkCancellation()
            let tails = (0..<plan.streams).map { stream in ledger.record { $0.beginTail(of: stream, from: 0) } }
            var open = Set(0..<plan.streams)
            do {
                for try await recorded in journal.tailAll(prefix: StressPlan.prefix) {
                    let number = StressPlan.number(of: recorded.stream.text)
                    guard let number, tails.indices.contains(number) else { continue }
                    let id = StressEvent.id(of: recorded.event)
                    ledger.record { $0.deliver(id, at: recorded.position, to: tails[number]) }
                    guard Int(id?.writer ?? 0) == StressEvent.closer else { continue }
                    ledger.record { $0.completeTail(tails[number]) }
                    open.remove(number)
                    guard open.isEmpty else { continue }
                    ledger.count("tails of all streams that came to their ends")
                    return
                }
                ledger.record { $0.loseTail(tails[0], "a tail of all streams never ends by itself") }
            } catch {
                guard error.code != .cancelled else { throw error }
                failed(error, "the tail of all streams", tails)
                guard error.code != .closed else { return }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private func failed(_ error: JournalError, _ what: String, _ tails: [Int]) {
        ledger.count("tails failed, \(error.kind)")
        ledger.note("\(what) failed: \(error.message)")
        switch error.code {
        case .logReplaced: for tail in tails { ledger.record { $0.replaceTail(tail) } }
        case .logDamaged: ledger.record { $0.damageTail(tails[0], error.message) }
        case .closed, .refused: break
        default: ledger.record { $0.loseTail(tails[0], "\(error.code)") }
        }
    }

    /// Reads whole streams, one after the other, while they are short.
    func read() async throws {
        var random = SeededGenerator(seed: plan.seed, part: 2_000_000)
        repeat {
            let number = Int.random(in: 0..<plan.streams, using: &random)
            let stream = try journal.stream(StressPlan.name(number))
            do {
                if try await stream.nextPosition() < 20_000 {
                    let read = ledger.record { $0.beginRead(of: number) }
                    var events: [EventID?] = []
                    for try await recorded in stream.read() { events.append(StressEvent.id(of: recorded.event)) }
                    ledger.record { $0.endRead(read, events) }
                    ledger.count("reads")
                }
            } catch {
                guard error.code != .cancelled || !ledger.isRunning() else { throw error }
                ledger.count("reads failed, \(error.kind)")
            }
            let pause = Duration.milliseconds(Int.random(in: 0...2000, using: &random))
            try? await Task.sleep(for: ledger.atMostTheTimeLeft(pause))
        } while ledger.isRunning()
    }
}
