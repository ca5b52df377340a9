import json
import os
from dataclasses import replace

import numpy as np
import pytest

from cities import grid_city
from dispatch.errors import InputError
from dispatch.eta.calibration import LEVELS
from dispatch.eta.edge_times import EdgeTimes
from dispatch.eta.evaluation import predict_trips
from dispatch.eta.features import COLUMNS
from dispatch.eta.ground import Ground
from dispatch.eta.model import (
    ASSUMED_RATIOS,
    FORMAT,
    FREE_FLOW,
    LEARNT,
    PROBES,
    EtaModel,
    constant_forest,
    fingerprint,
)
from dispatch.roads.city import City
from eta.eta_city import eta_city, next_day, trained

DAMAGE = np.random.default_rng(0)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "city.npz"
    trained().save(path)
    return path


@pytest.fixture(scope="module")
def arrays(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def loaded(path):
    return EtaModel.load(path, eta_city())


def written(folder, arrays, name="other.npz"):
    with (folder / name).open("wb") as file:
        np.savez(file, **arrays)
    return folder / name


def with_head(arrays, **changed):
    head = json.loads(arrays["head"].tobytes()) | changed
    head = {name: value for name, value in head.items() if value is not ...}
    return arrays | {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}


# --- there and back ------------------------------------------------------------------------------


def test_what_is_loaded_predicts_the_same_to_the_bit(path):
    model, again = trained(), loaded(path)
    before, after = (predict_trips(one, *next_day()) for one in (model, again))
    assert np.array_equal(before.predicted_s, after.predicted_s)
    assert np.array_equal(before.quantile_s, after.quantile_s)
    assert (again.kind, again.report, again.live) == (LEARNT, model.report, model.live)
    assert again.city is eta_city()
    assert again.levels == LEVELS


def test_the_same_model_is_the_same_file(path, tmp_path):
    trained().save(tmp_path / "same.npz")
    assert (tmp_path / "same.npz").read_bytes() == path.read_bytes()
    loaded(path).save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["again.npz", "same.npz"]


def test_a_file_is_replaced_whole(path, tmp_path):
    target = tmp_path / "city.npz"
    EtaModel.free_flow(eta_city()).save(target)
    trained().save(target)
    assert target.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", [FREE_FLOW, PROBES])
def test_models_of_streets_come_back(kind, tmp_path):
    model = EtaModel.free_flow(eta_city())
    if kind == PROBES:
        model = EtaModel.of_streets(trained().ground, PROBES, {"note": "ü"})
    model.save(tmp_path / "streets.npz")
    again = loaded(tmp_path / "streets.npz")
    assert (again.kind, again.report) == (kind, model.report)
    before, after = (predict_trips(one, *next_day()) for one in (model, again))
    assert np.array_equal(before.quantile_s, after.quantile_s)


# --- where little is known -----------------------------------------------------------------------


def test_free_flow_says_that_it_is():
    model = EtaModel.free_flow(eta_city())
    assert model.kind == FREE_FLOW
    assert "no data" in model.report["note"]
    found = predict_trips(model, next_day().trips)
    np.testing.assert_allclose(found.predicted_s, np.maximum(found.others["free flow"], 1.0), rtol=1e-5)
    np.testing.assert_allclose(found.quantile_s / found.predicted_s[:, None], [ASSUMED_RATIOS] * len(found))


def test_parts_that_do_not_fit_are_refused():
    model = trained()
    with pytest.raises(InputError, match="kind is 'guessed'"):
        replace(model, kind="guessed")
    with pytest.raises(InputError, match="forests"):
        replace(model, forests=model.forests[:4])
    other = replace(constant_forest(1.0), names=COLUMNS[::-1])
    with pytest.raises(InputError, match="forests"):
        replace(model, forests=(other, *model.forests[1:]))


# --- files that are no model ---------------------------------------------------------------------


def test_a_model_of_another_city_is_refused(path):
    with pytest.raises(InputError, match="trained for 'Gridville' and its roads"):
        EtaModel.load(path, grid_city(9, 9, seed=1))


def test_fingerprints_tell_networks_apart():
    graph = grid_city(4, 4).graph
    same = grid_city(4, 4).graph
    assert fingerprint(graph) == fingerprint(same)
    for name in ("node_lon", "node_lat", "length_m", "speed_kph"):
        values = getattr(graph, name).copy()
        values[3] += 1e-9
        assert fingerprint(replace(graph, **{name: values})) != fingerprint(graph)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "dispatch-eta 99"}, "dispatch-eta 99"),
        ({"format": ...}, "no model of ETAs"),
        ({"city": ...}, "no model of ETAs"),
        ({"kind": "guessed"}, "kind"),
        ({"kind": ["learnt"]}, "kind"),
        ({"kind": ...}, "damaged"),
        ({"start_s": -1}, "start_s"),
        ({"start_s": float("nan")}, "start_s"),
        ({"start_s": "soon"}, "damaged"),
        ({"live": {"edge_prior": -1}}, "edge_prior"),
        ({"live": {"colour": 1}}, "damaged"),
        ({"live": None}, "damaged"),
        ({"report": 7}, "damaged"),
    ],
)
def test_heads_that_are_wrong_are_refused(changed, message, arrays, tmp_path):
    path = written(tmp_path, with_head(arrays, **changed))
    with pytest.raises(InputError, match=message):
        loaded(path)


@pytest.mark.parametrize("head", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"format": "' + FORMAT.encode()])
def test_heads_that_are_no_json_are_refused(head, arrays, tmp_path):
    path = written(tmp_path, arrays | {"head": np.frombuffer(head, np.uint8)})
    with pytest.raises(InputError, match="no model of ETAs"):
        loaded(path)


def test_other_files_are_refused(arrays, tmp_path):
    assert loaded(written(tmp_path, arrays)).kind == LEARNT
    np.save(tmp_path / "one.npy", np.arange(9))
    np.save(tmp_path / "pickle.npy", np.array([{}], object), allow_pickle=True)
    (tmp_path / "text.npz").write_text("a model of ETAs")
    (tmp_path / "empty.npz").write_bytes(b"")
    written(tmp_path, {"a": np.arange(3)}, "others.npz")
    for name in ("one.npy", "pickle.npy", "text.npz", "empty.npz", "others.npz", "missing.npz", "."):
        with pytest.raises(InputError):
            loaded(tmp_path / name)


def test_truncated_files_are_refused(path, tmp_path):
    whole = path.read_bytes()
    for share in np.linspace(0, 0.999, 40):
        (tmp_path / "cut.npz").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"cut\.npz"):
            loaded(tmp_path / "cut.npz")


def test_flipped_bytes_are_refused_or_harmless(path, tmp_path):
    whole, rng = np.frombuffer(path.read_bytes(), np.uint8), np.random.default_rng(1)
    num_refused = 0
    for _ in range(150):
        broken = whole.copy()
        broken[rng.integers(0, len(broken), 3)] ^= rng.integers(1, 256, 3).astype(np.uint8)
        (tmp_path / "flipped.npz").write_bytes(broken.tobytes())
        try:
            loaded(tmp_path / "flipped.npz")
        except InputError:
            num_refused += 1
    assert num_refused > 100


def damages(values):
    """Ways to damage an array: each must be refused."""
    yield "missing", None
    yield "another axis", values[..., None]
    yield "text", values.astype(np.str_) if values.dtype.kind != "U" else values.astype("S")
    yield "no axis", values.ravel()[:1].reshape(())
    if len(values):
        yield "a row less", values[:-1]
    if values.dtype.kind == "f":
        for value in (np.nan, np.inf):
            spoilt = values.copy()
            spoilt.flat[DAMAGE.integers(0, max(spoilt.size, 1), 1)] = value
            yield str(value), spoilt
    elif values.dtype.kind == "i":
        yield "real", values.astype(np.float64)
        for first, last in ((2**31 - 1, -(2**31)), (-1_000_000, -1_000_000)):
            spoilt = values.copy()
            spoilt.flat[0], spoilt.flat[-1] = first, last
            yield str(first), spoilt


def test_each_array_that_is_damaged_is_refused(arrays, tmp_path):
    accepted = []
    for name, values in arrays.items():
        if name == "head":
            continue
        for what, damaged in damages(values):
            others = {one: array for one, array in arrays.items() if one != name}
            path = written(tmp_path, others if damaged is None else others | {name: damaged})
            try:
                loaded(path)
            except InputError:
                continue
            accepted.append((name, what))
    assert accepted == []


def test_times_that_are_none_are_refused(arrays, tmp_path):
    for name, value in (("edge_s", 0.0), ("edge_s", -1.0), ("slot_factor", 0.0), ("evidence", -1.0)):
        spoilt = arrays[f"trips.{name}"].copy()
        spoilt.flat[4] = value
        with pytest.raises(InputError, match="edge times"):
            loaded(written(tmp_path, arrays | {f"trips.{name}": spoilt}))


@pytest.mark.skipif(os.name == "nt", reason="folders are read-only in another way there")
def test_nothing_is_left_behind_where_saving_fails(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        trained().save(tmp_path / "nowhere" / "city.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_ground_of_its_own_city():
    city = City.from_graph("Elsewhere", grid_city(3, 3).graph, "UTC")
    free = EdgeTimes.free_flow(city.graph)
    model = EtaModel.of_streets(Ground(city, free, free, 0.0), PROBES, {})
    assert model.city is city
    assert model.kernel_ground is model.kernel_ground
