import PrivatePostgres
import Synchronization
import Testing

@testable import LibPQ

/// A password that is asked for at each attempt to connect.
@Suite("A password that is given for each connection", .timeLimit(.minutes(10)))
struct PasswordTests {
    private struct NoToken: Error, CustomStringConvertible {
        let description = "the token service is away"
    }

    /// As the superuser by TCP, without the password that it has there.
    private func options(_ password: @escaping SessionOptions.PasswordProvider) async throws -> SessionOptions {
        let server = try await SessionServer.shared.server()
        let url = server.url.replacing(server.password, with: "wrong")
        #expect(url != server.url)
        var options = SessionOptions(connectionString: url)
        options.passwordProvider = password
        // However slow the machine.
        options.connectTimeout = .seconds(300)
        return options
    }

    private func failure(_ password: @escaping SessionOptions.PasswordProvider) async throws -> ConnectionFailure {
        var live = try LiveSession(try await options(password))
        return try await live.ended()
    }

    @Test("counts in place of the connection string's, also where it takes a while and comes from another thread")
    func given() async throws {
        let server = try await SessionServer.shared.server()
        let options = try await options { target in
            #expect(target.user == "postgres")
            #expect(target.database == "postgres")
            #expect(target.places.map(\.host) == ["127.0.0.1"])
            #expect(target.places.map(\.port) == ["\(server.port)"])
            try await Task.sleep(for: .milliseconds(20))
            return server.password
        }
        for _ in 0..<2 {
            var live = try LiveSession(options)
            _ = try await live.connected()
            #expect(await live.run("select 1").integer == 1)
            try await live.close()
        }
    }

    @Test("a wrong one is refused, which may pass, and none of it is said")
    func wrong() async throws {
        let failure = try await failure { _ in "hunter2" }
        // The next may be right.
        #expect(failure.reason == .network)
        #expect(failure.sqlState == "28P01")
        #expect(!failure.message.contains("hunter2"))
    }

    @Test("where there is none the attempt fails, and says why")
    func none() async throws {
        let thrown = try await failure { _ in throw NoToken() }
        #expect(thrown == ConnectionFailure(.network, "no password was given: the token service is away"))
        for password in ["", "a\0b"] {
            let failure = try await failure { _ in password }
            #expect(failure.reason == .network)
            #expect(failure.message.contains("empty, or holds a NUL"))
        }
    }

    @Test("one that does not come is waited for no longer than a host, and cancelled")
    func late() async throws {
        let (cancelled, continuation) = AsyncStream.makeStream(of: Void.self)
        var options = try await options { _ in
            defer { continuation.finish() }
            try await Task.sleep(for: .seconds(3600))
            return ""
        }
        options.connectTimeout = .milliseconds(50)
        var live = try LiveSession(options)
        let failure = try await live.ended()
        #expect(failure == ConnectionFailure(.timedOut, "no password was given in time"))
        for await _ in cancelled {}
    }

    @Test("while it is waited for the timer rings, and closing ends the session and cancels the asking")
    func closed() async throws {
        let (asked, asking) = AsyncStream.makeStream(of: Void.self)
        let (cancelled, continuation) = AsyncStream.makeStream(of: Void.self)
        var options = try await options { _ in
            asking.finish()
            defer { continuation.finish() }
            try await Task.sleep(for: .seconds(3600))
            return ""
        }
        options.connectTimeout = .seconds(3600)
        var live = try LiveSession(options)
        for await _ in asked {}
        live.session.setTimer(at: .now + .milliseconds(5))
        #expect(await live.next()?.isTimer == true)
        live.session.close()
        #expect(try await live.ended().reason == .closed)
        for await _ in cancelled {}
    }

    @Test("one who gives none and does not heed that he is cancelled keeps nothing of the session")
    func heedless() async throws {
        let (waiting, release) = AsyncStream.makeStream(of: Void.self)
        let asked = Atomic<Int>(0)
        var options = try await options { _ in
            asked.add(1, ordering: .relaxed)
            // Cancelling ends no wait of a task that is not the one that is cancelled.
            await Task.detached { for await _ in waiting {} }.value
            return "late"
        }
        options.connectTimeout = .milliseconds(20)
        weak var session: Session?
        do {
            var live = try LiveSession(options)
            session = live.session
            #expect(try await live.ended().reason == .timedOut)
        }
        // Its thread lets go of it.
        while session != nil { await Task.yield() }
        // It may be asked only now: nobody waited for that.
        while asked.load(ordering: .relaxed) == 0 { await Task.yield() }
        #expect(asked.load(ordering: .relaxed) == 1)
        release.finish()
    }

    @Test("what the giver of passwords says of a failure is told without the connection string")
    func discreet() async throws {
        struct Bad: Error, CustomStringConvertible { let description: String }
        let url = try await SessionServer.shared.server().url.replacing("postgres:", with: "postgres:hunter2")
        var options = SessionOptions(connectionString: url, connectTimeout: .seconds(300))
        options.passwordProvider = { _ in
            // It would be cut in its middle.
            throw Bad(description: "cannot read " + String(repeating: "!", count: 450) + url + url + "\(url)!")
        }
        var live = try LiveSession(options)
        let message = try await live.ended().message
        #expect(message.hasPrefix("no password was given: cannot read !!!"))
        #expect(message.hasSuffix("!!!*********!"))
    }
}
