import Foundation
import Testing

@testable import PrivatePostgres

@Suite("The end of a private server", .timeLimit(.minutes(10)))
struct LifetimeTests {
    @Test("leaves no process and no folder after remove, which can be called again")
    func remove() async throws {
        let server = try await PrivatePostgres.start()
        let process = try #require(server.processID)
        #expect(Presence.ofProcess(process))
        await server.remove()
        #expect(!Presence.ofProcess(process))
        #expect(!Presence.ofFile(server.folder))
        await server.remove()
        await #expect(throws: PrivatePostgresError.self) { try await server.start() }
    }

    @Test("leaves no folder behind a server that was stopped, and none behind one that was killed")
    func removeInOtherStates() async throws {
        let server = try await PrivatePostgres.start()
        await server.stop()
        await server.remove()
        #expect(!Presence.ofFile(server.folder))

        let killed = try await PrivatePostgres.start()
        await killed.kill()
        await killed.remove()
        #expect(!Presence.ofFile(killed.folder))
    }

    @Test("comes when the scope fails")
    func failingScope() async throws {
        struct Failure: Error { let folder: String }
        let failure = await #expect(throws: Failure.self) {
            try await withPrivatePostgres { throw Failure(folder: $0.folder) }
        }
        #expect(!Presence.ofFile(try #require(failure).folder))
    }

    @Test("comes when the last reference goes")
    func lostReference() async throws {
        var server: PrivatePostgres? = try await PrivatePostgres.start()
        let folder = try #require(server?.folder)
        let process = try #require(server?.processID)
        server = nil
        await Presence.end(ofFile: folder)
        #expect(!Presence.ofProcess(process))
    }

    @Test("comes when its owner is killed with SIGKILL")
    func killedOwner() async throws {
        let owner = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let server = try await PrivatePostgres.start()
            let line = "<\(server.folder)|\(try #require(server.processID))>"
            FileHandle.standardOutput.write(Data(line.utf8))
            kill(getpid(), SIGKILL)
        }
        let output = String(decoding: try #require(owner).standardOutputContent, as: UTF8.self)
        let line = try #require(output.firstMatch(of: /<(.*)\|(\d+)>/))
        let process = try #require(Int32(line.2))
        await Presence.end(ofFile: String(line.1))
        #expect(!Presence.ofProcess(process))
    }

    @Test("comes after a start that failed, whose error shows what the server said")
    func failedStart() async throws {
        let error = await #expect(throws: PrivatePostgresError.self) {
            try await PrivatePostgres.start(.init(settings: ["max_connections": "many"]))
        }
        #expect(error?.code == .startFailed)
        let text = try #require(error).description
        #expect(text.contains("invalid value for parameter \"max_connections\""))
        let folder = try #require(text.firstMatch(of: /"([^"]*\/pg-[^\/"]*)\//)).1
        #expect(!Presence.ofFile(String(folder)))
    }
}
