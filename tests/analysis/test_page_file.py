import json
import sys

import pytest

from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.errors import DispatchError


def test_json_cannot_end_its_script():
    data = {"name": "</script><b>", "values": [1, None]}
    text = json_for_script(data)
    assert "<" not in text
    assert json.loads(text) == data


def test_a_page_replaces_the_one_before(tmp_path):
    path = tmp_path / "page.html"
    for text in ("one", "tw—o"):
        write_whole(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_parts_are_packaged():
    assert page_part("report.css").startswith(":root")
    assert len(plotly_source()) > 1_000_000


def test_without_plotly(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(DispatchError, match="pip install"):
        plotly_source()
