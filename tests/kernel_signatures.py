"""Which signatures of the registered kernels were compiled, and which of them should not have been."""

from numba.core import types
from numba.core.sigutils import normalize_signature


def registered(kernel):
    """The argument types that a kernel is declared for."""
    return {normalize_signature(signature)[0] for signature in kernel.signatures}


def compiled(kernel):
    """The argument types that this process has compiled or loaded; none where numba is switched off."""
    return set(getattr(kernel.function, "signatures", ()))


def needs_a_copy(argument):
    """Whether an argument holds an array that is strided or read-only."""
    if isinstance(argument, types.BaseTuple):
        return any(needs_a_copy(part) for part in argument)
    return isinstance(argument, types.Array) and (argument.layout != "C" or not argument.mutable)


def unregistered(kernels):
    """What was compiled by accident, as one line each; helpers take what kernels give them, but never copies."""
    return [
        f"{kernel.name}{signature}"
        for kernel in kernels.values()
        for signature in compiled(kernel)
        if (signature not in registered(kernel) if kernel.signatures else any(map(needs_a_copy, signature)))
    ]
