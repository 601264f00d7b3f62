/// How much of what a run does, and for how long.
package struct StressPlan: Sendable {
    /// How long writers write and disruptions go on. Settling afterwards comes on top.
    package var duration = Duration.seconds(60)
    package var writers = 16
    package var tails = 8
    package var streams = 8
    /// Appends a second, all writers together; more than the server can do means as many as it can.
    package var rate = 1000
    package var seed: UInt64 = .random(in: .min ... .max)
    /// How long to wait at the end for the server to be well again, and for the tails to arrive.
    package var settling = Duration.seconds(120)

    /// The disruptor's failover is to a standby that may be behind: acknowledged events at the ends of streams may be lost.
    package var mayLoseEnds = false

    package init() {}

    /// The streams that several writers take from each other by claims: every fourth, and the
    /// only one.
    func isContested(_ stream: Int) -> Bool { stream.isMultiple(of: 4) }

    static let prefix = "stress/"

    static func name(_ stream: Int) -> String { "\(prefix)\(stream)" }

    static func number(of name: String) -> Int? { Int(name.dropFirst(prefix.count)) }
}
