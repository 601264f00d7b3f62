#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A moment as every line of output spells it: RFC 3339 in UTC with microseconds, `2026-11-22T18:44:23.123456Z`.
struct Timestamp {
    private let microseconds: Int

    /// Rounds to microseconds, which is what PostgreSQL keeps; its infinities are the ends of what can be said.
    init(_ date: Date) {
        let microseconds = (date.timeIntervalSince1970 * 1e6).rounded()
        self.microseconds = Int(exactly: microseconds) ?? (microseconds < 0 ? .min : .max)
    }

    var text: String {
        let (days, time) = microseconds.flooredDivision(by: 86_400_000_000)
        let (year, month, day) = Self.civil(days: days)
        let seconds = time / 1_000_000
        return Self.pad(year, 4) + "-" + Self.pad(month, 2) + "-" + Self.pad(day, 2) + "T" + Self.pad(seconds / 3600, 2)
            + ":" + Self.pad(seconds / 60 % 60, 2) + ":" + Self.pad(seconds % 60, 2) + "."
            + Self.pad(time % 1_000_000, 6) + "Z"
    }

    /// The Gregorian date of a day counted from 1970-01-01, reckoned in years that begin in March, so that a leap day
    /// comes last, and in eras of 400 years, which all have 146,097 days.
    private static func civil(days: Int) -> (year: Int, month: Int, day: Int) {
        let (era, dayOfEra) = (days + 719_468).flooredDivision(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }

    private static func pad(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension Int {
    /// Rounds down, so that the remainder is never negative.
    fileprivate func flooredDivision(by divisor: Int) -> (quotient: Int, remainder: Int) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
