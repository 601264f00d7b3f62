import Foundation
import Synchronization

/// What a socket receives, each piece so much later, and in the order it came: as if the way were longer. What is late holds
/// up nothing that comes behind it.
final class DelayLine: Sendable {
    private struct Piece {
        /// Nil: the end.
        var bytes: [UInt8]?
        var due: ContinuousClock.Instant
    }

    private let pieces = Mutex<[Piece]>([])
    private let count = DispatchSemaphore(value: 0)

    init(of source: LocalSocket, milliseconds: Int) {
        Thread.detachNewThread {
            while true {
                let bytes = source.receive()
                let due = ContinuousClock.now + .milliseconds(milliseconds)
                self.pieces.withLock { $0.append(Piece(bytes: bytes, due: due)) }
                self.count.signal()
                if bytes == nil { return }
            }
        }
    }

    /// Waits for the next piece; nil at the end, and then not to be called again.
    func receive() -> [UInt8]? {
        count.wait()
        let piece = pieces.withLock { $0.removeFirst() }
        let rest = (piece.due - .now) / .microseconds(1)
        if rest > 0 { usleep(useconds_t(rest)) }
        return piece.bytes
    }
}
