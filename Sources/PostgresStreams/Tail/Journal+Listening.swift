extension Journal {
    /// How tails learn of new events just now.
    public var listeningState: ListeningState { tails.listener.current }

    /// The state now and each change from here on, until the journal is closed.
    public func listeningStates() -> AsyncStream<ListeningState> { tails.listener.states() }
}
