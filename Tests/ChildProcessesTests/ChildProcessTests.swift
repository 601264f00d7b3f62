import ChildProcesses
import Foundation
import Testing

@Suite("A child process", .timeLimit(.minutes(2)))
struct ChildProcessTests {
    @Test("says how it ended, once it has", arguments: [0, 7] as [Int32])
    func ends(code: Int32) async throws {
        let process = try await ChildProcess("/bin/sh", ["-c", "exit \(code)"], environment: [:])
        #expect(await process.end == .exited(code))
        #expect(!process.isRunning)
        // Nobody is hit.
        process.send(SIGKILL)
    }

    @Test("is ended by a signal, whatever the thread that started it blocks")
    func signals() async throws {
        let process = try await ChildProcess("/bin/sleep", ["3600"], environment: [:])
        #expect(process.isRunning)
        process.terminate()
        #expect(await process.end == .killed(signal: SIGTERM))
    }

    @Test("has the streams and the environment it was given, and nothing where none was given")
    func streams() async throws {
        let (input, output, errors) = (Pipe(), Pipe(), Pipe())
        let process = try await ChildProcess(
            "/bin/sh",
            ["-c", "cat; env; echo said >&2"],
            environment: ["WORD": "a b=c\n"],
            input: input.fileHandleForReading.fileDescriptor,
            output: output.fileHandleForWriting.fileDescriptor,
            errors: errors.fileHandleForWriting.fileDescriptor
        )
        try output.fileHandleForWriting.close()
        try errors.fileHandleForWriting.close()
        try input.fileHandleForWriting.write(contentsOf: Data("given\n".utf8))
        try input.fileHandleForWriting.close()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        #expect(text.hasPrefix("given\n"))
        #expect(text.contains("WORD=a b=c\n"))
        #expect(!text.contains("HOME="))
        #expect(try errors.fileHandleForReading.readToEnd() == Data("said\n".utf8))
        #expect(await process.end == .exited(0))
        let silent = try await ChildProcess("/bin/sh", ["-c", "read x; test $? = 1 && echo x"], environment: [:])
        #expect(await silent.end == .exited(0))
    }

    @Test("that cannot be started is said, with its path")
    func missing() async throws {
        let error = await #expect(throws: (any Error).self) {
            try await ChildProcess("/nonexistent/program", [], environment: [:])
        }
        #expect("\(try #require(error))".contains("/nonexistent/program"))
    }

    @Test("has a process group of its own")
    func group() async throws {
        let process = try await ChildProcess("/bin/sleep", ["3600"], environment: [:])
        #expect(getpgid(process.processID) == process.processID)
        process.terminate()
        _ = await process.end
    }

    // In a process of its own, whose descriptors are its own.
    @Test("has none of the other descriptors, of which there may be thousands")
    func descriptors() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            #if canImport(Glibc)
                let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
            #else
                let resource = RLIMIT_NOFILE
            #endif
            getrlimit(resource, &limit)
            limit.rlim_cur = min(limit.rlim_max, 4096)
            setrlimit(resource, &limit)
            // Neither close-on-exec nor below what is free.
            let highest = Int32(limit.rlim_cur) - 50
            while case let descriptor = open("/dev/null", O_RDONLY), descriptor >= 0, descriptor < highest {}
            let pipe = Pipe()
            let process = try await ChildProcess(
                "/bin/sh",
                ["-c", "ls /dev/fd | wc -l"],
                environment: [:],
                output: pipe.fileHandleForWriting.fileDescriptor
            )
            try pipe.fileHandleForWriting.close()
            let count = try pipe.fileHandleForReading.readToEnd() ?? Data()
            // The three, and that by which `ls` reads.
            #expect(String(decoding: count, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines) == "4")
            #expect(await process.end == .exited(0))
        }
    }
}
