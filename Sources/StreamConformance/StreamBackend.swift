import TisynStreams

/// What an implementation of ``DurableStream`` tells the suite about itself: how one of its streams is opened.
///
/// Written by the author of a backend, in its test target; used by ``ConformanceCheck``. What a stream can beyond
/// appending and reading is said by conforming to ``BatchAppending``, ``PositionExpecting``, ``Tailing``, ``Claiming`` or
/// ``FailureInjecting`` as well; the checks of a capability that is not claimed do not run.
///
/// The test target depends on the products `StreamConformance` and `TisynStreams`, the one for the checks, the other for
/// the events and the protocol; `StreamConformance` does not import `Testing`, the test does.
///
/// ```swift
/// import StreamConformance
/// import Testing
/// import TisynStreams
///
/// struct FileBackend: StreamBackend {
///     let folder: String
///
///     func withStream<R: Sendable>(named name: String, _ body: (FileStream) async throws -> R) async throws -> R {
///         try await body(FileStream(path: "\(folder)/\(name)"))
///     }
/// }
///
/// @Test("keeps the contract", arguments: ConformanceCheck.checks(of: FileBackend.self))
/// func conforms(check: ConformanceCheck) async throws {
///     try await check.run(on: FileBackend(folder: try temporaryFolder()))
/// }
/// ```
public protocol StreamBackend: Sendable {
    associatedtype Stream: DurableStream

    /// Opens the stream of this name, runs `body` with it and lets it go.
    ///
    /// Each call stands for a process: when it returns, everything held in memory for the stream is given up, and the next
    /// call finds what was durable. Calls overlap, with the same name too: so open anew what other processes would have
    /// anew, a connection, a cache, a count, or the checks see one process only. A backend whose streams live in one process
    /// gives all calls the same stream. The suite makes up names of lower-case letters
    /// and digits, and never uses one twice on the same backend.
    func withStream<R: Sendable>(named name: String, _ body: (Stream) async throws -> R) async throws -> R
}
