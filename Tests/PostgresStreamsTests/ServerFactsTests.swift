import Testing

@testable import PostgresStreams

/// What the doctor makes of facts that no server of a test has.
@Suite("What a server's facts mean")
struct ServerFactsTests {
    @Test("Neon's servers keep nothing themselves, which is well as long as commits wait for its safekeepers")
    func neon() throws {
        var facts = try facts(["fsync": "off", "synchronous_standby_names": "walproposer"])
        #expect(facts.fsyncFinding.verdict == .problem)
        #expect(facts.standbyFinding(.on)?.verdict == .problem)
        facts.settings["neon.timeline_id"] = .init(value: "de200bd42b49cc18", source: "configuration file")
        #expect(facts.fsyncFinding.verdict == .ok)
        for durability in [JournalConfiguration.Durability.on, .remoteApply, .remoteWrite] {
            #expect(facts.standbyFinding(durability)?.verdict == .ok)
        }
        for durability in [JournalConfiguration.Durability.local, .off] {
            #expect(facts.standbyFinding(durability)?.verdict == .problem)
        }
        facts.settings["synchronous_standby_names"] = .init(value: "other", source: "configuration file")
        #expect(facts.standbyFinding(.on)?.verdict == .problem)
    }

    @Test(
        "what it advises reaches the setting where that was made",
        arguments: [
            ("user", #"alter role "a""b" set fsync = on"#), ("client", "PGOPTIONS"), ("command line", "command line"),
            ("configuration file", "alter system set fsync = on"), ("default", "alter system set fsync = on"),
        ]
    )
    func remedies(_ source: String, _ advice: String) throws {
        var facts = try facts([:])
        facts.role = #"a"b"#
        facts.settings["fsync"] = .init(value: "off", source: source)
        #expect(facts.fsyncFinding.advice?.contains(advice) == true, "\(facts.fsyncFinding)")
    }

    private func facts(_ settings: [String: String]) throws -> ServerFacts {
        var facts = ServerFacts(schema: try SchemaName("durable_streams"))
        facts.settings = settings.mapValues { .init(value: $0, source: "configuration file") }
        facts.standbys = .init()
        return facts
    }
}
