import ChildProcesses
import Dispatch
import Foundation

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The process that runs ``WardenScript`` for one private server, and the conversation with it. Used by
/// ``PrivatePostgres`` only.
///
/// It holds the only descriptor of its end of the socket, close-on-exec, so that no other child of this process keeps
/// the server alive: when this object goes, or this process ends in any way, the warden stops the server and deletes
/// its folder. It never touches the server itself.
final class Warden: Sendable {
    /// What the warden answered to one request.
    struct Reply: Sendable {
        let isOk: Bool
        /// The server's folder; empty before there is one.
        let folder: String
        /// The server's version, or what failed.
        let text: String
    }

    private let descriptor: Int32
    /// Requests go one after the other and block the queue's thread, which is not one of the cooperative ones.
    private let queue = DispatchQueue(label: "private-postgres.warden")

    private init(descriptor: Int32) {
        self.descriptor = descriptor
    }

    deinit {
        _ = close(descriptor)
    }

    /// Starts the warden for the server programs in `binaries`, with its folder below `base`.
    static func post(binaries: String, base: String) async throws(PrivatePostgresError) -> Warden {
        let warden = await spawn(binaries: binaries, base: base)
        guard let warden else { throw PrivatePostgresError(.startFailed, "/bin/sh could not be started.") }
        return warden
    }

    /// Sends `lines` and waits for the one reply, for as long as the request takes. Not cancellable.
    ///
    /// - Returns: nil if the warden is gone.
    func ask(_ lines: String...) async -> Reply? {
        await withCheckedContinuation { continuation in
            queue.async {
                let request = lines.map { $0 + "\n" }.joined()
                continuation.resume(returning: self.send(request) ? self.receive() : nil)
            }
        }
    }

    /// Sends "remove" and waits until the warden has ended, by which time server and folder are gone.
    func dismiss() async {
        await withCheckedContinuation { continuation in
            queue.async {
                if self.send("remove\n") {
                    while self.receive() != nil {}
                }
                continuation.resume()
            }
        }
    }

    /// The child has no other descriptor of this process: the server cannot hold open a test's socket, or the lifeline of
    /// another server.
    private static func spawn(binaries: String, base: String) async -> Warden? {
        guard let (ours, theirs) = socketPair() else { return nil }
        defer { _ = close(theirs) }
        let who = geteuid() == 0 ? "root" : "self"
        do {
            _ = try await ChildProcess(
                "/bin/sh",
                ["-c", WardenScript.text, "private-postgres-warden", binaries, base, who],
                environment: Command.cleanEnvironment,
                input: theirs,
                output: theirs
            )
        } catch {
            _ = close(ours)
            return nil
        }
        return Warden(descriptor: ours)
    }

    /// A socket rather than a pipe: it can be written to without SIGPIPE, and is close-on-exec from the start.
    private static func socketPair() -> (ours: Int32, theirs: Int32)? {
        var ends: [Int32] = [-1, -1]
        #if canImport(Darwin)
            guard socketpair(AF_UNIX, SOCK_STREAM, 0, &ends) == 0 else { return nil }
            var on: Int32 = 1
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            setsockopt(ends[0], SOL_SOCKET, SO_NOSIGPIPE, &on, socklen_t(MemoryLayout<Int32>.size))
        #else
            #if canImport(Musl)
                let kind = SOCK_STREAM | SOCK_CLOEXEC
            #else
                let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
            #endif
            guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return nil }
        #endif
        return (ends[0], ends[1])
    }

    private func send(_ text: String) -> Bool {
        #if canImport(Darwin)
            let flags: Int32 = 0
        #else
            let flags = Int32(MSG_NOSIGNAL)
        #endif
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Foundation.send(descriptor, $0.baseAddress, $0.count, flags) }
            if sent < 0 && errno == EINTR { continue }
            guard sent > 0 else { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// One line. There is never more than one under way, so nothing is left over for the next call.
    private func receive() -> Reply? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while bytes.last != UInt8(ascii: "\n") {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
        }
        let fields = String(decoding: bytes.dropLast(), as: UTF8.self)
            .split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3 else { return nil }
        return Reply(isOk: fields[0] == "ok", folder: String(fields[1]), text: String(fields[2]))
    }
}
