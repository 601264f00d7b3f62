import Foundation
import PrivatePostgres
import Testing

@testable import LibPQ

@Suite("Sessions that are gone", .timeLimit(.minutes(10)))
struct SessionLeakTests {
    /// In a process of its own, whose file descriptors and threads are its own.
    @Test("leave no file descriptor behind, however they ended")
    func descriptors() async throws {
        try await withPrivatePostgres(.init(settings: ["max_connections": "300"])) { server in
            let url = server.databaseURL
            await #expect(processExitsWith: .success) { [url = url as String] in
                // Whatever is opened once and kept.
                for _ in 0..<4 { await Self.live(url, ending: .byClosing) }
                let before = Self.openCount()
                for number in 0..<2_500 {
                    let ending: Ending =
                        switch number % 25 {
                        case 0: .byClosing
                        case 1: .byTermination
                        case 2: .whileBusy
                        case 3...5: .beforeStart
                        default: .unconnected
                        }
                    await Self.live(url, ending: ending)
                }
                // A thread gives its own up a moment after it told of the end.
                while Self.openCount() > before { await Task.yield() }
            }
        }
    }

    private enum Ending { case byClosing, byTermination, whileBusy, beforeStart, unconnected }

    /// A session from its start to its end.
    private static func live(_ url: String, ending: Ending) async {
        do {
            switch ending {
            case .byClosing:
                var live = try await LiveSession.open(url)
                _ = try await live.run("select 1").get()
                try await live.close()
            case .byTermination:
                var live = try await LiveSession.open(url)
                _ = await live.run("select pg_terminate_backend(pg_backend_pid())")
                _ = try await live.ended()
            case .whileBusy:
                var live = try await LiveSession.open(url)
                // Not for long: the server notices only when it is done that nobody is there.
                for await _ in live.submit([.init("select 1"), .init("select pg_sleep(0.3)")]) { live.session.close() }
                _ = try await live.ended()
            case .beforeStart:
                var live = try LiveSession(SessionOptions(connectionString: url), after: .seconds(3600))
                try await live.close()
            case .unconnected:
                var live = try LiveSession(SessionOptions(connectionString: "host=/nowhere dbname=d"))
                _ = try await live.ended()
            }
        } catch {
            fatalError("\(ending): \(error)")
        }
    }

    private static func openCount() -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/dev/fd").count) ?? 0
    }
}
