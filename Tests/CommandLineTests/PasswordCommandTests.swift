import Testing

/// A password that a command prints, for each connection anew.
@Suite("--password-command", .timeLimit(.minutes(10)))
struct PasswordCommandTests {
    /// Runs `body` with the tool on a database where it is asked for a password, and its connection string lacks it.
    private func withPassword(_ password: String, _ body: (Tool) async throws -> Void) async throws {
        try await ToolDatabase.with { tool in
            let facts = try await ToolDatabase.psql("select current_setting('port'), current_database()", on: tool)
            let parts = facts.split(whereSeparator: { "|\n".contains($0) })
            let role = "\(parts[1])_user"
            let url = "postgresql://\(role)@127.0.0.1:\(parts[0])/\(parts[1])"
            let literal = password.replacing("'", with: "''")
            try await ToolDatabase.psql("create role \(role) login superuser password '\(literal)'", on: tool)
            var asked = tool
            asked.databaseURL = url
            // Where the server lets everybody in there is nothing to be seen.
            if try await asked.run("list").status != 0 { try await body(asked) }
            try await ToolDatabase.psql("reassign owned by \(role) to current_user; drop role \(role)", on: tool)
        }
    }

    @Test("its first line is the password, by the option or the variable; the variable goes with DATABASE_URL only")
    func given() async throws {
        try await withPassword("p 'x\" #1") { tool in
            let url = try #require(tool.databaseURL)
            let right = #"printf '%s\nmore\n' "p 'x\" #1""#
            #expect(try await tool.run("list", "--password-command", right).status == 0)
            var byVariable = tool
            byVariable.environment["DATABASE_PASSWORD_COMMAND"] = right
            #expect(try await byVariable.run("claim", "s").text == "{\"epoch\":1,\"position\":0}\n")
            #expect(try await byVariable.run("list", "--database-url", url).status == 69)
            #expect(try await byVariable.run("list", "--password-command", "echo wrong").status == 69)
            // The demo's workers are processes of their own.
            #expect(try await byVariable.run("demo").status == 0)
        }
    }

    @Test(
        "one that fails is said to, with its status, not with what it printed",
        arguments: [
            ("echo hunter2; echo trouble >&2; exit 3", "ended with status 3"), ("true", "printed nothing"),
            ("kill -9 $$", "was killed by a signal"), ("no-such-command", "ended with status 127"),
            ("echo", "is empty"),
        ]
    )
    func failing(command: String, message: String) async throws {
        try await withPassword("x") { tool in
            let outcome = try await tool.run("list", "--connect-timeout", "1", "--password-command", command)
            #expect(outcome.status == 69)
            #expect(outcome.messages.contains(message), "\(outcome.messages)")
            #expect(!outcome.messages.contains("hunter2"))
            #expect(outcome.messages.contains("trouble") == command.contains("trouble"))
        }
    }

    @Test("one that does not end is ended, with the attempt or with the tool")
    func endless() async throws {
        try await withPassword("x") { tool in
            // It holds the tool's stderr, which is read to its end here.
            let endless = ["--password-command", "sleep 3600; true"]
            let outcome = try await tool.run(["list", "--connect-timeout", "0.5"] + endless)
            #expect(outcome.status == 69)
            var quick = tool
            quick.databaseURL? += "?connect_timeout=1"
            let late = try await quick.run(["list", "--connect-timeout", "4"] + endless)
            #expect(late.status == 69)
            #expect(late.messages.contains("no password was given in time"), "\(late.messages)")
        }
    }
}
