import TisynStreams

/// The demo's program: an order is checked, then shipped and paid for by two coroutines at the same time, then confirmed.
///
///     root ── load, check ──┬─ root.0: reserve, pack, book courier ──┬── email, complete
///                           └─ root.1: authorize (twice), charge, receipt ──┘
///
/// Deterministic but for its effects, as a program that is to be replayed must be.
enum OrderWorkflow {
    static let effectCount = 11
    static let coroutineCount = 3

    /// The effect during which the demo kills its worker.
    static let fatalEffect = "payment.charge"

    static func run(in execution: Coroutine.Execution) async throws {
        var root = Coroutine(.root, in: execution)
        let order = try value(await root.yield("orders.load", #"{"orderId":"o-1042"}"#))
        _ = try value(await root.yield("fraud.check", #"{"order":\#(order)}"#))
        async let shipping = ship(order, in: Coroutine(CoroutineID.root.child(0), in: execution))
        async let payment = pay(order, in: Coroutine(CoroutineID.root.child(1), in: execution))
        let (parcel, receipt) = try await (shipping, payment)
        _ = try value(await root.yield("email.send", #"{"parcel":\#(parcel),"receipt":\#(receipt)}"#))
        let completed = try value(await root.yield("orders.complete", #"{"orderId":"o-1042","receipt":\#(receipt)}"#))
        try await root.close(.ok(completed))
    }

    private static func ship(_ order: JSONText, in shipping: Coroutine) async throws -> JSONText {
        var shipping = shipping
        let stock = try value(await shipping.yield("inventory.reserve", #"{"order":\#(order)}"#))
        let parcel = try value(await shipping.yield("parcel.pack", #"{"stock":\#(stock)}"#))
        let booking = try value(await shipping.yield("courier.book", #"{"parcel":\#(parcel)}"#))
        try await shipping.close(.ok(booking))
        return booking
    }

    private static func pay(_ order: JSONText, in payment: Coroutine) async throws -> JSONText {
        var payment = payment
        // The first attempt fails; the failure is recorded too, so that a replay takes the same way.
        var attempt = 1
        while case .error = try await payment.yield("payment.authorize", #"{"order":\#(order),"attempt":\#(attempt)}"#)
        {
            attempt += 1
        }
        let charge = try value(await payment.yield(fatalEffect, #"{"order":\#(order)}"#))
        let receipt = try value(await payment.yield("receipt.create", #"{"charge":\#(charge)}"#))
        try await payment.close(.ok(receipt))
        return receipt
    }

    private static func value(_ result: EffectResult) throws -> JSONText {
        switch result {
        case .ok(let value): value ?? .null
        case .error(let failure): throw ToolError(.checkFailed, "an effect of the demo failed: \(failure.message)")
        case .cancelled: throw CancellationError()
        }
    }
}

/// What the workflow's effects do: wait as long as a remote party would take, and answer.
enum OrderEffects {
    private static let answers: [String: (milliseconds: Int, value: String)] = [
        "orders.load": (120, #"{"id":"o-1042","items":[{"sku":"tea-01","count":2}],"total":42.50}"#),
        "fraud.check": (180, #"{"score":0.03}"#),
        "inventory.reserve": (120, #"{"reservation":"rs-77"}"#),
        "parcel.pack": (300, #"{"parcel":"p-9","grams":640}"#),
        "courier.book": (200, #"{"tracking":"TR-1042"}"#),
        "payment.authorize": (90, #"{"authorization":"au-5"}"#),
        "payment.charge": (600, #"{"charge":"ch-12","amount":42.50}"#),
        "receipt.create": (80, #"{"receiptId":"r-456"}"#),
        "email.send": (150, #"{"messageId":"m-3"}"#),
        "orders.complete": (100, #"{"orderId":"o-1042","status":"shipped"}"#),
    ]

    static func run(_ effectID: String, input: JSONText?) async throws -> EffectResult {
        guard let answer = answers[effectID] else { return .error(EffectFailure(message: "unknown effect")) }
        try await Task.sleep(for: .milliseconds(answer.milliseconds))
        if effectID == "payment.authorize", input?[member: "attempt"]?.string == "1" {
            return .error(EffectFailure(message: "no answer", name: "TimeoutError"))
        }
        return .ok(try JSONText(answer.value))
    }
}
