import Testing

/// A call of `append_batch` that no honest client makes, against streams `open` (unclaimed, 3 events) and `claimed`
/// (epoch 2, 2 events).
struct HostileBatch: Sendable, CustomTestStringConvertible {
    var what: String
    var streams = "array['open']"
    var epochs = "array[null]"
    var positions = "array[3]"
    var exact = "array[true]"
    var tokens = "array[gen_random_uuid()]"
    var runs = "array[1]"
    var offsets = "array[0]"
    var kinds = "array['c']"
    var ids = "array['root']"
    var events = "array['{}']"
    var durability = "'on'"
    /// Its arrays do not belong together: it is refused, whatever they hold.
    var isMisshapen = false

    var testDescription: String { what }

    var sql: String {
        """
        select * from append_batch(\(streams)::text[], \(epochs)::bigint[], \(positions)::bigint[], \(exact)::boolean[],
            \(tokens)::uuid[], \(runs)::integer[], \(offsets)::integer[], \(kinds)::"char"[], \(ids)::text[], \(events)::json[], \(durability))
        """
    }

    private var misshapen: HostileBatch {
        var batch = self
        batch.isMisshapen = true
        return batch
    }

    private static let twice = "array[gen_random_uuid(), gen_random_uuid()]"

    static let all: [HostileBatch] = [
        HostileBatch(
            what: "a stream twice",
            streams: "array['open', 'open']",
            epochs: "array[null, null]",
            positions: "array[3, 3]",
            exact: "array[true, true]",
            tokens: twice,
            runs: "array[1, 2]",
            offsets: "array[0, 0]",
            kinds: "array['c', 'c']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ).misshapen,
        HostileBatch(what: "a new stream twice", streams: "array['new', 'new']", positions: "array[0, 0]").misshapen,
        HostileBatch(
            what: "another writer's run under an open one's number",
            streams: "array['claimed', 'open']",
            epochs: "array[1, null]",
            positions: "array[2, 3]",
            exact: "array[true, true]",
            tokens: twice,
            runs: "array[1, 1]",
            offsets: "array[0, 1]",
            kinds: "array['c', 'c']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ).misshapen,
        HostileBatch(
            what: "streams unsorted, epochs swapped",
            streams: "array['open', 'claimed']",
            epochs: "array[2, null]",
            positions: "array[3, 2]",
            exact: "array[true, true]",
            tokens: twice,
            runs: "array[1, 2]",
            offsets: "array[0, 0]",
            kinds: "array['c', 'c']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ),
        HostileBatch(
            what: "a claimer's run without events",
            streams: "array['claimed']",
            epochs: "array[2]",
            positions: "array[2]",
            runs: "array[]",
            offsets: "array[]",
            kinds: "array[]",
            ids: "array[]",
            events: "array[]"
        ).misshapen,
        HostileBatch(
            what: "a null run in the place of a claimer's",
            streams: "array['a', 'claimed', 'open']",
            epochs: "array[null, 2, null]",
            positions: "array[0, 2, 3]",
            exact: "array[true, true, true]",
            tokens: "array[gen_random_uuid(), gen_random_uuid(), gen_random_uuid()]",
            runs: "array[1, 3, null]",
            offsets: "array[0, 0, 0]",
            kinds: "array['c', 'c', 'c']",
            ids: "array['a', 'b', 'c']",
            events: "array['{}', '{}', '{}']"
        ).misshapen,
        HostileBatch(
            what: "runs from 0",
            streams: "array['claimed', 'open']",
            epochs: "array[2, null]",
            positions: "array[2, 3]",
            exact: "array[true, true]",
            tokens: twice,
            runs: "array[0, 1]",
            offsets: "array[0, 0]",
            kinds: "array['c', 'c']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ).misshapen,
        HostileBatch(what: "an unclaimed writer", streams: "array['claimed']", positions: "array[2]"),
        HostileBatch(what: "epoch 0", streams: "array['claimed']", epochs: "array[0]", positions: "array[2]"),
        HostileBatch(what: "an older epoch", streams: "array['claimed']", epochs: "array[1]", positions: "array[2]"),
        HostileBatch(what: "a later epoch", streams: "array['claimed']", epochs: "array[3]", positions: "array[2]"),
        HostileBatch(what: "no epochs at all", streams: "array['claimed']", epochs: "null", positions: "array[2]")
            .misshapen,
        HostileBatch(what: "empty epochs", streams: "array['claimed']", epochs: "array[]", positions: "array[2]")
            .misshapen,
        HostileBatch(what: "no streams", streams: "array[]").misshapen,
        HostileBatch(what: "null streams", streams: "null").misshapen,
        HostileBatch(what: "a null stream", streams: "array[null]").misshapen,
        HostileBatch(what: "a null stream from the start", streams: "array[null]", positions: "array[0]").misshapen,
        HostileBatch(what: "an empty name", streams: "array['']", positions: "array[0]"),
        HostileBatch(what: "a two-dimensional array of streams", streams: "array[array['open'], array['claimed']]")
            .misshapen,
        HostileBatch(what: "a position past the end", positions: "array[7]"),
        HostileBatch(what: "a position before the end", positions: "array[1]"),
        HostileBatch(what: "a negative position", positions: "array[-1]").misshapen,
        HostileBatch(what: "a negative position, not exact", positions: "array[-5]", exact: "array[false]").misshapen,
        HostileBatch(
            what: "a negative position of a new stream, not exact",
            streams: "array['new']",
            positions: "array[-1]",
            exact: "array[false]"
        ).misshapen,
        HostileBatch(what: "the greatest position", positions: "array[9223372036854775807]").misshapen,
        HostileBatch(
            what: "the greatest position, not exact",
            positions: "array[9223372036854775807]",
            exact: "array[false]"
        ).misshapen,
        HostileBatch(what: "the least position", positions: "array[-9223372036854775808]").misshapen,
        HostileBatch(what: "a null position", positions: "array[null]"),
        HostileBatch(what: "no positions", positions: "array[]").misshapen,
        HostileBatch(what: "null exact", exact: "array[null]"),
        HostileBatch(what: "no tokens", tokens: "null").misshapen,
        HostileBatch(
            what: "the token of an event that is there",
            tokens: "(select array[min(token::text)] from events)"
        ),
        HostileBatch(what: "a run 0", runs: "array[0]").misshapen,
        HostileBatch(what: "a run that is none", runs: "array[2]").misshapen,
        HostileBatch(what: "a negative run", runs: "array[-1]").misshapen,
        HostileBatch(what: "a null run", runs: "array[null]").misshapen,
        HostileBatch(
            what: "a null run beside one that is there",
            runs: "array[1, null]",
            offsets: "array[0, 5]",
            kinds: "array['y', 'y']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ).misshapen,
        HostileBatch(what: "no runs", runs: "array[]").misshapen,
        HostileBatch(what: "an offset that leaves a gap", offsets: "array[1]").misshapen,
        HostileBatch(what: "a negative offset", offsets: "array[-1]").misshapen,
        HostileBatch(what: "a null offset", offsets: "array[null]").misshapen,
        HostileBatch(what: "no offsets", offsets: "null").misshapen,
        HostileBatch(
            what: "offsets with a gap between",
            runs: "array[1, 1]",
            offsets: "array[0, 2]",
            kinds: "array['c', 'c']",
            ids: "array['a', 'b']",
            events: "array['{}', '{}']"
        ).misshapen,
        HostileBatch(what: "more runs than events", runs: "array[1, 1, 1]").misshapen,
        HostileBatch(what: "more events than runs", events: "array['{}', '{}', '{}']").misshapen,
        HostileBatch(what: "an unknown kind", kinds: "array['x']"),
        HostileBatch(what: "no kinds", kinds: "null").misshapen,
        HostileBatch(what: "null coroutine", ids: "array[null]"),
        HostileBatch(what: "null event", events: "array[null]"),
        HostileBatch(what: "null events", events: "null").misshapen,
        HostileBatch(what: "arrays that begin elsewhere", streams: "'[5:5]={open}'", positions: "'[7:7]={3}'")
            .misshapen,
        HostileBatch(what: "an unknown durability", durability: "'never'"),
        HostileBatch(what: "null durability", durability: "null"),
        HostileBatch(what: "SQL as durability", durability: "'on''; delete from events; --'"),
    ]
}
