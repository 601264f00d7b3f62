import CLibPQ

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Wakes a thread that waits in `poll`: a pipe whose read end it waits on.
struct WakePipe: ~Copyable {
    let readEnd: Int32
    private let writeEnd: Int32

    /// Nil when the process has no file descriptors left.
    init?() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            // Neither end may block, and a child process must not hold them open.
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        readEnd = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// From any thread. A full pipe is as good: the thread is going to wake.
    func wake() {
        var byte: UInt8 = 1
        _ = write(writeEnd, &byte, 1)
    }

    /// Takes what was written, by the thread that waits.
    func drain() {
        var bytes: (UInt64, UInt64) = (0, 0)
        while read(readEnd, &bytes, 16) > 0 {}
    }
}

/// Waits for the first descriptor (negative: none) to become readable, or writable if asked, for the second to become
/// readable, or for the time to pass (nil: for ever). Returns which of them is.
func waitForEvents(
    on socket: Int32,
    forWriting: Bool,
    or wakeUp: Int32,
    for duration: Duration?
) -> (isReady: Bool, isWoken: Bool) {
    // On the stack: this is done for every answer.
    withUnsafeTemporaryAllocation(of: pollfd.self, capacity: 2) { descriptors in
        descriptors.initializeElement(at: 0, to: pollfd(fd: wakeUp, events: Int16(POLLIN), revents: 0))
        let events = Int16(POLLIN | (forWriting ? POLLOUT : 0))
        descriptors.initializeElement(at: 1, to: pollfd(fd: socket, events: events, revents: 0))
        wait(descriptors.baseAddress, socket >= 0 ? 2 : 1, duration)
        return (descriptors[1].revents != 0, descriptors[0].revents != 0)
    }
}

private func wait(_ descriptors: UnsafeMutablePointer<pollfd>?, _ count: nfds_t, _ duration: Duration?) {
    #if os(Linux)
        guard let duration else {
            _ = ppoll(descriptors, count, nil, nil)
            return
        }
        let (seconds, attoseconds) = max(.zero, duration).components
        var time = timespec(tv_sec: Int(min(seconds, 1_000_000)), tv_nsec: Int(attoseconds / 1_000_000_000))
        _ = ppoll(descriptors, count, &time, nil)
    #else
        // Rounded up: a poll that returns a little early would be called again and again for the last millisecond.
        let milliseconds = duration.map { Int32(clamping: max(0, $0.milliseconds.rounded(.up))) } ?? -1
        _ = poll(descriptors, count, milliseconds)
    #endif
}

extension Int32 {
    init(clamping value: Double) { self = value >= Double(Int32.max) ? .max : Int32(value) }
}

extension Duration {
    package var milliseconds: Double { Double(components.seconds) * 1e3 + Double(components.attoseconds) / 1e15 }
}
