import Foundation
import Synchronization

/// Stands between a journal and the server, knows where one protocol message ends and the next begins, and breaks the
/// connection at the message a test names, or at messages chosen by a seed (`WireChaos`). Used by the tests of faults on
/// the wire; plain TCP only.
///
///     journal ── toServer ──► proxy ──► server
///             ◄── toClient ──
final class WireProxy: Sendable {
    enum Direction: Sendable, CaseIterable { case toServer, toClient }

    /// What is done at the message.
    enum Fault: Sendable, CaseIterable {
        /// The connection ends before it. What went before it arrives.
        case cut
        /// Half of it goes through, then the connection ends.
        case tear
        /// It goes through, then the connection ends.
        case cutAfter
        /// This direction ends, the other goes on.
        case halfClose
        /// It and all after it vanish, and nobody is told.
        case swallow
        /// It and all after it wait for `release`.
        case hold
        /// It and all after it come a little later.
        case delay
        /// It comes in small pieces, with pauses between.
        case drip
    }

    /// One message, and what happens at it. Messages are counted from the append's Bind on, from 0; those to the client
    /// from the answers to that Bind on. Springs once.
    struct Trap: Sendable {
        var direction: Direction
        var index: Int
        var fault: Fault
    }

    private struct State {
        var trap: Trap?
        var isRefusing = false
        var isMuting = false
        var mutedCount = 0
        var connections: [WireConnection] = []
        var transcripts: [Direction: String] = [:]
        var springs: AsyncStream<Void>.Continuation?
        var chaos: WireChaos?
        var connectionCount = 0
        var mostUnanswered = 0
        /// Bytes a second to the client, on each connection.
        var rate: Int?
        /// What everything takes longer, in milliseconds, in each direction.
        var delay: Int?
    }

    let port: Int
    private let listener: LocalSocket
    private let state = Mutex(State())

    /// Starts to listen, and connects each that comes to `serverPort` of 127.0.0.1.
    init(to serverPort: Int) throws {
        (listener, port) = try LocalSocket.listening()
        Thread.detachNewThread { [listener, weak self] in
            while let client = listener.accepted() { self?.connect(client, serverPort) }
        }
    }

    deinit { close() }

    func close() {
        listener.end()
        endConnections()
    }

    private func connect(_ client: LocalSocket, _ serverPort: Int) {
        guard !state.withLock({ $0.isRefusing }), let server = try? LocalSocket.connected(port: serverPort) else {
            return client.end()
        }
        let connection = state.withLock { state in
            state.connectionCount += 1
            state.connections.removeAll { $0.isOver }
            let connection = WireConnection(client: client, server: server, proxy: self, number: state.connectionCount)
            state.connections.append(connection)
            return connection
        }
        connection.start()
    }

    // MARK: For tests

    /// Counts anew, from the next append on, with a trap or without. What it returns ends once the trap has sprung.
    @discardableResult
    func set(_ trap: Trap?) -> AsyncStream<Void> {
        let (sprung, continuation) = AsyncStream.makeStream(of: Void.self)
        let connections = state.withLock { state in
            state.trap = trap
            state.springs = continuation
            state.transcripts = [:]
            return state.connections
        }
        for connection in connections { connection.countAnew() }
        return sprung
    }

    /// Whether the trap has sprung, or there is none.
    var isSprung: Bool { state.withLock { $0.trap == nil } }

    /// Ends new connections at once, as a port without a server does, until told otherwise.
    func refuse(_ refuses: Bool) { state.withLock { $0.isRefusing = refuses } }

    /// Lets connections be made and logged in, and then swallows all they say, until told otherwise: those stay mute.
    func mute(_ mutes: Bool) { state.withLock { $0.isMuting = mutes } }

    /// How many it has muted.
    var mutedCount: Int { state.withLock { $0.mutedCount } }

    /// Ends all there are; new ones can be made.
    func endConnections() {
        for connection in state.withLock({ $0.connections }) { connection.end() }
    }

    /// Ends the client's side of the connections whose statements match: what it sent still arrives, and no answer does.
    func cutOff(where matches: (_ statements: String) -> Bool) {
        for connection in state.withLock({ $0.connections }) where matches(connection.statements) {
            connection.cutOff()
        }
    }

    /// How many requests came over the connections whose statements match: each ends with a Sync.
    func requestCount(where matches: (_ statements: String) -> Bool = { _ in true }) -> Int {
        state.withLock { $0.connections }.filter { matches($0.statements) }.map(\.requestCount).reduce(0, +)
    }

    /// Holds all answers back, from here on, until `release`, on the connections whose statements match.
    func holdAnswers(where matches: (_ statements: String) -> Bool = { _ in true }) {
        for connection in state.withLock({ $0.connections }) where matches(connection.statements) {
            connection.holdAnswers()
        }
    }

    /// Lets what was held go on.
    func release() {
        for connection in state.withLock({ $0.connections }) { connection.release() }
    }

    /// From here on nothing goes through on the connections whose statements match, in these directions, and nobody is told.
    func swallow(_ directions: Set<Direction> = [.toServer, .toClient], where matches: (_ statements: String) -> Bool) {
        for connection in state.withLock({ $0.connections }) where matches(connection.statements) {
            connection.swallow(directions)
        }
    }

    /// Lets only so many bytes a second through to the client, on each connection.
    func setRate(_ rate: Int?) { state.withLock { $0.rate = rate } }

    /// Lets everything come so many milliseconds later over the connections made from now on, in each direction: as if the
    /// server were far away.
    func setDelay(_ delay: Int?) { state.withLock { $0.delay = delay } }

    /// How many connections there are whose statements match.
    func connectionCount(where matches: (_ statements: String) -> Bool) -> Int {
        state.withLock { $0.connections }.count { matches($0.statements) }
    }

    /// Of the connections whose statements match, the most requests that were sent and not answered at the same time; those
    /// that have ended left out.
    func mostUnanswered(where matches: (_ statements: String) -> Bool) -> Int {
        state.withLock { $0.connections }.filter { matches($0.statements) }.map(\.mostUnanswered).max() ?? 0
    }

    /// The same over all connections there have been.
    var mostUnanswered: Int { state.withLock { $0.mostUnanswered } }

    func noteUnanswered(_ count: Int) {
        state.withLock { $0.mostUnanswered = max($0.mostUnanswered, count) }
    }

    /// How many bytes came to the client over the connections whose statements match, those that have ended left out.
    func answerByteCount(where matches: (_ statements: String) -> Bool) -> Int {
        state.withLock { $0.connections }.filter { matches($0.statements) }.map(\.answerByteCount).reduce(0, +)
    }

    /// The messages of the last append, by their letters, since the last `set`.
    func transcript(_ direction: Direction) -> String { state.withLock { $0.transcripts[direction] ?? "" } }

    /// From here on faults come by chance, at any message of any connection.
    func set(_ chaos: WireChaos) { state.withLock { $0.chaos = chaos } }

    /// One message in so many is struck from here on; nil: none.
    func setChance(oneIn rarity: Int?) { state.withLock { $0.chaos?.rarity = rarity } }

    /// What was set last, with what it did so far.
    var chaos: WireChaos? { state.withLock { $0.chaos } }

    // MARK: For connections

    var rate: Int? { state.withLock { $0.rate } }

    var delay: Int? { state.withLock { $0.delay } }

    /// Whether the connection whose first statement this is becomes mute.
    func mutes() -> Bool {
        state.withLock { state in
            if state.isMuting { state.mutedCount += 1 }
            return state.isMuting
        }
    }

    func chance(
        _ connection: Int,
        _ index: Int,
        _ direction: Direction,
        _ message: MessageFraming.Message
    ) -> Fault? {
        state.withLock { state in
            state.chaos?.fault(connection, index, direction, letter: message.letter, byteCount: message.bytes.count)
        }
    }

    /// What to do at this message of the append under way; nil: let it pass.
    func fault(at index: Int, _ direction: Direction, letter: Character) -> Fault? {
        state.withLock { state in
            state.transcripts[direction, default: ""].append(letter)
            guard let trap = state.trap, trap.direction == direction, trap.index == index else { return nil }
            state.trap = nil
            state.springs?.finish()
            return trap.fault
        }
    }
}
