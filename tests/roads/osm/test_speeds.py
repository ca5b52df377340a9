import zoneinfo

import pytest

from dispatch.roads.osm.speeds import (
    DEFAULT_LIMITS,
    LAST_MILE_KPH,
    LIMITS,
    UNLIMITED_KPH,
    country_of_timezone,
    limits_of,
    parsed_kph,
    speed_kph,
)

MPH = 1.609344
GERMANY = LIMITS["DE"]


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ("50", 50),
        ("32.5", 32.5),
        ("50 km/h", 50),
        ("50km/h", 50),
        ("30 mph", 30 * MPH),
        ("30mph", 30 * MPH),
        ("10 knots", 18.52),
        ("none", UNLIMITED_KPH),
        ("walk", 7),
        ("50;30", 30),
        ("80|60|60", 60),
        ("30 mph; 20 mph", 20 * MPH),
        ("signals; 70", 70),
        ("DE:urban", 50),
        ("DE:rural", 100),
        ("de:motorway", 130),
        ("FR:rural", 80),
        ("CH:trunk", 80),
        ("DE:living_street", 7),
        ("DE:zone30", 30),
        ("DE:zone:20", 20),
        ("DE:30", 30),
        ("FR:zone30", 30),
        ("GB:nsl_single", 60 * MPH),
        ("GB:nsl_dual", 70 * MPH),
        ("GB:zone20", 20 * MPH),
        ("XX:urban", DEFAULT_LIMITS.urban),
    ],
)
def test_signs(sign, expected):
    assert parsed_kph(sign) == pytest.approx(expected)


@pytest.mark.parametrize(
    "sign", ["", "signals", "variable", "0", "-30", "5000", "fast", "50 furlongs", "DE:", "1 mph"]
)
def test_signs_without_a_speed(sign):
    assert parsed_kph(sign) is None


def kph(text, direction="forward", limits=GERMANY):
    return speed_kph(dict(pair.split("=") for pair in text.split(",")), direction, limits)


def test_the_sign_of_a_direction_wins():
    street = "highway=primary,maxspeed=70,maxspeed:backward=50"
    assert (kph(street), kph(street, "backward")) == (70, 50)
    assert kph("highway=primary,maxspeed=signals,source:maxspeed=DE:rural") == 100
    assert kph("highway=primary,maxspeed=60,source:maxspeed=DE:rural") == 60
    assert kph("highway=tertiary,maxspeed:type=DE:urban") == 50
    assert kph("highway=tertiary,zone:traffic=DE:rural") == 100
    assert kph("highway=tertiary,zone:maxspeed=30") == 30
    assert kph("highway=tertiary,source:maxspeed=sign") == 50


def test_without_a_sign_class_and_country_decide():
    assert kph("highway=motorway") == 130
    assert kph("highway=motorway", limits=LIMITS["GB"]) == pytest.approx(70 * MPH)
    assert kph("highway=trunk") == 100
    assert kph("highway=primary") == 75
    assert kph("highway=tertiary") == 50
    assert kph("highway=motorway_link") == 65
    assert kph("highway=residential") == 30
    assert kph("highway=living_street") == 10
    names = ("motorway", "trunk", "primary", "secondary", "tertiary", "residential", "service")
    for limits in (*LIMITS.values(), DEFAULT_LIMITS):
        speeds = [kph(f"highway={name}", limits=limits) for name in names]
        assert speeds == sorted(speeds, reverse=True)
        assert limits.urban <= limits.rural <= limits.motorway


def test_the_last_mile_is_slow_whatever_its_sign_says():
    assert kph("highway=service") == LAST_MILE_KPH
    assert kph("highway=service,maxspeed=50") == LAST_MILE_KPH
    assert kph("highway=service,maxspeed=10") == 10
    assert kph("highway=residential,maxspeed=30,motor_vehicle=destination") == LAST_MILE_KPH


def test_the_country_follows_from_the_time_zone():
    places = {"Europe/Malta": "MT", "Europe/Berlin": "DE", "America/Chicago": "US", "Asia/Tokyo": "JP"}
    assert {zone: country_of_timezone(zone) for zone in places} == places
    assert country_of_timezone("Etc/GMT+3") == country_of_timezone("") == ""
    assert limits_of("de") == GERMANY
    assert limits_of("") == limits_of("AQ") == DEFAULT_LIMITS
    countries = {country_of_timezone(zone) for zone in zoneinfo.available_timezones()}
    assert countries >= set(LIMITS)
