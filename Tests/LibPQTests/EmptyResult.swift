import Foundation

@testable import LibPQ

extension QueryResult {
    /// A result without rows, as libpq makes it, for tests without a server. Each is told from others by its identity.
    ///
    /// libpq's function is looked up by its name, since `LibPQ` alone imports the C module.
    static func empty() -> QueryResult {
        typealias Make = @convention(c) (_ connection: OpaquePointer?, _ status: UInt32) -> OpaquePointer?
        guard let symbol = dlsym(dlopen(nil, RTLD_NOW), "PQmakeEmptyPGresult"),
            // PGRES_TUPLES_OK is 2.
            let pointer = unsafeBitCast(symbol, to: Make.self)(nil, 2)
        else { preconditionFailure("libpq is not there") }
        // The new owner frees it.
        return QueryResult(owning: pointer)
    }
}
