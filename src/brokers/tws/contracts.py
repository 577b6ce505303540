"""Which contract is meant, and one name for each: asked of TWS over the open connection."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from src.brokers.tws import convert
from src.brokers.tws.library import RequestFailedError, Wire
from src.brokers.tws.pacing import MessagePacer
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import BrokerError, RequestTimeoutError, UnknownContractError
from src.domain.market import Contract, ContractDetails

_CANDIDATES: Final = 8


class Contracts:
    """The contracts of one broker; on the loop's thread."""

    def __init__(self, wire: Callable[[], Wire], pacer: MessagePacer) -> None:
        self._wire, self._pacer = wire, pacer
        self._known: dict[int, Contract] = {}

    def numbered(self, con_id: int) -> Contract | None:
        """The contract of this number, if it is known."""
        return self._known.get(con_id)

    def known(self, contract: Contract) -> Contract:
        """The contract as it was qualified, so that one thing has one name everywhere."""
        return self._known.setdefault(contract.con_id, contract)

    async def details(self, contract: Contract) -> ContractDetails:
        """The one contract meant; UnknownContractError with candidates."""
        wanted = replace(contract, symbol=contract.symbol.strip().upper())
        found = list({each.contract.con_id: each for each in await self._found(wanted)}.values())
        if len(found) == 1:
            self._known[found[0].contract.con_id] = found[0].contract
            return found[0]
        if found:
            names = tuple(convert.candidate(each.contract) for each in found)
            raise UnknownContractError(
                f"{wanted.symbol} is ambiguous: say the primary exchange or the currency of {'; '.join(names)}",
                candidates=names,
            )
        similar = await self._similar(wanted.symbol)
        hint = f"; TWS knows {', '.join(similar)}" if similar else ""
        what = f"{wanted.sec_type} {wanted.symbol!r} in {wanted.currency}"
        raise UnknownContractError(f"no {what}{hint}", candidates=similar)

    async def _found(self, wanted: Contract) -> list[ContractDetails]:
        await self._pacer.turn()
        try:
            return [convert.details_from(each) for each in await self._wire().details(wanted)]
        except RequestFailedError as error:
            if meaning(error.code, RequestKind.DATA) is Meaning.NO_CONTRACT:
                return []
            raise RequestTimeoutError(f"TWS could not look up {wanted.symbol}: {error.text}") from None

    async def _similar(self, symbol: str) -> tuple[str, ...]:
        """Symbols that begin like this one; none when TWS has no answer."""
        if not symbol:
            return ()
        try:
            await self._pacer.turn()
            found = await self._wire().matching(symbol)
        except (RequestFailedError, BrokerError):
            return ()
        return tuple(dict.fromkeys(each.symbol for each in found))[:_CANDIDATES]
