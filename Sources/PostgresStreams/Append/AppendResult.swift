/// What an append came to: its first event's position, or why there is none. A `Result`, but small, since those of the many
/// that succeed are handed on together, several times.
enum AppendResult: Sendable {
    case success(Int)
    indirect case failure(JournalError)

    func get() throws(JournalError) -> Int {
        switch self {
        case .success(let position): return position
        case .failure(let error): throw error
        }
    }
}
