"""Whole simulated days: their time, streets, memory, stages, the share of Python, and how cost grows.

Everybody behaves as by default (idle drivers drift), the engine steps every 10 s, all drivers are on duty all
day. Every day is measured in a fresh process: `sim_days.py`. A day of 400,000 orders is Manhattan's with its
demand scaled: copies of its orders, up to ten minutes earlier or later. There is no peer that could be run
here: FleetPy's time is one recorded elsewhere, and is told as such.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.harness import OURS, Case, Report, Row, Table, Timing, number, row_of
from benchmarks.sim_days import (
    BUILT_IN,
    HOUR_NODES,
    MANHATTAN,
    ONE_HOUR,
    RHINE_NECKAR,
    WINDOW_S,
    Day,
    DayFailedError,
    Found,
    find,
    folder_of,
)
from benchmarks.sim_stages import OTHER, PYTHON, by_stage, stage_of

SUMMARY = "simulated days: time, preparation, memory, stages, share of Python, cost curve"
PACKAGES = ()

LARGE_DAY, LARGE_FLEET = 400_000, 8_000
RECORDED_ORDERS = 79_692
MOST_OUTSIDE_SHARE = 0.15
FLEETPY_S = 98.0
FLEETPY = (
    f"One hour: 2,000 orders, 200 drivers. FleetPy's insertion heuristic took {FLEETPY_S:g} s on a network "
    f"of {HOUR_NODES:,} nodes: recorded in another run, on two cores; not run here. It pools rides, we do "
    "not; our people and cars behave like machines here, as FleetPy's do."
)
CURVE_ORDERS = (50_000, 100_000, 200_000, LARGE_DAY)
CURVE_DRIVERS = (1_000, 2_000, 4_000, LARGE_FLEET, 16_000)
CURVE_AT_ORDERS = 100_000
TOO_LARGE_FOR_A_TABLE = 20_000


class Asked(NamedTuple):
    """A day by name, and what is asked of it."""

    name: str
    day: Day
    limits: Mapping[str, float] = {}
    aim_s: float | None = None


def measure(report: Report) -> None:
    """Run the suite."""
    known: dict[tuple[str, int | None, int], Found] = {}
    rows = [(asked, row) for asked in days(report) if (row := measure_day(report, asked, known))]
    report.note(f"Batch windows of {WINDOW_S:g} s; every day in a process of its own, one thread.")
    report.note(FLEETPY)
    if rows:
        report.table(days_table(rows))
        report.table(stages_table(rows))
        report.table(kernels_table(rows))
    report.table(curve_table(report, known))


# --- the days ------------------------------------------------------------------------------------


def days(report: Report) -> list[Asked]:
    """Give what is measured: with the data sets, without them on the built-in city, tiny for a test."""
    if report.tiny:
        tiny = {"rounds": 2, "watched_rounds": 1, "num_nodes": 2_000}
        return [
            Asked("tiny day", Day(BUILT_IN, 400, 20, **tiny), {"outside_share": 1.0}),
            Asked("tiny hour", Day(ONE_HOUR, 100, 20, **tiny)),
        ]
    several, few = (3, 1) if report.quick else (5, 3)
    often, seldom = {"rounds": several, "watched_rounds": few}, {"rounds": few, "watched_rounds": 1}
    return [
        *_manhattan(often, seldom),
        _large_network(seldom),
        Asked("one hour, as FleetPy's", Day(ONE_HOUR, 2_000, 200, **often, num_nodes=HOUR_NODES)),
    ]


def _manhattan(often: dict[str, int], seldom: dict[str, int]) -> list[Asked]:
    if folder_of(MANHATTAN) is None:
        return [
            Asked("built-in day", Day(BUILT_IN, RECORDED_ORDERS, 2_500, **often)),
            Asked("large built-in day", Day(BUILT_IN, LARGE_DAY, LARGE_FLEET, **seldom)),
        ]
    ordinary = {"day_s": 4.0, "outside_share": MOST_OUTSIDE_SHARE}
    large = {"day_s": 20.0, "peak_mb": 2_000.0}
    return [
        Asked("Manhattan, recorded day", Day(MANHATTAN, None, 2_500, **often), ordinary, 1.5),
        Asked("Manhattan, scaled", Day(MANHATTAN, LARGE_DAY, LARGE_FLEET, **seldom), large, 10.0),
    ]


def _large_network(seldom: dict[str, int]) -> Asked:
    """Give a day on streets for which there is no table of all pairs."""
    if folder_of(RHINE_NECKAR) is None:
        day = Day(BUILT_IN, 50_000, 2_500, **seldom, num_nodes=TOO_LARGE_FOR_A_TABLE)
        return Asked("built-in, larger", day)
    return Asked("Rhine-Neckar", Day(RHINE_NECKAR, 50_000, 2_500, **seldom))


def measure_day(report: Report, asked: Asked, known: dict[tuple[str, int | None, int], Found]) -> Row | None:
    """Measure a day, add its row, and keep what was found; of one that fails, say so."""
    report.tell(f"{asked.name}: made")
    try:
        found = find(asked.day, in_child=not report.tiny)
    except DayFailedError as error:
        failed = row_of(Case(asked.name, ()), [Timing({OURS: float("inf")}, {OURS: str(error)})], ())
        report.add(failed | {"ours_ms": None, "drivers": asked.day.num_drivers})
        return None
    known[asked.day[:3]] = found
    row = row_of_day(asked, found)
    report.add(row)
    return row


def row_of_day(asked: Asked, found: Found) -> Row:
    """Give the row of a day; seconds and sizes are facts, which limits are asked of."""
    facts = {
        name: value for name, value in found._asdict().items() if isinstance(value, int | float) and value
    }
    facts["drivers"] = asked.day.num_drivers
    facts["prepare_s"] = found.load_s + found.streets_s + found.table_s
    stages: dict[str, float] = {}
    if found.watched_s:
        stages = by_stage(found.kernel_s, found.watched_s)
        facts["outside_share"] = stages[PYTHON] / found.watched_s
    wrong = {OURS: found.wrong} if found.wrong else {}
    limits = {name: most for name, most in asked.limits.items() if name in facts}
    case = Case(asked.name, (), None, limits)
    row = row_of(case, [Timing({OURS: found.day_s * 1e3}, wrong, facts=facts)], ())
    return row | {
        **{name: facts[name] for name in ("orders", "drivers", "submitted", "served", "nodes", "events")},
        "aim_s": asked.aim_s,
        "fleetpy_recorded_s": FLEETPY_S if asked.day.place == ONE_HOUR else None,
        "rounds_s": found.rounds_s,
        "stages_s": stages,
        "kernels": {name: [s, found.kernel_calls[name]] for name, s in found.kernel_s.items()},
    }


# --- the cost curve ------------------------------------------------------------------------------


def curves(report: Report) -> tuple[list[Day], list[Day]]:
    """Give the days of growing demand and those of growing fleets."""
    place = BUILT_IN if report.tiny or folder_of(MANHATTAN) is None else MANHATTAN
    pace = {"rounds": 1 if report.quick else 3, "num_nodes": 2_000 if report.tiny else 8_000}
    if report.tiny:
        return [Day(place, num, 20, **pace) for num in (400, 800)], [
            Day(place, 400, num, **pace) for num in (20, 40)
        ]
    orders = CURVE_ORDERS[1:] if report.quick else CURVE_ORDERS
    drivers = CURVE_DRIVERS[::2] if report.quick else CURVE_DRIVERS
    return (
        [Day(place, num, LARGE_FLEET, **pace) for num in orders],
        [Day(place, CURVE_AT_ORDERS, num, **pace) for num in drivers],
    )


def curve_table(report: Report, known: dict[tuple[str, int | None, int], Found]) -> Table:
    """Measure the days of both curves, fit exponents, and give all of it; rows of its own get them too."""
    lines, fits = [], []
    for what, growing in zip(("orders", "drivers"), curves(report), strict=True):
        sizes, days_s = [], []
        for day in growing:
            name = f"{day.num_orders:,} orders, {day.num_drivers:,} drivers"
            if day[:3] not in known:
                measure_day(report, Asked(name, day), known)
            if day[:3] not in known:
                continue
            found = known[day[:3]]
            sizes.append(found.orders if what == "orders" else day.num_drivers)
            days_s.append(found.day_s)
            per_order = found.day_s / found.orders * 1e6
            cells = f"{found.orders:,}", f"{day.num_drivers:,}", f"{found.served / found.submitted:.3f}"
            times = number(found.day_s), number(found.cpu_s), number(per_order), number(found.peak_mb)
            lines.append((what, *cells, *times))
        if len(sizes) > 1:
            fits.append(f"day ~ {what}^{exponent(sizes, days_s):.2f}")
            report.rows[-1][f"exponent_of_{what}"] = exponent(sizes, days_s)
    header = ("growing", "orders", "drivers", "served", "day, s", "processor, s", "µs an order", "peak, MB")
    note = f"Fitted by least squares on logarithms: {', '.join(fits)}. Served: of all orders submitted."
    return Table("Cost curve", header, lines, note)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Fit ``seconds ~ size ** exponent`` by least squares on logarithms."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return round(float(slope), 3)


# --- tables --------------------------------------------------------------------------------------


def days_table(rows: Sequence[tuple[Asked, Row]]) -> Table:
    """What each day took, beside its limit and aim, and what goes before it."""
    header = (
        *("day", "nodes", "orders", "drivers", "day, s", "limit", "aim", "processor, s", "outside kernels"),
        *("load, s", "streets, s", "table, s", "demand, s", "peak, MB"),
    )
    lines = []
    for asked, row in rows:
        sizes = (f"{row['nodes']:,}", f"{row['orders']:,}", f"{row['drivers']:,}")
        limit = (number(asked.limits.get("day_s")), number(asked.aim_s))
        parts = (number(row[name]) for name in ("load_s", "streets_s", "table_s", "demand_s", "peak_mb"))
        share = f"{row['outside_share']:.1%}" if "outside_share" in row else ""
        day_s = number(row["ours_ms"] / 1e3)
        lines.append((asked.name, *sizes, day_s, *limit, number(row["cpu_s"]), share, *parts))
    note = (
        "Not in the day: load (the city's files), streets (hierarchy and free-flow travel times), table (of "
        "all pairs where the network is small; people at their places), demand (orders, shifts, traffic, "
        "cruising). Processor time well below the day's tells of other work on the machine: measure again. "
        "Peak: the whole process."
    )
    return Table("Days", header, lines, note)


def stages_table(rows: Sequence[tuple[Asked, Row]]) -> Table:
    """Seconds and shares of every stage."""
    watched = [(asked, row) for asked, row in rows if row["stages_s"]]
    names = list(watched[0][1]["stages_s"])
    lines = []
    for name in names:
        cells = []
        for _, row in watched:
            whole_s = sum(row["stages_s"].values())
            cells += [number(row["stages_s"][name]), f"{row['stages_s'][name] / whole_s:.1%}"]
        lines.append((name, *cells))
    header = ("stage", *(text for asked, _ in watched for text in (f"{asked.name}, s", "share")))
    note = (
        "Under the kernels' stopwatch: a kernel's time is all that Python waits for, 0.2 µs a call are the "
        "stopwatch's own and count as Python."
    )
    others = sorted({name for _, row in watched for name in row["kernels"] if stage_of(name) == OTHER})
    note += f" Other kernels: {', '.join(others) or 'none'}."
    return Table("Where the time goes", header, lines, note)


def kernels_table(rows: Sequence[tuple[Asked, Row]]) -> Table:
    """The kernels of the first day, the dearest first."""
    asked, row = next((asked, row) for asked, row in rows if row["kernels"])
    lines = [
        (name, stage_of(name), number(seconds), f"{calls:,}", number(seconds / calls * 1e6))
        for name, (seconds, calls) in sorted(row["kernels"].items(), key=lambda one: -one[1][0])
    ]
    return Table(f"Kernels of: {asked.name}", ("kernel", "stage", "s", "calls", "µs a call"), lines)
