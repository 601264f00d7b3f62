import LibPQ

/// Printed, logged, dumped, in itself or in what holds it, it shows of its connection strings no more than host, port,
/// database and user: never a password.
extension JournalConfiguration: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        let properties = shown.map { "\($0.key): \($0.value)" }
        return "JournalConfiguration(\(properties.joined(separator: ", ")))"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror {
        Mirror(self, children: shown.map { (label: $0.key, value: $0.value) }, displayStyle: .struct)
    }

    private var shown: KeyValuePairs<String, Any> {
        [
            "databaseURL": SessionOptions.shown(databaseURL),
            "listenURL": listenURL.map { SessionOptions.shown($0) } ?? "nil",
            "passwordProvider": passwordProvider == nil ? "nil" : "set",
            "schema": schema,
            "writerConnections": writerConnections,
            "readerConnections": readerConnections,
            "transactionConnections": transactionConnections,
            "openTimeout": openTimeout,
            "appendDeadline": appendDeadline,
            "busyWait": busyWait,
            "readDeadline": readDeadline,
            "maximumSegmentBytes": maximumSegmentBytes,
            "maximumQueuedBytes": maximumQueuedBytes,
            "pageSize": pageSize,
            "replayCacheBytes": replayCacheBytes,
            "durability": durability,
            "listening": listening,
            "logger": logger.label,
        ]
    }
}
