import Synchronization

/// The answers that `append` owes, and what is to be said of their lines where the program ends before they are written.
///
/// What is due goes from one state to the next in one step, so that a signal at any moment finds one word for each line.
final class AnswersDue: Sendable {
    /// Events that are durable, and whose answers were handed to the output.
    private struct Appended {
        var firstLine: Int
        var positions: Range<Int>
        /// Where its answers begin and end in all of the output, in bytes.
        var bytes: Range<Int>
    }

    private struct State {
        var underWay: ClosedRange<Int>?
        var appended: [Appended] = []
        /// Of all answers so far.
        var byteCount = 0
    }

    private let state = Mutex(State())
    private let output: Output

    /// - Parameter output: where the answers go, and nothing else.
    init(_ output: Output) { self.output = output }

    static func answer(_ position: Int) -> [UInt8] { Array("{\"position\":\(position)}\n".utf8) }

    static func place(_ lines: ClosedRange<Int>) -> String {
        lines.count == 1 ? "line \(lines.lowerBound)" : "lines \(lines.lowerBound) to \(lines.upperBound)"
    }

    // MARK: What becomes of lines

    /// These lines are being appended.
    func begin(_ lines: ClosedRange<Int>) { state.withLock { $0.underWay = lines } }

    /// The lines under way are durable at these positions.
    ///
    /// - Returns: their answers, to be written now.
    func appended(at positions: Range<Int>) -> [UInt8] {
        let answers = positions.flatMap(Self.answer)
        let written = output.byteCount
        state.withLock { state in
            guard let lines = state.underWay else { return }
            state.appended.removeAll { $0.bytes.upperBound <= written }
            let bytes = state.byteCount..<(state.byteCount + answers.count)
            state.appended.append(Appended(firstLine: lines.lowerBound, positions: positions, bytes: bytes))
            state.byteCount = bytes.upperBound
            state.underWay = nil
        }
        return answers
    }

    /// It is known, as far as it will be, what became of the lines under way: says so, once, and at once. What is left to be
    /// done may take long, and the program be ended meanwhile.
    func failed(_ message: String) {
        state.withLock { state in
            StandardError.say(message)
            state.underWay = nil
        }
    }

    // MARK: What to say

    /// What to say where the program ends now.
    var words: [String] { [unwritten, unknown].compactMap(\.self) }

    private var unknown: String? {
        state.withLock(\.underWay).map { "\(Self.place($0)): whether that was written is not known" }
    }

    /// Of the events whose answers are not written.
    var unwritten: String? {
        let written = output.byteCount
        let rests = state.withLock { $0.appended.compactMap { Self.rest($0, written: written) } }
        guard let first = rests.first, let last = rests.last else { return nil }
        let lines = first.firstLine...(last.firstLine + last.positions.count - 1)
        // Others may append between two batches.
        let ranges = rests.reduce(into: [Range<Int>]()) { ranges, rest in
            if let last = ranges.last, last.upperBound == rest.positions.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<rest.positions.upperBound
            } else {
                ranges.append(rest.positions)
            }
        }
        let positions = ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound - 1)" }
        return lines.count == 1
            ? "\(Self.place(lines)) is appended (position \(positions[0])); its answer could not be written"
            : "\(Self.place(lines)) are appended (positions \(positions.joined(separator: ", "))); their answers could "
                + "not be written"
    }

    /// What of it is not written; nil: all is. An answer of which only a part is written counts as not written.
    private static func rest(_ appended: Appended, written: Int) -> Appended? {
        guard appended.bytes.upperBound > written else { return nil }
        var rest = appended
        var end = rest.bytes.lowerBound
        while let position = rest.positions.first {
            end += answer(position).count
            guard end <= written else { break }
            rest.positions.removeFirst()
            rest.firstLine += 1
        }
        return rest
    }
}
