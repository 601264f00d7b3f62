import ChildProcesses
import Testing

@Suite("A command", .timeLimit(.minutes(2)))
struct CommandTests {
    @Test("gives what it wrote, to either stream, and how it ended")
    func output() async throws {
        let shell = Command(
            executable: "/bin/sh",
            arguments: ["-c", "echo one; echo two >&2; echo; exit 3"],
            environment: [:]
        )
        let outcome = try #require(await shell.run())
        #expect(outcome.status == 3)
        #expect(outcome.output == "one\ntwo\n")
    }

    @Test("that a signal ends has not succeeded")
    func signal() async {
        let shell = Command(executable: "/bin/sh", arguments: ["-c", "kill -TERM $$"], environment: [:])
        #expect(await shell.run()?.status != 0)
    }

    @Test("is done though its task is cancelled")
    func cancelled() async {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return await Command(executable: "/bin/sleep", arguments: ["0.1"], environment: [:]).run()?.status
        }
        #expect(await task.value == 0)
    }

    @Test("that cannot be started gives nothing")
    func missing() async {
        #expect(await Command(executable: "/nonexistent/program", environment: [:]).run() == nil)
    }
}
