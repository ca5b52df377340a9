"""Days of a community, made by hand."""

import numpy as np

from dispatch.analysis.community_day import CommunityDay
from dispatch.analysis.groups import KpiGroups
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.kpis import Kpis

TIERS = ("basic", "silver", "gold")


def community_day(day=0, tiers=None, **given):
    """One with a few figures given; `tiers`: orders, median response, mean wait and completion by tier."""
    tiers = {0: (100, 30.0, 300.0, 0.8)} if tiers is None else tiers
    columns = {name: [None] * len(tiers) for name in KPI}
    for row, told in enumerate(tiers.values()):
        for name, value in zip(("response_p50_s", "wait_mean_s", "completion_share"), told[1:], strict=True):
            columns[name][row] = value
    num = np.array([told[0] for told in tiers.values()], np.int64)
    kpis = {"response_p50_s": 30.0, "wait_mean_s": 300.0, "driver_income_gini": 0.2} | given.pop("kpis", {})
    judged = tuple(tiers[tier][0] if tier in tiers else 0 for tier in range(max(tiers) + 1))
    plain = {
        "num_orders": int(num.sum()), "num_completed": int(num.sum()) * 4 // 5, "num_events": 900,
        "num_customers": 500, "num_active": 70, "num_joined": 4, "num_left": 3,
        "num_drivers_left": 1, "num_drivers_asked": 20, "num_drivers_bad": 3,
        "num_judged": sum(judged), "num_bad": sum(judged) // 5, "num_complaints": 2,
        "num_rated": 30, "num_rated_well": 24, "stars": 126,
        "bad_by_tier": tuple(one // 5 for one in judged), "judged_by_tier": judged,
        "sim_s": 0.5, "crm_s": 0.2, "apply_s": 0.1,
    }  # fmt: skip
    groups = KpiGroups(
        "tier",
        tuple(f"tier {tier}" for tier in tiers),
        np.array(list(tiers), np.int64),
        num,
        {name: tuple(values) for name, values in columns.items()},
    )
    told = Kpis({**dict.fromkeys(KPI), **kpis})
    return CommunityDay(day=day, kpis=told, by_tier=groups, **{**plain, **given})


def community_days(num=14):
    """Days on which customers reach one tier after the other."""
    days = []
    for day in range(num):
        wave = 0.05 * np.sin(day)
        tiers = {0: (120 - 2 * min(day, 20), 30.0 + 40 * wave, 300.0, 0.8 + wave)}
        if day >= 1:
            tiers[1] = (3 + 2 * day, 28.0 + 50 * wave, 290.0 + 200 * wave, 0.85 - wave)
        if day >= 3:
            tiers[2] = (2 + day, 25.0, 250.0, 0.9)
        kpis = {"priority_wait_max_s": None if day < 1 else 20.0 * day}
        kpis["driver_income_gini"] = 0.2 + float(wave)
        given = {"num_customers": 500 + day, "num_active": 70 + day, "stars": 120 + day % 3}
        given["num_drivers_left"] = day % 2
        days.append(community_day(day, tiers, kpis=kpis, **given))
    return days
