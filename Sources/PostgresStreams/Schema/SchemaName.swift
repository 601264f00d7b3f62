/// The schema that holds a journal: checked once, quoted once. It is also the channel its notifications go over.
struct SchemaName: Sendable, Hashable {
    let text: String
    /// As an SQL identifier, quotes included.
    let quoted: String

    init(_ text: String) throws(JournalError) {
        guard (1...63).contains(text.utf8.count), !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw JournalError(
                .invalidArgument,
                "a schema's name has 1 to 63 bytes and no control characters; this one has \(text.utf8.count) bytes"
            )
        }
        guard !text.hasPrefix("pg_") else {
            throw JournalError(.invalidArgument, "a schema's name must not begin with pg_, which PostgreSQL keeps")
        }
        guard text != "$user" else {
            throw JournalError(
                .invalidArgument,
                "the schema must not be called $user: search_path takes that for the user's name"
            )
        }
        self.text = text
        quoted = text.quotedIdentifier
    }

    /// As it stands between the single quotes of a shell.
    var inShellQuotes: String {
        text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#)
    }
}
