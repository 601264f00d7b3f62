import ChildProcesses
import Foundation
import Testing

@testable import PrivatePostgres

/// Wall clocks that jump, on the server and on the client: nothing rests on them.
@Suite(
    "Wall clocks that jump",
    .timeLimit(.minutes(10)),
    .enabled(if: WallClock.compiler != nil, "what moves the clock is compiled with cc, for Linux")
)
struct WallClockTests {
    private struct Report: Decodable {
        var counts: [String: Int]
        var violations: [String]
    }

    @Test(
        "appends, tails, claims and reconnects go on while the clocks of server and client jump by hours, days and years"
    )
    func jumps() async throws {
        try await WallClock.with { clock in
            let (status, report, messages, times) = try await clock.withServer { server in
                var times: [Double] = []
                func jump(to offset: Int) async throws {
                    try clock.jump(to: offset)
                    times.append(Double(try await server.psql("select extract(epoch from now())")) ?? 0)
                }
                let tool = Tool(databaseURL: server.databaseURL, environment: clock.environment)
                return try await withThrowingTaskGroup(of: Tool.Outcome?.self) { group in
                    group.addTask {
                        try await tool.run(
                            "stress",
                            "--minutes",
                            "0.1",
                            "--rate",
                            "200",
                            "--writers",
                            "8",
                            "--tails",
                            "4",
                            "--disrupt",
                            "--json"
                        )
                    }
                    let hour = 3600
                    // At least these two, however soon the run is over.
                    try await jump(to: 0)
                    try await jump(to: 20 * 365 * 24 * hour)
                    var offsets = [-9000 * hour, hour, -hour, 72 * hour, 0, -48 * hour]
                        .makeIterator()
                    // The large ones first: the run may be over before all were made.
                    group.addTask { nil }
                    var outcome: Tool.Outcome?
                    while outcome == nil {
                        if let ended = try await group.next() ?? nil {
                            outcome = ended
                            break
                        }
                        let offset = offsets.next() ?? (Int.random(in: -100_000...100_000) * hour)
                        try await jump(to: offset)
                        group.addTask {
                            // A jump each so many commits, whatever the machine's speed.
                            for _ in 0..<5 { try await server.psql("select") }
                            return nil
                        }
                    }
                    let ended = try #require(outcome)
                    return (
                        ended.status, try? JSONDecoder().decode(Report.self, from: Data(ended.output)), ended.messages,
                        times
                    )
                }
            }
            #expect(status == 0, "\(messages)")
            #expect(report?.violations.isEmpty == true, "\(String(describing: report))")
            #expect(report?.counts["events acknowledged"] ?? 0 > 0)
            // The server's did jump.
            #expect((times.max() ?? 0) - (times.min() ?? 0) > 365 * 24 * 3600, "\(times)")
        }
    }
}

/// A wall clock that a test moves, for the processes it starts with it.
private struct WallClock: Sendable {
    let folder: String

    static let compiler: String? = {
        #if os(Linux)
            ServerBinaries.onPath("cc") ?? ServerBinaries.onPath("clang")
        #else
            nil
        #endif
    }()

    private static let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Preloaded/WallClock.c").path

    static func with<R: Sendable>(_ body: (WallClock) async throws -> R) async throws -> R {
        // The server's user must be able to read it.
        let folder = "/tmp/wall-clock-\(UInt32.random(in: .min ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let clock = WallClock(folder: folder)
        let command = Command(
            executable: try #require(compiler),
            arguments: ["-shared", "-fPIC", "-O1", "-o", "\(folder)/clock.so", source, "-ldl"]
        )
        let outcome = await command.run()
        try #require(outcome?.status == 0, "\(outcome?.output ?? "the compiler could not be started")")
        try clock.jump(to: 0)
        try await clock.makePrograms()
        _ = await Command(executable: "/bin/chmod", arguments: ["-R", "a+rX", folder]).run()
        return try await body(clock)
    }

    var environment: [String: String] {
        // Before what is preloaded already, by Scripts/tsan.
        let preloaded = ["\(folder)/clock.so", ProcessInfo.processInfo.environment["LD_PRELOAD"]].compactMap(\.self)
        return ["LD_PRELOAD": preloaded.joined(separator: ":"), "WALL_CLOCK_OFFSET": "\(folder)/offset"]
    }

    func jump(to offset: Int) throws {
        let bytes = withUnsafeBytes(of: offset) { Data($0) }
        // In place: the processes have the file mapped.
        if let file = FileHandle(forUpdatingAtPath: "\(folder)/offset") {
            try file.write(contentsOf: bytes)
            try file.close()
        } else {
            try bytes.write(to: URL(fileURLWithPath: "\(folder)/offset"))
        }
    }

    /// A server whose clock this is.
    func withServer<R: Sendable>(_ body: (PrivatePostgres) async throws -> R) async throws -> R {
        try await withPrivatePostgres(.init(binaries: "\(folder)/bin"), body)
    }

    /// The server's programs, of which `postgres` begins with the clock.
    private func makePrograms() async throws {
        let binaries = try await ServerBinaries.find().folder
        try FileManager.default.createDirectory(atPath: "\(folder)/bin", withIntermediateDirectories: false)
        for name in ["initdb", "postgres", "psql"] where ServerBinaries.path(of: name, in: binaries) != nil {
            let settings = name == "postgres" ? environment.map { "export \($0.key)='\($0.value)'" } : []
            let script = (["#!/bin/sh"] + settings + ["exec '\(binaries)/\(name)' \"$@\"", ""]).joined(separator: "\n")
            let path = "\(folder)/bin/\(name)"
            try script.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
    }
}
