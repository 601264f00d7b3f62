import ArgumentParser

/// How long and how often each row of a benchmark is measured.
struct BenchmarkTiming: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How long each round of each row is measured.", valueName: "seconds")
    )
    var seconds = 2.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How often each row is measured; medians count.", valueName: "n")
    )
    var rounds = 5

    func validate() throws {
        guard seconds > 0, seconds <= 3600, (1...100).contains(rounds) else {
            throw ValidationError("--seconds takes more than 0 and at most 3,600, --rounds 1 to 100")
        }
    }
}
