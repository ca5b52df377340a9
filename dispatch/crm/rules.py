"""The rules of a business, each table of a vertical's file a frozen dataclass with its ranges."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole

TIER_MEASURES: Final = ("spend_cents", "orders", "points")
EARNING: Final = ("trip", "delivery", "energy", "activity")
PARTIES: Final = ("driver", "merchant", "platform", "customer")
CARE_TRIGGERS: Final = (
    "birthday",
    "long_unused",
    "first_order",
    "anniversary",
    "driver_birthday",
    "driver_absent",
)
PURPOSES: Final = ("marketing", "profiling", "location", "survey")
"""What customers are asked to agree to in any business."""
LONGEST_DAYS: Final = 3660
_NO_LETTER: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NO_LETTER_OF_LINES: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
MOST_CENTS: Final = 10**12
MAX_TIERS: Final = 8
"""As many as the engine knows."""


def check_name(field: str, value: object) -> None:
    """Raise :class:`InputError` unless `value` is a short name of letters, digits, ``_``, ``-`` and ``.``."""
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= 64
        or not value.replace("-", "_").replace(".", "_").isidentifier()
    ):
        raise InputError(f"{field} is {value!r}: it must be a name of letters, digits, _, - and .")


def check_letters(field: str, text: str, *, lines: bool = False) -> None:
    """Raise :class:`InputError` where a text holds what is no letter; it is not repeated.

    Half of a pair cannot be written to any file, control characters steer the terminal of who looks at it.
    With `lines` a text may have several.
    """
    if (_NO_LETTER_OF_LINES if lines else _NO_LETTER).search(text) is not None:
        raise InputError(f"{field} holds a control character, or half a letter: it must be a plain text")


def check_one_of(field: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raise :class:`InputError` unless `value` is one of the allowed words."""
    if value not in allowed:
        raise InputError(f"{field} is {value!r}: it must be one of {', '.join(allowed)}")


@dataclass(frozen=True)
class ProblemRule:
    """One code of the problem taxonomy.

    Parameters
    ----------
    code : str
    stage : str
        One of the vertical's stages: where PP100 counts it.
    party : str
        Whose fault it is: driver, merchant, platform or customer.
    severity : int
        1 slight … 5 grave.
    """

    code: str
    stage: str
    party: str = "platform"
    severity: int = 2

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("problems.code", self.code)
        check_name("problems.stage", self.stage)
        check_one_of("problems.party", self.party, PARTIES)
        check_whole("problems.severity", self.severity, 1, 5)


@dataclass(frozen=True)
class TierRule:
    """One tier of the membership; tiers stand lowest first, their row is the engine's tier.

    Parameters
    ----------
    name : str
    at_least : int
        Of the measure within the window; 0 for the lowest.
    weight : float
        Cost of leaving an order of the tier unserved, in units of an ordinary one's: published, and capped.
    fee_discount_permille : int
    coupon_cents : int
        A coupon of so much is granted on reaching the tier; 0: none.
    free_upgrade : bool
        A better class of car may serve at the ordinary price.
    service_priority : int
        Complaints are worked off by it, highest first.
    """

    name: str
    at_least: int = 0
    weight: float = 1.0
    fee_discount_permille: int = 0
    coupon_cents: int = 0
    free_upgrade: bool = False
    service_priority: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("tiers.name", self.name)
        check_whole("tiers.at_least", self.at_least, 0, MOST_CENTS)
        check_range("tiers.weight", self.weight, 1, 100)
        check_whole("tiers.fee_discount_permille", self.fee_discount_permille, 0, 1000)
        check_whole("tiers.coupon_cents", self.coupon_cents, 0, MOST_CENTS)
        check_whole("tiers.service_priority", self.service_priority, 0, 100)


@dataclass(frozen=True)
class MembershipRule:
    """How tiers are reached and lost.

    Parameters
    ----------
    measure : str
        ``spend_cents``, ``orders`` (completed) or ``points`` (earned).
    window_days : int
        Counted over so many days until now.
    keep_days : int
        A tier once reached is kept at least so long; the downgrade afterwards goes to the tier whose
        threshold is still reached.
    """

    measure: str = "spend_cents"
    window_days: int = 90
    keep_days: int = 30

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_one_of("membership.measure", self.measure, TIER_MEASURES)
        check_whole("membership.window_days", self.window_days, 1, LONGEST_DAYS)
        check_whole("membership.keep_days", self.keep_days, 0, LONGEST_DAYS)


@dataclass(frozen=True)
class PointsRule:
    """What points are worth and how long they live."""

    expire_after_days: int = 365
    cents_per_point: int = 1
    least_redeemed: int = 100

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("points.expire_after_days", self.expire_after_days, 1, LONGEST_DAYS)
        check_whole("points.cents_per_point", self.cents_per_point, 1, 10_000)
        check_whole("points.least_redeemed", self.least_redeemed, 1, 1_000_000)


@dataclass(frozen=True)
class EarnRule:
    """Points for something: ``points`` for each whole ``per_cents`` spent, and ``flat`` once.

    Parameters
    ----------
    on : str
        ``trip``, ``delivery``, ``energy`` or ``activity``; referrals have a rule of their own.
    per_cents, points, flat : int
        ``per_cents`` of 0: the flat ones alone.
    tiers : tuple of str
        Only for these; empty: for all.
    product : str
        Only for this product of energy, or this activity; empty: for all.
    """

    on: str
    per_cents: int = 0
    points: int = 0
    flat: int = 0
    tiers: tuple[str, ...] = ()
    product: str = ""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_one_of("earn.on", self.on, EARNING)
        check_whole("earn.per_cents", self.per_cents, 0, MOST_CENTS)
        check_whole("earn.points", self.points, 0, 1_000_000)
        check_whole("earn.flat", self.flat, 0, 1_000_000)


@dataclass(frozen=True)
class SlaRule:
    """Within which time a complaint is answered and resolved.

    Parameters
    ----------
    least_severity : int
        Holds for problems at least so severe; the most severe rule that fits counts.
    tiers : tuple of str
        Only for these; empty: for all. A rule that names the tier goes before one that does not.
    first_response_s, resolve_s : int
    """

    least_severity: int = 1
    tiers: tuple[str, ...] = ()
    first_response_s: int = 3600
    resolve_s: int = 86_400

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("sla.least_severity", self.least_severity, 1, 5)
        check_whole("sla.first_response_s", self.first_response_s, 1, 30 * 86_400)
        check_whole("sla.resolve_s", self.resolve_s, self.first_response_s, 365 * 86_400)


@dataclass(frozen=True)
class ScoreRule:
    """How a driver's score, 0 … 1, follows from the last days.

    The score is the weighted mean of acceptance, reliability (1 − cancellations a trip), punctuality (share
    not late), ratings ((stars − 1) / 4) and freedom from upheld complaints (1 − complaints a hundred trips,
    at least 0), each day counting half as much as ``half_life_days`` later ones. Drivers with fewer than
    ``min_trips`` in the window are not judged: their score is 1.
    """

    window_days: int = 30
    half_life_days: float = 14.0
    min_trips: int = 20
    acceptance_weight: float = 1.0
    reliability_weight: float = 2.0
    punctuality_weight: float = 2.0
    rating_weight: float = 4.0
    complaint_weight: float = 3.0
    cost_s: float = 120.0
    """what a score of 0 costs a candidate, as pickup time; one of 1 costs nothing"""
    cool_down_below: float = 0.3
    """a score below it blocks the driver ..."""
    cool_down_h: float = 24.0
    """... for so long; it is judged anew afterwards by what came since. 0: never"""
    income_cost_s: float = 0.0
    """what it costs to give the best-paid tenth of drivers more, as pickup time; 0: fairness is off"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("score.window_days", self.window_days, 1, LONGEST_DAYS)
        check_range("score.half_life_days", self.half_life_days, 0.1, LONGEST_DAYS, "days")
        check_whole("score.min_trips", self.min_trips, 1, 10_000)
        weights = [name for name in vars(self) if name.endswith("_weight")]
        for name in weights:
            check_range(f"score.{name}", getattr(self, name), 0, 100)
        if not any(getattr(self, name) for name in weights):
            raise InputError("score: all weights are 0; one at least must count")
        check_range("score.cost_s", self.cost_s, 0, 3600, "seconds")
        check_range("score.cool_down_below", self.cool_down_below, 0, 1)
        check_range("score.cool_down_h", self.cool_down_h, 0, 24 * 365, "hours")
        check_range("score.income_cost_s", self.income_cost_s, 0, 3600, "seconds")


@dataclass(frozen=True)
class DutyRule:
    """What rosters and hours on duty have to do with getting orders: nothing, unless it is asked for.

    Parameters
    ----------
    needs_shift : bool
        Only drivers within a planned shift get orders: who is on leave has none.
    grace_s : int
        A shift counts from so long before its beginning until so long after its end.
    most_h : float
        Who was on duty for so long within ``within_h`` until now gets no orders; 0: no limit.
    within_h : float
        With 24 and a limit of 10, hours on duty end 14 hours before they count no more.
    """

    needs_shift: bool = False
    grace_s: int = 0
    most_h: float = 0.0
    within_h: float = 24.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not isinstance(self.needs_shift, bool):
            raise InputError(f"duty.needs_shift is {self.needs_shift!r}: it must be true or false")
        check_whole("duty.grace_s", self.grace_s, 0, 86_400)
        check_range("duty.within_h", self.within_h, 1, 168, "hours")
        check_range("duty.most_h", self.most_h, 0, self.within_h, "hours")


@dataclass(frozen=True)
class PairRule:
    """Who had better not serve whom, by what both have said of each other.

    Parameters
    ----------
    days : int
        Of ratings and complaints, those of so many days count.
    low_stars : int
        With so few stars one has rated the other low; the latest rating counts.
    low_rating_cost_s, upheld_cost_s : float
        What it costs, as pickup time, to let them meet again after a low rating by either, and after a
        complaint of the customer about the driver that was upheld; the larger of both.
    bars_upheld : bool
        After such a complaint they never meet again, instead.
    """

    days: int = 365
    low_stars: int = 2
    low_rating_cost_s: float = 300.0
    upheld_cost_s: float = 900.0
    bars_upheld: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("pairs.days", self.days, 1, LONGEST_DAYS)
        check_whole("pairs.low_stars", self.low_stars, 1, 4)
        check_range("pairs.low_rating_cost_s", self.low_rating_cost_s, 0, 3600, "seconds")
        check_range("pairs.upheld_cost_s", self.upheld_cost_s, 0, 3600, "seconds")
        if not isinstance(self.bars_upheld, bool):
            raise InputError(f"pairs.bars_upheld is {self.bars_upheld!r}: it must be true or false")


@dataclass(frozen=True)
class PriorityRule:
    """What raises an order's weight beside its tier, and by how much at most."""

    cap: float = 6.0
    """the largest weight, in units of an ordinary order's"""
    complaint_bonus: float = 0.5
    """added for each complaint upheld for the customer ..."""
    complaint_days: int = 30
    """... within so many days; filing one never lowers anything"""
    prebooked_bonus: float = 0.5
    pickup_weight: float = 0.0
    """how far weights bring nearer drivers, too, and not only some driver: ``Policy.pickup_weight``"""
    starvation_s: float = 600.0
    """published bound: who waits longer comes before all others"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_range("priority.cap", self.cap, 1, 100)
        check_range("priority.complaint_bonus", self.complaint_bonus, 0, 100)
        check_whole("priority.complaint_days", self.complaint_days, 1, LONGEST_DAYS)
        check_range("priority.prebooked_bonus", self.prebooked_bonus, 0, 100)
        check_range("priority.pickup_weight", self.pickup_weight, 0, 1)
        check_range("priority.starvation_s", self.starvation_s, 1, 86_400, "seconds")


@dataclass(frozen=True)
class CreditRule:
    """A customer's standing, 0 … 100: punctual, does not cancel late, complains in good faith."""

    begin: int = 80
    completed: int = 1
    cancelled_late: int = -3
    no_show: int = -5
    malicious_complaint: int = -10
    """found so by a person, who gives the reason; a complaint that is merely rejected costs nothing"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("credit.begin", self.begin, 0, 100)
        check_whole("credit.completed", self.completed, 0, 100)
        for name in ("cancelled_late", "no_show", "malicious_complaint"):
            check_whole(f"credit.{name}", getattr(self, name), -100, 0)


@dataclass(frozen=True)
class CourseRule:
    """A training course; without a valid record of a required one a driver gets no orders."""

    code: str
    required: bool = False
    valid_days: int = 365
    skill: str = ""
    """a skill that it brings, one of the vertical's"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("courses.code", self.code)
        check_whole("courses.valid_days", self.valid_days, 1, LONGEST_DAYS)


@dataclass(frozen=True)
class PassRule:
    """A monthly pass or a package of rides."""

    product: str
    price_cents: int
    rides: int = 0
    """0: as many as one likes"""
    days: int = 30
    discount_permille: int = 1000
    """of the fare; 1000: the ride is free"""
    most_cents: int = 0
    """of discount a ride; 0: no limit"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("passes.product", self.product)
        check_whole("passes.price_cents", self.price_cents, 0, MOST_CENTS)
        check_whole("passes.rides", self.rides, 0, 100_000)
        check_whole("passes.days", self.days, 1, LONGEST_DAYS)
        check_whole("passes.discount_permille", self.discount_permille, 1, 1000)
        check_whole("passes.most_cents", self.most_cents, 0, MOST_CENTS)


@dataclass(frozen=True)
class CareRule:
    """What triggers a message to a customer or driver."""

    trigger: str
    template: str
    after_days: int = 0
    """for ``long_unused`` and ``driver_absent``: so long without an order or a shift"""
    coupon_cents: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_one_of("care.trigger", self.trigger, CARE_TRIGGERS)
        check_name("care.template", self.template)
        check_whole("care.after_days", self.after_days, 0, LONGEST_DAYS)
        check_whole("care.coupon_cents", self.coupon_cents, 0, MOST_CENTS)


@dataclass(frozen=True)
class ReferralRule:
    """What both sides get once the referred customer has bought for the first time."""

    referrer_points: int = 500
    referee_coupon_cents: int = 500
    most_a_month: int = 20
    on: tuple[str, ...] = ("trip", "delivery")
    """which first purchase counts: ``trip`` and ``delivery``, completed orders; ``energy``, fuel or charge"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not isinstance(self.on, tuple) or not self.on:
            raise InputError(f"referral.on is {self.on!r}: it must be a list with one entry at least")
        for one in self.on:
            check_one_of("referral.on", one, ("trip", "delivery", "energy"))
        check_whole("referral.referrer_points", self.referrer_points, 0, 1_000_000)
        check_whole("referral.referee_coupon_cents", self.referee_coupon_cents, 0, MOST_CENTS)
        check_whole("referral.most_a_month", self.most_a_month, 0, 100_000)


@dataclass(frozen=True)
class CouponRule:
    """How coupons are held while an order is under way."""

    reserve_for_s: int = 7200
    """from the pickup on, at once or booked ahead: what is not committed by then is void"""
    default_valid_days: int = 30

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("coupons.reserve_for_s", self.reserve_for_s, 1, 30 * 86_400)
        check_whole("coupons.default_valid_days", self.default_valid_days, 1, LONGEST_DAYS)


@dataclass(frozen=True)
class KeepRule:
    """How long what is precise or personal is kept."""

    locations_days: int = 60
    """coordinates of orders are blurred to about 1 km after so long"""
    inactive_customer_days: int = 1095
    late_after_s: int = 300
    """a pickup is late, in sums and scores, so long after the quoted ETA"""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("keep.locations_days", self.locations_days, 1, LONGEST_DAYS)
        check_whole("keep.inactive_customer_days", self.inactive_customer_days, 1, LONGEST_DAYS)
        check_whole("keep.late_after_s", self.late_after_s, 0, 86_400)


@dataclass(frozen=True)
class CustomFieldRule:
    """A field of a customer that a business adds.

    Parameters
    ----------
    name : str
    type : str
        ``text``, ``whole`` (a whole number) or ``flag``.
    personal : bool
        Only roles that may see ``customer.custom`` see it; all are sealed.
    longest : int
        Letters of a text.
    """

    name: str
    type: str = "text"
    personal: bool = True
    longest: int = 200

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("custom_fields.name", self.name)
        check_one_of("custom_fields.type", self.type, tuple(_CUSTOM_TYPES))
        check_whole("custom_fields.longest", self.longest, 1, 10_000)

    def check(self, value: object) -> None:
        """Raise :class:`InputError` unless `value` is one of the field's type; it is not repeated."""
        kind = _CUSTOM_TYPES[self.type]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise InputError(f"custom.{self.name} is a {type(value).__name__}: it must be a {self.type}")
        if isinstance(value, str):
            if len(value) > self.longest:
                raise InputError(f"custom.{self.name} has {len(value)} letters: at most {self.longest}")
            check_letters(f"custom.{self.name}", value, lines=True)
        if isinstance(value, int) and abs(value) >= 2**63:
            raise InputError(f"custom.{self.name} is out of range: it must fit in 64 bits")


_CUSTOM_TYPES: Final = {"text": str, "whole": int, "flag": bool}
