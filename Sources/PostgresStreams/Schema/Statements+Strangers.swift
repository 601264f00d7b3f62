/// Whose rights a schema's functions have, and who else could make use of them.
extension Statements {
    /// Who else than a role puts objects into a schema, or could, and what to do about it; null: nobody.
    ///
    /// Functions that run with that role's rights find them under the names that they use, ahead of the server's own where
    /// the types fit better; so does who migrates. Whoever has the role's rights in any case gains nothing by it.
    ///
    /// - Parameters:
    ///   - schema: an expression for its name.
    ///   - role: an expression for the role's oid; null for none, whom nobody threatens.
    static func strangers(in schema: String, besides role: String) -> String {
        """
        (with own as (
            select \(role) as role
        ), place as (
            select n.oid, n.nspname, n.nspacl, n.nspowner,
                -- That of public, unless it was changed: whoever owns the database.
                case when r.rolname = 'pg_database_owner' then d.datdba else n.nspowner end as owner
            from pg_catalog.pg_namespace n
            join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
            left join pg_catalog.pg_roles r on r.oid = n.nspowner
            where n.nspname = \(schema)
        ), objects as (
            select 'pg_catalog.pg_proc'::pg_catalog.regclass as catalog, oid, pronamespace as place, proowner as owner
            from pg_catalog.pg_proc
            union all select 'pg_catalog.pg_operator'::pg_catalog.regclass, oid, oprnamespace, oprowner
            from pg_catalog.pg_operator
            union all select 'pg_catalog.pg_class'::pg_catalog.regclass, oid, relnamespace, relowner from pg_catalog.pg_class
            union all select 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace, typowner from pg_catalog.pg_type
        ), reasons as (
            select 1 as number, pg_catalog.format(
                'it belongs to %1$I: alter schema %2$I owner to %3$I, or migrate as %1$I',
                pg_catalog.pg_get_userbyid(p.owner), p.nspname, pg_catalog.pg_get_userbyid(own.role)) as reason
            from place p, own where not pg_catalog.pg_has_role(p.owner, own.role, 'member')
            union all
            select distinct 2, pg_catalog.format(
                case when a.grantee = 0 then 'revoke create on schema %1$I from public'
                    else 'revoke create on schema %1$I from %2$I' end,
                p.nspname, pg_catalog.pg_get_userbyid(a.grantee))
            from own, place p cross join lateral pg_catalog.aclexplode(p.nspacl) a
            where a.privilege_type = 'CREATE' and a.grantee <> p.nspowner
                and (a.grantee = 0 or not pg_catalog.pg_has_role(a.grantee, own.role, 'member'))
            union all
            (select 3, pg_catalog.format(
                'drop the %s of %I', pg_catalog.pg_describe_object(o.catalog, o.oid, 0),
                pg_catalog.pg_get_userbyid(o.owner))
            from own, place p join objects o on o.place = p.oid
            where not pg_catalog.pg_has_role(o.owner, own.role, 'member')
            order by 2 limit 5)
        )
        select pg_catalog.string_agg(reason, '; ' order by number, reason) from reasons)
        """
    }

    /// The role whose rights a schema's functions have, as an expression for its oid; null where there is no journal.
    ///
    /// - Parameter schema: an expression for its name.
    static func definer(of schema: String) -> String {
        """
        (select p.proowner from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
        where n.nspname = \(schema) and p.proname = 'append_batch' and p.prosecdef order by p.oid limit 1)
        """
    }

    /// The role that asks, as an expression for its oid.
    static let asker = "(select r.oid from pg_catalog.pg_roles r where r.rolname = current_user)"
}
