import pytest

from dispatch.roads.osm.restriction_tags import (
    AT_TIMES,
    BROKEN,
    CARS_EXEMPT,
    OTHER_VEHICLES,
    UNKNOWN,
    Restriction,
    read_restriction,
)

MEMBERS = [("from", "w", 1), ("via", "n", 5), ("to", "w", 2)]
NO = Restriction(False, False, (1,), 5, (), (2,))
ONLY = Restriction(True, False, (1,), 5, (), (2,))
U_TURN = Restriction(False, True, (1,), 5, (), (2,))

TAGS = [
    ("type=restriction restriction=no_left_turn", NO),
    ("type=restriction restriction=no_straight_on", NO),
    ("type=restriction restriction=no_entry", NO),
    ("type=restriction restriction=no_u_turn", U_TURN),
    ("type=restriction restriction=only_straight_on", ONLY),
    ("type=restriction restriction:motorcar=no_left_turn", NO),
    ("type=restriction restriction:motor_vehicle=only_right_turn", ONLY),
    ("type=restriction restriction:hgv=no_left_turn restriction=only_left_turn", ONLY),
    ("type=restriction restriction=no_left_turn restriction:motorcar=only_left_turn", ONLY),
    ("type=restriction:motorcar restriction=no_left_turn", NO),
    ("type=restriction restriction=no_left_turn except=psv", NO),
    ("type=restriction restriction=no_left_turn except=psv;bicycle", NO),
    ("type=restriction restriction=no_left_turn restriction:conditional=none", NO),
    ("type=restriction restriction=no_left_turn except=motorcar", CARS_EXEMPT),
    ("type=restriction restriction=no_left_turn except=psv;motorcar", CARS_EXEMPT),
    ("type=restriction restriction=no_left_turn except=motor_vehicle,bicycle", CARS_EXEMPT),
    ("type=restriction restriction:hgv=no_left_turn", OTHER_VEHICLES),
    ("type=restriction restriction:bicycle=no_left_turn restriction:bus=no_u_turn", OTHER_VEHICLES),
    ("type=restriction:hgv restriction=no_left_turn", OTHER_VEHICLES),
    ("type=restriction restriction:hgv:conditional=no_left_turn@(07:00-09:00)", OTHER_VEHICLES),
    ("type=restriction restriction:conditional=no_left_turn@(07:00-09:00)", AT_TIMES),
    ("type=restriction restriction:motorcar:conditional=no_left_turn@(07:00-09:00)", AT_TIMES),
    ("type=restriction restriction=no_left_turn hour_on=07:00 hour_off=09:00", AT_TIMES),
    ("type=restriction restriction=no_left_turn@(07:00-09:00)", AT_TIMES),
    ("type=restriction", UNKNOWN),
    ("type=restriction restriction=yes", UNKNOWN),
    ("type=restriction restriction=give_way", UNKNOWN),
]


@pytest.mark.parametrize(("text", "expected"), TAGS)
def test_which_restrictions_bind_a_car(text, expected):
    assert read_restriction(dict(pair.split("=", 1) for pair in text.split()), MEMBERS) == expected


FROM, VIA, TO = MEMBERS
OVER_WAYS = [FROM, ("via", "w", 6), ("via", "w", 7), TO]
KINDS = {"no": {"restriction": "no_left_turn"}, "only": {"restriction": "only_left_turn"}}
SHAPES = [
    ("no", [TO, VIA, FROM, ("location_hint", "n", 9)], NO),
    ("no", OVER_WAYS, Restriction(False, False, (1,), None, (6, 7), (2,))),
    ("only", OVER_WAYS, Restriction(True, False, (1,), None, (6, 7), (2,))),
    ("no", [*MEMBERS, ("from", "w", 3)], Restriction(False, False, (1, 3), 5, (), (2,))),
    ("no", [*MEMBERS, ("to", "w", 3)], Restriction(False, False, (1,), 5, (), (2, 3))),
    ("only", [*MEMBERS, ("to", "w", 3)], BROKEN),
    ("no", [*OVER_WAYS, ("to", "w", 3)], BROKEN),
    ("no", [FROM, TO], BROKEN),
    ("no", [VIA, TO], BROKEN),
    ("no", [FROM, VIA], BROKEN),
    ("no", [], BROKEN),
    ("no", [*MEMBERS, ("via", "n", 6)], BROKEN),
    ("no", [*MEMBERS, ("via", "w", 6)], BROKEN),
    ("no", [("from", "n", 1), VIA, TO], BROKEN),
    ("no", [("from", "r", 1), VIA, TO], BROKEN),
]


@pytest.mark.parametrize(("kind", "members", "expected"), SHAPES)
def test_members(kind, members, expected):
    assert read_restriction({"type": "restriction", **KINDS[kind]}, members) == expected
