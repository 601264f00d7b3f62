import Testing

@testable import PostgresStreams

/// The listener's decisions, on a clock of their own.
@Suite("The listener machine")
struct ListenerMachineTests {
    @Test("it listens, probes, and is listening once the probe is heard")
    func listening() throws {
        var log = ListenerTranscript()
        #expect(log.start() == "connect")
        #expect(log.machine.shown == .reconnecting(.starting))
        #expect(log.connected() == "listen")
        #expect(log.listened() == "probe look")
        #expect(log.machine.shown == .reconnecting(.starting))
        log.hear()
        #expect(log.machine.shown == .listening)
        #expect(log.wait() == "10.0: look")
        #expect(log.wait() == "5.0: probe")
        log.hear()
        #expect(log.wait() == "5.0: look")
    }

    @Test("a probe that the server took and that does not arrive: it polls at once and connects anew")
    func deaf() {
        var log = ListenerTranscript.listening()
        #expect(log.wait() == "10.0: look")
        #expect(log.wait() == "5.0: probe")
        log.taken()
        #expect(log.wait() == "5.0: reconnect look")
        #expect(log.machine.shown == .polling(.heartbeatMissed))
        #expect(log.lost("closed") == "0.0: look")
        #expect(log.machine.shown == .reconnecting(.heartbeatMissed))
        #expect(log.wait() == "1.0: look", "after 20 s without an event")
        #expect(log.connected() == "listen")
        #expect(log.listened() == "probe look")
        log.hear()
        #expect(log.machine.shown == .listening)
    }

    @Test(
        "what is asked on the connection and not answered in time: it polls at once and connects anew, whatever it hears"
    )
    func unheard() {
        var log = ListenerTranscript.listening()
        #expect(log.ask(within: 12) == false, "the next probe comes sooner")
        log.answer()
        #expect(log.ask(within: 1) == true)
        #expect(log.ask(within: 0) == false, "the first is looked after first")
        log.answer()
        log.answer()
        log.ask(within: 12)
        log.ask(within: 13)
        log.answer()
        #expect(log.wait() == "10.0: look")
        #expect(log.wait() == "3.0: reconnect look")
        #expect(log.machine.shown == .polling(.heartbeatMissed))
        #expect(log.lost("closed") == "0.0: look")
        #expect(log.machine.shown == .reconnecting(.heartbeatMissed))
        #expect(log.wait() == "0.65: look", "nothing is asked on a connection that is gone")
    }

    @Test("deaf again and again, it leaves more and more time before it connects anew")
    func deafForGood() {
        var log = ListenerTranscript.listening()
        var pauses: [String] = []
        for _ in 0..<8 {
            while !log.sawProbe { _ = log.wait() }
            log.taken()
            while !log.wait().contains("reconnect") {}
            pauses.append(String(log.lost("closed").prefix { $0 != ":" }))
            _ = log.connected()
            _ = log.listened()
        }
        #expect(pauses == ["0.0", "4.0", "8.0", "16.0", "32.0", "60.0", "60.0", "60.0"])
    }

    @Test("a probe that the server does not take says nothing of the listener: it polls, and connects nothing anew")
    func notTaken() {
        var log = ListenerTranscript.listening()
        #expect(log.wait() == "10.0: look")
        #expect(log.wait() == "5.0: probe")
        #expect(log.wait() == "5.0: look")
        #expect(log.machine.shown == .polling(.heartbeatMissed))
        #expect(log.machine.isTrusted, "it is the other connection that is dead: this one is read over")
        #expect(!log.wait().contains("reconnect"))
        #expect(log.probeFailed(nil) == "look")
        #expect(log.machine.isTrusted)
        while !log.sawProbe { _ = log.wait() }
        log.hear()
        #expect(log.machine.shown == .listening)
    }

    @Test("somebody else's probe proves nothing")
    func forged() {
        var log = ListenerTranscript()
        _ = log.start()
        _ = log.connected()
        _ = log.listened()
        #expect(log.machine.heard("probe:0", at: log.now).isEmpty)
        #expect(log.machine.heard("probe:", at: log.now).isEmpty)
        #expect(log.machine.shown == .reconnecting(.starting))
    }

    @Test("a full queue is cleared and asked again; a missing right is polled for")
    func probeFailures() {
        var log = ListenerTranscript.listening()
        #expect(log.wait() == "10.0: look")
        #expect(log.wait() == "5.0: probe")
        #expect(log.probeFailed("54000") == "clear look")
        #expect(log.machine.shown == .polling(.queueFull))
        while !log.sawProbe { _ = log.wait() }
        #expect(log.probeFailed("42501") == "look")
        #expect(log.machine.shown == .polling(.noPermission))
        while !log.sawProbe { _ = log.wait() }
        #expect(log.probeFailed(nil) == "look")
        #expect(log.machine.shown == .polling(.heartbeatMissed))
        while !log.sawProbe { _ = log.wait() }
        log.hear()
        #expect(log.machine.shown == .listening)
    }

    @Test(
        "behind a pooler it listens and polls until a probe is heard; where none is, it takes LISTEN back and polls on"
    )
    func poolers() {
        var log = ListenerTranscript()
        _ = log.start()
        #expect(log.connected(pooler: true) == "listen look")
        #expect(log.machine.shown == .polling(.pooler))
        #expect(log.listened() == "probe look")
        #expect(log.machine.shown == .polling(.pooler))
        log.taken()
        while !log.saw("unlisten") { _ = log.wait() }
        #expect(log.machine.shown == .polling(.pooler))
        for _ in 0..<30 { #expect(log.wait().hasSuffix(": look")) }

        #expect(log.lost("gone") == "0.0: look")
        _ = log.connected(pooler: true)
        _ = log.listened()
        log.hear()
        #expect(log.machine.shown == .listening)
        // Having heard, it is in session mode: deaf now, it connects anew.
        while !log.sawProbe { _ = log.wait() }
        log.taken()
        while !log.saw("reconnect") { _ = log.wait() }
        #expect(log.machine.shown == .polling(.heartbeatMissed))
    }

    @Test("behind a pooler a probe that is only late is heard all the same: it listens again")
    func lateBehindPooler() {
        var log = ListenerTranscript()
        _ = log.start()
        _ = log.connected(pooler: true)
        _ = log.listened()
        log.taken()
        while !log.saw("unlisten") { _ = log.wait() }
        #expect(log.hear() == "listen")
        #expect(log.machine.shown == .polling(.pooler))
        #expect(log.hear() == "", "that is known by now")
        #expect(log.listened() == "probe look")
        #expect(log.machine.shown == .polling(.pooler))
        log.hear()
        #expect(log.machine.shown == .listening)

        var lost = ListenerTranscript()
        _ = lost.start()
        _ = lost.connected(pooler: true)
        _ = lost.listened()
        lost.taken()
        while !lost.saw("unlisten") { _ = lost.wait() }
        _ = lost.lost("gone")
        #expect(lost.hear() == "", "of another connection")
    }

    @Test("turned off or on a standby it polls and says why; a standby is asked again")
    func obstacles() {
        var log = ListenerTranscript()
        _ = log.start()
        #expect(log.connected(standby: true) == "look")
        #expect(log.machine.shown == .polling(.standby))
        #expect(log.lost("gone") == "0.0: look")
        #expect(log.machine.shown == .reconnecting(.connectionLost("gone")))
        #expect(log.connected(standby: true) == "look")
        #expect(log.machine.shown == .polling(.standby))
        while !log.saw("listen") { _ = log.wait() }
        #expect(log.listenRefused("25006") == "look")
        #expect(log.machine.shown == .polling(.standby))
        while !log.saw("listen") { _ = log.wait() }
        #expect(log.listened() == "probe look")
        log.hear()
        #expect(log.machine.shown == .listening)

        var off = ListenerTranscript { $0.isEnabled = false }
        _ = off.start()
        #expect(off.connected() == "look")
        #expect(off.machine.shown == .polling(.turnedOff))
    }

    @Test("looks are fast while events flow, and become rarer when they do not")
    func polling() {
        var log = ListenerTranscript { $0.isEnabled = false }
        _ = log.start()
        _ = log.connected()
        #expect(log.wait() == "0.15: look")
        #expect(log.wait() == "0.15: look")
        log.now += .seconds(20)
        _ = log.tick()
        #expect(log.wait().hasPrefix("1.0"))
        log.now += .seconds(3000)
        _ = log.tick()
        #expect(log.wait() == "2.0: look")
        log.machine.noteActivity(at: log.now)
        #expect(log.wait() == "0.15: look")
    }

    @Test("in idle mode it does nothing after a silence, not even reconnect, until something happens")
    func quiet() {
        var log = ListenerTranscript.listening { $0.idleAfter = .seconds(60) }
        while log.machine.shown == .listening {
            _ = log.wait()
            if log.sawProbe { log.hear() }
        }
        #expect(log.machine.shown == .polling(.quiet))
        #expect(log.lost("suspended") == "600.0: ")
        #expect(log.wait() == "600.0: look")
        log.machine.noteActivity(at: log.now)
        #expect(log.tick() == "reconnect look")
        #expect(log.machine.shown == .reconnecting(.starting))
        #expect(log.lost("closed") == "0.0: look")
        #expect(log.connected() == "listen")
    }

    @Test(
        "in quiet, a connection that was made again is not probed, nor asked to listen again",
        arguments: [true, false]
    )
    func quietReconnect(isRefused: Bool) {
        var log = ListenerTranscript.listening { $0.idleAfter = .seconds(60) }
        while log.machine.shown == .listening {
            _ = log.wait()
            if log.sawProbe { log.hear() }
        }
        _ = log.lost("suspended")
        _ = log.wait()
        #expect(log.connected() == "listen")
        let answered = isRefused ? log.listenRefused("42501") : log.listened()
        #expect(answered == "look")
        #expect(log.machine.shown == .polling(.quiet))
        for _ in 0..<4 {
            let before = log.now
            #expect(log.wait() == "600.0: look")
            #expect(log.now - before == .seconds(600))
        }
        // Until events come.
        log.machine.noteActivity(at: log.now)
        #expect(log.tick() == (isRefused ? "listen look" : "probe look"))
    }

    @Test("the connection is read over from the first probe heard on it until something speaks against it")
    func trusted() {
        var log = ListenerTranscript()
        _ = log.start()
        _ = log.connected()
        _ = log.listened()
        #expect(!log.machine.isTrusted)
        log.hear()
        #expect(log.machine.isTrusted)
        while !log.sawProbe { _ = log.wait() }
        log.taken()
        while !log.saw("reconnect") { _ = log.wait() }
        #expect(!log.machine.isTrusted)

        log = .listening()
        log.ask(within: 3)
        while !log.saw("reconnect") { _ = log.wait() }
        #expect(!log.machine.isTrusted)

        log = .listening()
        _ = log.lost("gone")
        #expect(!log.machine.isTrusted)
    }

    @Test("with intervals of nothing there is still time between what it does", arguments: [true, false])
    func zeroIntervals(isEnabled: Bool) {
        var log = ListenerTranscript { options in
            options.isEnabled = isEnabled
            for interval: WritableKeyPath<ListeningOptions, Duration> in [
                \.probeInterval, \.probeTimeout, \.checkInterval, \.pollInterval, \.slowPollInterval, \.quietInterval,
            ] { options[keyPath: interval] = .zero }
        }
        _ = log.start()
        _ = log.connected()
        if isEnabled {
            _ = log.listened()
            log.hear()
        }
        let start = log.now
        for _ in 0..<100 {
            _ = log.wait()
            if log.saw("reconnect") {
                _ = log.lost("closed")
                _ = log.connected()
                _ = log.listened()
            }
            if log.sawProbe { log.hear() }
        }
        #expect(log.now - start >= .milliseconds(40))
    }

    @Test("a connection that was kept through the quiet is probed when events come again")
    func probedAfterQuiet() {
        var log = ListenerTranscript.listening { $0.idleAfter = .seconds(60) }
        while log.machine.shown == .listening {
            _ = log.wait()
            if log.sawProbe { log.hear() }
        }
        log.machine.noteActivity(at: log.now)
        #expect(log.tick() == "probe look")
        log.hear()
        #expect(log.machine.shown == .listening)
    }

    @Test("another tail that begins in the quiet ends it")
    func startedInQuiet() {
        var log = ListenerTranscript.listening { $0.idleAfter = .seconds(60) }
        while log.machine.shown == .listening {
            _ = log.wait()
            if log.sawProbe { log.hear() }
        }
        _ = log.start()
        #expect(log.wait().hasPrefix("0.0: "))
    }

    @Test("behind a pooler that delivers nothing it does not LISTEN again after the quiet")
    func poolerAfterQuiet() {
        var log = ListenerTranscript { $0.idleAfter = .seconds(60) }
        _ = log.start()
        _ = log.connected(pooler: true)
        _ = log.listened()
        log.taken()
        while !log.saw("unlisten") { _ = log.wait() }
        while log.machine.shown != .polling(.quiet) { _ = log.wait() }
        log.machine.noteActivity(at: log.now)
        #expect(log.tick() == "look")
    }

    @Test("a probe that is heard forgets what was missed before")
    func missesForgotten() {
        var log = ListenerTranscript.listening()
        for _ in 0..<4 {
            while !log.sawProbe { _ = log.wait() }
            log.taken()
            while !log.saw("reconnect") { _ = log.wait() }
            #expect(log.lost("closed").hasPrefix("0.0: "))
            _ = log.connected()
            _ = log.listened()
            log.hear()
        }
    }

    @Test("when nobody tails it does nothing, and begins anew when somebody does")
    func stopped() {
        var log = ListenerTranscript.listening()
        #expect(log.stop() == "disconnect")
        #expect(log.machine.shown == .idle)
        #expect(log.machine.deadline == nil)
        #expect(log.lost("closed") == "nil: ")
        #expect(log.start() == "connect")
        #expect(log.machine.shown == .reconnecting(.starting))
    }
}
