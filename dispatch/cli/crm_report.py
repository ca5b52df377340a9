"""``dispatch crm report``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape

from dispatch.cli.console import err, out
from dispatch.cli.crm import AsOption, DbOption, KeysOption, VerticalOption, crm_app, now_ms, opened
from dispatch.cli.figures import print_figures
from dispatch.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from dispatch.crm.context import Context

_LAST_DAYS: Final = 30


@crm_app.command(
    epilog="Examples:  dispatch crm report --db crm.db --by week --timezone Europe/Paris  |  "
    "dispatch crm report --from 2025-03-01 --to 2025-03-31 --html march.html --export march.csv"
)
def report(
    db: DbOption,
    keys: KeysOption = None,
    vertical: VerticalOption = None,
    who: AsOption = None,
    by: Annotated[str, typer.Option(metavar="day|week|month")] = "day",
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="YYYY-MM-DD",
            help="First day. Default: so that there are 30 days, weeks or months.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="YYYY-MM-DD", help="Last day. Default: the latest that has data."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Clock that days and hours are of: Europe/Paris.")] = "UTC",
    places: Annotated[
        list[str] | None,
        typer.Option("--place", metavar="TENANT/CITY", help="Count these cities only; may be given again."),
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="NAMES", help="Tables to print, with commas.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained page with charts.")] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--export", metavar="FILE", help="Write all tables: march.csv, march.parquet; may be given again."
        ),
    ] = None,
) -> None:
    """Count orders, customers, coupons, points, complaints and energy by day, week or month.

    Without --from and --to: the latest 30 days, weeks or months that have data.
    """
    ends = _day("--from", since) if since else None, _day("--to", until) if until else None
    chosen = [_place(one) for one in places or []]
    with opened(db, keys, vertical, who) as crm:
        from dispatch.crm.reports import reports

        names = _names(only, tuple(reports.TITLES))
        with err.status("counting"):
            first, last, said = _span(crm.context, by, ends, timezone, chosen)
            made = reports.report(
                crm.context, by, first, last, at_ms=now_ms(), timezone=timezone, places=chosen
            )
    title = f"{made.vertical} · {first} … {last} · {timezone}{said}"
    out.print(escape(title), style="bold", highlight=False, soft_wrap=True)
    printed = [_print(reports.TITLES[name], made.tables[name]) for name in names]
    if not any(printed):
        out.print("nothing to tell of these days")
    for file in exports or []:
        written = made.write(file)
        out.print(f"{len(written)} tables: {escape(str(written[0]))} …", highlight=False, soft_wrap=True)
    if html is not None:
        from dispatch.analysis.crm_report import write_crm_report

        with err.status("drawing the report"):
            write_crm_report(html, made)
        out.print(f"report: {escape(str(html))}", highlight=False, soft_wrap=True)


def _span(
    context: Context,
    by: str,
    ends: tuple[datetime.date | None, datetime.date | None],
    timezone: str,
    places: list[tuple[str, str]],
) -> tuple[datetime.date, datetime.date, str]:
    """Give the first and last day, and what is to be said of them where they are not told."""
    from dispatch.crm.reports.latest_span import latest_span
    from dispatch.crm.reports.periods import MOST_DAYS

    first, last = ends
    said = ""
    if first is None or last is None:
        found = latest_span(context, by, timezone=timezone, places=places, until=last)
        if found is None:
            said = " · there are no data" + (" yet" if last is None else " until then")
            end = last or max(first or datetime.date.min, datetime.datetime.now(datetime.UTC).date())
            found = end - datetime.timedelta(days=_LAST_DAYS - 1), end
        elif last is None:
            is_later = first is not None and first > found[1]
            said = f" · the latest data are of {found[1]}" if is_later else " · the latest with data"
        first = first or found[0]
        last = last or max(found[1], first)
    if last < first:
        raise InputError(f"--to is {last}: it must not be before --from, which is {first}")
    if (last - first).days >= MOST_DAYS:
        raise InputError(f"--to is {last}: a report takes {MOST_DAYS} days at most, from {first} on")
    return first, last, said


def _day(option: str, text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}: it must be a day such as 2025-03-31") from None


def _place(text: str) -> tuple[str, str]:
    tenant, slash, city = text.partition("/")
    if not slash:
        raise InputError(f"--place is {text!r}: it must be TENANT/CITY")
    return tenant, city


def _names(only: str | None, known: Sequence[str]) -> Sequence[str]:
    from dispatch.crm.rules import check_one_of

    if only is None:
        return known
    names = [name.strip() for name in only.split(",")]
    for name in names:
        check_one_of("--only", name, tuple(known))
    return names


def _print(title: str, table: pa.Table) -> bool:
    """Print a table, without columns that say nothing; nothing of an empty one, which it tells."""
    from dispatch.analysis.crm_columns import COLUMNS, cell

    first, *others = table.schema.names
    rows = table.to_pylist()
    told = [name for name in others if any(row[name] not in (None, 0) for row in rows)]
    if told:
        names = [first, *told]
        heads = [COLUMNS[name].label for name in names]
        print_figures(out, title, heads, [[cell(name, row[name]) for name in names] for row in rows])
    return bool(told)
