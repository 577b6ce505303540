"""What a search for TWS comes to: one check for each address, and what TWS's greeting tells. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from src.brokers.advice import Cure, cure, stale_address
from src.brokers.doctor.report import REFUSED, Check, Status
from src.brokers.findings import Finding, answering, nearest
from src.domain.errors import BrokerError, ClientIdInUseError
from src.runtime.clock import to_datetime

#: Seconds by which TWS's clock and ours may differ before a person should know. TWS says whole seconds.
MOST_SKEW: Final = 5
_QUARTER: Final = 900
_STAMP: Final = re.compile(r"(\d{8}[ -]\d\d:\d\d:\d\d)\s*(.*)")
#: Zones by the names TWS writes, in hours from UTC. Others are told by the quarter of an hour their clocks share.
_HOURS: Final = {
    "UTC": 0, "GMT": 0, "Greenwich Mean Time": 0, "BST": 1, "British Summer Time": 1,
    "CET": 1, "Central European Standard Time": 1, "CEST": 2, "Central European Summer Time": 2,
    "EST": -5, "Eastern Standard Time": -5, "EDT": -4, "Eastern Daylight Time": -4,
    "Central Standard Time": -6, "Central Daylight Time": -5, "PST": -8, "Pacific Standard Time": -8,
    "PDT": -7, "Pacific Daylight Time": -7, "JST": 9, "Japan Standard Time": 9, "HKT": 8, "Hong Kong Time": 8,
}  # fmt: skip


def addresses(findings: Sequence[Finding]) -> tuple[Check, ...]:
    """One check for each address. Where one is TWS the others do no harm; where none is, the nearest has the cure."""
    found = answering(findings)
    named = [each for each in findings if each.is_named]
    stale = found is not None and not found.is_named and bool(named)
    decisive = nearest(named if stale else findings)
    checks = []
    fix: Cure
    for each in findings:
        status, fix = Status.WARN, ()
        if each is found or (found is not None and not stale):
            status = Status.PASS
        elif each is decisive:
            status, fix = Status.FAIL, cure(each) if found is None else stale_address(each, found)
        checks.append(Check(each.outcome, status, each.line, fix="\n".join(fix)))
    # What is to be done stands last: the others are what else was tried.
    return tuple(sorted(checks, key=lambda check: check.status is Status.FAIL))


def refused(error: BrokerError) -> Check:
    """TWS answers, and did not let the check's client in: another has its id, or an answer was missing."""
    title = "connection: TWS answers, but did not let this check in"
    fix = "Finish the login on TWS's screen and answer its dialogs, or restart TWS; then try again"
    if isinstance(error, ClientIdInUseError):
        fix = "Set IBKR_CHECK_CLIENT_ID to an id that no program uses, or end the program that uses it"
    return Check(REFUSED, Status.FAIL, title, str(error), fix)


def clock(found: Finding) -> Check:
    """How far TWS's clock and ours are apart."""
    skew, whole = skew_seconds(found.server_time, found.heard_at)
    if skew is None:
        return Check("clock", Status.WARN, f"clock: TWS's time is not understood: {found.server_time or 'none'}")
    apart = f"clock: {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} TWS's"
    unsure = "" if whole else f"Its zone ({found.server_time}) is not known: whole quarters of an hour are not seen."
    if abs(skew) <= MOST_SKEW:
        return Check("clock", Status.PASS, "clock: agrees with TWS's", unsure)
    fix = "Set this machine's clock; under WSL, in PowerShell: wsl --shutdown (after a sleep of Windows it lags)"
    return Check("clock", Status.WARN, apart, unsure, fix)


def skew_seconds(server_time: str, heard_at: int) -> tuple[float | None, bool]:
    """TWS's time less ours in seconds, and whether its zone is known; without it, to the nearest quarter of an hour.

    Every zone is whole quarters of an hour from UTC, so that a difference of a few minutes is seen all the same.
    """
    match = _STAMP.fullmatch(server_time.strip())
    if match is None:
        return None, False
    try:
        stamp = datetime.strptime(match[1].replace("-", " "), "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None, False
    hours = _HOURS.get(match[2])
    ours = to_datetime(heard_at).replace(microsecond=0)
    apart = (stamp - timedelta(hours=hours or 0) - ours).total_seconds()
    if hours is not None:
        return apart, True
    return (apart + _QUARTER / 2) % _QUARTER - _QUARTER / 2, False
