"""Scenarios: how the paper gateway misbehaves on purpose. What is said of a rule here is the whole of it.

    scenario = read_scenario(Path("storm.yaml"))        # or Scenario.of("- {on: execDetails, action: drop, count: 1}")
    PaperGateway(market, GatewayOptions(port=0, scenario=scenario))

Pure: a `Play` decides, message by message, from what it is told; the gateway does what it says.
"""

from src.gateways.scenario.play import Moment, Play
from src.gateways.scenario.reading import read_scenario, scenario_of
from src.gateways.scenario.rules import NOTHING, Action, ByHand, Matching, Rule, Scenario
from src.gateways.scenario.words import answer_name, request_names

__all__ = [
    "NOTHING",
    "Action",
    "ByHand",
    "Matching",
    "Moment",
    "Play",
    "Rule",
    "Scenario",
    "answer_name",
    "read_scenario",
    "request_names",
    "scenario_of",
]
