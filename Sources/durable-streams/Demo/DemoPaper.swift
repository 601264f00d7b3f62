import Foundation

/// What the demo prints on, in columns, with colours where it is a terminal that wants some (see no-color.org).
struct DemoPaper: Sendable {
    enum Ink: Int, Sendable {
        case plain = 0
        case strong = 1
        case faint = 2
        case red = 31
        case green = 32
        case yellow = 33
        case blue = 34
    }

    private let isColoured: Bool

    init() {
        let environment = ProcessInfo.processInfo.environment
        isColoured =
            isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    func line(_ text: String = "", _ ink: Ink = .plain) async throws {
        let line = isColoured && ink != .plain ? "\u{1B}[\(ink.rawValue)m\(text)\u{1B}[0m\n" : text + "\n"
        try await Output.standard.write(Array(line.utf8))
    }

    /// `tail    #3   root.0  inventory.reserve   ok`: who, where, which coroutine, what.
    func row(_ who: String, _ place: String, _ coroutine: String, _ text: String, _ ink: Ink) async throws {
        try await line("  " + Self.pad(who, 8) + Self.pad(place, 5) + Self.pad(coroutine, 8) + text, ink)
    }

    static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    static func milliseconds(_ value: Double) -> String { String(format: "%.2f ms", value) }
}
