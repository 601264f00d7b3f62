import ChildProcesses
import Testing

@testable import PrivatePostgres

@Suite("A private server", .timeLimit(.minutes(10)))
struct ServerTests {
    @Test("answers a query, is as durable as a real one, and knows its version")
    func answers() async throws {
        try await withPrivatePostgres { server async throws in
            #expect(try await server.psql("select 1") == "1")
            for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
                #expect(try await server.psql("show \(setting)") == "on", "\(setting)")
            }
            #expect(try await server.psql("show server_encoding") == "UTF8")
            #expect(try await server.psql("show server_version_num") == "\(server.serverVersion)")
            #expect(try await server.psql("show listen_addresses") == "")
            #expect(try await server.psql("show data_directory") == server.dataDirectory)
        }
    }

    @Test("takes the caller's settings, whatever characters they have")
    func settings() async throws {
        let name = #"it's a \n "name" #"#
        let options = PrivatePostgres.Options(
            settings: ["wal_level": "logical", "max_connections": "17", "test.name": name])
        try await withPrivatePostgres(options) { server async throws in
            #expect(try await server.psql("show wal_level") == "logical")
            #expect(try await server.psql("show max_connections") == "17")
            #expect(try await server.psql("show \"test.name\"") == name)
        }
    }

    @Test(
        "keeps its data and port over a restart, in either mode",
        arguments: [PrivatePostgres.StopMode.fast, .immediate]
    )
    func restart(mode: PrivatePostgres.StopMode) async throws {
        try await withPrivatePostgres { server in
            try await server.psql("create table kept as select 42 as n")
            let before = server.processID
            try await server.restart(mode: mode)
            #expect(server.processID != before)
            #expect(try await server.psql("select n from kept") == "42")
        }
    }

    @Test("a standby follows its primary, refuses writes, and takes them once promoted")
    func standby() async throws {
        try await withPrivatePostgres { primary in
            try await primary.psql("create table kept as select 42 as n")
            try await withPrivatePostgres(.init(standbyOf: primary)) { standby in
                #expect(try await standby.psql("select n from kept") == "42")
                #expect(try await standby.psql("select pg_is_in_recovery()") == "t")
                await #expect(throws: PrivatePostgresError.self) { try await standby.psql("create table refused ()") }
                try await primary.psql("insert into kept values (43)")
                while try await standby.psql("select count(*) from kept") != "2" { try Task.checkCancellation() }
                #expect(try await standby.psql("select pg_promote()") == "t")
                try await standby.psql("insert into kept values (44)")
                #expect(try await primary.psql("select count(*) from kept") == "2")
            }
        }
    }

    @Test("refuses queries while stopped, and starts again with its data after SIGKILL")
    func killed() async throws {
        try await withPrivatePostgres { server in
            try await server.psql("create table kept as select 42 as n")
            let first = try #require(server.processID)
            await server.kill()
            #expect(!Presence.ofProcess(first))
            await #expect(throws: PrivatePostgresError.self) { try await server.psql("select 1") }
            try await server.start()
            #expect(try await server.psql("select n from kept") == "42")
            await server.stop()
            #expect(server.processID == nil)
            await server.stop()
            try await server.start()
            try await server.start()
            #expect(try await server.psql("select n from kept") == "42")
        }
    }

    @Test("listens on TCP when asked, and wants the superuser's password there")
    func tcp() async throws {
        try await withPrivatePostgres(.init(tcp: true)) { server in
            let psql = try #require(
                ServerBinaries.path(of: "psql", in: server.binaries) ?? ServerBinaries.onPath("psql")
            )
            let query = ["-X", "-A", "-t", "-w", "-c", "select inet_server_port()", "-d"]
            func ask(_ url: String) async -> Command.Outcome? {
                await Command(executable: psql, arguments: query + [url]).run()
            }
            let admitted = await ask(server.databaseURL(database: "postgres", tcp: true))
            #expect(admitted?.output == "\(server.port)")
            let wrong = await ask(server.databaseURL(database: "postgres", password: "guess", tcp: true))
            #expect(wrong?.status == 2)
            try await server.restart()
            #expect(await ask(server.databaseURL(database: "postgres", tcp: true))?.output == "\(server.port)")
        }
    }

    @Test("copies a database from a template and drops it, whatever its name")
    func databases() async throws {
        try await withPrivatePostgres { server in
            try await server.createDatabase("template")
            try await server.psql("create table t as select 7 as n", database: "template")
            let name = #"a "copy"/50% & more"#
            try await server.createDatabase(name, template: "template")
            #expect(try await server.psql("select n from t", database: name) == "7")
            try await server.dropDatabase(name)
            try await server.dropDatabase(name)
            #expect(try await server.psql("select count(*) from pg_database where not datistemplate") == "2")
        }
    }

    @Test("gives the server's message when a query fails")
    func failedQuery() async throws {
        try await withPrivatePostgres { server in
            let error = await #expect(throws: PrivatePostgresError.self) { try await server.psql("select 1/0") }
            #expect(error?.code == .queryFailed)
            #expect(error?.description.contains("division by zero") == true)
        }
    }
}
