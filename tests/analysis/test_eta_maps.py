import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.eta_tests import CITY, eta_test
from dispatch.analysis.eta_evaluation import MODEL, evaluate_eta
from dispatch.analysis.eta_groups import MIN_TRIPS
from dispatch.analysis.eta_maps import NUM_ROUTES, ROUTE_KINDS, EtaMaps, worst_routes
from dispatch.roads.zones import Zones, grid_zones

FOUND = evaluate_eta(eta_test(), CITY, grid_zones(CITY, 1500))
MAPS = EtaMaps(FOUND)


def test_zones_are_coloured_by_error_and_tell_it():
    figure = MAPS.error_map()
    json.dumps(figure, allow_nan=False)
    *zones, scale = figure["data"]
    shown = [group for group in FOUND.groups["from_zone"] if group.num >= MIN_TRIPS]
    assert len(zones) == len(shown) > 3
    for trace, group in zip(zones, shown, strict=True):
        assert group.label in trace["text"]
        assert f"{group.num:,} trips" in trace["text"]
        assert trace["fill"] == "toself"
    errors = [group.errors[MODEL].mae_s for group in shown]
    colours = [trace["fillcolor"] for trace in zones]
    assert colours[int(np.argmax(errors))] != colours[int(np.argmin(errors))]
    assert scale["marker"]["cmin"] == 0
    assert scale["marker"]["showscale"]
    assert MAPS.svg.startswith("<svg")
    assert set(figure["narrow"]) == {"x", "y"}


def test_bias_is_coloured_around_zero():
    late = replace(FOUND.test, actual_s=FOUND.test.actual_s + 1000)
    early = replace(FOUND.test, actual_s=np.zeros(len(FOUND.test)))
    for test, colour in ((late, "rgba(178,24,43,0.72)"), (early, "rgba(33,102,172,0.72)")):
        *zones, scale = EtaMaps(evaluate_eta(test, CITY)).bias_map()["data"]
        assert scale["marker"]["cmin"] == -scale["marker"]["cmax"]
        # The scale ends at the 95th percentile, so nearly all zones are about that far off.
        assert colour in {trace["fillcolor"] for trace in zones}


def test_a_zone_of_several_parts_has_gaps_in_its_outline():
    squares = grid_zones(CITY, 1500)
    parts = squares.polygon[0].union(squares.polygon[-1])
    zones = Zones(("both",), ("report",), (parts,))
    trace = EtaMaps(evaluate_eta(FOUND.test, CITY, zones)).error_map()["data"][0]
    assert trace["x"].count(None) == trace["y"].count(None) == 1


@pytest.mark.parametrize("kind", ROUTE_KINDS)
def test_worst_routes_lead(kind):
    routes = worst_routes(FOUND, kind)
    costs = [kind.cost(route) for route in routes]
    assert costs == sorted(costs, reverse=True)
    assert len(routes) == min(NUM_ROUTES, len(FOUND.routes))
    assert costs[0] == max(kind.cost(route) for route in FOUND.routes)


def told_of(traces):
    return [trace["text"][0] for trace in traces]


def test_routes_are_bent_lines_with_their_figures():
    figure = MAPS.route_map()
    json.dumps(figure, allow_nan=False)
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines"]
    dots = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    assert len(lines) == len(dots) == 2 * len(worst_routes(FOUND, ROUTE_KINDS[0]))
    route = worst_routes(FOUND, ROUTE_KINDS[0])[0]
    line = lines[0]
    (x,), (y,) = CITY.projection.to_plane(np.array([route.from_lon]), np.array([route.from_lat]))
    assert (line["x"][0], line["y"][0]) == pytest.approx((x, y), abs=1)
    assert (dots[0]["x"][0], dots[0]["y"][0]) == (line["x"][-1], line["y"][-1])
    words = line["text"][0]
    for told in (f"{route.num:,} trips", route.from_zone, route.to_zone, "actual", "predicted", "late by"):
        assert told in words
    assert [trace["name"] for trace in lines if trace["showlegend"]] == [kind.label for kind in ROUTE_KINDS]
    rings = [trace["marker"]["symbol"] == "circle-open-dot" for trace in dots]
    assert rings == [
        words.split(" → ")[0][3:] == words.split(" → ")[1].split("<")[0] for words in told_of(dots)
    ]
    assert lines[0]["line"]["width"] > lines[1]["line"]["width"]


def test_a_test_without_routes_still_has_a_map():
    found = evaluate_eta(eta_test(60), CITY)
    assert found.routes == ()
    assert EtaMaps(found).route_map()["data"] == []
