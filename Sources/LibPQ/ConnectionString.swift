import CLibPQ

/// A connection string as libpq understands it: what is needed of it for time-outs, and no more. libpq itself gets the
/// string as the user wrote it.
struct ConnectionString {
    var hosts: [String]
    var addresses: [String]
    var ports: [String]
    var connectTimeout: Duration?
    /// As the string itself has it: what we ask for wins over the environment's.
    var targetSessionAttributes: String?

    /// Fails with libpq's own words when it is none.
    static func parse(_ text: String) -> Result<ConnectionString, ConnectionFailure> {
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
        var values = values(of: options)
        let targetSessionAttributes = values["target_session_attrs"]
        if values["host"] == nil, values["hostaddr"] == nil {
            // The environment or a service file may name them. Allocated and freed as above.
            let list = PQconndefaults()
            defer { PQconninfoFree(list) }
            let defaults = list.map(Self.values) ?? [:]
            if defaults["host"] ?? defaults["hostaddr"] != nil { values.merge(defaults) { own, _ in own } }
        }
        func list(_ keyword: String) -> [String] {
            values[keyword].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
        }
        // libpq takes zero and below for no limit, and one second for two.
        let seconds = values["connect_timeout"].flatMap(Int.init).flatMap { $0 > 0 ? max(2, $0) : nil }
        return .success(
            ConnectionString(
                hosts: list("host"),
                addresses: list("hostaddr"),
                ports: list("port"),
                connectTimeout: seconds.map { .seconds($0) },
                targetSessionAttributes: targetSessionAttributes
            )
        )
    }

    /// Of a list that ends with an option without a keyword.
    private static func values(of options: UnsafeMutablePointer<PQconninfoOption>) -> [String: String] {
        var values: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { values[String(cString: keyword)] = String(cString: value) }
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
        let begin = String(parts[0]).trimmingTrailingWhiteSpace()
        // A keyword that is none; unless it may be a part of a password that was not escaped or quoted.
        let keyword = String(parts[1])
        guard begin.hasPrefix("invalid URI query parameter") || begin.hasPrefix("invalid connection option"),
            keyword.wholeMatch(of: /[A-Za-z_]+/) != nil, let place = text.ranges(of: keyword).last
        else { return begin }
        let (before, after) = (text[..<place.lowerBound], text[place.upperBound...])
        let authority = before.firstRange(of: "://").map { before[$0.upperBound...] } ?? ""
        let mayBeSecret =
            before.lowercased().contains("pass") || after.contains("@")
            || authority.contains(":") && !authority.contains("@")
        return mayBeSecret ? begin : "\(begin) \"\(keyword)\""
    }

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

    /// The indices of the hosts to try: all, then all but the first, and so on.
    var hostListsWithoutTimedOutHosts: [Range<Int>] {
        let count = max(hosts.count, addresses.count)
        return count <= 1 ? [0..<count] : (0..<count).map { $0..<count }
    }

    /// The keywords that leave only these hosts; none when these are all there are.
    func override(hosts range: Range<Int>) -> [(keyword: String, value: String)] {
        guard range.lowerBound > 0 else { return [] }
        var keywords: [(keyword: String, value: String)] = []
        if !hosts.isEmpty { keywords.append(("host", hosts[range].joined(separator: ","))) }
        if !addresses.isEmpty { keywords.append(("hostaddr", addresses[range].joined(separator: ","))) }
        if ports.count > 1 { keywords.append(("port", ports[range].joined(separator: ","))) }
        return keywords
    }
}
