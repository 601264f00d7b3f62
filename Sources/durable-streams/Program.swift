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
        reserveStandardDescriptors()
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
            // Usage errors: 64.
            guard DurableStreamsTool.exitCode(for: error).isSuccess else { DurableStreamsTool.exit(withError: error) }
            await help(DurableStreamsTool.fullMessage(for: error))
        }
    }

    /// Help that was asked for is data, as what else goes to stdout.
    private static func help(_ text: String) async {
        do {
            try await Output.standard.write(Array("\(text)\n".utf8))
            try await Output.standard.finish()
        } catch let error as OutputError where error.isReaderGone {
        } catch {
            StandardError.say("\(error)")
            exit(ExitStatus.outputFailed.rawValue)
        }
    }

    /// Where one of these is closed, the next thing opened would take its number, and our lines. What takes it instead cannot
    /// be read, or not be written: who would find an empty input or write into nothing is told.
    private static func reserveStandardDescriptors() {
        for (descriptor, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", mode)
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
