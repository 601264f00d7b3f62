import CLibPQ

/// A connection string as libpq understands it, with the service file and the environment: what is needed of it for
/// time-outs, and no more. libpq itself gets the string as the user wrote it.
struct ConnectionString {
    var hosts: [String]
    var addresses: [String]
    var ports: [String]
    var connectTimeout: Duration?
    /// As the string itself has it: what we ask for wins over the environment's.
    var targetSessionAttributes: String?
    var database: String?
    var user: String?

    /// Fails with libpq's own words when it is none.
    static func parse(_ text: String) -> Result<ConnectionString, ConnectionFailure> {
        guard !text.utf8.contains(0) else {
            let reason = "it holds a NUL, behind which libpq would not read on"
            return .failure(.init(.invalidConnectionString, "the connection string is not valid: \(reason)"))
        }
        var message: UnsafeMutablePointer<CChar>?
        // libpq allocates both the list and the message; freed below.
        let options = PQconninfoParse(text, &message)
        defer { PQconninfoFree(options) }
        guard let options else {
            defer { PQfreemem(message) }
            let reason = message.map { String(cString: $0).trimmingTrailingWhiteSpace() } ?? "out of memory"
            return .failure(
                ConnectionFailure(
                    .invalidConnectionString,
                    "the connection string is not valid: \(withoutPassword(reason, text))"
                )
            )
        }
        let own = values(of: options, only: ["target_session_attrs"])
        // A service file and the environment may name hosts too. libpq says what it makes of all of them only of a
        // connection: of one that it does not begin, since there is no such sslmode. With a password it looks for none in the
        // password file, about whose rights it may write to stderr.
        let none = [("password", "none"), ("sslmode", "none, this is only read")]
        let probe = Connection(start: [("dbname", text)] + none)
        let values = probe?.settings(["host", "hostaddr", "port", "connect_timeout", "dbname", "user"]) ?? [:]
        func list(_ keyword: String) -> [String] {
            guard let value = values[keyword], !value.isEmpty else { return [] }
            return value.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        // libpq takes zero and below for no limit, and one second for two.
        let seconds = values["connect_timeout"].flatMap(Int.init).flatMap { $0 > 0 ? max(2, $0) : nil }
        return .success(
            ConnectionString(
                hosts: list("host"),
                addresses: list("hostaddr"),
                ports: list("port"),
                connectTimeout: seconds.map { .seconds($0) },
                targetSessionAttributes: own["target_session_attrs"],
                database: values["dbname"],
                user: values["user"]
            )
        )
    }

    /// Of a list that ends with an option without a keyword.
    static func values(
        of options: UnsafeMutablePointer<PQconninfoOption>,
        only keywords: Set<String>
    ) -> [String: String] {
        var values: [String: String] = [:]
        var option = options
        while let current = option.pointee.keyword {
            let keyword = String(cString: current)
            if keywords.contains(keyword), let value = option.pointee.val { values[keyword] = String(cString: value) }
            option += 1
        }
        return values
    }

    /// libpq quotes what it could not read, which can be the password or the whole string.
    private static func withoutPassword(_ reason: String, _ text: String) -> String {
        let parts = reason.split(separator: "\"", omittingEmptySubsequences: false)
        guard !text.isEmpty, parts.count > 1 else { return reason }
        if parts[0] == "missing " {
            return "it begins with neither postgresql:// nor postgres://, and is no list of keyword=value"
        }
        var begin = String(parts[0]).trimmingTrailingWhiteSpace()
        if begin.hasSuffix(":") { begin.removeLast() }
        if begin.contains("percent-encoded") { return "\(begin); \(escaping)" }
        // A keyword that is none; unless it may be a part of a password that was not escaped or quoted.
        let keyword = String(parts[1])
        guard begin.hasPrefix("invalid URI query parameter") || begin.hasPrefix("invalid connection option")
        else { return begin }
        guard keyword.wholeMatch(of: /[A-Za-z_]+/) != nil, let place = text.ranges(of: keyword).last
        else { return "\(begin); \(naming)" }
        let (before, after) = (text[..<place.lowerBound], text[place.upperBound...])
        let authority = before.firstRange(of: "://").map { before[$0.upperBound...] } ?? ""
        let mayBeSecret =
            before.lowercased().contains("pass") || after.contains("@")
            || authority.contains(":") && !authority.contains("@")
        return mayBeSecret ? "\(begin); \(naming)" : "\(begin) \"\(keyword)\""
    }

    private static let escaping =
        "in a URI a password's %, @, :, / and # are written %25, %40, %3A, %2F and %23"

    /// Where the keyword may be a part of a password.
    private static let naming = "libpq does not know it, or it is a part of a password that is not escaped or quoted"

    /// `message` without what may be a password that was not escaped as a URI needs it: libpq then takes its parts for a
    /// host, a port or a database, and quotes them.
    static func redacting(_ text: String, in message: String) -> String {
        guard let scheme = text.firstRange(of: "://"), let at = text.lastIndex(of: "@"), scheme.upperBound < at else {
            return message
        }
        guard let colon = text[scheme.upperBound..<at].firstIndex(of: ":") else { return message }
        let password = text[text.index(after: colon)..<at]
        // Well-formed: libpq knows it for a password, and says nothing of it.
        guard password.contains(where: { "/@:?#".contains($0) }) else { return message }
        return password.split { "/@:?#&=".contains($0) }.reduce(message) { message, part in
            message.replacing(part, with: "***")
        }
    }
}
