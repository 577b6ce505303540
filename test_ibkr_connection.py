"""The connection check that a person runs: is TWS there, and if not, what was tried and what to change. Orders nothing.

Exit codes: 0 connected as wanted, 3 no TWS (unless IBKR_BACKEND=simulated asks for none), 2 wrong settings.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import src  # noqa: F401  # it looks at Python's version first

if TYPE_CHECKING:
    from src.brokers.ib_gateway import IBGatewayClient


def main(arguments: list[str] | None = None) -> int:
    """Run the check; return its exit code."""
    argparse.ArgumentParser(description="Check the connection to TWS or IB Gateway. Orders nothing.").parse_args(
        arguments
    )
    from src.brokers.command_line import run_command  # answers for Ctrl-C while the rest is loaded

    return run_command(_check)


def _check() -> int:
    from dataclasses import replace

    from src.brokers.command_line import DONE, NO_CONNECTION, mode_words
    from src.brokers.ib_gateway import IBGatewayClient
    from src.settings import load_settings

    settings = load_settings()
    client = IBGatewayClient(settings=replace(settings, client_id=settings.check_client_id))
    print("🔌 IBKR WORKSTATION CONNECTION TEST")
    if not client.connect():
        print("❌ CONNECTION FAILED")
        _explain(client)
        return NO_CONNECTION
    try:
        fallen_back = client.health_check()["fallback_reason"] is not None
        verdict = "❌ CONNECTION FAILED: no TWS, and instead" if fallen_back else "✅ CONNECTION SUCCESSFUL!"
        print(f"{verdict} {mode_words(client.mode, client.found)}")
        if fallen_back:
            _explain(client)
            return NO_CONNECTION
        _show(client)
        return DONE
    finally:
        client.disconnect()


def _show(client: "IBGatewayClient") -> None:
    from src.domain.account_ids import masked

    account = client.get_account_info()
    shown = masked(account["account_id"])
    print(
        f"✅ Account info retrieved: {shown}, net liquidation ${account['net_liquidation']:,.2f}, "
        f"buying power ${account['buying_power']:,.2f}"
    )
    for symbol in client.supported_symbols:
        quote = client.get_quote(symbol)
        print(f"   {symbol}: ${client.get_current_price(symbol):,.2f} ({quote['source']})")
    print("✅ Market data test completed. Nothing was ordered.")


def _explain(client: "IBGatewayClient") -> None:
    """What was tried, one line each, then what to change, the one thing to do last."""
    print("🔎 What was tried:")
    for attempt in client.attempts:
        print(f"   {attempt.line}")
    change = _what_to_change(client)
    print("🔧 What to change (python -m src doctor says more):")
    for line in change:
        print(f"   {line}")
    print(f"👉 {change[0]}.")


def _what_to_change(client: "IBGatewayClient") -> tuple[str, ...]:
    from src.brokers.advice import cure, stale_address
    from src.brokers.findings import answering, nearest

    found = answering(client.attempts)
    if found is None:
        return cure(nearest(client.attempts))
    named = next((each for each in client.attempts if each.is_named), found)
    if named is not found:
        return stale_address(named, found)
    error = client.health_check()["error"]  # what TWS made of us, with what to do about it
    return (error.rstrip("."),) if error else ("Install a client library for TWS: run `make`, or activate .venv",)


if __name__ == "__main__":
    sys.exit(main())
