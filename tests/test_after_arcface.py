"""The study of the losses after ArcFace: its scores by hand, each kind of run once, very small."""

import math
from dataclasses import replace
from types import SimpleNamespace

import lib  # noqa: F401
from lib import faces
from lib.layers import CosineHead, SubCenterHead
from lib.records import after_arcface as study
from lib.records.after_arcface import GRID, LOSSES, SEEDS, Run
from lib.records.study import interval

import keras
import numpy as np
import pytest
from scipy import stats

# --- scores ---------------------------------------------------------------------------------------


def test_rank_correlation_is_spearmans():
    first, second = np.random.default_rng(0).standard_normal((2, 300))
    expected = stats.spearmanr(first, second + first).statistic
    assert study.rank_correlation(first, second + first) == pytest.approx(expected)


def test_cleaning_by_hand_and_its_auc_is_the_share_of_pairs():
    angles = np.array([10.0, 20, 76, 80, 90, 30])
    wrong = np.array([False, False, False, True, True, True])
    found = study.cleaning_scores(angles, wrong, 75.0)
    assert found == {
        "dropped": pytest.approx(3 / 6),
        "dropped, wrong": pytest.approx(2 / 3),
        "wrong, dropped": pytest.approx(2 / 3),
        "auc": pytest.approx(np.mean(angles[wrong][:, None] > angles[~wrong])),
    }


def test_an_image_is_measured_by_the_center_that_most_of_its_class_are_near():
    head = SubCenterHead(2, centers=2)
    head.build((None, 3))
    head.directions.kernel.assign(np.eye(3)[[0, 1, 2, 0]].T)  # class 0: x, y; class 1: z, x
    backbone = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    named = SimpleNamespace(
        images=np.float32([[1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]]),
        labels=np.array([0, 0, 0, 1, 1]),
    )
    found = study.dominant_angles(SimpleNamespace(layers=[backbone, head]), named)
    expected = [0, math.degrees(math.atan(0.1)), 90, 0, 45]
    np.testing.assert_allclose(found, expected, atol=0.05)


class SeesTraits:
    """Not a network: it knows who is in the picture and how good that is."""

    def __init__(self, monkeypatch, noise):
        self.noise, self.drawn, people = noise, [], faces.people

        def remember(*arguments, **more):
            self.drawn.append(people(*arguments, **more, size=8))
            return self.drawn[-1]

        monkeypatch.setattr(study.faces, "people", remember)
        monkeypatch.setattr(study.evaluation, "embed", self.embed)

    def embed(self, backbone, images):
        (drawn,) = (one for one in self.drawn if one.images is images)
        rng = np.random.default_rng(len(images))
        severity = drawn.nuisances["severity"][:, None]
        noise = rng.standard_normal((len(images), 28))
        rows = drawn.traits[drawn.labels] + self.noise * severity * noise
        return rows / np.linalg.norm(rows, axis=1, keepdims=True) * (2 - severity**2)


def test_who_is_refused_grows_with_severity_and_falls_where_the_worst_are_left_out(
    monkeypatch,
):
    SeesTraits(monkeypatch, noise=2.0)
    study._strangers.cache_clear()
    monkeypatch.setattr(study, "UNSEEN", 60)
    found = study.severity_scores(None)
    study._strangers.cache_clear()
    assert found["fnmr, good"] == 0
    assert found["fmr, good"] <= 1e-3
    refused = [found[f"fnmr, {number}"] for number in range(1, 6)]
    assert refused == sorted(refused)
    assert refused[-1] > refused[0] + 0.3
    assert found["length, severity"] == pytest.approx(1)
    for share in study.REFUSED:  # the length tells all here
        assert found[f"fnmr, {share} refused"] == found[f"fnmr, {share} refused, best"]
    left = [found[f"fnmr, {share} refused"] for share in study.REFUSED]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(np.mean(refused), abs=0.05)
    assert left[-1] < left[0] - 0.2


def test_an_interval_over_seeds_is_students():
    values = [0.4, 0.5, 0.45]
    mean, half = interval(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0))


def test_the_recorded_runs_are_found_by_their_names():
    runs = study.compared()
    assert set(GRID) < set(runs)
    assert runs["AdaFace, h 0"].extra == 0
    assert runs["AdaFace, random quality"].margin == runs["AdaFace"].margin
    for run in runs.values():
        assert {row["seed"] for row in study.STUDY.rows_of(run)} == set(SEEDS)
    assert study.setting(Run(margin=0.6, scale=10.0)) == ", m 0.6, s 10"
    assert study.setting(Run(scale=0.0)) == ""


def test_what_lesson_10_says_of_the_settings():
    """AdaFace is behind CosFace in all six, and the best lie at an edge."""
    rows = [row for row in study.STUDY.read(study.PATH) if row["part"] == "validation"]
    tar = {(row["loss"], row["margin"], row["scale"]): row["tar_1e-3"] for row in rows}
    for setting in GRID["AdaFace"]:
        at = setting["margin"], setting["scale"]
        assert tar["AdaFace", *at] < tar["CosFace", *at]
    runs = study.chosen()
    tuned = [runs[loss] for loss in GRID if len(GRID[loss]) == 6]
    ends = [
        run.scale in (min(study.SCALES), max(study.SCALES))
        or run.margin == max(setting.get("margin", 0) for setting in GRID[run.loss])
        for run in tuned
    ]
    assert sum(ends) > 0.8 * len(ends)


def test_what_lesson_10_says_and_shows_in_no_cell():
    runs = study.compared()
    base = runs["AdaFace, h 0"]

    def seeds(run, column):
        return np.array([row[column] for row in study.STUDY.rows_of(run)])

    def more(name, column):
        return seeds(runs[name], column) - seeds(base, column)

    assert np.exp(6) / (np.exp(6) + 999) == pytest.approx(0.29, abs=0.005)
    for degrees in (45, 90):  # ArcFace, m 0.6, s 10, the other thousand at right angles
        own = np.exp(10 * np.cos(np.radians(degrees) + 0.6))
        assert own / (own + 999) < 0.01
    assert (
        more("AdaFace", "eer").max()
        < 0
        < more(f"AdaFace, h −{runs['AdaFace'].extra:g}", "eer").min()
    )
    for fifth in range(1, 6):
        gains = more("AdaFace", f"fnmr, {fifth}")
        assert gains.mean() > -gains.std(ddof=1), "fewer turned away than the seeds' spread"
    arc = runs["ArcFace"]
    assert 1 - seeds(arc, "fnmr, 0.0 refused").mean() == pytest.approx(0.53, abs=0.006)
    let_in = 0.7 * (1 - seeds(arc, "fnmr, 0.3 refused").mean())
    assert let_in == pytest.approx(0.50, abs=0.006)
    for loss in ("AdaCos", "softmax", "CurricularFace"):
        by_length = seeds(runs[loss], "fnmr, 0.5 refused")
        worse = by_length - seeds(runs[loss], "fnmr, 0.5 refused, best")
        assert 0.01 < worse.min() <= worse.max() < 0.065
    told = replace(arc, loss="sub-centers", spoiled=0.0, extra=3.0, cleaned="75")
    for wrong, short in ((0.2, 0.01), (0.4, 0.05)):
        truth = replace(told, wrong=wrong, extra=1.0, cleaned="truth")
        lost = (
            seeds(truth, "tar_1e-3").mean() - seeds(replace(told, wrong=wrong), "tar_1e-3").mean()
        )
        assert lost == pytest.approx(short, abs=0.006)


# --- runs -----------------------------------------------------------------------------------------


def test_the_grid_has_what_it_is_chosen_from_and_the_best_of_each_is_taken():
    grid = study._grid_runs()
    assert len(set(grid)) == len(grid) == 62
    assert {run.part for run in grid} == {"validation"}
    assert set(GRID) <= set(LOSSES)
    rows = [{**vars(run), "tar_1e-3": 1 / (1 + place)} for place, run in enumerate(reversed(grid))]
    assert study.best(rows[1:]) is None
    chosen = study.best(rows)
    assert chosen["ArcFace"] == Run("ArcFace", **GRID["ArcFace"][-1])
    finals = study._final_runs(chosen)
    assert len(set(finals)) == len(finals)
    assert {run.seed for run in finals} == set(SEEDS)
    assert {run.part for run in finals} == {"test"}
    ada = chosen["AdaFace"]
    assert {replace(ada, extra=0.0, seed=1), replace(ada, extra=-0.333, seed=1)} <= set(finals)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(study, "PEOPLE", 12)
    monkeypatch.setattr(study, "EPOCHS", 2)
    monkeypatch.setattr(study, "WARMUP", 1)
    monkeypatch.setattr(study, "DIM", 8)
    monkeypatch.setattr(study, "UNSEEN", 200)


PEOPLE = faces.people
EVERY = [
    Run("CosFace", **GRID["CosFace"][0], part="validation"),
    Run("AdaFace, random quality", 0.3, 10.0, 0.333, part="validation"),
    Run("sub-centers", 0.4, 10.0, 3.0, spoiled=0.0, wrong=0.25, cleaned="75", part="validation"),
    Run("sub-centers", 0.4, 10.0, 1.0, 0.0, wrong=0.25, cleaned="share", part="validation"),
    Run("sub-centers", 0.4, 10.0, 1.0, 0.0, wrong=0.25, cleaned="truth", part="validation"),
    Run("ArcFace", 0.4, 10.0),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_built_with_its_setting_and_has_a_value(small, loss):
    known = PEOPLE("train", 12, 8)
    (setting,) = GRID.get(loss, GRID["AdaFace"])[:1]
    backbone, head = study.build_backbone(8), CosineHead(12, name="head")
    head.build((None, 8))
    model, its_loss = LOSSES[loss](Run(loss, **setting), backbone, head, known)
    model.compile("sgd", loss=its_loss, run_eagerly=True)
    assert math.isfinite(model.train_on_batch(known.images, known.labels))
    asked = {name: value for name, value in setting.items() if name != "extra" and value}
    config = (its_loss or model).get_config() if asked else {}
    named = {"margin": ("margin", "m2"), "scale": ("scale",)}
    for name, value in asked.items():
        if loss != "MagFace" or name == "scale":  # whose margins are a pair
            assert value in [config.get(one) for one in named[name]]


@pytest.mark.parametrize("run", EVERY, ids=lambda run: f"{run.loss}, {run.part}")
def test_each_kind_of_run(small, run):
    study._strangers.cache_clear()
    known = PEOPLE("train", 12, 8, spoiled=run.spoiled)
    found = study.train(run, known)
    assert all(isinstance(value, float) for value in found.values())
    assert 0 <= found["tar_1e-3"] <= found["tar_1e-2"] <= 1
    assert ("fnmr, 3" in found) == (run.part == "test")
    study._strangers.cache_clear()
    assert ("auc" in found) == (run.cleaned in ("75", "share"))
    if run.cleaned == "share":
        assert found["dropped"] == pytest.approx(run.wrong, abs=0.02)


def test_quality_by_chance_is_drawn_anew_and_kept_within_its_ends(small):
    known = PEOPLE("train", 12, 2)
    backbone = study.build_backbone(8)
    head = CosineHead(12)
    model, loss = LOSSES["AdaFace, random quality"](
        Run(margin=0.3, extra=0.6), backbone, head, known
    )
    assert loss is None
    model.build((None, 28, 28, 1))
    first, second = (np.array(model.quality(np.ones(500, "float32"))) for _ in range(2))
    assert np.any(first != second)
    assert np.abs(first).max() == 1
    assert np.std(np.clip(first, -0.99, 0.99)) == pytest.approx(0.55, abs=0.08)


def test_the_margins_of_magface_lie_around_the_lengths_of_the_warm_up(small):
    known = PEOPLE("train", 12, 8)
    backbone = study.build_backbone(8)
    lengths = np.linalg.norm(backbone.predict(known.images, verbose=0), axis=1)
    model, _ = LOSSES["MagFace"](Run("MagFace", 0.4, 10.0, 0.15), backbone, CosineHead(12), known)
    assert model.margins == pytest.approx((0.25, 0.55))
    short, long = model.lengths
    assert 0.4 * lengths.min() < short < lengths.min()
    assert lengths.max() < long < 1.6 * lengths.max()
    assert model.weight == pytest.approx(1.5 * model.least_weight)
