"""What only a connected TWS can tell: accounts (paper or live), market data, a quote, and whether it takes orders.

`inspection.py` is a connection; nothing here orders, subscribes for longer than one quote, or changes anything.
Without one, each check says that it was not made.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from src.brokers.doctor.report import NOT_CHECKED, Check, Status
from src.domain.account_ids import masked, mode_of
from src.domain.errors import BrokerError, NoMarketDataError, UnknownContractError
from src.domain.market import Mode, Quote, Source
from src.settings import Settings

#: What to subscribe to, and what it gives through the API. `docs/tws_setup.md` says how sure each line is.
MARKET_DATA: Final = """\
What you subscribe to                      What you get through the API
nothing                                    quotes 15 to 20 minutes late (IBKR_MARKET_DATA_TYPE=3); no historical bars
free Cboe One and IEX stream in TWS        nothing: it does not reach the API
NASDAQ (Network C/UTP)                     live quotes and historical bars of NVDA, MSFT, AAPL, ...
NYSE (Network A/CTA)                       the same for stocks listed at the NYSE; nothing for NVDA or MSFT"""
_SUBSCRIBE: Final = "Client Portal > Settings > Market Data Subscriptions (IBKR Pro, and at least $500 in the account)"
_COMPETING_SESSION: Final = 10197
_NO_PERMISSION: Final = frozenset({354, 10089, 10090, 10168})
_READ_ONLY_MENU: Final = (
    'In TWS, untick "Read-Only API"\nFile > Global Configuration > API > Settings (IB Gateway: Configure > Settings)'
)
_DOWNLOAD: Final = (
    'Keep "Download open orders on connection" ticked in TWS\'s API settings; that box cannot be read from here.'
)
_FARM_MESSAGES: Final = frozenset({2104, 2106, 2158})
_WANTED: Final = {1: Source.LIVE, 2: Source.FROZEN, 3: Source.DELAYED, 4: Source.DELAYED}
_TITLES: Final = {
    "accounts": "accounts (paper or live)",
    "read_only": "read-only API",
    "open_orders": "open orders",
    "market_data": "market data permission and type",
    "quote": "a quote",
    "language": "language of messages",
}


class Inspection(Protocol):
    """A connection to TWS on the check client id, as the doctor looks at it."""

    @property
    def managed_accounts(self) -> tuple[str, ...]:
        """The accounts of this login, as TWS names them."""
        ...

    @property
    def is_read_only(self) -> bool:
        """Whether TWS refuses orders on its API (it answered 321 while connecting)."""
        ...

    @property
    def is_refused(self) -> bool:
        """Whether the settings do not allow this login's account: nothing but its name is known then."""
        ...

    @property
    def open_orders(self) -> int:
        """The account's working orders that TWS has told of."""
        ...

    @property
    def messages(self) -> tuple[tuple[int, str], ...]:
        """TWS's messages so far: code and text."""
        ...

    def quote(self, symbol: str) -> Quote:
        """Return one quote, on the market data type of the settings; NoMarketDataError with TWS's code."""
        ...

    def close(self) -> None:
        """Leave TWS; never raises."""
        ...


def checks(inspection: Inspection, settings: Settings, now: Callable[[], int]) -> tuple[Check, ...]:
    """Everything that a connected TWS can tell."""
    account = accounts(inspection.managed_accounts, settings)
    if inspection.is_refused:
        return (account, *not_checked("the account first")[1:])
    return (
        account,
        read_only(settings, refused=inspection.is_read_only),
        open_orders(inspection),
        *market_data(inspection, settings, now),
        language(inspection.messages),
    )


def not_checked(why: str) -> tuple[Check, ...]:
    """The same checks where there is nothing to ask."""
    return tuple(Check(each, Status.WARN, title, f"{NOT_CHECKED}{why}") for each, title in _TITLES.items())


def accounts(managed: Sequence[str], settings: Settings) -> Check:
    """Whether the account that orders would go to is there, and whether it is what the settings say: paper or live."""
    shown = ", ".join(f"{masked(each)} ({mode_of(each)})" for each in managed) or "none"
    fix = _wrong_account(managed, settings)
    return Check("accounts", Status.FAIL if fix else Status.PASS, f"accounts: {shown}", fix=fix)


def _wrong_account(managed: Sequence[str], settings: Settings) -> str:
    """What to change about the account; nothing when it is as the settings say."""
    if not managed:
        return "Log in to TWS, or wait until it has: it names no account"
    if not settings.account_id and len(managed) > 1:
        return "Set IBKR_ACCOUNT_ID to the account that orders shall go to"
    account = settings.account_id or managed[0]
    live = mode_of(account) is Mode.LIVE
    wrong = {
        f"Set IBKR_ACCOUNT_ID to one of these accounts: {masked(account)} is not of this login": account not in managed,
        "Log in to the paper account in TWS, or set IBKR_PORT to a paper TWS's: this account is real money":
            live and settings.account_type == "paper",
        "Log in to the live account in TWS, or set IBKR_ACCOUNT_TYPE=paper":
            not live and settings.account_type == "live",
        "Set IBKR_ALLOW_LIVE to this account's id, if it shall trade real money":
            live and settings.allow_live != account,
    }  # fmt: skip
    return next((fix for fix, applies in wrong.items() if applies), "")


def read_only(settings: Settings, *, refused: bool) -> Check:
    """Whether TWS takes orders on its API."""
    if refused:
        return Check("read_only", Status.FAIL, "read-only API: TWS refuses every order", fix=_READ_ONLY_MENU)
    if settings.read_only:
        fix = "Unset IBKR_READ_ONLY when it shall trade"
        return Check("read_only", Status.WARN, "read-only API: off; IBKR_READ_ONLY=true refuses orders here", fix=fix)
    return Check("read_only", Status.PASS, "read-only API: off, TWS takes orders")


def open_orders(inspection: Inspection) -> Check:
    """What TWS tells of orders that work already; where it takes none, it tells of none."""
    if inspection.is_read_only:
        return Check("open_orders", Status.WARN, _TITLES["open_orders"], f"{NOT_CHECKED}TWS's API is read-only")
    number = inspection.open_orders
    return Check("open_orders", Status.PASS, f"open orders: {number or 'none'} at work in this account", _DOWNLOAD)


def market_data(inspection: Inspection, settings: Settings, now: Callable[[], int]) -> tuple[Check, Check]:
    """What kind of market data this login gets, and one quote."""
    symbol = settings.symbols[0]
    try:
        quote = inspection.quote(symbol)
    except NoMarketDataError as error:
        missing = _no_data(symbol, error)
        return missing, Check("quote", missing.status, f"quote: none of {symbol}: {error}")
    except BrokerError as error:
        unknown = isinstance(error, UnknownContractError)
        fix = "Set IBKR_SYMBOLS to symbols that TWS knows" if unknown else "Try again; if it stays so, restart TWS"
        what = Check("market_data", Status.WARN, _TITLES["market_data"], f"{NOT_CHECKED}there was no quote")
        return what, Check("quote", Status.FAIL, f"quote: none of {symbol}: {error}", fix=fix)
    age = (now() - quote.time) / 1e9
    shown = Check("quote", Status.PASS, f"quote: {symbol} {quote.bid} to {quote.ask}, {quote.source}, {age:.0f} s old")
    wanted = _WANTED[settings.market_data_type]
    title = f"market data: {quote.source} (IBKR_MARKET_DATA_TYPE={settings.market_data_type})"
    if quote.source is Source.DELAYED and wanted is Source.LIVE:
        return Check("market_data", Status.WARN, title, MARKET_DATA, f"Subscribe: {_SUBSCRIBE}"), shown
    detail = MARKET_DATA if quote.source is Source.DELAYED else ""
    return Check("market_data", Status.PASS, title, detail), shown


def _no_data(symbol: str, error: NoMarketDataError) -> Check:
    title = f"market data: none for {symbol}"
    status = Status.FAIL
    if error.code == _COMPETING_SESSION:
        fix = "Log out where the same user is logged in: another session has the market data"
    elif error.code in _NO_PERMISSION:
        fix = f"Set IBKR_MARKET_DATA_TYPE=3 for delayed quotes, or subscribe: {_SUBSCRIBE}"
    else:
        status, fix = Status.WARN, "Try again while the market is open (New York, 09:30 to 16:00)"
    return Check("market_data", status, title, MARKET_DATA, fix)


def language(messages: Sequence[tuple[int, str]]) -> Check:
    """Whether TWS's messages are in English: the reasons of rejections are read from them."""
    farms = [text for code, text in messages if code in _FARM_MESSAGES]
    if farms and not any("farm" in text.lower() for text in farms):
        fix = 'In TWS, tick "Send API messages in English"\nFile > Global Configuration > API > Settings'
        return Check("language", Status.WARN, "messages: not in English", f"TWS says: {farms[0]}", fix)
    return Check("language", Status.PASS, "messages: in English" if farms else "messages: none yet")
