"""``dispatch city import`` and ``dispatch city info``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, err, out, steps
from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.roads.city import City

city_app = typer.Typer(no_args_is_help=True, help="Make and look at cities: road networks in a folder.")
app.add_typer(city_app, name="city")


@city_app.command(
    "import", epilog="Example:  dispatch city import malta-latest.osm.pbf malta --bbox 14.4,35.8,14.6,36"
)
def import_city(
    file: Annotated[Path, typer.Argument(help=".osm.pbf of OpenStreetMap, or .graphml as osmnx saves it.")],
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="Folder to write: a new one, or one to replace.")
    ],
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Only streets inside of this box, degrees.")
    ] = None,
    polygon: Annotated[
        Path | None, typer.Option(help="Only streets inside of the polygon in this GeoJSON file.")
    ] = None,
) -> None:
    """Import the streets that cars drive, with shapes, speeds and forbidden turns.

    The hierarchy that travel times need is made and saved, too.
    """
    from dispatch.roads.city import City
    from dispatch.roads.city_files import check_target

    check_target(folder)
    box, border = _bbox(bbox), None if polygon is None else read_polygon(polygon)
    started = time.perf_counter()
    try:
        with steps("reading streets") as on_progress:
            if file.suffix == ".graphml":
                if bbox is not None or polygon is not None:
                    raise InputError("--bbox and --polygon go with .osm.pbf files")
                city = City.from_graphml(file)
            else:
                city = City.from_osm(file, bbox=box, polygon=border, on_progress=on_progress)
            on_progress("writing", 0, 0)
            city.save(folder)
            on_progress("making the hierarchy (the first time, its kernels are compiled)", 0, 0)
            city.network.save(folder)
    except KeyboardInterrupt:
        err.print(f"[yellow]interrupted: {escape(str(folder))} is as it was before, or whole[/]")
        raise typer.Exit(INTERRUPTED) from None
    _print(city, folder)
    out.print(f"{time.perf_counter() - started:.1f} s", highlight=False)


@city_app.command(epilog="Example:  dispatch city info malta")
def info(
    city: Annotated[Path, typer.Argument(help="Folder of a city, or a file to import.")],
) -> None:
    """Tell what a city consists of."""
    from dispatch.roads.city import City

    with err.status("reading the city"):
        loaded = City.load(city)
    _print(loaded, city)


def read_polygon(path: Path) -> Any:
    """Read the polygons of a GeoJSON file as one shapely geometry.

    Raises
    ------
    InputError
        The file is missing, no GeoJSON, or holds no polygon.
    """
    import shapely

    try:
        geometry = shapely.from_geojson(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, shapely.errors.GEOSException, json.JSONDecodeError) as error:
        raise InputError(f"{path}: no readable GeoJSON ({error})") from error
    polygons = [part for part in shapely.get_parts(geometry) if shapely.get_type_id(part) in (3, 6)]
    if not polygons:
        raise InputError(f"{path}: no polygon in it")
    return shapely.union_all(polygons)


def _bbox(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(side) for side in text.split(",")]
    except ValueError:
        raise InputError(f"--bbox is {text!r}: it must be four numbers W,S,E,N in degrees") from None


def _print(city: City, folder: Path) -> None:
    """Print what was kept, and what was left out."""
    from dispatch.roads.graph import ROAD_CLASSES
    from dispatch.units import NO_INDEX

    graph = city.graph
    one_way = graph.twin == NO_INDEX
    # A street of two ways is two arcs, but it is as long as one.
    length_m = graph.length_m * np.where(one_way, 1.0, 0.5)
    out.print(escape(f"{folder} · {city.timezone}"), style="bold", highlight=False, soft_wrap=True)
    table = Table("kept")
    table.add_column("", justify="right")
    rules = 0 if graph.forbidden is None else graph.forbidden.num_rules
    rows = [
        ("nodes", f"{graph.num_nodes:,}"),
        ("directed edges", f"{graph.num_arcs:,}"),
        ("streets, km", f"{length_m.sum() / 1000:,.0f}"),
        ("of these one-way, km", f"{length_m[one_way].sum() / 1000:,.0f}"),
        *(
            (f"{name}, km", f"{length_m[graph.road_class == number].sum() / 1000:,.0f}")
            for number, name in enumerate(ROAD_CLASSES)
            if (graph.road_class == number).any()
        ),
        ("forbidden turns", f"{rules:,}"),
        ("shapes", "straight" if graph.shapes is None else f"{len(graph.shapes.lon):,} points"),
        ("hierarchy, arcs", f"{city.network.hierarchy.num_arcs:,}"),
        ("recorded trips", "none" if city.trips is None else f"{len(city.trips):,}"),
    ]
    for row in rows:
        table.add_row(*row)
    out.print(table)
    if city.drops:
        left_out = Table("left out", "of")
        left_out.add_column("", justify="right")
        for drop in city.drops:
            left_out.add_row(escape(drop.what), escape(drop.where), f"{drop.count:,}")
        out.print(left_out)
