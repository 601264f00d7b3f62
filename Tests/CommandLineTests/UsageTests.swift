import Foundation
import PostgresStreams
import Testing

@testable import durable_streams

@Suite("The command line", .timeLimit(.minutes(10)))
struct UsageTests {
    static let subcommands = ["migrate", "append", "claim", "read", "tail", "replay", "list", "demo"]

    @Test("--help of each subcommand has an example", arguments: subcommands)
    func help(subcommand: String) async throws {
        let outcome = try await Tool().run(subcommand, "--help")
        #expect(outcome.status == 0)
        #expect(outcome.text.contains("durable-streams \(subcommand) ") || subcommand == "demo")
        #expect(outcome.text.contains("--database-url"))
        #expect(outcome.messages.isEmpty)
    }

    @Test("the tool's own help names every subcommand but the hidden one, and every exit code")
    func rootHelp() async throws {
        let text = try await Tool().run("--help").text
        for subcommand in Self.subcommands { #expect(text.contains("\n  \(subcommand) "), "\(subcommand)") }
        #expect(!text.contains("demo-worker"))
        for code in ["64", "65", "69", "70", "74", "75", "130"] { #expect(text.contains("\n  \(code) "), "\(code)") }
    }

    @Test(
        "an argument that cannot be exits 64, before any server is asked",
        arguments: [
            ["nonsense"], ["read"], ["append", "s", "--expect", "-1"], ["read", "s", "--from", "x"], ["tail"],
            ["read", "s", "--limit", "-1"], ["tail", "s", "--from", "middle"], ["list", "--status", "dead"],
            ["append", ""], ["append", String(repeating: "x", count: 513)], ["append", "s", "--deadline", "0"],
            ["migrate", "--print", "--check"], ["read", "s", "--connect-timeout", "60"],
            ["migrate", "--schema", "pg_x"],
            ["read", "s", "--database-url", "host=a nonsense"], ["migrate", "--schema", "$user"],
            ["bench", "memory", "--interval", "1e300"], ["bench", "memory", "--minutes", "1"],
            ["bench", "tail", "--catch-up", "9223372036854775807"],
            ["tail", "s", "--listen-url", "nonsense"],
        ]
    )
    func usage(arguments: [String]) async throws {
        let outcome = try await Tool().run(arguments)
        #expect(outcome.status == 64, "\(outcome.messages)")
        #expect(outcome.output.isEmpty)
        #expect(!outcome.messages.isEmpty)
    }

    @Test("the events that README and append's help show are appended as they stand there")
    func shownEvents() async throws {
        let readme = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "README.md")
        let help = try await Tool().run("append", "--help").text
        for text in [try String(contentsOf: readme, encoding: .utf8), help] {
            let events = text.matches(of: /(?:echo '|^ *)(\{"type":.*\})(?:'|$)/.anchorsMatchLineEndings())
            #expect(Set(events.map { $0.output.1.contains("yield") }) == [true, false])
            try await ToolDatabase.with { tool in
                let lines = events.map { $0.output.1 + "\n" }.joined()
                let append = try await tool.run("append", "orders/17", input: lines)
                #expect(append.status == 0, "\(append.messages)")
                #expect(append.lines.count == events.count)
            }
        }
    }

    @Test(
        "a negative number is taken for one, and refused as one",
        arguments: [
            ["read", "s", "--limit", "-1"], ["read", "s", "--from", "-1"], ["tail", "s", "--from", "-1"],
            ["append", "s", "--expect", "-1"], ["stress", "--seed", "-1"],
        ]
    )
    func negative(arguments: [String]) async throws {
        let outcome = try await Tool().run(arguments)
        #expect(outcome.status == 64)
        #expect(outcome.messages.contains("a whole number from 0"), "\(outcome.messages)")
    }

    @Test(
        "a negative number elsewhere is refused for what it is, not as one that is missing",
        arguments: [
            ["append", "s", "--deadline", "-1"], ["read", "s", "--connect-timeout", "-1"],
            ["stress", "--minutes", "-1"], ["stress", "--writers", "-1"], ["bench", "append", "--writers", "-1"],
            ["bench", "tail", "--tails", "-1"], ["bench", "tail", "--catch-up", "-1"],
            ["bench", "replay", "--rounds", "-1"], ["bench", "append", "--seconds", "-1"],
            ["bench", "append", "--round-trip", "-1"],
        ]
    )
    func negativeElsewhere(arguments: [String]) async throws {
        let outcome = try await Tool().run(arguments)
        #expect(outcome.status == 64)
        #expect(outcome.messages.contains("take"), "\(outcome.messages)")
    }

    @Test("append's help and the tool's say 74 where answers cannot be written; the bench's, what rights it needs")
    func told() async throws {
        #expect(try await Tool().run("append", "--help").text.contains("exits 74"))
        #expect(try await Tool().run("--help").text.contains("answers: 74"))
        for subcommand in ["stress", "bench append", "bench tail", "bench replay", "bench memory"] {
            let arguments = subcommand.split(separator: " ").map(String.init) + ["--help"]
            let help = try await Tool().run(arguments).text.split(whereSeparator: \.isWhitespace)
            #expect(help.joined(separator: " ").contains("the role needs CREATE on the database"), "\(subcommand)")
        }
    }

    @Test(
        "a server that cannot be reached exits 69 with what was tried, and never shows a password",
        arguments: ["migrate", "append", "claim", "read", "tail", "replay", "list"]
    )
    func unreachable(subcommand: String) async throws {
        // Nothing listens on a socket in a folder that does not exist.
        let tool = Tool(databaseURL: "postgresql://user:sesame@/journal?host=/nonexistent/folder&port=5999")
        let stream = subcommand == "list" || subcommand == "migrate" ? [] : ["s"]
        let outcome = try await tool.run([subcommand, "--connect-timeout", "1"] + stream)
        #expect(outcome.status == 69)
        #expect(outcome.output.isEmpty)
        #expect(outcome.messages.contains("/nonexistent/folder"), "\(outcome.messages)")
        // The system's own reason, not that the time was over.
        #expect(outcome.messages.contains("No such file"), "\(outcome.messages)")
        #expect(!outcome.messages.contains("sesame"))
    }

    @Test(
        "a stream that is closed, or takes nothing, is said to be so",
        arguments: [
            ("append s <&-", Int32(65), "stdin is closed"), ("--help >&-", 74, "stdout cannot be written"),
            ("--help > /dev/full", 74, "No space left"), ("append --help > /dev/full", 74, "No space left"),
            ("migrate --print >&-", 74, "stdout cannot be written"), ("--help", 0, ""), ("nonsense 2>&-", 64, ""),
        ]
    )
    func closed(command: String, status: Int32, words: String) async throws {
        let outcome = try await Tool.shell(command)
        #expect(outcome.status == status, "\(outcome.messages)")
        let isSaid = words.isEmpty ? outcome.messages.isEmpty : outcome.messages.contains(words)
        #expect(isSaid, "\(outcome.messages)")
    }

    @Test(
        "a log whose end was lost is a fault of the log: who starts the tool again where there was no server does not"
    )
    func replaced() {
        #expect(ExitStatus(JournalError(.logReplaced, "")) == .badInput)
        #expect(ExitStatus(JournalError(.logDamaged, "")) == .badInput)
        #expect(ExitStatus(JournalError(.unreachable, "")) == .unavailable)
    }

    @Test("-v says that the first connection is made, and nothing says so without")
    func verbose() async throws {
        try await ToolDatabase.with { tool in
            let verbose = try await tool.run("list", "-v")
            #expect(verbose.messages.contains("debug: connected"), "\(verbose.messages)")
            #expect(try await tool.run("list").messages.isEmpty)
        }
    }

    @Test("--database-url counts before DATABASE_URL")
    func precedence() async throws {
        try await ToolDatabase.with { tool in
            let url = try #require(tool.databaseURL)
            let elsewhere = Tool(databaseURL: "postgresql:///none?host=/nonexistent/folder")
            #expect(try await elsewhere.run("list", "--database-url", url).status == 0)
        }
    }

    @Test("names are taken as they are, to the last byte and scalar")
    func names() async throws {
        try await ToolDatabase.with { tool in
            let names = ["e\u{301}", "\u{E9}", "-- x", "a\nb", String(repeating: "é", count: 256)]
            for (number, name) in names.enumerated() {
                let append = try await tool.run(["append", "--", name], input: Sample.event(number).utf8)
                #expect(append.text == "{\"position\":0}\n", "\(append.messages)")
            }
            for (number, name) in names.enumerated() {
                #expect(try await tool.run(["read", "--", name]).text == Sample.event(number) + "\n")
            }
        }
    }
}
