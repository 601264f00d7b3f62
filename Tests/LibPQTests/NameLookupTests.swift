import Dispatch
import Synchronization
import Testing

@testable import LibPQ

/// What looks up names and does not answer, until it is told to: a resolver without a name server.
private final class SilentResolver: Sendable {
    private let release = DispatchSemaphore(value: 0)
    /// The names that it is asked for.
    let asked: AsyncStream<String>
    private let asking: AsyncStream<String>.Continuation

    init() { (asked, asking) = AsyncStream.makeStream() }

    func addresses(of name: String) -> NameLookup.Answer {
        asking.yield(name)
        release.wait()
        release.signal()
        return .success(["127.0.0.1"])
    }

    func answer() { release.signal() }
}

@Suite("Looking up hosts", .timeLimit(.minutes(10)))
struct NameLookupTests {
    private func options(
        _ connectionString: String,
        connectTimeout: Duration = .seconds(60),
        _ lookUp: @escaping @Sendable (String) -> NameLookup.Answer
    ) -> SessionOptions {
        var options = SessionOptions(connectionString: connectionString, connectTimeout: connectTimeout)
        options.lookUp = lookUp
        return options
    }

    @Test("a name's addresses are those the system knows; of an unknown name it is said so")
    func system() throws {
        let addresses = try NameLookup.addresses(of: "localhost").get()
        #expect(addresses.contains { $0 == "127.0.0.1" || $0 == "::1" })
        #expect(throws: NameLookup.Failure.self) { try NameLookup.addresses(of: "nobody.invalid").get() }
    }

    @Test("a path and an address are no names", arguments: ["", "/run", "@run", "127.0.0.1", "::1", "2001:db8::7"])
    func notNames(host: String) { #expect(!NameLookup.isName(host)) }

    @Test("a host is connected to at the address that was found for its name, and keeps its name")
    func connects() async throws {
        let server = try await SessionServer.shared.server()
        let string = """
            host=db.example port=\(server.port) dbname=postgres user=postgres password=\(server.password)
            """
        let asked = Mutex<[String]>([])
        var live = try LiveSession(
            options(string) { name in
                asked.withLock { $0.append(name) }
                return .success(["127.0.0.1"])
            }
        )
        #expect(try await live.connected().host == "db.example")
        #expect(asked.withLock { $0 } == ["db.example"])
        try await live.close()
    }

    @Test("a name that has no address is passed over for the next; where none has, each is named")
    func unknown() async throws {
        let server = try await SessionServer.shared.server()
        let access = "port=\(server.port) dbname=postgres user=postgres password=\(server.password)"
        let lookUp: @Sendable (String) -> NameLookup.Answer = { name in
            name == "there" ? .success(["127.0.0.1"]) : .failure(.init(message: "nobody of that name"))
        }
        var live = try LiveSession(options("host=gone,there \(access)", lookUp))
        #expect(try await live.connected().host == "there")
        try await live.close()
        var dead = try LiveSession(options("host=gone,lost \(access)", lookUp))
        let failure = try await dead.ended()
        #expect(failure.reason == .network)
        #expect(
            failure.message
                == "host gone has no address: nobody of that name; host lost has no address: nobody of that name"
        )
    }

    @Test("while a resolver is silent timers ring, and the attempt ends when its time is over")
    func silence() async throws {
        let resolver = SilentResolver()
        defer { resolver.answer() }
        var live = try LiveSession(
            options("host=db.example dbname=d", connectTimeout: .seconds(2), resolver.addresses)
        )
        live.session.setTimer(at: .now + .milliseconds(50))
        guard case .timer = await live.next() else {
            Issue.record("no timer rang")
            return
        }
        let failure = try await live.ended()
        #expect(failure.reason == .timedOut)
        #expect(failure.message == "the address of host db.example was not found in time")
    }

    @Test("while a resolver is silent a session can be closed")
    func closing() async throws {
        let resolver = SilentResolver()
        defer { resolver.answer() }
        var live = try LiveSession(
            options("host=db.example dbname=d", connectTimeout: .seconds(3600), resolver.addresses)
        )
        #expect(await resolver.asked.first { _ in true } == "db.example")
        live.session.close()
        #expect(try await live.ended().reason == .closed)
    }

    @Test("an answer that comes late is taken")
    func late() async throws {
        let server = try await SessionServer.shared.server()
        let string = """
            host=late port=\(server.port) dbname=postgres user=postgres password=\(server.password)
            """
        let resolver = SilentResolver()
        var live = try LiveSession(options(string, resolver.addresses))
        #expect(await resolver.asked.first { _ in true } == "late")
        resolver.answer()
        #expect(try await live.connected().host == "late")
        try await live.close()
    }

    @Test(
        "a name that is not answered keeps no other host from being connected to, wherever it stands",
        arguments: ["silent,there", "there,silent", "silent,127.0.0.1"],
        ["", "connect_timeout=600"]
    )
    func straggler(hosts: String, more: String) async throws {
        let server = try await SessionServer.shared.server()
        let resolver = SilentResolver()
        defer { resolver.answer() }
        let string = """
            host=\(hosts) port=\(server.port) dbname=postgres user=postgres password=\(server.password) \(more)
            """
        var live = try LiveSession(
            options(string, connectTimeout: .seconds(600)) { name in
                name == "there" ? .success(["127.0.0.1"]) : resolver.addresses(of: name)
            }
        )
        #expect(try await live.connected().host != "silent")
        try await live.close()
    }

    @Test(
        "what is wrong with the connection string is said before a name is looked up",
        arguments: ["port=many", "port=70000", "sslmode=sometimes"]
    )
    func mistakes(_ mistake: String) async throws {
        let asked = Mutex(false)
        var live = try LiveSession(
            options("host=db.example dbname=d \(mistake)") { _ in
                asked.withLock { $0 = true }
                return .failure(.init(message: "no"))
            }
        )
        let failure = try await live.ended()
        #expect(failure.reason == .invalidConnectionString, "\(failure)")
        #expect(!asked.withLock { $0 })
    }

    @Test("a host whose port is none is passed over for the next")
    func mistakeOfOne() async throws {
        let server = try await SessionServer.shared.server()
        let string = """
            host=db.example,db.example port=70000,\(server.port) dbname=postgres user=postgres
            password=\(server.password)
            """
        var live = try LiveSession(options(string) { _ in .success(["127.0.0.1"]) })
        #expect(try await live.connected().port == "\(server.port)")
        try await live.close()
    }

    @Test("what may be a part of a password is not named")
    func secret() async throws {
        let text = "postgresql://u:s3cret@word@host.example/d"
        var live = try LiveSession(options(text) { _ in .failure(.init(message: "no")) })
        #expect(try await !live.ended().message.contains("word"))
    }
}
