"""Search at scale: the record, the crowd, and each way to search against plain NumPy."""

import json
import sys

from lib import evaluation, faces, verification
from lib.files import Problem
from lib.records import search
from lib.records.search import METHODS, PICTURES, SIZES, Crowd

import numpy as np
import pytest

FILE = json.loads(search.PATH.read_text(encoding="utf-8"))


# --- the record in the repository -----------------------------------------------------------------


def test_every_size_and_method_is_recorded_once_by_the_recipe_of_the_code():
    wanted = [(size, method) for size in SIZES for method in METHODS]
    assert [(row["enrolled"], row["method"]) for row in FILE["rows"]] == wanted
    names = ("backbone", "strength", "fpir", "strangers")
    assert [FILE[name] for name in names] == [getattr(search, name.upper()) for name in names]
    assert FILE["visitors"] == search.VISITORS * PICTURES


@pytest.mark.parametrize("row", FILE["rows"], ids=lambda row: f"{row['enrolled']}-{row['method']}")
def test_what_is_recorded_is_in_range(row):
    assert all(0 <= row[name] <= 1 for name in ("recall", "rank_1", "fnir, kept", "fpir, kept"))
    assert 0 <= row["fnir, low"] <= row["fnir, high"] <= 1
    assert row["fnir, more, low"] <= row["fnir, more, high"]
    assert row["fnir"] >= 1 - row["rank_1"] - 1e-4, "who is given a wrong name is not let in"
    assert all(row[name] > 0 for name in ("bytes", "ms, batch", "ms, single", "build_seconds"))
    if row["method"] in ("NumPy", "exact"):
        assert row["recall"] > 0.999
        assert row["fnir, more"] == pytest.approx(0, abs=0.002)


def test_more_enrolled_are_never_easier_for_the_exact_search():
    rows = search.recorded("NumPy")
    assert np.all(np.diff([row["rank_1"] for row in rows]) < 0)
    assert np.all(np.diff([row["fnir"] for row in rows]) > 0)


def test_recorded_gives_rows_and_refuses_what_is_not_there():
    assert [row["method"] for row in search.recorded(enrolled=10_000)] == list(METHODS)
    (row,) = search.recorded("graph", 1000)
    assert (row["method"], row["enrolled"]) == ("graph", 1000)
    with pytest.raises(KeyError, match=r"no row with .*magic.*search.json; it has method: NumPy"):
        search.recorded("magic")


def test_the_tables_show_the_record(monkeypatch):
    row = {"enrolled": 1000, "method": "NumPy", "bytes": 1256.4, "ms, batch": 0.0123456}
    row |= {"ms, single": 12.3456, "recall": 0.98765, "rank_1": 0.9, "fnir": 0.25}
    row |= {"fnir, low": 0.2, "fnir, high": 0.3}
    row |= {"fnir, more": 0.01, "fnir, more, low": -0.02, "fnir, more, high": -0.00001}
    monkeypatch.setattr(search, "recorded", lambda *method, **enrolled: [row])
    assert search.sizes_table().rows == [["1,000", "0.250 (0.200 to 0.300)", "0.900"]]
    cells = ["NumPy", "1,256", "0.0123", "12.3", "0.988", "+0.010 (−0.020 to +0.000)"]
    assert search.ways_table(1000).rows == [cells]
    assert search.ways_table(1000).caption.startswith("1,000 enrolled")


# --- the crowd ------------------------------------------------------------------------------------


def means(images, training=False):
    """A network without weights: 7 × 7 means."""
    return images.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(-1, 49)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype("float32")


@pytest.fixture
def small(monkeypatch):
    counts = {"CROWD": 30, "VISITORS": 20, "PICTURES": 3, "STRANGERS": 5, "SIZES": (20, 70)}
    for name, value in counts.items():
        monkeypatch.setattr(search, name, value)
    monkeypatch.setattr(search, "recorded_backbone", lambda name: means)


def test_the_crowd_is_of_pictures_whatever_its_size(small):
    few, many = search.draw_crowd(means, 20), search.draw_crowd(means, 70)
    assert (many.enrolled.shape, many.enrolled.dtype) == ((70, 49), "float32")
    np.testing.assert_array_equal(many.enrolled[:20], few.enrolled)
    np.testing.assert_array_equal(many.visitors, few.visitors)
    assert len(np.unique(many.enrolled, axis=0)) == 70, "somebody is there twice"
    np.testing.assert_array_equal(many.who, [*np.repeat(np.arange(20), 3), *[-1] * 5])
    parts = {
        "the third lot": (many.enrolled[60:], faces.people("test", 10, 1, strength=0, seed=2)),
        "visitors": (many.visitors[:60], faces.people("test", 20, 3, strength=0.3)),
        "strangers": (many.visitors[60:], faces.people("validation", 5, 1, strength=0.3)),
    }
    for part, (found, drawn) in parts.items():
        expected = unit(evaluation.embed(means, drawn.images))
        np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=part)


def test_a_crowd_is_kept_and_drawn_once(small, tmp_path, monkeypatch):
    path = tmp_path / "new" / "crowd.npz"
    first = search.kept_crowd(path)
    monkeypatch.setattr(search, "draw_crowd", None)
    for kept, drawn in zip(search.kept_crowd(path), first, strict=True):
        np.testing.assert_array_equal(kept, drawn)
    monkeypatch.setattr(search, "SIZES", (20, 71))
    with pytest.raises(Problem, match="crowd.npz has 70 people, not 71: delete it"):
        search.kept_crowd(path)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 cut off", None])
def test_a_file_that_holds_no_crowd_is_named(tmp_path, content):
    path = tmp_path / "crowd.npz"
    np.savez(path, embeddings=np.ones(3)) if content is None else path.write_bytes(content)
    with pytest.raises(Problem, match=r"crowd.npz holds no crowd.*delete it"):
        search.kept_crowd(path)


# --- the ways to search ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd():
    """2,000 people around their directions; the strangers are as near to each other as they."""
    rng = np.random.default_rng(0)
    enrolled = unit(rng.normal(size=(2000, 16)))
    own = np.repeat(np.arange(500), PICTURES)
    visitors = unit(enrolled[own] + 0.12 * rng.normal(size=(len(own), 16)))
    strangers = unit(rng.normal(size=(1000, 16)))
    who = np.concatenate([own, np.full(1000, -1)])
    return Crowd(enrolled, np.concatenate([visitors, strangers]), who)


@pytest.fixture(scope="module")
def exact(crowd):
    return search.answer(search.build("NumPy", crowd.enrolled), crowd)[0]


# of each way the least recall, and the bytes of an entry without the small codebook
EXPECTED = {
    "NumPy": (1, 64),
    "exact": (1, 64),
    "16 bits": (0.99, 32),
    "8 bits": (0.95, 16),
    "16 bytes": (0.9, 16 + 8),  # the codebook is 8 bytes an entry here
    "lists": (0.95, 64 + 8),
    "graph": (0.98, 64 + 270),
}


@pytest.mark.parametrize("method", EXPECTED)  # "32 bytes" needs more dimensions
def test_every_method_finds_whom_the_exact_search_finds(crowd, exact, method):
    index = search.build(method, crowd.enrolled)
    (scores, rows), times = search.answer(index, crowd)
    recall, size = EXPECTED[method]
    assert np.mean(rows == exact[1]) >= recall
    cosines = (crowd.visitors * crowd.enrolled[rows]).sum(axis=1)
    np.testing.assert_allclose(scores, cosines, atol=0.1)
    assert size <= search.size(index) / 2000 < size + 3
    assert min(times["ms, batch"], times["ms, single"]) > 0


def test_an_unknown_method_and_a_missing_library_are_told(crowd, monkeypatch):
    with pytest.raises(ValueError, match="method: expected one of NumPy, exact"):
        search.build("magic", crowd.enrolled)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(Problem, match="pip install faiss-cpu"):
        search.build("8 bits", crowd.enrolled)
    monkeypatch.setattr(sys, "argv", ["search"])
    with pytest.raises(SystemExit, match="pip install faiss-cpu"):
        search.main()


# --- what they are worth --------------------------------------------------------------------------


def test_the_errors_of_the_exact_search_are_those_of_search_scores(crowd, exact):
    """`verification` has all cosines at once, in float64."""
    own = crowd.who >= 0
    labels = np.where(own, crowd.who, -1 - np.arange(len(own)))
    names = np.arange(2000)
    scores = verification.search_scores(crowd.enrolled, names, crowd.visitors, labels)
    threshold = verification.threshold_at(scores, search.FPIR)
    found = search.rates(exact, exact, crowd.who)
    assert found["fnir"] == found["fnir, kept"] == 1 - scores.tar(threshold)
    assert 0.05 < found["fnir"] < 0.95, "neither all nor none"
    assert found["fpir, kept"] == scores.far(threshold) == search.FPIR
    ranks = verification.ranks(crowd.enrolled, names, crowd.visitors[own], labels[own])
    assert found["rank_1"] == np.mean(ranks == 1) < 1
    assert found["recall"] == 1
    assert found["fnir, more"] == found["fnir, more, low"] == found["fnir, more, high"] == 0


def test_errors_by_hand():
    """Two people, two pictures each, and 1,000 strangers, of whom ten may be named."""
    who = np.array([0, 0, 1, 1] + [-1] * 1000)
    strangers = np.repeat([0.1, 0.45, 0.5], [980, 10, 10])
    rows = np.array([0, 0, 1, 1] + [0] * 1000)
    exact = np.concatenate([[0.9, 0.6, 0.4, 0.8], strangers]), rows  # threshold 0.5
    wrong = np.where(np.arange(1004) == 3, 0, rows)
    lower = exact[0] - 0.2, wrong  # one wrong name, and all scores lower
    found = search.rates(lower, exact, who)
    assert (found["fnir"], found["fnir, more"]) == (0.5, 0.25)  # 0.2 refused, and the wrong name
    assert (found["fnir, kept"], found["fpir, kept"]) == (0.75, 0)  # only 0.7 is above 0.5
    assert (found["recall"], found["rank_1"]) == (1003 / 1004, 0.75)


def test_the_intervals_are_over_people():
    """Every second of 400 people gets a wrong name by one search: 0.5, ± 2 standard errors."""
    rng = np.random.default_rng(0)
    who = np.concatenate([np.repeat(np.arange(400), PICTURES), np.full(2000, -1)])
    scores = np.where(who < 0, rng.uniform(0, 0.5, len(who)), 0.9)
    wrong = np.append(rng.random(400) < 0.5, False)[who]  # both pictures of a person
    found = search.rates((scores, np.where(wrong, -1, who)), (scores, who), who)
    mean = wrong[who >= 0].mean()
    for name in ("fnir", "fnir, more"):
        assert found[name] == mean
        half = 1.96 * np.sqrt(mean * (1 - mean) / 400)
        assert found[f"{name}, low"] == pytest.approx(mean - half, abs=0.01)
        assert found[f"{name}, high"] == pytest.approx(mean + half, abs=0.01)


def test_a_record_has_a_row_for_each_size_and_method(crowd, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "METHODS", {"NumPy": None})
    monkeypatch.setattr(search.metadata, "version", lambda name: "1.0")
    path = tmp_path / "search.json"
    search.record(crowd, (1000, 2000), path)
    head = json.loads(path.read_text(encoding="utf-8"))
    assert {*FILE} == {*head}
    assert (head["dim"], head["visitors"], head["strangers"]) == (16, 1000, 1000)
    first, second = search.recorded(path=path)
    assert {*FILE["rows"][0]} == {*first}
    assert (first["enrolled"], second["enrolled"]) == (1000, 2000)
    assert first["fnir"] < second["fnir"]
