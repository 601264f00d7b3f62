import ArgumentParser
import Foundation
import PostgresStreams
import PrivatePostgres
import TisynStreams

/// Where the process begins and ends: parses the arguments, runs the subcommand, turns what it threw into an exit code.
@main
enum Program {
    static func main() async {
        // Whoever reads our output may go away; that is an error of `write` to us, not a reason to be killed.
        signal(SIGPIPE, SIG_IGN)
        // Where one of these is closed, the next thing opened would take its number, and our lines.
        for descriptor in 0...2 where fcntl(Int32(descriptor), F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
        do {
            try refuseInvalidArguments()
            try await Interruption.run {
                var command = try DurableStreamsTool.parseAsRoot()
                guard var job = command as? any AsyncParsableCommand else { return try command.run() }
                do {
                    try await job.run()
                } catch {
                    // What was handed over is written, so that no line ends in its middle.
                    try? await Output.standard.finish()
                    throw error
                }
                try await Output.standard.finish()
            }
        } catch let error as ToolError {
            if !error.message.isEmpty { StandardError.say(error.message) }
            exit(error.status.rawValue)
        } catch let error as JournalError {
            StandardError.say(error.text)
            exit(ExitStatus(error).rawValue)
        } catch let error as OutputError {
            // `read … | head` is no failure of anybody's.
            if error.isReaderGone { return }
            StandardError.say("\(error)")
            exit(ExitStatus.outputFailed.rawValue)
        } catch let error as PrivatePostgresError {
            // With the end of a log.
            for line in "\(error)".split(separator: "\n") { StandardError.say(String(line)) }
            exit(ExitStatus.unavailable.rawValue)
        } catch let error as BenchmarkError {
            StandardError.say("bench: \(error)")
            exit(ExitStatus.unavailable.rawValue)
        } catch let error as EventError {
            StandardError.say("the journal holds what is no event (\(error)); another program wrote it")
            exit(ExitStatus.badInput.rawValue)
        } catch {
            // Help that was asked for, and usage errors: 64.
            DurableStreamsTool.exit(withError: error)
        }
    }

    /// Swift repairs arguments that are not UTF-8, so that one would write to a stream of another name than was meant.
    private static func refuseInvalidArguments() throws {
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let argument = CommandLine.unsafeArgv[index] else { continue }
            guard String(validatingCString: argument) != nil else {
                throw ToolError(.usage, "argument \(index) is not valid UTF-8")
            }
        }
    }
}
