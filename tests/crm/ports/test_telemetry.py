"""Telemetry: new positions reach the dispatcher, old and unknown ones do not; clocks do not go back."""

import json

import pytest
import sqlalchemy as sa

from cities import T0, dispatcher_on, line_city, places, positions
from crm.conftest import actor
from crm.engaged import insert
from dispatch.crm.ports.telemetry import OLDEST_S, Reading, Telemetry, TelemetryFile
from dispatch.crm.tables.fleet import vehicle
from dispatch.crm.tables.people import driver
from dispatch.errors import AuthError, InputError


@pytest.fixture
def telemetry(crm, scope_id) -> Telemetry:
    same = {"scope_id": scope_id, "created_at_ms": 0, "changed_at_ms": 0}
    insert(
        crm,
        driver,
        [{"driver_id": one, **same, "status": "left" if one == 4 else "active"} for one in (1, 2, 3, 4)],
    )
    return Telemetry(crm.context)


def test_the_latest_of_each_car_reaches_the_dispatcher(crm, telemetry):
    city = line_city()
    lon, lat = places(city, [3, 7, 9])
    told = [
        Reading(1, T0 - 5000, lon[0], lat[0], 500),
        Reading(2, T0, lon[1], lat[1]),
        Reading(1, T0 - 1000, lon[2], lat[2]),
        Reading(4, T0, lon[0], lat[0]),
        Reading(77, T0, lon[0], lat[0]),
        Reading(3, T0 - OLDEST_S * 1000 - 1, lon[0], lat[0]),
    ]
    taken = telemetry.take(told, T0)
    assert taken.positions.driver_id.tolist() == [1, 2]
    assert taken.positions.at_ms.tolist() == [T0 - 1000, T0]
    assert (taken.stale, taken.unknown) == (2, 2)
    dispatcher = dispatcher_on(city)
    dispatcher.drivers_online(positions(city, [1, 2], [0, 0], T0 - 9000))
    assert dispatcher.update_positions(taken.positions) == (0, 0), "none ignored, none off the streets"
    again = telemetry.take(told, T0)
    assert len(again.positions.driver_id) == 0
    assert (again.stale, again.unknown) == (4, 2)
    assert telemetry.energy(1) is None
    telemetry.take([Reading(1, T0 + 1, lon[0], lat[0], 480)], T0 + 1)
    telemetry.take([Reading(1, T0 + 2, lon[0], lat[0])], T0 + 2)
    assert telemetry.energy(1) == 480, "what is not told again stays known"
    assert telemetry.energy(2) is None


def test_a_clock_that_is_ahead_is_refused_as_a_whole(crm, telemetry):
    ahead = [Reading(1, T0, 10.0, 50.0), Reading(2, T0 + 10_001, 10.0, 50.0)]
    with pytest.raises(InputError, match=r"readings\[1\].at_ms"):
        telemetry.take(ahead, T0)
    taken = telemetry.take([Reading(1, T0 + 10_000, 10.0, 50.0)], T0)
    assert taken.positions.at_ms.tolist() == [T0], "a little is taken as now"
    with pytest.raises(AuthError):
        Telemetry(crm.acting_as(actor("dispatcher")).context).take(ahead[:1], T0)
    own = Telemetry(crm.acting_as(actor("driver", own=("driver", 2))).context)
    assert own.energy(2) is None
    with pytest.raises(AuthError):
        own.energy(1)


@pytest.mark.parametrize(
    "told",
    [
        (-1, T0, 0.0, 0.0),
        (1, -1, 0.0, 0.0),
        (1, T0, 181.0, 0.0),
        (1, T0, 0.0, float("nan")),
        (1, T0, 0.0, 0.0, 1001),
    ],
)
def test_bad_readings_are_refused(told):
    with pytest.raises(InputError):
        Reading(*told)


def test_a_file_is_read_from_where_it_was(tmp_path):
    path = tmp_path / "box.jsonl"
    one = {"driver_id": 1, "at_ms": T0, "lon": 10.0, "lat": 50.0}
    path.write_text(json.dumps(one) + "\n" + json.dumps({**one, "energy_permille": 7}) + "\n")
    port = TelemetryFile(path)
    assert port.readings() == [Reading(1, T0, 10.0, 50.0), Reading(1, T0, 10.0, 50.0, 7)]
    assert port.readings() == []
    with path.open("a") as file:
        file.write(json.dumps({**one, "at_ms": T0 + 1}) + "\n" + json.dumps({**one, "name": "x"}) + "\n")
    for _ in range(2):
        with pytest.raises(InputError, match="must hold"):
            port.readings()


def test_a_level_that_a_car_tells_is_its_vehicle_s(crm, telemetry, scope_id):
    add_vehicles(crm, scope_id, ((11, 1, None), (12, 1, None), (13, 1, T0), (21, 2, None)))
    telemetry.take([Reading(1, T0, 10.0, 50.0, 400), Reading(2, T0, 10.0, 50.0)], T0)
    assert levels(crm) == {11: None, 12: 400, 13: None, 21: None}, "of the vehicle entered last"
    assert crm.stations.ranges([1, 2], scope_id=scope_id).tolist() == [40_000, -1]
    telemetry.take([Reading(1, T0 - 1, 10.0, 50.0, 900)], T0 + 1)
    assert levels(crm)[12] == 400, "an older reading changes nothing"


def add_vehicles(crm, scope_id, rows):
    same = {"scope_id": scope_id, "vehicle_class": 0, "seats": 4, "energy": "electric", "range_m": 100_000}
    same |= {"added_at_ms": 0, "insured_until_ms": T0, "inspected_until_ms": T0}
    insert(
        crm,
        vehicle,
        [{"vehicle_id": one, "driver_id": of, "retired_at_ms": gone, **same} for one, of, gone in rows],
    )


def levels(crm):
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(vehicle.c.vehicle_id, vehicle.c.level_permille)).all()
    return {row[0]: row[1] for row in rows}
