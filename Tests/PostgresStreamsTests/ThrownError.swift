import PostgresStreams
import Testing

/// The `JournalError` that `body` has to throw; nil, and an issue, where it returns or throws another.
func thrown<R>(
    sourceLocation: SourceLocation = #_sourceLocation,
    isolation: isolated (any Actor)? = #isolation,
    by body: () async throws -> R
) async -> JournalError? {
    do {
        _ = try await body()
        Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    } catch let error as JournalError {
        return error
    } catch {
        Issue.record("thrown was no JournalError: \(error)", sourceLocation: sourceLocation)
    }
    return nil
}

/// What `body` returns, or the `JournalError` it throws.
func outcome<R>(
    isolation: isolated (any Actor)? = #isolation,
    of body: () async throws -> R
) async throws -> Result<R, JournalError> {
    do {
        return .success(try await body())
    } catch let error as JournalError {
        return .failure(error)
    }
}
