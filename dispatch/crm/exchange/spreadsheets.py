"""CSV that is opened in a spreadsheet: what people typed is shown there, and never run.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@``, in East Asian widths too, or with a
tab or line end before it (OWASP, CSV Injection). Quoting does not help. Such texts get an apostrophe in
front, by which spreadsheets take them for texts; an import takes it off again, so that every value comes back
as it was, those that begin with apostrophes of their own as well.

Where the list separator is a semicolon, our commas do not part cells, and quotation marks within a cell are
letters: a semicolon, tab or line end inside of a text begins a cell there. What follows it is treated alike.

A phone number, ``+`` and nothing but digits, stays as it is: there is nothing in it to run, the worst that
becomes of it is a number without its plus, and other programs that read the file want it as it is.
"""

from __future__ import annotations

import re
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_RUN: Final = r"[=+\-@＝＋－＠]"
_FORMULA: Final = rf"[ \t\r\n']*{_RUN}|'*[\t\r\n]"
"""How a text begins that is run; blanks and apostrophes before it do not always help."""
_WITHIN: Final = rf"[ '\"]*{_RUN}"
"""How one begins after a separator."""
_PARTS: Final = r"[;\t\r\n]"
_PHONE: Final = r"\+[0-9]+"

# Arrow's expressions do not look ahead: by these it finds the few texts that Python's then change.
_RISKY: Final = rf"\A(?:{_FORMULA})|{_PARTS}(?:{_WITHIN})"
_GUARDED: Final = rf"\A'(?:{_FORMULA})|{_PARTS}'(?:{_WITHIN})"
_TO_GUARD: Final = re.compile(rf"\A(?={_FORMULA})|(?<={_PARTS})(?={_WITHIN})")
_TO_FREE: Final = re.compile(rf"\A'(?={_FORMULA})|(?<={_PARTS})'(?={_WITHIN})")
_IS_PHONE: Final = re.compile(_PHONE)


def guarded_text(text: str) -> str:
    """Give a text for a cell of CSV, with an apostrophe before whatever a spreadsheet would run."""
    return text if _IS_PHONE.fullmatch(text) else _TO_GUARD.sub("'", text)


def freed_text(text: str) -> str:
    """Give a text of a cell of CSV without the apostrophes of :func:`guarded_text`."""
    return _TO_FREE.sub("", text)


def guarded(texts: pa.Array) -> pa.Array:
    """Guard texts (n,) as :func:`guarded_text` does each; other columns, and what is none, stay."""
    if not pa.types.is_string(texts.type):
        return texts
    risky = pc.match_substring_regex(texts, _RISKY)
    if not pc.any(risky).as_py():
        return texts
    return pa.array([None if text is None else guarded_text(text) for text in texts.to_pylist()], pa.string())


def freed(texts: pa.Array) -> pa.Array:
    """Undo :func:`guarded`."""
    if not pc.any(pc.match_substring_regex(texts, _GUARDED)).as_py():
        return texts
    return pa.array([None if text is None else freed_text(text) for text in texts.to_pylist()], pa.string())


def guarded_table(table: pa.Table) -> pa.Table:
    """Guard the columns of a table that are texts."""
    columns = [guarded(column.combine_chunks()) for column in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)
