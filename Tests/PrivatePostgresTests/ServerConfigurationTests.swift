import Testing

@testable import PrivatePostgres

@Suite("A server's configuration")
struct ServerConfigurationTests {
    @Test("puts the caller's settings last, with quotes and backslashes escaped")
    func order() throws {
        let lines = try ServerConfiguration(tcp: false, settings: ["fsync": "off", "a.b": #"it's \ "#]).lines
        #expect(lines.contains("fsync = on"))
        #expect(lines.suffix(2) == [#"a.b = 'it''s \\ '"#, "fsync = 'off'"])
    }

    @Test(
        "refuses what would end the line",
        arguments: [("a", "1\nfsync = off"), ("a = 1\nb", "2"), ("", "1"), ("a b", "1")]
    )
    func refused(name: String, value: String) {
        let error = #expect(throws: PrivatePostgresError.self) {
            try ServerConfiguration(tcp: false, settings: [name: value])
        }
        #expect(error?.code == .invalidSetting)
    }
}
