"""Kinds of fields: how one value stands as text on TWS's wire, and back.

All numbers are ASCII text. Nothing is written as an empty field or as IB's largest number; all spellings read as
None where a field may be unset, as zero where it may not. Whole sizes and quantities have no decimal point: the
oldest clients read them with `int` and die of `100.0`.

Each kind is a pair of memos, value to text and text to value, so that whole runs of fields convert at C speed. A memo
is bounded, and equal values (1, 1.0, Decimal(1)) have one text.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final

MAX_TEXT: Final = 65_536
UNSET_DOUBLE: Final = "1.7976931348623157E308"
UNSET_INTEGER: Final = "2147483647"

_MEMO_SIZE: Final = 16_384
_MEMO_TEXT: Final = 64
_WHOLE_LIMIT: Final = 10**15
_MAX_EXPONENT: Final = 30
_MAX_DIGITS: Final = 40
#: IB's largest double has 309 digits when written out.
_MAX_NUMBER: Final = 340
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}(?:\.0{0,20})?")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INFINITE: Final = frozenset({"infinite", "infinity", "inf"})
_LARGEST_LONG: Final = str(2**63 - 1)
_LARGEST: Final = frozenset({UNSET_INTEGER, _LARGEST_LONG, str(2**127 - 1)})
_HUGE: Final = Decimal("1.797E308")
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([\\nrt'\"]))")
_UNPRINTABLE: Final = re.compile(r"[^ -\[\]-~]")
_SHORT_ESCAPES: Final = {"\\": "\\", "n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"'}


class BadValueError(ValueError):
    """A value or a text that its field cannot hold; the message says what was found and what was expected."""


class Memo(dict[Any, Any]):
    """What `convert` gave for the latest keys. At most some thousand, and never a long text."""

    __slots__ = ("_convert",)

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, key: Any) -> Any:  # noqa: ANN401
        value = self._convert(key)
        if not isinstance(key, str) or len(key) <= _MEMO_TEXT:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[key] = value
        return value


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One way to write a value. `whole` stands in for it where a client knows whole sizes only (before version 163)."""

    name: str
    write: Memo = field(repr=False)
    read: Memo = field(repr=False)
    whole: "Kind | None" = field(default=None, repr=False)


def _bad(found: object, expected: str) -> BadValueError:
    shown = repr(found)
    return BadValueError(f"{shown if len(shown) <= 60 else shown[:57] + '...'} is not {expected}")


def _read_integer(text: str) -> int:
    if text.isdecimal() and text.isascii() and len(text) < 20:  # most are; the pattern takes five times as long
        return int(text)
    if _INTEGER.fullmatch(text):
        return int(text.partition(".")[0])
    if text:
        raise _bad(text, "an integer")
    return 0


def _read_optional_integer(text: str) -> int | None:
    return None if _is_unset(text) else _read_integer(text)


def _is_unset(text: str) -> bool:
    if not text or text in _LARGEST or text.lower() in _INFINITE:
        return True
    return "308" in text and _is_number(text) and Decimal(text) >= _HUGE


def _is_number(text: str) -> bool:
    return len(text) <= _MAX_NUMBER and _NUMBER.fullmatch(text) is not None


def _write_integer(value: Any) -> str:  # noqa: ANN401
    text = _write_number(value)
    if int(value) != value:
        raise _bad(value, "an integer")
    return text if isinstance(value, Decimal) else str(int(value))


def _read_flag(text: str) -> bool:
    if text in {"", "0", "false", "False"}:
        return False
    if text in {"1", "true", "True"}:
        return True
    raise _bad(text, "0 or 1")


def _read_optional_flag(text: str) -> bool | None:
    return None if _is_unset(text) else _read_flag(text)


def _write_flag(value: Any) -> str:  # noqa: ANN401
    if value in {True, False}:
        return "1" if value else "0"
    raise _bad(value, "a flag")


def _read_float(text: str) -> float:
    if not text:
        return 0.0
    if _is_number(text) and math.isfinite(value := float(text)):
        return value
    raise _bad(text, "a number")


def _read_decimal(text: str) -> Decimal:
    if not text:
        return Decimal(0)
    if not _is_number(text):
        raise _bad(text, "a number")
    value = Decimal(text)
    if not value:
        return Decimal(0)
    if abs(value.adjusted()) > _MAX_EXPONENT or len(value.as_tuple().digits) > _MAX_DIGITS:
        raise _bad(text, "a number of reasonable size")
    return value


def _read_optional_decimal(text: str) -> Decimal | None:
    return None if _is_unset(text) else _read_decimal(text)


def _read_offset(text: str) -> Decimal | None:
    return Decimal("Infinity") if text.lower() in _INFINITE else _read_optional_decimal(text)


def _write_price(value: Any) -> str:  # noqa: ANN401
    text = _write_number(value)
    return text if "." in text or "e" in text else text + ".0"


def _write_number(value: Any) -> str:  # noqa: ANN401
    """A number, without decimal point where it is whole."""
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _bad(value, "a finite number")
    if -_WHOLE_LIMIT < value < _WHOLE_LIMIT and value == (whole := int(value)):
        return str(whole)
    return repr(float(value))


def _decimal_text(value: Decimal) -> str:
    if not value.is_finite():
        raise _bad(value, "a finite number")
    if not value:
        return "0"
    if abs(value.adjusted()) > _MAX_EXPONENT:
        raise _bad(value, "a number of reasonable size")
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write_whole(value: Any) -> str:  # noqa: ANN401
    _write_number(value)
    return str(int(value))


def _write_offset(value: Any) -> str:  # noqa: ANN401
    return "Infinity" if value == math.inf else _write_price(value)


def _write_text(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or "\0" in value or len(value) > MAX_TEXT:
        raise _bad(value, "a text without NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _bad(value, "a text of Unicode characters") from None
    return value


def _read_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise _bad(text, f"a text of at most {MAX_TEXT} characters")
    return text


def _write_escaped(value: Any) -> str:  # noqa: ANN401
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _bad(value, "a text")
    return _UNPRINTABLE.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character == "\\":
        return r"\\"
    number = ord(character)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _read_escaped(text: str) -> str:
    text = _read_text(text)
    return _ESCAPE.sub(_unescape, text) if "\\" in text else text


def _unescape(match: re.Match[str]) -> str:
    short, long, byte, single = match.groups()
    if single:
        return _SHORT_ESCAPES[single]
    number = int(short or long or byte, 16)
    return chr(number) if number <= 0x10FFFF else match[0]


def _or(unset: str, write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: unset if value is None else write(value)


def _kind(
    name: str, write: Callable[[Any], str], read: Callable[[str], Any], whole: Callable[[Any], str] | None = None
) -> Kind:
    instead = Kind(name, Memo(whole), Memo(read)) if whole else None
    return Kind(name, Memo(write), Memo(read), instead)


#: Text as it is, UTF-8; and text that clients unescape: printable ASCII with \\uXXXX.
TEXT: Final = _kind("text", _write_text, _read_text)
ESCAPED: Final = _kind("escaped text", _write_escaped, _read_escaped)

INT: Final = _kind("integer", _write_integer, _read_integer)
#: An integer that seldom repeats.
SERIAL: Final = _kind("serial number", _write_integer, _read_integer)
OPT_INT: Final = _kind("optional integer", _or("", _write_integer), _read_optional_integer)
UNSET_INT: Final = _kind("integer or unset", _or(UNSET_INTEGER, _write_integer), _read_optional_integer)
UNSET_LONG: Final = _kind("long integer or unset", _or(_LARGEST_LONG, _write_integer), _read_optional_integer)

FLAG: Final = _kind("flag", _write_flag, _read_flag)
OPT_FLAG: Final = _kind("optional flag", _or("", _write_flag), _read_optional_flag)

#: Market data, as floats: a price has a decimal point, a size only where it is not whole. Averages seldom repeat.
PRICE: Final = _kind("price", _write_price, _read_float)
AVERAGE: Final = _kind("average price", _write_price, _read_float)
SIZE: Final = _kind("size", _write_number, _read_float, _write_whole)
NUMBER: Final = _kind("number", _write_number, _read_float)

#: Money and quantities, exact.
AMOUNT: Final = _kind("amount", _write_price, _read_decimal)
OPT_AMOUNT: Final = _kind("optional amount", _or("", _write_price), _read_optional_decimal)
UNSET_AMOUNT: Final = _kind("amount or unset", _or(UNSET_DOUBLE, _write_price), _read_optional_decimal)
QUANTITY: Final = _kind("quantity", _write_number, _read_decimal)
WHOLE_QUANTITY: Final = _kind("quantity, whole for old clients", _write_number, _read_decimal, _write_whole)
OPT_QUANTITY: Final = _kind("optional quantity", _or("", _write_number), _read_optional_decimal)
#: An offset whose infinity means "up to the midpoint".
OFFSET: Final = _kind("offset", _or("", _write_offset), _read_offset)

#: The same as annotations of a message's fields. Plain `int`, `str` and `bool` mean INT, TEXT and FLAG.
Escaped = Annotated[str, ESCAPED]
Serial = Annotated[int, SERIAL]
OptInt = Annotated[int | None, OPT_INT]
UnsetInt = Annotated[int | None, UNSET_INT]
Price = Annotated[float, PRICE]
Average = Annotated[float, AVERAGE]
Size = Annotated[float, SIZE]
Number = Annotated[float, NUMBER]
Amount = Annotated[Decimal, AMOUNT]
UnsetAmount = Annotated[Decimal | None, UNSET_AMOUNT]
Quantity = Annotated[Decimal, QUANTITY]
WholeQuantity = Annotated[Decimal, WHOLE_QUANTITY]
