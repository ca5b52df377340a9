"""Clocks of complaints."""

import pytest

from dispatch.crm.rules import SlaRule, TierRule
from dispatch.crm.service.sla import Clock, clock
from dispatch.crm.vertical import Vertical

HOUR_S = 3600


@pytest.mark.parametrize(
    ("severity", "tier", "respond_s", "resolve_s"),
    [
        (1, "basic", 86_400, 259_200),
        (2, None, 86_400, 259_200),
        (3, "basic", 7_200, 86_400),
        (5, "silver", 900, 14_400),
        (1, "gold", 3_600, 86_400),
        (3, "gold", 3_600, 86_400),
        (5, "gold", 900, 14_400),  # never slower than without the tier
    ],
)
def test_clocks_of_the_ride_vertical(severity, tier, respond_s, resolve_s):
    told = clock(Vertical.load("ride"), severity, tier)
    assert told == Clock(respond_s * 1000, resolve_s * 1000)


def test_a_rule_for_a_tier_goes_first_and_the_most_severe_of_them():
    rules = (
        SlaRule(1, (), 4 * HOUR_S, 40 * HOUR_S),
        SlaRule(1, ("vip",), 2 * HOUR_S, 20 * HOUR_S),
        SlaRule(4, ("vip",), HOUR_S, 10 * HOUR_S),
    )
    tiers = (TierRule("basic"), TierRule("vip", 1))
    vertical = Vertical("x", ("a",), tiers=tiers, sla=rules)
    assert clock(vertical, 3, "vip").respond_ms == 2 * HOUR_S * 1000
    assert clock(vertical, 4, "vip").resolve_ms == 10 * HOUR_S * 1000
    assert clock(vertical, 5, "basic").respond_ms == 4 * HOUR_S * 1000
