"""`make monitor`: is a session watched, and if not, what to change.

Asks the Prometheus at 127.0.0.1:9090 for its targets, and starts one when none answers and the program is installed.
Exit 0 when every target is up and is a session of ours; 1 otherwise, with the cure. `--panels` looks whether every
panel and variable of every dashboard has data, too. Standard library only.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit

OPS: Final = Path(__file__).resolve().parent
DASHBOARDS: Final = OPS / "grafana" / "dashboards"
CONFIG: Final = OPS / "prometheus" / "prometheus.yml"
ADDRESS: Final = "127.0.0.1:9090"
JOB: Final = "understudy"
_PATIENCE: Final = 30.0
_INSTALL: Final = (
    "No Prometheus answers at {address}, and the program is not installed: sudo apt install prometheus, "
    "or docker compose -f ops/compose.yaml up -d"
)
_LABEL_VALUES: Final = "label_values("


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The HTTP API of a Prometheus."""

    address: str

    def get(self, path: str, **parameters: str) -> Any:  # noqa: ANN401  # the API's JSON
        """The `data` of an answer; OSError when there is none."""
        host, _, port = self.address.partition(":")
        connection = HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            answer = json.loads(connection.getresponse().read())
        except (HTTPException, ValueError) as error:
            raise ConnectionError(f"what answers at {self.address} is no Prometheus: {error}") from error
        finally:
            connection.close()
        if answer.get("status") != "success":
            raise ConnectionError(f"{path}: {answer.get('error', answer)}")
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now."""
        result: list[dict[str, Any]] = self.get("query", query=expression)["result"]
        return result

    def targets(self) -> list[dict[str, Any]]:
        """The targets of our job."""
        active = self.get("targets", state="active")["activeTargets"]
        return [each for each in active if each["labels"].get("job") == JOB]


class Question(NamedTuple):
    """What a dashboard asks, and where it stands."""

    place: str
    expression: str


def questions(dashboard: dict[str, Any], chosen: str = ".*") -> Iterator[Question]:
    """Every expression of a dashboard, panels and variables, with `chosen` for each variable."""
    title = dashboard["title"]
    for variable in dashboard["templating"]["list"]:
        query = variable["query"]
        if isinstance(query, dict):
            query = query["query"]
            series, _, label = query.removeprefix(_LABEL_VALUES).removesuffix(")").rpartition(",")
            expression = f"count by ({label.strip()}) ({_filled(dashboard, series, chosen)})"
            yield Question(f"{title}: variable {variable['name']}", expression)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield Question(f"{title}: {panel['title']}", _filled(dashboard, target["expr"], chosen))


def _filled(dashboard: dict[str, Any], expression: str, chosen: str) -> str:
    for variable in dashboard["templating"]["list"]:
        expression = expression.replace(f"${variable['name']}", chosen)
    return expression


def dashboards() -> list[dict[str, Any]]:
    """All of them, as Grafana reads them."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))]


def without_data(prometheus: Prometheus) -> list[Question]:
    """What of the dashboards gives no series now."""
    asked = [question for dashboard in dashboards() for question in questions(dashboard)]
    return [question for question in asked if not prometheus.query(question.expression)]


def cure(target: dict[str, Any]) -> str:
    """What to do about a target that is down."""
    error, where = target["lastError"], target["labels"]["instance"]
    if "refused" in error:
        return (
            f"nothing serves at {where}: start live_trader.py, or put its METRICS_PORT into ops/prometheus/targets.yml"
        )
    if "401" in error:
        return f"{where} asks for METRICS_TOKEN: put it into ops/prometheus/metrics_token, and see prometheus.yml"
    if "deadline" in error or "timeout" in error:
        return f"{where} does not answer in time: ask it by hand, curl http://{where}/livez"
    return f"{where}: {error or 'it has not been scraped yet'}"


def report(prometheus: Prometheus) -> tuple[list[str], list[str]]:
    """What is well, and what is wrong with its cure."""
    well, wrong = [], []
    targets = prometheus.targets()
    if not targets:
        wrong.append(f"no target of the job {JOB}: is this Prometheus run with {CONFIG.relative_to(OPS.parent)}?")
    for target in targets:
        instance = target["labels"]["instance"]
        if target["health"] != "up":
            wrong.append(cure(target))
            continue
        sessions = prometheus.query(f"ibkr_session_info{{instance={json.dumps(instance)}}}")
        if not sessions:
            wrong.append(f"{instance} serves metrics, and no session of ours: another program has its port")
        for one in sessions:
            labels = one["metric"]
            well.append(f"{instance} is up: session {labels.get('session') or 'starting'}, {labels['mode']}")
    wrong.extend(
        f"{one['value'][1]} more session(s) want {one['metric']['instance']} and are not watched: give each a "
        "METRICS_PORT and a line in ops/prometheus/targets.yml"
        for one in prometheus.query("ibkr_unwatched_sessions > 0")
    )
    for alert in prometheus.get("alerts")["alerts"]:
        labels = alert["labels"]
        well.append(f"alert {labels['alertname']} is {alert['state']} ({labels.get('mode', 'no mode')})")
    return well, wrong


def _answers(prometheus: Prometheus) -> bool:
    try:
        prometheus.get("status/buildinfo")
    except OSError:
        return False
    return True


def _has_looked(prometheus: Prometheus) -> bool:
    """Whether every target has been scraped, or failed to be."""
    targets = prometheus.targets()
    return bool(targets) and all(each["health"] != "unknown" for each in targets)


def _started(prometheus: Prometheus, data: Path) -> bool:
    """Start a Prometheus that outlives this command, if there is the program; whether it answers."""
    program = shutil.which("prometheus")
    if program is None:
        return False
    data.mkdir(parents=True, exist_ok=True)
    command = [program, f"--config.file={CONFIG}", f"--storage.tsdb.path={data}"]
    with (data / "prometheus.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # the program that was found, with our own words
            [*command, f"--web.listen-address={prometheus.address}"], stdout=log, stderr=log, start_new_session=True
        )
    print(f"started prometheus, pid {process.pid}; its data and log are in {data}; kill {process.pid} ends it")
    return _within(lambda: process.poll() is None and _answers(prometheus))


def _within(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Look, say what was found, return the exit code."""
    parser = argparse.ArgumentParser(prog="ops/monitor.py", description="Is a session watched, and if not, why?")
    parser.add_argument("--prometheus", default=ADDRESS, metavar="HOST:PORT", help=f"default {ADDRESS}")
    parser.add_argument("--data", type=Path, default=Path.home() / ".local/state/understudy/prometheus", metavar="DIR")
    parser.add_argument("--no-start", action="store_true", help="start no Prometheus")
    parser.add_argument("--panels", action="store_true", help="look whether every panel has data")
    wish = parser.parse_args(arguments)
    prometheus = Prometheus(urlsplit(f"//{wish.prometheus}").netloc)
    if not _answers(prometheus) and (wish.no_start or not _started(prometheus, wish.data)):
        sys.stderr.write(_INSTALL.format(address=prometheus.address) + "\n")
        return 1
    _within(lambda: _has_looked(prometheus))
    well, wrong = report(prometheus)
    if wish.panels and not wrong:
        _within(lambda: not without_data(prometheus))  # a rate needs two scrapes
        missing = without_data(prometheus)
        wrong += [f"no data: {question.place}: {question.expression}" for question in missing]
        if not missing:
            well.append(f"every panel and variable of {len(dashboards())} dashboards has data")
    if well:
        print("\n".join(well))
    if wrong:
        sys.stderr.write("\n".join(wrong) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
