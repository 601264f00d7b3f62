import ArgumentParser

/// The root of the command line: what all subcommands have in common is said here, what each does in its own file.
struct DurableStreamsTool: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "durable-streams",
        abstract: "A durable event journal on PostgreSQL: append, read, tail and replay streams of Tisyn events.",
        discussion: """
            Try it, with a PostgreSQL server of its own that is gone afterwards:

              durable-streams demo

            Use it:

              export DATABASE_URL=postgresql://durable:durable@localhost:5432/durable
              durable-streams migrate
              durable-streams append orders/17 < events.ndjson
              durable-streams tail orders/17 --until-close

            The connection comes from --database-url, else from DATABASE_URL, else from libpq's own variables (PGHOST, \
            PGUSER, PGSERVICE …) and files.

            Data goes to stdout, everything else to stderr. Both stdin and stdout are UTF-8.

            EXIT CODES
              0    done; also when the reader of our output has had enough (of append's answers: 74)
              64   usage: an argument that cannot be
              65   bad input, the message names the line; migrate --check: behind; verify: a fault; tail, append: the server \
            lost events that it had
              69   no server, or not a fit one: the message says what was tried
              70   demo, stress, bench memory: a check did not hold
              74   stdout cannot be written
              75   conflict, or fenced by another writer's claim
              130  interrupted (SIGINT, SIGTERM)
            """,
        subcommands: [
            MigrateCommand.self, AppendCommand.self, ClaimCommand.self, ReadCommand.self, TailCommand.self,
            ReplayCommand.self, ListCommand.self, VerifyCommand.self, DoctorCommand.self, StressCommand.self,
            BenchCommand.self,
            DemoCommand.self,
            DemoWorkerCommand.self,
        ]
    )
}
