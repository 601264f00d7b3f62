/// Where a session logs in, and as whom: what libpq makes of the connection string, the service file and the environment.
package struct LogInTarget: Sendable {
    /// In the order in which they are tried; the host of a socket is its folder.
    package var places: [(host: String, port: String)]
    package var user: String
    package var database: String

    init(_ settings: ConnectionString, _ places: Places) {
        self.places = places.all.map { place in
            (place.host.isEmpty ? place.address : place.host, place.port.isEmpty ? "5432" : place.port)
        }
        user = settings.user ?? ""
        database = settings.database ?? ""
    }
}
