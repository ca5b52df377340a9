"""Tables of sweeps with made-up figures, for tests of what is told of them."""

from itertools import product

import numpy as np

from dispatch.analysis.kpi_list import KPIS
from dispatch.analysis.sweep_table import SweepTable


def sweep_table(keys=("drivers", "policy"), values=((300, 400, 500), ("nearest", "batch")), num_seeds=4):
    """A sweep in which more drivers and the later policy are better; one KPI cannot be measured."""
    places = list(product(*(range(len(column)) for column in values)))
    variants = tuple(tuple(column[i] for column, i in zip(values, at, strict=True)) for at in places)
    random = np.random.default_rng(5)
    seeds = tuple(range(1, num_seeds + 1))
    luck = random.normal(0, 0.01, num_seeds)
    kpis = {
        (row, seed): {
            kpi.name: None
            if kpi.name == "pickup_eta_mae_s"
            else 200 - 10 * sum(at[:1]) + 100 * luck[seed - 1] + random.normal(0, 1)
            if kpi.name.endswith("_s")
            else 0.8 + 0.04 * sum(at[:1]) + 0.02 * sum(at[1:]) + luck[seed - 1] + random.normal(0, 0.001)
            for kpi in KPIS
        }
        for row, at in enumerate(places)
        for seed in seeds
    }
    return SweepTable("made_up", tuple(keys), variants, seeds, kpis)
