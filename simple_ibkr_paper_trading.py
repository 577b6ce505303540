"""A ten-minute demo of paper trading: look at NVDA and MSFT, trade five shares of each, show the portfolio.

The logic is simple on purpose: who holds none buys five, who holds some sells them (five at most). Without TWS it runs
on the simulator and says so; real money is never traded.
"""

import argparse
import sys
from typing import TYPE_CHECKING

import src  # noqa: F401  # it looks at Python's version first

if TYPE_CHECKING:
    from src.brokers.answers import OrderAnswer
    from src.brokers.ib_gateway import IBGatewayClient

SYMBOLS = ("NVDA", "MSFT")
QUANTITY = 5
FILL_SECONDS = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return its exit code."""
    parser = argparse.ArgumentParser(
        description="Trade five shares of NVDA and of MSFT on a paper or simulated account."
    )
    parser.add_argument(
        "--backend", choices=["auto", "tws", "simulated"], help="what to trade on (default: as configured)"
    )
    options = parser.parse_args(arguments)
    from src.brokers.command_line import run_command  # answers for Ctrl-C while the rest is loaded

    return run_command(lambda: _demo(options.backend))


def _demo(backend: str | None) -> int:
    from src.brokers.command_line import DONE, FAILED, NO_CONNECTION, mode_words
    from src.brokers.ib_gateway import IBGatewayClient
    from src.brokers.opening import Play
    from src.domain.errors import ConfigurationError
    from src.settings import load_settings

    settings = load_settings(backend=backend)
    if settings.account_type == "live":
        raise ConfigurationError(
            "IBKR_ACCOUNT_TYPE=live: this demo never trades real money; set IBKR_ACCOUNT_TYPE=paper"
        )
    client = IBGatewayClient(settings=settings, play=Play(persistent=True))  # so that it knows what it holds
    print("🚀 Starting Simple IBKR Paper Trading Demo")
    if not client.connect():
        print(f"❌ Not connected: {client.health_check()['error']}")
        return NO_CONNECTION
    try:
        print(f"✅ Connected to IBKR: {mode_words(client.mode, client.found)}")
        print(f"💰 Account: {client.get_account_info()['account_id']} ({client.mode.capitalize()})")
        filled = [_trade(client, symbol) for symbol in SYMBOLS]
        print(f"📊 Final Portfolio: ${client.get_account_info()['net_liquidation']:,.2f}")
        for symbol, position in client.get_positions().items():
            print(f"   {symbol}: {position['position']} shares, worth ${position['market_value']:,.2f}")
        return DONE if all(filled) else FAILED
    finally:
        client.disconnect()


def _trade(client: "IBGatewayClient", symbol: str) -> bool:
    """Trade one symbol; whether it was filled."""
    print(f"📈 {symbol}: ${client.get_current_price(symbol):,.2f}")
    held = client.get_positions()[symbol]["position"]
    action, quantity = ("SELL", min(QUANTITY, held)) if held > 0 else ("BUY", QUANTITY)
    order = client.place_market_order(symbol, quantity, action, wait=FILL_SECONDS)
    if order["status"] == "Filled":
        sign = "🟢" if action == "BUY" else "🔴"
        print(f"{sign} {action} {order['quantity']} {symbol} @ ${order['avg_fill_price']:,.2f}")
        return True
    _give_up(client, order)
    return False


def _give_up(client: "IBGatewayClient", order: "OrderAnswer") -> None:
    """Leave nothing working behind."""
    print(f"⚪ {order['action']} {order['quantity']} {order['symbol']}: {order['status']} {order['reason']}".rstrip())
    if order["order_id"] is not None and order["status"] != "Rejected" and client.cancel_order(order["order_id"]):
        print(f"⚪ {order['symbol']}: cancelled, it did not fill within {FILL_SECONDS:g} s")


if __name__ == "__main__":
    sys.exit(main())
