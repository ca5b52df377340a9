"""What driver scores and membership tiers change over weeks, and what the CRM costs in time.

Needs no data. Writes `result.md` beside this file. The second part needs a PostgreSQL for its last row.

    python -m simulations.crm.make                              # both parts, some twenty minutes
    python -m simulations.crm.make --seeds 2 --part effect      # a look
    python -m simulations.crm.make --postgres postgresql://postgres@localhost/empty
"""

import argparse
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from dispatch import warm_up
from dispatch.analysis.paired import mean_interval, paired_interval
from dispatch.crm.crm import Crm
from dispatch.crm.vertical import Vertical
from dispatch.sim.community_days import community_of
from dispatch.sim.liaison import Liaison
from dispatch.sim.scenario_file import load_scenario

HERE = Path(__file__).parent


class Told(NamedTuple):
    """What the engine is told of people."""

    tiers: bool = False
    drivers: bool = False
    score_cost_s: float = 0.0
    """of pickup time, at the lowest score"""
    income_cost_s: float = 0.0
    """of pickup time, for the best-paid tenth"""
    pickup_weight: float = 0.0
    """how far weights bring nearer drivers, too"""


VARIANTS = {
    "neither": Told(),
    "tiers": Told(tiers=True),
    "tiers, nearer drivers": Told(tiers=True, pickup_weight=1.0),
    "scores": Told(drivers=True, score_cost_s=900.0),
    "incomes": Told(drivers=True, income_cost_s=600.0),
    "tiers and scores": Told(True, True, 900.0),
    "all three": Told(True, True, 900.0, 600.0),
}
FROM_DAY = 7
"""Tiers have to be reached, and drivers to be known, first."""
TIERS = {"silver": 5_000, "gold": 12_000}
"""Cents within the window at which the study's tiers begin: lower than the packaged ones, whose 90 days are
longer than it lasts."""
MEASURES = (
    ("completed", "share", lambda days: share(days, "num_completed", "num_orders")),
    ("dissatisfied", "share", lambda days: share(days, "num_bad", "num_judged")),
    ("rated four or five stars", "share", lambda days: share(days, "num_rated_well", "num_rated")),
    ("stars", "number", lambda days: ratio(days, "stars", "num_rated")),
    (
        "complaints per 10,000 orders",
        "number",
        lambda days: 1e4 * ratio(days, "num_complaints", "num_orders"),
    ),
    ("silent share of the dissatisfied", "share", lambda days: 1 - ratio(days, "num_complaints", "num_bad")),
    ("customers left", "number", lambda days: total(days, "num_left")),
    ("customers at the end", "number", lambda days: days[-1].num_customers),
    ("mean wait", "seconds", lambda days: mean_kpi(days, "wait_mean_s")),
    ("incomes, Gini", "number", lambda days: mean_kpi(days, "driver_income_gini")),
    ("longest wait caused by priority", "seconds", lambda days: most(days, "priority_wait_max_s")),
    ("tier gap, response p50", "seconds", lambda days: mean_kpi(days, "response_p50_tier_gap_s")),
    ("tier gap, completed", "share", lambda days: mean_kpi(days, "completion_tier_gap")),
    ("dissatisfied, lowest tier", "share", lambda days: bad_of_tier(days, 0)),
    ("dissatisfied, highest tier", "share", lambda days: bad_of_tier(days, 2)),
    ("completed, lowest tier", "share", lambda days: of_tier(days, 0, "completion_share")),
    ("completed, highest tier", "share", lambda days: of_tier(days, 2, "completion_share")),
    ("response p50, lowest tier", "seconds", lambda days: of_tier(days, 0, "response_p50_s")),
    ("response p50, highest tier", "seconds", lambda days: of_tier(days, 2, "response_p50_s")),
    ("mean wait, lowest tier", "seconds", lambda days: of_tier(days, 0, "wait_mean_s")),
    ("mean wait, highest tier", "seconds", lambda days: of_tier(days, 2, "wait_mean_s")),
)


def total(days, name):
    return sum(getattr(day, name) for day in days)


def ratio(days, part, whole):
    return total(days, part) / max(total(days, whole), 1)


def share(days, part, whole):
    return ratio(days, part, whole)


def mean_kpi(days, name):
    values = [day.kpis[name] for day in days if day.kpis[name] is not None]
    return sum(values) / len(values) if values else None


def most(days, name):
    return max((day.kpis[name] for day in days if day.kpis[name] is not None), default=None)


def bad_of_tier(days, tier):
    bad = sum(day.bad_by_tier[tier] for day in days if len(day.bad_by_tier) > tier)
    judged = sum(day.judged_by_tier[tier] for day in days if len(day.judged_by_tier) > tier)
    return bad / judged if judged else None


def of_tier(days, tier, name):
    """Mean of a KPI of a tier's orders, each day as heavy as it has orders."""
    heavy, summed = 0, 0.0
    for day in days:
        for row, key in enumerate(day.by_tier.key.tolist()):
            value = day.by_tier.value_of_kpi[name][row]
            if key == tier and value is not None:
                num = int(day.by_tier.num_orders[row])
                heavy, summed = heavy + num, summed + num * value
    return summed / heavy if heavy else None


def vertical(told):
    """The ride vertical with tiers that can be reached within the study, and a variant's costs."""
    ride = Vertical.load("ride")
    tiers = tuple(replace(one, at_least=TIERS.get(one.name, 0)) for one in ride.tiers)
    score = replace(ride.score, cost_s=told.score_cost_s, income_cost_s=told.income_cost_s)
    priority = replace(ride.priority, pickup_weight=told.pickup_weight)
    return replace(ride, tiers=tiers, score=score, priority=priority)


def figures_of(variant, seed):
    """All measures of a community's later days under a variant."""
    told, file = VARIANTS[variant], load_scenario(HERE / "day.toml")
    with (
        tempfile.TemporaryDirectory() as folder,
        Crm.create(Path(folder) / "crm.db", vertical(told), keys=Path(folder) / "keys") as crm,
    ):
        days = community_of(file, Liaison(crm, told.tiers, told.drivers), seed).run()[FROM_DAY:]
    return [measure(days) for _, _, measure in MEASURES]


def effect(num_seeds):
    """The first part's lines."""
    file = load_scenario(HERE / "day.toml")
    warm_up()
    runs = [(variant, seed) for seed in range(1, num_seeds + 1) for variant in VARIANTS]
    figures = {variant: [] for variant in VARIANTS}
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for (variant, seed), measured in zip(
            runs, pool.map(figures_of, *zip(*runs, strict=True)), strict=True
        ):
            figures[variant].append(measured)
            print(f"seed {seed}, {variant}: stars {measured[3]:.3f}", flush=True)
    lines = [
        f"| days {FROM_DAY + 1} to {file.values['community']['days']} | neither | "
        + " | ".join(f"{variant} − neither" for variant in list(VARIANTS)[1:])
        + " |",
        "|---|" + "---|" * len(VARIANTS),
    ]
    for row, (label, unit, _) in enumerate(MEASURES):
        base = [one[row] for one in figures["neither"]]
        cells = [shown(mean_interval(base), unit)]
        for variant in list(VARIANTS)[1:]:
            values = [one[row] for one in figures[variant]]
            cells.append(shown(paired_interval(values, base), unit, signed=True))
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def shown(interval, unit, signed=False):
    """A mean and its interval, bold where it excludes 0."""
    if interval.mean is None:
        return "–"
    scale, digits, mark = {"share": (100, 2, " %"), "seconds": (1, 1, " s"), "number": (1, 3, "")}[unit]
    mean = f"{interval.mean * scale:{'+' if signed else ''}.{digits}f}{mark}"
    if interval.half_width is None:
        return mean
    bold = "**" if signed and interval.excludes_zero else ""
    return f"{bold}{mean}{bold} ± {interval.half_width * scale:.{digits}f}"


def load(postgres):
    """The second part's lines: 30 days of a city, 20,000 customers, 120,000 orders."""
    changes = {"day.orders": 4000, "day.drivers": 200, "community.days": 30, "community.customers": 20_000}
    file = load_scenario(HERE / "day.toml").with_values(changes)
    lines = ["| behind the engine | wall time | of it the CRM | events | events applied a second |"]
    lines.append("|---|---|---|---|---|")
    community_of(file.with_value("community.days", 1)).run()  # what is compiled or loaded is not counted
    for name in ("nothing", "SQLite", *(["PostgreSQL"] if postgres else [])):
        with tempfile.TemporaryDirectory() as folder:
            lines.append(_loaded(file, name, postgres, Path(folder)))
        print(lines[-1], flush=True)
    return lines


def _loaded(file, name, postgres, folder):
    started = time.perf_counter()
    if name == "nothing":
        days = community_of(file).run()
        num = sum(day.num_events for day in days)
        return f"| nothing | {time.perf_counter() - started:.1f} s | | {num:,} | |"
    where = folder / "crm.db" if name == "SQLite" else postgres
    with Crm.create(where, keys=folder / "keys") as crm:
        liaison = Liaison(crm)
        days = community_of(file, liaison).run()
    wall_s, rate = time.perf_counter() - started, liaison.num_applied / liaison.apply_s
    orders = sum(day.num_orders for day in days)
    print(f"{name}: {orders:,} orders, {days[-1].num_customers:,} customers", flush=True)
    return f"| {name} | {wall_s:.1f} s | {liaison.spent_s:.1f} s | {liaison.num_applied:,} | {rate:,.0f} |"


INTRODUCTION = """# A community with the CRM behind the engine

Made by `python -m simulations.crm.make` with {seeds} seeds. What people feel is synthetic: causes of
dissatisfaction, ratings, complaints (one in ten of the dissatisfied, as a survey reports) and leaving are
parameters of `dispatch.sim.community`, assumptions all of them. What is measured is what the engine's
decisions change about them.

## What scores and tiers change

A small city, {days} days, {customers:,} customers, {orders:,} orders and {drivers} drivers a day, each seed
with the same people, demand, drivers' quality and luck. The CRM always keeps tiers, scores and incomes; the
engine is told of *neither*, or of what the head of a column names. Differences are paired by seed,
with 95 % intervals (Student's t), bold where the interval excludes 0.
*Tiers* are capped priorities with a bound of ten minutes on starving: they say who goes without a driver
where there are too few. *Nearer drivers* lets them also choose among drivers (`Policy.pickup_weight` of 1).
*Scores* cost a driver up to fifteen minutes of pickup time, and bring cool-downs; *incomes* cost the best
paid up to ten. The study's tiers begin lower than the packaged ones, and its scores cost more (the packaged
ones two minutes), so that both act within so few days; and cars are scarce on purpose: where nobody goes
without, tiers decide nothing. The longest wait caused by priority is an upper bound, above 0 without any
priority, too: it only tells that a later order of a higher tier nearby was accepted first.
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--part", choices=("effect", "load", "both"), default="both")
    parser.add_argument("--postgres", help="an empty database: postgresql://…")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "dispatch-crm-study.json")
    arguments = parser.parse_args()
    parts = json.loads(arguments.keep.read_text()) if arguments.keep.exists() else {}
    if arguments.part in ("effect", "both"):
        parts |= {"effect": effect(arguments.seeds), "seeds": arguments.seeds}
    if arguments.part in ("load", "both"):
        parts["load"] = load(arguments.postgres)
    arguments.keep.write_text(json.dumps(parts))
    values = load_scenario(HERE / "day.toml").values
    people = {"days": values["community"]["days"], "customers": values["community"]["customers"]}
    introduction = INTRODUCTION.format(seeds=parts.get("seeds", 0), **people, **usual(values["day"]))
    lines = [introduction, *parts.get("effect", [])]
    if "load" in parts:
        lines += ["", "## What it costs", "", *parts["load"]]
    (HERE / "result.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def usual(day):
    return {"orders": day["orders"], "drivers": day["drivers"]}


if __name__ == "__main__":
    main()
