"""The names under which people write settings: one canonical name for each field, and its aliases."""

import re
from difflib import get_close_matches
from typing import Final

#: Field of `Settings` -> its names, the canonical one first.
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "host": ("IBKR_HOST_IP", "IBKR_HOST", "IB_HOST"),
    "port": ("IBKR_PORT", "IB_PORT"),
    "client_id": ("IBKR_CLIENT_ID", "IB_CLIENT_ID"),
    "check_client_id": ("IBKR_CHECK_CLIENT_ID",),
    "backend": ("IBKR_BACKEND",),
    "library": ("IBKR_LIBRARY",),
    "fallback": ("IBKR_FALLBACK",),
    "account_type": ("IBKR_ACCOUNT_TYPE",),
    "allow_live": ("IBKR_ALLOW_LIVE",),
    "read_only": ("IBKR_READ_ONLY",),
    "allowed_hosts": ("IBKR_ALLOWED_HOSTS",),
    "account_id": ("IBKR_ACCOUNT_ID", "IBKR_PAPER_ACCOUNT_ID", "IBKR_LIVE_ACCOUNT_ID"),
    "market_data_type": ("IBKR_MARKET_DATA_TYPE",),
    "connect_timeout": ("IBKR_CONNECT_TIMEOUT",),
    "read_timeout": ("IBKR_READ_TIMEOUT",),
    "order_timeout": ("IBKR_ORDER_TIMEOUT",),
    "historical_data_timeout": ("IBKR_HISTORICAL_DATA_TIMEOUT",),
    "auto_reconnect": ("IBKR_AUTO_RECONNECT",),
    "max_reconnect_attempts": ("IBKR_MAX_RECONNECT_ATTEMPTS",),
    "reconnect_delay": ("IBKR_RECONNECT_DELAY",),
    "max_requests_per_second": ("IBKR_MAX_REQUESTS_PER_SECOND",),
    "symbols": ("IBKR_SYMBOLS",),
    "on_exit": ("IBKR_ON_EXIT",),
    "state_dir": ("IBKR_STATE_DIR",),
    "strategy": ("STRATEGY_NAME",),
    "initial_capital": ("INITIAL_CAPITAL",),
    "data_source": ("DATA_SOURCE",),
    "sim_seed": ("SIM_SEED",),
    "sim_preset": ("SIM_PRESET",),
    "sim_market_hours": ("SIM_MARKET_HOURS",),
    "sim_fees": ("SIM_FEES",),
    "sim_hard_to_borrow": ("SIM_HARD_TO_BORROW",),
    "metrics_host": ("METRICS_HOST",),
    "metrics_port": ("METRICS_PORT",),
    "metrics_linger": ("METRICS_LINGER_S",),
    "metrics_token": ("METRICS_TOKEN",),
    "notify_webhook": ("NOTIFY_WEBHOOK",),
    "notify_format": ("NOTIFY_FORMAT",),
    "notify_command": ("NOTIFY_COMMAND",),
    "notify_events": ("NOTIFY_EVENTS",),
    "notify_disconnected_after": ("NOTIFY_DISCONNECTED_AFTER_S",),
    "notify_per_minute": ("NOTIFY_PER_MINUTE",),
}

#: Accepted and dropped unread: TWS holds the login.
CREDENTIALS: Final = frozenset({"IB_USERNAME", "IB_PASSWORD", "IBKR_USERNAME", "IBKR_PASSWORD"})
RISK_PREFIX: Final = "RISK_"
#: Names that begin so are meant for us; an unknown one among others' is none of our business.
OUR_PREFIXES: Final = ("IBKR_", "SIM_", "METRICS_", "NOTIFY_")
#: Of those, the one that no other program uses; and what is looked at in an environment at all, slips included.
_OURS_ALONE: Final = "IBKR_"
_MAYBE_OURS: Final = re.compile("(I[BKR]{1,3}|SIM|METRICS?|NOTIFY|RISKS?|STRATEGY|INITI?A?L)_")
#: How like a known name a word must be to be taken for it: named as what may be meant, or held for a slip unasked.
_NEAR: Final = 0.75
_HARDLY_ANOTHER: Final = 0.85
#: Set for the command that a notification runs: no setting, and no slip of one.
_GIVEN_TO_COMMANDS: Final = frozenset({"NOTIFY_EVENT"})

_KNOWN: Final = frozenset(name for names in NAMES.values() for name in names) | CREDENTIALS
_OTHER_MODE: Final = {"paper": "IBKR_LIVE_ACCOUNT_ID", "live": "IBKR_PAPER_ACCOUNT_ID"}


def is_known(name: str) -> bool:
    """Whether a setting may bear this name."""
    return name in _KNOWN or (name.startswith(RISK_PREFIX) and name != RISK_PREFIX)


def is_meant_for_us(name: str) -> bool:
    """Whether a name that is no setting looks as if it should be one: ours but for its letters, or misspelt."""
    return is_known(name.upper()) or name.upper().startswith(OUR_PREFIXES) or _like(name, _HARDLY_ANOTHER) is not None


def is_meant_among_others(name: str) -> bool:
    """The same of a variable in the environment of a process, where most have nothing to do with us."""
    upper = name.upper()
    if upper.startswith(_OURS_ALONE):
        return True
    if upper in _GIVEN_TO_COMMANDS:
        return False
    return _MAYBE_OURS.match(upper) is not None and (is_known(upper) or _like(upper, _HARDLY_ANOTHER) is not None)


def names_of(field: str, account_type: str) -> tuple[str, ...]:
    """The names of a field, canonical first; the other mode's account id is not one of them."""
    return tuple(name for name in NAMES[field] if name != _OTHER_MODE.get(account_type))


def nearest(name: str) -> str:
    """A clause naming the known setting that `name` must mean; where none is near, where they are listed."""
    upper = name.upper()
    if is_known(upper):
        return f"did you mean {upper}?"
    whole = next((known for names in NAMES.values() for known in names if known.endswith(f"_{upper}")), None)
    near = whole or _like(upper, _NEAR)
    return f"did you mean {near}?" if near else "the settings are listed in .env.example"


def _like(name: str, closeness: float) -> str | None:
    """The known setting most like a name, if it is that like it."""
    near = get_close_matches(name.upper(), sorted(_KNOWN - CREDENTIALS), n=1, cutoff=closeness)
    return near[0] if near else None
