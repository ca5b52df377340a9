"""Files of lines and signatures that ports share."""

import base64
import hashlib
import hmac

import pytest

from dispatch.crm.ports.base import JsonLines, is_signed, sign, write_whole
from dispatch.errors import InputError, StoreError

SECRET = b"0123456789abcdef"


def test_lines_are_read_from_where_one_was(tmp_path):
    lines = JsonLines(tmp_path / "a.jsonl")
    lines.append({"a": 1}, {"a": 2})
    first = list(lines.read())
    assert [record for _, record in first] == [{"a": 1}, {"a": 2}]
    lines.append({"a": "é\n"})
    assert list(lines.read(first[-1][0])) == [(lines.path.stat().st_size, {"a": "é\n"})]
    with lines.path.open("a") as file:
        file.write('{"a": 4')
    assert len(list(lines.read())) == 3, "who writes has not ended that line"
    with lines.path.open("a") as file:
        file.write("}\n[5]\n")
    with pytest.raises(InputError, match="byte") as caught:
        list(lines.read())
    assert "[5]" not in str(caught.value)


def test_a_missing_folder_is_told(tmp_path):
    lines = JsonLines(tmp_path / "none" / "a.jsonl")
    for broken in (
        lambda: lines.append({}),
        lambda: list(lines.read()),
        lambda: write_whole(lines.path, b""),
    ):
        with pytest.raises(StoreError):
            broken()
    write_whole(tmp_path / "b", b"old")
    write_whole(tmp_path / "b", b"new")
    assert (tmp_path / "b").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_signature_covers_id_timestamp_and_body():
    signed = sign(SECRET, "msg_1", 1700, b'{"a":1}')
    plain = hmac.new(SECRET, b'msg_1.1700.{"a":1}', hashlib.sha256).digest()
    assert signed == "v1," + base64.b64encode(plain).decode()
    assert is_signed(SECRET, "msg_1", 1700, b'{"a":1}', signed)
    assert is_signed(SECRET, "msg_1", 1700, b'{"a":1}', f"v1,old {signed}")
    for changed in (
        (b"fedcba9876543210", "msg_1", 1700, b'{"a":1}'),
        (SECRET, "msg_2", 1700, b'{"a":1}'),
        (SECRET, "msg_1", 1701, b'{"a":1}'),
        (SECRET, "msg_1", 1700, b'{"a":2}'),
    ):
        assert not is_signed(*changed, signed)
    assert not is_signed(SECRET, "msg_1", 1700, b'{"a":1}', "")
    assert not is_signed(SECRET, "msg_1", 1700, b'{"a":1}', "v1,é")
    for secret, id_ in ((b"short", "a"), (SECRET, ""), (SECRET, "a.17")):
        with pytest.raises(InputError):
            sign(secret, id_, 1, b"")
