"""What chained dispatch, patience, reassignment, pre-positioning and priority each add to exact batches.

Needs no data. Writes `result.md` beside this file; finished runs are kept in the folder given by `--keep`.

    python -m simulations.policies.make             # ten seeds, two processes, some five minutes
    python -m simulations.policies.make --seeds 2   # a look
"""

import argparse
import tempfile
from pathlib import Path

from dispatch.analysis.kpi_list import KPI
from dispatch.sim.scenario_file import load_scenario
from dispatch.sim.sweep import Sweep, run_sweep
from dispatch.sim.sweep_store import RunStore, code_sha256
from dispatch.sim.sweep_workers import Workers

HERE = Path(__file__).parent
POLICIES = (
    "batch",
    "nearest",
    "lookahead",
    "patient",
    "patient_lookahead",
    "reassign",
    "preposition",
    "priority",
)
SHOWN = (
    "completion_share",
    "golden5_share",
    "golden10_share",
    "response_p90_s",
    "wait_mean_s",
    "empty_km_share",
    "empty_km_repositioning_share",
    "customer_cancel_share",
    "driver_income_mean_cents_per_h",
    "driver_income_gini",
    "completion_tier_gap",
)
WHAT = {
    "lookahead": "chained dispatch: drivers within 120 s of their drop-off are candidates",
    "patient": "the largest pickup ETA is 300 s + 3 × the time already waited",
    "patient_lookahead": "both together",
    "reassign": "orders on the way change drivers where the sum of pickup times falls by 30 s or more",
    "preposition": "every five minutes idle drivers are sent where orders are expected to exceed cars",
    "priority": "orders of higher tiers weigh 2 and 4 times as much; none starves beyond ten minutes",
    "nearest": "first come, first served, the nearest free driver: the policy to compare with",
}
DRIVERS = (440, 480, 520)


def number(value, kpi_name, signed=False):
    if value is None:
        return "–"
    sign = "+" if signed else ""
    if kpi_name.endswith("_s"):
        return f"{value:{sign}.1f} s"
    if kpi_name.endswith("cents_per_h"):
        return f"{value / 100:{sign}.2f}"
    return f"{value:{sign}.4f}"


def told(interval, kpi_name, signed=False):
    mean = number(interval.mean, kpi_name, signed)
    if interval.low is None:
        return mean
    mark = "**" if signed and interval.excludes_zero else ""
    return f"{mark}{mean}{mark} ± {number(interval.half_width, kpi_name)}"


def section(table, drivers):
    """Means of the baseline, and paired differences of all others, for one fleet."""
    rows = {table.variants[i]: i for i in range(len(table.variants))}
    lines = [
        "",
        f"## {drivers} drivers",
        "",
        "| | batch | " + " | ".join(p for p in POLICIES if p != "batch") + " |",
    ]
    lines.append("|---|" + "---|" * len(POLICIES))
    for name in SHOWN:
        cells = [told(table.interval(rows[(drivers, "batch")], name), name)]
        cells += [
            told(table.difference(rows[(drivers, policy)], name), name, True)
            for policy in POLICIES
            if policy != "batch"
        ]
        lines.append(f"| {KPI[name].label} | " + " | ".join(cells) + " |")
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "dispatch-policies")
    arguments = parser.parse_args()
    scenario = load_scenario(HERE / "day.toml")
    lines = [
        "# What policies add",
        "",
        f"Made by `python -m simulations.policies.make` with {arguments.seeds} seeds: a day of the "
        "built-in city with 10,000 orders, default behaviour (customers lose patience, refuse far cars, "
        "ask again; drivers decline, rest, charge; traffic differs from what was predicted), windows of "
        "20 s. The first column is the mean of exact batches; the others are differences from it, seed "
        "by seed on the same demand, drivers and luck, with 95 % intervals (Student's t); bold where the "
        "interval excludes 0.",
        "",
        *(f"- `{name}`: {what}." for name, what in WHAT.items()),
        "",
        "Behaviour is assumed, not measured: what the shares of cancellations say is what was put in.",
    ]
    with RunStore(arguments.keep, scenario, code_sha256()) as store, Workers(arguments.jobs) as workers:
        for drivers in DRIVERS:
            sweep = Sweep(scenario, {"drivers": (drivers,), "policy": POLICIES}, arguments.seeds)
            table = run_sweep(sweep, store, workers, lambda _state: None, lambda: False)
            lines += section(table, drivers)
            print(f"{drivers} drivers done")
    (HERE / "result.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
