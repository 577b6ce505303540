"""What the library works out anew at each message, worked out once: how fields are read, and how an order is written.

All come from the library itself - its classes, its encoder, its methods - so that what is read and sent is what it
would read and send, at every version of TWS. It walks over a hundred fields of each order, of which we set fifteen.
"""

# ruff: noqa: ANN401, N802  # the library has its own names
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from types import FunctionType, MethodType
from typing import Any, Final

from src.brokers.tws import convert
from src.domain.market import Contract
from src.domain.orders import Order

_MARK: Final = "\x01"
_READ: Final = {int: "int(value)", float: "float(value)", bool: "bool(int(value))"}
#: What an order of ours says, by the library's names; all else of its message is the same for every order.
_SAID: Final = (
    "action", "totalQuantity", "orderType", "lmtPrice", "auxPrice", "tif", "ocaGroup", "ocaType", "account", "orderRef",
    "outsideRth", "parentId", "transmit", "whatIf",
)  # fmt: skip


#: The message of an execution.
_EXECUTION: Final = 11


def with_names(method: Any, names: dict[str, Any]) -> Any:
    """The same function, for which some names of its module mean others."""
    known = {**method.__globals__, **names}
    return FunctionType(method.__code__, known, method.__name__, method.__defaults__, method.__closure__)


def values_of(found: Any) -> dict[str, Any]:
    """The library's `dataclassAsDict`, of an object that has its fields and nothing else."""
    return dict(vars(found))


def updated(found: Any, *others: Any, **values: Any) -> Any:
    """The library's `dataclassUpdate`, likewise."""
    for other in others:
        found.__dict__.update(vars(other))
    found.__dict__.update(values)
    return found


def read_moments_once(decoder: Any) -> None:
    """Have `decoder` remember how the moments of executions read: those of a second bear the same text."""
    method = type(decoder).execDetails
    read = lru_cache(maxsize=64)(method.__globals__["parseIBDatetime"])
    decoder.handlers[_EXECUTION] = MethodType(with_names(method, {"parseIBDatetime": read}), decoder)


class FieldParser:
    """Stands in the place of the decoder's `parse`: brings an object's texts to the types of its defaults."""

    def __init__(self) -> None:
        self._known: dict[type, Callable[[Any], None]] = {}

    def __call__(self, found: Any) -> None:
        """As the library does it."""
        kind = type(found)
        known = self._known.get(kind)
        if known is None:
            known = self._known[kind] = _parser_of(kind)
        known(found)


def _parser_of(kind: type) -> Callable[[Any], None]:
    lines, names = ["def parse(found):", "    pass"], dict[str, Any]()
    for field in fields(kind):
        if (how := _READ.get(type(field.default))) is not None:
            names[f"default_{field.name}"] = field.default
            lines.append(f"    value = found.{field.name}")
            lines.append(f"    found.{field.name} = {how} if value else default_{field.name}")
    exec("\n".join(lines), names)  # noqa: S102  # nothing but the names of the library's fields enters
    parse: Callable[[Any], None] = names["parse"]
    return parse


class OrderWriter:
    """Writes placeOrder as the library's `client` (a class) does for TWS of `version`."""

    def __init__(self, module: Any, client: Any, version: int) -> None:
        self._module, self._draft = module, _draft_of(client, version)
        self._forms: dict[Contract, str] = {}

    def text(self, order_id: int, order: Order, *, transmit: bool, what_if: bool) -> str:
        """The message, without its length."""
        form = self._forms.get(order.contract)
        if form is None:
            form = self._forms[order.contract] = self._form(order.contract)
        limit, stop, group = order.limit_price, order.stop_price, order.oca_group
        return form % {
            "orderId": order_id,
            "action": order.action.value,
            "totalQuantity": int(order.quantity),
            "orderType": order.order_type.value,
            "lmtPrice": "" if limit is None else float(limit),
            "auxPrice": "" if stop is None else float(stop),
            "tif": order.tif.value,
            "ocaGroup": group,
            "ocaType": int(bool(group)),
            "account": order.account,
            "orderRef": order.order_ref,
            "outsideRth": int(order.outside_rth),
            "parentId": order.parent_id or 0,
            "transmit": int(transmit),
            "whatIf": int(what_if),
        }

    def _form(self, contract: Contract) -> str:
        """The message with places for what differs: what the library writes of an order that has marks in them."""
        order = self._module.Order(**{name: f"{_MARK}{name}{_MARK}" for name in _SAID})
        written = self._draft(f"{_MARK}orderId{_MARK}", convert.contract_to(self._module, contract), order)
        parts = written.split(_MARK)
        if sorted(parts[1::2]) != sorted(("orderId", *_SAID)):
            raise TypeError(f"{self._module.__name__} does not write an order as it is expected to")
        return "".join(f"%({part})s" if place % 2 else part.replace("%", "%%") for place, part in enumerate(parts))


def _draft_of(client: Any, version: int) -> Callable[[Any, Any, Any], str]:
    """The library's encoder of orders, without a connection: it returns what it would send."""

    class Draft(client):  # type: ignore[misc]  # untyped
        def __init__(self) -> None:
            self.written = ""

        def isConnected(self) -> bool:
            return True

        def serverVersion(self) -> int:
            return version

        def sendMsg(self, msg: str) -> None:
            self.written = msg

    def draft(order_id: Any, contract: Any, order: Any) -> str:
        drafting = Draft()
        drafting.placeOrder(order_id, contract, order)
        return str(drafting.written)

    return draft
