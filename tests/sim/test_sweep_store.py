import json

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.sim import sweep_store
from dispatch.sim.sweep_store import RunStore, code_sha256, read_runs, run_id
from sim.tiny_sweeps import TINY, stored_run


def test_runs_come_back_as_they_were_kept(tmp_path):
    runs = [
        stored_run("a", 1, 0.9, drivers=300, policy="batch"),
        stored_run("b", 2, None, drivers=300, policy="batch"),
        stored_run("c", 1, 0.8, drivers=200, policy="nearest"),
    ]
    with RunStore(tmp_path / "runs", TINY, "code") as store:
        for run in runs:
            store.add(run)
    with RunStore(tmp_path / "runs", TINY, "code") as store:
        assert [store.get(run.run_id) for run in runs] == runs
        assert store.get("d") is None
        assert len(store) == 3
    # By what was varied, then by seed: in whichever sequence they ended.
    assert [run.run_id for run in read_runs(tmp_path / "runs")] == ["c", "a", "b"]
    columns = pq.read_table(tmp_path / "runs" / "runs.parquet").column_names
    assert columns[:4] == ["drivers", "policy", "run_id", "seed"]
    assert {"golden10_share", "event_log_sha256", "run_s"} <= set(columns)


values = st.dictionaries(
    st.sampled_from(["drivers", "window_s", "policy"]),
    st.integers(-(2**40), 2**40) | st.floats(allow_nan=False) | st.booleans() | st.text(max_size=5),
)


@given(st.lists(values, max_size=6))
@settings(max_examples=30)
def test_values_of_any_type_are_kept(tmp_path_factory, all_values):
    folder = tmp_path_factory.mktemp("runs")
    with RunStore(folder, TINY, "code") as store:
        for number, some in enumerate(all_values):
            store.add(stored_run(f"{number:03d}", 1, 0.5, **some))
    back = {run.run_id: run.values for run in read_runs(folder)}
    for number, some in enumerate(all_values):
        found = back[f"{number:03d}"]
        assert found.keys() == some.keys()
        for key, value in some.items():
            kinds = {type(one[key]) for one in all_values if key in one}
            # A column has one type: the values as they were, as floats, or in words.
            assert found[key] == (value if len(kinds) == 1 or kinds == {int, float} else str(value)) or (
                kinds == {int, float} and found[key] == float(value)
            )


def test_a_run_learns_what_it_is_looked_for_by(tmp_path):
    with RunStore(tmp_path, TINY, "code") as store:
        store.add(stored_run("a", 1, 0.9, drivers=300))
        assert store.knows("a", {"drivers": 300})
        assert store.knows("a", {"drivers": 300, "policy": "batch"})
        assert not store.knows("b", {"drivers": 300})
        store.save()
    assert [run.values for run in read_runs(tmp_path)] == [{"drivers": 300, "policy": "batch"}]


def test_in_memory_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunStore(None, TINY, "code") as store:
        store.add(stored_run())
        store.note({"num_seeds": 3})
        assert store.get("a") == stored_run()
    assert list(tmp_path.iterdir()) == []


def test_a_crash_while_writing_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    with RunStore(tmp_path, TINY, "code") as store:
        store.add(stored_run("a"))
        write = sweep_store.pq.write_table

        def half(table, file):
            write(table, file)
            file.truncate(file.tell() // 2)
            raise OSError("the disk is full")

        monkeypatch.setattr(sweep_store.pq, "write_table", half)
        with pytest.raises(OSError, match="the disk is full"):
            store.add(stored_run("b"))
        monkeypatch.undo()
    with RunStore(tmp_path, TINY, "code") as store:
        assert [store.get(name) is not None for name in "ab"] == [True, False]
        store.add(stored_run("b"))
    assert len(read_runs(tmp_path)) == 2


def test_a_changed_scenario_is_refused_and_what_changed_is_told(tmp_path):
    with RunStore(tmp_path, TINY, "code") as store:
        store.add(stored_run())
    changed = TINY.with_values({"orders": 70, "window_s": 60})
    with pytest.raises(InputError) as told:
        RunStore(tmp_path, changed, "code")
    assert "day.orders was 60, is 70" in str(told.value)
    assert "sim.window_s was 300.0, is 60.0" in str(told.value)
    assert "another folder" in str(told.value)
    RunStore(tmp_path, TINY.with_value("scenario.name", "renamed"), "code").__exit__(None, None, None)


def test_other_code_is_refused(tmp_path):
    RunStore(tmp_path, TINY, "a" * 64).__exit__(None, None, None)
    with pytest.raises(InputError, match=r"made by other code, dispatch .* \(aaaaaaaa\).*\(bbbbbbbb\)"):
        RunStore(tmp_path, TINY, "b" * 64)


def test_a_folder_is_one_process_s_at_a_time(tmp_path):
    with RunStore(tmp_path, TINY, "code"), pytest.raises(InputError, match="another process is writing runs"):
        RunStore(tmp_path, TINY, "code")
    RunStore(tmp_path, TINY, "code").__exit__(None, None, None)


def test_places_that_are_no_store(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="that is a file"):
        RunStore(tmp_path / "file", TINY, "code")
    for name, text, message in (
        ("a", "{", "no readable JSON"),
        ("b", "[]", "not of a sweep that this version can read"),
        ("c", '{"format": 99}', "not of a sweep that this version can read"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sweep.json").write_text(text)
        with pytest.raises(InputError, match=message):
            RunStore(tmp_path / name, TINY, "code")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "runs.parquet").write_text("x")
    with pytest.raises(InputError, match=r"runs.parquet but no sweep.json"):
        RunStore(tmp_path / "d", TINY, "code")
    RunStore(tmp_path / "e", TINY, "code").__exit__(None, None, None)
    (tmp_path / "e" / "runs.parquet").write_text("x")
    with pytest.raises(InputError, match="no readable Parquet file"):
        RunStore(tmp_path / "e", TINY, "code")


def test_whose_runs_these_are_can_be_read(tmp_path):
    with RunStore(tmp_path, TINY, "code") as store:
        store.note({"num_seeds": 3})
    meta = json.loads((tmp_path / "sweep.json").read_text())
    assert (meta["scenario"], meta["digest"], meta["num_seeds"]) == ("tiny", TINY.digest(), 3)
    assert meta["values"]["day.orders"] == 60


def test_runs_are_named_by_all_that_they_depend_on():
    names = {
        run_id(TINY, 1, "code"),
        run_id(TINY, 2, "code"),
        run_id(TINY, 1, "other"),
        run_id(TINY.with_value("drivers", 11), 1, "code"),
    }
    assert len(names) == 4
    assert run_id(TINY.with_value("drivers", 10), 1, "code") in names
    assert code_sha256() == code_sha256()
    assert len(code_sha256()) == 64
