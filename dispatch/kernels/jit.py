"""The one way to compile a kernel, and the registry of all of them.

Every kernel is declared with its signatures: the argument types that it may be called with. They
are what :func:`warm_up` compiles, and a test holds that nothing else was compiled by accident (a
strided or read-only array would compile a second version without a word).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
from numba import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NopythonTypeInference

from dispatch.kernels.shared_cache import save_in_turn

I8, I16, I32, I64 = (t[::1] for t in (types.int8, types.int16, types.int32, types.int64))
F32, F64, BOOL = types.float32[::1], types.float64[::1], types.boolean[::1]
I32_2D, I64_2D = types.int32[:, ::1], types.int64[:, ::1]
F32_2D, F64_2D = types.float32[:, ::1], types.float64[:, ::1]
i8, i32, i64, f64, boolean = types.int8, types.int32, types.int64, types.float64, types.boolean


class Direct:
    """A kernel of one signature, called without the search for the right one.

    That search looks at every array of every tuple and takes 0.1 µs for each, more than many a kernel itself.
    Arguments must have their exact types: nothing tells if an array is strided, of another kind of numbers as
    wide, or has more dimensions, and memory is overwritten then.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.call: Callable[..., Any] = self._first_call
        """the kernel; to be looked up at every call, for it changes"""

    def _first_call(self, *words: Any) -> Any:
        self.call = entry_point(self._name)
        return self.call(*words)


@dataclass(frozen=True)
class Kernel:
    """A compiled function and the signatures it is registered for."""

    name: str
    function: Any
    signatures: tuple[tuple[Any, ...], ...]

    @cached_property
    def direct(self) -> Direct:
        """How to call it where every microsecond counts."""
        return Direct(self.name)


KERNELS: dict[str, Kernel] = {}


@register_pass(mutates_CFG=False, analysis_only=True)
class _GivesNoArray(FunctionPass):  # type: ignore[misc]  # numba has no types
    """Refuse a kernel that counts no references and gives an array: its caller would free it too early."""

    _name = "gives_no_array"

    def __init__(self) -> None:  # numba's own is abstract
        super().__init__()

    def run_pass(self, state: Any) -> bool:  # pragma: no cover - not under NUMBA_DISABLE_JIT=1
        given = state.return_type
        parts = given.types if isinstance(given, types.BaseTuple) else (given,)
        if not state.flags.nrt and any(isinstance(part, types.Array | types.BaseTuple) for part in parts):
            name = state.func_id.func_name
            raise TypeError(f"{name} gives {given} and does not count references: say makes_arrays=True")
        return False


class _Compiler(CompilerBase):  # type: ignore[misc]  # numba has no types
    """Numba's own compiler with one look more."""

    def define_pipelines(self) -> list[Any]:  # pragma: no cover - not under NUMBA_DISABLE_JIT=1
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.add_pass_after(_GivesNoArray, NopythonTypeInference)
        manager.finalize()
        return [manager]


def kernel(
    *signatures: tuple[Any, ...], inline: bool = False, makes_arrays: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """Compile a pure function on arrays: cached on disk, releasing the GIL.

    Without a signature it is a helper that only other kernels call. With `inline` it becomes a part of its
    callers. One that makes or gives arrays, or gets them from a kernel that does, must say so: only then does
    numba count references to arrays, which took a quarter of a simulated day where it was done everywhere.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(
            cache=True,
            nogil=True,
            inline="always" if inline else "never",
            _nrt=makes_arrays,
            pipeline_class=_Compiler,
        )(function)
        save_in_turn(compiled)
        name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        KERNELS[name] = Kernel(name, compiled, signatures)
        return compiled

    return decorate


def direct(name: str) -> Direct:
    """Give a kernel by its registered name, to be called directly; compiled at the first call."""
    return KERNELS[name].direct


def entry_point(name: str) -> Callable[..., Any]:
    """Give what a kernel of one signature was compiled to.

    It skips the search for the right signature: 1.3 to 0.3 µs a call; arguments must have their exact types.
    """
    one = KERNELS[name]
    if hasattr(one.function, "compile"):  # pragma: no cover - absent under NUMBA_DISABLE_JIT=1
        (signature,) = one.signatures
        one.function.compile(signature)
        return one.function.overloads[signature].entry_point
    return one.function


def record(fields: type, *field_types: Any) -> Any:
    """Give the numba type of a ``NamedTuple`` of arrays and scalars, for use in a signature."""
    if all(t == field_types[0] for t in field_types):
        return types.NamedUniTuple(field_types[0], len(field_types), fields)
    return types.NamedTuple(field_types, fields)


def load_all() -> dict[str, Kernel]:
    """Import every kernel module, so that the registry is complete."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return KERNELS
