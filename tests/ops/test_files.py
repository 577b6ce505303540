"""The files of `ops/`: each is what its reader expects, each alert can fire and need not, and all say the mode."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from src.records.metrics.collector import SessionCollector, Sources
from src.records.metrics.counters import SessionCounters
from src.records.metrics.labels import RISK_RULES
from tests.conftest import ROOT
from tests.ops.conftest import OPS, promtool

RULES = OPS / "prometheus" / "rules"
TESTS = OPS / "prometheus" / "tests" / "alerts_test.yml"
#: The alerts that the project promises.
PROMISED = {
    "SessionVanished", "Disconnected", "RunningOnSimulator", "StaleTicks", "LoopStalled", "RejectRatio", "SlowAcks",
    "DailyLoss", "DrawdownWarning", "DrawdownCritical", "KillSwitchOn", "PositionMismatch", "LowExcessLiquidity",
    "PacingViolations", "ReconnectStorm", "LivePortInUse", "SessionUnwatched", "JournalFailing",
}  # fmt: skip


def read(path: Path) -> Any:  # noqa: ANN401  # whatever stands in it
    """A YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    [group] = read(RULES / "alerts.yml")["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def names() -> set[str]:
    """Every series that a session has, as it is named in a query."""
    sources = Sources(SessionCounters(["MSFT"]))
    families = list(SessionCollector(sources).collect())
    found = {sample.name for family in families for sample in family.samples}
    gauges = {family.name for family in families if family.type == "gauge"}
    return found | gauges | {f"{family.name}_bucket" for family in families if family.type == "histogram"}


def test_promtool_takes_the_configuration_and_the_rules() -> None:
    """As Prometheus reads them."""
    assert promtool("check", "config", str(OPS / "prometheus" / "prometheus.yml")).returncode == 0
    assert promtool("check", "rules", *map(str, sorted(RULES.glob("*.yml")))).returncode == 0


def test_every_alert_fires_and_does_not_fire_as_its_cases_say() -> None:
    """By promtool, on series that stand for each."""
    done = promtool("test", "rules", str(TESTS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_promised_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    """No alert without a proof."""
    assert set(alerts()) == PROMISED
    cases = [
        (one["alertname"], bool(one["exp_alerts"])) for test in read(TESTS)["tests"] for one in test["alert_rule_test"]
    ]
    assert set(cases) == {(name, fires) for name in PROMISED for fires in (True, False)}


def test_every_alert_says_the_mode_what_to_do_and_where_to_read_on() -> None:
    """Its words name the mode, its runbook is a line, and the document has its heading."""
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    headings = {line.strip("# ").lower() for line in text.splitlines() if line.startswith("#")}
    for name, rule in alerts().items():
        annotations = rule["annotations"]
        assert "{{ $labels.mode }}" in annotations["summary"], name
        assert len(annotations["runbook"]) > 20, name
        assert annotations["runbook_url"] == f"docs/monitoring.md#{name.lower()}"
        assert name.lower() in headings
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_rules_and_dashboards_ask_only_for_what_a_session_has(monitor: ModuleType) -> None:
    """A name that is misspelt would show nothing, and fire never."""
    rules = [rule for path in RULES.glob("*.yml") for group in read(path)["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in rules]
    asked += [question.expression for board in monitor.dashboards() for question in monitor.questions(board)]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    used = {
        name for expression in asked for name in re.findall(r"(?<![\w:])(?:instance_mode:)?ibkr_[\w:]+", expression)
    }
    assert len(used) > 40
    assert used - names() - recorded == set()


def test_every_panel_selects_the_mode_and_has_a_sentence(monitor: ModuleType) -> None:
    """So that simulated and real money are told apart on every line."""
    boards = monitor.dashboards()
    assert {board["title"].rpartition(" ")[2] for board in boards} == {"Trading", "Health", "Risk"}
    for board in boards:
        assert {one["name"] for one in board["templating"]["list"]} == {"datasource", "mode", "instance", "symbol"}
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        for panel in panels:
            assert panel["description"]
            for target in panel["targets"]:
                assert 'mode=~"$mode"' in target["expr"], (panel["title"], target["expr"])
                assert "mode" in target["legendFormat"] or panel["type"] == "table", panel["title"]


def test_the_compose_file_keeps_the_specification_and_to_loopback() -> None:
    """Nothing of it can be reached from another machine, and no login stands in it."""
    compose = read(OPS / "compose.yaml")
    schema = json.loads((OPS / "compose-spec" / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(compose)
    for name, service in compose["services"].items():
        if service.get("network_mode") == "host":
            words = [*service.get("command", ()), *map(str, service.get("environment", {}).values())]
            assert any("127.0.0.1" in word for word in words), name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (OPS / source).is_dir(), volume
    login = compose["services"]["ib-gateway"]["environment"]
    assert (login["TWS_USERID"], login["TWS_PASSWORD"]) == ("${TWS_USERID:-}", "${TWS_PASSWORD:-}")


def test_a_compose_file_with_a_mistake_is_found_by_the_schema() -> None:
    """The check above is one."""
    schema = json.loads((OPS / "compose-spec" / "compose-spec.json").read_text(encoding="utf-8"))
    compose = read(OPS / "compose.yaml")
    compose["services"]["grafana"]["network_mod"] = "host"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(compose)


def test_grafana_is_given_the_data_source_and_the_folder_that_the_compose_file_mounts() -> None:
    """The dashboards ask the data source that is provisioned."""
    [source] = read(OPS / "grafana" / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
    [provider] = read(OPS / "grafana" / "provisioning" / "dashboards" / "understudy.yml")["providers"]
    mounted = read(OPS / "compose.yaml")["services"]["grafana"]["volumes"]
    assert (source["type"], source["uid"], source["url"]) == ("prometheus", "prometheus", "http://127.0.0.1:9090")
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in mounted


def test_every_rule_that_refuses_orders_has_a_series() -> None:
    """The guards' names, as they stand in their code: a new one would be counted as `other`."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "brokers").glob("*.py"))
    named = set(re.findall(r"(?:Refusal|refusal_of|_unpriced)\(\s*(?:asked, )?\"(\w+)\"", text))
    assert len(named) > 20
    assert named | {"orders_per_minute", "symbol_orders_per_minute"} == set(RISK_RULES)
