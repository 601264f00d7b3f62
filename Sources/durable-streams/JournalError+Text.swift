import PostgresStreams

extension JournalError {
    /// As the tool says it: a command to be run needs what this one was given. Never the URL itself, which may hold a
    /// password.
    var text: String { code == .schemaBehind ? description + ConnectionOptions.hint : description }
}
