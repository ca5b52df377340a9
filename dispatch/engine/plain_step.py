"""The common step of the dispatcher in one crossing into compiled code."""

from __future__ import annotations

from dispatch.engine.candidates import columns_of
from dispatch.engine.commit import EngineState
from dispatch.engine.params import FareRule
from dispatch.engine.tell import tables_of
from dispatch.engine.world import World
from dispatch.kernels.jit import direct
from dispatch.kernels.offering import OfferColumns
from dispatch.kernels.plain_step import LOOK_CLOSER, Changing, Fixed
from dispatch.units import MS_PER_S

_STEP = direct("plain_step.step")


def step_plainly(state: EngineState, world: World, fare: FareRule, now_ms: int) -> bool:
    """Find candidates, match and make offers, as the long way does; tell whether that was all of the step.

    It is where a table tells travel times, the policy just matches in batches, nothing has timed out, and
    no order has to look at all drivers. Else nothing was done but what the long way does again.
    """
    if world.timetable is None or not world.is_plain:
        return False
    orders, (known, parties, _) = state.orders, tables_of(state, world, fare)
    of_orders, of_cars = columns_of(state)
    offered = OfferColumns(
        orders.cars_shown, orders.offer_expires_at_ms, orders.eta_ms, orders.nearest_eta_ms
    )
    changing = Changing(
        orders.live, orders.expires_at_ms, of_orders, of_cars, parties, offered, orders.refusals(0)
    )
    orders.num_live, num_events = _STEP.call(
        orders.num_live,
        now_ms,
        now_ms + round(world.params.offer_timeout_s * MS_PER_S),
        Fixed(world.rules, world.places, world.timetable, known),
        changing,
        state.log.room(2 * orders.num_live),
    )
    if num_events == LOOK_CLOSER:
        return False
    if num_events:
        state.log.keep(num_events)
        state.latest_ms = max(state.latest_ms, now_ms)
    return True
