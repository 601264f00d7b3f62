import Testing

@testable import LibPQ

@Suite("Query results", .timeLimit(.minutes(10)))
struct QueryResultTests {
    /// The only row of a query's result.
    private func row(
        _ sql: String,
        types: [ParameterType] = [],
        _ build: (inout Parameters) -> Void = { _ in }
    ) async throws -> QueryResult {
        var live = try await LiveSession.open(try await SessionServer.shared.server().url)
        let outcome = await live.run([.init(sql, types: types, build)])
        try await live.close()
        // The result outlives its session.
        return try #require(try outcome.get().last)
    }

    @Test("integers of all sizes are read; other types are none")
    func integers() async throws {
        let result = try await row("select -2::int2, -3::int4, -4::int8, 'abc'::text, null::int8")
        #expect((0..<5).map { result.integer(row: 0, column: $0) } == [-2, -3, -4, nil, nil])
        #expect((0..<5).map { result.isNull(row: 0, column: $0) } == [false, false, false, false, true])
        #expect(result.columnCount == 5)
    }

    @Test("what is out of range is a null, though the session is gone")
    func outOfRange() async throws {
        let result = try await row("select 1")
        for (row, column) in [(1, 0), (0, 1), (-1, 0), (0, -1), (Int.max, 0), (0, Int.max)] {
            #expect(result.isNull(row: row, column: column))
            #expect(result.integer(row: row, column: column) == nil)
            #expect(result.byteCount(row: row, column: column) == 0)
            #expect(result.text(row: row, column: column).isEmpty)
            #expect(result.array(row: row, column: column).isEmpty)
        }
        for column in [1, -1, Int.max] { #expect(result.columnName(column).isEmpty) }
    }

    @Test("text, truth, doubles, times and uuids are read")
    func scalars() async throws {
        let result = try await row(
            """
            select 'aé😀'::text, ''::text, null::text, true, false, 1.5::float8,
                '2000-01-01 00:00:01.000001+00'::timestamptz, '00000000-0000-0001-ffff-ffffffffffff'::uuid
            """
        )
        #expect(result.text(row: 0, column: 0) == "aé😀")
        #expect((0..<3).map { result.optionalText(row: 0, column: $0) } == ["aé😀", "", nil])
        #expect(result.bytes(row: 0, column: 2).isEmpty)
        #expect(result.bool(row: 0, column: 3))
        #expect(!result.bool(row: 0, column: 4))
        #expect(result.double(row: 0, column: 5) == 1.5)
        #expect(result.double(row: 0, column: 0) == nil)
        #expect(result.timestamp(row: 0, column: 6) == 1_000_001)
        #expect(result.uuid(row: 0, column: 7) == Token(high: 1, low: 0xFFFF_FFFF_FFFF_FFFF))
        #expect(result.uuid(row: 0, column: 0) == nil)
    }

    @Test("a json value is the text that was stored, byte for byte")
    func json() async throws {
        let text = #" {"b":1e400,"a":"\u0000\ud800", "a":-0} "#
        let result = try await row("select $1", types: [.json]) { $0.append(text) }
        #expect(result.bytes(row: 0, column: 0).elementsEqual(text.utf8))
    }

    @Test("arrays of one dimension are read, with nulls; others are empty")
    func arrays() async throws {
        let result = try await row(
            """
            select '{a,NULL,""}'::text[], '{}'::text[], null::text[], '{{1,2},{3,4}}'::int8[], '[5:6]={7,8}'::int8[],
                'x'::text
            """
        )
        let texts = result.array(row: 0, column: 0).map { $0.map { String(decoding: $0, as: UTF8.self) } }
        #expect(texts == ["a", nil, ""])
        #expect(result.array(row: 0, column: 1).isEmpty)
        #expect(result.array(row: 0, column: 2).isEmpty)
        #expect(result.array(row: 0, column: 3).isEmpty)
        #expect(result.array(row: 0, column: 4).map { $0?.loadBigEndian(Int64.self, at: 0) } == [7, 8])
        #expect(result.array(row: 0, column: 5).isEmpty)
    }

    @Test("the server reads every kind of parameter as it was meant")
    func parameters() async throws {
        let result = try await row(
            """
            select concat_ws(' ', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, coalesce($15, 'null'))
            """,
            types: [
                .text, .int8, .bool, .uuid, .char, .textArray, .int8Array, .int8Array, .int4Array, .boolArray,
                .charArray,
                .uuidArray, .jsonArray, .textArray, .text,
            ]
        ) { parameters in
            parameters.append("é")
            parameters.append(Int.min)
            parameters.append(true)
            parameters.append(Token(high: 1, low: 2))
            parameters.append(char: UInt8(ascii: "y"))
            parameters.append(array: ["a", "", "é"])
            parameters.append(array: [1, -1])
            parameters.appendArray(.int8, count: 2, hasNull: true) { for value in [1, nil] { $0.add(value) } }
            parameters.appendArray(.int4, count: 1) { $0.add(Int32.max) }
            parameters.appendArray(.bool, count: 2) { for value in [true, false] { $0.add(value) } }
            parameters.appendArray(.char, count: 1) { $0.add(char: UInt8(ascii: "c")) }
            parameters.appendArray(.uuid, count: 1) { $0.add(Token(high: 3, low: 4)) }
            parameters.appendArray(.json, count: 2) { elements in
                for text in ["1", "{}"] { Array(text.utf8).withUnsafeBytes { elements.add(bytes: $0) } }
            }
            parameters.append(array: [] as [String])
            parameters.append(nil as String?)
        }
        #expect(
            result.text(row: 0, column: 0)
                == #"é -9223372036854775808 t 00000000-0000-0001-0000-000000000002 y {a,"",é} {1,-1} {1,NULL} "#
                + #"{2147483647} {t,f} {c} {00000000-0000-0003-0000-000000000004} {1,"{}"} {} null"#
        )
    }
}
