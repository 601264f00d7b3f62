import Subprocess

#if canImport(System)
    import System
#else
    import SystemPackage
#endif

extension Configuration {
    /// With a process group of its own.
    init(executable: String, arguments: [String], environment: [String: String]) {
        self.init(
            executable: .path(FilePath(executable)),
            arguments: Arguments(arguments),
            environment: .custom(
                Dictionary(uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0), $1) })
            )
        )
        platformOptions.processGroupID = 0
    }
}
