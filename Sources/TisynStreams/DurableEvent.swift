/// One entry of a journal: an effect and its result (`yield`), or a coroutine's end (`close`).
///
/// Written by ``DurableStream/append(_:)``, read back by ``DurableStream/readAll()``, matched by ``ReplayIndex``. It is its
/// JSON text, kept byte for byte, unknown members included (contract §1); what is inside is parsed when asked for.
/// Two events are equal when their texts are.
public struct DurableEvent: Sendable {
    /// The event's text, exactly as it was given.
    public let json: JSONText

    /// Which of the two event types it is.
    public let kind: Kind

    /// The coroutine that yielded or closed.
    public let coroutineID: CoroutineID

    public enum Kind: Hashable, Sendable {
        case yield, close
    }

    /// Takes the text of an event. Throws ``EventError`` if it is not JSON of at most 1,002 levels, or not an event: its
    /// values have 1,000.
    public init(_ string: String) throws(EventError) {
        try self.init(checking: JSONBytes(string.utf8))
    }

    /// Takes the UTF-8 text of an event, as ``init(_:)`` does.
    public init(utf8 bytes: some Sequence<UInt8>) throws(EventError) {
        try self.init(checking: JSONBytes(bytes))
    }

    /// Takes a text that is JSON already. Throws ``EventError`` if it is not an event.
    public init(json: JSONText) throws(EventError) {
        try self.init(json, limit: .max)
    }

    private init(checking storage: JSONBytes) throws(EventError) {
        try self.init(JSONText(trusting: storage.bytes, owner: storage), limit: JSONScanner.maximumDepth + 2)
    }

    private init(_ json: JSONText, limit: Int) throws(EventError) {
        self.json = json
        (kind, coroutineID) = try json.withBytes { bytes throws(EventError) in
            try Self.outline(bytes, limit: limit).check(bytes)
        }
    }

    /// Takes an event from columns that a journal wrote, without looking into its text.
    package init(trusting json: JSONText, kind: Kind, coroutineID: CoroutineID) {
        self.json = json
        self.kind = kind
        self.coroutineID = coroutineID
    }

    /// The same event in memory of its own. One that was read, and every part of it, keeps all that was read with it: up to
    /// some 4 MiB of a journal's. Who keeps few of many keeps these.
    public func detached() -> DurableEvent {
        DurableEvent(trusting: json.detached(), kind: kind, coroutineID: coroutineID)
    }

    /// What was yielded and what came of it; nothing for a close. Parsed anew each time.
    ///
    /// Throws only for an event that came out of a journal somebody else wrote wrongly.
    public func yieldEntry() throws(EventError) -> YieldEntry? {
        guard kind == .yield else { return nil }
        return try json.withBytes { bytes throws(EventError) in
            if let skim = YieldSkim(bytes) { return entry(skim, bytes) }
            let outline = try Self.outline(bytes, limit: .max)
            let found = try outline.checkDescription()
            let scanner = JSONScanner(bytes)
            let description = EffectDescription(
                type: scanner.string(found.type),
                name: scanner.string(found.name),
                input: found.input.map { json.slice($0.start..<$0.end) },
                sha: found.sha.map(scanner.string)
            )
            return YieldEntry(description: description, result: try result(outline, bytes))
        }
    }

    private func entry(_ skim: YieldSkim, _ bytes: UnsafeRawBufferPointer) -> YieldEntry {
        let scanner = JSONScanner(bytes)
        let description = EffectDescription(
            type: scanner.string(skim.type),
            name: scanner.string(skim.name),
            input: skim.input.map(json.slice),
            sha: skim.sha.map(scanner.string)
        )
        let result: EffectResult =
            switch skim.result {
            case .ok(let value): .ok(value.map(json.slice))
            case .error(let message, let name):
                .error(EffectFailure(message: scanner.string(message), name: name.map(scanner.string)))
            case .cancelled: .cancelled
            }
        return YieldEntry(description: description, result: result)
    }

    /// The effect's result, or what the coroutine closed with. Parsed anew each time.
    ///
    /// Throws only for an event that came out of a journal somebody else wrote wrongly.
    public func result() throws(EventError) -> EffectResult {
        try json.withBytes { bytes throws(EventError) in
            try result(try Self.outline(bytes, limit: .max), bytes)
        }
    }

    private func result(_ outline: EventOutline, _ bytes: UnsafeRawBufferPointer) throws(EventError) -> EffectResult {
        let scanner = JSONScanner(bytes)
        return switch try outline.checkResult(bytes) {
        case .ok(let value): .ok(value.map { json.slice($0.start..<$0.end) })
        case .error(let message, let name):
            .error(EffectFailure(message: scanner.string(message), name: name.map(scanner.string)))
        case .cancelled: .cancelled
        }
    }

    private static func outline(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(EventError) -> EventOutline {
        do {
            return try EventOutline(bytes, limit: limit)
        } catch {
            throw EventError(error)
        }
    }
}

extension DurableEvent: Hashable {
    public static func == (left: DurableEvent, right: DurableEvent) -> Bool {
        left.json == right.json
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(json)
    }
}

extension DurableEvent: CustomStringConvertible {
    /// The event's text.
    public var description: String { json.string }
}
