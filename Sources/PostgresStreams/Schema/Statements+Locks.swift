import LibPQ

/// What goes before another statement in its transaction, where that is not to wait for a lock for long.
extension Statements {
    func waiting(atMost time: Duration) -> (Statement, Parameters) {
        var parameters = Parameters()
        parameters.append("\(Int(time.milliseconds))ms")
        return (lockTimeout, parameters)
    }

    /// The stream's lock, as `append_batch` takes it, which has a time of its own for that.
    func locking(_ stream: StreamName) -> (Statement, Parameters) { (lockStream, key(of: stream)) }

    /// The same for one of the caller's transactions, which has a time of its own for it.
    func holding(_ stream: StreamName) -> (Statement, Parameters) { (holdStream, key(of: stream)) }

    private func key(of stream: StreamName) -> Parameters {
        var parameters = Parameters()
        parameters.append("\(schema.text)/\(stream.text)")
        return parameters
    }
}
