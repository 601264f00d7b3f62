import LibPQ

/// What identifies one append whose outcome is unknown: enough to find out later, from any process.
///
/// Encode it to hand it on; `Journal.resolve` of any journal on the same schema takes it.
public struct AppendReceipt: Sendable, Hashable {
    public let stream: StreamName
    /// The epoch it was sent with; nil for an unclaimed writer.
    let epoch: Int?
    /// The lowest position it can have.
    let position: Int
    let token: Token
    /// Which event of what was sent together it begins at.
    let offset: Int
}

extension AppendReceipt: CustomStringConvertible {
    /// For logs. To hand it on, encode it.
    public var description: String {
        let writer = epoch.map { " (epoch \($0))" } ?? ""
        // Neither is above 2^62: as Int the sum of two that somebody made up could overflow.
        let lowest = UInt(position) + UInt(offset)
        return "an append to \(stream)\(writer) from position \(lowest) on, token \(token)"
    }
}

extension AppendReceipt: Codable {
    private enum CodingKeys: CodingKey { case stream, epoch, position, token, offset }

    /// - Throws: `DecodingError`, also for what no journal has written.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func natural(_ key: CodingKeys) throws -> Int {
            let number = try values.decode(Int.self, forKey: key)
            guard (0...PostgresStream.greatestPosition).contains(number) else {
                throw DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: "out of range")
            }
            return number
        }
        guard let token = Token(try values.decode(String.self, forKey: .token)) else {
            throw DecodingError.dataCorruptedError(forKey: .token, in: values, debugDescription: "not a uuid")
        }
        self.init(
            stream: try values.decode(StreamName.self, forKey: .stream),
            epoch: try values.decodeIfPresent(Int.self, forKey: .epoch),
            position: try natural(.position),
            token: token,
            offset: try natural(.offset)
        )
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(stream, forKey: .stream)
        try values.encodeIfPresent(epoch, forKey: .epoch)
        try values.encode(position, forKey: .position)
        try values.encode("\(token)", forKey: .token)
        try values.encode(offset, forKey: .offset)
    }
}
