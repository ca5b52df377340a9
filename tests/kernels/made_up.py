"""Functions that tests make kernels of."""


def doubled(values, out_values):
    for i in range(len(values)):
        out_values[i] = 2 * values[i]


def plus_one(value):
    return value + 1
