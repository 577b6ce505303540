"""`python -m src <command>`: the commands over all parts."""

import argparse
import sys
from collections.abc import Callable, Sequence

_PROG = "python -m src"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code. Each loads its own part, with care for Ctrl-C meanwhile."""
    options, rest = _parser().parse_known_args(arguments)
    from src.brokers.command_line import run_command, with_output

    if options.command in (careful := {"check": _check, "doctor": _doctor}):  # they tell of their errors themselves
        return with_output(lambda: careful[options.command](rest))
    bodies: dict[str, Callable[[], int]] = {
        "serve-tws": lambda: _serve(rest),
        "report": lambda: _report(rest),
        "kill": lambda: _kill(options),
        "resume": _resume,
        "orders": lambda: _show_orders(options),
        "sim": _reset_simulated_account,
    }
    if rest and options.command not in ("serve-tws", "report"):
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    return run_command(bodies[options.command])


def _check(rest: Sequence[str]) -> int:
    from src.brokers.ib_gateway import main as check

    return check(rest, f"{_PROG} check")


def _doctor(rest: Sequence[str]) -> int:
    from src.brokers.doctor.command import main as doctor

    return doctor(rest, f"{_PROG} doctor")


def _serve(rest: Sequence[str]) -> int:
    from src.gateways.serve_tws import main as serve

    return serve(rest, f"{_PROG} serve-tws")


def _report(rest: Sequence[str]) -> int:
    from src.console.report.command import main as report

    return report(rest, f"{_PROG} report")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG, description="Understudy: trade through Interactive Brokers, or in its place."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    # Its arguments belong to the checks, --help included.
    commands.add_parser("check", add_help=False, help="check the connection: --test connect|account|positions|...")
    commands.add_parser("doctor", add_help=False, help="would trading work from here, and if not, what to change")
    commands.add_parser("serve-tws", add_help=False, help="a TWS on simulated prices, for any TWS API program")
    commands.add_parser("report", add_help=False, help="a session's report: --session ID, --format html|csv|json")
    orders = commands.add_parser("orders", help="every order that was meant to be sent, and what became of it")
    orders.add_argument("--json", action="store_true", help="as one JSON array on standard output")
    orders.add_argument("--session", help="of this session alone")
    orders.add_argument("--mode", choices=("simulated", "paper", "live"), help="of this mode alone")
    kill = commands.add_parser("kill", help="no new order, and cancel the working ones of every trader here")
    kill.add_argument("--flatten", action="store_true", help="close every position at the market, too")
    kill.add_argument(
        "--global-cancel", action="store_true", help="cancel ALL orders at TWS, other programs' and manual ones; asks"
    )
    commands.add_parser("resume", help="clear the kill switch and whatever else stops new risk")
    sim = commands.add_parser("sim", help="the simulated account that lives across processes")
    sim.add_subparsers(dest="action", required=True).add_parser("reset", help="begin anew with the initial capital")
    return parser


def _kill(options: argparse.Namespace) -> int:
    from src.brokers.kill_command import kill

    return kill(flatten=options.flatten, everybody=options.global_cancel)


def _resume() -> int:
    from src.brokers.kill_command import resume

    return resume()


def _show_orders(options: argparse.Namespace) -> int:
    import json

    from src.domain.market import Mode
    from src.records.order_list import order_answers, order_text, sessions_with_orders
    from src.settings import load_settings

    state_dir = load_settings().state_dir
    mode = Mode(options.mode) if options.mode else None
    sessions = sessions_with_orders(state_dir, mode=mode, session=options.session)
    if sessions is None:
        kind = f"{mode} journal" if mode else "journal"
        sys.stderr.write(f"There is no {kind} in {state_dir}: no session has written an order down there.\n")
    if options.json:
        print(json.dumps(order_answers(sessions or ()), indent=2))
    elif sessions is not None:
        print(order_text(sessions))
    return 0


def _reset_simulated_account() -> int:
    from src.records.simulated_account import clear
    from src.settings import load_settings

    cleared = clear(load_settings().state_dir)
    print("The simulated account is cleared." if cleared else "There was no simulated account to clear.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
