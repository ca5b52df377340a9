"""Contraction hierarchies by the book: the elimination game, and travel times through lower nodes only."""

UNREACHABLE = 2**29


def elimination_game(num_nodes, links, order):
    """Contract nodes in `order`; give for each rank the ranks that its node was joined with at that moment.

    `links` are pairs of nodes, in any number and either direction; loops do not count.
    """
    rank = {node: r for r, node in enumerate(order)}
    near = [set() for _ in range(num_nodes)]
    for one, other in links:
        if one != other:
            near[rank[one]].add(rank[other])
            near[rank[other]].add(rank[one])
    upper = []
    for r in range(num_nodes):
        left = {w for w in near[r] if w > r}
        for w in left:
            near[w] |= left - {w}
        upper.append(left)
    return upper


def parents(upper):
    """The parent of each node in the elimination tree, -1 at roots."""
    return [min(row, default=-1) for row in upper]


def ancestors(parent, v):
    """A node and all above it, from the root down: its place in the list is its depth."""
    chain = []
    while v != -1:
        chain.append(v)
        v = parent[v]
    return chain[::-1]


def postorder(parent):
    """The nodes of a forest, every subtree in one piece and its root last."""
    children = {}
    for v, p in enumerate(parent):
        children.setdefault(p, []).append(v)
    found, stack = [], [-1]
    while stack:
        v = stack.pop()
        found.append(v)
        stack.extend(children.get(v, []))
    return found[:0:-1]


def times_below(num_nodes, arcs):
    """Travel times by ranks, ways through lower nodes only (Floyd 1962, Warshall 1962).

    `arcs` is a list of (tail, head, weight) of ranks. Gives three tables ``[v][w]``: through nodes below both
    ends, through nodes below the higher end, and through any; UNREACHABLE where there is no way below that.
    """
    times = [[UNREACHABLE] * num_nodes for _ in range(num_nodes)]
    for tail, head, weight in arcs:
        times[tail][head] = min(times[tail][head], weight)
    for v in range(num_nodes):
        times[v][v] = 0
    below_both, below_higher = ([[0] * num_nodes for _ in range(num_nodes)] for _ in range(2))
    for k in range(num_nodes):
        for v in range(num_nodes):
            table = below_both if v > k else below_higher
            for one, other in ((k, v), (v, k)):
                table[one][other] = times[one][other]
        for v in range(num_nodes):
            for w in range(num_nodes):
                times[v][w] = min(times[v][w], times[v][k] + times[k][w])
    return below_both, below_higher, times


def smallest_cuts(num_nodes, links, sources, sinks):
    """The size of a smallest cut, and the nodes on the sources' side of each, by looking at all sets."""
    best, found = None, []
    for bits in range(2**num_nodes):
        near = {v for v in range(num_nodes) if bits >> v & 1}
        if sources <= near and not near & sinks:
            size = sum((one in near) != (other in near) for one, other in links)
            if best is None or size < best:
                best, found = size, []
            if size == best:
                found.append(near)
    return best, found
