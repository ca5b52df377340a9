"""The register of erasures: a file that nobody is lost from."""

import multiprocessing

import pytest

from dispatch.crm.people.register import (
    ErasedPerson,
    Register,
    as_facts,
    begin,
    note,
    note_backup,
    of_facts,
    read,
    read_given,
    register_path,
)
from dispatch.errors import InputError, StoreError


def noted(register, name):
    return read(register).erased.get(name, [])


def test_the_register(tmp_path):
    register = register_path(tmp_path / "crm.keys")
    assert register.name == "crm.keys.erased"
    assert noted(register, "a") == []
    persons = [ErasedPerson("customer", row, row) for row in range(5)]
    note(register, "a", persons[:2])
    assert register.stat().st_mode & 0o77 == 0
    with register.open("ab") as file:
        file.write(b'{"kind":"cust')  # a crash
    assert noted(register, "a") == persons[:2]
    note(register, "a", persons[2:])
    assert noted(register, "a") == persons
    assert noted(register, "b") == []
    for line in (b"{}\n", b"nothing\n", b'{"at_ms":1,"database":"a","kind":"dog","person_id":1}\n', b"[]\n"):
        kept = register.read_bytes()
        register.write_bytes(kept + line)
        with pytest.raises(StoreError, match="line 6"):
            noted(register, "a")
        register.write_bytes(kept)
    with pytest.raises(StoreError, match="cannot be written"):
        note(tmp_path / "none" / "x", "a", persons)


def test_nobody_is_lost_from_the_register_whoever_writes_at_the_same_time(tmp_path):
    register = register_path(tmp_path / "crm.keys")

    def write(first):
        for row in range(first, first + 150):
            note(register, "a", [ErasedPerson("customer", row, 1)])

    workers = [multiprocessing.get_context("fork").Process(target=write, args=(n * 150,)) for n in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join(60)
    assert sorted(person.person_id for person in noted(register, "a")) == list(range(600))


def test_what_it_is_kept_for(tmp_path):
    register = register_path(tmp_path / "crm.keys")
    assert read(register) == Register()
    begin(register, "a", 1)
    note_backup(register, "b", "mark", 2)
    note(register, "c", [ErasedPerson("driver", 1, 3)])
    told = read(register)
    assert (told.databases, told.backups) == (frozenset("abc"), frozenset({"mark"}))
    assert told.erased == {"c": [ErasedPerson("driver", 1, 3)]}
    with pytest.raises(InputError, match="no such register"):
        read_given(tmp_path / "none")
    with pytest.raises(StoreError, match="cannot be read"):
        read(tmp_path)


def test_registers_are_joined_and_compared():
    person = ErasedPerson("customer", 7, 5)
    known, other = Register({"a": [person]}, frozenset("a")), Register({"b": [person]}, frozenset("b"))
    joined = known.joined(other)
    assert joined.databases == frozenset("ab")
    assert joined.erased == {"a": (person,), "b": (person,)}
    entered = {("customer", 7): 4}
    assert known.without(joined, entered).erased == {}
    assert known.without(other, entered).erased == {"a": [person]}
    # Whoever was entered after that erasure is somebody else.
    assert known.without(joined, {("customer", 7): 6}).erased == {"a": [person]}


def test_a_backup_tells_the_same(tmp_path):
    told = Register({"a": [ErasedPerson("customer", 7, 5)], "b": [ErasedPerson("driver", 1, 1)]})
    assert of_facts({"erased": as_facts(told)}, tmp_path) == told
    assert of_facts({}, tmp_path) == Register()
    for wrong in ([["a", "customer", 7]], [["a", "dog", 7, 5]], [["a", "customer", "x", 5]], 5):
        with pytest.raises((StoreError, InputError)):
            of_facts({"erased": wrong}, tmp_path)
