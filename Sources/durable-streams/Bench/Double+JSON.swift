import Foundation

extension Double {
    /// As a JSON number with so many digits after the point; null for what is none there: NaN, infinity.
    func json(_ digits: Int) -> String { isFinite ? String(format: "%.\(digits)f", self) : "null" }
}
