"""The live view as a person has it: a real terminal of 80 by 24 (tmux), over the paper gateway, with limits."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.orders import AccountId
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.market import MarketRules, seeded_market
from tests.conftest import ROOT
from tests.ops.conftest import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed (.ci/run installs it)"),
]


class Terminal:
    """Eighty columns by twenty-four lines, and a command in it."""

    def __init__(self, folder: Path, environment: dict[str, str], command: list[str]) -> None:
        self._folder, self._environment = folder, environment
        line = f"cd {shlex.quote(str(ROOT))}; {shlex.join(command)}; echo it ended with $?; read -r nothing"
        self._tmux("new-session", "-d", "-x", "80", "-y", "24", line)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._folder / "tmux"), "-f", "/dev/null", *arguments]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def screen(self) -> str:
        """What stands on it."""
        return self._tmux("capture-pane", "-p")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._tmux("send-keys", "C-c")

    def close(self) -> None:
        """End it, with what runs in it."""
        self._tmux("kill-server")


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A minute takes a second there."""
    market = seeded_market(
        MarketRules(hours="always", seed=3), ["NVDA", "MSFT"], {AccountId("DUSIM01"): Decimal(10**5)}, speed=60
    )
    with PaperGateway(market, GatewayOptions(port=0)) as found:
        yield found


@pytest.fixture
def terminal(gateway: PaperGateway, environment: dict[str, str], tmp_path: Path) -> Iterator[Terminal]:
    """A session that holds simulated orders to a paper account's limits."""
    trader = [sys.executable, str(ROOT / "live_trader.py"), "--limits", "--require", "tws", "--duration", "600"]
    made = Terminal(tmp_path, {**environment, "IBKR_PORT": str(gateway.port), "TERM": "xterm-256color"}, trader)
    yield made
    made.close()


def seen(terminal: Terminal, pattern: str) -> Callable[[], bool]:
    """Whether something stands on the screen."""
    return lambda: re.search(pattern, terminal.screen()) is not None


def test_a_session_fills_its_terminal_and_gives_it_back(terminal: Terminal, gateway: PaperGateway) -> None:
    """Mode, prices, every limit; a lost connection in plain sight; the summary on the terminal as it was before."""
    until(seen(terminal, r"connected +simulated prices, \d+ s old"), "the live view")
    until(seen(terminal, r"NVDA +\d+\.\d\d +\d+\.\d\d +\d+\.\d\d +\d+s"), "NVDA's quote")
    lines = terminal.screen().split("\n")
    assert lines[0].startswith(f" SIMULATED - not real money   DUSIM01   127.0.0.1:{gateway.port} client 1 ")
    limits = next(index for index, line in enumerate(lines) if line.startswith("limits  "))
    shown = " ".join(" ".join(lines[limits : limits + 2]).split())
    assert re.search(
        r"open orders \d/10 orders a minute \d+/30 round trips \d+/20 "
        r"largest position \d+/1,000 day's loss \$\d+/\$[\d,]+ drawdown [\d.]+%/3%",
        shown,
    ), shown
    gateway.play("- {at: 0, action: restart, seconds: 3600}")
    until(seen(terminal, r"(?m)^NOT CONNECTED  no price yet"), "the lost connection")
    away = terminal.screen()
    assert re.search(r"(?m)^the connection to TWS is lost since", away)
    assert re.search(r"(?m)^working orders: not known now", away)
    assert "open orders -/10" in away
    gateway.call(lambda server: server.restart(0))
    until(seen(terminal, r"(?m)^connected +simulated prices, \d+ s old"), "the connection's return")
    terminal.interrupt()
    until(seen(terminal, "it ended with 130"), "the end")
    assert "Session summary" in terminal.screen()
