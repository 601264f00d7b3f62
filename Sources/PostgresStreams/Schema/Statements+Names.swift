/// What a schema's functions make of their schema's name.
extension Statements {
    /// Whether a schema has another name than when its functions were made: they go on in the schema that has the old one
    /// now, or in none. See the search paths in 0002_append.sql.
    ///
    static func isRenamed(_ schema: SchemaName) -> String {
        // The server has it quoted where it must be, or where it is told to quote all.
        let names = ["pg_catalog.quote_ident(\(schema.text.quotedLiteral))", schema.quoted.quotedLiteral]
        let differences = names.map { "'search_path=' || \($0) || ', pg_temp' <> all (p.proconfig)" }
        return """
            exists (
                select from pg_catalog.pg_proc p
                where p.proname = 'claim'
                    and p.pronamespace = pg_catalog.to_regnamespace(\(schema.quoted.quotedLiteral))
                    and \(differences.joined(separator: " and ")))
            """
    }

    /// Who may create objects in a schema and does not own it, with commas between: `public`, or roles. Null: nobody.
    ///
    /// The functions, and who migrates, run with their owner's rights what stands in the schema under a name they use.
    ///
    /// - Parameter schema: an expression for its name.
    static func creators(_ schema: String) -> String {
        """
        (select pg_catalog.string_agg(c.name, ', ' order by c.name)
        from (
            select case when a.grantee = 0 then 'public' else pg_catalog.quote_ident(r.rolname::text) end as name
            from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
            left join pg_catalog.pg_roles r on r.oid = a.grantee
            where n.nspname = \(schema) and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner) c)
        """
    }
}
