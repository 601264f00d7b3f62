import Crypto

/// A stream's name: any text of 1 to 512 bytes in UTF-8, without NUL. Two names are the same when their bytes are.
public struct StreamName: Sendable, CustomStringConvertible {
    public static let maximumByteCount = 512

    public let text: String

    /// What a notification calls the stream (`HintPayload`): the first 64 bits of SHA-256 of the name. They also serve as
    /// its hash.
    let digest: UInt64

    /// - Throws: `JournalError` with `invalidArgument` when it is empty, too long or holds a NUL.
    public init(_ text: String) throws(JournalError) {
        let count = text.utf8.count
        guard count > 0 else { throw JournalError(.invalidArgument, "a stream's name must not be empty") }
        guard count <= Self.maximumByteCount else {
            throw JournalError(
                .invalidArgument,
                "a stream's name has at most \(Self.maximumByteCount) bytes; this one has \(count)"
            )
        }
        guard !text.utf8.contains(0) else {
            throw JournalError(.invalidArgument, "a stream's name must not hold a NUL character")
        }
        self.init(trusting: text)
    }

    /// Refuses what no stream's name can begin with.
    static func check(prefix: String) throws(JournalError) {
        let count = prefix.utf8.count
        guard count <= maximumByteCount else {
            throw JournalError(
                .invalidArgument,
                "no stream's name begins with \(count) bytes: it has at most \(maximumByteCount)"
            )
        }
        guard !prefix.utf8.contains(0) else {
            throw JournalError(.invalidArgument, "no stream's name holds a NUL character, as the prefix does")
        }
    }

    /// For names that come from the database.
    init(trusting text: String) {
        self.text = text
        digest = SHA256.hash(data: Array(text.utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var description: String { text }
}

extension StreamName: Hashable {
    // Not String's own equality, which takes canonically equivalent spellings for the same.
    public static func == (left: StreamName, right: StreamName) -> Bool {
        left.digest == right.digest && left.withBytes { bytes in right.withBytes { bytes.elementsEqual($0) } }
    }

    /// Whether its bytes come before the other's.
    func precedes(_ other: StreamName) -> Bool {
        withBytes { bytes in other.withBytes { bytes.lexicographicallyPrecedes($0) } }
    }

    private func withBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        // A native string always has contiguous bytes; others are copied.
        text.utf8.withContiguousStorageIfAvailable(body) ?? Array(text.utf8).withUnsafeBufferPointer(body)
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}

/// As a string.
extension StreamName: Codable {
    /// - Throws: `DecodingError`, also for a string that no stream can have as its name.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        do {
            try self.init(try value.decode(String.self))
        } catch let error as JournalError {
            throw DecodingError.dataCorruptedError(in: value, debugDescription: error.message)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(text)
    }
}
