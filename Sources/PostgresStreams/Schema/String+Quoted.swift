extension String {
    /// As an SQL identifier, quotes included.
    var quotedIdentifier: String { inQuotes("\"") }

    /// As an SQL literal, quotes included.
    var quotedLiteral: String { inQuotes("'") }

    private func inQuotes(_ quote: Character) -> String {
        let parts = split(separator: quote, omittingEmptySubsequences: false)
        return "\(quote)\(parts.joined(separator: "\(quote)\(quote)"))\(quote)"
    }
}
