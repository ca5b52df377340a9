"""What a day of a community came to."""

from __future__ import annotations

from dataclasses import dataclass

from dispatch.analysis.groups import KpiGroups
from dispatch.analysis.kpis import Kpis


@dataclass(frozen=True)
class CommunityDay:
    """What a day came to."""

    day: int
    """0 for the first"""
    kpis: Kpis
    by_tier: KpiGroups
    num_orders: int
    num_completed: int
    num_events: int
    num_customers: int
    """there at the end of the day"""
    num_active: int
    """who ordered anything"""
    num_joined: int
    num_left: int
    num_drivers_left: int
    num_drivers_asked: int
    """who were online for an hour or longer"""
    num_drivers_bad: int
    """dissatisfied with the day; synthetic"""
    num_judged: int
    """orders that left an experience"""
    num_bad: int
    """of them dissatisfying; synthetic, as are complaints and stars"""
    num_complaints: int
    num_rated: int
    num_rated_well: int
    """with four stars or five"""
    stars: int
    """sum"""
    bad_by_tier: tuple[int, ...]
    judged_by_tier: tuple[int, ...]
    sim_s: float
    """wall time of the simulation itself"""
    crm_s: float
    """of all that the CRM did for it"""
    apply_s: float
    """of this, of applying events"""
