import ArgumentParser
import PostgresStreams

/// How arguments become what the library takes, and what is said where they cannot.
enum StreamArgument {
    @Sendable
    static func name(_ text: String) throws -> StreamName {
        do {
            return try StreamName(text)
        } catch {
            throw ValidationError(error.message)
        }
    }

    /// Where a tail begins: a position, or one of its two words.
    @Sendable
    static func tailStart(_ text: String) throws -> TailStart {
        switch text {
        case "start": return .start
        case "end": return .end
        default: return .position(try position(text))
        }
    }

    @Sendable
    static func position(_ text: String) throws -> Int {
        guard let position = Int(text), position >= 0 else {
            throw ValidationError("a position is a whole number from 0")
        }
        return position
    }
}
