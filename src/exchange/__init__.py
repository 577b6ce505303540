"""The simulated exchange: pure and deterministic. Time, chance and ids are arguments; there is no I/O and no thread."""
