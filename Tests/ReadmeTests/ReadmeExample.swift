import PostgresStreams
import TisynStreams

func chargeOnce(databaseURL: String) async throws {
    let configuration = JournalConfiguration(databaseURL: databaseURL)
    try await withJournal(configuration, migrate: true) { journal in
        // One writer: from here on no other worker can append to this stream.
        let stream = try await journal.stream("orders/17").claim().stream

        let replay = stream.replayIndex()
        let effect = try EffectDescription(effectID: "payment.charge", input: JSONText(#"{"cents":4200}"#))
        switch try await replay.match(effect, in: .root) {
        case .replay(let result):
            print("recorded before the crash:", result)
        case .live:
            let receipt = try JSONText(#"{"receipt":"r-456"}"#)  // run the effect here
            let position = try await stream.append(.yield(.root, effect, .ok(receipt)))
            print("durable at position", position)  // only now does execution go on
        }
        if try await !replay.hasClose(.root) { try await stream.append(.close(.root, .ok(nil))) }

        for try await recorded in stream.tail(from: .start, untilClose: true) {
            print(recorded.position, recorded.event)
        }
    }
}
