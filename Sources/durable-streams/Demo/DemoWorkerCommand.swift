import ArgumentParser
import Foundation
import PostgresStreams
import TisynStreams

/// The demo's worker: the process that gets killed, and the one that takes over. Hidden: only `demo` starts it.
struct DemoWorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo-worker",
        abstract: "Runs the demo's workflow; started by `demo`.",
        shouldDisplay: false
    )

    @OptionGroup var connection: ConnectionOptions

    @Argument(transform: StreamArgument.name) var stream: StreamName

    @Option var run: Int

    @Option var ledger: String

    func run() async throws {
        // When the demo is killed, its server goes with it: without this the worker would look for it for half a minute.
        Task {
            await Output.standard.readerGone()
            _exit(ExitStatus.outputFailed.rawValue)
        }
        try await withJournal(connection.configuration) { journal in
            let claim = try await journal.stream(stream).claim()
            let execution = Coroutine.Execution(
                stream: claim.stream,
                index: claim.stream.replayIndex(),
                ledger: EffectLedger(path: ledger),
                run: run
            )
            try await execution.report(.claimed(epoch: claim.epoch, position: claim.position))
            do {
                try await OrderWorkflow.run(in: execution)
            } catch let divergence as Divergence {
                throw ToolError(.checkFailed, divergence.description)
            }
        }
    }
}
