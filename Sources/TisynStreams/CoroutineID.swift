/// Names a coroutine in a stream. In Tisyn `root`, `root.0`, `root.0.2` …; any other string is legal (contract §1).
public typealias CoroutineID = JSONString

extension CoroutineID {
    /// The coroutine every Tisyn execution begins with.
    public static let root = CoroutineID("root")

    /// The id of this coroutine's child with spawn counter `number`: `root.0` is the first child of `root`.
    public func child(_ number: Int) -> CoroutineID {
        // Digits and a dot need no escapes, and a surrogate in front of them finds no partner.
        CoroutineID(encoded: "\(encoded).\(number)")
    }
}
