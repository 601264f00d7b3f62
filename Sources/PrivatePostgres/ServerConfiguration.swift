/// The lines that a private server's `postgresql.conf` gets after those of `initdb`. Used by ``PrivatePostgres``.
///
/// What durability rests on is spelled out rather than left to defaults, because the tests of a durable journal mean
/// nothing on a server that forgets. A caller's settings come after and win.
struct ServerConfiguration: Sendable {
    let lines: [String]

    /// - Throws: `invalidSetting` for a name or value that cannot stand on one line of the file.
    init(tcp: Bool, settings: [String: String]) throws(PrivatePostgresError) {
        var lines = [
            "fsync = on", "synchronous_commit = on", "full_page_writes = on",
            "timezone = 'UTC'", "log_timezone = 'UTC'",
            "listen_addresses = '\(tcp ? "127.0.0.1" : "")'",
        ]
        #if os(Linux)
            // Recovery after a crash first flushes the whole data directory: file by file that takes seconds.
            lines.append("recovery_init_sync_method = 'syncfs'")
        #endif
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
            lines.append("\(try Self.checked(name)) = \(try Self.quoted(value, for: name))")
        }
        self.lines = lines
    }

    private static func checked(_ name: String) throws(PrivatePostgresError) -> String {
        let legal = name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard legal, !name.isEmpty else {
            throw PrivatePostgresError(.invalidSetting, "\"\(name)\" is not the name of a server setting.")
        }
        return name
    }

    /// In the file a quote is doubled and a backslash begins an escape.
    private static func quoted(_ value: String, for name: String) throws(PrivatePostgresError) -> String {
        guard !value.utf8.contains(where: { $0 < 0x20 }) else {
            throw PrivatePostgresError(.invalidSetting, "The value of \(name) has a line end or control character.")
        }
        return "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "''") + "'"
    }
}
