import PostgresStreams
import StreamStress
import TisynStreams

/// A stress run's report, to show to others: what ran, what was done to it, what came of it.
extension StressReport {
    var text: String {
        func line(_ name: String, _ value: String) -> String {
            name + String(repeating: " ", count: max(1, 42 - name.count)) + value + "\n"
        }
        var text = line("server", server)
        text += line("seed", String(plan.seed))
        text += line("duration", "\(Int(duration / .seconds(1))) s")
        text += line("writers, tails, streams", "\(plan.writers), \(plan.tails), \(plan.streams)")
        for (name, count) in counts.sorted(by: { $0.key < $1.key }) { text += line(name, String(count)) }
        if let median = latencies.quantile(0.5), let late = latencies.quantile(0.99) {
            text += line(
                "an append, p50, p99, longest",
                "\(Self.milliseconds(median)), \(Self.milliseconds(late)), \(Self.milliseconds(latencies.longest)) ms"
            )
        }
        text += line("longest time without an acknowledgement", "\(Self.milliseconds(longestSilence)) ms")
        for (name, count) in disruptions.sorted(by: { $0.key < $1.key }) { text += line(name, String(count)) }
        guard !isClean else { return text + line("promises broken", "none") }
        text += line("promises broken", String(violations.count))
        for violation in violations { text += "  \(violation)\n" }
        text += "what happened last\n" + trace.suffix(40).map { "  \($0)\n" }.joined()
        return text
    }

    var jsonLine: String {
        func object(_ counts: [String: Int]) -> String {
            let members = counts.sorted { $0.key < $1.key }.map { "\(JSONText.string(JSONString($0.key))):\($0.value)" }
            return "{" + members.joined(separator: ",") + "}"
        }
        func time(_ duration: Duration?) -> String { duration.map(Self.milliseconds) ?? "null" }
        let broken = violations.map { "\(JSONText.string(JSONString($0.description)))" }
        let members = [
            #""server":\#(JSONText.string(JSONString(server)))"#, #""seed":\#(plan.seed)"#,
            #""seconds":\#(Int(duration / .seconds(1)))"#, #""writers":\#(plan.writers)"#, #""tails":\#(plan.tails)"#,
            #""streams":\#(plan.streams)"#, #""counts":\#(object(counts))"#,
            #""milliseconds":{"p50":\#(time(latencies.quantile(0.5))),"p99":\#(time(latencies.quantile(0.99))),"#
                + #""longest":\#(time(latencies.longest)),"withoutAcknowledgement":\#(time(longestSilence))}"#,
            #""disruptions":\#(object(disruptions))"#, #""violations":[\#(broken.joined(separator: ","))]"#,
        ]
        return "{" + members.joined(separator: ",") + "}\n"
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let hundredths = (duration / .milliseconds(1) * 100).rounded() / 100
        return hundredths >= 100 ? String(Int(hundredths)) : String(hundredths)
    }
}
