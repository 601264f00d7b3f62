import StreamStress

/// Random numbers that are the same in every run.
typealias SplitMix = SeededGenerator
