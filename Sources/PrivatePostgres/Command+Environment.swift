import ChildProcesses
import Foundation

extension Command {
    /// With a clean environment.
    package init(executable: String, arguments: [String] = []) {
        self.init(executable: executable, arguments: arguments, environment: Self.cleanEnvironment)
    }

    /// This process's environment without libpq's and the server's variables: `PGOPTIONS`, `PGSERVICE` or `PGDATA` of
    /// whoever runs the tests must not reach the private server. Messages are in English, time is UTC.
    package static var cleanEnvironment: [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("PG") }
        environment["LC_ALL"] = "C"
        environment["TZ"] = "UTC"
        return environment
    }
}
