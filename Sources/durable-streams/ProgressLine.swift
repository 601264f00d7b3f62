import Foundation

/// One line on the terminal that says how far something has come, and is gone once it is done. Where stderr is no
/// terminal, or the thing takes no time, it says nothing.
struct ProgressLine {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var nextTime = ContinuousClock.now + .seconds(1)
    private var isShown = false

    /// Says it, at most four times a second.
    mutating func show(_ text: String) {
        guard isTerminal, ContinuousClock.now >= nextTime else { return }
        nextTime = .now + .milliseconds(250)
        isShown = true
        // Back to the line's beginning; erase to its end.
        say("\r\(text)\u{1B}[K")
    }

    mutating func clear() {
        guard isShown else { return }
        isShown = false
        say("\r\u{1B}[K")
    }

    /// Nobody can be told that nobody can be told.
    private func say(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
