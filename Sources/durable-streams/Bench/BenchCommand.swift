import ArgumentParser

/// `bench`: how fast the journal is here, beside what the server can do at all.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure the journal beside bare libpq on the same server.",
        discussion: """
            Each figure of ours stands beside a floor measured in the same run: what a C program does over libpq \
            with the same table. Machines are noisy and servers differ, so look at the ratios, and at several runs.
            """,
        subcommands: [
            AppendBenchmarkCommand.self, AppendBenchmarkWriterCommand.self, TailBenchmarkCommand.self,
            TailBenchmarkReaderCommand.self, TailReaderFloorCommand.self, ListenerFloorCommand.self,
            ReplayBenchmarkCommand.self, MemoryBenchmarkCommand.self, RelayCommand.self,
        ]
    )
}
