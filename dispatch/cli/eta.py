"""``dispatch eta train`` and ``dispatch eta evaluate``."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import compile_kernels, err, out, steps
from dispatch.cli.simulate import check_places
from dispatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dispatch.analysis.eta_evaluation import EtaEvaluation
    from dispatch.analysis.eta_figures import Row
    from dispatch.eta.model import EtaModel
    from dispatch.roads.city import City
    from dispatch.roads.pings import RecordedPings
    from dispatch.roads.trips import RecordedTrips

ETA_APP: Final = typer.Typer(no_args_is_help=True, help="Learn how long drives really take, and test it.")
app.add_typer(ETA_APP, name="eta")

CityArg = Annotated[Path, typer.Argument(help="Folder of a city, or a file to import.")]
TripsOpt = Annotated[
    Path | None, typer.Option(help="Recorded trips, .parquet or .csv. Default: those in the city's folder.")
]
PingsOpt = Annotated[
    Path | None, typer.Option(help="GPS pings, .parquet. Default: those in the city's folder, if any.")
]
LIVE_MS: Final = 24 * 3_600_000
"""Pings are read from so long before the first trip of a test: older ones tell nothing of its traffic."""
_MAX_GAINS: Final = 10
_EXPORTS: Final = (".json", ".parquet", ".csv")


@ETA_APP.command(
    epilog="Examples:  dispatch eta train sf --before 2008-05-31 --out sf.eta  |  "
    "dispatch eta train sf --trips week.parquet --pings week_pings.parquet --before 2008-05-31 --out sf.eta"
)
def train(
    city: CityArg,
    model: Annotated[Path, typer.Option("--out", help="Write the model to this file.")],
    trips: TripsOpt = None,
    pings: PingsOpt = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Learn from days before this one. Default: from all."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 1,
) -> None:
    """Learn from recorded trips and pings how long drives take, and how sure that is."""
    from dispatch.eta.model import LEARNT
    from dispatch.eta.training import EtaParams, train_eta

    check_places({"--out": model})
    _check_sources(trips, pings)
    day = None if before is None else _day("--before", before)
    params = EtaParams(seed=seed)
    started = time.perf_counter()
    with err.status("reading the city and its trips"):
        loaded = _city(city, trips)
    before_ms = None if day is None else _midnight_ms(loaded, day)
    compile_kernels()
    with steps("reading pings") as on_progress:
        recorded = _pings(loaded, pings, None, before_ms)
        learnt = train_eta(
            loaded, loaded.trips, recorded, before_ms=before_ms, params=params, on_progress=on_progress
        )
        on_progress("writing", 0, 0)
        learnt.save(model)
    _print_training(learnt.report)
    if learnt.kind != LEARNT:
        note = f"the model is no learnt one but {learnt.kind}: {learnt.report.get('note', 'no trips')}"
        out.print(escape(note), style="yellow", highlight=False, soft_wrap=True)
    spent = f"{time.perf_counter() - started:.1f} s"
    out.print(f"model: {model}, {spent}", highlight=False, soft_wrap=True)


@ETA_APP.command(
    epilog="Examples:  dispatch eta evaluate sf sf.eta --from 2008-05-31 --report eta.html  |  "
    "dispatch eta evaluate sf sf.eta --from 2008-05-31 --to 2008-06-03 --json eta.json --json trips.parquet"
)
def evaluate(
    city: CityArg,
    model: Annotated[Path, typer.Argument(help="File that dispatch eta train wrote.")],
    trips: TripsOpt = None,
    pings: PingsOpt = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day. Default: of the trips.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last day. Default: of the trips.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a self-contained HTML report to this file.")
    ] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--json",
            "--export",
            metavar="FILE",
            help="Write all figures (.json), or a row for each trip (.parquet, .csv); may be given again.",
        ),
    ] = None,
) -> None:
    """Predict recorded trips from what was known before each, and tell how far predictions are off."""
    from dispatch.analysis.eta_baseline import with_one_ratio
    from dispatch.analysis.eta_evaluation import evaluate_eta
    from dispatch.eta.evaluation import predict_trips
    from dispatch.eta.model import EtaModel

    files = exports or []
    _check_exports(files, report)
    _check_sources(trips, pings)
    started = time.perf_counter()
    with err.status("reading the city and its trips"):
        loaded = _city(city, trips)
        span_ms = _span_ms(loaded, since, until)
        learnt = EtaModel.load(model, loaded)
    compile_kernels()
    with err.status("reading pings"):
        recorded = _pings(loaded, pings, span_ms[0] - LIVE_MS, span_ms[1])
    with err.status("predicting trips, each from what was known before it"):
        tested = predict_trips(learnt, _between(loaded.trips, *span_ms), recorded)
        found = evaluate_eta(with_one_ratio(tested, loaded, loaded.trips, span_ms[0]), loaded)
    notes = _notes(learnt, span_ms[0])
    _print_evaluation(found, notes)
    _write(found, {"kind": learnt.kind, **learnt.report}, notes, files, report)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


def _check_exports(files: Sequence[Path], report: Path | None) -> None:
    """Refuse files that could not be written, before any work."""
    check_places({"--report": report})
    for file in files:
        check_places({"--json": file})
        if file.suffix.lower() not in _EXPORTS:
            raise InputError(
                f"--json is {file}: cannot tell the format by its ending; use one of {', '.join(_EXPORTS)}"
            )


def _check_sources(trips: Path | None, pings: Path | None) -> None:
    """Refuse files that are not there, before any work."""
    for option, path in (("--trips", trips), ("--pings", pings)):
        if path is not None and not path.is_file():
            raise InputError(f"{option} is {path}: no such file")


def _city(folder: Path, trips: Path | None) -> City:
    from dispatch.roads.city import City

    return City.load(folder, trips=trips)


def _pings(city: City, path: Path | None, from_ms: int | None, to_ms: int | None) -> RecordedPings | None:
    """Read the pings of a span, None where there is no file."""
    from dispatch.roads.pings import RecordedPings

    path = path or city.pings_path
    return None if path is None else RecordedPings.load(path, from_ms, to_ms)


def _day(option: str, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}: it must be a day such as 2008-05-31") from None


def _midnight_ms(city: City, day: datetime.date) -> int:
    from dispatch.roads.trips import local_midnight_ms, zone_info

    return local_midnight_ms(day, zone_info(city.timezone))


def _span_ms(city: City, since: str | None, until: str | None) -> tuple[int, int]:
    """Give the first instant of a test and the first one after it; local days, the last one included."""
    if city.trips is None or not len(city.trips):
        raise InputError(f"{city.name} has no recorded trips: a test needs some; name a file with --trips")
    if not city.trips.dated:
        raise InputError("--trips tells the minute of the day only: a test needs trips with dates")
    days = city.trips.days(city.timezone)
    first = days[0] if since is None else _day("--from", since)
    last = days[-1] if until is None else _day("--to", until)
    if last < first:
        raise InputError(f"--to is {last}: it must not be before --from, which is {first}")
    if last < days[0] or first > days[-1]:
        raise InputError(f"--from is {first}: trips were recorded from {days[0]} to {days[-1]}")
    return _midnight_ms(city, first), _midnight_ms(city, last + datetime.timedelta(days=1))


def _between(trips: RecordedTrips | None, from_ms: int, to_ms: int) -> RecordedTrips:
    assert trips is not None
    return trips.select((trips.requested_at_ms >= from_ms) & (trips.requested_at_ms < to_ms))


def _notes(model: EtaModel, from_ms: int) -> list[str]:
    """Say what must be known of a test to trust it."""
    from dispatch.eta.model import LEARNT

    if model.kind != LEARNT:
        return [f"The model is no learnt one but {model.kind}: {model.report.get('note', 'no trips')}."]
    before_ms = model.report.get("before_ms")
    if before_ms is None or before_ms > from_ms:
        return ["The model may have seen these trips: it was trained on days of the test, or on all days."]
    return []


def _print_training(report: dict[str, Any]) -> None:
    """Print what the training tells of itself."""
    from dispatch.analysis.eta_training import flat_report, ranked_gains, split_gain

    gain, rest = split_gain(report)
    shown = Table(show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    for name, value in flat_report(rest):
        shown.add_row(escape(name), escape(value))
    out.print(shown)
    if gain:
        told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in ranked_gains(gain)[:_MAX_GAINS])
        out.print(f"• It leans on {escape(told)}", style="dim", highlight=False)


def _print_evaluation(found: EtaEvaluation, notes: Sequence[str]) -> None:
    """Print errors of all predictors, losses of quantiles, and coverage by band."""
    from dispatch.analysis import eta_figures as figures

    days = f"{found.days[0]} … {found.days[-1]}" if len(found.days) > 1 else str(found.days[0])
    title = f"{found.city.name} · {days} · {len(found.test):,} trips"
    out.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    errors = [(name, cells[:-1]) for name, cells in figures.error_rows(found)]
    _print_table("predictor", [one.short for one in figures.ERROR_COLUMNS], errors)
    levels = [figures.level_label(level) for level in found.test.levels]
    losses = [(name, cells[:-1]) for name, cells in figures.loss_rows(found)]
    _print_table("pinball loss", [*levels, "mean"], losses)
    # A terminal is narrow: what lies inside of the interval follows from the coverage of its ends.
    shown = [number for number, one in enumerate(figures.WIDTH_COLUMNS) if one.name != "inside"]
    widths = [
        (name, [*cells[: len(levels)], *(cells[len(levels) + number] for number in shown)])
        for name, cells in figures.width_rows(found)
    ]
    _print_table("coverage", [*levels, *(figures.WIDTH_COLUMNS[n].short for n in shown)], widths)
    more = figures.more_rows(found)
    if more:
        _print_table("more than this model", ["MAE", "pinball loss"], more)
    bands = Table("covered", *levels, box=SIMPLE_HEAD, pad_edge=False)
    for where in dict.fromkeys(check.where for check in found.checks):
        cells = [figures.check_text(check) for check in found.checks if check.where == where]
        bands.add_row(where, *(f"[red]{text}[/]" if "✗" in text else text for text in cells))
    out.print(bands)
    for line in (*notes, *figures.summary_lines(found), figures.left_out_line(found)):
        if line:
            out.print(f"• {escape(line)}", style="dim", highlight=False)


def _print_table(first: str, heads: Sequence[str], rows: Sequence[Row]) -> None:
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    shown.add_column(first, no_wrap=True)
    for head in heads:
        shown.add_column(escape(head), justify="right", no_wrap=True)
    for name, cells in rows:
        shown.add_row(escape(name), *map(escape, cells))
    out.print(shown)


def _write(
    found: EtaEvaluation,
    training: dict[str, Any],
    notes: Sequence[str],
    files: Sequence[Path],
    report: Path | None,
) -> None:
    """Write the files asked for."""
    from dispatch.analysis.eta_evaluation import write_json, write_rows

    for file in files:
        if file.suffix.lower() == ".json":
            write_json(found, file, training=training, notes=list(notes))
        else:
            write_rows(found, file)
        out.print(f"{'figures' if file.suffix.lower() == '.json' else 'trips'}: {file}", highlight=False)
    if report is not None:
        from dispatch.analysis.eta_report import write_eta_report

        with err.status("drawing the report"):
            write_eta_report(report, found, training, notes=notes)
        out.print(f"report: {report}", highlight=False, soft_wrap=True)
