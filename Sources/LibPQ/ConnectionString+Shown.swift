import CLibPQ

extension ConnectionString {
    /// What of a connection string may be shown: where it leads and as whom, in libpq's own keywords; never a password, nor
    /// an option that may be one or lead to one. As the string has it: nothing is looked up for it.
    static func shown(_ text: String) -> String {
        guard let options = PQconninfoParse(text, nil) else { return "not a valid connection string" }
        defer { PQconninfoFree(options) }
        let keywords = ["service", "host", "hostaddr", "port", "dbname", "user"]
        let values = values(of: options, only: Set(keywords))
        let parts = keywords.compactMap { keyword in
            values[keyword].map { "\(keyword)=\(redacting(text, in: withoutOptions($0)))" }
        }
        return parts.isEmpty ? "libpq's settings" : parts.joined(separator: " ")
    }

    /// An option that was separated in another way than libpq's lands in the value before it: `dbname=d;password=p`.
    static func withoutOptions(_ value: String) -> String {
        value.contains("=") || value.contains("://") ? "***" : value
    }
}

extension SessionOptions: CustomStringConvertible, CustomReflectable {
    /// Where a connection string leads and as whom, for logs and whoever prints a configuration; never a secret.
    package static func shown(_ connectionString: String) -> String { ConnectionString.shown(connectionString) }

    package var description: String { "SessionOptions(\(Self.shown(connectionString)))" }

    /// `dump` and the printing of what holds one show no more. What we set ourselves comes from the same places.
    package var customMirror: Mirror {
        Mirror(self, children: ["connectionString": Self.shown(connectionString)], displayStyle: .struct)
    }
}
