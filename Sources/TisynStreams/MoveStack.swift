/// A stack whose elements are moved in and out, never copied. Used by ``JSONTree``, for which copying was half its time.
final class MoveStack<Element> {
    /// Owned: `count` elements are initialized, `deinit` ends them and frees the memory.
    private var elements: UnsafeMutablePointer<Element>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        elements = .allocate(capacity: capacity)
    }

    deinit {
        elements.deinitialize(count: count)
        elements.deallocate()
    }

    func push(_ element: consuming Element) {
        if count == capacity { grow() }
        (elements + count).initialize(to: element)
        count += 1
    }

    /// The last element. There must be one.
    func pop() -> Element {
        precondition(count > 0, "nothing to pop")
        count -= 1
        return (elements + count).move()
    }

    /// The last `number` elements, in the order they were pushed. There must be as many.
    func popLast(_ number: Int) -> [Element] {
        precondition(count >= number, "not as many to pop")
        count -= number
        return [Element](unsafeUninitializedCapacity: number) { buffer, filled in
            if let start = buffer.baseAddress { start.moveInitialize(from: elements + count, count: number) }
            filled = number
        }
    }

    private func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: elements, count: count)
        elements.deallocate()
        elements = larger
        capacity *= 2
    }
}
