"""Records are current, resumable, written whole or not at all, and stale when code changes."""

import json

from lib import glyphs
from lib.records import fingerprint as fingerprint_module
from lib.records import results, runs

import keras
import numpy as np
import pytest

# --- the record in the repository -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "name"),
    [*(("lesson", name) for name in runs.RUNS), *(("full", name) for name in runs.FULL_RUNS)],
)
def test_the_record_came_from_the_code_of_today(mode, name):
    entry = results.read_results()[mode].get(name)
    assert entry is not None, f"{name} is not recorded: run `make results`"
    assert results.is_current(name, entry, mode), (
        f"the record of {name} is stale: run `make results`"
    )


def test_the_record_holds_no_run_that_is_gone():
    assert set(results.read_results()["lesson"]) <= set(runs.RUNS)
    assert set(results.read_results()["full"]) <= set(runs.FULL_RUNS)


def test_no_two_runs_have_the_same_numbers():
    rows = [
        json.dumps(entry["rows"], sort_keys=True)
        for entry in results.read_results()["lesson"].values()
    ]
    assert len(set(rows)) == len(rows)


def test_recorded_softmax_is_as_good_as_the_lesson_says():
    accuracy = results.recorded("softmax-2d").values("head_accuracy")
    assert sum(accuracy) / len(accuracy) >= 0.94
    assert min(accuracy) >= 0.93


@pytest.mark.parametrize("name", runs.MAPPED_RUNS)
def test_kept_embeddings_are_finite_and_of_all_classes(name):
    embeddings, labels = results.recorded_embeddings(name)
    assert embeddings.shape == (1000, 20 if "20d" in name else 64)
    assert np.isfinite(embeddings).all()
    assert set(labels.tolist()) == set(range(10))


def test_embeddings_that_are_not_kept_say_how_to_record_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="make results FULL=1"):
        results.recorded_embeddings("demo-20d-softmax", folder=tmp_path)


def test_a_run_that_is_not_recorded_says_which_command_records_it():
    with pytest.raises(KeyError, match="make results"):
        results.recorded("no-such-run")


def test_the_command_is_that_of_the_mode(monkeypatch):
    monkeypatch.setattr(results, "read_results", dict)
    with pytest.raises(KeyError, match="make results`"):
        results.recorded("softmax-2d", "lesson")
    with pytest.raises(KeyError, match="make results FULL=1`"):
        results.recorded("softmax-2d", "full")
    with pytest.raises(KeyError, match="make results`"):
        results.recorded("glyphs-arcface", "full")


def test_a_map_in_full_mode_is_that_of_lesson_mode_where_there_is_no_other():
    lesson = results.recorded_embeddings("combined-0.9-64d", "lesson")[0]
    assert np.array_equal(results.recorded_embeddings("combined-0.9-64d", "full")[0], lesson)
    assert not np.array_equal(
        results.recorded_embeddings("combined-64d", "full")[0],
        results.recorded_embeddings("combined-64d", "lesson")[0],
    )


def test_a_lesson_in_full_mode_gets_what_is_recorded_in_lesson_mode_only():
    assert results.recorded("glyphs-arcface", "full").title.endswith("lesson mode")
    lesson = results.recorded("glyphs-arcface", "lesson")
    assert results.recorded("glyphs-arcface", "full").rows == lesson.rows
    assert results.recorded("demo-2d-softmax", "full").title == "softmax"


def test_mean_spread_and_band_by_hand():
    record = results.Record("by hand", {"0": {"eer": 1.0}, "1": {"eer": 2.0}, "2": {"eer": 6.0}})
    assert record.mean("eer") == 3.0
    assert record.spread("eer") == pytest.approx(7**0.5)
    assert record.band("eer") == (-4.0, 11.0)
    assert np.isnan(results.Record("one seed", {"0": {"eer": 1.0}}).spread("eer"))


# --- recording ------------------------------------------------------------------------------------


@pytest.fixture
def fast_runs(monkeypatch):
    """Replace training and scoring; return the list of seeds that were 'trained'."""
    trained = []

    def train(run, seed, digits):
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(seed)
        return "model"

    monkeypatch.setattr(runs.Run, "train", train)
    monkeypatch.setattr(runs.Run, "score", lambda run, model, digits: {"eer": trained[-1] / 7})
    monkeypatch.setattr(results, "load_digits", lambda mode: "digits")
    return trained


def test_an_interrupted_recording_goes_on_where_it_stopped(fast_runs, tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        results.record_all("lesson", ["softmax-2d"], path)
    assert set(json.loads(path.read_text())["lesson"]["softmax-2d"]["rows"]) == {"0", "1", "2"}
    fast_runs.clear()
    results.record_all("lesson", ["softmax-2d"], path)
    assert fast_runs == [3, 4]
    entry = json.loads(path.read_text())["lesson"]["softmax-2d"]
    assert results.is_current("softmax-2d", entry)
    assert entry["mean"]["eer"] == pytest.approx(2 / 7, abs=1e-6)


def test_a_stale_record_is_trained_anew(fast_runs, tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    monkeypatch.setattr(results, "run_fingerprint", lambda run: "of yesterday")
    with pytest.raises(KeyboardInterrupt):
        results.record_all("lesson", ["softmax-2d"], path)
    monkeypatch.setattr(results, "run_fingerprint", lambda run: "of today")
    fast_runs.clear()
    with pytest.raises(KeyboardInterrupt):
        results.record_all("lesson", ["softmax-2d"], path)
    assert fast_runs == [0, 1, 2]


def test_lesson_and_full_records_live_side_by_side(fast_runs, tmp_path):
    path = tmp_path / "results.json"
    results.write_results({"full": {"softmax-2d": {"title": "kept"}}}, path)
    with pytest.raises(KeyboardInterrupt):
        results.record_all("lesson", ["softmax-2d"], path)
    assert results.read_results(path)["full"]["softmax-2d"] == {"title": "kept"}


def test_a_damaged_record_says_how_to_restore_it(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"lesson": {')
    with pytest.raises(ValueError, match="git checkout"):
        results.read_results(path)


def test_a_failed_write_leaves_the_old_record(tmp_path):
    path = tmp_path / "results.json"
    results.write_results({"lesson": {}}, path)
    with pytest.raises(TypeError):
        results.write_results({"lesson": object()}, path)
    assert json.loads(path.read_text()) == {"lesson": {}}


def test_a_run_trains_on_its_own_classes_only_and_is_seeded(monkeypatch):
    calls = []
    monkeypatch.setattr(runs.training, "set_seed", calls.append)

    class Digits:
        def only(self, classes):
            return list(classes)

    def recipe(digits, num_classes, verbose, scale):
        calls.append((digits, num_classes, verbose, scale))

    monkeypatch.setattr(runs.recipes, "recipe", recipe, raising=False)
    runs.Run("title", "recipe", {"scale": 16}, num_classes=3).train(7, Digits())
    assert calls == [7, ([0, 1, 2], 3, False, 16)]


@pytest.fixture
def few_glyphs():
    """Forty characters in twelve faces to train on and as many unseen: random images."""
    rng = np.random.default_rng(0)
    parts = [
        glyphs.GlyphSet(
            rng.random((480, 28, 28, 1), dtype="float32"),
            np.repeat(np.arange(40), 12).astype("int32"),
            np.tile(np.arange(12), 40),
            tuple(map(chr, range(start, start + 40))),
        )
        for start in (100, 200)
    ]
    return glyphs.Glyphs(*parts)


@pytest.mark.parametrize("count", [None, 15])
def test_a_glyph_run_trains_on_its_identities_and_scores_the_unseen(few_glyphs, monkeypatch, count):
    seen = []

    def recipe(part, num_classes, verbose):
        seen.extend(part.characters)
        backbone = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        return keras.Sequential([backbone, keras.layers.Dense(num_classes)])

    monkeypatch.setattr(runs.recipes, "recipe", recipe, raising=False)
    run = runs.GlyphRun("title", "recipe", num_classes=count)
    model = run.train(0, few_glyphs)
    assert tuple(seen) == few_glyphs.train.characters[: count or 40]
    assert model.output_shape == (None, count or 40)
    monkeypatch.setattr(
        runs.evaluation, "open_set_scores", lambda x, y: {"rows": len(x), "who": y.max()}
    )
    row = run.score(model, few_glyphs)
    assert row["rows"] == 480
    assert 0 <= row["train_accuracy"] <= 1


def test_a_glyph_run_brings_its_own_data(fast_runs, tmp_path, monkeypatch):
    path, used = tmp_path / "results.json", []
    monkeypatch.setattr(runs, "load_glyphs", lambda: "glyphs")
    monkeypatch.setattr(results, "load_digits", lambda mode: pytest.fail("no digits are needed"))
    monkeypatch.setattr(runs.GlyphRun, "train", lambda run, seed, data: used.append(data))
    monkeypatch.setattr(runs.GlyphRun, "score", lambda run, model, data: {"eer": len(used)})
    results.record_all("lesson", ["glyphs-softmax"], path)
    assert used == ["glyphs"] * 3
    entry = json.loads(path.read_text())["lesson"]["glyphs-softmax"]
    assert entry["mean"]["eer"] == 2
    assert results.is_current("glyphs-softmax", entry)


# --- the fingerprint ------------------------------------------------------------------------------


@pytest.fixture
def small_library(tmp_path, monkeypatch):
    """A library of two modules; returns a function that writes one and takes the fingerprint."""
    monkeypatch.setattr(fingerprint_module, "LIB", tmp_path)

    def take(first, second="def helper(x):\n    return x + SHIFT\nSHIFT = 1\n", settings=0):
        (tmp_path / "first.py").write_text(first)
        (tmp_path / "second.py").write_text(second)
        for cached in ("_syntax_tree", "_definitions", "_imports"):
            getattr(fingerprint_module, cached).cache_clear()
        return fingerprint_module.fingerprint([("first", "root")], settings)

    yield take
    for cached in ("_syntax_tree", "_definitions", "_imports"):
        getattr(fingerprint_module, cached).cache_clear()


FIRST = "from . import second\ndef root(x):\n    return second.helper(x)\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FIRST.replace("helper(x)", "helper(x) * 2"), None),
        (FIRST, "def helper(x):\n    return x - SHIFT\nSHIFT = 1\n"),
        (FIRST, "def helper(x):\n    return x + SHIFT\nSHIFT = 2\n"),
    ],
)
def test_a_change_in_code_that_is_reached_changes_the_fingerprint(small_library, first, second):
    before = small_library(FIRST)
    assert small_library(first, second) != before if second else small_library(first) != before


@pytest.mark.parametrize(
    "second",
    [
        "# a comment\ndef helper(x):\n    return x + SHIFT\nSHIFT = 1\n",
        'def helper(x):\n    """Documented."""\n    return (x +\n        SHIFT)\nSHIFT = 1\n',
        "def helper(x):\n    return x + SHIFT\nSHIFT = 1\ndef unused():\n    return 5\n",
    ],
)
def test_comments_layout_and_unused_code_do_not(small_library, second):
    assert small_library(FIRST) == small_library(FIRST, second)


CLASS = """class helper:
    def work(self):
        return {work}
    def _repr_html_(self):
        return table()
def table():
    return {table}
"""


def test_how_an_object_is_shown_does_not_change_it_but_what_it_does_does(small_library):
    before = small_library(FIRST, CLASS.format(work=1, table=1))
    assert before == small_library(FIRST, CLASS.format(work=1, table=2))
    assert before != small_library(FIRST, CLASS.format(work=2, table=1))


def test_every_python_gives_the_same_fingerprint(small_library):
    # computed on Python 3.11, 3.12 and 3.13, whose `ast.dump` all differ
    assert (
        small_library(
            "@wraps\n"
            "def root(x, *, y: int = 1):\n"
            '    return f"{x:.3f} and {y!r}" if x else [n for n in (1, 2.5) if n is not None]\n'
        )
        == "28c56b5b9f313621"
    )


def test_settings_change_it_and_imported_names_are_followed(small_library):
    assert small_library(FIRST, settings=1) != small_library(FIRST, settings=2)
    by_name = "from .second import helper as h\ndef root(x):\n    return h(x)\n"
    changed = "def helper(x):\n    return x - SHIFT\nSHIFT = 1\n"
    assert small_library(by_name) != small_library(by_name, changed)


def test_a_root_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="no top-level definition"):
        fingerprint_module.fingerprint([("losses", "no_such_loss")], 0)
