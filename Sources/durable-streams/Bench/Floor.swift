import Foundation
import LibPQFloor

/// How the C programs of `LibPQFloor` are run from here.
enum Floor {
    /// They block for as long as they measure: not on the cooperative pool. Cancelled, it ends soon, as all of them do.
    static func run<R: Sendable>(_ body: @escaping @Sendable () -> R) async throws -> R {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { continuation.resume(returning: body()) }
            }
        } onCancel: {
            floor_stop()
        }
        try Task.checkCancellation()
        return result
    }

    /// The integer that a query answers.
    static func integer(_ query: String, on databaseURL: String) async throws -> Int {
        let number = try await run { floor_integer(databaseURL, query) }
        try check(number.error)
        return number.value
    }

    /// - Parameter error: the text of theirs, a C array; empty where all went well.
    static func check<T>(_ error: T) throws {
        let text = withUnsafeBytes(of: error) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        guard text.isEmpty else { throw BenchmarkError(description: "floor: \(text)") }
    }

    /// Runs statements one after the other, each in a transaction of its own.
    static func execute(_ statements: [String], on databaseURL: String) async throws {
        for statement in statements {
            try Task.checkCancellation()
            let error = try await run { String(cString: floor_execute(databaseURL, statement)) }
            guard error.isEmpty else { throw BenchmarkError(description: error) }
        }
    }
}

extension Floor {
    /// 0..<count in parts, between which filling a table can be given up.
    static func chunks(of count: Int) -> [Range<Int>] {
        stride(from: 0, to: count, by: 100_000).map { $0..<min($0 + 100_000, count) }
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    var description: String
}
