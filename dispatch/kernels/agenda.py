"""What is due when: a binary heap of instants with a key each, the least first."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I64, kernel, record


class Agenda(NamedTuple):
    """Entries ``0 … size[0] - 1`` are a heap by instant, then key."""

    at_ms: np.ndarray
    """(room,) int64"""
    key: np.ndarray
    """(room,) int64"""
    size: np.ndarray
    """(1,) int64"""


AGENDA = record(Agenda, I64, I64, I64)


@kernel((AGENDA, I64, I64))
def put_all(agenda, at_ms, key):
    """Enter many instants (n,) with their keys."""
    for i in range(len(at_ms)):
        put(agenda, at_ms[i], key[i])


@kernel()
def put(agenda, at_ms, key):
    """Enter an instant; there must be room."""
    i = agenda.size[0]
    agenda.size[0] = i + 1
    while i > 0:
        parent = (i - 1) >> 1
        above = agenda.at_ms[parent]
        if above < at_ms or (above == at_ms and agenda.key[parent] <= key):
            break
        agenda.at_ms[i], agenda.key[i] = above, agenda.key[parent]
        i = parent
    agenda.at_ms[i], agenda.key[i] = at_ms, key


@kernel()
def take(agenda):
    """Take the earliest entry, which there must be, and give its key."""
    key = agenda.key[0]
    size = agenda.size[0] - 1
    agenda.size[0] = size
    last_ms, last_key = agenda.at_ms[size], agenda.key[size]
    i = 0
    while 2 * i + 1 < size:
        child = 2 * i + 1
        if child + 1 < size:
            left, right = agenda.at_ms[child], agenda.at_ms[child + 1]
            if right < left or (right == left and agenda.key[child + 1] < agenda.key[child]):
                child += 1
        below = agenda.at_ms[child]
        if last_ms < below or (last_ms == below and last_key <= agenda.key[child]):
            break
        agenda.at_ms[i], agenda.key[i] = below, agenda.key[child]
        i = child
    agenda.at_ms[i], agenda.key[i] = last_ms, last_key
    return key
