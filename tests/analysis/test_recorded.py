import numpy as np
import pytest

from cities import line_city
from dispatch.analysis.recorded import empty_km_share_recorded
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings

CITY = line_city(20)


def pings(*rows):
    """Pings of (driver_id, seconds, metres along the line or degrees of longitude away, occupied)."""
    driver, second, node, occupied = zip(*rows, strict=True)
    lon, lat = (getattr(CITY.graph, f"node_{axis}") for axis in ("lon", "lat"))
    far = np.array(node) < 0
    at = np.where(far, 0, node)
    return RecordedPings(
        np.array(driver, np.int64),
        np.array(second, np.int64) * 1000,
        np.where(far, lon[at] + 1, lon[at]),
        lat[at].copy(),
        np.array(occupied, np.bool_),
    )


def test_pairs_count_by_their_first_ping():
    got = empty_km_share_recorded(pings((1, 0, 0, False), (1, 60, 3, True), (1, 120, 10, False)), CITY)
    assert got.num_pairs == 2
    assert got.empty_km == pytest.approx(0.3, rel=0.01)
    assert got.total_km == pytest.approx(1.0, rel=0.01)
    assert got.share == pytest.approx(0.3, rel=0.01)


@pytest.mark.parametrize(
    ("rows", "num_pairs"),
    [
        ([(1, 0, 0, False), (1, 300, 1, False)], 1),
        ([(1, 0, 0, False), (1, 301, 1, False)], 0),
        ([(1, 0, 0, False), (2, 10, 1, False)], 0),
        ([(1, 0, 0, False), (1, 10, -1, False), (1, 20, 1, False)], 0),
    ],
    ids=["at most 300 s apart", "too far apart in time", "two drivers", "an outlier between"],
)
def test_what_is_a_pair(rows, num_pairs):
    assert empty_km_share_recorded(pings(*rows), CITY).num_pairs == num_pairs


def test_nobody_drove():
    got = empty_km_share_recorded(pings((1, 0, 4, False)), CITY)
    assert (got.share, got.total_km, got.num_pairs) == (None, 0.0, 0)


def test_unsorted_pings_are_refused():
    with pytest.raises(InputError, match=r"row 1 \(driver_id 1, at_ms 0\) belongs before row 0"):
        empty_km_share_recorded(pings((1, 60, 0, False), (1, 0, 1, False)), CITY)


def test_san_francisco_taxis_were_empty_for_two_fifths_of_their_way(data):
    day_ms = 24 * 3_600_000
    from_at_ms = 1_212_217_200_000  # 2008-05-31 00:00 local
    city = City.load(data / "san_francisco")
    recorded = RecordedPings.load(city.pings_path, from_at_ms, from_at_ms + day_ms)
    got = empty_km_share_recorded(recorded, city)
    assert got.share == pytest.approx(0.399, abs=0.003)
    assert got.num_pairs > 400_000
