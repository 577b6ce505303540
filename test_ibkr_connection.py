"""The connection check that a person runs: is TWS there, and if not, what was tried and what to change. Orders nothing.

Exit codes: 0 connected as wanted, 3 no TWS (unless IBKR_BACKEND=simulated asks for none), 2 wrong settings.
"""

import argparse
import sys

from src.brokers.command_line import DONE, NO_CONNECTION, mode_words, run_command
from src.brokers.findings import Outcome
from src.brokers.ib_gateway import IBGatewayClient

ADVICE = """\
🔧 What to change:
   1. Start TWS or IB Gateway, and log in to the paper account.
   2. TWS: File > Global Configuration > API > Settings (Gateway: Configure > Settings > API > Settings):
      tick "Enable ActiveX and Socket Clients", untick "Read-Only API", set the socket port (paper: TWS 7497,
      Gateway 4002).
   3. Under WSL, untick "Allow connections from localhost only" and add this machine's address (`hostname -I`) to
      "Trusted IPs": the exact address, a range is not accepted. Or set networkingMode=mirrored in .wslconfig.
   4. "No answer" means a firewall or a wrong address: let the port in, or name the host in IBKR_HOST_IP.
   5. To trade on the simulator on purpose: IBKR_BACKEND=simulated."""


def main(arguments: list[str] | None = None) -> int:
    """Run the check; return its exit code."""
    argparse.ArgumentParser(description="Check the connection to TWS or IB Gateway. Orders nothing.").parse_args(
        arguments
    )
    return run_command(_check)


def _check() -> int:
    from dataclasses import replace

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
        print(f"{verdict} {mode_words(client.mode)}")
        account = client.get_account_info()
        print(f"✅ Account info retrieved: {account['account_id']}, buying power ${account['buying_power']:,.2f}")
        for symbol in client.supported_symbols:
            quote = client.get_quote(symbol)
            print(f"   {symbol}: ${client.get_current_price(symbol):,.2f} ({quote['source']})")
        print("✅ Market data test completed")
        if fallen_back:
            _explain(client)
        return NO_CONNECTION if fallen_back else DONE
    finally:
        client.disconnect()


def _explain(client: IBGatewayClient) -> None:
    print("🔎 What was tried:")
    for attempt in client.health_check()["attempts"]:
        print(f"   {attempt['host']}:{attempt['port']}: {Outcome(attempt['outcome']).words}")
    print(ADVICE)


if __name__ == "__main__":
    sys.exit(main())
