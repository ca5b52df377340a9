"""Which signatures of the registered kernels were compiled, and which of them should not have been."""

from numba.core import types
from numba.core.sigutils import normalize_signature


def registered(kernel):
    """The argument types that a kernel is declared for."""
    return {normalize_signature(signature)[0] for signature in kernel.signatures}


def compiled(kernel):
    """The argument types that this process has compiled or loaded; none where numba is switched off."""
    return set(getattr(kernel.function, "signatures", ()))


def should_be_copied(argument):
    """Whether an argument holds an array that is strided or read-only."""
    if isinstance(argument, types.BaseTuple):
        return any(should_be_copied(part) for part in argument)
    return isinstance(argument, types.Array) and (argument.layout != "C" or not argument.mutable)


def is_accidental(kernel, signature):
    """Whether nobody asked for a signature; helpers may take all kernels give them but what needs a copy."""
    if kernel.signatures:
        return signature not in registered(kernel)
    return any(map(should_be_copied, signature))


def unregistered(kernels):
    """Give the signatures that were compiled by accident, a line each."""
    return [
        f"{kernel.name}{signature}"
        for kernel in kernels.values()
        for signature in compiled(kernel)
        if is_accidental(kernel, signature)
    ]
