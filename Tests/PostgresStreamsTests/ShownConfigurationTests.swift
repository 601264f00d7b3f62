import Logging
import Testing

@testable import PostgresStreams

/// What holds a connection string shows where it leads, and no password, however it is printed.
@Suite("A configuration that is printed")
struct ShownConfigurationTests {
    private struct Holder {
        var configuration: JournalConfiguration
        var maybe: JournalConfiguration?
    }

    private static let mark = "hunter2"

    private static func forms(_ value: Any) -> [String] {
        var dumped = ""
        dump(value, to: &dumped)
        return ["\(value)", String(reflecting: value), dumped, "\([value])", "\(Optional(value) as Any)"]
    }

    @Test("shows hosts, ports, database and user in every form, alone and in what holds it")
    func places() {
        let configuration = JournalConfiguration(
            databaseURL: "postgresql://app:hunter2@localhost:5433/orders?sslpassword=hunter2&options=-c%20x%3Dhunter2",
            listenURL: "host=direct.example user=app password=hunter2 passfile=/hunter2 dbname=orders"
        )
        for form in Self.forms(configuration) + Self.forms(Holder(configuration: configuration, maybe: configuration)) {
            #expect(form.contains("host=localhost port=5433 dbname=orders user=app"), "\(form)")
            #expect(form.contains("host=direct.example dbname=orders user=app"), "\(form)")
            #expect(form.contains("durable_streams"), "\(form)")
            #expect(!form.contains(Self.mark), "\(form)")
        }
    }

    @Test(
        "shows nothing of a password that was not written as it should be",
        arguments: [
            "hunter2", "postgresql://u:hunter2%zz@h/d", "postgresql://u:hun/hunter2@h/d",
            "postgresql://u:a@hunter2@h/d",
            "host=h dbname=d;password=hunter2", "postgresql://h/d;password=hunter2", "postgresql://u:12:hunter2@h/d",
            "host=h;password=hunter2 dbname=d", "dbname=postgresql://u:hunter2@h/d",
        ]
    )
    func mistaken(url: String) {
        let configuration = JournalConfiguration(databaseURL: url, listenURL: url)
        for form in Self.forms(configuration) { #expect(!form.contains(Self.mark), "\(form)") }
    }

    @Test("the parts that are made of it show no more")
    func parts() throws {
        let url = "postgresql://app:hunter2@localhost:5433/orders?sslpassword=hunter2"
        var configuration = JournalConfiguration(databaseURL: url, listenURL: url)
        configuration.applicationName = "own"
        let options = Link.Options(configuration, try SchemaName("durable_streams"))
        let parts: [Any] = [
            options, options.session, OwnBackends(configuration),
            try Migrator(configuration),
            try Doctor(configuration),
        ]
        for part in parts { for form in Self.forms(part) { #expect(!form.contains(Self.mark), "\(form)") } }
        #expect("\(options.session)".contains("host=localhost port=5433 dbname=orders user=app"))
    }
}
