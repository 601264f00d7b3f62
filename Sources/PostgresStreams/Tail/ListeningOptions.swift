/// How tails are told of new events, and how the listener proves that it hears. Durations are more than zero and at most 366
/// days.
public struct ListeningOptions: Sendable {
    /// False: tails poll.
    public var isEnabled = true

    /// How often the listener is probed: a NOTIFY is sent from another connection and must arrive.
    public var probeInterval: Duration = .seconds(15)

    /// How long a probe may take, once the server has taken it, before the listener counts as deaf.
    public var probeTimeout: Duration = .seconds(5)

    /// How often, while listening, all tailed streams are looked at although no hint came: one query for all of them.
    public var checkInterval: Duration = .seconds(10)

    /// How often they are looked at while nothing tells us and events flow.
    ///
    /// After 10 s without one the looks become rarer, up to `slowPollInterval`: an event then waits for a twentieth of the
    /// silence before it.
    public var pollInterval: Duration = .milliseconds(150)

    /// How rare the looks become at most.
    public var slowPollInterval: Duration = .seconds(2)

    /// For a serverless server that sleeps when it is not asked anything, and costs when it is: after so long without an
    /// event the tails neither probe nor look nor reconnect but every `quietInterval`. A notification still wakes them
    /// where the connection has survived. Nil: never.
    public var idleAfter: Duration?

    /// How late an event may be found whose notification a sleeping server did not deliver.
    public var quietInterval: Duration = .seconds(600)

    public init() {}
}
