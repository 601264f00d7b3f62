import Foundation

/// How much memory this process occupies, as the system counts it.
enum ProcessMemory {
    /// The most it has occupied since `forgetPeak`, in bytes; since it began where the system cannot forget.
    static var peak: Int {
        if let peak = linuxStatus("VmHWM:") { return peak }
        var usage = rusage()
        // `RUSAGE_SELF` is 0 everywhere; its type differs.
        getrusage(.init(0), &usage)
        #if os(Linux)
            return Int(usage.ru_maxrss) << 10
        #else
            return Int(usage.ru_maxrss)
        #endif
    }

    /// What it occupies now, in bytes; where the system does not say, the most it has.
    static var current: Int { linuxStatus("VmRSS:") ?? peak }

    /// How many threads it has; 0 where the system does not say.
    static var threadCount: Int { linuxStatus("Threads:").map { $0 >> 10 } ?? 0 }

    /// Starts counting anew, where the system allows it: Linux.
    static func forgetPeak() {
        guard let file = fopen("/proc/self/clear_refs", "w") else { return }
        fputs("5", file)
        fclose(file)
    }

    private static func linuxStatus(_ name: String) -> Int? {
        guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix(name) }),
            let kilobytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else { return nil }
        return kilobytes << 10
    }
}
