"""How many drivers do the golden minutes take? Manhattan's recorded day, fleets searched by simulation.

Needs the environment variable DISPATCH_DATA, the folder of the data sets. Writes `result.md` beside this
file; finished runs are kept in the folder given by `--keep`: a search that was stopped goes on.

    python -m simulations.golden_minutes.make            # three seeds, two processes, some ten minutes
    python -m simulations.golden_minutes.make --seeds 1  # a look
"""

import argparse
import tempfile
from pathlib import Path

from dispatch.sim.fleet_size import FleetRange, Trial, find_fleet, read_target
from dispatch.sim.scenario_file import load_scenario
from dispatch.sim.sweep_store import RunStore, code_sha256
from dispatch.sim.sweep_workers import Workers

HERE = Path(__file__).parent
STEP = 20
FLEETS = FleetRange(800, 3_200, STEP)
START = 1_400
TARGETS = ("golden5=0.99", "golden10_of_submitted_share=0.95")
VARIANTS = {
    "batch, 10 s": {"policy.name": "batch", "sim.window_s": 10},
    "batch, 30 s": {"policy.name": "batch", "sim.window_s": 30},
    "nearest, 10 s": {"policy.name": "nearest", "sim.window_s": 10},
    "patient, chained, 30 s": {"policy.name": "patient_lookahead", "sim.window_s": 30},
}
SHOWN = (
    "golden5_share",
    "golden10_of_submitted_share",
    "golden10_share",
    "completion_share",
    "wait_mean_s",
    "empty_km_share",
)


def searched(keep, num_seeds, jobs):
    """The least fleet of each variant and target, and the figures of all fleets tried."""
    base = load_scenario(HERE / "day.toml")
    with RunStore(keep, base, code_sha256()) as store, Workers(jobs) as workers:
        for name, values in VARIANTS.items():
            scenario = base.with_values(values)
            for text in TARGETS:
                found = find_fleet(
                    scenario, [read_target(text)], FLEETS, START, num_seeds, None, Trial(store, workers)
                )
                print(
                    f"{name}, {text}: {found.num_drivers} drivers; tried {', '.join(map(str, found.fleets))}"
                )
                yield name, text, found


def cell(interval, kpi_name):
    if interval.mean is None:
        return "–"
    if kpi_name.endswith("_s"):
        return f"{interval.mean:.0f}"
    half = "" if interval.half_width is None else f" ± {interval.half_width:.4f}"
    return f"{interval.mean:.4f}{half}"


def page(results, num_seeds):
    """The result as Markdown."""
    lines = [
        "# Golden minutes: how many drivers Manhattan takes",
        "",
        f"Made by `python -m simulations.golden_minutes.make` with {num_seeds} seeds: the recorded day of "
        "June 2016 (79,618 orders; the source tells the minute, the second is drawn), drivers on duty "
        "all day who accept every offer and park, nobody cancels. Travel times follow an assumed day "
        "profile with assumed noise. A fleet counts where the mean over the seeds reaches the target; "
        f"the next smaller and larger ones, in steps of {STEP}, are tried, too. Of one seed, a larger "
        "fleet contains the smaller one.",
        "",
        "| policy and window | 99 % golden five | 95 % golden ten, of all orders |",
        "|---|---|---|",
    ]
    for name in VARIANTS:
        answers = [found.num_drivers for one, _, found in results if one == name]
        told = [f"**{answer:,}** drivers" if answer else "not reached" for answer in answers]
        lines.append(f"| {name} | {told[0]} | {told[1]} |")
    lines += [
        "",
        "Golden five counts orders accepted within 300 s, golden ten those whose pickup ETA was quoted as at "
        "most 600 s, both of all orders submitted. Of the accepted orders alone, a far smaller fleet quotes "
        "ten minutes: it leaves waiting who is far away. Judge the columns together.",
        "",
    ]
    for name in VARIANTS:
        lines += [
            "",
            f"## {name}",
            "",
            "| drivers | " + " | ".join(SHOWN) + " |",
            "|---|" + "---|" * len(SHOWN),
        ]
        tables = [found for one, _, found in results if one == name]
        rows = {fleet: (found, row) for found in tables for row, fleet in enumerate(found.fleets)}
        for fleet in sorted(rows):
            found, row = rows[fleet]
            cells = [cell(found.table.interval(row, kpi), kpi) for kpi in SHOWN]
            lines.append(f"| {fleet:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "dispatch-golden-minutes")
    arguments = parser.parse_args()
    results = list(searched(arguments.keep, arguments.seeds, arguments.jobs))
    (HERE / "result.md").write_text(page(results, arguments.seeds), encoding="utf-8")


if __name__ == "__main__":
    main()
