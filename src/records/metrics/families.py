"""Prometheus's metric families, every sample with the constant label `mode`: real and simulated money never mix.

An unknown gauge is NaN, never zero: a zero would fire alerts.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import nan
from typing import TYPE_CHECKING, Final

from src.records.metrics.histogram import Histogram

if TYPE_CHECKING:
    from prometheus_client import Metric

_PREFIX: Final = "ibkr_"
Value = float | Decimal | bool | None


class Families:
    """Makes families of one mode, and keeps them in order."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._made: list[Metric] = []

    def __iter__(self) -> "Iterator[Metric]":
        return iter(self._made)

    def gauge(self, name: str, help_text: str, value: Value) -> None:
        """One value that goes up and down."""
        self._family(name, help_text, "gauge").add_sample(_PREFIX + name, {"mode": self._mode}, _number(value))

    def gauges(self, name: str, help_text: str, label: str, values: Mapping[str, Value]) -> None:
        """One value for each value of a label."""
        self.labelled(name, help_text, (label,), {(key,): value for key, value in values.items()})

    def labelled(
        self, name: str, help_text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], Value]
    ) -> None:
        """One value for each combination of labels."""
        family = self._family(name, help_text, "gauge")
        for key, value in values.items():
            named = {"mode": self._mode, **dict(zip(labels, key, strict=True))}
            family.add_sample(_PREFIX + name, named, _number(value))

    def info(self, name: str, help_text: str, labels: Mapping[str, str]) -> None:
        """Facts as labels; the value is 1."""
        family = self._family(name, help_text, "gauge")
        family.add_sample(_PREFIX + name, {"mode": self._mode, **labels}, 1.0)

    def counter(self, name: str, help_text: str, value: float) -> None:
        """What only grows; `name` ends in `_total`."""
        self.counters(name, help_text, (), {(): value})

    def counters(
        self, name: str, help_text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
    ) -> None:
        """What only grows, for each combination of labels."""
        family = self._family(name.removesuffix("_total"), help_text, "counter")
        for key, value in values.items():
            named = {"mode": self._mode, **dict(zip(labels, key, strict=True))}
            family.add_sample(_PREFIX + name, named, float(value))

    def histogram(self, name: str, help_text: str, histograms: Mapping[tuple[tuple[str, str], ...], Histogram]) -> None:
        """How often values were how large, for each set of labels."""
        family = self._family(name, help_text, "histogram")
        for labels, histogram in histograms.items():
            named = {"mode": self._mode, **dict(labels)}
            buckets = histogram.cumulative()
            for bound, count in buckets:
                family.add_sample(f"{_PREFIX}{name}_bucket", {**named, "le": bound}, count)
            family.add_sample(f"{_PREFIX}{name}_count", named, buckets[-1][1])
            family.add_sample(f"{_PREFIX}{name}_sum", named, histogram.total)

    def _family(self, name: str, help_text: str, kind: str) -> "Metric":
        from prometheus_client import Metric

        family = Metric(_PREFIX + name, help_text, kind)
        self._made.append(family)
        return family


def _number(value: Value) -> float:
    return nan if value is None else float(value)
