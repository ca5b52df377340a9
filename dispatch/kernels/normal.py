"""The standard normal distribution's quantile, for draws that are counted instead of generated in turn."""

from math import log, sqrt

import numpy as np

from dispatch.kernels.jit import F64, kernel

# Rational approximations of Wichura 1988, numerator and denominator, the constant term first.
_MIDDLE = (
    (
        3.3871328727963666080e0,
        1.3314166789178437745e2,
        1.9715909503065514427e3,
        1.3731693765509461125e4,
        4.5921953931549871457e4,
        6.7265770927008700853e4,
        3.3430575583588128105e4,
        2.5090809287301226727e3,
    ),
    (
        1.0,
        4.2313330701600911252e1,
        6.8718700749205790830e2,
        5.3941960214247511077e3,
        2.1213794301586595867e4,
        3.9307895800092710610e4,
        2.8729085735721942674e4,
        5.2264952788528545610e3,
    ),
)
_TAIL = (
    (
        1.42343711074968357734e0,
        4.63033784615654529590e0,
        5.76949722146069140550e0,
        3.64784832476320460504e0,
        1.27045825245236838258e0,
        2.41780725177450611770e-1,
        2.27238449892691845833e-2,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187e0,
        1.67638483018380384940e0,
        6.89767334985100004550e-1,
        1.48103976427480074590e-1,
        1.51986665636164571966e-2,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_FAR_TAIL = (
    (
        6.65790464350110377720e0,
        5.46378491116411436990e0,
        1.78482653991729133580e0,
        2.96560571828504891230e-1,
        2.65321895265761230930e-2,
        1.24266094738807843860e-3,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        5.99832206555887937690e-1,
        1.36929880922735805310e-1,
        1.48753612908506148525e-2,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


@kernel()
def rational(terms, x):
    """Evaluate the ratio of two polynomials of degree 7 at `x`, by Horner's rule."""
    above, below = terms
    top = bottom = 0.0
    for k in range(7, -1, -1):
        top = top * x + above[k]
        bottom = bottom * x + below[k]
    return top / bottom


@kernel()
def normal_quantile(level):
    """Give the z below which a standard normal variable lies with probability `level`; infinite at 0 and 1.

    Relative error about 1e-15.

    Source: Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied
    Statistics 37 (1988), PPND16.
    """
    if level <= 0.0:
        return -np.inf
    if level >= 1.0:
        return np.inf
    off = level - 0.5
    if abs(off) <= 0.425:
        return off * rational(_MIDDLE, 0.180625 - off * off)
    depth = sqrt(-log(min(level, 1.0 - level)))
    z = rational(_TAIL, depth - 1.6) if depth <= 5.0 else rational(_FAR_TAIL, depth - 5.0)
    return z if off > 0 else -z


@kernel((F64, F64))
def normal_quantiles(level, out_z):
    """Write :func:`normal_quantile` of each `level` (n,) to `out_z` (n,)."""
    for i in range(len(level)):
        out_z[i] = normal_quantile(level[i])
