import PostgresStreams

extension Doctor {
    /// Examines again where a question was not answered in the time it has: a machine may stand still for longer.
    ///
    /// - Parameter check: what comes behind the finding of that name may be missing; nil: nothing may.
    func examinePatiently(upTo check: String? = nil) async -> Diagnosis {
        var diagnosis = await examine()
        while diagnosis.wasLeftWaiting, check.map({ diagnosis[$0] == nil }) ?? true, !Task.isCancelled {
            diagnosis = await examine()
        }
        return diagnosis
    }
}

extension Diagnosis {
    /// Whether it ends with a question that the server left open.
    fileprivate var wasLeftWaiting: Bool {
        findings.last?.check == "connection"
            && findings.last?.found == "it did not last: the server did not answer in time"
    }

    /// The finding of that name; of several the first.
    subscript(_ check: String) -> Finding? { findings.first { $0.check == check } }
}
