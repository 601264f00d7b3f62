import Testing

@testable import LibPQ

/// The bytes are those of PostgreSQL's binary format: each type's `recv` function, and for arrays `array_recv`.
@Suite("Parameters")
struct ParametersTests {
    /// What libpq is given; nil for a null. Everything must be in binary format.
    private func values(_ parameters: Parameters) -> [[UInt8]?] {
        parameters.withLibPQArrays { count, values, lengths, formats in
            (0..<Int(count)).map { index in
                #expect(formats?[index] == 1)
                guard let value = values?[index], let length = lengths?[index] else { return nil }
                return UnsafeRawBufferPointer(start: value, count: Int(length)).map { $0 }
            }
        }
    }

    private func value(_ build: (inout Parameters) -> Void) -> [UInt8]? {
        var parameters = Parameters()
        build(&parameters)
        let values = values(parameters)
        #expect(values.count == 1)
        #expect(parameters.byteCount == values[0]?.count ?? 0)
        return values[0]
    }

    /// Dimensions, whether there are nulls, the elements' type, and for each dimension its size and lower bound.
    private func header(_ type: [UInt8], count: UInt8, hasNull: Bool = false) -> [UInt8] {
        let flag: [UInt8] = [0, 0, 0, hasNull ? 1 : 0]
        return [0, 0, 0, 1] + flag + type + [0, 0, 0, count] + [0, 0, 0, 1]
    }

    // MARK: Single values

    @Test("text is its UTF-8, whatever it holds; none is a null and empty is not")
    func text() {
        #expect(value { $0.append("aé😀") } == [0x61, 0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80])
        #expect(value { $0.append("") } == [])
        #expect(value { $0.append(nil as String?) } == nil)
        #expect(value { $0.append("'\"\\$1") } == [0x27, 0x22, 0x5C, 0x24, 0x31])
    }

    @Test("an integer is eight bytes, the highest first")
    func integers() {
        #expect(value { $0.append(0x0102_0304_0506_0708) } == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(value { $0.append(-2) } == [255, 255, 255, 255, 255, 255, 255, 254])
        #expect(value { $0.append(Int.min) } == [128, 0, 0, 0, 0, 0, 0, 0])
        #expect(value { $0.append(nil as Int?) } == nil)
    }

    @Test("truth and characters are one byte, bytes go as they are")
    func bytes() {
        #expect(value { $0.append(true) } == [1])
        #expect(value { $0.append(false) } == [0])
        #expect(value { $0.append(char: UInt8(ascii: "y")) } == [0x79])
        let raw: [UInt8] = [0, 255, 10]
        #expect(value { parameters in raw.withUnsafeBytes { parameters.append(bytes: $0) } } == raw)
        #expect(value { $0.append(bytes: UnsafeRawBufferPointer(start: nil, count: 0)) } == [])
    }

    @Test("a token is a uuid's sixteen bytes")
    func token() {
        let token = Token(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_0E0F)
        #expect(value { $0.append(token) } == Array(0...15))
    }

    // MARK: Arrays

    @Test("an array without elements has no dimensions, whatever its type")
    func emptyArrays() {
        func empty(_ type: [UInt8]) -> [UInt8] { [0, 0, 0, 0, 0, 0, 0, 0] + type }
        #expect(value { $0.append(array: [] as [String]) } == empty([0, 0, 0, 25]))
        #expect(value { $0.append(array: [] as [Int]) } == empty([0, 0, 0, 20]))
        #expect(value { $0.appendArray(.bool, count: 0) { _ in } } == empty([0, 0, 0, 16]))
        #expect(value { $0.appendArray(.uuid, count: 0) { _ in } } == empty([0, 0, 0x0B, 0x86]))
        #expect(value { $0.appendArray(.json, count: 0) { _ in } } == empty([0, 0, 0, 114]))
    }

    @Test("elements follow each other, each after its length")
    func arrays() {
        #expect(
            value { $0.append(array: ["", "aé"]) }
                == header([0, 0, 0, 25], count: 2) + [0, 0, 0, 0] + [0, 0, 0, 3, 0x61, 0xC3, 0xA9]
        )
        #expect(
            value { $0.append(array: [1, -1]) }
                == header([0, 0, 0, 20], count: 2) + [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]
                + [0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255]
        )
        #expect(
            value { parameters in
                parameters.appendArray(.int4, count: 2) { for value in [Int32(258), -1] { $0.add(value) } }
            }
                == header([0, 0, 0, 23], count: 2) + [0, 0, 0, 4, 0, 0, 1, 2] + [0, 0, 0, 4, 255, 255, 255, 255]
        )
        #expect(
            value { parameters in
                parameters.appendArray(.bool, count: 2) { for value in [true, false] { $0.add(value) } }
            }
                == header([0, 0, 0, 16], count: 2) + [0, 0, 0, 1, 1] + [0, 0, 0, 1, 0]
        )
        #expect(
            value { parameters in
                parameters.appendArray(.char, count: 2) { for value in "yc".utf8 { $0.add(char: value) } }
            }
                == header([0, 0, 0, 18], count: 2) + [0, 0, 0, 1, 0x79] + [0, 0, 0, 1, 0x63]
        )
        #expect(
            value { $0.appendArray(.uuid, count: 1) { $0.add(Token(high: 1, low: 2)) } }
                == header([0, 0, 0x0B, 0x86], count: 1) + [0, 0, 0, 16] + [0, 0, 0, 0, 0, 0, 0, 1]
                + [0, 0, 0, 0, 0, 0, 0, 2]
        )
    }

    @Test("a null element has the length -1, and the header says that there is one")
    func nullElements() {
        #expect(
            value { parameters in
                parameters.appendArray(.int8, count: 3, hasNull: true) { for value in [nil, 7, nil] { $0.add(value) } }
            }
                == header([0, 0, 0, 20], count: 3, hasNull: true) + [255, 255, 255, 255]
                + [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7] + [255, 255, 255, 255]
        )
    }

    @Test("JSON texts go as they are")
    func json() {
        let texts: [[UInt8]] = [Array("{}".utf8), Array(" 1e400".utf8)]
        let array = value { parameters in
            parameters.appendArray(.json, count: 2) { elements in
                for text in texts { text.withUnsafeBytes { elements.add(bytes: $0) } }
            }
        }
        #expect(
            array == header([0, 0, 0, 114], count: 2) + [0, 0, 0, 2, 0x7B, 0x7D]
                + [0, 0, 0, 6, 0x20, 0x31, 0x65, 0x34, 0x30, 0x30]
        )
    }

    // MARK: All of them

    @Test("parameters keep their order, nulls and empty ones between others")
    func order() {
        var parameters = Parameters(reservingCapacity: 3)
        #expect(values(parameters) == [])
        #expect(parameters.byteCount == 0)
        parameters.append("a")
        parameters.append(nil as Int?)
        parameters.append("")
        parameters.append(1)
        parameters.append("")
        #expect(values(parameters) == [[0x61], nil, [], [0, 0, 0, 0, 0, 0, 0, 1], []])
        #expect(parameters.byteCount == 9)
    }
}
