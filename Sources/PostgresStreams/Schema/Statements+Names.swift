/// What a schema's functions make of their schema's name.
extension Statements {
    /// Whether a schema has another name than when its functions were made: they go on in the schema that has the old one
    /// now, or in none. See the search paths in 0002_append.sql.
    static func isRenamed(_ schema: SchemaName) -> String {
        // The server has them quoted where they must be, or where it was told to quote all.
        let paths = [schema.text, schema.quoted].flatMap { name in
            ["pg_temp", "\"pg_temp\""].map { "search_path=\(name), \($0)".quotedLiteral }
        }
        return """
            exists (
                select from pg_catalog.pg_proc p
                where p.proname = 'claim' and pg_catalog.oidvectortypes(p.proargtypes) = 'text, text'
                    and p.pronamespace = pg_catalog.to_regnamespace(\(schema.quoted.quotedLiteral))
                    and not p.proconfig && array[\(paths.joined(separator: ", "))])
            """
    }
}
