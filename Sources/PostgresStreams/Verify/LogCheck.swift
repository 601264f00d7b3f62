import LibPQ
import TisynStreams

/// Checks the rows of one stream, in the order of their positions. No IO.
///
/// It remembers each append's token and each closed coroutine: some 50 bytes for each.
struct LogCheck {
    private let stream: StreamName
    private(set) var eventCount = 0
    private var lastToken: Token?
    private var tokens: Set<Token> = []
    private var closed: Set<CoroutineID> = []

    init(stream: StreamName) { self.stream = stream }

    /// Takes the next row.
    ///
    /// - Throws: the first law it breaks; nothing more can be said of the stream then.
    mutating func check(_ row: EventRow) throws(LogFault) {
        func fault(_ law: LogFault.Law, _ details: String) -> LogFault {
            LogFault(law: law, stream: stream, position: row.position, details: details)
        }
        guard row.position == eventCount else { throw fault(.density, "it comes where \(eventCount) is due") }
        eventCount += 1
        if row.token != lastToken, !tokens.insert(row.token).inserted {
            throw fault(.token, "its token is that of an earlier append, with others between: an append is there twice")
        }
        lastToken = row.token
        let event: DurableEvent
        do {
            // Anew from the text: the row's own was taken on trust.
            event = try DurableEvent(json: row.event.json)
        } catch {
            throw fault(.json, "it is no event: \(error.description)")
        }
        guard event.kind == row.event.kind else {
            throw fault(.columns, "its kind is \(event.kind), its column says \(row.event.kind)")
        }
        guard event.coroutineID == row.event.coroutineID else {
            throw fault(.columns, "its coroutine id is not that of its column")
        }
        switch event.kind {
        case .yield where closed.contains(event.coroutineID):
            throw fault(.order, "coroutine \(event.coroutineID.encoded) yields after its close")
        case .yield: break
        case .close: closed.insert(event.coroutineID)
        }
    }

    /// Takes the row of a claim's reservation.
    func checkReservation(at position: Int, isLast: Bool) throws(LogFault) {
        func fault(_ details: String) -> LogFault {
            LogFault(law: .reservation, stream: stream, position: position, details: details)
        }
        guard position == eventCount else {
            throw fault("a claim's reservation stands here, and \(eventCount) is next")
        }
        guard isLast else { throw fault("there is something behind a claim's reservation") }
    }

    /// - Parameter next: the stream's next position, asked for before its rows were read.
    func finish(next: Int) throws(LogFault) {
        guard eventCount >= next else {
            throw LogFault(
                law: .length,
                stream: stream,
                position: eventCount,
                details: "the log ends here, and its next position was \(next) before it was read"
            )
        }
    }
}
