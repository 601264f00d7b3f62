import LibPQ

extension JournalConfiguration {
    /// How to connect to one of its connection strings: as libpq does, with the password of whoever gives one.
    func session(to connectionString: String) -> SessionOptions {
        var options = SessionOptions(connectionString: connectionString)
        if let passwordProvider {
            options.passwordProvider = { target in try await passwordProvider(LogIn(target, connectionString)) }
        }
        return options
    }
}
