import CLibPQ

/// A `PGresult`: what one statement answered.
///
/// It owns the memory of its values: `bytes(row:column:)` borrows from it, and whoever keeps such bytes keeps the result
/// alive with them.
///
/// `@unchecked Sendable`: libpq never changes a result after `PQgetResult` returned it, and reading it from several
/// threads is allowed; only `PQclear` writes, in `deinit`, when nobody has it any more.
package final class QueryResult: @unchecked Sendable {
    /// Owned: from `PQgetResult`, freed by `PQclear` in `deinit`.
    private let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { PQclear(pointer) }

    /// `copy`: the statement was a COPY. libpq gives nothing else from there on, until it is dealt with.
    enum Kind { case success, failure, sync, skipped, copy }

    var kind: Kind {
        switch PQresultStatus(pointer) {
        case PGRES_PIPELINE_SYNC: .sync
        case PGRES_PIPELINE_ABORTED: .skipped
        case PGRES_FATAL_ERROR, PGRES_BAD_RESPONSE, PGRES_NONFATAL_ERROR: .failure
        case PGRES_COPY_IN, PGRES_COPY_OUT, PGRES_COPY_BOTH: .copy
        default: .success
        }
    }

    /// The command tag, such as `INSERT 0 1`. A COMMIT in a failed transaction answers `ROLLBACK` here, with an OK status.
    package var commandTag: String { String(cString: PQcmdStatus(pointer)) }

    /// What was wrong, of a failure.
    var message: ServerMessage { ServerMessage(pointer) }

    package var rowCount: Int { Int(PQntuples(pointer)) }

    package var columnCount: Int { Int(PQnfields(pointer)) }

    package func columnName(_ column: Int) -> String {
        guard (0..<columnCount).contains(column) else { return "" }
        return PQfname(pointer, Int32(column)).map { String(cString: $0) } ?? ""
    }

    /// Whether there is such a value. libpq must not be asked for another: it would warn of that, by the connection's
    /// notice receiver, which each result keeps, though what that looks at has gone with the connection.
    private func contains(row: Int, column: Int) -> Bool {
        (0..<rowCount).contains(row) && (0..<columnCount).contains(column)
    }

    /// A value that is not there is a null, here and in what follows.
    package func isNull(row: Int, column: Int) -> Bool {
        guard contains(row: row, column: column) else { return true }
        return PQgetisnull(pointer, Int32(row), Int32(column)) == 1
    }

    /// The value's bytes, valid as long as this result; empty for a null.
    package func bytes(row: Int, column: Int) -> UnsafeRawBufferPointer {
        guard contains(row: row, column: column) else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(
            start: PQgetvalue(pointer, Int32(row), Int32(column)),
            count: Int(PQgetlength(pointer, Int32(row), Int32(column)))
        )
    }

    /// The size of the value in bytes; 0 for a null.
    package func byteCount(row: Int, column: Int) -> Int { bytes(row: row, column: column).count }

    /// What the result occupies in all, in bytes.
    package var memorySize: Int { PQresultMemorySize(pointer) }

    // MARK: Values in binary format

    package func text(row: Int, column: Int) -> String {
        String(decoding: bytes(row: row, column: column), as: UTF8.self)
    }

    package func optionalText(row: Int, column: Int) -> String? {
        isNull(row: row, column: column) ? nil : text(row: row, column: column)
    }

    package func bool(row: Int, column: Int) -> Bool { bytes(row: row, column: column).first == 1 }

    /// An int2, int4 or int8; nil for a null.
    package func integer(row: Int, column: Int) -> Int? {
        let bytes = bytes(row: row, column: column)
        return switch bytes.count {
        case 8: Int(bytes.loadBigEndian(Int64.self, at: 0))
        case 4: Int(bytes.loadBigEndian(Int32.self, at: 0))
        case 2: Int(bytes.loadBigEndian(Int16.self, at: 0))
        default: nil
        }
    }

    package func double(row: Int, column: Int) -> Double? {
        let bytes = bytes(row: row, column: column)
        return bytes.count == 8 ? Double(bitPattern: bytes.loadBigEndian(UInt64.self, at: 0)) : nil
    }

    /// A timestamptz: microseconds since 2000-01-01 00:00:00 UTC, PostgreSQL's epoch.
    package func timestamp(row: Int, column: Int) -> Int64? { integer(row: row, column: column).map(Int64.init) }

    package func uuid(row: Int, column: Int) -> Token? {
        let bytes = bytes(row: row, column: column)
        guard bytes.count == 16 else { return nil }
        return Token(
            high: bytes.loadBigEndian(UInt64.self, at: 0),
            low: bytes.loadBigEndian(UInt64.self, at: 8)
        )
    }

    /// The elements of a one-dimensional array, each as its bytes; nil for a null element.
    package func array(row: Int, column: Int) -> [UnsafeRawBufferPointer?] {
        let bytes = bytes(row: row, column: column)
        guard bytes.count >= 20, bytes.loadBigEndian(Int32.self, at: 0) == 1 else { return [] }
        var elements: [UnsafeRawBufferPointer?] = []
        var remaining = Int(bytes.loadBigEndian(Int32.self, at: 12))
        var offset = 20
        while remaining > 0, offset + 4 <= bytes.count {
            let length = Int(bytes.loadBigEndian(Int32.self, at: offset))
            offset += 4
            if length < 0 {
                elements.append(nil)
            } else if offset + length <= bytes.count {
                elements.append(UnsafeRawBufferPointer(rebasing: bytes[offset..<(offset + length)]))
                offset += length
            } else {
                return []
            }
            remaining -= 1
        }
        return elements
    }
}

extension UnsafeRawBufferPointer {
    /// A big-endian integer at `offset`, which the caller has checked to be inside.
    package func loadBigEndian<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}
