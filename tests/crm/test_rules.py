"""Rules of a business: every value out of range is refused by name."""

import dataclasses

import pytest

from dispatch.crm import rules
from dispatch.crm.rules import check_letters
from dispatch.errors import InputError
from dispatch.limits import check_whole

NEEDED = {
    rules.ProblemRule: {"code": "late", "stage": "riding"},
    rules.TierRule: {"name": "gold"},
    rules.EarnRule: {"on": "trip"},
    rules.CourseRule: {"code": "safety"},
    rules.PassRule: {"product": "month", "price_cents": 4900},
    rules.CareRule: {"trigger": "birthday", "template": "wish"},
    rules.CustomFieldRule: {"name": "wish"},
}
ALL = [kind for kind in vars(rules).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)]
FREE = {"tiers", "product", "skill", "required", "free_upgrade", "personal"}
"""Fields that are not numbers, or are checked by the vertical, which knows the names."""


def made(kind, **changes):
    return kind(**NEEDED.get(kind, {}) | changes)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_number_has_limits_and_every_word_is_checked(kind):
    made(kind)
    tried = 0
    for field in dataclasses.fields(kind):
        if field.name in FREE:
            continue
        kind_of = {
            "int": (10**15, -(10**15), 1.5, "7", None, True),
            "float": (1e15, -1e15, "7", None, float("nan")),
        }
        for value in kind_of.get(field.type, ("a b", "", None, 7)):
            with pytest.raises(InputError, match=field.name):
                made(kind, **{field.name: value})
            tried += 1
    assert tried


def test_rules_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        made(rules.PointsRule).cents_per_point = 5


def test_what_contradicts_itself():
    with pytest.raises(InputError, match=r"sla\.resolve_s is 5"):
        rules.SlaRule(first_response_s=10, resolve_s=5)
    with pytest.raises(InputError, match=r"duty\.most_h is 9"):
        rules.DutyRule(most_h=9.0, within_h=8.0)
    weights = {name: 0.0 for name in vars(rules.ScoreRule()) if name.endswith("_weight")}
    with pytest.raises(InputError, match="weight"):
        rules.ScoreRule(**weights)


@pytest.mark.parametrize("value", ["a", "a_b", "zh-CN", "v1.2", "x" * 64])
def test_names(value):
    rules.check_name("field", value)


@pytest.mark.parametrize("value", ["", "a b", "1a", "x" * 65, "a/b", "a\n", None, 7, "é è"])
def test_what_is_no_name(value):
    with pytest.raises(InputError, match="field is"):
        rules.check_name("field", value)


def test_one_of():
    rules.check_one_of("field", "a", ("a", "b"))
    with pytest.raises(InputError, match="field is 'c': it must be one of a, b"):
        rules.check_one_of("field", "c", ("a", "b"))


def test_custom_fields():
    rule = rules.CustomFieldRule("wish", longest=3)
    rule.check("abc")
    for value, told in (("abcd", "4 letters: at most 3"), (7, "is a int"), (None, "is a NoneType")):
        with pytest.raises(InputError, match=told) as caught:
            rule.check(value)
        assert "abcd" not in str(caught.value)
    rules.CustomFieldRule("vip", "flag").check(True)
    with pytest.raises(InputError, match="must be a whole"):
        rules.CustomFieldRule("seats", "whole").check(True)
    check_whole("seats", 3, 0, 9)


@pytest.mark.parametrize("text", ["Zoë", "王 小明", "a\u3000b", "👩\u200d🚒", "न\u094d"])
def test_letters(text):
    check_letters("name", text)


@pytest.mark.parametrize("text", ["\0", "a\x1b[2J", "a\x7f", "a\x9b2J", "\udcff"])
def test_what_is_no_letter(text):
    for lines in (False, True):
        with pytest.raises(InputError, match="name holds a control character"):
            check_letters("name", text, lines=lines)


def test_lines_where_there_may_be_some():
    check_letters("text", "a\nb\r\n\tc", lines=True)
    with pytest.raises(InputError):
        check_letters("text", "a\nb")
