import Foundation
import PostgresStreams
import Testing
import TisynStreams

/// What goes into the caller's own SQL, and what comes out.
@Suite("Transactions of the caller: values", .serialized, .timeLimit(.minutes(10)))
struct TransactionValueTests {
    @Test("variables of every kind go in as parameters, nil among them")
    func variables() async throws {
        let name = "O'Brien"
        let prefix = name.prefix(2)
        let (small, large, unsigned) = (Int8(-8), Int64.min, UInt64.max)
        let (count, ratio, isSet) = (4200, 0.25, true)
        let (noName, noCount, noRatio, noFlag, noBytes): (String?, Int?, Double?, Bool?, [UInt8]?) =
            (nil, nil, nil, nil, nil)
        let bytes: [UInt8] = [0, 255]
        try await withTestJournal { journal in
            try await journal.transaction { tx in
                let row = try await tx.query(
                    """
                    select $1::text, $2::text, $3::smallint, $4::bigint, $5::numeric, $6::int, $7::float8, $8::bool,
                        $9::bytea, $10::text, $11::int, $12::float8, $13::bool, $14::bytea
                    """,
                    [
                        SQLValue(name), SQLValue(prefix), SQLValue(small), SQLValue(large), SQLValue(unsigned),
                        SQLValue(count), SQLValue(ratio), SQLValue(isSet), SQLValue(bytes), SQLValue(noName),
                        SQLValue(noCount), SQLValue(noRatio), SQLValue(noFlag), SQLValue(noBytes),
                    ]
                ).first
                #expect(row?[0].text == name)
                #expect(row?[1].text == "O'")
                #expect(row?[2].int == -8)
                #expect(row?[3].int == Int(large))
                #expect(row?[4].text == "18446744073709551615")
                #expect(row?[5].int == count)
                #expect(row?[6].double == ratio)
                #expect(row?[7].bool == true)
                #expect(row?[8].bytes == bytes)
                for column in 9..<14 { #expect(row?[column].isNull == true) }
            }
        }
    }

    @Test("a number that its column has no room for is refused by the server")
    func noRoom() async throws {
        try await withTestJournal { journal in
            let error = await thrown {
                try await journal.transaction { try await $0.query("select $1::bigint", SQLValue(UInt64.max)) }
            }
            #expect(error?.sqlState == "22003")
        }
    }

    @Test("results nobody wants need not be named, also where a closure is a single expression")
    func discarded() async throws {
        try await withTestDatabase { url in
            try await withJournal(.quiet(url)) { journal in
                try await journal.transaction { tx in try await tx.query("select 1") }
                let stream = try journal.stream("s")
                try await journal.transaction { try await $0.append(.close(.root, .cancelled), to: stream) }
            }
            try await withJournal(.quiet(url)) { journal in
                try await journal.transaction { tx in try await tx.query("select 1") }
            }
        }
    }

    @Test("a row or column that is not there is the caller's mistake, and no null", arguments: [0, 1, 2])
    func noRow(_ what: Int) async throws {
        try await withTestDatabase { url in
            let result = await #expect(
                processExitsWith: .failure,
                observing: [\.standardErrorContent]
            ) { [url = url as String, what = what as Int] in
                do {
                    try await withJournal(.quiet(url)) { journal in
                        try await journal.transaction { tx in
                            switch what {
                            case 0: _ = try await tx.query("select 1 where false")[0]
                            case 1: _ = try await tx.query("select 1")[-1]
                            default: _ = try await tx.query("select 1")[0][1]
                            }
                        }
                    }
                } catch {}
                exit(0)
            }
            let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
            #expect(said.isEmpty || said.contains(what == 2 ? "there is no column" : "there is no row"), "\(said)")
        }
    }

    @Test("what stands in for a journal's answers can be made")
    func standIns() throws {
        let name = try StreamName("s")
        let recorded = RecordedEvent(
            stream: name,
            position: 3,
            recordedAt: Date(timeIntervalSince1970: 0),
            event: .close(.root, .cancelled)
        )
        #expect(recorded.position == 3)
        let summary = StreamSummary(name: name, eventCount: 4, lastActivity: recorded.recordedAt, epoch: 2, status: .ok)
        #expect(summary.status == .ok)
    }
}
