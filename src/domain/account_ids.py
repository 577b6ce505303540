"""What an account's id tells, and how much of it may be shown. Light: every command needs it before all else."""

from src.domain.market import Mode


def mode_of(account: str) -> Mode:
    """What an account trades with (decision D7): play money of ours, IB's, or real money, which it is when unknown."""
    if account.startswith(("SIM", "DUSIM")):
        return Mode.SIMULATED
    return Mode.PAPER if account.startswith("D") else Mode.LIVE


def masked(account: str) -> str:
    """Enough of an account's id to know it by, and no more; a simulated one is nobody's, and shown whole."""
    if mode_of(account) is Mode.SIMULATED or len(account) < 5:
        return account
    return f"{account[:2]}{'*' * (len(account) - 4)}{account[-2:]}"
