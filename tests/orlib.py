"""The assignment problems of the OR-Library, read from the files as they are published."""

import numpy as np

from dispatch.matching import AssignmentProblem

NUMBERS = range(100, 900, 100)


def read_optima(folder):
    """Problem → optimal sum; the file lists some whose data is not there, too."""
    lines = (line.split() for line in (folder / "assignopt.txt").read_text().splitlines())
    return {fields[0]: float(fields[1]) for fields in lines if len(fields) == 2}


def read_costs(folder, name):
    """(n, n) costs: the file holds n, and then all rows, broken anywhere."""
    numbers = np.array((folder / f"{name}.txt").read_text().split(), int)
    return numbers[1:].reshape(numbers[0], numbers[0])


def as_problem(costs, sequence):
    """Everybody knows everybody; `sequence` is that of each row's candidates, ``(n, n)``."""
    first = np.arange(0, costs.size + 1, len(costs))
    return AssignmentProblem.checked(
        first, sequence.ravel(), np.take_along_axis(costs, sequence, axis=1).ravel(), len(costs)
    )
