"""A trading session from the command line, and `LiveAITrader`, the same for a program.

`python live_trader.py --help` lists the options. The summary goes to standard output, everything else to standard
error. Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 a real connection was wanted and there was none,
130 and 143 after Ctrl-C and SIGTERM: the session then ends in good order, with its summary; a second signal ends it at
once. Nothing heavy is imported before the options have been read.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TextIO

import src  # noqa: F401  # it looks at Python's version first
from src.domain.facts import fact

if TYPE_CHECKING:
    from src.brokers.ib_gateway import IBGatewayClient
    from src.brokers.opening import Play
    from src.console.signals import Signals
    from src.domain.market import Contract
    from src.settings import Settings
    from src.trading.observer import Observer
    from src.trading.plan import SessionPlan
    from src.trading.recorder import Recorder
    from src.trading.strategy import Strategy
    from src.trading.summary import SessionSummary
    from src.trading.trader import Trader

_DEFAULT_MINUTES: Final = 30.0
#: 2025-01-02 09:30 New York, the first open after the closes that invented prices set out from: where an invented
#: session that runs faster than the day begins, so that equal runs are equal.
_INVENTED_START: Final = 1_735_828_200_000_000_000


@fact
class SessionOptions:
    """What a session is asked for; what is None or empty comes from the settings."""

    settings: "Settings | None" = None
    play: "Play | None" = None
    timeframe: str = "1m"
    strategy_options: Mapping[str, str] | None = None
    strategy: "Strategy | None" = None  # already made; else by its name in the settings
    quantities: Mapping[str, Decimal] | None = None
    flat_before_close: float | None = None
    dry_run: bool = False
    observers: "tuple[Observer, ...]" = ()


class LiveAITrader:
    """Runs trading sessions through one `IBGatewayClient`. After a session, `summary` and `remarks` tell of it."""

    def __init__(self, options: SessionOptions | None = None, ib_client: "IBGatewayClient | None" = None) -> None:
        from src.brokers.ib_gateway import IBGatewayClient
        from src.settings import load_settings

        self._options = options or SessionOptions()
        self._settings = self._options.settings or load_settings()
        self.ib_client = ib_client or IBGatewayClient(settings=self._settings, play=self._options.play)
        self.cash = float(self._settings.initial_capital)
        self.summary: SessionSummary | None = None
        self.remarks: tuple[str, ...] = ()
        self._trader: Trader | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the running session in good order, or the next one before it begins; fit for a signal handler."""
        self._stopped = True
        if self._trader is not None:
            self._trader.stop()

    def interrupt(self) -> None:
        """`stop` for a signal handler: before the session, KeyboardInterrupt breaks off what it waits for."""
        self.stop()
        if self._trader is None:
            raise KeyboardInterrupt

    def run_trading_session(self, duration_minutes: float | None = 30) -> bool:
        """Trade for so many market minutes (None: until the prices end); False when there is no broker, or it failed.

        Raises ConfigurationError and UnknownContractError for what was asked wrongly.
        """
        from src.trading.strategy import load_strategy
        from src.trading.trader import Trader

        options = self._options
        strategy = options.strategy or load_strategy(self._settings.strategy, options.strategy_options or {})
        self.summary = None
        if not self.ib_client.connect():
            return False
        self._refuse_other_speeds()
        self._refuse_unless_meant()
        self.cash = self.ib_client.get_account_info().get("available_funds", self.cash)
        trader = Trader(self.ib_client.broker, strategy, self._plan(duration_minutes), self._options.observers)
        self._trader = trader
        if self._stopped:
            trader.stop()
        self.summary = trader.run()
        if self.ib_client.connected:  # it may have been lost meanwhile; the summary is there all the same
            self.cash = self.ib_client.get_account_info().get("available_funds", self.cash)
        self.remarks = _remarks(trader, strategy.warm_up)
        return trader.failure is None

    def text(self) -> str:
        """The last session's summary for a person."""
        from src.domain.market import Mode
        from src.trading.summary import Prices, text

        if self.summary is None:
            return "There was no session."
        prices = Prices.RECORDED if self._options.play and self._options.play.replay else Prices.SEEDED
        if self.ib_client.found is not None:
            prices = Prices.GATEWAY if self.summary.mode == Mode.SIMULATED else Prices.MARKET
        return text(self.summary, prices, self.remarks)

    def _plan(self, minutes: float | None) -> "SessionPlan":
        from src.domain.market import BarSize
        from src.trading.plan import SessionPlan

        return SessionPlan(
            session=self.ib_client.session_id,
            contracts=self._contracts(),
            timeframe=BarSize(self._options.timeframe),
            quantities=self._options.quantities or {},
            duration=minutes,
            on_exit=self._settings.on_exit,
            flat_before_close=self._options.flat_before_close,
            close_after=self._closes(),
            dry_run=self._options.dry_run,
        )

    def _contracts(self) -> "tuple[Contract, ...]":
        from src.domain.errors import ConfigurationError
        from src.domain.market import Contract

        symbols = tuple(dict.fromkeys(symbol.upper() for symbol in self._settings.symbols))
        if strangers := [symbol for symbol in self._options.quantities or () if symbol not in symbols]:
            raise ConfigurationError(f"--quantity {strangers[0]}=...: the session trades {', '.join(symbols)} only")
        return tuple(map(Contract, symbols))

    def _closes(self) -> Callable[[int], int | None] | None:
        """The market's closes, when they matter."""
        from src.trading.closes import NyseCloses

        hours, replayed = self._settings.sim_market_hours, bool(self._options.play and self._options.play.replay)
        always = self.ib_client.found is None and (hours == "always" or (hours == "auto" and not replayed))
        if self._options.flat_before_close is None:
            return None
        if always:
            _warn("flat before the close: this market never closes; SIM_MARKET_HOURS=nyse gives it hours")
            return None
        return NyseCloses()

    def _refuse_other_speeds(self) -> None:
        from src.domain.errors import ConfigurationError

        play = self._options.play
        if play is not None and play.speed != 1 and self.ib_client.found is not None:
            self.ib_client.disconnect()
            raise ConfigurationError(
                "--speed: TWS's market runs at its own speed; leave it at `real`, or add --backend simulated"
            )

    def _refuse_unless_meant(self) -> None:
        from src.console.confirmation import agrees_to_live
        from src.domain.errors import LiveTradingRefusedError
        from src.domain.market import Mode

        if self.ib_client.mode is Mode.LIVE and not agrees_to_live(self.ib_client.broker.account_id):
            self.ib_client.disconnect()
            raise LiveTradingRefusedError("the session was not confirmed: nothing was sent")


def _remarks(trader: "Trader", warm_up: int) -> tuple[str, ...]:
    """What a person should know beside the figures."""
    from src.brokers.command_line import in_one_line

    remarks = [
        f"{symbol}: the strategy needs {warm_up + 1:,} bars before it can decide, and saw {seen:,}."
        for symbol, seen in trader.undecided.items()
    ]
    if trader.rehearsal.wishes:
        remarks.append(trader.rehearsal.in_words())
    if trader.rejected:
        remarks.append(f"Orders rejected: {trader.rejected:,}.")
    if trader.liquidated:
        remarks.append(f"The venue liquidated {trader.liquidated:,} times for want of margin.")
    if trader.portfolio.positions:
        held = ", ".join(f"{shares} {symbol}" for symbol, shares in trader.portfolio.positions.items())
        remarks.append(f"Still held: {held}.")
    if trader.failure is not None:
        remarks.append(f"The session FAILED: {in_one_line(trader.failure)}")
    return tuple(remarks)


# --- The command line --------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a session; return the exit code."""
    from src.brokers.command_line import with_output

    return with_output(lambda: _session(arguments))


def _session(arguments: Sequence[str] | None) -> int:
    from src.console.session_options import parsed

    wish = parsed(arguments)
    from src.brokers.command_line import prepare_streams, told
    from src.console.signals import Signals

    real_time = not wish.replay and wish.speed == 1
    prepare_streams(verbose=real_time and not wish.quiet, as_json=wish.log_format == "json")
    signals = Signals()
    try:
        with signals, ExitStack() as until_the_end:
            code = _run(wish, signals, until_the_end)
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001  # never a traceback at the command line
        code = told(error)
    return code if signals.received is None else 128 + signals.received


def _run(wish: argparse.Namespace, signals: "Signals", until_the_end: ExitStack) -> int:
    from src.brokers.command_line import DONE, FAILED, NO_CONNECTION
    from src.brokers.kill import throw
    from src.brokers.opening import Play
    from src.console.faces import faces
    from src.console.watchers import watchers
    from src.runtime.heap import settle_heap
    from src.runtime.worker import share_processor
    from src.trading.strategy import load_strategy, parse_options

    settings = _settings(wish)
    if wish.require == "tws" and settings.backend == "simulated":
        sys.stderr.write("TWS is required, and the settings say simulated: IBKR_BACKEND=auto or tws looks for it\n")
        return NO_CONNECTION
    options = parse_options(wish.strategy_option)
    strategy = load_strategy(settings.strategy, options)  # before anything is taken or written: it may be a slip
    real_time = not wish.replay and wish.speed == 1
    play = Play(
        replay=tuple(wish.replay),
        speed=wish.speed,
        start=None if wish.replay or real_time else _INVENTED_START,
        persistent=real_time,
        journalled=wish.report,
        limits=wish.limits,
    )
    recorder = _recorder(wish, settings) if wish.report else None
    watching = until_the_end.enter_context(watchers(settings, real_time=real_time))  # left when all has been told
    minutes = wish.duration if wish.duration is not None or wish.replay else _DEFAULT_MINUTES
    with faces(
        settings, minutes=minutes, runs_ahead=not real_time, quiet=wish.quiet, page_port=wish.dashboard
    ) as observers:
        trader = LiveAITrader(
            SessionOptions(
                settings=settings,
                play=play,
                timeframe=wish.timeframe,
                strategy_options=options,
                strategy=strategy,
                quantities=wish.quantity,
                flat_before_close=wish.flat_before_close,
                dry_run=wish.dry_run,
                observers=(
                    *observers,
                    *watching,
                    *(() if recorder is None else (recorder,)),
                ),
            )
        )
        signals.stop, signals.kill = trader.interrupt, lambda: throw(settings.state_dir, "SIGUSR1")
        settle_heap(in_real_time=real_time)
        if real_time:
            share_processor()
        try:
            well = trader.run_trading_session(minutes)
        finally:
            signals.stop = signals.kill = None
            trader.ib_client.disconnect()
    if trader.summary is None:
        return NO_CONNECTION
    to_stdout = str(wish.json) == "-"
    if not to_stdout:
        print(trader.text())
    if recorder is not None and recorder.session is not None:
        _report(settings, recorder.session, sys.stderr if to_stdout else sys.stdout)
    if wish.json is not None:
        import json  # as all that `--help` does without

        text = json.dumps(trader.summary.as_json(), indent=2) + "\n"
        try:
            sys.stdout.write(text) if to_stdout else wish.json.write_text(text, encoding="utf-8")
        except OSError as error:
            sys.stderr.write(f"--json: {wish.json} cannot be written: {error.strerror}\n")
            return FAILED
    return DONE if well else FAILED


def _recorder(wish: argparse.Namespace, settings: "Settings") -> "Recorder":
    from src.trading.recorder import Recorder
    from src.trading.strategy import parse_options

    notes = {
        "strategy": settings.strategy,
        "strategy_options": parse_options(wish.strategy_option),
        "symbols": list(settings.symbols),
        "timeframe": wish.timeframe,
        "quantities": {symbol: int(shares) for symbol, shares in wish.quantity.items()},
        "replay": [path.name for path in wish.replay],
        "preset": settings.sim_preset,
        "fees": settings.sim_fees,
        "seed": settings.sim_seed,
        "dry_run": wish.dry_run,
    }
    return Recorder(settings.state_dir, notes)


def _warn(message: str, *values: object) -> None:
    import logging  # as all that `--help` does without

    logging.getLogger(__name__).warning(message, *values)


def _report(settings: "Settings", session: str, out: TextIO) -> None:
    """Write the session's report and say where; one that cannot be written takes nothing from the session."""
    from src.console.report.command import write_report
    from src.domain.errors import BrokerError

    try:
        print(f"Report: {write_report(settings.state_dir, session)}", file=out)
    except BrokerError as error:
        _warn("there is no report of this session: %s", error)


def _settings(wish: argparse.Namespace) -> "Settings":
    from src.runtime.files import find
    from src.settings import load_settings

    return load_settings(
        config=wish.config,
        backend="simulated" if wish.replay else wish.backend,
        fallback="never" if wish.require == "tws" else None,
        symbols=tuple(wish.symbols or (find(wish.replay) if wish.replay else ())) or None,
        strategy=wish.strategy,
        initial_capital=wish.initial_capital,
        sim_seed=wish.seed,
        sim_preset=wish.preset,
        sim_fees=wish.fees,
        on_exit=wish.on_exit,
    )


if __name__ == "__main__":
    sys.exit(main())
