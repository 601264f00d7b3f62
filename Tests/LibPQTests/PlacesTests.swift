import Testing

@testable import LibPQ

@Suite("Places to connect to")
struct PlacesTests {
    private func places(_ text: String) throws -> Places { try Places(try ConnectionString.parse(text).get()) }

    /// What is left for libpq, once these did not answer.
    private func keywords(
        _ text: String,
        _ addresses: [String: [String]] = [:],
        without silent: [Places.Place] = []
    ) throws -> [String] {
        var places = try places(text)
        if !addresses.isEmpty { places.resolve(addresses) }
        for place in silent { places.strike(place) }
        return places.keywords.map { "\($0)=\($1)" }
    }

    private func place(_ host: String, _ address: String = "", _ port: String = "5432") -> Places.Place {
        Places.Place(host: host, address: address, port: port)
    }

    @Test("while all are left the connection string is left as it is")
    func complete() throws {
        for text in ["", "host=a", "host=a,b port=1,2", "hostaddr=127.0.0.1"] {
            let all = try places(text)
            #expect(all.keywords.isEmpty)
            #expect(all.all.count == (text.contains(",") ? 2 : 1))
        }
    }

    @Test("the one that did not answer is left out, wherever it stands")
    func struck() throws {
        let three = "host=a,b,c port=1,2,3"
        #expect(try keywords(three, without: [place("a", "", "1")]) == ["host=b,c", "port=2,3"])
        #expect(try keywords(three, without: [place("b", "", "2")]) == ["host=a,c", "port=1,3"])
        #expect(try keywords(three, without: [place("c", "", "3"), place("a", "", "1")]) == ["host=b", "port=2"])
        #expect(
            try keywords("host=a,a port=1,2", without: [place("a", "", "2")]) == ["host=a", "port=1"]
        )
        #expect(
            try keywords("host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1", without: [place("a", "127.0.0.1", "1")])
                == ["host=b", "hostaddr=127.0.0.2", "port=1"]
        )
        #expect(
            try keywords("hostaddr=127.0.0.1,127.0.0.2", without: [place("127.0.0.2", "127.0.0.2")])
                == ["hostaddr=127.0.0.1", "port=5432"]
        )
        // libpq names an address without its zone.
        #expect(
            try keywords("hostaddr=10.0.0.1,fe80::7%eth0", without: [place("fe80::7%eth0", "fe80::7")])
                == ["hostaddr=10.0.0.1", "port=5432"]
        )
    }

    @Test("what is left takes the place of what the connection string has, also where it is a default")
    func defaults() throws {
        #expect(
            try keywords("postgresql://a,b:7/d", ["a": ["10.0.0.1"]]) == ["host=a", "hostaddr=10.0.0.1", "port=5432"]
        )
        #expect(try keywords("host=a, port=1,2", ["a": []]) == ["host=,", "port=2,2"])
        #expect(
            try keywords("host=,a hostaddr=10.0.0.1,", ["a": []])
                == ["host=,", "hostaddr=10.0.0.1,10.0.0.1", "port=5432,5432"]
        )
    }

    @Test(
        "lists that do not belong together are refused",
        arguments: [
            "host=a port=1,2", "host=a,b,c port=1,2", "host=a,b hostaddr=10.0.0.1", "hostaddr=10.0.0.1 port=1,2",
        ]
    )
    func mismatch(text: String) throws {
        #expect(throws: ConnectionFailure.self) { try places(text) }
    }

    @Test("the time is shared by hosts, not by their addresses")
    func hostCount() throws {
        var all = try places("host=a,/run,b,gone")
        #expect(all.hostCount == 4)
        all.resolve(["a": ["10.0.0.1", "10.0.0.2"], "b": ["10.0.0.3"], "gone": []])
        #expect(all.hostCount == 3)
        #expect(all.all.count == 4)
    }

    @Test("one that is not known takes the first with it, so that they come to an end")
    func unknown() throws {
        var places = try places("host=a,b")
        for _ in 0..<2 { places.strike(place("z")) }
        #expect(places.all.isEmpty)
    }

    @Test("only names are looked up, each once")
    func names() throws {
        let names = try places("host=a,/run,127.0.0.1,a,::1,b,c hostaddr=,,,,,,10.0.0.9").names
        #expect(names == ["a", "b"])
        #expect(try places("").names.isEmpty)
        #expect(try places("hostaddr=10.0.0.1,10.0.0.2").names.isEmpty)
    }

    @Test("each address of a name is a place of its own, where the name stood; a name without is none")
    func addresses() throws {
        let all = ["a": ["10.0.0.1", "10.0.0.2", "::3"], "b": []]
        #expect(
            try keywords("host=a,/run,b,::1 port=1,2,3,4", all)
                == ["host=a,a,a,/run,::1", "hostaddr=10.0.0.1,10.0.0.2,::3,,", "port=1,1,1,2,4"]
        )
        #expect(
            try keywords("host=a,c hostaddr=,10.9.9.9", all, without: [place("a", "10.0.0.2")])
                == ["host=a,a,c", "hostaddr=10.0.0.1,::3,10.9.9.9", "port=5432,5432,5432"]
        )
        #expect(
            try keywords("host=a", all, without: [place("a", "10.0.0.1"), place("a", "::3")])
                == ["host=a", "hostaddr=10.0.0.2", "port=5432"]
        )
        var none = try places("host=b,d")
        none.resolve(all)
        #expect(none.all.isEmpty)
    }
}
