extension String {
    /// On one line, and without what a terminal obeys: names that others chose may hold anything.
    ///
    /// Line feeds and tabs become a space; other control characters, and those that turn the direction of writing, are
    /// spelled out.
    var printable: String {
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar.value {
            case 0x09, 0x0A, 0x0D, 0x2028, 0x2029:
                if result.last != " " { result.append(" ") }
            case _ where scalar.isObeyed:
                result.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    /// The same of the content of a JSON string, which it stays: all that is not printed is an escape.
    var printableJSON: String {
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if scalar.isObeyed || [0x2028, 0x2029].contains(scalar.value) {
                let digits = String(scalar.value, radix: 16)
                let zeros = String(repeating: "0", count: 4 - digits.count)
                result.append(contentsOf: "\\u\(zeros)\(digits)".unicodeScalars)
            } else {
                result.append(scalar)
            }
        }
        return String(result)
    }
}

extension Unicode.Scalar {
    /// A control character, or one that turns the direction of writing; all are below U+10000.
    fileprivate var isObeyed: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: true
        default: false
        }
    }
}
