import Dispatch

/// Runs a call that blocks away from Swift's cooperative threads, of which there are only as many as cores.
///
/// A private serial queue gets a thread beyond the pool's limit when others block; the global queue would not.
/// Not cancellable: returns when `body` does.
func onOwnThread<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        DispatchQueue(label: "private-postgres.call").async {
            continuation.resume(returning: body())
        }
    }
}
