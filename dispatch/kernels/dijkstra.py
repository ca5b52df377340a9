"""Shortest travel times from every node to one node."""

from dispatch.kernels.csr import ARCS
from dispatch.kernels.heap import heap_pop, heap_push
from dispatch.kernels.jit import I32, I32_2D, I64, kernel
from dispatch.units import UNREACHABLE_MS


@kernel((ARCS, I32, I32, I64, I32_2D))
def rows_to_nodes(reverse, to_node, row, heap, out_table):
    """Fill rows of a table with the travel times from every node to one node each.

    Parameters
    ----------
    reverse : Arcs
        The graph with every arc turned round.
    to_node : (n,) int32
        Where the travel times of each row lead to.
    row : (n,) int32
        The row of `out_table` that each fills.
    heap : (arcs + 1,) int64
        Scratch; holds nothing between calls.
    out_table : (rows, nodes) int32
        Milliseconds; ``UNREACHABLE_MS`` where no path leads to the node, or none below that.

    Notes
    -----
    Dijkstra (1959) with a lazy 4-ary heap.
    """
    for i in range(len(to_node)):
        best = out_table[row[i]]
        best[:] = UNREACHABLE_MS
        best[to_node[i]] = 0
        heap[0] = to_node[i]
        size = 1
        while size > 0:
            key = heap_pop(heap, size)
            size -= 1
            node = key & 0x7FFFFFFF
            at_ms = key >> 32
            if at_ms > best[node]:
                continue
            for arc in range(reverse.first_arc[node], reverse.first_arc[node + 1]):
                tail = reverse.head[arc]
                reached_ms = at_ms + reverse.travel_ms[arc]
                if reached_ms < best[tail]:
                    best[tail] = reached_ms
                    heap_push(heap, size, reached_ms << 32 | tail)
                    size += 1
