"""The market that stands at one instant. Prices in units, sizes in shares."""


class Market:
    """Bid and ask at one instant, with the shares left on each side (None: no limit). A side of 0 is not quoted."""

    __slots__ = ("ask", "ask_left", "bid", "bid_left", "half", "middle", "time")

    def __init__(self, time: int, middle: int, half: int, size: int | None) -> None:
        self.half = half
        self.move(time, middle)
        self.bid_left = self.ask_left = size

    def move(self, time: int, middle: int) -> None:
        """Shift the market to a new middle price."""
        self.time, self.middle = time, middle
        self.bid, self.ask = max(middle - self.half, 1), middle + self.half

    @staticmethod
    def quoted(time: int, bid: int, ask: int, bid_left: int, ask_left: int) -> "Market":
        """The market that a quote makes stand; a missing side is 0."""
        market = Market(time, 0, 0, None)
        market.bid, market.ask, market.bid_left, market.ask_left = bid, ask, bid_left, ask_left
        return market
