/// A server's version as libpq numbers it: 150020 is 15.20, 190000 is a 19 that is not out yet.
struct ServerVersion: Sendable {
    let number: Int

    /// Reads what `postgres --version` prints, such as `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)` or
    /// `postgres (PostgreSQL) 19beta1`. Nil for anything else, and for versions before 10, which counted otherwise.
    init?(programOutput: String) {
        guard let start = programOutput.range(of: "(PostgreSQL) ")?.upperBound else { return nil }
        let parts = programOutput[start...].prefix { $0.isASCII && ($0.isNumber || $0 == ".") }.split(separator: ".")
        guard let major = parts.first.flatMap({ Int($0) }), (10..<1000).contains(major) else { return nil }
        let minor = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        number = major * 10_000 + min(minor, 9_999)
    }
}
