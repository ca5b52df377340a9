import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, strategies as st

from dispatch.errors import InputError
from dispatch.sim.sweep import MAX_RUNS, Sweep, missing_runs, own_key, read_varied, run_sweep
from dispatch.sim.sweep_store import RunStore
from dispatch.sim.sweep_workers import Workers
from sim.tiny_sweeps import TINY, without_times


@pytest.mark.parametrize(
    ("texts", "varied"),
    [
        ([], {}),
        (["drivers=300:700:100"], {"drivers": (300, 400, 500, 600, 700)}),
        (["day.drivers=300:650:100"], {"drivers": (300, 400, 500, 600)}),
        (["drivers=5, 10:30:10 ,7"], {"drivers": (5, 10, 20, 30, 7)}),
        (["demand_scale=0.1:0.5:0.1"], {"demand_scale": (0.1, 0.2, 0.3, 0.4, 0.5)}),
        (["window_s=10,30"], {"window_s": (10.0, 30.0)}),
        (["policy=nearest,batch", "drivers=3"], {"policy": ("nearest", "batch"), "drivers": (3,)}),
        (["drivers=from-data,40"], {"drivers": ("from-data", 40)}),
        (["policy.chain_before_dropoff_s=0,60"], {"chain_before_dropoff_s": (0.0, 60.0)}),
    ],
)
def test_what_is_varied(texts, varied):
    found = read_varied(TINY, texts)
    assert found == varied
    assert list(found) == list(varied)
    kinds = [[type(value) for value in values] for values in found.values()]
    assert kinds == [[type(value) for value in values] for values in varied.values()]


@given(st.integers(1, 900), st.integers(1, 60), st.integers(0, 40))
def test_ranges_hold_both_ends(first, step, num):
    last = first + step * num
    assert read_varied(TINY, [f"drivers={first}:{last}:{step}"])["drivers"] == tuple(
        range(first, last + 1, step)
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["drivers"], "vary is 'drivers': it must be KEY=VALUE"),
        (["drivers="], "vary is 'drivers='"),
        (["drivrs=3"], "drivrs is no key of a scenario: did you mean drivers?"),
        (["window_s=many"], "sim.window_s is 'many': it must be a number"),
        (["drivers=700:300:100"], "it must be FIRST:LAST:STEP, upwards"),
        (["drivers=300:700:0"], "it must be FIRST:LAST:STEP, upwards"),
        (["drivers=1:1000000:1"], "vary gives drivers 1,000,000 values"),
        (["drivers=3", "day.drivers=4"], "vary names drivers twice"),
        (["seed=1,2"], "every variant has the same seeds"),
        (["scenario.name=a,b"], "it changes nothing in a run"),
        (["priority_weights=[1]"], "lists cannot be varied"),
    ],
)
def test_what_cannot_be_varied(texts, message):
    with pytest.raises(InputError) as told:
        read_varied(TINY, texts)
    assert message in str(told.value)


def test_keys_have_one_name():
    assert own_key(TINY, "day.drivers") == own_key(TINY, "drivers") == "drivers"
    assert own_key(TINY, "policy.name") == own_key(TINY, "policy") == "policy"
    assert own_key(TINY, "city.seed") == "city.seed"


def test_every_combination():
    sweep = Sweep(TINY, {"drivers": (5, 6), "policy": ("nearest", "batch")}, 3)
    assert sweep.variants == ((5, "nearest"), (5, "batch"), (6, "nearest"), (6, "batch"))
    assert sweep.seeds == (1, 2, 3)
    assert sweep.values(2) == {"drivers": 6, "policy": "nearest"}
    assert [one.values["day"]["drivers"] for one in sweep.scenarios] == [5, 5, 6, 6]
    assert Sweep(TINY, {}, 2).variants == ((),)
    assert sweep.variant_of("policy=batch, drivers=6") == 3
    assert sweep.variant_of("policy=batch") == 1
    for text, message in (
        ("drivers=7", "drivers is varied over 5, 6 only"),
        ("window_s=30", "must be KEY=VALUE with a key that is varied: drivers, policy"),
        ("6", "must be KEY=VALUE"),
    ):
        with pytest.raises(InputError, match=message):
            sweep.variant_of(text)


def test_what_a_sweep_refuses():
    for varied, seeds, message in (
        ({"drivers": (5,)}, 0, "seeds is 0"),
        ({"drivers": (5, 5)}, 1, "a value of drivers twice"),
        ({"drivers": (0,)}, 1, "drivers is 0"),
        ({"drivers": ("many",)}, 1, r"day\.drivers is 'many': it must be a whole number or from-data"),
        ({"policy": ("best",)}, 1, "policy"),
        ({"drivers": (1, 2)}, MAX_RUNS, "vary gives 200,000 runs"),
    ):
        with pytest.raises(InputError, match=message):
            Sweep(TINY, varied, seeds)
    with pytest.raises(InputError, match="tiny with drivers=from-data"):
        Sweep(TINY, {"drivers": (4, "from-data")}, 1).check()
    Sweep(TINY, {"drivers": (4,)}, 1).check()


def test_a_seed_asks_for_the_same_rides_in_every_variant():
    sweep = Sweep(TINY, {"drivers": (8, 12), "policy": ("nearest", "batch")}, 1)
    cache = {}
    days = [scenario.build(3, cache) for scenario in sweep.scenarios]
    for day in days[1:]:
        for column in ("requested_at_ms", "pickup_node", "dropoff_node"):
            assert np.array_equal(getattr(day.orders, column), getattr(days[0].orders, column))
    for one, other in ((0, 1), (2, 3)):
        assert np.array_equal(days[one].shifts.node, days[other].shifts.node)
    other = sweep.scenarios[0].build(4, cache)
    assert not np.array_equal(other.orders.requested_at_ms, days[0].orders.requested_at_ms)


def test_two_jobs_are_byte_for_byte_one(tmp_path):
    crowded = TINY.with_value("orders", 400)
    sweep = Sweep(crowded, {"drivers": (8, 12), "policy": ("nearest", "batch")}, 2)
    tables, kept = [], []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        with RunStore(folder, crowded, "code") as store, Workers(jobs) as workers:
            tables.append(run_sweep(sweep, store, workers))
        kept.append(without_times(pq.read_table(folder / "runs.parquet")))
    assert tables[0] == tables[1]
    assert kept[0].equals(kept[1])
    assert kept[0].num_rows == 8
    assert len(set(kept[0]["event_log_sha256"].to_pylist())) == 8
    assert tables[0].num_missing == 0
    assert tables[0].kpis[0, 1]["completion_share"] == kept[0]["completion_share"].to_pylist()[2]


def test_only_what_is_missing_is_run(tmp_path):
    told = []
    with RunStore(tmp_path, TINY, "code") as store, Workers(1) as workers:
        small = Sweep(TINY, {"drivers": (8, 10)}, 2)
        # Stopped after two runs: seed 1 of both variants.
        stopped = run_sweep(small, store, workers, should_stop=lambda: len(store) >= 2)
        assert stopped.kpis.keys() == {(0, 1), (1, 1)}
        assert [(task.seed, task.values) for task in missing_runs(small, store)] == [
            (2, {"drivers": 8}),
            (2, {"drivers": 10}),
        ]
    with RunStore(tmp_path, TINY, "code") as store, Workers(1) as workers:
        whole = run_sweep(small, store, workers, told.append)
        assert (told[0].num_missing, told[0].num_kept, told[0].share) == (2, 2, 0.0)
        assert (told[-1].num_done, told[-1].share) == (2, 1.0)
        assert [state.share for state in told] == sorted(state.share for state in told)
        assert whole.num_missing == 0
        assert whole.kpis[0, 1] == stopped.kpis[0, 1]
        # Ten drivers and the policy are the scenario's own: these runs are known under more names.
        wider = Sweep(TINY, {"policy": ("batch", "nearest"), "drivers": (8, 10)}, 2)
        assert len(missing_runs(wider, store)) == 4
        run_sweep(wider, store, workers)
        assert len(store) == 8
        assert run_sweep(Sweep(TINY, {}, 2), store, workers).kpis[0, 2] == whole.kpis[1, 2]
    rows = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    assert {(row["policy"], row["drivers"]) for row in rows} == {
        ("batch", 8), ("batch", 10), ("nearest", 8), ("nearest", 10),
    }  # fmt: skip
