"""Verticals: three come with the package; rules that contradict each other are refused by name."""

import tomllib
from dataclasses import replace
from importlib import resources

import pytest

from dispatch.crm.rules import (
    PURPOSES,
    CourseRule,
    CustomFieldRule,
    EarnRule,
    PassRule,
    ProblemRule,
    SlaRule,
    TierRule,
)
from dispatch.crm.vertical import MAX_SKILLS, Vertical, from_table, packaged_verticals
from dispatch.engine.policy import Policy
from dispatch.errors import InputError

RIDE = Vertical.load("ride")


@pytest.mark.parametrize("matching", ["batch", "nearest"])
def test_the_engine_gets_the_published_rule_of_priority(matching):
    ride = Vertical.load("ride")
    ride = replace(ride, priority=replace(ride.priority, pickup_weight=0.5, starvation_s=120.0))
    policy = ride.policy(Policy("mine", matching=matching))
    assert policy.priority_weights == tuple(tier.weight for tier in ride.tiers)
    assert (policy.name, policy.priority_cap, policy.starvation_s) == ("mine", ride.priority.cap, 120.0)
    assert policy.pickup_weight == (0.5 if matching == "batch" else 0.0)


def test_three_come_with_the_package():
    assert packaged_verticals() == ("delivery", "fuel", "ride")
    for name in packaged_verticals():
        vertical = Vertical.load(name)
        assert vertical.name == name
        assert vertical.problems
        assert vertical.tiers[0].at_least == 0
        text = (resources.files("dispatch.crm") / "verticals" / f"{name}.toml").read_text()
        assert set(tomllib.loads(text)) <= set(vars(Vertical.load(name)))


def test_names_lead_to_rows():
    assert [RIDE.tier_row[tier.name] for tier in RIDE.tiers] == list(range(len(RIDE.tiers)))
    assert RIDE.tier("gold").weight >= RIDE.tier("silver").weight
    assert RIDE.skill_bits([]) == 0
    assert RIDE.skill_bits(["wheelchair", "airport"]) == 0b101
    assert RIDE.problem_named["detour"].party == "driver"
    with pytest.raises(InputError, match="tier is 'tin'"):
        RIDE.tier("tin")
    with pytest.raises(InputError, match="skill is 'fly'"):
        RIDE.skill_bits(["fly"])


@pytest.mark.parametrize("name", packaged_verticals())
def test_one_text_holds_all_rules(name):
    vertical = Vertical.load(name)
    assert Vertical.from_json(vertical.as_json(), "kept") == vertical
    other = replace(vertical, priority=replace(vertical.priority, cap=50), purposes=(*PURPOSES, "newsletter"))
    assert Vertical.from_json(other.as_json(), "kept") == other != vertical
    for text, rule in (
        ("[", "kept: no JSON"),
        ("[]", "kept is .*: it must be a table"),
        ("{}", "'name' is missing"),
    ):
        with pytest.raises(InputError, match=rule):
            Vertical.from_json(text, "kept")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"purposes": ("marketing",)}, "purposes lacks 'profiling'"),
        ({"purposes": (*PURPOSES, "a b")}, "purposes is 'a b'"),
        ({"name": "my shop"}, "name is 'my shop'"),
        ({"stages": ()}, "stages is empty"),
        ({"stages": ("a", "a")}, "stages holds 'a' twice"),
        ({"classes": ("a b",)}, "classes is 'a b'"),
        ({"skills": tuple(f"s{row}" for row in range(MAX_SKILLS + 1))}, "skills has 17 entries"),
        ({"problems": (ProblemRule("late", "riding"),) * 2}, "problems.code holds 'late' twice"),
        ({"problems": (ProblemRule("late", "flying"),)}, "problems.late.stage is 'flying'"),
        ({"courses": (CourseRule("safety", skill="fly"),)}, "courses.safety.skill is 'fly'"),
        ({"courses": (CourseRule("safety"),) * 2}, "courses.code holds"),
        ({"passes": (PassRule("month", 1),) * 2}, "passes.product holds"),
        ({"custom_fields": (CustomFieldRule("wish"),) * 2}, "custom_fields.name holds"),
        ({"tiers": ()}, "tiers has 0 entries"),
        ({"tiers": tuple(TierRule(f"t{row}", row) for row in range(9))}, "tiers has 9 entries"),
        ({"tiers": (TierRule("basic", 5),)}, "the lowest begins at 0"),
        ({"tiers": (TierRule("a"), TierRule("a", 5))}, "tiers.name holds"),
        ({"tiers": (TierRule("a"), TierRule("b", 5), TierRule("c", 5))}, "overlapping tiers"),
        ({"tiers": (TierRule("a"), TierRule("b", 9), TierRule("c", 5))}, "overlapping tiers"),
        ({"tiers": (TierRule("a", weight=3.0), TierRule("b", 9, weight=2.0))}, "must not be below a's"),
        (
            {"tiers": (TierRule("a"), TierRule("b", 9, weight=99.0)), "earn": (), "sla": (SlaRule(),)},
            "priority.cap",
        ),
        ({"earn": (EarnRule("trip", tiers=("tin",)),)}, "earn.tiers is 'tin'"),
        ({"sla": (SlaRule(), SlaRule(tiers=("tin",)))}, "sla.tiers is 'tin'"),
        ({"sla": (SlaRule(least_severity=2),)}, "sla has no rule for every complaint"),
    ],
)
def test_rules_that_contradict_each_other(changes, rule):
    with pytest.raises(InputError, match=rule):
        replace(RIDE, **changes)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('name = "a"', "the key 'stages' is missing"),
        ('name = "a"\nstages = "b"', "stages is 'b': it must be a list"),
        ('name = "a"\nstages = [7]', r"stages\[0\] is 7: it must be a text"),
        ('name = "a"\nstages = ["b"]\nhats = 1', "unknown key 'hats'"),
        ('name = "a"\nstages = ["b"]\n[keep]\nlocations_days = 0.5', "keep: locations_days is 0.5"),
        ('name = "a"\nstages = ["b"]\n[keep]\nlocations_days = true', "locations_days is True"),
        ('name = "a"\nstages = ["b"]\n[keep]\nlocations_days = 0', "keep.locations_days is 0"),
        ('name = "a"\nstages = ["b"]\nkeep = 7', "keep is 7: it must be a table"),
        ('name = "a"\nstages = ["b"]\ntiers = [{ at_least = 5 }]', r"tiers\[0\]: the key 'name' is missing"),
        ("name = ", "no TOML"),
    ],
)
def test_files_that_are_wrong_are_told_by_key(tmp_path, text, rule):
    path = tmp_path / "shop.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=rule) as caught:
        Vertical.load(path)
    assert "shop.toml" in str(caught.value)


def test_a_file_of_one_s_own(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(
        'name = "shop"\nstages = ["buying"]\n[priority]\ncap = 8\n'
        '[[custom_fields]]\nname = "wish"\n'
        '[[custom_fields]]\nname = "seats"\ntype = "whole"\npersonal = false\n'
    )
    vertical = Vertical.load(path)
    assert vertical.priority.cap == 8.0
    assert [(rule.name, rule.type, rule.personal) for rule in vertical.custom_fields] == [
        ("wish", "text", True),
        ("seats", "whole", False),
    ]
    with pytest.raises(InputError, match="no file, and none of delivery, fuel, ride"):
        Vertical.load(tmp_path / "none.toml")
    with pytest.raises(InputError, match="it must be a table"):
        from_table(Vertical, [], "x")
