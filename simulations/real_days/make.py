"""Seventeen days of San Francisco: real taxis beside simulated ones with the same orders and shifts.

Needs the environment variable DISPATCH_DATA, the folder of the data sets. Writes `result.md` beside this
file; a day's figures are kept in `days.json` in the folder given by `--keep`: a run that was stopped goes on.

    python -m simulations.real_days.make            # all seventeen days, about a quarter of an hour
    python -m simulations.real_days.make --days 2   # a look
"""

import argparse
import datetime
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from dispatch import City, run
from dispatch.analysis.paired import mean_interval, paired_interval
from dispatch.analysis.recorded_figures import recorded_figures
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour, TrafficParams
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.scenario import SimParams
from dispatch.sim.summary import run_record

FIRST_DAY, NUM_DAYS = datetime.date(2008, 5, 18), 17
POLICIES = {
    "nearest": policy_named("nearest"),
    "batch": policy_named("batch"),
    "patient, chained": policy_named("patient_lookahead"),
}
FLEETS = ("parks", "cruises")
COUNTED = {
    "served": ("completion_share", "share of orders"),
    "golden five": ("golden5_share", "share of orders"),
    "golden ten": ("golden10_share", "share of accepted"),
    "wait, mean": ("wait_mean_s", "seconds"),
    "empty": ("empty_km_share", "share of kilometres"),
    "of it cruising": ("empty_km_idle_share", "share of kilometres"),
    "of it to pickups": ("empty_km_pickup_share", "share of kilometres"),
    "utilisation": ("utilisation_share", "share of online time"),
    "income Gini": ("driver_income_gini", ""),
}
FLOORS = {"served": 0.99, "golden five": 0.98, "golden ten": 0.95}
MOST_EMPTY, LEAST_BELOW_CHAIN = 0.26, 0.03
WINDOW_S = 30.0


def behaviour(fleet):
    """Machines that accept everything, in real traffic; they park, or cruise as the real ones did."""
    none = Behaviour.none()
    cruising = "hot_spots" if fleet == "cruises" else "park"
    drivers = replace(none.drivers, cruising=cruising)
    return replace(none, drivers=drivers, traffic=TrafficParams("fitted"))


def figures_of_day(city, date):
    """Real and simulated figures of one day."""
    real = recorded_figures(city, date)
    found = {
        "real": {
            "empty": real.empty.share,
            "chain": real.chain.share,
            "utilisation": real.utilisation,
            "trips per hour": real.trips_per_on_shift_h,
            "income Gini": real.income_gini,
        }
    }
    sim = SimParams(window_s=WINDOW_S)
    base = recorded_day(city, date, params=DispatchParams(), sim=sim)
    for fleet in FLEETS:
        day = with_behaviour(replace(base, behaviour=behaviour(fleet)))
        for name, policy in POLICIES.items():
            finished = run(replace(day, params=replace(day.params, policy=policy)))
            record = run_record(finished, 0.0, 0.0)
            events = record.events
            told = {label: record.kpis[kpi] for label, (kpi, _) in COUNTED.items()}
            online_h = online_hours(events)
            told["trips per hour"] = record.kpis["completion_share"] * len(base.orders) / online_h
            told["orders"], told["driven km"] = len(base.orders), float(finished.driven_m.sum()) / 1000
            found[f"{name}, {fleet}"] = told
    return found


def online_hours(events):
    """Hours that drivers were online, together."""
    from dispatch.analysis.driver_table import driver_table

    return float(driver_table(events).online_ms.sum()) / 3_600_000


def pooled(days, run_name, label):
    """Mean over orders, or over kilometres for shares of them."""
    weight = "driven km" if "empty" in label or "of it" in label else "orders"
    weights = np.array([day[run_name][weight] for day in days])
    return float(np.average([day[run_name][label] for day in days], weights=weights))


def told(interval, digits=3):
    if interval.low is None:
        return f"{interval.mean:.{digits}f}"
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f} … {interval.high:.{digits}f})"


def introduction(days):
    return [
        "# San Francisco, day by day: real taxis and simulated ones",
        "",
        f"Made by `python -m simulations.real_days.make` on {len(days)} days from {days[0]['date']} to "
        f"{days[-1]['date']}. Every day has the recorded trips as its orders, submitted when the "
        "passenger boarded, and the recorded taxis as its drivers, on duty where their pings show it. "
        f"Drivers accept every offer; nobody cancels; windows of {WINDOW_S:g} s. Travel times are "
        "predicted by hour as fitted on the trips of the days before, and come true with the fitted "
        "noise; rides last as recorded. Drivers *park* between orders, or *cruise* as learnt from up to "
        "seven other days' pings.",
        "",
        "## What can be compared with reality, and what cannot",
        "",
        "- Request times are not recorded: waits, golden five and golden ten exist for simulated days only.",
        "- Real empty driving is measured from pings, as the crow flies from ping to ping, and holds "
        "cruising, ways home and errands. Drivers that park save all that by construction: their "
        "yardstick is the *real chain*, each taxi's real order of trips joined by shortest paths, no "
        "cruising. Drivers that cruise compare with the pings.",
        "- Trips that leave the city are left out on both sides; utilisation and trips per hour count the "
        "time that pings show on shift.",
        "- Simulated taxis know every order of the window; real ones were hailed in the street.",
        "- Simulated kilometres are along streets, and simulated rides take the quickest way; the crow "
        "flies shorter from ping to ping, and recorded rides make detours. Shares of empty kilometres of "
        "cruising fleets are therefore higher than those of the pings, though they cruise as many "
        "kilometres an idle hour.",
        "",
    ]


def averages(days):
    lines = [
        f"## All days, mean and 95 % interval over the {len(days)} days",
        "",
        "| | " + " | ".join([*COUNTED, "trips per hour"]) + " |",
        "|---|" + "---|" * (len(COUNTED) + 1),
    ]
    names = [f"{policy}, {fleet}" for fleet in FLEETS for policy in POLICIES]
    for name in names:
        cells = []
        for label in [*COUNTED, "trips per hour"]:
            digits = 0 if label == "wait, mean" else 2 if label == "trips per hour" else 3
            cells.append(told(mean_interval([day[name][label] for day in days]), digits))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    real = {label: mean_interval([day["real"][label] for day in days]) for label in days[0]["real"]}
    lines.append(
        f"| real taxis, pings | – | – | – | – | {told(real['empty'])} | – | – | "
        f"{told(real['utilisation'])} | "
        f"{told(real['income Gini'])} | {told(real['trips per hour'], 2)} |"
    )
    lines.append(f"| real chain, no cruising | – | – | – | – | {told(real['chain'])} | – | – | – | – | – |")
    return lines


def differences(days):
    lines = ["", "## Differences, day by day", "", "| | " + " | ".join(COUNTED) + " |"]
    lines.append("|---|" + "---|" * len(COUNTED))
    for fleet in FLEETS:
        for policy in list(POLICIES)[1:]:
            cells = []
            for label in COUNTED:
                one = [day[f"{policy}, {fleet}"][label] for day in days]
                other = [day[f"nearest, {fleet}"][label] for day in days]
                digits = 0 if label == "wait, mean" else 3
                cells.append(told(paired_interval(one, other), digits))
            lines.append(f"| {policy} − nearest, {fleet} | " + " | ".join(cells) + " |")
    for policy in POLICIES:
        cells = []
        for label in COUNTED:
            one = [day[f"{policy}, cruises"][label] for day in days]
            other = [day[f"{policy}, parks"][label] for day in days]
            cells.append(told(paired_interval(one, other), 0 if label == "wait, mean" else 3))
        lines.append(f"| cruises − parks, {policy} | " + " | ".join(cells) + " |")
    return lines


def each_day(days):
    names = [f"{policy}, {fleet}" for fleet in FLEETS for policy in POLICIES]
    lines = [
        "",
        "## Each day",
        "",
        "| day | orders | real, pings | real chain | "
        + " | ".join(f"{name}: empty" for name in names)
        + " | patient, chained, parks: served / five / ten |",
    ]
    lines.append("|---|" + "---|" * (len(names) + 4))
    for day in days:
        best = day["patient, chained, parks"]
        cells = [
            day["date"],
            f"{best['orders']:,}",
            f"{day['real']['empty']:.3f}",
            f"{day['real']['chain']:.3f}",
        ]
        cells += [f"{day[name]['empty']:.3f}" for name in names]
        cells.append(" / ".join(f"{best[label]:.3f}" for label in FLOORS))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def verdict(days):
    """Whether one policy with parked drivers reaches all floors together."""
    name = "patient, chained, parks"
    lines = ["", "## The floors, all four together", "", f"`{name}`, pooled over the days:", ""]
    for label, floor in FLOORS.items():
        value = pooled(days, name, label)
        lines.append(f"- {label} {value:.4f}, floor {floor}: {'reached' if value >= floor else 'MISSED'}")
    empty = pooled(days, name, "empty")
    lines.append(
        f"- empty {empty:.4f}, at most {MOST_EMPTY}: {'reached' if empty <= MOST_EMPTY else 'MISSED'}"
    )
    below = {day["date"]: day["real"]["chain"] - day[name]["empty"] for day in days}
    least = min(below, key=below.get)
    reached = below[least] >= LEAST_BELOW_CHAIN
    lines.append(
        f"- empty below the day's real chain: at least {below[least]:.4f} (on {least}), floor "
        f"{LEAST_BELOW_CHAIN}: {'reached' if reached else 'MISSED'}"
    )
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=NUM_DAYS, help="how many of the seventeen days")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "dispatch-real-days")
    arguments = parser.parse_args()
    city = City.load(Path(os.environ["DISPATCH_DATA"]) / "san_francisco")
    arguments.keep.mkdir(parents=True, exist_ok=True)
    kept = arguments.keep / "days.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    for number in range(arguments.days):
        date = FIRST_DAY + datetime.timedelta(days=number)
        if date.isoformat() not in known:
            known[date.isoformat()] = {"date": date.isoformat()} | figures_of_day(city, date)
            unfinished = kept.with_suffix(".part")
            unfinished.write_text(json.dumps(known))
            unfinished.replace(kept)
        print(
            date,
            {name: round(one["empty"], 3) for name, one in known[date.isoformat()].items() if name != "date"},
        )
    days = [known[date] for date in sorted(known)][: arguments.days]
    parts = (introduction, averages, differences, verdict, each_day)
    page = "\n".join(line for part in parts for line in part(days)) + "\n"
    Path(__file__).with_name("result.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
