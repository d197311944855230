"""Records are current, resumable, written whole or not at all, and stale when code changes."""

import json
import re
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

from lib import evaluation, faces, verification
from lib.backbones import build_backbone
from lib.files import Problem
from lib.records import fingerprint as fingerprint_module
from lib.records import results, runs

import keras
import numpy as np
import pytest

# --- the record in the repository -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["lesson", "full"])
def test_the_record_came_from_the_code_of_today(mode):
    entries, known = results.read_results()[mode], results.runs_of(mode)
    assert set(entries) == set(known), "a run is missing, or gone: run `make results`"
    stale = [name for name, entry in entries.items() if not results.is_current(name, entry, mode)]
    assert stale == [], "these records are stale: run `make results`"
    # with other packages they are not, but whoever reads on should know
    for text in sorted(
        {text for entry in entries.values() for text in results.other_packages(entry)}
    ):
        warnings.warn(f"{mode} mode was recorded with {text}", stacklevel=1)


@pytest.mark.parametrize("mode", ["lesson", "full"])
def test_every_record_names_the_packages_that_decide_its_numbers(mode):
    for name, entry in results.read_results()[mode].items():
        assert set(entry["versions"]) == {"python", *results.runs_of(mode)[name].packages}


def test_no_two_runs_have_the_same_numbers():
    entries = results.read_results()["lesson"].values()
    rows = [json.dumps(entry["rows"], sort_keys=True) for entry in entries]
    assert len(set(rows)) == len(rows)


def test_recorded_softmax_is_as_good_as_the_lesson_says():
    accuracy = results.recorded("softmax-2d").values("head_accuracy")
    assert sum(accuracy) / len(accuracy) >= 0.94
    assert min(accuracy) >= 0.93


@pytest.mark.parametrize("name", runs.KEPT_EMBEDDINGS)
def test_kept_embeddings_are_finite_and_of_all_classes(name):
    embeddings, labels = results.recorded_embeddings(name)
    assert embeddings.shape == (1000, int(re.search(r"(\d+)d\b", name)[1]))
    assert np.isfinite(embeddings).all()
    assert set(labels.tolist()) == set(range(10))


def test_what_is_not_recorded_says_which_command_of_which_mode_records_it(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="make results FULL=1"):
        results.recorded_embeddings("demo-20d-softmax", folder=tmp_path)
    with pytest.raises(KeyError, match="make results"):
        results.recorded("no-such-run")
    monkeypatch.setattr(results, "read_results", dict)
    with pytest.raises(KeyError, match="make results`"):
        results.recorded("softmax-2d", "lesson")
    with pytest.raises(KeyError, match="make results FULL=1`"):
        results.recorded("softmax-2d", "full")
    with pytest.raises(KeyError, match="make results`"):
        results.recorded("faces-arcface-1000", "full")


def test_a_map_in_full_mode_is_that_of_lesson_mode_where_there_is_no_other():
    lesson = results.recorded_embeddings("combined-0.9-64d", "lesson")[0]
    assert np.array_equal(results.recorded_embeddings("combined-0.9-64d", "full")[0], lesson)
    assert not np.array_equal(
        results.recorded_embeddings("combined-64d", "full")[0],
        results.recorded_embeddings("combined-64d", "lesson")[0],
    )


def test_a_lesson_in_full_mode_gets_what_is_recorded_in_lesson_mode_only():
    lesson = results.recorded("faces-arcface-1000", "lesson")
    full = results.recorded("faces-arcface-1000", "full")
    assert full.title == f"{lesson.title}, lesson mode"
    assert full.rows == lesson.rows
    assert results.recorded("demo-2d-softmax", "full").title == "softmax"


def test_mean_spread_and_band_by_hand():
    record = results.Record("by hand", {"0": {"eer": 1.0}, "1": {"eer": 2.0}, "2": {"eer": 6.0}})
    assert record.mean("eer") == 3.0
    assert record.spread("eer") == pytest.approx(7**0.5)
    assert record.band("eer") == (-14, 21)
    assert np.isnan(results.Record("one seed", {"0": {"eer": 1.0}}).spread("eer"))


# --- recording ------------------------------------------------------------------------------------


class Trained(list):
    """The seeds that were 'trained'; the training after `limit` of them is interrupted."""

    limit = None


@pytest.fixture
def trained(monkeypatch):
    """Replace loading, training and scoring of digits."""
    seeds = Trained()

    def train(run, seed, data):
        if len(seeds) == seeds.limit:
            raise KeyboardInterrupt
        seeds.append(seed)
        return seed

    monkeypatch.setattr(runs.Run, "train", train)
    monkeypatch.setattr(runs.DigitRun, "score", lambda run, model, data: {"eer": model / 7})
    monkeypatch.setattr(runs.DigitRun, "load_data", staticmethod(lambda mode: "digits"))
    monkeypatch.setattr(keras.utils, "clear_session", lambda: None)
    return seeds


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json"


def record(path, name="softmax-2d"):
    results.record_all("lesson", [name], path)
    return results.read_results(path)["lesson"][name]


def record_in_part(path, trained):
    trained.clear()
    trained.limit = 3
    with pytest.raises(KeyboardInterrupt):
        record(path)
    trained.limit = None
    trained.clear()


def test_an_interrupted_recording_goes_on_where_it_stopped(trained, path):
    record_in_part(path, trained)
    assert set(results.read_results(path)["lesson"]["softmax-2d"]["rows"]) == {"0", "1", "2"}
    entry = record(path)
    assert trained == [3, 4]
    assert entry["rows"]["4"] == {"eer": round(4 / 7, 6)}
    assert results.is_current("softmax-2d", entry)


def test_a_stale_record_is_trained_anew(trained, path, monkeypatch):
    record(path)
    record(path)
    assert trained == [0, 1, 2, 3, 4]
    monkeypatch.setattr(results, "run_fingerprint", lambda run: "of tomorrow")
    record_in_part(path, trained)
    assert len(results.read_results(path)["lesson"]["softmax-2d"]["rows"]) == 3


def test_other_packages_are_told_and_never_mixed(trained, path, monkeypatch, capsys):
    entry = record(path)
    assert results.other_packages(entry) == []
    monkeypatch.setattr(results.metadata, "version", "{}-0.0".format)
    assert f"keras {entry['versions']['keras']}, here keras-0.0" in results.other_packages(entry)
    # complete, it stays as it is, and the command says what it was made with
    assert record(path) == entry
    assert results.is_current("softmax-2d", entry)
    monkeypatch.setattr(results, "read_results", lambda: {"lesson": {"softmax-2d": entry}})
    monkeypatch.setattr(results, "record_all", lambda mode, names: None)
    monkeypatch.setattr(sys, "argv", ["results"])
    results.main()
    assert f"keras {entry['versions']['keras']}, here keras-0.0" in capsys.readouterr().out


def test_a_record_that_goes_on_with_other_packages_starts_anew(trained, path, monkeypatch):
    record_in_part(path, trained)
    monkeypatch.setattr(results.metadata, "version", lambda package: "0.0")
    entry = record(path)
    assert trained == [0, 1, 2, 3, 4]
    assert entry["versions"]["numpy"] == "0.0"


def test_two_recordings_at_once_lose_no_row(trained, path, monkeypatch):
    in_turn, others = runs.Run.train, ["softmax-2d"]

    def train(run, seed, data):
        while others:
            record(path, others.pop())  # another command is faster
        return in_turn(run, seed, data)

    monkeypatch.setattr(runs.Run, "train", train)
    trained.limit = 6
    with pytest.raises(KeyboardInterrupt):
        record(path)
    assert len(results.read_results(path)["lesson"]["softmax-2d"]["rows"]) == 5
    trained.limit = None
    names = ["normface-2d", "cosface-2d", "arcface-2d", "combined-2d"]
    with ThreadPoolExecutor() as pool:
        assert [len(e["rows"]) for e in pool.map(lambda name: record(path, name), names)] == [5] * 4
    rows = [len(entry["rows"]) for entry in results.read_results(path)["lesson"].values()]
    assert rows == [5] * 5
    assert [file.name for file in path.parent.iterdir()] == ["results.json"]


def test_a_lock_that_was_left_over_says_so(trained, path, monkeypatch):
    monkeypatch.setattr(results, "LOCK_SECONDS", 0.1)
    path.with_suffix(".lock").touch()
    with pytest.raises(Problem, match="delete it"):
        record(path)


def test_lesson_and_full_records_live_side_by_side(trained, path):
    path.write_text('{"full": {"softmax-2d": {"title": "kept"}}}')
    record(path)
    assert results.read_results(path)["full"]["softmax-2d"] == {"title": "kept"}


def test_a_damaged_record_says_how_to_restore_it(path):
    path.write_text('{"lesson": {')
    with pytest.raises(Problem, match="git checkout"):
        results.read_results(path)


def test_the_embeddings_that_are_kept_are_the_first_ones(trained, path, monkeypatch):
    class Digits:
        x_test, y_test = np.arange(2000.0).reshape(1000, 2), np.arange(1000) % 10

    monkeypatch.setattr(runs.DigitRun, "load_data", staticmethod(lambda mode: Digits))
    monkeypatch.setattr(results.evaluation, "backbone_of", lambda model: model)
    monkeypatch.setattr(results.evaluation, "embed", lambda model, images: images + model)
    record(path, "softmax-64d")
    embeddings, labels = results.recorded_embeddings("softmax-64d", "lesson", path.parent)
    assert np.array_equal(embeddings, Digits.x_test)  # those of seed 0, not of seed 1 or 2
    assert np.array_equal(labels, Digits.y_test)


@pytest.mark.parametrize("count", [6, 15])
def test_a_run_is_seeded_and_trains_on_its_own_classes_only(monkeypatch, count):
    seen = []

    def recipe(data, num_classes, verbose, scale):
        seen.extend([data.traits.tolist(), num_classes, verbose, scale])
        backbone = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        return keras.Sequential([backbone, keras.layers.Dense(num_classes)])

    monkeypatch.setattr(runs.recipes, "recipe", recipe, raising=False)
    monkeypatch.setattr(runs.training, "set_seed", seen.append)
    part = {"images": 4, "part": "validation"}
    run = runs.FaceRun("title", "recipe", {"scale": 16}, num_classes=count, **part)
    model = run.train(7, run.load_data("lesson"))
    assert seen == [7, faces.identities("train", count).tolist(), count, False, 16]
    monkeypatch.setattr(
        runs.evaluation, "open_set_scores", lambda x, y: {"rows": len(x), "who": y.max()}
    )
    row = run.score(model, None)
    assert (row["rows"], row["who"]) == (5000, 499)
    assert 0 <= row["train_accuracy"] <= 1


def test_digits_bring_their_own_data_and_faces_draw_them():
    assert runs.RUNS["faces-softmax-1000"].load_data("full") is None
    digits = runs.RUNS["softmax-2d-five-digits"].load_data("lesson")
    assert set(runs.RUNS["softmax-2d-five-digits"].seen(digits).y_train) == set(range(5))


# --- kept backbones -------------------------------------------------------------------------------


def trained_backbone(dim=64):
    """A backbone whose weights are all different, those of the batch normalisations as well."""
    backbone, rng = build_backbone(dim), np.random.default_rng(0)
    backbone.set_weights([w + rng.uniform(0, 0.1, w.shape) for w in backbone.get_weights()])
    return backbone


@pytest.mark.parametrize("name", runs.KEPT_BACKBONES)
def test_a_kept_backbone_comes_back_in_half_precision(name, tmp_path):
    backbone = trained_backbone()
    model = keras.Sequential([backbone, keras.layers.Dense(5)])
    model.build((None, 28, 28, 1))
    results._keep_backbone(model, tmp_path / f"backbone_{name}.npz")
    again = results.recorded_backbone(name, tmp_path)
    for ours, theirs in zip(again.get_weights(), backbone.get_weights(), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_array_equal(ours, theirs.astype("float16").astype("float32"))
    images = faces.people("test", 10, 3).images
    before, after = evaluation.embed(backbone, images), evaluation.embed(again, images)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (before, after)]
    np.testing.assert_allclose(*unit, atol=1e-2)
    np.testing.assert_allclose(after, before, atol=1e-2 * np.abs(before).max())
    assert before.std(axis=0).max() > 0.1 * np.abs(before).max(), "pictures differ"


def test_the_backbone_that_is_kept_is_that_of_the_first_seed(path, monkeypatch):
    kept = []
    name = runs.KEPT_BACKBONES[0]
    monkeypatch.setattr(runs.Run, "train", lambda run, seed, data: seed)
    monkeypatch.setattr(runs.FaceRun, "score", lambda run, model, data: {"eer": model / 7})
    monkeypatch.setattr(keras.utils, "clear_session", lambda: None)
    monkeypatch.setattr(results, "_keep_backbone", lambda model, file: kept.append((model, file)))
    record(path, name)
    assert kept == [(runs.RUNS[name].seeds[0], path.parent / f"backbone_{name}.npz")]
    other = next(name for name in runs.RUNS if name.startswith("faces-grid"))
    record(path, other)
    assert len(kept) == 1


def test_a_backbone_that_is_not_kept_says_which_ones_are(tmp_path):
    for name in ("softmax-2d", "no-such-run"):
        with pytest.raises(KeyError, match=name) as caught:
            results.recorded_backbone(name, tmp_path)
        assert all(known in str(caught.value) for known in runs.KEPT_BACKBONES)
    with pytest.raises(FileNotFoundError, match="backbone_faces-.*make results`"):
        results.recorded_backbone(runs.KEPT_BACKBONES[0], tmp_path)


@pytest.mark.parametrize("name", runs.KEPT_BACKBONES)
def test_a_backbone_in_the_repository_is_as_good_as_its_record_says(name):
    backbone, row = results.recorded_backbone(name), [*results.recorded(name).rows.values()][0]
    unseen = faces.people("test", 200, 10)
    pairs = verification.score_pairs(evaluation.embed(backbone, unseen.images), unseen.labels)
    tar = verification.measure(pairs, (1e-3,)).tar_at(1e-3)
    assert tar == pytest.approx(row["tar_1e-3, easy"], abs=2e-3)


# --- the fingerprint ------------------------------------------------------------------------------


@pytest.fixture
def small_library(tmp_path, monkeypatch):
    """A library of two modules; returns a function that writes both and takes the fingerprint."""
    monkeypatch.setattr(fingerprint_module, "LIB", tmp_path)
    cached = [part for part in vars(fingerprint_module).values() if hasattr(part, "cache_clear")]

    def take(second, first="from . import second\ndef root(x):\n    return second.helper(x)\n"):
        (tmp_path / "first.py").write_text(first)
        (tmp_path / "second.py").write_text(second)
        for function in cached:
            function.cache_clear()
        return fingerprint_module.fingerprint([("first", "root")], settings=0)

    yield take
    for function in cached:
        function.cache_clear()


HELPER = "def helper(x):\n    return x + SHIFT\n"


@pytest.mark.parametrize(
    "second",
    [
        "def helper(x):\n    return x + {}\n",
        HELPER + "SHIFT = {}\n",
        HELPER + "SHIFT, OTHER = {}, 5\n",
        HELPER + "SHIFT: int = {}\n",
        HELPER + "SHIFT = 1\nSHIFT += {}\n",
        HELPER + "SHIFT = [0]\nSHIFT[0] = {}\n",
        HELPER + "SHIFT = []\nSHIFT.append({})\n",
        HELPER + "SHIFT = 0\nfor i in range({}):\n    SHIFT += i\n",
        HELPER + "if True:\n    SHIFT = {}\nelse:\n    SHIFT = 7\n",
        HELPER + "try:\n    SHIFT = {}\nexcept ValueError:\n    SHIFT = 7\n",
        HELPER + "with open(__file__):\n    SHIFT = {}\n",
        HELPER + "print(SHIFT := {})\n",
        HELPER + "SHIFT = OTHER\nOTHER = {}\n",
        HELPER + "def work():\n    return {}\nSHIFT = work()\n",
        "class helper:\n    def work(self):\n        return {}\n",
    ],
)
def test_a_change_in_code_that_is_reached_changes_the_fingerprint(small_library, second):
    assert small_library(second.format(1)) != small_library(second.format(2))


@pytest.mark.parametrize(
    "second",
    [
        HELPER + "SHIFT = 1  # a comment {}\n",
        'def helper(x):\n    """Documented {}."""\n    return x\n',
        HELPER + "SHIFT = 1\ndef unused():\n    return {}\n",
        HELPER + "SHIFT = 1\nUNUSED = [x for x in range({})]\n",
        HELPER + "SHIFT = 1\nif __name__ == '__main__':\n    print(SHIFT + {})\n",
        "class helper:\n    def _repr_html_(self):\n        return {}\n",
    ],
)
def test_comments_unused_code_and_what_only_shows_do_not(small_library, second):
    assert small_library(second.format(1)) == small_library(second.format(2))


def test_the_layout_does_not_but_settings_and_names_in_functions_do(small_library):
    split = "def helper(x):\n    return (x\n        + SHIFT)\n"
    assert small_library(HELPER) == small_library(split)
    take = fingerprint_module.fingerprint
    assert take([("first", "root")], 1) != take([("first", "root")], 2)
    by_name = "def root(x):\n    from .second import helper as h\n    return h(x)\n"
    assert small_library(HELPER, by_name) != small_library(HELPER.replace("+", "-"), by_name)


def test_every_python_gives_the_same_fingerprint(small_library):
    # computed on Python 3.11, 3.12 and 3.13, whose `ast.dump` all differ
    first = (
        "@wraps\n"
        "def root(x, *, y: int = 1):\n"
        "    async def inner(): return lambda: A\n"
        '    return f"{x:.3f} and {y!r}" if x else [n for n in (1, 2.5) if n is not None]\n'
        "A, B = 1, 2\n"
    )
    assert small_library("", first) == "4dbca4a6a5724bbc"


def test_a_root_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="no top-level definition"):
        fingerprint_module.fingerprint([("losses", "no_such_loss")], 0)
