/// The SQL files of this folder, in the order they are applied. Compiled in, so that a binary alone can migrate.
package enum Migrations {
    package static var files: [(name: String, bytes: [UInt8])] {
        [
            ("0001_journal", PackageResources._001_journal_sql),
            ("0002_append", PackageResources._002_append_sql),
            ("0003_guards", PackageResources._003_guards_sql),
            ("0004_storage", PackageResources._004_storage_sql),
        ]
    }
}
