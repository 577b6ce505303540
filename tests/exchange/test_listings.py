"""The simulator's table of instruments is complete and consistent."""

from decimal import Decimal

from src.exchange.listings import LAST_CLOSE_DATE, assumed_listing, listing, listings


def test_default_symbols_bear_ibs_own_ids() -> None:
    known = {symbol: listing(symbol) for symbol in ("NVDA", "msft", "AAPL", "SPY")}
    assert [found.con_id for found in known.values() if found] == [4815747, 272093, 265598, 756733]


STOCKS = [known for known in listings() if known.sec_type == "STK"]
PAIRS = [known for known in listings() if known.sec_type == "CASH"]


def test_every_stock_is_a_qualified_us_stock_with_sane_figures() -> None:
    assert len(STOCKS) >= 16
    for known in STOCKS:
        contract = known.contract
        assert (contract.symbol, contract.sec_type, contract.currency) == (known.symbol, "STK", "USD")
        assert contract.con_id == known.con_id > 0
        assert contract.primary_exchange in {"NASDAQ", "NYSE", "ARCA"}
        assert known.details.contract == contract
        assert known.last_close > 1
        assert 0 < known.half_spread < known.last_close / 1000
        assert 0.05 < known.annual_volatility < 1
        assert known.daily_volume > known.displayed_size > 0
        assert known.last_close_date == LAST_CLOSE_DATE


def test_every_pair_is_a_qualified_cash_contract_that_nobody_prints_trades_of() -> None:
    """Found by IB's own name of it, on a tick of a twentieth of a pip (yen: half a hundredth), one tick wide."""
    assert len(PAIRS) >= 7
    for known in PAIRS:
        contract = known.contract
        assert (contract.sec_type, contract.exchange) == ("CASH", "IDEALPRO")
        assert contract.con_id == known.con_id > 0
        assert listing(f"{contract.symbol}.{contract.currency}".lower()) is known
        assert (
            known.min_tick == known.min_tick_below_one == Decimal("0.005" if contract.currency == "JPY" else "0.00005")
        )
        assert known.half_spread == float(known.min_tick) / 2
        assert known.daily_volume == 0
        assert 0 < known.round_lot < known.max_size


def test_names_and_ids_are_unique() -> None:
    names = {known.local_symbol for known in listings()}
    assert len({known.con_id for known in listings()}) == len(names) == len(listings())


def test_tick_bound_stocks_are_one_to_two_cents_wide() -> None:
    assert [known.half_spread for known in listings() if known.symbol in {"NVDA", "MSFT"}] == [0.005, 0.005]


def test_unknown_symbol_has_no_listing() -> None:
    assert listing("ZZZZ") is None


def test_assumed_listing_is_the_same_each_time_and_never_bears_a_known_id() -> None:
    assumed = assumed_listing("zzzz")
    assert assumed == assumed_listing("ZZZZ")
    assert assumed.symbol == "ZZZZ"
    assert assumed.con_id != assumed_listing("ZZZY").con_id
    assert assumed.con_id not in {known.con_id for known in listings()}
    assert assumed_listing("ZZZZ", 7).contract.con_id == 7
