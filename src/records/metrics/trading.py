"""The families of what is traded: the account's money, the market's prices, the session's orders and shares."""

from collections.abc import Callable
from decimal import Decimal
from math import isnan, nan
from typing import Final

from src.domain.market import Source
from src.records.metrics.counters import SessionCounters
from src.records.metrics.families import Families
from src.records.metrics.labels import OTHER
from src.records.metrics.readings import Reading

_DELAYED: Final = frozenset({Source.DELAYED})
#: Dollars, by what the account is worth and what it made or lost today.
DailyLossLimit = Callable[[Decimal, Decimal], Decimal | None]

#: Metric, field of AccountSummary, help.
_ACCOUNT: Final = (
    ("net_liquidation", "net_liquidation", "Cash and what is held, at the latest prices."),
    ("available_funds", "available_funds", "What new positions may take as initial margin."),
    ("buying_power", "buying_power", "What shares can be bought for."),
    ("excess_liquidity", "excess_liquidity", "What is left above maintenance margin."),
    ("total_cash", "total_cash_value", "Cash at trade time."),
    ("gross_position", "gross_position_value", "Long and short positions, added up."),
)
_PROFITS: Final = (
    ("realized", "The account's profit and loss: closed positions, net of commission."),
    ("unrealized", "The account's profit and loss: open positions, at the latest prices."),
    ("daily", "The account's profit and loss: today, as the broker counts it."),
)


def account_families(
    families: Families, counters: SessionCounters, reading: Reading, daily_loss_limit: DailyLossLimit
) -> None:
    """The account's money, and the session's."""
    account = reading.account
    for name, field_name, help_text in _ACCOUNT:
        families.gauge(f"account_{name}_dollars", help_text, getattr(account, field_name, None))
    for name, help_text in _PROFITS:
        families.gauge(f"pnl_{name}_dollars", help_text, getattr(reading.pnl, name, None))
    worth = float(account.net_liquidation) if account else nan
    exposure = float(account.gross_position_value) / worth if account and worth > 0 else nan
    families.gauge("exposure_ratio", "Gross position over net liquidation value.", exposure)
    families.gauge("drawdown_ratio", "How far the session's equity is below its peak.", counters.drawdown)
    families.counter(
        "commission_dollars_total", "Commission charged while the session ran.", counters.commission_dollars
    )
    families.gauge(
        "daily_loss_limit_dollars",
        "The loss of a day at which no new risk is taken; NaN without a limit.",
        daily_loss_limit(account.net_liquidation, reading.pnl.daily) if account and reading.pnl else None,
    )


def market_families(families: Families, counters: SessionCounters, reading: Reading) -> None:
    """Prices, how old they are and where they are from."""
    symbols = [symbol for symbol in counters.symbols if symbol != OTHER]
    quotes, times = reading.quotes, reading.tick_times
    families.gauges(
        "last_price_dollars",
        "The last trade's price, or the middle of the market, or the last bar's close.",
        "symbol",
        {symbol: _price(reading, symbol, counters.last_close[symbol]) for symbol in symbols},
    )
    families.gauges(
        "spread_dollars",
        "Ask less bid.",
        "symbol",
        {symbol: quotes[symbol].ask - quotes[symbol].bid if symbol in quotes else None for symbol in symbols},
    )
    families.gauges(
        "last_tick_timestamp_seconds",
        "When the newest quote came, on the day's clock.",
        "symbol",
        {symbol: times.get(symbol) for symbol in symbols},
    )
    families.gauges(
        "market_data_delayed",
        "1 where prices are delayed.",
        "symbol",
        {symbol: quotes[symbol].source in _DELAYED if symbol in quotes else None for symbol in symbols},
    )
    for_source: dict[tuple[str, ...], float] = {
        (symbol, source.value): float(quotes[symbol].source is source)
        for symbol in symbols
        if symbol in quotes
        for source in Source
    }
    families.labelled(
        "market_data_source", "1 at the source that prices come from now.", ("symbol", "source"), for_source
    )
    families.gauge("market_open", "1 while the stock market is open.", reading.is_open)


def _price(reading: Reading, symbol: str, close: float) -> float:
    quote = reading.quotes.get(symbol)
    if quote is None:
        return close
    if not isnan(quote.last):
        return quote.last
    middle = (quote.bid + quote.ask) / 2
    return close if isnan(middle) else middle


def order_families(families: Families, counters: SessionCounters, reading: Reading) -> None:
    """What became of the session's orders, and the shares that are held."""
    orders, health = counters.orders, reading.health
    families.counters(
        "orders_total",
        "The session's orders by the statuses they have reached; PendingSubmit counts all that have left.",
        ("symbol", "action", "order_type", "status"),
        orders.by_status,
    )
    families.counters(
        "order_rejects_total",
        "Orders that the venue rejected, or that were invalid before they left, by what the rejection is about.",
        ("reject_class",),
        {(name,): count for name, count in orders.rejects.items()},
    )
    families.histogram("order_ack_seconds", "From sending an order to the venue's answer.", {(): orders.ack_seconds})
    families.histogram("order_fill_seconds", "From sending an order to its last fill.", {(): orders.fill_seconds})
    families.histogram(
        "slippage_bps",
        "Fills against the last close when the order left, in hundredths of a percent; above zero is worse.",
        {(): orders.slippage_bps},
    )
    known = health is not None and health.connected  # while TWS is away they are as it last listed them
    families.gauge("open_orders", "Orders at work in the account.", health.open_orders if health and known else None)
    symbols = [symbol for symbol in counters.symbols if symbol != OTHER]
    held = {symbol: reading.shares(symbol) for symbol in symbols}
    families.gauges("position_shares", "The account's shares, below zero when short.", "symbol", held)
    families.gauges(
        "position_mismatch",
        "The session's shares and those held before it, less what the broker says.",
        "symbol",
        {symbol: counters.mismatch(symbol, shares) for symbol, shares in held.items()},
    )
