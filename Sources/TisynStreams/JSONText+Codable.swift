#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Codable on demand: the only place where Foundation is used.
extension JSONText {
    /// Decodes the text with `JSONDecoder` and its default strategies.
    ///
    /// `JSONDecoder` is narrower than JSON: it refuses more than 512 levels and numbers beyond what `T` can hold, and of
    /// duplicate keys takes the first, where the contract takes the last (so does ``subscript(member:)``). Its
    /// errors (`DecodingError`) are passed on as they are and may show parts of the text.
    public func decode<T: Decodable>(_ type: T.Type) throws -> T {
        try JSONDecoder().decode(type, from: withUTF8Bytes { Data($0) })
    }

    /// Encodes `value` with `JSONEncoder`, keys sorted, so that equal values give equal texts.
    ///
    /// Throws `EncodingError` for what JSON cannot say, such as NaN.
    public static func encoding(_ value: some Encodable) throws -> JSONText {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try JSONText(utf8: encoder.encode(value))
    }
}
