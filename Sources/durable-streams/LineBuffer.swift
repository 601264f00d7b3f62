import Foundation

/// The bytes read and not yet handed out, and where lines end in them. Used by ``LineReader``; one thread at a time.
struct LineBuffer {
    private var bytes: [UInt8] = []
    /// Where the line begins that has not been handed out.
    private var start = 0
    /// Up to where no line feed was found, so that a long line is not searched again with every chunk.
    private var searched = 0
    private var isAtEnd = false
    private var lineNumber = 0
    private let limit: Int
    private var chunk = [UInt8](repeating: 0, count: 256 << 10)

    /// - Parameter limit: the longest line, in bytes without its line feed.
    init(limit: Int) { self.limit = limit }

    /// Calls `body` with the next whole line, without its line feed, and its number from 1; nil when there is none yet.
    /// The last line needs no line feed.
    mutating func next<R>(_ body: (UnsafeBufferPointer<UInt8>, Int) throws -> R) throws -> R? {
        let end = lineFeed()
        guard (end ?? bytes.count) - start <= limit else {
            throw LineError(
                number: lineNumber + 1,
                reason: "it is longer than \(limit) bytes, the most a line may have"
            )
        }
        guard let end = end ?? (isAtEnd && start < bytes.count ? bytes.count : nil) else { return nil }
        lineNumber += 1
        defer {
            start = min(end + 1, bytes.count)
            searched = start
        }
        return try bytes.withUnsafeBufferPointer {
            try body(UnsafeBufferPointer(rebasing: $0[start..<end]), lineNumber)
        }
    }

    private mutating func lineFeed() -> Int? {
        let found = bytes.withUnsafeBufferPointer { bytes -> Int? in
            guard searched < bytes.count, let base = bytes.baseAddress,
                let hit = memchr(base + searched, Int32(UInt8(ascii: "\n")), bytes.count - searched)
            else { return nil }
            return UnsafeRawPointer(hit) - UnsafeRawPointer(base)
        }
        searched = found ?? bytes.count
        return found
    }

    /// Reads what there is, waiting for at least a byte. False when everything has been read and handed out.
    mutating func fill(from descriptor: Int32) throws -> Bool {
        guard !isAtEnd else { return false }
        bytes.removeSubrange(..<start)
        searched -= start
        start = 0
        while true {
            let count = chunk.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes += chunk[..<count]
                return true
            }
            if count == 0 {
                isAtEnd = true
                return true
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                // Whoever started us made it non-blocking, for all who share it.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                _ = poll(&waiting, 1, -1)
            default:
                throw LineError(
                    number: lineNumber + 1,
                    reason: "it cannot be read: \(String(cString: strerror(errno)))"
                )
            }
        }
    }
}

/// What is wrong with a line of the input.
struct LineError: Error, CustomStringConvertible {
    /// From 1.
    let number: Int
    let reason: String

    var description: String { "line \(number): \(reason)" }
}
