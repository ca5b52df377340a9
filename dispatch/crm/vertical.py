"""A vertical: what makes one core a ride-hailing, a delivery or a fuel business; a TOML file."""

from __future__ import annotations

import json
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from dispatch.crm import rules
from dispatch.engine.policy import Policy
from dispatch.errors import InputError

T = TypeVar("T")

MAX_SKILLS: Final = 16
"""As many as the engine knows."""


@dataclass(frozen=True)
class Vertical:
    """All rules of a business; see the packaged files for examples.

    Parameters
    ----------
    name : str
    stages : tuple of str
        Of an order, as customers live it: what PP100 is told by.
    classes : tuple of str
        Of vehicles; the row is the engine's ``vehicle_class``.
    products : tuple of str
        What stations sell.
    skills : tuple of str
        The row is the engine's bit.
    problems, tiers, earn, sla, courses, passes, care
        Tables of :mod:`dispatch.crm.rules`.
    """

    name: str
    stages: tuple[str, ...]
    classes: tuple[str, ...] = ("ordinary",)
    products: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    licence_kinds: tuple[str, ...] = ("driving",)
    """without a valid one of each a driver gets no orders"""
    needs_insurance: bool = True
    problems: tuple[rules.ProblemRule, ...] = ()
    membership: rules.MembershipRule = field(default_factory=rules.MembershipRule)
    tiers: tuple[rules.TierRule, ...] = (rules.TierRule("basic"),)
    points: rules.PointsRule = field(default_factory=rules.PointsRule)
    earn: tuple[rules.EarnRule, ...] = ()
    sla: tuple[rules.SlaRule, ...] = (rules.SlaRule(),)
    score: rules.ScoreRule = field(default_factory=rules.ScoreRule)
    duty: rules.DutyRule = field(default_factory=rules.DutyRule)
    pairs: rules.PairRule = field(default_factory=rules.PairRule)
    priority: rules.PriorityRule = field(default_factory=rules.PriorityRule)
    credit: rules.CreditRule = field(default_factory=rules.CreditRule)
    courses: tuple[rules.CourseRule, ...] = ()
    passes: tuple[rules.PassRule, ...] = ()
    care: tuple[rules.CareRule, ...] = ()
    referral: rules.ReferralRule = field(default_factory=rules.ReferralRule)
    coupons: rules.CouponRule = field(default_factory=rules.CouponRule)
    keep: rules.KeepRule = field(default_factory=rules.KeepRule)
    custom_fields: tuple[rules.CustomFieldRule, ...] = ()
    """what the business keeps of its customers beside the usual"""
    purposes: tuple[str, ...] = rules.PURPOSES
    """what customers may agree to"""

    def __post_init__(self) -> None:
        """Refuse rules that contradict each other."""
        rules.check_name("name", self.name)
        for name in ("stages", "classes", "products", "skills", "licence_kinds", "purposes"):
            for value in getattr(self, name):
                rules.check_name(name, value)
            _check_distinct(name, getattr(self, name))
        if not self.stages:
            raise InputError("stages is empty: an order has one at least")
        for purpose in rules.PURPOSES:
            if purpose not in self.purposes:
                raise InputError(f"purposes lacks {purpose!r}: the program itself asks for it")
        if len(self.skills) > MAX_SKILLS:
            raise InputError(f"skills has {len(self.skills)} entries: at most {MAX_SKILLS}")
        _check_distinct("problems.code", [problem.code for problem in self.problems])
        _check_distinct("courses.code", [course.code for course in self.courses])
        _check_distinct("passes.product", [one.product for one in self.passes])
        _check_distinct("custom_fields.name", [one.name for one in self.custom_fields])
        for problem in self.problems:
            rules.check_one_of(f"problems.{problem.code}.stage", problem.stage, self.stages)
        for course in self.courses:
            if course.skill:
                rules.check_one_of(f"courses.{course.code}.skill", course.skill, self.skills)
        self._check_tiers()
        if not any(rule.least_severity == 1 and not rule.tiers for rule in self.sla):
            raise InputError(
                "sla has no rule for every complaint: one must have least_severity 1 and no tiers"
            )

    def _check_tiers(self) -> None:
        if not 1 <= len(self.tiers) <= rules.MAX_TIERS:
            raise InputError(f"tiers has {len(self.tiers)} entries: 1 to {rules.MAX_TIERS}")
        _check_distinct("tiers.name", [tier.name for tier in self.tiers])
        if self.tiers[0].at_least != 0:
            raise InputError(
                f"tiers.{self.tiers[0].name}.at_least is {self.tiers[0].at_least}: the lowest begins at 0"
            )
        for lower, upper in zip(self.tiers, self.tiers[1:], strict=False):
            if upper.at_least <= lower.at_least:
                raise InputError(
                    f"tiers.{upper.name}.at_least is {upper.at_least}: overlapping tiers, it must be "
                    f"above that of {lower.name}, {lower.at_least}"
                )
            if upper.weight < lower.weight:
                raise InputError(
                    f"tiers.{upper.name}.weight is {upper.weight:g}: it must not be below {lower.name}'s"
                )
        if self.tiers[-1].weight > self.priority.cap:
            raise InputError(
                f"tiers.{self.tiers[-1].name}.weight is {self.tiers[-1].weight:g}: above priority.cap, "
                f"{self.priority.cap:g}"
            )
        names = self.tier_row
        for table in ("earn", "sla"):
            for rule in getattr(self, table):
                for tier in rule.tiers:
                    rules.check_one_of(f"{table}.tiers", tier, tuple(names))

    @cached_property
    def tier_row(self) -> dict[str, int]:
        """Row of each tier, by its name: the engine's tier."""
        return {tier.name: row for row, tier in enumerate(self.tiers)}

    @cached_property
    def problem_named(self) -> dict[str, rules.ProblemRule]:
        """Problems by their code."""
        return {problem.code: problem for problem in self.problems}

    def tier(self, name: str) -> rules.TierRule:
        """Give a tier by its name; :class:`InputError` for an unknown one."""
        rules.check_one_of("tier", name, tuple(self.tier_row))
        return self.tiers[self.tier_row[name]]

    def policy(self, base: Policy) -> Policy:
        """Give a policy of the engine with the published rule of priority."""
        rule = self.priority
        return replace(
            base,
            priority_weights=tuple(tier.weight for tier in self.tiers),
            priority_cap=rule.cap,
            pickup_weight=rule.pickup_weight if base.matching == "batch" else 0.0,
            starvation_s=rule.starvation_s,
        )

    def skill_bits(self, skills: typing.Iterable[str]) -> int:
        """Give the engine's mask of skills; :class:`InputError` for an unknown one."""
        bits = 0
        for skill in skills:
            rules.check_one_of("skill", skill, self.skills)
            bits |= 1 << self.skills.index(skill)
        return bits

    @classmethod
    def load(cls, source: str | Path) -> Vertical:
        """Read a packaged vertical by its name (``ride``, ``delivery``, ``fuel``), or any by its file.

        Raises
        ------
        InputError
            There is none, it is not TOML, or a key is unknown or its value out of range: the key is named.
        """
        told = str(source)
        try:
            if told in packaged_verticals():
                packaged = resources.files("dispatch.crm") / "verticals" / f"{told}.toml"
                table = tomllib.loads(packaged.read_text(encoding="utf-8"))
            else:
                table = tomllib.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as error:
            known = ", ".join(packaged_verticals())
            raise InputError(f"vertical is {told!r}: no file, and none of {known} ({error})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{told}: no TOML ({error})") from error
        return from_table(cls, table, told)

    def as_json(self) -> str:
        """Give all rules as one text, for a database to keep; :meth:`from_json` reads them again."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> Vertical:
        """Read rules that :meth:`as_json` wrote; `where` names them in errors.

        Raises
        ------
        InputError
            It is no JSON, or holds what this version of the program does not know.
        """
        try:
            table = json.loads(text)
        except ValueError as error:
            raise InputError(f"{where}: no JSON ({error})") from error
        return from_table(cls, table, where)


def packaged_verticals() -> tuple[str, ...]:
    """Give the names of the verticals that come with the package."""
    folder = resources.files("dispatch.crm") / "verticals"
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".toml")))


def from_table(kind: type[T], table: Any, where: str) -> T:
    """Make a dataclass of a table of TOML; unknown, missing and ill-typed keys are :class:`InputError`."""
    if not isinstance(table, Mapping):
        raise InputError(f"{where} is {table!r}: it must be a table")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    for key in table:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}; known are {', '.join(known)}")
    for name, one in known.items():
        if name not in table and one.default is MISSING and one.default_factory is MISSING:
            raise InputError(f"{where}: the key {name!r} is missing")
    kinds = typing.get_type_hints(kind)
    try:
        return kind(**{key: _read(kinds[key], value, f"{where}: {key}") for key, value in table.items()})
    except InputError as error:
        raise error if where in str(error) else InputError(f"{where}: {error}") from error


def _read(kind: Any, value: Any, where: str) -> Any:
    """Read a value of a field's type."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} is {value!r}: it must be a list")
        part = typing.get_args(kind)[0]
        return tuple(_read(part, one, f"{where}[{row}]") for row, one in enumerate(value))
    if hasattr(kind, "__dataclass_fields__"):
        return from_table(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where} is {value!r}: it must be {_NAMES.get(kind, kind.__name__)}")
    return value


_NAMES: Final = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _check_distinct(field_name: str, values: typing.Sequence[str]) -> None:
    for row, value in enumerate(values):
        if value in values[:row]:
            raise InputError(f"{field_name} holds {value!r} twice")
