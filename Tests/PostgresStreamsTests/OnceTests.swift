import Synchronization
import Testing

@testable import PostgresStreams

@Suite("A value set once", .timeLimit(.minutes(1)))
struct OnceTests {
    @Test("all receivers get the first value, those before it and those after")
    func receivers() {
        let once = Once<Int>()
        let received = Mutex<[Int]>([])
        for receiver in [10, 20] { once.onValue { value in received.withLock { $0.append(receiver + value) } } }
        #expect(once.set(1))
        #expect(!once.set(2))
        for receiver in [30, 40] { once.onValue { value in received.withLock { $0.append(receiver + value) } } }
        #expect(received.withLock { $0 } == [11, 21, 31, 41])
    }
}
