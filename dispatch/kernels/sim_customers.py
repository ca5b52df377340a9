"""How simulated customers wait, lose patience, and ask again."""

import math

import numpy as np

from dispatch.kernels.jit import kernel
from dispatch.kernels.random_streams import uniform
from dispatch.kernels.sim_state import (
    ASKS_AGAIN,
    DONE,
    FAR,
    FINDS_IT_FAR,
    FINDS_IT_LATE,
    HAZARD,
    IMPATIENT,
    LATE,
    LOSES_PATIENCE,
    NEVER,
    NOTHING,
    RETRY,
    RETRY_TIME,
    UNFINISHED,
    WAITING,
)
from dispatch.units import NO_INDEX

LOOKS_AT_ETA_MS = 5_000
"""A customer looks at the quoted pickup ETA so long before it decides."""
LONGEST_WAIT_MS = 1e12


@kernel()
def await_driver(order, params, at_ms):
    """Start, or start anew, the patience of a customer whose order no driver has accepted."""
    order["stage"], order["driver"], order["due"] = WAITING, NO_INDEX, NOTHING
    seed, who = params["seed"], order["origin"]
    tries = np.int64(order["attempt"]) << 32 | order["num_accepted"]
    since_ms, due_ms = max(at_ms, order["wanted_at_ms"]), NEVER
    if uniform(seed, IMPATIENT, who, tries) < params["impatient_share"]:
        due_ms = since_ms + params["impatient_after_ms"]
    if params["hazard_per_ms"] > 0:
        waits_ms = -math.log(uniform(seed, HAZARD, who, tries)) / params["hazard_per_ms"]
        if waits_ms < LONGEST_WAIT_MS:
            due_ms = min(due_ms, since_ms + np.int64(waits_ms) + 1)
    if due_ms < NEVER:
        order["due"], order["due_at_ms"] = LOSES_PATIENCE, due_ms


@kernel()
def judge_eta(order, params, at_ms):
    """Let a customer look at the pickup ETA quoted with an acceptance, and wait for the car to be late."""
    seed, who = params["seed"], order["origin"]
    occasion = np.int64(order["attempt"]) << 32 | order["num_accepted"]
    # Of an order booked ahead, only what comes after the wanted pickup is far or late.
    wanted_ms = max(at_ms, order["wanted_at_ms"])
    expected_ms = max(at_ms + order["eta_ms"], wanted_ms)
    order["due"] = NOTHING
    is_far = expected_ms - wanted_ms > params["far_eta_ms"]
    if is_far and uniform(seed, FAR, who, occasion) < params["far_share"]:
        order["due"], order["due_at_ms"] = FINDS_IT_FAR, at_ms + LOOKS_AT_ETA_MS
    elif uniform(seed, LATE, who, occasion) < params["late_share"]:
        order["due"], order["due_at_ms"] = FINDS_IT_LATE, expected_ms + params["late_after_ms"]


@kernel()
def end_order(order, params, num, at_ms, may_retry):
    """End an order; its customer may ask again."""
    order["stage"], order["due"] = DONE, NOTHING
    seed, who, attempt = params["seed"], order["origin"], order["attempt"]
    asks_again = (
        may_retry
        and attempt < params["max_retries"]
        and uniform(seed, RETRY, who, attempt) < params["retry_share"]
    )
    if asks_again:
        later_ms = -math.log(uniform(seed, RETRY_TIME, who, attempt)) * params["retry_after_ms"]
        order["due"], order["due_at_ms"] = ASKS_AGAIN, at_ms + np.int64(later_ms) + 1
    else:
        num[UNFINISHED] -= 1
