import LibPQ

/// Connection options that count unless the connection string sets them; or, for what only the primary can do, whatever it
/// says.
enum ConnectionDefaults {
    /// Of several hosts the one that takes writes: a standby may lag behind what was just acknowledged. A single host is
    /// taken as it is, so that reads and tails work on a standby.
    static func primary(_ connectionString: String) -> [(keyword: String, value: String)] {
        SessionOptions.hostCount(connectionString) > 1 ? [("target_session_attrs", "read-write")] : []
    }
}
