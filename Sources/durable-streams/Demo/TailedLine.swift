import TisynStreams

/// A line of the `tail` process, taken apart again, and when it was here.
struct TailedLine: Sendable {
    let position: Int
    let event: DurableEvent
    let time: MonotonicTime

    init(_ line: ToolChildProcess.Line) throws {
        let text = try JSONText(utf8: line.text)
        guard let position = text[member: "position"].flatMap({ Int($0.string) }), let event = text[member: "event"]
        else {
            throw ToolError(.checkFailed, "the tail printed a line without position or event")
        }
        self.position = position
        self.event = try DurableEvent(json: event)
        time = line.time
    }

    /// `inventory.reserve  ok`, or how the coroutine closed.
    var summary: String {
        get throws {
            let status =
                switch try event.result() {
                case .ok: "ok"
                case .error(let failure): "error: \(failure.message)"
                case .cancelled: "cancelled"
                }
            guard let effect = try event.yieldEntry()?.description else { return "closes            " + status }
            return DemoPaper.pad("\(effect.type).\(effect.name)", 18) + status
        }
    }
}
