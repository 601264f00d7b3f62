/// Puts what the worker and the tail say into one story, prints it as it goes, and keeps what the audit needs.
///
/// Both sides of an event come from different processes in either order. Its line is printed when the tail has shown it
/// and the worker's acknowledgement is known, so that the time between the two can stand in it.
actor DemoBoard {
    /// What is left when the processes have ended.
    struct Story: Sendable {
        var tailed: [TailedLine] = []
        /// From each event's acknowledgement to the tail's line, in milliseconds; none for what no worker lived to hear.
        var lags: [Double] = []
        /// The next position at the last claim.
        var takeover = 0
        var replayedCount = 0
    }

    private let paper: DemoPaper
    private(set) var story = Story()
    private var acknowledged: [Int: MonotonicTime] = [:]
    private var printed = 0

    init(paper: DemoPaper) { self.paper = paper }

    func tailed(_ line: TailedLine) async throws {
        story.tailed.append(line)
        try await printLines()
    }

    func reported(_ report: WorkerReport, by worker: Int, processID: Int32) async throws {
        switch report {
        case .claimed(let epoch, let position):
            story.takeover = position
            let found = position == 0 ? "nothing is recorded yet" : "\(position) events are recorded"
            try await paper.line(
                "Worker \(worker) (process \(processID)) claims the stream at epoch \(epoch): \(found).",
                .strong
            )
        case .replayed(let coroutine, let effect):
            story.replayedCount += 1
            try await paper.row("worker", "", coroutine, DemoPaper.pad(effect, 18) + "replayed", .yellow)
        case .started(let coroutine, let effect):
            try await paper.row("worker", "", coroutine, DemoPaper.pad(effect, 18) + "runs", .blue)
        case .recorded(let position, let time):
            acknowledged[position] = time
            try await printLines()
        }
    }

    /// No more acknowledgements come for what is there.
    func workerEnded() async throws { try await printLines(withoutAcknowledgement: true) }

    private func printLines(withoutAcknowledgement: Bool = false) async throws {
        while printed < story.tailed.count {
            let line = story.tailed[printed]
            let acknowledgement = acknowledged[line.position]
            guard acknowledgement != nil || withoutAcknowledgement else { return }
            // Before the first suspension, or another call would print it too.
            printed += 1
            var text = DemoPaper.pad(try line.summary, 34)
            if let acknowledgement {
                let lag = line.time.milliseconds(since: acknowledgement)
                story.lags.append(lag)
                text += DemoPaper.milliseconds(lag)
            }
            try await paper.row("tail", "#\(line.position)", line.event.coroutineID.string, text, .plain)
        }
    }
}
