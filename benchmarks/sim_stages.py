"""Where a simulated day spends its time: kernels by stage, and Python, which is the rest."""

from collections.abc import Mapping

PYTHON = "Python, outside kernels"
OTHER = "other kernels"
STAGES = {
    "people": (
        "simulate agenda cruising normal paths random_streams sim_customers sim_legs sim_moves sim_state "
        "traffic unpacking"
    ),
    "telling what happened": "happenings",
    "submission": "simulate.ask simulate.read_orders id_map submission",
    "positions": "sim_legs.locate_all positions grid grid_moves geo",
    "plain steps": "plain_step",
    "candidates": "candidates grid_order grid_search",
    "pickup ETA": "all_pairs labels nearest_by_time travel_table",
    "matching": (
        "candidates.weigh assignment auction augmentation bipartite greedy largest_matching row_reduction"
    ),
    "offers and commit": "candidates.survey event_log offering overtaken refusals transition",
    "checks of input": "checks",
}
"""By stage: modules of kernels, and single kernels, which go before their modules.

A plain step is candidates, pickup ETA, matching and offers at one go.
"""

_STAGE_OF = {name: stage for stage, names in STAGES.items() for name in names.split()}


def stage_of(kernel: str) -> str:
    """Give the stage of a kernel, by its registered name; unknown ones are others."""
    return _STAGE_OF.get(kernel) or _STAGE_OF.get(kernel.partition(".")[0], OTHER)


def by_stage(kernel_s: Mapping[str, float], whole_s: float) -> dict[str, float]:
    """Seconds of every stage, of kernels in none, and of Python: they sum to the whole."""
    spent_s = dict.fromkeys((*STAGES, OTHER), 0.0)
    for name, seconds in kernel_s.items():
        spent_s[stage_of(name)] += seconds
    return spent_s | {PYTHON: whole_s - sum(spent_s.values())}
