"""The runs of a sweep as a table: variants of a scenario, each with the same seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from dispatch.analysis.formatting import NOT_MEASURED, format_share
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.paired import Interval, mean_interval, paired_interval

Value = str | int | float | bool

MAIN_KPIS = (
    "completion_share",
    "golden5_share",
    "golden10_share",
    "wait_mean_s",
    "empty_km_share",
    "utilisation_share",
)
"""What tables on a terminal and charts show; a page also has all others."""


@dataclass(frozen=True)
class SweepTable:
    """KPIs by variant and seed, as far as they were run."""

    scenario: str
    """its name"""
    keys: tuple[str, ...]
    """what is varied"""
    variants: tuple[tuple[Value, ...], ...]
    """a value for each key; none twice"""
    seeds: tuple[int, ...]
    kpis: Mapping[tuple[int, int], Mapping[str, float | None]]
    """(row of the variant, seed) → KPIs by name; runs not made are absent"""
    baseline_idx: int = 0
    """the variant that others are compared with"""
    confidence: float = 0.95

    @property
    def num_missing(self) -> int:
        """Runs that were not made."""
        wanted = product(range(len(self.variants)), self.seeds)
        return sum(run not in self.kpis for run in wanted)

    def names(self, variant_idx: int) -> list[str]:
        """Write a variant's values, one a key; without keys, the scenario's name."""
        return [value_text(value) for value in self.variants[variant_idx]] or [self.scenario]

    def label(self, variant_idx: int) -> str:
        """Name a variant: ``drivers 300 · policy batch``."""
        values = zip(self.keys, self.variants[variant_idx], strict=True)
        return " · ".join(f"{key} {value_text(value)}" for key, value in values) or self.scenario

    def values(self, variant_idx: int, name: str) -> list[float | None]:
        """Give a KPI of one variant by seed, ``None`` where it was not run or not measurable."""
        nothing: Mapping[str, float | None] = {}
        return [self.kpis.get((variant_idx, seed), nothing).get(name) for seed in self.seeds]

    def interval(self, variant_idx: int, name: str) -> Interval:
        """Give a KPI's mean over seeds."""
        return mean_interval(self.values(variant_idx, name), self.confidence)

    def difference(self, variant_idx: int, name: str) -> Interval:
        """Give the mean over seeds of a KPI's difference to the baseline, seed by seed."""
        values, baseline = self.values(variant_idx, name), self.values(self.baseline_idx, name)
        return paired_interval(values, baseline, self.confidence)

    @cached_property
    def measured_kpis(self) -> tuple[Kpi, ...]:
        """KPIs that at least one run could measure, in the order of tables."""
        return tuple(
            kpi for name, kpi in KPI.items() if any(run.get(name) is not None for run in self.kpis.values())
        )

    def axis_keys(self) -> tuple[str, ...]:
        """Keys whose values are numbers, at least two different ones: those that a chart can lie along."""
        columns = zip(self.keys, zip(*self.variants, strict=True), strict=True)
        return tuple(key for key, values in columns if all(map(_is_number, values)) and len(set(values)) > 1)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def value_text(value: Value) -> str:
    """Write a value as in a scenario file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def size_text(kpi: Kpi, size: float | None) -> str:
    """Write the size of a difference; those of shares are in percentage points."""
    if size is not None and kpi.format is format_share:
        return f"{100 * size:.2f} pp"
    return kpi.format(size)


def difference_text(kpi: Kpi, difference: float | None) -> str:
    """Write a difference with its sign: ``+1.24 pp``, ``−8.4 s``."""
    if difference is None:
        return NOT_MEASURED
    return f"{'−' if difference < 0 else '+'}{size_text(kpi, abs(difference))}"


def interval_note(table: SweepTable) -> str:
    """Say what the intervals are, and what they are not."""
    if len(table.seeds) == 1:
        return (
            f"One seed ({table.seeds[0]}): there are no intervals, and nothing tells chance from effect. "
            "Run more seeds."
        )
    return (
        f"Means over {len(table.seeds)} seeds, with {100 * table.confidence:.4g} % intervals by Student's t. "
        "Differences are paired: every variant has the same seeds, a seed the same demand in each, and the "
        "interval is that of the differences seed by seed."
    )
