import ChildProcesses
import Foundation
import PostgresStreams
import TisynStreams

/// One run of the demo: a tail, a worker, its death, its successor, the audit.
struct Demo: Sendable {
    let journal: Journal
    let stream: PostgresStream
    let ledger: EffectLedger
    let paper: DemoPaper

    private var configuration: JournalConfiguration { journal.configuration }

    /// - Throws: `ToolError` with `checkFailed` when something did not hold.
    func run() async throws {
        let tail = try await start(["tail", "--until-close", "--verbose"], readsMessages: true)
        defer { tail.kill() }
        // Else the first times would be those of its start.
        try await waitUntilFollowing(tail)
        let board = DemoBoard(paper: paper)
        let following = Task {
            while let lines = try await tail.lines.next() {
                for line in lines { try await board.tailed(TailedLine(line)) }
            }
        }
        try await paper.line()
        let first = try await work(1, on: board, dyingIn: OrderWorkflow.fatalEffect)
        guard first == .killed(signal: SIGKILL) else {
            throw ToolError(.checkFailed, "the first worker ended by itself: \(first)")
        }
        try await board.workerEnded()
        try await paper.line("Worker 1 is killed with SIGKILL while it runs \(OrderWorkflow.fatalEffect).", .red)
        try await paper.line()
        let second = try await work(2, on: board)
        guard second == .exited(0) else { throw ToolError(.checkFailed, "the second worker failed: \(second)") }
        try await following.value
        guard await tail.end == .exited(0) else { throw ToolError(.checkFailed, "the tail failed") }
        try await board.workerEnded()
        try await judge(await board.story)
    }

    private func start(_ arguments: [String], readsMessages: Bool = false) async throws -> ToolChildProcess {
        try await ToolChildProcess(
            arguments + ["--schema", configuration.schema, "--", stream.name.text],
            databaseURL: configuration.databaseURL,
            readsMessages: readsMessages
        )
    }

    /// Returns when the tail says that it hears of new events, or that it does not and looks for them.
    private func waitUntilFollowing(_ tail: ToolChildProcess) async throws {
        while let messages = try await tail.messages?.next() {
            for message in messages {
                if message.contains(" tail: ") { return }
                if !message.contains(": info: ") { StandardError.writeLine(message) }
            }
        }
        throw ToolError(.checkFailed, "the tail ended before it began")
    }

    /// Runs a worker to its end, or until an effect begins in which it is to die.
    private func work(_ number: Int, on board: DemoBoard, dyingIn fatal: String? = nil) async throws -> ChildProcess.End
    {
        let worker = try await start(["demo-worker", "--run", "\(number)", "--ledger", ledger.path])
        defer { worker.kill() }
        while let lines = try await worker.lines.next() {
            for line in lines {
                let report = try WorkerReport(line)
                try await board.reported(report, by: number, processID: worker.processID)
                guard case .started(_, let effect) = report, effect == fatal else { continue }
                // In its middle, when all that was recorded before has been seen.
                try await Task.sleep(for: .milliseconds(100))
                worker.kill()
            }
        }
        return await worker.end
    }

    private func judge(_ story: DemoBoard.Story) async throws {
        let audit = DemoAudit(
            events: try await stream.readAll(),
            tailed: story.tailed,
            ledger: try ledger.entries(),
            takeover: story.takeover,
            replayedCount: story.replayedCount
        )
        try await paper.line()
        try await paper.line("What happened", .strong)
        let count = OrderWorkflow.effectCount
        try await paper.line(
            "  Of \(count) effects worker 2 replayed \(audit.replayedCount) from the journal and ran \(audit.liveCount) live."
        )
        let twice = audit.ranTwice
        try await paper.line(
            "  \(twice.count) of these had begun when worker 1 died, with no event yet, and so ran again: "
                + twice.joined(separator: ", ") + "."
        )
        let lags = story.lags.sorted()
        if let longest = lags.last {
            try await paper.line(
                "  From a commit's acknowledgement to the tail's line: p50 "
                    + "\(DemoPaper.milliseconds(lags[lags.count / 2])), max \(DemoPaper.milliseconds(longest)), "
                    + "over \(lags.count) events."
            )
            try await paper.line("  (Below zero: the line was here before the worker had its answer.)", .faint)
        }
        try await paper.line()
        try await paper.line("Checks", .strong)
        let checks = audit.checks
        for check in checks {
            try await paper.line(
                (check.holds ? "  ok    " : "  FAIL  ") + check.text,
                check.holds ? .green : .red
            )
        }
        try await paper.line()
        guard checks.allSatisfy(\.holds) else { throw ToolError(.checkFailed, "a check of the demo did not hold") }
    }
}
