import ChildProcesses
import Foundation

/// The folder of a PostgreSQL server's programs (`initdb`, `postgres`, usually `psql`), and the search for it.
/// Used by ``PrivatePostgres`` at its start. Never installs anything.
struct ServerBinaries: Sendable {
    /// Names the folder to use instead of searching: a server's bin folder, versions 14–18.
    static let variable = "DURABLE_STREAMS_PG_BIN"

    static let usualPatterns = [
        "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin",
        "/usr/local/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin",
    ]

    let folder: String

    /// Where to look; a test looks elsewhere.
    struct Search: Sendable {
        var environment = ProcessInfo.processInfo.environment
        var usualPatterns = ServerBinaries.usualPatterns
    }

    /// The first folder that holds a server, in this order: `explicit`, the environment variable (each of which must
    /// hold one if it is given), `pg_config --bindir`, `PATH`, the usual places (highest version first).
    static func find(explicit: String? = nil, _ search: Search = Search()) async throws(PrivatePostgresError) -> Self {
        for (origin, folder) in [("the options", explicit), (variable, search.environment[variable])] {
            guard let folder, !folder.isEmpty else { continue }
            guard let found = Self(holdingServer: folder) else {
                throw PrivatePostgresError(
                    .binariesMissing,
                    "No PostgreSQL server in \(folder) (from \(origin)): initdb and postgres are needed."
                )
            }
            return found
        }
        let path = (search.environment["PATH"] ?? "").split(separator: ":").map(String.init)
        var told: String?
        if let program = onPath("pg_config", environment: search.environment) {
            told = await Command(executable: program, arguments: ["--bindir"]).run()?.output
        }
        let candidates = [told].compactMap(\.self) + path + search.usualPatterns.flatMap(expand)
        for candidate in candidates {
            if let found = Self(holdingServer: candidate) { return found }
        }
        throw PrivatePostgresError(
            .binariesMissing,
            """
            No PostgreSQL server found: looked for initdb and postgres in \(variable) (not set), \
            pg_config --bindir (\(told ?? "no pg_config")), PATH, \(search.usualPatterns.joined(separator: ", ")).
            On Debian and Ubuntu `apt-get install postgresql` helps, with Homebrew `brew install postgresql`. \
            Or set \(variable) to a server's bin folder, versions 14–18.
            """
        )
    }

    /// The path of a program in a bin folder; nil if it is not there.
    static func path(of program: String, in folder: String) -> String? {
        let path = "\(folder)/\(program)"
        return isExecutable(path) ? path : nil
    }

    /// The path of a program found by `PATH`; nil if there is none.
    static func onPath(
        _ program: String,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> String? {
        (environment["PATH"] ?? "").split(separator: ":").lazy.compactMap { path(of: program, in: String($0)) }.first
    }

    /// A link such as `/usr/local/bin/initdb` is followed, because the programs beside its target belong together.
    private init?(holdingServer folder: String) {
        let initdb = URL(fileURLWithPath: "\(folder)/initdb").resolvingSymlinksInPath()
        self.folder = initdb.deletingLastPathComponent().path
        guard ["initdb", "postgres"].allSatisfy({ Self.path(of: $0, in: self.folder) != nil }) else { return nil }
    }

    private static func isExecutable(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.isExecutableFile(atPath: path)
            && FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
    }

    /// The folders that fit a pattern with one `*`, highest version first: 18 before 9.6, so not in text order.
    private static func expand(_ pattern: String) -> [String] {
        let parts = pattern.split(separator: "/").map(String.init)
        guard let star = parts.firstIndex(where: { $0.contains("*") }) else { return [pattern] }
        let parent = "/" + parts[..<star].joined(separator: "/")
        let rest = parts[(star + 1)...].joined(separator: "/")
        let affixes = parts[star].split(separator: "*", maxSplits: 1, omittingEmptySubsequences: false)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
        return names.filter { $0.hasPrefix(affixes[0]) && $0.hasSuffix(affixes[1]) }
            .sorted { $0.compare($1, options: .numeric) == .orderedDescending }
            .map { "\(parent)/\($0)/\(rest)" }
    }
}
