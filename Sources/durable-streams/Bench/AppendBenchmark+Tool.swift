import Foundation
import PostgresStreams

/// `append STREAM < file` as a user runs it: the tool as a process, a file of events on its stdin.
extension AppendBenchmark {
    /// It takes as long as it takes; the floor is measured before and after it.
    func tool(events: Int) async throws -> [BenchmarkRow] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).ndjson")
        let stream = try Self.newStreams(1)[0]
        let before = try await insertBatches(toOneStream: true)
        var begin = ContinuousClock.now
        // Once the process has opened it, it needs no name that could stay.
        let process = try await Interruption.saying("file \(file.path) is left: remove it") {
            defer { try? FileManager.default.removeItem(at: file) }
            try Self.write(events, to: file)
            begin = ContinuousClock.now
            return try await ToolChildProcess(
                ["append", stream.text, "--schema", configuration.schema],
                databaseURL: configuration.databaseURL,
                input: .file(file),
                keepsOutput: false
            )
        }
        let end = await withTaskCancellationHandler {
            await process.end
        } onCancel: {
            process.kill()
        }
        let elapsed = (ContinuousClock.now - begin) / .seconds(1)
        let after = try await insertBatches(toOneStream: true)
        let count = try await withJournal(configuration) { try await $0.stream(stream).nextPosition() }
        guard end == .exited(0), count == events else {
            throw BenchmarkError(description: "append < file: \(end) after \(count) of \(events) events")
        }
        let floor = BenchmarkFigures.mean(before, after)
        let ours = BenchmarkFigures(perSecond: Double(events) / elapsed)
        return [
            BenchmarkRow(name: "floor (b): INSERT of 64, 1 stream", figures: floor),
            BenchmarkRow(
                name: "append STREAM < \(events) events",
                figures: ours,
                ratio: ours.perSecond / floor.perSecond
            ),
        ]
    }

    private static func write(_ events: Int, to file: URL) throws {
        guard FileManager.default.createFile(atPath: file.path, contents: nil) else {
            throw BenchmarkError(description: "\(file.path) cannot be written")
        }
        let handle = try FileHandle(forWritingTo: file)
        defer { try? handle.close() }
        let line = Data((eventText + "\n").utf8)
        let thousand = (0..<1000).reduce(into: Data()) { all, _ in all += line }
        for start in stride(from: 0, to: events, by: 1000) {
            try Task.checkCancellation()
            try handle.write(contentsOf: thousand.prefix(min(1000, events - start) * line.count))
        }
    }
}
