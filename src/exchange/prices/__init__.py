"""Where the simulated exchange's prices come from: the protocol of a source, and the seeded paths."""

from src.exchange.prices.seeded import SeededSource
from src.exchange.prices.source import Instant, PriceSource

__all__ = ["Instant", "PriceSource", "SeededSource"]
