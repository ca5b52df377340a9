"""HTML pages as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
