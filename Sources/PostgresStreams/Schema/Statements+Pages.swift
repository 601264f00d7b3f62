/// Ranges of a stream's positions, as several statements have them.
extension Statements {
    /// The position behind one; the greatest of all, which only a forged row has, has none, and is not to refuse what is asked of
    /// others.
    static func next(after position: String) -> String { "\(position) + (\(position) < 9223372036854775807)::integer" }

    /// The condition for up to `count` events of a stream, without a claim's reservation (0001_journal.sql); it ends with the
    /// first large one, so that a page's size is bounded whatever the stream holds.
    ///
    /// Positions are dense, so a count is a range of them: with both its ends in the condition even the worst plan, on a
    /// table that was never analyzed, reads no more than the page. A LIMIT would leave it the rest of the stream to sort.
    static func page(
        of stream: String,
        in schema: String,
        from position: String,
        count: String
    ) -> String {
        """
        e.stream_id = \(stream) and e.position >= \(position) and e.position < \(position) + \(count) and e.kind <> 'r'
        and e.position <= coalesce(\(firstLarge(of: stream, in: schema, from: position, count: count)), 9223372036854775807)
        """
    }

    /// The first event of so many that ends a page; null where there is none.
    static func firstLarge(
        of stream: String,
        in schema: String,
        from position: String,
        count: String
    ) -> String {
        """
        (select pg_catalog.min(l.position) from \(schema).events l
        where l.stream_id = \(stream) and l.position >= \(position) and l.position < \(position) + \(count)
            and pg_catalog.octet_length(l.event::text) > \(PageReader.largeEventByteCount))
        """
    }
}
