"""Customers, drivers, orders, memberships and complaints of a business, in a database.

The names below are the public ones: the face, who acts, the rules of a business, and what its methods are
told. They are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # an alias of its own name is an export, to type checkers
    from dispatch.crm.audit_log import AuditFilter as AuditFilter
    from dispatch.crm.crm import Crm as Crm
    from dispatch.crm.engagement.campaigns import CampaignPlan as CampaignPlan
    from dispatch.crm.engagement.care import Festival as Festival
    from dispatch.crm.engagement.segment_rules import SegmentRule as SegmentRule
    from dispatch.crm.fleet.drivers import DriverDetails as DriverDetails
    from dispatch.crm.fleet.vehicles import Vehicle as Vehicle
    from dispatch.crm.loyalty.coupons import CouponTerms as CouponTerms
    from dispatch.crm.loyalty.memberships import Period as Period
    from dispatch.crm.loyalty.points import Gain as Gain
    from dispatch.crm.loyalty.redemptions import Booking as Booking
    from dispatch.crm.outbox import Receiver as Receiver
    from dispatch.crm.people.customer_details import CustomerDetails as CustomerDetails
    from dispatch.crm.permissions import Actor as Actor
    from dispatch.crm.service.complaints import Compensation as Compensation, NewComplaint as NewComplaint
    from dispatch.crm.service.feedback import Message as Message
    from dispatch.crm.service.incidents import Problem as Problem
    from dispatch.crm.service.surveys import Question as Question
    from dispatch.crm.shops.deliveries import Item as Item
    from dispatch.crm.shops.merchants import Merchant as Merchant
    from dispatch.crm.shops.stations import Purchase as Purchase
    from dispatch.crm.vertical import Vertical as Vertical

_HOME: Final = {
    "Actor": "dispatch.crm.permissions",
    "AuditFilter": "dispatch.crm.audit_log",
    "Booking": "dispatch.crm.loyalty.redemptions",
    "CampaignPlan": "dispatch.crm.engagement.campaigns",
    "Compensation": "dispatch.crm.service.complaints",
    "CouponTerms": "dispatch.crm.loyalty.coupons",
    "Crm": "dispatch.crm.crm",
    "CustomerDetails": "dispatch.crm.people.customer_details",
    "DriverDetails": "dispatch.crm.fleet.drivers",
    "Festival": "dispatch.crm.engagement.care",
    "Gain": "dispatch.crm.loyalty.points",
    "Item": "dispatch.crm.shops.deliveries",
    "Merchant": "dispatch.crm.shops.merchants",
    "Message": "dispatch.crm.service.feedback",
    "NewComplaint": "dispatch.crm.service.complaints",
    "Period": "dispatch.crm.loyalty.memberships",
    "Problem": "dispatch.crm.service.incidents",
    "Purchase": "dispatch.crm.shops.stations",
    "Question": "dispatch.crm.service.surveys",
    "Receiver": "dispatch.crm.outbox",
    "SegmentRule": "dispatch.crm.engagement.segment_rules",
    "Vehicle": "dispatch.crm.fleet.vehicles",
    "Vertical": "dispatch.crm.vertical",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
