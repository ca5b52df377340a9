"""The rules of the house, each a function that tells where one file breaks it."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 8

# Beside what ruff knows: units that are not the house's own (_ms _s _m _cents), at the end of a name.
FOREIGN_UNIT = re.compile(
    r"_(secs?|seconds|mins|minutes|hours|millis|micros|meters?|metres?|km|miles|kmh|mph|usd|dollars|euros)$"
)
FOREIGN_UNITS_ALLOWED = {
    "total_km": "KPIs count kilometres",
    "empty_km": "KPIs count kilometres",
    "pickup_km": "KPIs count kilometres",
    "value_km": "KPIs count kilometres",
    "range_km": "of an electric car, as data sheets tell it",
    "watt_hours": "of energy sold, as meters tell it",
    "bin_minutes": "bars of a chart, as people choose them",
    "shift_hours": "the name of a command's option, which people read",
}
LOWERCASE_GLOBALS_ALLOWED = {
    "dispatch/cli/command.py": ({"app"}, "the command, as typer names it"),
    "dispatch/cli/city.py": ({"city_app"}, "a group of commands, as typer names it"),
    "dispatch/cli/scenario.py": ({"scenario_app"}, "a group of commands, as typer names it"),
    "dispatch/cli/crm.py": ({"crm_app"}, "a group of commands, as typer names it"),
    "dispatch/cli/crm_lists.py": ({"place_app"}, "a group of commands, as typer names it"),
    "dispatch/cli/crm_people.py": ({"customer_app", "driver_app"}, "groups of commands, as typer names them"),
    **{
        f"dispatch/crm/migrations/versions/{name}.py": (
            {"revision", "down_revision"},
            "a revision, as Alembic names it",
        )
        for name in (
            "r0001_people_orders",
            "r0002_fleet_service",
            "r0003_loyalty_engagement",
            "r0004_referral_purchase",
        )
    },
    "dispatch/cli/console.py": ({"out", "err"}, "the two streams of a command"),
    "dispatch/kernels/jit.py": ({"i8", "i32", "i64", "f64", "boolean"}, "scalar types, as numba writes them"),
}
MUTATED_GLOBALS_ALLOWED = {
    "dispatch/kernels/jit.py": ({"KERNELS"}, "the registry of kernels, complete once modules are imported"),
}
KERNEL_IMPORTS = {"__future__", "math", "typing", "numpy", "numba", "dispatch.units", "dispatch.kernels"}
KERNEL_TOOLS = {"jit.py", "shared_cache.py", "stopwatch.py", "warming.py"}
MUTATORS = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "clear"}
DTYPE = re.compile(r"\b(u?int(8|16|32|64)|float(32|64)|bool|complex128|integer)\b")
SHAPE = re.compile(r"\([\w +*\-]+,[\w +*\-, ]*\)")
MACHINE_PATH = re.compile(r"(?<![\w.~)\]}-])/(work|tmp|root|home|mnt|Users)/\w")
WORKSHOP_TALK = re.compile(
    r"\b(coding|AI|language)[ -](agent|assistant|model)s?\b|\bsub-?agents?\b"
    r"|\b(this|previous|earlier|next|another|last) session\b",
    re.IGNORECASE,
)
BARE_EXCUSE = re.compile(
    r"#\s*(type:\s*ignore(\[[\w, -]+\])?|noqa(:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*)?|pragma:\s*no (cover|branch)"
    r"|mypy:\s*ignore-errors)\s*$"
)
SKIPPING_MARK = re.compile(r"pytest\.mark\.(skip|skipif|xfail)")
STOPWATCH = re.compile(r"\b(perf_counter|process_time|took_s|elapsed_s)\b")
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the repository: its path from the top, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree: many rules look at them."""
        return list(ast.walk(self.tree))

    @property
    def is_python(self) -> bool:
        """Whether it holds Python."""
        return self.path.endswith(".py")

    @property
    def is_packaged(self) -> bool:
        """Whether it is a module of the package."""
        return self.is_python and self.path.startswith("dispatch/")

    @property
    def is_kernel(self) -> bool:
        """Whether it is a module of compiled functions."""
        return self.is_packaged and self.path.startswith("dispatch/kernels/")

    @property
    def module(self) -> PurePosixPath:
        """Its path inside the package."""
        return PurePosixPath(self.path).relative_to("dispatch")

    def functions(self) -> Iterator[Function]:
        """All functions and methods, nested ones too."""
        return (node for node in self.nodes if isinstance(node, Function))

    def at(self, line: int, what: str) -> str:
        """A complaint about one line."""
        return f"{self.path}:{line}: {what}"

    def lines_with(self, pattern: re.Pattern[str], what: str) -> Iterator[str]:
        """A complaint about each line in which a pattern is found."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if found := pattern.search(line):
                yield self.at(number, what.format(found.group().strip()))


# --- sizes ---------------------------------------------------------------------------------------


def files_are_short(source: Source) -> Iterator[str]:
    """At most MAX_FILE_LINES lines."""
    num_lines = len(source.text.splitlines())
    if source.is_python and num_lines > MAX_FILE_LINES:
        yield source.at(num_lines, f"{num_lines} lines, at most {MAX_FILE_LINES}")


def functions_are_short(source: Source) -> Iterator[str]:
    """At most MAX_FUNCTION_LINES lines of code, not counting docstring, comments and empty lines."""
    if not source.is_python:
        return
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    code_lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type not in skipped:
            code_lines.update(range(token.start[0], token.end[0] + 1))
    for function in source.functions():
        own = code_lines.intersection(range(function.lineno, (function.end_lineno or 0) + 1))
        if ast.get_docstring(function) is not None:
            docstring = function.body[0]
            own -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
        if len(own) > MAX_FUNCTION_LINES:
            what = f"{function.name} has {len(own)} lines of code, at most {MAX_FUNCTION_LINES}"
            yield source.at(function.lineno, what)


def parameters_are_few(source: Source) -> Iterator[str]:
    """At most MAX_PARAMETERS; commands are exempt, since each option of a command line is a parameter."""
    if not source.is_packaged:
        return
    for function in source.functions():
        if source.path.startswith("dispatch/cli/") and any(
            "app." in ast.unparse(d) for d in function.decorator_list
        ):
            continue
        names = [argument.arg for argument in _arguments(function) if argument.arg not in ("self", "cls")]
        if len(names) > MAX_PARAMETERS:
            what = f"{function.name} has {len(names)} parameters, at most {MAX_PARAMETERS}"
            yield source.at(function.lineno, what)


def _arguments(function: Function) -> list[ast.arg]:
    given = function.args
    rest = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


# --- docstrings ----------------------------------------------------------------------------------


def public_things_have_docstrings(source: Source) -> Iterator[str]:
    """Modules, public classes, public functions and methods."""
    if not source.is_packaged:
        return
    if source.text.strip() and not ast.get_docstring(source.tree):
        yield source.at(1, "the module has no docstring")
    for name, node in _public(source.tree.body):
        if not ast.get_docstring(node):
            yield source.at(node.lineno, f"{name} has no docstring")


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


def array_fields_tell_their_shape(source: Source) -> Iterator[str]:
    """A field that is an array is followed by a string with its shape, or the class tells that of all."""
    if not source.is_packaged:
        return
    for name, holder in _public(source.tree.body):
        if not isinstance(holder, ast.ClassDef):
            continue
        told, own = ast.get_docstring(holder) or "", ""
        for field in reversed(holder.body):
            if isinstance(field, ast.Expr):
                own = ast.unparse(field)
            if not (isinstance(field, ast.AnnAssign) and _is_array(field.annotation)):
                continue
            shape = SHAPE.search(own) or SHAPE.search(told)
            dtype = DTYPE.search(own) or DTYPE.search(told) or not source.is_kernel
            if not (shape and dtype):
                yield source.at(field.lineno, f"{name}.{ast.unparse(field.target)}: which shape and dtype?")


def array_parameters_tell_their_shape(source: Source) -> Iterator[str]:
    """A public function with arrays gives a shape in its docstring, or its class or module does for all.

    Helpers of kernels are not public: only kernels call them.
    """
    if not source.is_packaged or SHAPE.search(ast.get_docstring(source.tree) or ""):
        return
    docstrings = {name: ast.get_docstring(node) or "" for name, node in _public(source.tree.body)}
    for name, node in _public(source.tree.body):
        if isinstance(node, ast.ClassDef) or any(map(_is_helper_kernel, node.decorator_list)):
            continue
        arrays = [a.arg for a in _arguments(node) if a.arg.startswith("out_") or _is_array(a.annotation)]
        told = docstrings[name] + docstrings.get(name.rpartition(".")[0], "")
        if arrays and not SHAPE.search(told):
            yield source.at(node.lineno, f"{name}: which shape have {', '.join(arrays)}?")


def _is_helper_kernel(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "kernel" and not decorator.args


def _is_array(annotation: ast.expr | None) -> bool:
    text = "" if annotation is None else ast.unparse(annotation)
    return re.match(r"(np\.ndarray|NDArray|ArrayLike)\b", text) is not None


# --- habits --------------------------------------------------------------------------------------


def nothing_is_printed(source: Source) -> Iterator[str]:
    """The package talks through return values, errors and, in its command, rich."""
    if not source.is_packaged:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "pprint", "breakpoint"):
            yield source.at(node.lineno, f"calls {ast.unparse(node.func)}")


def no_error_is_swallowed(source: Source) -> Iterator[str]:
    """No bare ``except``, none that does nothing."""
    if not source.is_python:
        return
    for node in source.nodes:
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield source.at(node.lineno, "a bare except")
            if all(isinstance(s, ast.Pass) or ast.unparse(s) == "..." for s in node.body):
                yield source.at(node.lineno, "an except that does nothing")
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            yield source.at(node.lineno, "suppress hides an error")


def nothing_is_unfinished(source: Source) -> Iterator[str]:
    """What is to be done is an issue of the tracker, not a comment."""
    yield from source.lines_with(UNFINISHED, "unfinished: {}")


def tests_judge_no_time(source: Source) -> Iterator[str]:
    """How fast something is shows in the benchmarks, beside a peer; a machine that is busy breaks no test."""
    if not source.is_python or not source.path.startswith("tests/"):
        return
    for node in source.nodes:
        if isinstance(node, ast.Assert) and STOPWATCH.search(ast.unparse(node.test)):
            yield source.at(node.lineno, "asserts how long something took")


def excuses_have_reasons(source: Source) -> Iterator[str]:
    """What silences a tool says why, on the same line; a skip gives its reason."""
    if not source.is_python:
        return
    yield from source.lines_with(BARE_EXCUSE, "{} without a reason behind it")
    for node in source.nodes:
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            reason = any(keyword.arg == "reason" for keyword in node.keywords)
            if (SKIPPING_MARK.fullmatch(called) and not reason) or (
                called == "pytest.skip" and not node.args
            ):
                yield source.at(node.lineno, f"{called} without a reason")
        for decorator in getattr(node, "decorator_list", []):
            if SKIPPING_MARK.fullmatch(ast.unparse(decorator)):
                yield source.at(decorator.lineno, f"{ast.unparse(decorator)} without a reason")


def the_workshop_stays_out(source: Source) -> Iterator[str]:
    """No paths of one machine, no word about who or what wrote the code."""
    yield from source.lines_with(MACHINE_PATH, "a path of one machine: {}")
    yield from source.lines_with(WORKSHOP_TALK, "talk of the workshop: {}")


# --- state and names -----------------------------------------------------------------------------


def modules_hold_no_state(source: Source) -> Iterator[str]:
    """At the top of a module: constants in capitals and type aliases; no ``global``, no cache."""
    if not source.is_packaged:
        return
    allowed, _ = LOWERCASE_GLOBALS_ALLOWED.get(source.path, (set(), ""))
    for statement in source.tree.body:
        for name in _assigned(statement):
            constant = name.lstrip("_").isupper() or (name.startswith("__") and name.endswith("__"))
            named_elsewhere = _is_type_alias(statement, name) or _is_of_the_schema(source, statement)
            if not constant and not named_elsewhere and name not in allowed:
                yield source.at(statement.lineno, f"{name} is a global variable")
    for node in source.nodes:
        if isinstance(node, ast.Global):
            yield source.at(node.lineno, f"global {', '.join(node.names)}")
    for function in source.functions():
        for decorator in function.decorator_list:
            if re.fullmatch(r"(functools\.)?(lru_)?cache(\(.*\))?", ast.unparse(decorator)):
                yield source.at(function.lineno, f"{function.name} keeps a cache for the whole process")


def _is_of_the_schema(source: Source, statement: ast.stmt) -> bool:
    """A table of the database, which has its own name in it; or what Alembic reads of a revision."""
    if "/migrations/versions/" in source.path:
        return all(name in ("revision", "down_revision") for name in _assigned(statement))
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and ast.unparse(value.func) in ("sa.Table", "sa.MetaData")


def constants_stay_as_they_are(source: Source) -> Iterator[str]:
    """Nobody writes into a list, dict or set at the top of a module."""
    if not source.is_packaged:
        return
    allowed, _ = MUTATED_GLOBALS_ALLOWED.get(source.path, (set(), ""))
    tops = {name for statement in source.tree.body for name in _assigned(statement)} - allowed
    for function in source.functions():
        for node in ast.walk(function):
            written: ast.expr | None = None
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
                written = node.value
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                written = node.func.value if node.func.attr in MUTATORS else None
            if isinstance(written, ast.Name) and written.id in tops:
                yield source.at(node.lineno, f"{function.name} changes {written.id}")


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a module gives a value."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    for target in targets:
        yield from (
            n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        )


def _is_type_alias(statement: ast.stmt, name: str) -> bool:
    """Whether a name in CamelCase stands for a type: ``Rows = NDArray[np.int32]``."""
    value = getattr(statement, "value", None)
    return re.fullmatch(r"_?[A-Z][A-Za-z0-9]*", name) is not None and isinstance(
        value, ast.Subscript | ast.BinOp | ast.Name | ast.Attribute
    )


def units_are_the_house_s(source: Source) -> Iterator[str]:
    """Names end in ``_ms``, ``_s``, ``_m`` or ``_cents``, not in units of somebody else."""
    if not source.is_packaged:
        return
    for node in source.nodes:
        name = None
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.arg):
            name = node.arg
        if name and FOREIGN_UNIT.search(name) and name.strip("_") not in FOREIGN_UNITS_ALLOWED:
            yield source.at(node.lineno, f"{name} has a unit that is not the house's")


def kernels_import_little(source: Source) -> Iterator[str]:
    """Kernels know numpy, numba, the units and each other; what compiles, lists and times them more."""
    if not source.is_kernel:
        return
    is_tool = source.path.rpartition("/")[2] in KERNEL_TOOLS
    allowed = KERNEL_IMPORTS | (sys.stdlib_module_names if is_tool else frozenset())
    for node in source.nodes:
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "." * node.level]
        for module in modules:
            if not any(module == one or module.startswith(one + ".") for one in allowed):
                yield source.at(node.lineno, f"imports {module}")


RULES = (
    files_are_short,
    functions_are_short,
    parameters_are_few,
    public_things_have_docstrings,
    array_fields_tell_their_shape,
    array_parameters_tell_their_shape,
    nothing_is_printed,
    no_error_is_swallowed,
    nothing_is_unfinished,
    tests_judge_no_time,
    excuses_have_reasons,
    the_workshop_stays_out,
    modules_hold_no_state,
    constants_stay_as_they_are,
    units_are_the_house_s,
    kernels_import_little,
)
