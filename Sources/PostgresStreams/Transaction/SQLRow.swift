import LibPQ

/// A row of what the caller's own SQL answered.
public struct SQLRow: Sendable {
    private let result: QueryResult
    private let row: Int

    init(_ result: QueryResult, row: Int) {
        self.result = result
        self.row = row
    }

    public var columnCount: Int { result.columnCount }

    /// - Precondition: there is such a column.
    public subscript(_ column: Int) -> SQLValue {
        precondition((0..<columnCount).contains(column), "there is no column \(column): the row has \(columnCount)")
        return SQLValue(result.optionalText(row: row, column: column))
    }

    /// The first column of that name; nil where there is none.
    public subscript(_ name: String) -> SQLValue? {
        (0..<result.columnCount).first { result.columnName($0) == name }.map { self[$0] }
    }
}

/// What one statement of the caller's own SQL answered: its rows. `first` is nil where there are none.
public struct SQLAnswer: Sendable, RandomAccessCollection {
    private let result: QueryResult

    init(_ result: QueryResult) { self.result = result }

    public var startIndex: Int { 0 }
    public var endIndex: Int { result.rowCount }

    /// - Precondition: there is such a row. (libpq would answer nulls, as if the row were there.)
    public subscript(_ row: Int) -> SQLRow {
        precondition(indices.contains(row), "there is no row \(row): the answer has \(count)")
        return SQLRow(result, row: row)
    }

    /// How many rows an INSERT, UPDATE, DELETE, MERGE or SELECT concerned.
    public var affectedRowCount: Int { result.commandTag.split(separator: " ").last.flatMap { Int($0) } ?? 0 }
}
