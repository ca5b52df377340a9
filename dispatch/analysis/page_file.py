"""HTML pages as files, and what they are put together from."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from dispatch.errors import DispatchError


def page_part(name: str) -> str:
    """Give the text of a file that pages are put together from."""
    return (files("dispatch.analysis") / "page" / name).read_text(encoding="utf-8")


def plotly_source() -> str:
    """Give the library that draws charts.

    Raises
    ------
    DispatchError
        Plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise DispatchError(
            'reports need plotly, which is not installed: pip install "dispatch-engine[report]"'
        ) from error
    return str(get_plotlyjs())


def json_for_script(data: dict[str, Any]) -> str:
    """Give JSON that may stand inside of a script element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")


def write_whole(path: Path, page: str) -> None:
    """Write a page whole or not at all."""
    # A reader never meets half a page: the name changes hands when all is written.
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(path)
