"""Days whose engine predicts with other ETAs than their traffic's."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cities import T0, grid_city, small_scenario, write_city
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.engine.params import DispatchParams
from dispatch.errors import InputError
from dispatch.eta.calibration import LEVELS
from dispatch.eta.model import ASSUMED_RATIOS, EtaModel
from dispatch.eta.times import EtaTimes
from dispatch.roads.city import City
from dispatch.roads.pace import PacedTimes
from dispatch.roads.travel_times import UncertainTimes
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.etas import EtaSource, file_blake2b, free_flow_etas, learnt_etas, names_file
from dispatch.sim.runner import run
from dispatch.sim.scenario_file import ScenarioFile, load_scenario
from dispatch.sim.summary import run_record, summary
from dispatch.sim.sweep_store import run_id
from simulated import behaving

CITY = grid_city()
FREE_FLOW = CITY.free_flow()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A city and a model of it: one that knows no more than speed limits."""
    folder = write_city(tmp_path_factory.mktemp("etas") / "gridville", CITY).parent
    EtaModel.free_flow(City.load(folder / "gridville")).save(folder / "grid.eta")
    return folder


def day_file(folder, eta, **policy):
    (folder / "day.toml").write_text(
        '[city]\nsource = "gridville"\n[day]\norders = 150\ndrivers = 10\n[behaviour]\npreset = "none"\n'
        f'[traffic]\nmodel = "assumed"\neta = "{eta}"\n[policy]\nname = "{policy.get("name", "batch")}"\n'
    )
    return load_scenario(folder / "day.toml")


def quoted_ms(events):
    return events["eta_ms"][events["kind"] == K.ORDER_ASSIGNED]


def test_what_the_engine_is_told_is_what_it_quotes():
    """Streets told to be ten times as slow change quotes, and nothing of how drivers drive."""
    day = small_scenario(params=DispatchParams(max_pickup_s=3600.0))
    plain, told = run(day).events, run(replace(day, etas=FREE_FLOW)).events
    assert log_sha256(told) == log_sha256(plain)
    slow = run(replace(day, etas=CITY.free_flow(10.0))).events
    check_invariants(slow)
    arrived = [events[events["kind"] == K.DRIVER_ARRIVED] for events in (plain, slow)]
    assert quoted_ms(slow).mean() > 5 * quoted_ms(plain).mean()
    first = [(events["order_id"][0], events["at_ms"][0]) for events in arrived]
    assert first[0] == first[1]


def test_free_flow_is_told_apart_from_traffic():
    """It is as fast as a table, and says how sure it is, so that risk can be weighed."""
    etas = free_flow_etas(FREE_FLOW)
    assert isinstance(etas, UncertainTimes)
    assert isinstance(etas.base, PacedTimes)
    nodes = np.arange(5, dtype=np.int32)
    median = FREE_FLOW.pairs_ms(nodes, nodes[::-1].copy())
    assert np.array_equal(etas.pairs_ms(nodes, nodes[::-1].copy()), median)
    told = etas.quantiles_ms(nodes, nodes[::-1].copy())
    assert etas.levels == LEVELS
    assert np.allclose(told, median[:, None] * np.array(ASSUMED_RATIOS), atol=1)
    day = with_behaviour(small_scenario(behaviour=behaving(traffic={"model": "assumed", "eta": "free_flow"})))
    assert day.eta_source == EtaSource("free_flow")
    assert any(note.startswith("The engine predicts free flow") for note in day.notes)
    for policy in ("batch", "promise", "rescue"):
        events = run(replace(day, params=DispatchParams(policy))).events
        check_invariants(events)
    own = run(replace(day, etas=None)).events
    assert quoted_ms(own).mean() > 1.1 * quoted_ms(run(day).events).mean()


@pytest.mark.parametrize("policy", ["batch", "promise", "rescue"])
def test_a_model_serves_medians_and_risk(policy):
    day = small_scenario(etas=EtaTimes(EtaModel.free_flow(CITY)), params=DispatchParams(policy))
    events = run(day).events
    check_invariants(events)
    assert log_sha256(run(day).events) == log_sha256(events)


def test_the_traffic_s_own_is_the_default():
    day = small_scenario(behaviour=behaving(traffic={"model": "assumed"}))
    made = with_behaviour(day)
    assert made.etas is None
    assert "etas" not in summary(run_record(run(made), 0, 0))
    mine = with_behaviour(replace(day, etas=FREE_FLOW))
    assert mine.etas is FREE_FLOW
    assert run_record(run(mine), 0, 0).meta["etas"] == {"source": "Metric", "blake2b": ""}


def test_errors_are_measured_where_only_the_engine_errs():
    """Drives take exactly their free-flow time, and were told to take twice as long."""
    day = small_scenario(etas=CITY.free_flow(2.0))
    figures = run_record(run(day), 0, 0).kpis
    assert figures.pickup_eta_bias_s < -10
    assert run_record(run(replace(day, etas=None)), 0, 0).kpis.pickup_eta_bias_s is None


def test_a_scenario_names_a_model(folder):
    file = day_file(folder, "grid.eta", name="promise")
    cache = {}
    day = file.build(city_cache=cache)
    blake2b = file_blake2b(folder / "grid.eta")
    assert isinstance(day.etas, EtaTimes)
    assert day.eta_source == EtaSource(str(folder / "grid.eta"), blake2b)
    assert any(f"grid.eta (free flow, blake2b {blake2b})" in note for note in day.notes)
    assert file.with_policy("batch").build(city_cache=cache).etas is day.etas, "read once"
    told = json.loads(json.dumps(summary(run_record(run(day), 0, 0))))
    assert told["etas"] == {"source": str(folder / "grid.eta"), "blake2b": blake2b}
    assert ScenarioFile(file.given, file.path).to_toml() == file.to_toml()


def test_a_run_is_named_by_the_model_s_content(folder):
    whole = (folder / "grid.eta").read_bytes()
    (folder / "other.eta").write_bytes(whole)
    names = []
    for content in (whole, whole + b" ", whole):
        (folder / "other.eta").write_bytes(content)
        names.append(run_id(day_file(folder, "other.eta"), 1, "code"))
    assert names[0] == names[2] != names[1]
    assert run_id(day_file(folder, "traffic"), 1, "code") != run_id(day_file(folder, "free_flow"), 1, "code")


@pytest.mark.parametrize(
    ("eta", "message"),
    [
        ("none.eta", r"traffic\.eta is none\.eta: there is no file .*none\.eta; it must be traffic \(as"),
        ("${NOWHERE_AT_ALL}/x", "traffic.eta is .* needs the environment variable NOWHERE_AT_ALL"),
        ("gridville", "traffic.eta is gridville: there is no file"),
        ("broken.eta", "traffic.eta is .*broken.eta: no readable model of ETAs"),
        ("elsewhere.eta", "traffic.eta is .*elsewhere.eta: it was trained for 'Gridville' and its roads"),
        (" ", "traffic.eta is ' ': it must be traffic "),
    ],
)
def test_what_is_no_model_is_refused(folder, eta, message):
    (folder / "broken.eta").write_bytes(b"PK but nothing else")
    EtaModel.free_flow(grid_city(4, 5)).save(folder / "elsewhere.eta")
    with pytest.raises(InputError, match=message):
        day_file(folder, eta).build()


def test_a_file_that_cannot_be_read_is_told(folder):
    with pytest.raises(InputError, match=r"traffic\.eta is .*gridville: it cannot be read \("):
        file_blake2b(folder / "gridville")
    with pytest.raises(InputError, match=r"traffic\.eta is .*none: there is no file"):
        file_blake2b(folder / "none")
    with pytest.raises(InputError, match=r"traffic\.eta is .*none: no such file"):
        learnt_etas(folder / "none", CITY)
    assert names_file("x")
    assert not names_file("traffic")


def test_etas_by_time_are_asked_for_their_instant():
    asked = []

    class ByHour:
        def at(self, at_ms):
            asked.append(at_ms)
            return FREE_FLOW

    day = small_scenario(etas=ByHour())
    run(day)
    assert min(asked[1:]) >= T0, "after a first question, by which its kind is checked"
