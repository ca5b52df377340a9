"""Vehicles: their papers, plates and energy."""

import numpy as np
import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from dispatch.crm.fleet.vehicles import Vehicle, range_left_in
from dispatch.errors import AuthError, InputError, StateError

SEDAN = Vehicle("comfort", 4, "electric", 400_000, "7ABC-123", MONDAY_MS + DAY_MS, MONDAY_MS + 2 * DAY_MS)


def test_the_life_of_a_vehicle(crm, scope_id):
    crm.drivers.register_many([1, 2, 3], scope_id=scope_id, at_ms=MONDAY_MS)
    sedan = crm.vehicles.add(1, SEDAN, at_ms=MONDAY_MS)
    (seen,) = crm.vehicles.of(1, at_ms=MONDAY_MS)
    assert seen == Vehicle(**vars(SEDAN) | {"vehicle_id": sedan, "driver_id": 1})
    assert crm.vehicles.find("7abc 123", scope_id=scope_id, at_ms=MONDAY_MS) == sedan
    with pytest.raises(StateError, match="there already"):
        crm.vehicles.add(2, SEDAN, at_ms=MONDAY_MS)
    crm.vehicles.renew(sedan, at_ms=MONDAY_MS, insured_until_ms=MONDAY_MS + 9 * DAY_MS)
    assert crm.vehicles.of(1, at_ms=MONDAY_MS)[0].insured_until_ms == MONDAY_MS + 9 * DAY_MS
    crm.vehicles.tell_level(sedan, 500, at_ms=MONDAY_MS + 10)
    crm.vehicles.tell_level(sedan, 900, at_ms=MONDAY_MS + 5)
    assert crm.vehicles.of(1, at_ms=MONDAY_MS)[0].level_permille == 500, "a later one is known"
    scooter = crm.vehicles.add(2, Vehicle("ordinary", 1, "petrol"), at_ms=MONDAY_MS)
    crm.vehicles.tell_level(scooter, 100, at_ms=MONDAY_MS)
    with crm.context.database.reading() as connection:
        left = range_left_in(connection, [3, 2, 1, 1])
    assert np.array_equal(left, [-1, -1, 200_000, 200_000])
    crm.vehicles.retire(sedan, at_ms=MONDAY_MS + 20)
    with pytest.raises(StateError, match="retired"):
        crm.vehicles.retire(sedan, at_ms=MONDAY_MS + 20)
    with pytest.raises(StateError, match="retired"):
        crm.vehicles.tell_level(sedan, 1, at_ms=MONDAY_MS + 30)
    assert crm.vehicles.add(2, SEDAN, at_ms=MONDAY_MS + 20) > sedan, "the plate is free again"
    with crm.context.database.reading() as connection:
        assert range_left_in(connection, [1])[0] == -1
    herself, other = (actor("driver", "d", own=("driver", one)) for one in (1, 2))
    assert len(crm.acting_as(herself).vehicles.of(1, at_ms=MONDAY_MS)) == 1
    with pytest.raises(AuthError):
        crm.acting_as(other).vehicles.of(1, at_ms=MONDAY_MS)


def test_bad_vehicles_are_refused(crm, scope_id):
    crm.drivers.register_many([1], scope_id=scope_id, at_ms=MONDAY_MS)
    sedan = crm.vehicles.add(1, Vehicle("ordinary"), at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="vehicle_class"):
        crm.vehicles.add(1, Vehicle("rocket"), at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="is over already"):
        crm.vehicles.renew(sedan, at_ms=MONDAY_MS, insured_until_ms=MONDAY_MS)
    with pytest.raises(InputError, match="one must be told"):
        crm.vehicles.renew(sedan, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="level_permille"):
        crm.vehicles.tell_level(sedan, 1001, at_ms=MONDAY_MS)
    for told in (
        {"seats": -1},
        {"energy": "steam"},
        {"range_m": 0},
        {"plate": ""},
        {"insured_until_ms": -5},
    ):
        with pytest.raises(InputError, match=next(iter(told))):
            Vehicle("ordinary", **told)
