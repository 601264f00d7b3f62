import Testing

@testable import PrivatePostgres

@Suite("A connection URI")
struct ConnectionURITests {
    @Test("names the socket's folder, or the loopback address")
    func hosts() {
        let socket = ConnectionURI(host: .socket(folder: "/tmp/a"), port: 5432, user: "u", database: "d")
        #expect(socket.text == "postgresql://u@/d?host=/tmp/a&port=5432")
        let tcp = ConnectionURI(host: .loopback, port: 6000, user: "u", password: "p", database: "d")
        #expect(tcp.text == "postgresql://u:p@127.0.0.1:6000/d")
    }

    @Test("escapes whatever could be taken for its own syntax")
    func escapes() {
        let uri = ConnectionURI(host: .loopback, port: 1, user: "a:b@c", password: "ü&?\n", database: "x y#%")
        #expect(uri.text == "postgresql://a%3Ab%40c:%C3%BC%26%3F%0A@127.0.0.1:1/x%20y%23%25")
    }
}
