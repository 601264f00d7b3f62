import Testing

@testable import StreamStress

@Suite("The ledger of a stress run")
struct StressLedgerTests {
    @Test("can be asked for the time and let go, however often it was asked")
    func manyLooks() async {
        // In a process of its own: what went wrong was its end.
        await #expect(processExitsWith: .success) {
            let ledger = StressLedger(duration: .seconds(3600))
            try await ledger.running {
                for _ in 0..<200_000 where !ledger.isRunning() { throw CancellationError() }
            }
        }
    }

    @Test("cuts a pause short where the time is over before")
    func timeLeft() {
        let ledger = StressLedger(duration: .seconds(3600))
        #expect(ledger.atMostTheTimeLeft(.seconds(1)) == .seconds(1))
        #expect(ledger.atMostTheTimeLeft(.seconds(7200)) <= .seconds(3600))
        ledger.endNow()
        #expect(ledger.atMostTheTimeLeft(.seconds(1)) == .zero)
    }
}
