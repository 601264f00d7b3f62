import Foundation
import Testing

@testable import LibPQ

@Suite("Connection strings")
struct ConnectionStringTests {
    @Test(
        "hosts, addresses and ports are listed as libpq reads them",
        arguments: [
            ("", [], [], ["5432"]),
            ("dbname=d user=u", [], [], ["5432"]),
            ("host=h port=1", ["h"], [], ["1"]),
            ("host=a,b port=1,2", ["a", "b"], [], ["1", "2"]),
            ("host=a,b port=1", ["a", "b"], [], ["1"]),
            ("host='/var/run/pg' hostaddr=127.0.0.1,::1", ["/var/run/pg"], ["127.0.0.1", "::1"], ["5432"]),
            ("host=,b", ["", "b"], [], ["5432"]),
            ("postgresql://u:p@h/d", ["h"], [], ["5432"]),
            ("postgres://u@a:1,b:2/d?connect_timeout=5", ["a", "b"], [], ["1", "2"]),
            ("postgresql:///d?host=%2Frun%2Fpg&port=5433", ["/run/pg"], [], ["5433"]),
            ("postgresql://[::1]:5/d", ["::1"], [], ["5"]),
        ] as [(String, [String], [String], [String])]
    )
    func lists(text: String, hosts: [String], addresses: [String], ports: [String]) throws {
        let parsed = try ConnectionString.parse(text).get()
        #expect(parsed.hosts == hosts)
        #expect(parsed.addresses == addresses)
        #expect(parsed.ports.filter { !$0.isEmpty } == ports)
    }

    @Test(
        "a time-out counts from two seconds on, as libpq takes it; zero and less are none",
        arguments: [
            ("", nil), ("connect_timeout=0", nil), ("connect_timeout=-3", nil), ("connect_timeout=x", nil),
            ("connect_timeout=1", .seconds(2)), ("connect_timeout=2", .seconds(2)),
            ("postgresql://h/d?connect_timeout=7", .seconds(7)),
        ] as [(String, Duration?)]
    )
    func timeouts(text: String, timeout: Duration?) throws {
        #expect(try ConnectionString.parse(text).get().connectTimeout == timeout)
    }

    @Test("the hosts of a service file count as those of the string do")
    func service() async {
        // The variable that names the file is the process's.
        await #expect(processExitsWith: .success) {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("service-\(UUID().uuidString)")
            try "[two]\nhost=a,b\nport=1,2\nconnect_timeout=7\n".write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            setenv("PGSERVICEFILE", file.path, 1)
            let parsed = try ConnectionString.parse("service=two dbname=d").get()
            #expect(parsed.hosts == ["a", "b"])
            #expect(parsed.ports == ["1", "2"])
            #expect(parsed.connectTimeout == .seconds(7))
            #expect(SessionOptions.hostCount("postgresql://u:p@/d?service=two") == 2)
        }
    }

    @Test("several hosts of which the one that takes writes is not asked for may be standbys")
    func standbys() {
        #expect(!SessionOptions.mayReachStandby(""))
        #expect(!SessionOptions.mayReachStandby("host=a target_session_attrs=any"))
        #expect(!SessionOptions.mayReachStandby("host=a,b"))
        #expect(!SessionOptions.mayReachStandby("host=a,b target_session_attrs=read-write"))
        #expect(!SessionOptions.mayReachStandby("host=a,b target_session_attrs=primary"))
        #expect(SessionOptions.mayReachStandby("host=a,b target_session_attrs=any"))
        #expect(SessionOptions.mayReachStandby("postgresql://a,b/d?target_session_attrs=prefer-standby"))
    }

    @Test("hosts are counted, one where none is named or the string is none")
    func hostCount() {
        #expect(SessionOptions.hostCount("") == 1)
        #expect(SessionOptions.hostCount("host=a") == 1)
        #expect(SessionOptions.hostCount("host=a,b,c") == 3)
        #expect(SessionOptions.hostCount("hostaddr=127.0.0.1,127.0.0.2") == 2)
        #expect(SessionOptions.hostCount("nonsense") == 1)
    }

    @Test(
        "what is no connection string is refused in words that say what is wrong",
        arguments: [
            ("mysql://u:p@h/d", "neither postgresql:// nor postgres://"), ("pasword=x host=h", "\"pasword\""),
            ("postgresql://u:pa%ss@h/d", "%, @, :, / and # are written %25, %40, %3A, %2F and %23"),
            ("postgresql://u:pa%00ss@h/d", "%25"), ("postgresql://u@h/d\0?sslmode=verify-full", "it holds a NUL"),
            ("postgresql://u:p/x?foo=bar", "libpq does not know"),
            ("postgresql://u:p@h/d?foo=bar", "\"foo\""), ("postgresql://u@h/d?sslmod=x&host=y", "\"sslmod\""),
        ]
    )
    func reasons(text: String, words: String) throws {
        let failure = try #require(throws: ConnectionFailure.self) { try ConnectionString.parse(text).get() }
        #expect(failure.message.contains(words), "\(failure.message)")
        #expect(!failure.message.hasSuffix(":"), "\(failure.message)")
    }

    @Test(
        "what is no connection string is refused, in words that hold nothing of the password",
        arguments: [
            "hunter2", "password=hunter2 host", "password='hunter2", "password=hunter2 nope=1", "=hunter2",
            "postgresql://u:hunter2%zz@h/d", "postgresql://u:hunter2\0@h/d", "postgresql://u:hunter2%00@h/d",
            "postgresql://u:hunter2@h/d?nope=1",
            "postgresql://u:hunter2@[::1/d", "postgresql://u:hunter2@h/d?password=hunter2&x",
            "postgresql://u:p@h/d?password=hunter2=x", "postgresql://u:hunter2@[]/d", "postgresql://u:hunter2@[::1]x/d",
            "mysql://u:hunter2@h/d?sslmode=require", "postgresql+async://u:hunter2@h:5432/d?ssl=require",
            " postgres://u:hunter2@h/d?sslmode=require", "u:hunter2@h/d?sslmode=require", "postgres://u:hunter2/x?y=1",
            "postgres://us/er:pw?a@h/d?hunter2=1", "user=hunter2 password=my hunter2=word", "PASSWORD=a hunter2=b",
            "postgres://u@h/hunter2?password=a&hunter2=b",
            "postgres://u:pw/x?hunter2=1",
        ]
    )
    func invalid(text: String) {
        guard case .failure(let failure) = ConnectionString.parse(text) else {
            Issue.record("it was taken for a connection string")
            return
        }
        #expect(failure.reason == .invalidConnectionString)
        #expect(failure.message.hasPrefix("the connection string is not valid: "))
        #expect(!failure.message.contains("hunter2"), "\(failure)")
        #expect(failure.message.count > "the connection string is not valid: ".count)
        #expect(failure.message.last != ":", "\(failure)")
    }

    @Test("our defaults come before the connection string, what must hold comes after it")
    func precedence() {
        let options = SessionOptions(
            connectionString: "host=h",
            applicationName: "app",
            defaults: [("target_session_attrs", "read-write")],
            overrides: [("replication", "database")]
        )
        let keywords = options.parameters.map(\.keyword)
        let place = keywords.firstIndex(of: "dbname")
        #expect(options.parameters.contains { $0 == ("dbname", "host=h") })
        #expect(options.parameters.contains { $0 == ("fallback_application_name", "app") })
        for keyword in ["keepalives_idle", "tcp_user_timeout", "target_session_attrs"] {
            #expect(keywords.firstIndex(of: keyword).map { $0 < place ?? 0 } == true, "\(keyword)")
        }
        for keyword in ["replication", "client_encoding"] {
            #expect(keywords.firstIndex(of: keyword).map { $0 > place ?? 0 } == true, "\(keyword)")
        }
    }
}
