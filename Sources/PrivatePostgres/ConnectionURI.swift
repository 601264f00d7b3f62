/// A PostgreSQL connection URI as libpq reads it. Used by ``PrivatePostgres``; knows nothing about servers.
struct ConnectionURI: Sendable {
    enum Host: Sendable {
        /// The folder that holds the server's socket.
        case socket(folder: String)
        case loopback
    }

    let host: Host
    let port: Int
    let user: String
    var password: String?
    let database: String

    var text: String {
        let credentials = Self.escape(user) + (password.map { ":" + Self.escape($0) } ?? "")
        let database = Self.escape(self.database)
        return switch host {
        case .socket(let folder): "postgresql://\(credentials)@/\(database)?host=\(Self.escape(folder))&port=\(port)"
        case .loopback: "postgresql://\(credentials)@127.0.0.1:\(port)/\(database)"
        }
    }

    /// Percent-encodes all but RFC 3986's unreserved characters, and `/`, which is legal in a query and keeps a socket's
    /// folder readable; libpq splits off the database at the first `/` only.
    private static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"), UInt8(ascii: "/"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                result += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return result
    }
}
