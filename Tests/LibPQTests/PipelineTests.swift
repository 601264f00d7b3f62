import Synchronization
import Testing

@testable import LibPQ

@Suite("The pipeline")
struct PipelineTests {
    private static let no = ServerMessage(severity: "ERROR", sqlState: "23514", message: "no")
    private static let consequence = ServerMessage(severity: "ERROR", sqlState: "25P02", message: "aborted")

    @Test("a batch is done at its sync, with its results in order")
    func results() {
        var pipeline = Pipeline()
        #expect(pipeline.isEmpty)
        let told = Told()
        let results = [QueryResult.empty(), QueryResult.empty()]
        pipeline.sent(told.completion(of: 1))
        #expect(!pipeline.isEmpty)
        #expect(pipeline.received(.result(results[0])) == nil)
        #expect(pipeline.received(.result(results[1])) == nil)
        pipeline.received(.sync)?.tell()
        #expect(told.words == ["1 has 2"])
        #expect(told.results[1]?.elementsEqual(results, by: ===) == true)
        #expect(pipeline.isEmpty)
    }

    @Test("what comes belongs to the oldest batch; each is done by its own sync")
    func order() {
        var pipeline = Pipeline()
        let told = Told()
        for batch in 1...3 { pipeline.sent(told.completion(of: batch)) }
        pipeline.received(.result(.empty()))?.tell()
        pipeline.received(.sync)?.tell()
        #expect(told.words == ["1 has 1"])
        pipeline.received(.sync)?.tell()
        pipeline.received(.result(.empty()))?.tell()
        #expect(told.words == ["1 has 1", "2 has 0"])
        pipeline.sent(told.completion(of: 4))
        pipeline.received(.sync)?.tell()
        pipeline.received(.result(.empty()))?.tell()
        pipeline.received(.sync)?.tell()
        #expect(told.words == ["1 has 1", "2 has 0", "3 has 1", "4 has 1"])
        #expect(pipeline.isEmpty)
    }

    @Test("the result of a statement prepared on the way is not the caller's")
    func preparation() {
        var pipeline = Pipeline()
        let told = Told()
        pipeline.sent(told.completion(of: 1), preparing: ["one"])
        pipeline.sent(told.completion(of: 2))
        let result = QueryResult.empty()
        for item in [Pipeline.Item.result(.empty()), .result(result), .sync, .result(.empty()), .sync] {
            pipeline.received(item)?.tell()
        }
        #expect(told.words == ["1 has 1", "2 has 1"])
        #expect(told.results[1]?.first === result)
    }

    @Test(
        "the first failure is the reason, what was skipped or failed after it says nothing, and the next batch goes on"
    )
    func failure() {
        var pipeline = Pipeline()
        let told = Told()
        pipeline.sent(told.completion(of: 1))
        pipeline.sent(told.completion(of: 2))
        for item in [Pipeline.Item.result(.empty()), .failure(Self.no), .skipped, .failure(Self.consequence)] {
            #expect(pipeline.received(item) == nil)
        }
        pipeline.received(.sync)?.tell()
        #expect(told.words == ["1 refused 23514"])
        pipeline.received(.result(.empty()))?.tell()
        pipeline.received(.sync)?.tell()
        #expect(told.words == ["1 refused 23514", "2 has 1"])
    }

    @Test("a failure after the results, at the commit, is a refusal too")
    func commitFailure() {
        var pipeline = Pipeline()
        let told = Told()
        pipeline.sent(told.completion(of: 1))
        for item in [Pipeline.Item.result(.empty()), .failure(Self.no), .sync] { pipeline.received(item)?.tell() }
        #expect(told.words == ["1 refused 23514"])
    }

    @Test("a failure that libpq made itself says nothing of the transaction")
    func libpqFailure() {
        var pipeline = Pipeline()
        let told = Told()
        pipeline.sent(told.completion(of: 1))
        let trouble = ServerMessage(severity: "", sqlState: "", message: "out of memory for query result")
        for item in [Pipeline.Item.failure(trouble), .sync] { pipeline.received(item)?.tell() }
        #expect(told.words == ["1 lost, sent: true"])
    }

    @Test("when the connection is lost all that was sent is unknown, each told once and in order")
    func lost() {
        var pipeline = Pipeline()
        let told = Told()
        for batch in 1...3 { pipeline.sent(told.completion(of: batch)) }
        pipeline.received(.sync)?.tell()
        #expect(pipeline.received(.result(.empty())) == nil)
        #expect(pipeline.received(.failure(Self.no)) == nil)
        let failure = ConnectionFailure(.network, "gone")
        for batch in pipeline.lost(failure) { batch.tell() }
        #expect(told.words == ["1 has 0", "2 lost, sent: true", "3 lost, sent: true"])
        #expect(pipeline.isEmpty)
        #expect(pipeline.lost(failure).isEmpty)
    }

    @Test("a batch's turn comes when nothing is on the wire, or at once where it may go ahead; in order")
    func turns() {
        var pipeline = Pipeline()
        let told = Told()
        func send() -> Bool {
            guard let batch = pipeline.next() else { return false }
            pipeline.sent(batch.completion)
            return true
        }
        for batch in 1...4 { pipeline.enqueue(Batch([], completion: told.completion(of: batch))) }
        #expect(pipeline.isEmpty)
        #expect(send())
        #expect(!send())
        pipeline.received(.sync)?.tell()
        #expect(send())
        #expect(!send())
        pipeline.goesAhead = true
        #expect(send())
        #expect(send())
        #expect(!send())
        for _ in 0..<3 { pipeline.received(.sync)?.tell() }
        #expect(told.words == ["1 has 0", "2 has 0", "3 has 0", "4 has 0"])
    }

    @Test("when the connection is lost what waited for its turn was not sent")
    func lostWaiting() throws {
        var pipeline = Pipeline()
        let told = Told()
        for batch in 1...3 { pipeline.enqueue(Batch([], completion: told.completion(of: batch))) }
        let first = pipeline.next()
        pipeline.sent(try #require(first).completion)
        for batch in pipeline.lost(ConnectionFailure(.network, "gone")) { batch.tell() }
        #expect(told.words == ["1 lost, sent: true", "2 lost, sent: false", "3 lost, sent: false"])
        #expect(pipeline.next() == nil)
        #expect(pipeline.isEmpty)
    }

    @Test("what comes when nothing was sent is dropped")
    func unexpected() {
        var pipeline = Pipeline()
        for item in [Pipeline.Item.result(.empty()), .failure(Self.no), .skipped, .sync] {
            #expect(pipeline.received(item) == nil)
        }
        #expect(pipeline.isEmpty)
    }
}

extension Pipeline.Finished {
    fileprivate func tell() { completion(outcome) }
}

/// What callers were told, in order.
private final class Told: Sendable {
    private let state = Mutex<(words: [String], results: [Int: [QueryResult]])>(([], [:]))

    var words: [String] { state.withLock { $0.words } }
    var results: [Int: [QueryResult]] { state.withLock { $0.results } }

    func completion(of batch: Int) -> Batch.Completion {
        { [self] outcome in
            state.withLock { state in
                switch outcome {
                case .success(let results):
                    state.words.append("\(batch) has \(results.count)")
                    state.results[batch] = results
                case .failure(.refused(let message)): state.words.append("\(batch) refused \(message.sqlState)")
                case .failure(.connectionLost(_, let sent)): state.words.append("\(batch) lost, sent: \(sent)")
                }
            }
        }
    }
}
