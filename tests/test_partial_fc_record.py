"""The record of Partial FC on faces: complete, in range, and made without training a run twice."""

import json
import math
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

from lib.records import partial_fc
from lib.records.partial_fc import RUNS, SEEDS, Run, wrong_labels

import numpy as np
import pytest

FILE = json.loads(partial_fc.PATH.read_text(encoding="utf-8"))
RATES = ("tar_1e-2", "tar_1e-3", "tar_1e-4", "eer", "rank_1")
MEASURED = {*RATES, "columns", "brought", "scale_90", "loss"}


run_of = partial_fc.STUDY.run_of


# --- the record in the repository -----------------------------------------------------------------


def test_every_run_is_recorded_once_in_the_order_of_the_runs():
    assert len(set(RUNS)) == len(RUNS) == 75
    assert [run_of(row) for row in FILE["rows"]] == list(RUNS)


def test_the_recipe_is_that_of_the_code():
    recipe = {name: value for name, value in FILE.items() if name != "rows"}
    assert recipe == {
        "images": partial_fc.IMAGES,
        "epochs": partial_fc.EPOCHS,
        "margin": partial_fc.MARGIN,
        "scale": partial_fc.SCALE,
    }
    assert all(partial_fc.IMAGES % run.people == 0 for run in RUNS)


@pytest.mark.parametrize(
    "row", FILE["rows"], ids=lambda row: "-".join(map(str, list(row.values())[:6]))
)
def test_what_is_recorded_is_in_range(row):
    assert set(row) == {*asdict(Run()), *MEASURED, "seconds", "backend"}
    assert all(0 <= row[name] <= 1 for name in RATES)
    assert row["tar_1e-4"] <= row["tar_1e-3"] <= row["tar_1e-2"]
    assert 0 < row["brought"] <= min(row["batch"], row["people"])
    batch = min(row["batch"], row["people"])
    assert row["columns"] == max(math.ceil(row["share"] * row["people"]), batch)
    assert 1 < row["scale_90"] < 1e6
    assert 0 < row["loss"] < 100
    assert row["seconds"] > 0
    assert row["backend"]


def test_recorded_gives_the_rows_of_three_seeds():
    for run in RUNS:
        rows = partial_fc.recorded(**asdict(run))
        assert [row["seed"] for row in rows] == list(SEEDS)
        assert {replace(run_of(row), seed=0) for row in rows} == {replace(run, seed=0)}
    assert partial_fc.recorded() == partial_fc.recorded(people=5000, share=1.0)
    assert len({row["loss"] for row in FILE["rows"]}) > 70, "no two runs are one"


def test_recorded_refuses_what_was_never_trained():
    for asked in ({"share": 0.7}, {"people": 1000, "dim": 8}, {"wrong": 0.1}):
        with pytest.raises(KeyError, match="no run like .* is recorded"):
            partial_fc.recorded(**asked)
    with pytest.raises(TypeError):
        partial_fc.recorded(shares=0.1)


# --- wrong labels ---------------------------------------------------------------------------------

LABELS = np.repeat(np.arange(20, dtype="int32"), 500)


@pytest.mark.parametrize("share", [0, 0.2, 0.40001, 1])
def test_wrong_labels_are_as_many_as_asked_for_and_wrong(share):
    kept = LABELS.copy()
    labels = wrong_labels(LABELS, share, seed=21)
    assert np.count_nonzero(labels != LABELS) == round(share * len(LABELS))
    assert labels.dtype == LABELS.dtype
    assert labels.min() >= 0
    assert labels.max() <= 19
    assert not np.shares_memory(labels, LABELS)
    np.testing.assert_array_equal(LABELS, kept)


def test_every_other_label_and_every_image_is_as_likely():
    labels = wrong_labels(LABELS, 0.4, seed=21)
    steps = np.bincount((labels - LABELS) % 20, minlength=20)
    assert steps[0] == 6000
    # 4,000 over 19: chi-squared with 18 degrees of freedom is above 43 once in a thousand draws
    assert ((steps[1:] - 4000 / 19) ** 2 / (4000 / 19)).sum() < 43
    by_person = np.bincount(LABELS[labels != LABELS], minlength=20)
    assert ((by_person - 200) ** 2 / 200).sum() < 43


def test_wrong_labels_are_those_of_their_seed():
    first, again, other = (wrong_labels(LABELS, 0.4, seed) for seed in (21, 21, 22))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


# --- making it ------------------------------------------------------------------------------------


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Nothing is drawn and nothing trained: what would have been, run by run."""
    asked = SimpleNamespace(runs=[], people=[], stop_at=None)

    def train(run, known):
        if run == asked.stop_at:
            raise KeyboardInterrupt
        asked.runs.append(run)
        assert known == (run.people, partial_fc.IMAGES // run.people), "another crowd"
        return {"loss": run.share / 3}

    def people(split, count, images):
        assert split == "train"
        asked.people.append(count)
        return count, images

    monkeypatch.setattr(partial_fc.faces, "people", people)
    asked.study = replace(partial_fc.STUDY, train=train, path=tmp_path / "partial_fc.json")
    return asked


def rows_in(path):
    return json.loads(path.read_text(encoding="utf-8"))["rows"]


def test_what_is_missing_is_trained_and_nothing_twice(trained, tmp_path):
    path = tmp_path / "record.json"
    trained.study.record(RUNS[3:5], path)
    assert trained.runs == list(RUNS[3:5])
    before = rows_in(path)
    trained.study.record(RUNS[:6], path)
    assert trained.runs == [RUNS[3], RUNS[4], RUNS[0], RUNS[1], RUNS[2], RUNS[5]]
    assert [run_of(row) for row in rows_in(path)] == list(RUNS[:6]), "in the order of RUNS"
    assert rows_in(path)[3:5] == before
    assert rows_in(path)[3]["loss"] == round(RUNS[3].share / 3, 5)
    trained.runs.clear(), trained.people.clear()
    trained.study.record(RUNS[:6], path)
    assert trained.runs == trained.people == [], "faces were drawn for nothing"


def test_faces_are_drawn_once_for_each_number_of_people(trained, tmp_path):
    trained.study.record(RUNS, tmp_path / "record.json")
    assert trained.runs == list(RUNS)
    assert trained.people == [5000, 1000, 25_000, 5000]
    assert {name: FILE[name] for name in FILE if name != "rows"}.items() <= json.loads(
        (tmp_path / "record.json").read_text(encoding="utf-8")
    ).items()


def test_a_run_is_written_before_the_next_one_starts(trained, tmp_path):
    path = tmp_path / "record.json"
    trained.stop_at = RUNS[2]
    with pytest.raises(KeyboardInterrupt):
        trained.study.record(RUNS[:4], path)
    assert [run_of(row) for row in rows_in(path)] == list(RUNS[:2])
    trained.stop_at = None
    trained.study.record(RUNS[:4], path)
    assert trained.runs == list(RUNS[:4])


def command(study, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["partial_fc", *arguments])
    study.main(partial_fc.__doc__)


def test_processes_share_the_runs_and_join_puts_their_files_together(
    trained, tmp_path, monkeypatch
):
    path = tmp_path / "partial_fc.json"
    study = replace(trained.study, path=path)
    for process in range(4):
        command(study, monkeypatch, "--process", f"{process}/4")
    assert not path.exists()
    assert len(trained.runs) == len(set(trained.runs)) == len(RUNS)
    command(study, monkeypatch, "--join")
    assert [run_of(row) for row in rows_in(path)] == list(RUNS)
    trained.runs.clear()
    command(study, monkeypatch)
    assert trained.runs == []


def test_what_is_joined_is_not_trained_again_by_processes(trained, monkeypatch):
    trained.study.record(RUNS[1::2], trained.study.path)
    trained.runs.clear()
    for process in range(3):
        command(trained.study, monkeypatch, "--process", f"{process}/3")
    assert sorted(map(str, trained.runs)) == sorted(map(str, RUNS[::2]))


def test_join_adds_to_what_is_recorded(trained, tmp_path, monkeypatch):
    path = tmp_path / "partial_fc.json"
    study = replace(trained.study, path=path)
    trained.study.record(RUNS[1::2], path)
    command(study, monkeypatch, "--process", "0/2")
    command(study, monkeypatch, "--join")
    assert [run_of(row) for row in rows_in(path)] == list(RUNS)
