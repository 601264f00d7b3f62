/// What tells the events of a run apart: who appended it, and as which of theirs.
package struct EventID: Hashable, Sendable, LosslessStringConvertible {
    package var writer: Int32
    package var number: Int32

    package init(writer: Int, number: Int) {
        self.writer = Int32(truncatingIfNeeded: writer)
        self.number = Int32(truncatingIfNeeded: number)
    }

    /// `writer.number`, as in `12.345`.
    package init?(_ description: String) {
        let parts = description.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let writer = Int32(parts[0]), let number = Int32(parts[1]) else { return nil }
        self.writer = writer
        self.number = number
    }

    package var description: String { "\(writer).\(number)" }
}
