"""`python -m src <command>`: the commands over all parts."""

import argparse
import sys
from collections.abc import Sequence

_PROG = "python -m src"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code."""
    options, rest = _parser().parse_known_args(arguments)
    if options.command == "check":
        from src.brokers.ib_gateway import main as check  # each command loads its own part

        return check(rest, f"{_PROG} check")
    if options.command == "doctor":
        from src.brokers.doctor.command import main as doctor

        return doctor(rest, f"{_PROG} doctor")
    if options.command == "serve-tws":
        from src.brokers.command_line import run_command
        from src.gateways.serve_tws import main as serve

        return run_command(lambda: serve(rest, f"{_PROG} serve-tws"))
    if rest:
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    from src.brokers.command_line import run_command

    return run_command(_reset_simulated_account)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROG, description="Understudy: trade through Interactive Brokers, or in its place."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    # Its arguments belong to the checks, --help included.
    commands.add_parser("check", add_help=False, help="check the connection: --test connect|account|positions|...")
    commands.add_parser("doctor", add_help=False, help="would trading work from here, and if not, what to change")
    commands.add_parser("serve-tws", add_help=False, help="a TWS on simulated prices, for any TWS API program")
    sim = commands.add_parser("sim", help="the simulated account that lives across processes")
    sim.add_subparsers(dest="action", required=True).add_parser("reset", help="begin anew with the initial capital")
    return parser


def _reset_simulated_account() -> int:
    from src.records.simulated_account import clear
    from src.settings import load_settings

    cleared = clear(load_settings().state_dir)
    print("The simulated account is cleared." if cleared else "There was no simulated account to clear.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
