"""A scenario that is simulated in a blink, and what a run of it may leave."""

from pathlib import Path

from dispatch.analysis.kpi_list import KPIS
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.sim.sweep_store import StoredRun

TINY = ScenarioFile(
    {
        "scenario": {"name": "tiny"},
        # A grid of 100 nodes, 1.5 km apart: the built-in city takes 2.5 s in each process that runs it.
        "city": {"source": str(Path(__file__).with_name("tiny_city"))},
        "behaviour": {"preset": "none"},
        "day": {"orders": 60, "drivers": 10, "shift_h": 24.0},
        "sim": {"window_s": 300.0},
        "engine": {"max_wait_s": 900.0},
    }
)


def stored_run(name="a", seed=1, golden=0.9, **values):
    """A run with made-up figures."""
    kpis = {kpi.name: None for kpi in KPIS} | {"golden10_share": golden}
    return StoredRun(name, seed, values, 60, 10, kpis, "f" * 64, 0.5, 1.25)


def without_times(table):
    """What must not hang on where and when a run was made."""
    return table.drop_columns(["prepare_s", "run_s"])
