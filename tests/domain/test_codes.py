"""The table of TWS's codes: a code alone never says that an order is cancelled or filled."""

import pytest

from src.domain.codes import CODES, MEANINGS, Meaning, RequestKind, meaning, says_read_only

NEW, MODIFY, CANCEL, DATA, NONE = RequestKind
ORDERS = (NEW, MODIFY, CANCEL, NONE)


@pytest.mark.parametrize("code", sorted(CODES))
def test_every_code_has_a_meaning_under_every_kind_of_request(code: int) -> None:
    assert all(isinstance(MEANINGS[code, kind], Meaning) for kind in RequestKind)


@pytest.mark.parametrize(
    ("codes", "kind", "expected"),
    [
        ((2104, 2106, 2107, 2108, 2119, 2158, 102, 300, 501), NONE, Meaning.INFO),
        ((2100, 2101), NONE, Meaning.ACCOUNT_DATA),
        ((2103, 2105, 2157), NONE, Meaning.FARM_DOWN),
        ((1100, 2110), NONE, Meaning.LINK_LOST),
        ((1101,), NONE, Meaning.LINK_BACK_DATA_LOST),
        ((1102,), NONE, Meaning.LINK_BACK),
        ((1300,), NONE, Meaning.PORT_CHANGED),
        ((326,), NONE, Meaning.CLIENT_ID_IN_USE),
        ((502, 503, 504, 506, 520), NONE, Meaning.NOT_CONNECTED),
        ((505, 507, 508, 509), NONE, Meaning.FRAMING_LOST),
        ((510, 519, 531, 542, 320, 322, 323), NEW, Meaning.UNKNOWN),
        ((510, 519, 531, 542, 320, 322, 323), DATA, Meaning.FAILED),
        ((100,), NEW, Meaning.PACING),
        ((101, 309, 10190), DATA, Meaning.DATA_LIMIT),
        ((162, 166, 366, 420, 10187, 10189), DATA, Meaning.FAILED),
        ((200,), NEW, Meaning.REJECTED),
        ((200,), DATA, Meaning.NO_CONTRACT),
        ((354, 10089, 10168, 10186), DATA, Meaning.NO_MARKET_DATA),
        ((10090, 10167), DATA, Meaning.DELAYED),
        ((10197,), DATA, Meaning.COMPETING_SESSION),
        ((10182, 10225, 317), DATA, Meaning.STREAM_RESET),
        ((201, 203, 460, 109, 110, 125, 321, 387, 463), NEW, Meaning.REJECTED),
        ((201, 203, 460, 109, 110, 125, 321, 387, 463, 200), MODIFY, Meaning.UNCHANGED),
        ((104, 105, 134, 329, 2102), MODIFY, Meaning.UNCHANGED),
        ((103,), NEW, Meaning.UNKNOWN),
        ((135,), NEW, Meaning.UNKNOWN),
        ((202,), NONE, Meaning.CANCELLED),
        ((136, 161, 10147, 10148), CANCEL, Meaning.CANCEL_REFUSED),
        ((399, 404), NEW, Meaning.HELD),
        ((10349, 2109, 10311, 2137, 2161), NEW, Meaning.ORDER_INFO),
    ],
)
def test_the_rows_of_the_table(codes: tuple[int, ...], kind: RequestKind, expected: Meaning) -> None:
    assert {meaning(code, kind) for code in codes} == {expected}


def test_only_202_speaks_of_a_cancellation() -> None:
    """An information that is taken for a cancellation leaves a live order nobody watches (10349 did)."""
    assert {code for (code, _), what in MEANINGS.items() if what is Meaning.CANCELLED} == {202}


@pytest.mark.parametrize("code", [0, 77, 11_111, 99_999])
def test_an_unknown_code_settles_no_order(code: int) -> None:
    assert {meaning(code, kind) for kind in (NEW, MODIFY, CANCEL)} == {Meaning.UNKNOWN}
    assert (meaning(code, DATA), meaning(code, NONE)) == (Meaning.FAILED, Meaning.INFO)


def test_unknown_warnings_are_informations() -> None:
    assert all(meaning(code, kind) is Meaning.INFO for code in (2111, 2199) for kind in RequestKind)


def test_a_change_that_is_refused_never_ends_the_order() -> None:
    assert not {what for (_, kind), what in MEANINGS.items() if kind is MODIFY} & {Meaning.REJECTED}


def test_a_read_only_api_is_told_by_its_words() -> None:
    text = "Error validating request.-'bO' : cause - The API interface is currently in Read-Only mode."
    assert says_read_only(321, text)
    assert not says_read_only(321, "Error validating request.-'bR' : cause - Invalid account code")
    assert not says_read_only(201, text)
