import Crypto
import Migrations

/// One file of `Migrations/`, as compiled in.
struct MigrationFile: Sendable {
    let version: Int
    let name: String
    let sql: String
    /// Of the file's bytes, lower-case hex.
    let sha256: String

    static let all: [MigrationFile] = Migrations.files.map { file in
        MigrationFile(name: file.name, bytes: file.bytes)
    }

    /// `name` is `0001_journal`: the number before the underscore is the version.
    init(name: String, bytes: [UInt8]) {
        self.name = name
        version = name.split(separator: "_").first.flatMap { Int($0) } ?? 0
        sql = String(decoding: bytes, as: UTF8.self)
        sha256 = SHA256.hash(data: bytes).map { byte in
            let hex = String(byte, radix: 16)
            return hex.count == 1 ? "0" + hex : hex
        }.joined()
    }

    /// The file, which has many statements, as one: the extended protocol takes no more at a time. PL/pgSQL's EXECUTE
    /// runs them one after the other, each seeing what those before it made.
    var asOneStatement: String {
        "do $migration_file$ begin execute $sql_of_file$\(sql)$sql_of_file$; end $migration_file$"
    }
}
