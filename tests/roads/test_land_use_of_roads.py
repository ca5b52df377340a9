import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import city_of, grid_city
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.land_use import USES
from dispatch.roads.land_use_of_roads import RoadDemandParams, land_use_of_roads, residential_m

CLASS = {name: row for row, name in enumerate(ROAD_CLASSES)}
PLAIN = RoadDemandParams(homes_gather=0.0, jobs_gather=0.0, leisure_gather=0.0)
"""Nothing gathers: what is left is the frontage of each node."""


def with_classes(city, road_class):
    classes = np.broadcast_to(np.asarray(road_class, np.int8), city.graph.num_arcs).copy()
    return replace(city, graph=replace(city.graph, road_class=classes))


def streets(x, y, ends, names):
    """A city of two-way streets, each of its class."""
    city = city_of(x, y, ends + [(head, tail) for tail, head in ends])
    of = {frozenset(pair): CLASS[name] for pair, name in zip(ends, names, strict=True)}
    pairs = zip(city.graph.tail.tolist(), city.graph.head.tolist(), strict=True)
    return with_classes(city, [of[frozenset(pair)] for pair in pairs])


def land_use(city, params=None):
    return land_use_of_roads(city.graph, city.projection, params)


def two_towns():
    """A large town, a small one 6 km to the east, a primary road between them; each has a main street."""
    x, y, ends, names = [], [], [], []
    for east_m, size in ((0.0, 13), (6000.0, 5)):
        base = len(x)
        for row in range(size):
            for col in range(size):
                here = base + row * size + col
                x.append(east_m + 120.0 * (col - size // 2))
                y.append(120.0 * (row - size // 2))
                if col:
                    ends.append((here - 1, here))
                    names.append("secondary" if row == size // 2 else "residential")
                if row:
                    ends.append((here - size, here))
                    names.append("tertiary" if col == size // 2 else "residential")
    ends.append((13 * 6 + 12, 169 + 5 * 2))
    names.append("primary")
    return streets(x, y, ends, names)


def test_homes_lie_along_residential_streets_by_their_length():
    """Plain sums by hand: half of each street at either end, at most 250 m of it."""
    x = [0, 100, 300, 1300, 1350]
    city = streets(
        x, [0] * 5, [(0, 1), (1, 2), (2, 3), (3, 4)], ["residential", "secondary", "residential", "service"]
    )
    use = land_use(city, PLAIN)
    weights = PLAIN.homes_of_class
    residential, secondary, service = (weights[CLASS[c]] for c in ("residential", "secondary", "service"))
    expected = np.array(
        [
            100 * residential,
            100 * residential + 200 * secondary,
            200 * secondary + 250 * residential,
            250 * residential + 50 * service,
            50 * service,
        ]
    )
    np.testing.assert_allclose(use.homes, expected / expected.sum())
    assert use.airport is None


def test_a_street_counts_once_whether_one_arc_or_two_make_it():
    one_way = city_of([0, 100, 100, 0], [0, 0, 100, 100], [(0, 1), (1, 2), (2, 3), (3, 0)])
    both = city_of(
        [0, 100, 100, 0],
        [0, 0, 100, 100],
        [(0, 1), (1, 2), (2, 3), (3, 0), (1, 0), (2, 1), (3, 2), (0, 3)],
    )
    assert residential_m(one_way.graph) == pytest.approx(400, abs=1)
    assert residential_m(both.graph) == pytest.approx(400, abs=1)
    half = residential_m(with_classes(both, CLASS["other"]).graph)
    assert half == pytest.approx(400 * RoadDemandParams().homes_of_class[CLASS["other"]])


def test_nobody_is_picked_up_on_a_motorway_or_a_trunk_road():
    x = [0, 100, 200, 300, 400, 500, 600]
    names = ["residential", "residential", "motorway", "motorway", "trunk", "trunk"]
    use = land_use(streets(x, [0] * 7, [(i, i + 1) for i in range(6)], names))
    for name in ("homes", "jobs", "leisure"):
        weights = getattr(use, name)
        assert (weights[:2] > 0).all()
        # Node 2 is where a street meets the motorway, 4 where that becomes a trunk road.
        assert not weights[2:].any()


def test_a_city_of_fast_roads_only_is_refused():
    with pytest.raises(InputError, match=r"graph has no street with homes: none of its \d+ arcs"):
        land_use(with_classes(grid_city(), CLASS["motorway"]))
    with pytest.raises(InputError, match="graph has no street with homes"):
        land_use(with_classes(grid_city(), CLASS["trunk"]))


def test_jobs_and_leisure_gather_in_the_centre_of_the_larger_town():
    city = two_towns()
    use = land_use(city)
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    large = x < x.min() + 3000
    for weights in (use.homes, use.jobs, use.leisure):
        assert weights[large].sum() / large.sum() > 1.5 * weights[~large].sum() / (~large).sum()
    middle = np.hypot(x - x[large].mean(), y - y[large].mean())
    away = [weights[large] @ middle[large] / weights[large].sum() for weights in (use.homes, use.jobs)]
    assert away[1] < away[0]
    main = np.flatnonzero(large & (np.abs(y - y[large].mean()) < 10))
    assert use.jobs[main].sum() > 1.3 * use.homes[main].sum()
    assert use.jobs[~large].sum() > use.leisure[~large].sum()


def test_exponents_say_how_much_things_gather():
    city = two_towns()
    spread, gathered = (land_use(city, RoadDemandParams(jobs_gather=g)).jobs for g in (0.5, 4.0))

    def entropy(p):
        return -(p[p > 0] * np.log(p[p > 0])).sum()

    assert entropy(gathered) < entropy(spread) - 0.2


def test_a_city_without_classes_is_served_everywhere():
    use = land_use(with_classes(grid_city(), CLASS["other"]))
    for name in ("homes", "jobs", "leisure"):
        weights = getattr(use, name)
        assert (weights > 0).all()
        assert weights.max() < 20 / len(weights)


@given(
    seed=st.integers(0, 2**32 - 1),
    num=st.integers(2, 60),
    scale_m=st.sampled_from([0.0, 1.0, 1e3, 1e5]),
    thin=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_any_network_with_a_street_has_a_land_use(seed, num, scale_m, thin):
    """Points on one spot, on a line, far apart; loops and parallel arcs."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, scale_m, num), np.zeros(num) if thin else rng.uniform(0, scale_m, num)
    ring = [(i, (i + 1) % num) for i in range(num)]
    more = [tuple(pair) for pair in rng.integers(0, num, (num, 2)).tolist()]
    city = city_of(x, y, ring + more)
    classes = rng.integers(0, len(ROAD_CLASSES), city.graph.num_arcs)
    length_m = np.maximum(city.graph.length_m, 0.1)
    city = with_classes(replace(city, graph=replace(city.graph, length_m=length_m)), classes)
    motorway = np.zeros(num, bool)
    fast = classes == CLASS["motorway"]
    motorway[city.graph.tail[fast]] = motorway[city.graph.head[fast]] = True
    streets_at = np.zeros(num, bool)
    slow = classes > CLASS["trunk"]
    streets_at[city.graph.tail[slow]] = streets_at[city.graph.head[slow]] = True
    if not (streets_at & ~motorway).any():
        with pytest.raises(InputError, match="graph has no street with"):
            land_use(city)
        return
    use = land_use(city)
    for name in ("homes", "jobs", "leisure"):
        weights = getattr(use, name)
        assert weights.shape == (num,)
        assert math.isclose(weights.sum(), 1.0)
        assert not weights[motorway | ~streets_at].any()


def test_parameters_are_read_from_toml(tmp_path):
    path = tmp_path / "demand.toml"
    path.write_text("homes_of_class = [0, 0, 0, 0, 0, 1, 0, 0]\ntown_m = 3000\n")
    params = RoadDemandParams.from_toml(path)
    assert params == RoadDemandParams(homes_of_class=(0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0), town_m=3000)
    assert params.jobs_of_class == RoadDemandParams().jobs_of_class


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("town = 3000", "no parameter is called 'town'; there are homes_of_class,"),
        ("town_m = [", "no readable TOML file"),
        ("town_m = 'far'", "town_m is 'far': it must be a number from 10 to 100000"),
        ("homes_of_class = [1, 2]", r"homes_of_class is \[1, 2\]: it must hold 8 numbers"),
    ],
)
def test_wrong_toml_is_refused(tmp_path, text, said):
    path = tmp_path / "demand.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        RoadDemandParams.from_toml(path)
    with pytest.raises(InputError, match="no readable TOML file"):
        RoadDemandParams.from_toml(tmp_path / "none.toml")


NUMBERS = [f.name for f in fields(RoadDemandParams) if not f.name.endswith("of_class")]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "1", True, None])
def test_numbers_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}: it must be a number"):
        RoadDemandParams(**{name: value})


@pytest.mark.parametrize("name", ["homes_of_class", "jobs_of_class", "leisure_of_class"])
@pytest.mark.parametrize(
    "value", [(), (1.0,) * 7, (0.0,) * 8, (1.0,) * 7 + (-1.0,), (math.nan,) * 8, 3, None]
)
def test_weights_out_of_range(name, value):
    with pytest.raises(InputError, match=f"{name} is "):
        RoadDemandParams(**{name: value})


@pytest.mark.compiled
def test_real_taxis_are_called_where_roads_say_so(data):
    """Squares of 1 km: the guess explains San Francisco's and Manhattan's pickups better than nodes do."""
    for name, least, gain in (("san_francisco", 0.50, 0.07), ("manhattan", 0.65, 0.08)):
        city = City.load(data / name)
        use = land_use(city)
        x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
        square = np.unique(x // 1000 * 1e6 + y // 1000, return_inverse=True)[1]
        pickup = city.trips.pickup_node[city.trips.pickup_node >= 0]
        real = np.bincount(square, np.bincount(pickup, minlength=len(x))) / len(pickup)

        def overlap(weights, square=square, real=real):
            return np.minimum(np.bincount(square, weights), real).sum()

        centre = overlap((use.jobs + use.leisure) / 2)
        assert centre > least
        assert centre > overlap(np.full(len(x), 1 / len(x))) + gain
        assert [name for name in USES if getattr(use, name) is None] == ["airport"]
