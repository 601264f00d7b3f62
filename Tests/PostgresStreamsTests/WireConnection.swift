import Foundation
import Synchronization

/// One connection through a `WireProxy`, which it asks what to do at each message: two threads, one for each direction.
final class WireConnection: Sendable {
    private struct State {
        var statements = ""
        /// How many Syncs went to the server, and how many of them were answered.
        var syncs = 0
        var answered = 0
        var mostUnanswered = 0
        /// How many had been sent before the append's Bind; nil before it.
        var syncsBefore: Int?
        var counts: [WireProxy.Direction: Int] = [:]
        /// All messages of the connection.
        var totals: [WireProxy.Direction: Int] = [:]
        var isSwallowing: Set<WireProxy.Direction> = []
        /// Whether answers wait.
        var isHolding = false
        var answerByteCount = 0
        var isOver = false
    }

    private let client: LocalSocket
    private let server: LocalSocket
    private let proxy: @Sendable () -> WireProxy?
    private let state = Mutex(State())
    private let gate = DispatchSemaphore(value: 0)

    private let number: Int

    init(client: LocalSocket, server: LocalSocket, proxy: WireProxy, number: Int) {
        self.client = client
        self.server = server
        self.number = number
        self.proxy = { [weak proxy] in proxy }
    }

    var statements: String { state.withLock { $0.statements } }

    /// Nothing more comes through it.
    var isOver: Bool { state.withLock { $0.isOver } }

    func start() {
        Thread.detachNewThread { self.pump(.toServer, from: self.client, to: self.server) }
        Thread.detachNewThread { self.pump(.toClient, from: self.server, to: self.client) }
    }

    func end() {
        client.end()
        server.end()
        state.withLock { $0.isOver = true }
        release()
    }

    func cutOff() { client.end() }

    func release() {
        state.withLock { $0.isHolding = false }
        gate.signal()
    }

    func holdAnswers() { state.withLock { $0.isHolding = true } }

    var requestCount: Int { state.withLock { $0.syncs } }

    var answerByteCount: Int { state.withLock { $0.answerByteCount } }

    var mostUnanswered: Int { state.withLock { $0.mostUnanswered } }

    func countAnew() {
        state.withLock { state in
            state.syncsBefore = nil
            state.counts = [:]
        }
    }

    func swallow(_ directions: Set<WireProxy.Direction>) { state.withLock { $0.isSwallowing = directions } }

    private func pump(_ direction: WireProxy.Direction, from source: LocalSocket, to target: LocalSocket) {
        var framing = MessageFraming(hasStartup: direction == .toServer)
        var isGreeting = direction == .toServer
        let line = proxy()?.delay.map { DelayLine(of: source, milliseconds: $0) }
        while let bytes = line == nil ? source.receive() : line?.receive() {
            for message in framing.take(bytes) {
                if isGreeting, message.letter == "P" {
                    isGreeting = false
                    if proxy()?.mutes() == true { swallow([.toServer, .toClient]) }
                }
                if state.withLock({ $0.isSwallowing.contains(direction) }) { continue }
                if direction == .toClient {
                    if state.withLock({ $0.isHolding }) { gate.wait() }
                    if let rate = proxy()?.rate { usleep(useconds_t(message.bytes.count * 1_000_000 / rate)) }
                    state.withLock { $0.answerByteCount += message.bytes.count }
                }
                switch fault(at: message, direction) ?? chance(message, direction) {
                case nil:
                    target.send(message.bytes)
                case .delay:
                    usleep(useconds_t(1000 * (5 + message.bytes.count % 150)))
                    target.send(message.bytes)
                case .drip:
                    drip(message.bytes, to: target)
                case .hold:
                    gate.wait()
                    target.send(message.bytes)
                case .cut:
                    return cut()
                case .cutAfter:
                    target.send(message.bytes)
                    return cut()
                case .tear:
                    target.send(message.bytes.prefix(message.bytes.count / 2))
                    return cut()
                case .halfClose:
                    target.endSending()
                    _ = state.withLock { $0.isSwallowing.insert(direction) }
                case .swallow:
                    _ = state.withLock { $0.isSwallowing.insert(direction) }
                }
            }
        }
        target.endSending()
    }

    /// In at most 100 pieces: a byte at a time, where the message is short.
    private func drip(_ bytes: [UInt8], to target: LocalSocket) {
        let size = bytes.count / 100 + 1
        for start in stride(from: 0, to: bytes.count, by: size) {
            target.send(bytes[start..<min(start + size, bytes.count)])
            usleep(500)
        }
    }

    private func chance(_ message: MessageFraming.Message, _ direction: WireProxy.Direction) -> WireProxy.Fault? {
        let index: Int = state.withLock { state in
            defer { state.totals[direction, default: 0] += 1 }
            return state.totals[direction, default: 0]
        }
        return proxy()?.chance(number, index, direction, message)
    }

    /// The client sees the end at once; the server first reads what it was sent.
    private func cut() {
        client.end()
        server.endSending()
        // Unread answers at the close would be a reset, and that would take from the server what it has not read yet.
        while server.receive() != nil {}
        state.withLock { $0.isOver = true }
    }

    private func fault(at message: MessageFraming.Message, _ direction: WireProxy.Direction) -> WireProxy.Fault? {
        let index: Int? = state.withLock { state in
            switch direction {
            case .toServer:
                if message.letter == "P" { state.statements += message.text }
                // Where it has no name, as in the caller's transactions, its text tells.
                let isUnnamed = message.letter == "P" && message.text.hasPrefix("\0")
                if message.letter == "B" || isUnnamed, message.text.contains("append_"), state.syncsBefore == nil {
                    state.syncsBefore = state.syncs
                }
                if message.letter == "S" {
                    state.syncs += 1
                    state.mostUnanswered = max(state.mostUnanswered, state.syncs - state.answered)
                }
                guard state.syncsBefore != nil else { return nil }
            case .toClient:
                // The first is of no Sync: the server is ready after the log-in.
                defer { if message.letter == "Z", state.syncs > 0 { state.answered += 1 } }
                guard let before = state.syncsBefore, state.answered >= before else { return nil }
            }
            defer { state.counts[direction, default: 0] += 1 }
            return state.counts[direction, default: 0]
        }
        if direction == .toServer, message.letter == "S" { proxy()?.noteUnanswered(mostUnanswered) }
        return index.flatMap { proxy()?.fault(at: $0, direction, letter: message.letter) }
    }
}
