import DequeModule

/// The pages of a stream from its beginning: where each begins, and of some of them the contents.
///
/// Used by `StreamIndex`. Contents beyond the capacity are dropped, those that were not used for long first; where a page
/// began stays known, so that it can be read again. No IO.
struct PageCache<Contents> {
    private struct Page {
        let start: Int
        var contents: Contents?
        var weight = 0
        /// Since it was last passed over when something had to go.
        var wasUsed = false
    }

    /// In bytes. What was put in last stays in any case.
    let capacity: Int
    private(set) var weight = 0
    /// The position after the last page.
    private(set) var end = 0
    private var pages: [Page] = []
    /// The starts of pages that have contents, in the order they are looked at when something has to go: second chance.
    private var queue: Deque<Int> = []

    init(capacity: Int) { self.capacity = capacity }

    /// The page that holds `position`, which must be below `end`: its range, what is kept of it, and how many come after.
    mutating func page(at position: Int) -> (range: Range<Int>, contents: Contents?, following: Int) {
        let index = index(of: position)
        if !pages[index].wasUsed { pages[index].wasUsed = true }
        return (range(of: index), pages[index].contents, pages.count - 1 - index)
    }

    /// The page after the one that begins at `start`: its range, if it is one whose contents are not kept.
    func droppedPage(after range: Range<Int>) -> Range<Int>? {
        guard range.upperBound < end else { return nil }
        let index = index(of: range.upperBound)
        return pages[index].contents == nil ? self.range(of: index) : nil
    }

    /// Takes in the `count` events from `start` on, which is `end` or where a known page begins. Of a known page they may
    /// be the beginning: the rest becomes a page of its own.
    ///
    /// - Returns: what was dropped for it. To end it takes time: not under a lock that others wait for.
    mutating func put(_ contents: Contents, at start: Int, count: Int, weight: Int) -> [Contents] {
        guard count > 0 else { return [] }
        if start == end {
            pages.append(Page(start: start))
            end += count
        }
        let index = index(of: start)
        let range = range(of: index)
        guard range.lowerBound == start else { return [] }
        if start + count < range.upperBound { pages.insert(Page(start: start + count), at: index + 1) }
        if pages[index].contents == nil {
            queue.append(start)
        } else {
            self.weight -= pages[index].weight
        }
        pages[index].contents = contents
        pages[index].weight = weight
        self.weight += weight
        return shrink(keeping: start)
    }

    /// Takes note of `count` events after the end, without contents.
    ///
    /// - Parameter most: how many events of this kind make a page.
    mutating func extend(by count: Int, most: Int) {
        guard count > 0 else { return }
        if let last = pages.last, last.contents == nil, end + count - last.start <= most {
            end += count
        } else {
            pages.append(Page(start: end))
            end += count
        }
    }

    private mutating func shrink(keeping start: Int) -> [Contents] {
        var dropped: [Contents] = []
        while weight > capacity, queue.count > 1, let oldest = queue.popFirst() {
            let index = index(of: oldest)
            if oldest == start || pages[index].wasUsed {
                pages[index].wasUsed = false
                queue.append(oldest)
                continue
            }
            weight -= pages[index].weight
            if let contents = pages[index].contents.take() { dropped.append(contents) }
            pages[index].weight = 0
        }
        return dropped
    }

    private func range(of index: Int) -> Range<Int> {
        pages[index].start..<(index + 1 < pages.count ? pages[index + 1].start : end)
    }

    private func index(of position: Int) -> Int {
        var (low, high) = (0, pages.count)
        // The last page that begins at or before it.
        while high - low > 1 {
            let middle = (low + high) / 2
            if pages[middle].start <= position { low = middle } else { high = middle }
        }
        return low
    }
}
