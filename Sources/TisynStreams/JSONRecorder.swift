/// What ``JSONScanner`` reports of the values it passes, in document order.
///
/// A protocol rather than closures: the scanner is specialized for each recorder, and for ``NoRecording`` nothing
/// of it remains. Every `begin` is followed by its `end`; in an object each value comes after its `name`.
protocol JSONRecorder: ~Copyable {
    mutating func begin(_ kind: JSONText.Kind, at offset: Int)
    mutating func end(at offset: Int)
    mutating func name(_ token: JSONScanner.Token)
    mutating func string(_ token: JSONScanner.Token)
    mutating func scalar(_ kind: JSONText.Kind, from start: Int, to end: Int)
}

/// For validation: nobody listens.
struct NoRecording: JSONRecorder {
    /// So that it is not empty: Thread Sanitizer looks where an `inout` argument lies, and an empty one lies nowhere.
    private var place: UInt8 = 0

    @inline(__always)
    func begin(_ kind: JSONText.Kind, at offset: Int) {}
    @inline(__always)
    func end(at offset: Int) {}
    @inline(__always)
    func name(_ token: JSONScanner.Token) {}
    @inline(__always)
    func string(_ token: JSONScanner.Token) {}
    @inline(__always)
    func scalar(_ kind: JSONText.Kind, from start: Int, to end: Int) {}
}
