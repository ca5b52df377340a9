"""Where a vehicle is on its leg, in plain Python."""


def place(nodes, at_ms, start_at_ms, duration_ms, now_ms):
    """(node passed, node ahead, share of the way between them)."""
    elapsed = min(max(now_ms - start_at_ms, 0), duration_ms)
    along = at_ms[-1] * (elapsed / duration_ms) if duration_ms else float(at_ms[-1])
    passed = max(i for i in range(len(nodes)) if at_ms[i] <= along)
    if passed == len(nodes) - 1:
        return nodes[-1], nodes[-1], 0.0
    return nodes[passed], nodes[passed + 1], (along - at_ms[passed]) / (at_ms[passed + 1] - at_ms[passed])
