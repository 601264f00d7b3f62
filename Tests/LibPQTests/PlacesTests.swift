import Testing

@testable import LibPQ

@Suite("Places to connect to")
struct PlacesTests {
    private func places(_ text: String) throws -> Places { Places(try ConnectionString.parse(text).get()) }

    /// What is left for libpq, once these did not answer.
    private func keywords(_ text: String, without silent: [Places.Place], _ addresses: [String] = []) throws -> [String]
    {
        var places = try places(text)
        for place in silent { places.strike(place) { _ in addresses } }
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
    }

    @Test("one that is not known takes the first with it, so that they come to an end")
    func unknown() throws {
        var places = try places("host=a,b")
        for _ in 0..<2 { places.strike(place("z")) { _ in ["1.1.1.1"] } }
        #expect(places.all.isEmpty)
    }

    @Test("of a name with several addresses only the one that did not answer is left out")
    func addresses() throws {
        let all = ["10.0.0.1", "10.0.0.2", "::3"]
        #expect(
            try keywords("host=a,b", without: [place("a", "10.0.0.1")], all)
                == ["host=a,a,b", "hostaddr=10.0.0.2,::3,", "port=5432,5432,5432"]
        )
        #expect(
            try keywords("host=a", without: [place("a", "10.0.0.1"), place("a", "::3")], all)
                == ["host=a", "hostaddr=10.0.0.2", "port=5432"]
        )
        // libpq does not say which it was.
        #expect(try keywords("host=a,b", without: [place("a")], all) == ["host=b", "port=5432"])
    }

    @Test("a name's addresses are looked up, those of a socket or an address are not")
    func lookUp() {
        #expect(Places.addresses(of: "localhost").contains { $0 == "127.0.0.1" || $0 == "::1" })
        #expect(Places.addresses(of: "127.0.0.1") == ["127.0.0.1"])
        #expect(Places.addresses(of: "/run").isEmpty)
        #expect(Places.addresses(of: "nobody.invalid").isEmpty)
    }
}
