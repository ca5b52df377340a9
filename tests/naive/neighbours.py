"""Brute-force neighbour search, in plain Python."""

import math


def distance_m(ax, ay, bx, by):
    """Same order of operations as the kernels, so that equal means equal."""
    dx, dy = ax - bx, ay - by
    return math.sqrt(dx * dx + dy * dy)


def neighbours(x, y, qx, qy, k=None, max_distance_m=math.inf, available=None):
    """All (distance, item) within a distance of one query, sorted; the first `k` of them."""
    found = [(distance_m(x[i], y[i], qx, qy), i) for i in range(len(x)) if available is None or available[i]]
    return sorted(entry for entry in found if entry[0] <= max_distance_m)[:k]


class MovingItems:
    """What an index over items that move, come and go must know: where each row is, and its classes."""

    def __init__(self, x, y, class_bits):
        self.items = dict(enumerate(zip(x.tolist(), y.tolist(), class_bits.tolist(), strict=True)))
        self.num_rows = len(x)
        self.free_rows = []

    def add(self, x, y, class_bits):
        """Rows removed last come first, then new ones."""
        rows = []
        for entry in zip(x.tolist(), y.tolist(), class_bits.tolist(), strict=True):
            row = self.free_rows.pop() if self.free_rows else self.num_rows
            self.num_rows = max(self.num_rows, row + 1)
            self.items[row] = entry
            rows.append(row)
        return rows

    def move(self, rows, x, y):
        for row, a, b in zip(rows.tolist(), x.tolist(), y.tolist(), strict=True):
            self.items[row] = (a, b, self.items[row][2])

    def remove(self, rows):
        for row in rows.tolist():
            del self.items[row]
            self.free_rows.append(row)

    def neighbours(self, qx, qy, k, max_distance_m, available, class_bits):
        found = [
            (distance_m(x, y, qx, qy), row)
            for row, (x, y, bits) in self.items.items()
            if (available is None or available[row]) and (class_bits is None or bits & class_bits)
        ]
        return sorted(entry for entry in found if entry[0] <= max_distance_m)[:k]
