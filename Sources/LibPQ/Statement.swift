/// A statement that is sent again and again: its text, the name it is prepared under, its parameters' types.
package struct Statement: Sendable {
    /// Unique for the text; the name on the server.
    package var name: String
    package var sql: String
    package var parameterTypes: [UInt32]
    /// Whether the rows come as text, which every type has, or in binary format.
    package var hasTextResults: Bool

    package init(
        name: String,
        sql: String,
        parameterTypes: [ParameterType] = [],
        hasTextResults: Bool = false
    ) {
        self.hasTextResults = hasTextResults
        self.name = name
        self.sql = sql
        self.parameterTypes = parameterTypes.map(\.rawValue)
    }
}

/// The type of a parameter: PostgreSQL's oid of it, fixed in its catalog.
package enum ParameterType: UInt32, Sendable {
    case bool = 16
    case char = 18
    case int8 = 20
    case int4 = 23
    case text = 25
    case json = 114
    case uuid = 2950
    case jsonArray = 199
    case boolArray = 1000
    case charArray = 1002
    case int4Array = 1007
    case textArray = 1009
    case int8Array = 1016
    case uuidArray = 2951
}
