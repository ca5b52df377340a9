"""dispatch: which driver serves which order, when will the car be there, and what did it bring.

The names below are the public ones. They are imported on first use, so that ``import dispatch`` costs
nothing. What the packages hold, and how an order travels through them, is told in ``ARCHITECTURE.md``
beside this file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from dispatch.errors import DispatchError, InputError, InvariantError, StateError

if TYPE_CHECKING:  # an alias of its own name is an export, to type checkers
    from dispatch.analysis.export import export_run as export_run, write_table as write_table
    from dispatch.analysis.groups import KpiGroups as KpiGroups, kpis_by as kpis_by
    from dispatch.analysis.invariants import check_invariants as check_invariants
    from dispatch.analysis.kpis import kpis as kpis
    from dispatch.analysis.player import write_player as write_player
    from dispatch.analysis.recorded import empty_km_share_recorded as empty_km_share_recorded
    from dispatch.analysis.recorded_figures import recorded_figures as recorded_figures
    from dispatch.analysis.report import write_report as write_report
    from dispatch.crm.crm import Crm as Crm
    from dispatch.crm.people.customer_details import CustomerDetails as CustomerDetails
    from dispatch.crm.permissions import Actor as Actor
    from dispatch.crm.vertical import Vertical as Vertical
    from dispatch.engine.dispatcher import Dispatcher as Dispatcher
    from dispatch.engine.events import (
        EventKind as EventKind,
        log_sha256 as log_sha256,
        make_events as make_events,
        read_log as read_log,
        write_log as write_log,
    )
    from dispatch.engine.explanations import Explanation as Explanation
    from dispatch.engine.inputs import (
        NewDrivers as NewDrivers,
        NewOrders as NewOrders,
        Positions as Positions,
    )
    from dispatch.engine.lifecycle import DriverStatus as DriverStatus, OrderStatus as OrderStatus
    from dispatch.engine.pair_terms import PairTerms as PairTerms
    from dispatch.engine.params import DispatchParams as DispatchParams, FareRule as FareRule
    from dispatch.engine.policy import Policy as Policy, Window as Window, policy_named as policy_named
    from dispatch.engine.terms import DriverTerms as DriverTerms
    from dispatch.eta.driven_ways import driven_ways as driven_ways
    from dispatch.eta.evaluation import predict_trips as predict_trips
    from dispatch.eta.live import LiveTraffic as LiveTraffic
    from dispatch.eta.live_ways import LivePings as LivePings
    from dispatch.eta.map_matching import match_pings as match_pings
    from dispatch.eta.model import EtaModel as EtaModel
    from dispatch.eta.times import EtaTimes as EtaTimes
    from dispatch.eta.training import train_eta as train_eta
    from dispatch.kernels.warming import warm_up as warm_up
    from dispatch.matching.assignment import Assignment as Assignment, Status as Status
    from dispatch.matching.certificate import Certificate as Certificate, certificate as certificate
    from dispatch.matching.dense import linear_sum_assignment as linear_sum_assignment
    from dispatch.matching.problem import AssignmentProblem as AssignmentProblem
    from dispatch.matching.solve import solve as solve, solve_nearest as solve_nearest
    from dispatch.matching.sparse import (
        min_weight_full_bipartite_matching as min_weight_full_bipartite_matching,
    )
    from dispatch.roads.all_pairs import AllPairsTimes as AllPairsTimes
    from dispatch.roads.city import City as City
    from dispatch.roads.land_use_of_roads import (
        RoadDemandParams as RoadDemandParams,
        land_use_of_roads as land_use_of_roads,
    )
    from dispatch.roads.metric import Metric as Metric
    from dispatch.roads.pace import PacedTimes as PacedTimes, PaceOfDay as PaceOfDay
    from dispatch.roads.pings import RecordedPings as RecordedPings
    from dispatch.roads.places import EdgeSnapper as EdgeSnapper, Places as Places
    from dispatch.roads.road_network import RoadNetwork as RoadNetwork
    from dispatch.roads.spread_times import SpreadByTime as SpreadByTime, SpreadTimes as SpreadTimes
    from dispatch.roads.time_of_day import (
        MetricsByTime as MetricsByTime,
        TimeOfDay as TimeOfDay,
        load_time_of_day as load_time_of_day,
    )
    from dispatch.roads.travel_times import (
        MatrixTravelTimes as MatrixTravelTimes,
        UncertainTimes as UncertainTimes,
    )
    from dispatch.roads.zones import Zones as Zones, grid_zones as grid_zones
    from dispatch.sim.behaving import with_behaviour as with_behaviour
    from dispatch.sim.behaviour import Behaviour as Behaviour
    from dispatch.sim.cruising import CruiseModel as CruiseModel
    from dispatch.sim.recorded_day import recorded_day as recorded_day
    from dispatch.sim.runner import run as run
    from dispatch.sim.scenario import made_up_day as made_up_day, synthetic_scenario as synthetic_scenario
    from dispatch.sim.scenario_file import ScenarioFile as ScenarioFile, load_scenario as load_scenario
    from dispatch.sim.traffic import TrafficModel as TrafficModel
    from dispatch.spatial.geo_index import GeoIndex as GeoIndex
    from dispatch.spatial.grid_index import GridIndex as GridIndex, Neighbours as Neighbours
    from dispatch.spatial.projection import LocalProjection as LocalProjection

__version__ = "0.1.0"

_HOME: Final = {
    "Actor": "dispatch.crm.permissions",
    "AllPairsTimes": "dispatch.roads.all_pairs",
    "Assignment": "dispatch.matching.assignment",
    "AssignmentProblem": "dispatch.matching.problem",
    "Behaviour": "dispatch.sim.behaviour",
    "Certificate": "dispatch.matching.certificate",
    "City": "dispatch.roads.city",
    "Crm": "dispatch.crm.crm",
    "CruiseModel": "dispatch.sim.cruising",
    "CustomerDetails": "dispatch.crm.people.customer_details",
    "DispatchParams": "dispatch.engine.params",
    "Dispatcher": "dispatch.engine.dispatcher",
    "DriverStatus": "dispatch.engine.lifecycle",
    "DriverTerms": "dispatch.engine.terms",
    "EdgeSnapper": "dispatch.roads.places",
    "EtaModel": "dispatch.eta.model",
    "EtaTimes": "dispatch.eta.times",
    "EventKind": "dispatch.engine.events",
    "Explanation": "dispatch.engine.explanations",
    "FareRule": "dispatch.engine.params",
    "GeoIndex": "dispatch.spatial.geo_index",
    "GridIndex": "dispatch.spatial.grid_index",
    "KpiGroups": "dispatch.analysis.groups",
    "LivePings": "dispatch.eta.live_ways",
    "LiveTraffic": "dispatch.eta.live",
    "LocalProjection": "dispatch.spatial.projection",
    "MatrixTravelTimes": "dispatch.roads.travel_times",
    "Metric": "dispatch.roads.metric",
    "MetricsByTime": "dispatch.roads.time_of_day",
    "Neighbours": "dispatch.spatial.grid_index",
    "NewDrivers": "dispatch.engine.inputs",
    "NewOrders": "dispatch.engine.inputs",
    "OrderStatus": "dispatch.engine.lifecycle",
    "PaceOfDay": "dispatch.roads.pace",
    "PacedTimes": "dispatch.roads.pace",
    "PairTerms": "dispatch.engine.pair_terms",
    "Places": "dispatch.roads.places",
    "Policy": "dispatch.engine.policy",
    "Positions": "dispatch.engine.inputs",
    "RecordedPings": "dispatch.roads.pings",
    "RoadDemandParams": "dispatch.roads.land_use_of_roads",
    "RoadNetwork": "dispatch.roads.road_network",
    "ScenarioFile": "dispatch.sim.scenario_file",
    "SpreadByTime": "dispatch.roads.spread_times",
    "SpreadTimes": "dispatch.roads.spread_times",
    "Status": "dispatch.matching.assignment",
    "TimeOfDay": "dispatch.roads.time_of_day",
    "TrafficModel": "dispatch.sim.traffic",
    "UncertainTimes": "dispatch.roads.travel_times",
    "Vertical": "dispatch.crm.vertical",
    "Window": "dispatch.engine.policy",
    "Zones": "dispatch.roads.zones",
    "certificate": "dispatch.matching.certificate",
    "check_invariants": "dispatch.analysis.invariants",
    "driven_ways": "dispatch.eta.driven_ways",
    "empty_km_share_recorded": "dispatch.analysis.recorded",
    "export_run": "dispatch.analysis.export",
    "grid_zones": "dispatch.roads.zones",
    "kpis": "dispatch.analysis.kpis",
    "kpis_by": "dispatch.analysis.groups",
    "land_use_of_roads": "dispatch.roads.land_use_of_roads",
    "linear_sum_assignment": "dispatch.matching.dense",
    "load_scenario": "dispatch.sim.scenario_file",
    "load_time_of_day": "dispatch.roads.time_of_day",
    "log_sha256": "dispatch.engine.events",
    "made_up_day": "dispatch.sim.scenario",
    "make_events": "dispatch.engine.events",
    "match_pings": "dispatch.eta.map_matching",
    "min_weight_full_bipartite_matching": "dispatch.matching.sparse",
    "policy_named": "dispatch.engine.policy",
    "predict_trips": "dispatch.eta.evaluation",
    "read_log": "dispatch.engine.events",
    "recorded_day": "dispatch.sim.recorded_day",
    "recorded_figures": "dispatch.analysis.recorded_figures",
    "run": "dispatch.sim.runner",
    "solve": "dispatch.matching.solve",
    "solve_nearest": "dispatch.matching.solve",
    "synthetic_scenario": "dispatch.sim.scenario",
    "train_eta": "dispatch.eta.training",
    "warm_up": "dispatch.kernels.warming",
    "with_behaviour": "dispatch.sim.behaving",
    "write_log": "dispatch.engine.events",
    "write_player": "dispatch.analysis.player",
    "write_report": "dispatch.analysis.report",
    "write_table": "dispatch.analysis.export",
}

__all__ = [
    "DispatchError",
    "InputError",
    "InvariantError",
    "StateError",
    *_HOME,
]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
