import StreamFuzz

/// What libFuzzer calls with each input. Built by `Scripts/fuzz` only: the fuzzer brings the program's beginning.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzEvents(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: count))
    do {
        try EventFuzz.check(bytes)
    } catch {
        // libFuzzer keeps the input of a crash.
        fatalError("\(error) in \(String(decoding: bytes, as: UTF8.self).debugDescription)")
    }
    return 0
}
