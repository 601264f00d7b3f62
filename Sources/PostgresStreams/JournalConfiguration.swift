import Logging

/// Where a journal lives and how it behaves there. Everything about the connection itself belongs into the connection
/// string, which libpq reads as it is.
///
/// `Journal.open` refuses what is out of its range. Durations are more than zero and at most 366 days where nothing else is
/// said.
public struct JournalConfiguration: Sendable {
    /// A URI (`postgresql://…`) or key=value string, exactly as libpq takes it: several hosts, TLS options, service and
    /// password files included. Empty: libpq's own variables (`PGHOST`, `PGUSER` …) and defaults.
    public var databaseURL: String

    /// A way round a pooler for the one connection that listens; nil: the same as `databaseURL`.
    public var listenURL: String?

    /// Gives the password for each connection that is made, in place of the connection string's: for tokens that are good for
    /// minutes and are looked at only when a connection is made, as clouds have them for their databases. Nil: the connection
    /// string, the password file and the environment have it, as libpq reads them, the file anew for each connection.
    ///
    /// It is asked for each attempt, whatever becomes of it, and for several connections at the same time. It must not block
    /// its thread, and should end when its task is cancelled: after 10 s or, where that is longer, `connect_timeout`, and where
    /// the connection is not needed any more. Where it throws, gives an empty text or one with a NUL, or the server refuses
    /// what it gave, it is asked again, later each time, until the deadline of whoever waits; a tail waits for ever. What it
    /// throws is in their error and in the log.
    ///
    /// A server can read the token: `sslmode=verify-full` sees to it that it is the right one.
    public var passwordProvider: PasswordProvider?

    public typealias PasswordProvider = @Sendable (LogIn) async throws -> String

    /// The schema that holds the journal, 1 to 63 bytes.
    public var schema = "durable_streams"

    /// How many connections append, at most; 1 to 1,024.
    ///
    /// What waits goes together in one commit, and two commits are under way on a connection, so that one keeps a server
    /// busy; where the way there takes longer than a commit, up to eight, so that nobody waits for a server that has nothing
    /// to do. Another connection is made when more streams wait than one transaction takes, or when the first does not
    /// answer. Where commits are slow, one at a time is under way on a connection, and it is tried whether more get through
    /// over several. Behind a pooler too it is one, and where the way is long as many connections are used as there would be
    /// commits on one: there, more than two may mean shorter waits.
    public var writerConnections = 2

    /// How many connections read; 1 to 1,024. Behind a pooler each has one request under way: where that is far away, more of
    /// them get more through.
    public var readerConnections = 1

    /// How many of the caller's transactions run at the same time, each on a connection of its own; 1 to 1,024.
    /// Who finds none free waits, for `appendDeadline` at most.
    public var transactionConnections = 4

    /// How long `Journal.open` tries to get a connection; so do `Migrator` and `Doctor`. With `migrate: true` it is also how
    /// long each answer of the server may take, but for the files, which have ten minutes each; another process's migration
    /// is waited for as long as it takes.
    public var openTimeout: Duration = .seconds(25)

    /// How long an append is tried, over lost connections and all, before it fails with the outcome it then has.
    public var appendDeadline: Duration = .seconds(30)

    /// How long a connection's thread stays awake for an answer that is about to come; zero, where it always sleeps, to a
    /// second.
    ///
    /// A thread that sleeps is woken late. So after an answer to at most four callers of `append` it stays awake instead,
    /// until their next append is answered or this time is over; and so does the one that listens, when it has asked for what
    /// it has heard of. What that wins: a writer near its server that awaits each append waits up to a quarter less, a tail
    /// some 20 µs. What it costs: a processor, for as long as such a writer goes on, or until the tail has its events.
    ///
    /// It stops by itself for some time where other work wants the processor, or a limit on the process's use of it bites.
    /// Where the answers mostly come later than this, it is tried for one in 64 only.
    public var busyWait: Duration = .microseconds(500)

    /// How long a read or a claim is tried before it fails. Tails do not give up.
    public var readDeadline: Duration = .seconds(30)

    /// The most that one transaction carries, in bytes of events, 1 to 512 MiB; a single larger append goes alone. What is
    /// queued beyond it waits without being copied.
    public var maximumSegmentBytes = 4 << 20

    /// The most that queued and sent appends hold together, in bytes of events with about 100 for each, 1 or more; a single
    /// larger append goes alone. Further calls of `append` wait for room, in the order they came, as long as others get through.
    /// While none do, they fail with `notWritten` after one to two times `appendDeadline`.
    public var maximumQueuedBytes = 256 << 20

    /// How much of a stream is asked for at once, in events, 1 to 1,000,000. A tail that catches up over small ones asks for
    /// four times as much.
    public var pageSize = 1000

    /// How much of the events of each stream that is being replayed is kept in memory, in bytes, 0 or more, with what has been
    /// parsed of them. What was dropped is read again when it is asked for. What is in use stays, even where it is more: a page
    /// has up to 4 MiB, or one event.
    public var replayCacheBytes = 32 << 20

    /// What a commit waits for: the server's `synchronous_commit` for our transactions, whatever its defaults say.
    public var durability = Durability.on

    /// How tails are told of new events.
    public var listening = ListeningOptions()

    /// What is logged: at `warning` trouble that we get over, at `info` that a connection is lost and made again and that tails
    /// cannot listen or can again, at `debug` first connections, repeated attempts, and that tails begin and end.
    public var logger = Logger(label: "durable-streams")

    /// What the server lists this journal's connections under, whatever the connection string says; nil: what that says, or
    /// `durable-streams`. For those who must tell their own connections from all others.
    package var applicationName: String?

    public init(databaseURL: String = "", listenURL: String? = nil) {
        self.databaseURL = databaseURL
        self.listenURL = listenURL
    }

    /// PostgreSQL's levels of `synchronous_commit`.
    public enum Durability: String, Sendable, CaseIterable {
        /// Flushed here, and by the synchronous standbys where the server has some.
        case on
        /// Flushed, and visible on the synchronous standbys.
        case remoteApply = "remote_apply"
        /// Flushed here, written by the synchronous standbys.
        case remoteWrite = "remote_write"
        /// Flushed here; a failover to a standby may lose it.
        case local
        /// Not flushed: a crash of the server may lose what was acknowledged. For tests, never for a journal one needs.
        case off
    }
}
