import Testing

@testable import PrivatePostgres

@Suite("A server's version")
struct ServerVersionTests {
    @Test(
        "is read from what the program prints",
        arguments: [
            ("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", 150_020), ("postgres (PostgreSQL) 14.0", 140_000),
            ("postgres (PostgreSQL) 19beta1", 190_000), ("postgres (PostgreSQL) 18devel", 180_000),
        ]
    )
    func versions(text: String, number: Int) {
        #expect(ServerVersion(programOutput: text)?.number == number)
    }

    @Test(
        "is unknown for other programs and other ways of counting",
        arguments: ["", "dash 0.5", "postgres (PostgreSQL) 9.6.3"]
    )
    func unknown(text: String) {
        #expect(ServerVersion(programOutput: text) == nil)
    }
}
