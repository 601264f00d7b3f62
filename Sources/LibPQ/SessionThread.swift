#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Runs `body` on a thread of its own, detached. False when there are no threads left.
///
/// A thread and not a task: it spends its life in `poll`, which the cooperative pool must never do.
func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
    // Retained here, released by the thread, or below where there is none.
    let context = Unmanaged.passRetained(ThreadBody(run: body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    #if canImport(Darwin)
        var thread: pthread_t?
        let status = pthread_create(&thread, &attributes, { runBody($0) }, context.toOpaque())
    #else
        var thread = pthread_t()
        let status = pthread_create(&thread, &attributes, { $0.flatMap(runBody) }, context.toOpaque())
    #endif
    if status != 0 { context.release() }
    return status == 0
}

/// Runs `body` after a pause on a thread of its own: a timer would need a file descriptor. False when there are no threads
/// left.
package func runAfter(_ pause: Duration, _ body: @escaping @Sendable () -> Void) -> Bool {
    startThread {
        _ = waitForEvents(on: -1, forWriting: false, or: -1, for: pause)
        body()
    }
}

/// Lets other threads have the processor, if any can run.
func yieldProcessor() { _ = sched_yield() }

/// What tells the calling thread from all others that live.
func currentThread() -> UInt {
    #if canImport(Darwin)
        UInt(bitPattern: pthread_self())
    #else
        UInt(pthread_self())
    #endif
}

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void

    init(run: @escaping @Sendable () -> Void) { self.run = run }
}

private func runBody(_ context: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().run()
    return nil
}
