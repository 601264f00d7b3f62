import CLibPQ

/// A `PGconn`: one method per libpq call, named like it, and none that waits.
///
/// Used by `Session`, which alone decides when to call what and makes sure that one thread at a time does. It knows no
/// protocol beyond the call itself; errors come back as libpq gives them.
///
/// `@unchecked Sendable`: it may move to another thread, since libpq ties a connection to none; it cannot be on two, since
/// it cannot be copied and whoever lends it out does so under a lock.
struct Connection: ~Copyable, @unchecked Sendable {
    /// Owned: `PQconnectStartParams` gave it, `deinit` gives it back.
    private let pointer: OpaquePointer

    /// `PQconnectStartParams`. Later keywords win over earlier ones, and those of a connection string given as `dbname`
    /// count at its place. Nil when libpq is out of memory.
    init?(start parameters: [(keyword: String, value: String)]) {
        let pointer: OpaquePointer? = withCStrings(parameters.map(\.keyword)) { keywords in
            withCStrings(parameters.map(\.value)) { values in PQconnectStartParams(keywords, values, 1) }
        }
        guard let pointer else { return nil }
        self.pointer = pointer
        // Until somebody wants them: libpq would print what the server says unasked to stderr, which is not ours.
        _ = PQsetNoticeReceiver(pointer, { _, _ in }, nil)
        // While connecting there is no result to ask for the SQLSTATE; the message has it, if it is verbose.
        PQsetErrorVerbosity(pointer, PQERRORS_VERBOSE)
    }

    deinit { PQfinish(pointer) }

    // MARK: Connecting

    func connectPoll() -> PostgresPollingStatusType { PQconnectPoll(pointer) }

    /// `PQstatus`: false once the connection has failed.
    var isAlive: Bool { PQstatus(pointer) == CONNECTION_OK }

    /// `PQconnectionNeedsPassword`: the server asked for one, and there was none.
    var needsPassword: Bool { PQconnectionNeedsPassword(pointer) != 0 }

    /// `PQstatus` while connecting: nothing more can come of this attempt.
    var isBad: Bool { PQstatus(pointer) == CONNECTION_BAD }

    /// The socket; negative when there is none. It may change between two calls of `connectPoll`.
    var socket: Int32 { PQsocket(pointer) }

    func setDefaultErrorVerbosity() { PQsetErrorVerbosity(pointer, PQERRORS_DEFAULT) }

    /// What libpq says went wrong last. May have several lines, one for each host that was tried.
    var errorMessage: String { String(cString: PQerrorMessage(pointer)).trimmingTrailingWhiteSpace() }

    func setNonBlocking() -> Bool { PQsetnonblocking(pointer, 1) == 0 }

    func enterPipelineMode() -> Bool { PQenterPipelineMode(pointer) == 1 }

    // MARK: About the connection

    var backendPID: Int32 { PQbackendPID(pointer) }

    /// As `server_version_num`: 150004 is 15.4.
    var serverVersion: Int32 { PQserverVersion(pointer) }

    var host: String { PQhost(pointer).map { String(cString: $0) } ?? "" }

    var port: String { PQport(pointer).map { String(cString: $0) } ?? "" }

    /// Where it is, or is being made to. The address is empty where it is not known.
    var place: Places.Place {
        Places.Place(host: host, address: PQhostaddr(pointer).map { String(cString: $0) } ?? "", port: port)
    }

    var isEncrypted: Bool { PQsslInUse(pointer) == 1 }

    var isGSSEncrypted: Bool { PQgssEncInUse(pointer) == 1 }

    func sslAttribute(_ name: String) -> String? { PQsslAttribute(pointer, name).map { String(cString: $0) } }

    /// Of `PQconninfo`, which has the password too: these of its keywords, as far as they are set.
    func settings(_ keywords: Set<String>) -> [String: String] {
        // libpq allocates the list and leaves freeing it to us.
        let options = PQconninfo(pointer)
        defer { PQconninfoFree(options) }
        return options.map { ConnectionString.values(of: $0, only: keywords) } ?? [:]
    }

    /// `PQtransactionStatus` and `PQparameterStatus`, as of the last answer; nil while something is under way.
    var standing: SessionStanding? {
        let encoding = PQparameterStatus(pointer, "client_encoding").map { String(cString: $0) } ?? ""
        return switch PQtransactionStatus(pointer) {
        case PQTRANS_IDLE: SessionStanding(isInTransaction: false, clientEncoding: encoding)
        case PQTRANS_INTRANS, PQTRANS_INERROR: SessionStanding(isInTransaction: true, clientEncoding: encoding)
        default: nil
        }
    }

    // MARK: Sending

    func sendPrepare(_ statement: Statement) -> Bool {
        statement.parameterTypes.withUnsafeBufferPointer { types in
            PQsendPrepare(pointer, statement.name, statement.sql, Int32(types.count), types.baseAddress) == 1
        }
    }

    func sendQueryPrepared(_ statement: Statement, _ parameters: borrowing Parameters) -> Bool {
        parameters.withLibPQArrays { count, values, lengths, formats in
            PQsendQueryPrepared(
                pointer,
                statement.name,
                count,
                values,
                lengths,
                formats,
                statement.hasTextResults ? 0 : 1
            ) == 1
        }
    }

    func sendQueryParams(_ statement: Statement, _ parameters: borrowing Parameters) -> Bool {
        statement.parameterTypes.withUnsafeBufferPointer { types in
            parameters.withLibPQArrays { count, values, lengths, formats in
                PQsendQueryParams(
                    pointer,
                    statement.sql,
                    count,
                    // libpq reads a type for each parameter, or lets the server infer them all.
                    types.count == Int(count) ? types.baseAddress : nil,
                    values,
                    lengths,
                    formats,
                    statement.hasTextResults ? 0 : 1
                ) == 1
            }
        }
    }

    func pipelineSync() -> Bool { PQpipelineSync(pointer) == 1 }

    /// 0: all was sent; 1: some is left, call again when the socket takes more; -1: failed.
    func flush() -> Int32 { PQflush(pointer) }

    // MARK: Receiving

    func consumeInput() -> Bool { PQconsumeInput(pointer) == 1 }

    /// Whether decrypted bytes wait in OpenSSL: of a record of more than the 8 KiB that libpq has room for at least, which
    /// poolers and proxies send. The socket does not show them, and libpq looks for them only where it waits itself. Nil
    /// where that cannot be found out.
    var holdsInput: Bool? {
        guard let tls = PQsslStruct(pointer, "OpenSSL") else { return nil }
        return Library.pendingTLSBytes.map { $0(tls) > 0 }
    }

    var isBusy: Bool { PQisBusy(pointer) == 1 }

    func getResult() -> QueryResult? { PQgetResult(pointer).map(QueryResult.init(owning:)) }

    func notifies() -> Notification? {
        guard let notify = PQnotifies(pointer) else { return nil }
        // libpq allocated it with malloc and leaves freeing it to us.
        defer { PQfreemem(notify) }
        return Notification(
            channel: String(cString: notify.pointee.relname),
            payload: String(cString: notify.pointee.extra),
            backendPID: notify.pointee.be_pid
        )
    }

    /// From here on `watch` sees what the server warns of. It must live as long as the connection.
    ///
    /// Results take the receiver with them, and outlive both. Of one, libpq calls it only for a row or column that it has
    /// not; `QueryResult` never asks for such.
    func setNoticeReceiver(_ watch: ReplicationWatch) {
        _ = PQsetNoticeReceiver(
            pointer,
            { context, result in
                guard let context, let result else { return }
                Unmanaged<ReplicationWatch>.fromOpaque(context).takeUnretainedValue().receive(result)
            },
            Unmanaged.passUnretained(watch).toOpaque()
        )
    }
}

/// What NOTIFY brought. Anyone who can connect can send one: a hint, never data.
package struct Notification: Sendable, Equatable {
    package var channel: String
    package var payload: String
    package var backendPID: Int32
}

/// `strings` as libpq's NULL-terminated array of C strings, valid inside `body` only.
private func withCStrings<R>(
    _ strings: [String],
    _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> R
) -> R {
    var bytes: [CChar] = []
    var offsets: [Int] = []
    for string in strings {
        offsets.append(bytes.count)
        bytes.append(contentsOf: string.utf8.map { CChar(bitPattern: $0) })
        bytes.append(0)
    }
    return bytes.withUnsafeBufferPointer { buffer in
        var pointers: [UnsafePointer<CChar>?] = offsets.map { buffer.baseAddress?.advanced(by: $0) }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

extension String {
    func trimmingTrailingWhiteSpace() -> String {
        var text = self[...]
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
