import CLibPQ

/// Looks out for the warning of a commit that stopped waiting for its synchronous standbys (`pg_cancel_backend` does it):
/// it succeeds, though they may not have it. Touched only under the session's lock.
final class ReplicationWatch {
    private(set) var warning: ServerMessage?

    func receive(_ notice: OpaquePointer) {
        // Its SQLSTATE is that of any warning, and its words are translated; the place in the server's source is neither.
        let function = PQresultErrorField(notice, Int32(UInt8(ascii: "R")))
        if let function, String(cString: function) == "SyncRepWaitForLSN" { warning = ServerMessage(notice) }
    }
}
