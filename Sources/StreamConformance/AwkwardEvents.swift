import TisynStreams

/// Events that are legal and that storage likes to change (contract §1): each must come back byte for byte.
enum AwkwardEvents {
    static func all() throws -> [DurableEvent] {
        try texts.map { text throws(EventError) in try DurableEvent(text) }
    }

    private static func close(value: String) -> String {
        #"{"type":"close","coroutineId":"root","result":{"status":"ok","value":\#(value)}}"#
    }

    private static let texts =
        [
            // White space, and members in an order of their own.
            " {\n\t\"result\" : { \"status\" : \"cancelled\" } ,\r\n \"coroutineId\":\"root\", \"type\":\"close\" } ",
            // Names and fixed strings spelled with escapes.
            #"{"t\u0079pe":"cl\u006fse","coroutineId":"\u0072oot.0","result":{"status":"\u006fk"}}"#,
            // Unknown members, and duplicates of them.
            #"{"type":"close","x":1,"coroutineId":"root","x":2,"result":{"status":"ok","value":null,"y":[]},"x":1}"#,
            // Coroutine ids that are none of Tisyn's.
            #"{"type":"close","coroutineId":"","result":{"status":"ok"}}"#,
            #"{"type":"close","coroutineId":"\u0000\ud800 'é\"\\","result":{"status":"ok"}}"#,
            // A yield with all its parts, and one with none of the optional ones.
            #"{"type":"yield","coroutineId":"root.0","description":{"type":"a","name":"b.c","input":{"z":1,"a":[1, 2]},"#
                + #""sha":"00"},"result":{"status":"error","error":{"message":"no\nway","name":"Error"}}}"#,
            #"{"type":"yield","coroutineId":"root","description":{"type":"x","name":"x"},"result":{"status":"ok"}}"#,
        ] + values.map(close)

    private static let values = [
        // Numbers that fit no double, or have several spellings.
        "1e400", "-0", "-0.0", "1.0", "1.00", "1E+2", "123456789012345678901234567890", "0.1e-400",
        "9007199254740993", "5e-324",
        // Strings: NUL, lone and reversed surrogates, a pair, what may stand escaped or not.
        #""\u0000""#, #""\ud800""#, #""\udc00\ud800""#, #""\ud83d\ude00""#, #""😀""#, #""\/""#, #""/""#, #""\u007f""#,
        "\"\u{7f}\u{2028}\u{feff}\"", #""e\u0301""#, "\"e\u{301}\"", "\"\u{e9}\"", #""''\"\\%s$1""#,
        // Objects: order, duplicates, equal names in other spellings.
        #"{"b":1,"a":2,"b":3}"#, #"{"":0,"\u0061":1,"a":2}"#, "{ }", "[\t]",
        // Depth.
        String(repeating: "[", count: 200) + String(repeating: "]", count: 200),
    ]
}
