import json

import pytest

from dispatch.analysis.page_file import json_for_script, write_whole


def test_no_text_can_close_the_script():
    data = {"title": "</script><b>", "number": 1.5}
    text = json_for_script(data)
    assert "<" not in text
    assert json.loads(text) == data


def test_what_json_does_not_know_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_for_script({"share": float("nan")})


def test_a_page_is_written_whole(tmp_path):
    path = tmp_path / "page.html"
    write_whole(path, "first")
    write_whole(path, "äöü")
    assert path.read_text(encoding="utf-8") == "äöü"
    assert list(tmp_path.iterdir()) == [path]
