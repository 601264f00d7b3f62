import Foundation
import PostgresStreams
import PrivatePostgres
import Testing
import TisynStreams

/// TLS against a server whose certificates are the test's own.
@Suite(
    "TLS",
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: TestServer.isPrivate, "needs a server of its own"),
    .enabled("needs a server that was built with TLS") { try await TestServer.shared.hasTLS() },
    .enabled(if: CertificateAuthority.program != nil, "there is no openssl")
)
struct TLSTests {
    /// Runs `body` with a server that has this certificate, and the way to it by the name `localhost`.
    private func withServer(
        _ authority: CertificateAuthority,
        host: String = "localhost",
        days: Int = 2,
        _ body: (_ server: PrivatePostgres, _ url: String) async throws -> Void
    ) async throws {
        let (certificate, key) = try await authority.issue(for: host, days: days)
        try await withPrivatePostgres(.init(tcp: true)) { server in
            try install(certificate, as: "server.crt", on: server)
            try install(key, as: "server.key", on: server)
            try await server.psql("alter system set ssl = on")
            try await server.restart()
            let url =
                "postgresql://postgres:\(server.password)@localhost:\(server.port)/postgres?hostaddr=127.0.0.1"
            try await body(server, url)
        }
    }

    /// The key must be its reader's alone, who is not us where the tests are root's.
    private func install(_ data: Data, as name: String, on server: PrivatePostgres) throws {
        let path = "\(server.dataDirectory)/\(name)"
        try data.write(to: URL(fileURLWithPath: path))
        let owner = try FileManager.default.attributesOfItem(atPath: server.dataDirectory)
        var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        if geteuid() == 0 {
            attributes[.ownerAccountID] = owner[.ownerAccountID]
            attributes[.groupOwnerAccountID] = owner[.groupOwnerAccountID]
        }
        try FileManager.default.setAttributes(attributes, ofItemAtPath: path)
    }

    private func openError(_ url: String) async -> JournalError? {
        await thrown { try await withJournal(.quiet(url), migrate: true) { _ in } }
    }

    @Test("verify-full passes with the right authority, and the doctor says so; less is a warning")
    func verified() async throws {
        let authority = try await CertificateAuthority(name: "ours")
        try await withServer(authority) { _, url in
            let verified = "\(url)&sslmode=verify-full&sslrootcert=\(authority.certificate)"
            try await withJournal(.quiet(verified), migrate: true) { journal in
                #expect(journal.server.isEncrypted)
                let position = try await journal.stream("s").append(.close("root", .cancelled))
                #expect(position == 0)
            }
            let diagnosis = try await Doctor(.quiet(verified)).examinePatiently()
            #expect(diagnosis["tls"]?.verdict == .ok, "\(diagnosis.findings)")
            #expect(diagnosis["tls"]?.found.contains("TLSv1.") == true)
            let unverified = try await Doctor(.quiet("\(url)&sslmode=require")).examinePatiently()
            #expect(unverified["tls"]?.verdict == .warning, "\(unverified.findings)")
            #expect(unverified["tls"]?.found.contains("is not verified") == true, "\(unverified.findings)")
            // libpq looks where it has something to look by.
            let half = "\(url)&sslmode=require&sslrootcert=\(authority.certificate)"
            let found = try await Doctor(.quiet(half)).examinePatiently()["tls"]
            #expect(found?.verdict == .warning)
            #expect(found?.found.contains("its host name is not") == true, "\(String(describing: found))")
        }
    }

    @Test("another authority's certificate is refused at once, and the error says that it could not be verified")
    func wrongAuthority() async throws {
        let authority = try await CertificateAuthority(name: "ours")
        let other = try await CertificateAuthority(name: "theirs")
        try await withServer(other) { _, url in
            let error = await openError("\(url)&sslmode=verify-full&sslrootcert=\(authority.certificate)")
            #expect(error?.code == .unfit, "\(String(describing: error))")
            #expect(error?.message.contains("certificate verify failed") == true, "\(String(describing: error))")
            let half = "\(url)&sslmode=require&sslrootcert=\(authority.certificate)"
            let finding = try await Doctor(.quiet(half)).examine()["connection"]
            #expect(finding?.verdict == .problem && finding?.advice?.contains("sslrootcert") == true)
        }
    }

    @Test("a certificate for another host is refused at once, and the error names both")
    func wrongHost() async throws {
        let authority = try await CertificateAuthority(name: "ours")
        try await withServer(authority, host: "elsewhere.example") { _, url in
            let error = await openError("\(url)&sslmode=verify-full&sslrootcert=\(authority.certificate)")
            #expect(error?.code == .unfit, "\(String(describing: error))")
            #expect(error?.message.contains("elsewhere.example") == true, "\(String(describing: error))")
            #expect(error?.message.contains("localhost") == true, "\(String(describing: error))")
        }
    }

    @Test("an expired certificate is refused at once, and the error says that it could not be verified")
    func expired() async throws {
        let authority = try await CertificateAuthority(name: "ours")
        try await withServer(authority, days: -1) { _, url in
            let error = await openError("\(url)&sslmode=verify-full&sslrootcert=\(authority.certificate)")
            #expect(error?.code == .unfit, "\(String(describing: error))")
            #expect(error?.message.contains("certificate") == true, "\(String(describing: error))")
        }
    }

    @Test("a server without TLS, and an authority's file that is not there, are refused at once with what is missing")
    func missing() async throws {
        let server = try await TestServer.shared.server()
        let plain = server.databaseURL(database: "postgres", tcp: true)
        let error = await openError("\(plain)?sslmode=require")
        #expect(error?.code == .unfit, "\(String(describing: error))")
        #expect(error?.message.contains("SSL") == true, "\(String(describing: error))")
        let authority = try await CertificateAuthority(name: "ours")
        try await withServer(authority) { _, url in
            let error = await openError("\(url)&sslmode=verify-full&sslrootcert=/nowhere/root.crt")
            #expect(error?.code == .unfit, "\(String(describing: error))")
            #expect(error?.message.contains("/nowhere/root.crt") == true, "\(String(describing: error))")
        }
    }

    /// libpq had room for a part of the last record, and the rest waited where the socket does not show it.
    @Test("an answer whose last record is greater than what libpq takes at once does not wait for more to come")
    func greatRecords() async throws {
        let authority = try await CertificateAuthority(name: "ours")
        let (certificate, key) = try await authority.issue(for: "localhost")
        let server = try await TestServer.shared.server()
        try await withTestDatabase { url in
            let proxy = try TLSProxy(to: server.port, certificate: certificate, key: key)
            let database = try await withSQL(url) { try await $0.value("select current_database()") }
            let proxied =
                "postgresql://postgres:\(server.password)@localhost:\(proxy.port)/\(database)?hostaddr=127.0.0.1"
                + "&gssencmode=disable&sslmode=verify-full&sslrootcert=\(authority.certificate)"
            try await withJournal(.quiet(url)) { direct in
                try await withJournal(.quiet(proxied)) { journal in
                    #expect(journal.server.isEncrypted)
                    let payload = try JSONText("\"\(String(repeating: "x", count: 3000))\"")
                    for count in 1...40 {
                        try await direct.stream("s").append(.close(CoroutineID("c\(count)"), .ok(payload)))
                        #expect(try await journal.stream("s").readAll().count == count)
                    }
                }
            }
        }
    }
}
