"""Oracle: the longest wait after an overtaking, by looking at every pair of orders."""

from dispatch.units import NO_VALUE


def longest_overtaken_in_plain_python(rows, accepted, near_m):
    """Milliseconds; rows are (submitted, wanted, until, tier, class, x, y), `accepted` tells who was."""
    waits = [NO_VALUE]
    for submitted, wanted, until, tier, vehicle_class, x, y in rows:
        for row, other in enumerate(rows):
            overtakes = accepted[row] and submitted <= other[2] < until and other[1] > wanted
            alike = other[3] > tier and other[4] == vehicle_class
            if overtakes and alike and (other[5] - x) ** 2 + (other[6] - y) ** 2 <= near_m**2:
                waits.append(until - other[2])
    return max(waits)
