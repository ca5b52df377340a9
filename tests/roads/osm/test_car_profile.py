import pytest

from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.osm.car_profile import (
    AREAS,
    CLASS_OF_HIGHWAY,
    CLOSED,
    DRIVEWAYS,
    FERRIES,
    NOT_FOR_CARS,
    REVERSIBLE,
    UNFINISHED,
    directions,
    is_last_mile,
    stops_cars,
    why_left_out,
)

LEFT_OUT = [
    ("highway=footway", NOT_FOR_CARS),
    ("highway=track", NOT_FOR_CARS),
    ("highway=track motor_vehicle=yes", NOT_FOR_CARS),
    ("highway=pedestrian", NOT_FOR_CARS),
    ("highway=steps", NOT_FOR_CARS),
    ("highway=busway", NOT_FOR_CARS),
    ("highway=raceway", NOT_FOR_CARS),
    ("highway=construction construction=primary", UNFINISHED),
    ("highway=proposed", UNFINISHED),
    ("highway=primary construction=yes", UNFINISHED),
    ("route=ferry", FERRIES),
    ("route=ferry highway=primary", FERRIES),
    ("highway=service area=yes", AREAS),
    ("highway=service service=driveway", DRIVEWAYS),
    ("highway=service service=parking_aisle access=yes", DRIVEWAYS),
    ("highway=service service=drive-through", DRIVEWAYS),
    ("highway=residential access=no", CLOSED),
    ("highway=residential access=private", CLOSED),
    ("highway=residential motor_vehicle=no", CLOSED),
    ("highway=residential motor_vehicle=private access=yes", CLOSED),
    ("highway=residential vehicle=no", CLOSED),
    ("highway=residential motorcar=no motor_vehicle=yes", CLOSED),
    ("highway=residential motor_vehicle=agricultural;forestry", CLOSED),
    ("highway=service access=no bus=yes", CLOSED),
    ("highway=residential oneway=yes motor_vehicle:forward=no", CLOSED),
    ("highway=residential vehicle:forward=no vehicle:backward=no", CLOSED),
    ("highway=primary oneway=reversible", REVERSIBLE),
]
KEPT = [
    "highway=motorway",
    "highway=tertiary_link",
    "highway=living_street",
    "highway=road",
    "highway=service",
    "highway=service service=alley",
    "highway=residential area=no",
    "highway=residential access=no motor_vehicle=yes",
    "highway=residential access=private motorcar=designated",
    "highway=residential vehicle=no motor_vehicle=destination",
    "highway=residential motor_vehicle=agricultural;destination",
    "highway=residential access=permissive",
    "highway=residential access=unheard_of",
    "highway=residential access=unheard_of bicycle=no foot=no hgv=no",
    "highway=residential vehicle:backward=no",
    "highway=residential motor_vehicle:conditional=no",
    "route=bus highway=primary",
]


def tags(text):
    return dict(pair.split("=") for pair in text.split())


@pytest.mark.parametrize(("text", "reason"), LEFT_OUT)
def test_ways_that_are_left_out(text, reason):
    assert why_left_out(tags(text)) == reason


@pytest.mark.parametrize("text", KEPT)
def test_ways_that_are_kept(text):
    assert why_left_out(tags(text)) is None


BOTH, THERE, BACK = (True, True), (True, False), (False, True)
DIRECTIONS = [
    ("highway=primary", BOTH),
    ("highway=primary oneway=yes", THERE),
    ("highway=primary oneway=1", THERE),
    ("highway=primary oneway=true", THERE),
    ("highway=primary oneway=-1", BACK),
    ("highway=primary oneway=reverse", BACK),
    ("highway=primary oneway=no", BOTH),
    ("highway=primary oneway=alternating", BOTH),
    ("highway=primary oneway=unheard_of", BOTH),
    ("highway=primary junction=roundabout", THERE),
    ("highway=primary junction=circular", THERE),
    ("highway=primary junction=roundabout oneway=-1", BACK),
    ("highway=primary junction=jughandle", BOTH),
    ("highway=motorway", THERE),
    ("highway=motorway_link", THERE),
    ("highway=motorway_link oneway=no", BOTH),
    ("highway=trunk", BOTH),
    ("highway=trunk_link", BOTH),
    ("highway=primary oneway=yes oneway:motor_vehicle=no", BOTH),
    ("highway=primary oneway:motorcar=yes", THERE),
    ("highway=primary oneway:bicycle=yes", BOTH),
    ("highway=primary motor_vehicle:backward=no", THERE),
    ("highway=primary vehicle:forward=private", BACK),
    ("highway=primary vehicle=no vehicle:forward=yes", THERE),
    ("highway=primary vehicle:backward=no motorcar=yes", BOTH),
    ("highway=primary oneway:conditional=yes", BOTH),
]


@pytest.mark.parametrize(("text", "expected"), DIRECTIONS)
def test_directions(text, expected):
    assert directions(tags(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("highway=service", True),
        ("highway=residential", False),
        ("highway=residential motor_vehicle=destination", True),
        ("highway=residential access=customers", True),
        ("highway=residential access=delivery motor_vehicle=yes", False),
        ("highway=residential access=delivery", True),
        ("highway=residential vehicle:backward=destination", True),
    ],
)
def test_last_mile(text, expected):
    assert is_last_mile(tags(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("barrier=bollard", True),
        ("barrier=bollard bollard=rising", False),
        ("barrier=bollard bollard=removable", True),
        ("barrier=bollard motor_vehicle=yes", False),
        ("barrier=bollard access=yes motor_vehicle=no", True),
        ("barrier=block", True),
        ("barrier=unheard_of", True),
        ("barrier=gate", False),
        ("barrier=gate access=private", True),
        ("barrier=gate access=destination", False),
        ("barrier=lift_gate access=no", True),
        ("barrier=lift_gate access=no motorcar=yes", False),
        ("barrier=toll_booth", False),
        ("barrier=cattle_grid", False),
        ("barrier=kerb", False),
        ("barrier=border_control foot=no", False),
    ],
)
def test_barriers(text, expected):
    assert stops_cars(tags(text)) is expected


def test_every_kind_of_street_has_a_class_of_the_house():
    assert set(CLASS_OF_HIGHWAY.values()) == set(ROAD_CLASSES)
