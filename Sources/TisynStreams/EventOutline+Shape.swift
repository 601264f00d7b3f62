/// The shape of an event (contract §1), judged on its outline.
///
/// Each function takes the bytes the outline was made from.
extension EventOutline {
    /// A description that has what it must have.
    struct CheckedDescription {
        let type: Part
        let name: Part
        let input: Part?
        let sha: Part?
    }

    enum CheckedResult {
        case ok(Part?)
        case error(message: Part, name: Part?)
        case cancelled
    }

    /// Checks the whole event and says which it is and whose.
    func check(_ bytes: UnsafeRawBufferPointer) throws(EventError) -> (DurableEvent.Kind, CoroutineID) {
        let event = try require(whole, .object, "", in: nil)
        let type = try require(type, .string, "type", in: event)
        let coroutineID = try require(coroutineID, .string, "coroutineId", in: event)
        let scanner = JSONScanner(bytes)
        let kind: DurableEvent.Kind
        if scanner.part(type, spells: "yield") {
            kind = .yield
            _ = try checkDescription()
        } else if scanner.part(type, spells: "close") {
            kind = .close
        } else {
            let reason = #"expected "yield" or "close", found another string"#
            throw EventError(path: "type", offset: type.start, reason: reason)
        }
        _ = try checkResult(bytes)
        return (kind, scanner.string(coroutineID))
    }

    func checkDescription() throws(EventError) -> CheckedDescription {
        let whole = try require(description.whole, .object, "description", in: whole)
        return CheckedDescription(
            type: try require(description.type, .string, "description.type", in: whole),
            name: try require(description.name, .string, "description.name", in: whole),
            input: description.input,
            sha: try allow(description.sha, .string, "description.sha")
        )
    }

    func checkResult(_ bytes: UnsafeRawBufferPointer) throws(EventError) -> CheckedResult {
        let whole = try require(result.whole, .object, "result", in: whole)
        let status = try require(result.status, .string, "result.status", in: whole)
        let scanner = JSONScanner(bytes)
        if scanner.part(status, spells: "ok") { return .ok(result.value) }
        if scanner.part(status, spells: "cancelled") { return .cancelled }
        guard scanner.part(status, spells: "error") else {
            let reason = #"expected "ok", "error" or "cancelled", found another string"#
            throw EventError(path: "result.status", offset: status.start, reason: reason)
        }
        let error = try require(result.error.whole, .object, "result.error", in: whole)
        return .error(
            message: try require(result.error.message, .string, "result.error.message", in: error),
            name: try allow(result.error.name, .string, "result.error.name")
        )
    }

    private func require(
        _ part: Part?,
        _ kind: JSONText.Kind,
        _ path: String,
        in container: Part?
    ) throws(EventError) -> Part {
        guard let part = try allow(part, kind, path) else {
            let offset = container?.start ?? 0
            throw EventError(path: path, offset: offset, reason: "missing, expected \(Self.words(for: kind))")
        }
        return part
    }

    private func allow(_ part: Part?, _ kind: JSONText.Kind, _ path: String) throws(EventError) -> Part? {
        guard let part, part.kind != kind else { return part }
        let reason = "expected \(Self.words(for: kind)), found \(Self.words(for: part.kind))"
        throw EventError(path: path, offset: part.start, reason: reason)
    }

    private static func words(for kind: JSONText.Kind) -> String {
        switch kind {
        case .null: "null"
        case .bool: "true or false"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}
