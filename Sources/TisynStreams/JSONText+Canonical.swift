import Crypto

extension JSONText {
    /// The canonical form (contract §4): no white space, keys sorted by UTF-16 code units and without duplicates
    /// (the last counts), strings and numbers as ECMAScript's `JSON.stringify` writes them.
    ///
    /// Throws for a number that no double can hold, such as `1e400`; ``JSONError/offset`` says where it is. Any other
    /// number is rounded to the nearest double, as ECMAScript reads it.
    public func canonical() throws(JSONError) -> String {
        try withBytes { bytes throws(JSONError) in
            String(decoding: try CanonicalJSON(bytes).output, as: UTF8.self)
        }
    }

    /// SHA-256 of the canonical form's UTF-8 in 64 lower-case hexadecimal digits: an effect input's `sha`.
    ///
    /// Throws as ``canonical()`` does.
    public func payloadSHA() throws(JSONError) -> String {
        let canonical = try withBytes { bytes throws(JSONError) in try CanonicalJSON(bytes).output }
        let digits = Array("0123456789abcdef".utf8)
        var hex: [UInt8] = []
        hex.reserveCapacity(SHA256.byteCount * 2)
        for byte in SHA256.hash(data: canonical) {
            hex.append(digits[Int(byte >> 4)])
            hex.append(digits[Int(byte & 15)])
        }
        return String(decoding: hex, as: UTF8.self)
    }
}
