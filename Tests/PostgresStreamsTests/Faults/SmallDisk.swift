import ChildProcesses
import Foundation

@testable import PrivatePostgres

/// A small file system in memory, for a server to fill: where one can be mounted, which takes root.
struct SmallDisk: Sendable {
    /// Below the server's folder, and its user's.
    let folder: String

    /// Whether one can be mounted here.
    static func isPermitted() async -> Bool {
        #if os(Linux)
            guard geteuid() == 0 else { return false }
            let folder = "/tmp/small-disk-\(UInt32.random(in: .min ... .max))"
            guard mkdir(folder, 0o700) == 0 else { return false }
            defer { rmdir(folder) }
            guard await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder) else { return false }
            return await run("umount", folder)
        #else
            return false
        #endif
    }

    struct NotMounted: Error {}

    static func with<R: Sendable>(
        megabytes: Int,
        for server: PrivatePostgres,
        _ body: (SmallDisk) async throws -> R
    ) async throws -> R {
        let disk = SmallDisk(folder: "\(server.folder)/small-disk")
        guard mkdir(disk.folder, 0o700) == 0,
            await run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m,mode=700", "tmpfs", disk.folder),
            await run("chown", "--reference=\(server.dataDirectory)", disk.folder)
        else { throw NotMounted() }
        do {
            let result = try await body(disk)
            await disk.unmount(server)
            return result
        } catch {
            await disk.unmount(server)
            throw error
        }
    }

    /// Makes it larger, as an operator would.
    func grow(toMegabytes size: Int) async throws {
        guard await Self.run("mount", "-o", "remount,size=\(size)m", folder) else { throw NotMounted() }
    }

    /// Moves a folder of a stopped server here, and leaves a link in its place.
    func take(_ path: String) async throws {
        let name = URL(fileURLWithPath: path).lastPathComponent
        guard await Self.run("mv", path, "\(folder)/\(name)"), await Self.run("ln", "-s", "\(folder)/\(name)", path)
        else { throw NotMounted() }
    }

    private func unmount(_ server: PrivatePostgres) async {
        await server.stop(mode: .immediate)
        // Lazily: a process of the server may be on its last breath.
        _ = await Self.run("umount", "-l", folder)
    }

    private static func run(_ program: String, _ arguments: String...) async -> Bool {
        await Command(executable: "/usr/bin/env", arguments: [program] + arguments).run()?.status == 0
    }
}
