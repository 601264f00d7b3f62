import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// Row-level security that somebody switched on, as some services' consoles offer for every table: what it hides must not
/// pass for what is not there, or effects that are recorded would run again.
@Suite(
    "Row-level security",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "roles are created as a superuser")
)
struct RowSecurityTests {
    private func enable(on table: String, _ sql: SQLSession) async throws {
        try await sql.run("alter table durable_streams.\(table) enable row level security")
    }

    @Test(
        "a journal does not open where rows are hidden from its role",
        arguments: ["migrations", "streams", "events"]
    )
    func opening(_ table: String) async throws {
        try await Roles.with { roles in
            try await enable(on: table, roles.owner)
            for role in [roles.writer, roles.reader] {
                let error = await thrown { try await withJournal(.quiet(role)) { _ in } }
                #expect(error?.code == .unfit)
                #expect(error?.message.contains("row-level security") == true, "\(error.map { "\($0)" } ?? "")")
                let diagnosis = try await Doctor(.quiet(role)).examinePatiently()
                let finding = diagnosis.findings.first { $0.check == "role" }
                #expect(finding?.verdict == .problem)
                #expect(finding?.found.contains(table) == true, "\(diagnosis.findings)")
            }
            try await roles.owner.run("alter table durable_streams.\(table) disable row level security")
            try await withJournal(.quiet(roles.writer)) { _ in }
        }
    }

    @Test("in a journal that was open before, nothing is read, and a replay says nothing")
    func reading() async throws {
        try await Roles.with { roles in
            try await withJournal(.quiet(roles.writer)) { journal in
                let stream = try journal.stream("s")
                try await stream.append(.close("root", .ok(nil)))
                #expect(try await stream.readAll().count == 1)
                try await enable(on: "events", roles.owner)
                let read = await thrown { try await stream.readAll() }
                #expect(read?.sqlState == "42501")
                let replay = await thrown { try await stream.replayIndex().hasClose("root") }
                #expect(replay?.sqlState == "42501")
                let verified = await thrown { try await journal.verify(stream.name) }
                #expect(verified?.sqlState == "42501")
            }
        }
    }
}
