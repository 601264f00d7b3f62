import PostgresStreams

/// Runs it again while it is not done by its deadline: for what comes first in a test with a short one, on a machine that may
/// stand still for as long. The suite's time limit bounds it.
func untilInTime<R: Sendable>(_ body: () async throws -> R) async throws -> R {
    while true {
        do {
            return try await body()
        } catch let error as JournalError where error.code == .unreachable {
            try Task.checkCancellation()
        }
    }
}
