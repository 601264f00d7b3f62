import LibPQ

/// An event that was in a stream, and the token of its append: while it stands there, all that came before it does too.
///
/// Kept by `StreamIndex`, one for a stream, whatever its length.
struct Anchor: Sendable, Equatable {
    var position: Int
    var token: Token
}
