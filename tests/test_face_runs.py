"""Runs on faces: who is in training and who in the test, and how the best setting was chosen."""

import json
from dataclasses import replace
from types import SimpleNamespace

from lib import evaluation, faces, verification
from lib.records import recipes, results, runs

import keras
import numpy as np
import pytest

FACE_RUNS = {name: run for name, run in runs.RUNS.items() if name.startswith("faces-")}
GRID_RUNS = {name: run for name, run in FACE_RUNS.items() if name.startswith("faces-grid-")}
TEST_RUNS = {name: run for name, run in FACE_RUNS.items() if name not in GRID_RUNS}
# its recipe is a test's own
RUN = runs.FaceRun("title", "recipe", {}, num_classes=6, images=4)
# Of those whom a run asks for in such numbers, so many are drawn: no fewer can tell a rate of 0.01
# of strangers, or 0.001 of pairs.
FEW = {500: 200, 200: 20}
people = faces.people

# --- the grid -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", runs.GRID)
def test_the_grid_has_six_different_settings_of_each_loss_that_can_be_set(loss):
    points, count = runs.GRID[loss], 1 if loss == "softmax" else 6
    assert len(points) == count, "titles differ"
    assert len({json.dumps(point, sort_keys=True) for point in points.values()}) == count
    assert len({recipe for recipe, _ in points.values()}) == 1
    assert len({frozenset(settings) for _, settings in points.values()}) == 1


def test_grid_choice_and_names_are_of_the_same_losses_in_the_same_order():
    assert list(runs.GRID) == list(runs.CHOSEN) == list(runs.FACE_LOSSES)
    assert len(set(runs.FACE_LOSSES.values())) == len(runs.FACE_LOSSES)


@pytest.mark.parametrize("loss", runs.GRID)
def test_what_is_chosen_is_a_point_of_the_grid_and_what_the_test_runs_train(loss):
    recipe, settings = runs.GRID[loss][runs.CHOSEN[loss]]
    for end in ("1000", "5000x20", "strong", "few-dark"):
        run = FACE_RUNS.get(f"faces-{runs.FACE_LOSSES[loss]}-{end}")
        assert run or end != "1000"
        if run:
            assert (run.recipe, run.settings) == (recipe, settings)
            assert run.title.startswith(runs.CHOSEN[loss] + ", ")


def test_every_loss_has_the_same_protocol():
    for loss, points in runs.GRID.items():
        for title, (recipe, settings) in points.items():
            assert callable(getattr(recipes, recipe))
            assert settings["embedding_dim"] == 64
            assert settings["epochs"] == 10
            assert settings.get("warmup_epochs", 2) == 2
            number = list(points).index(title) + 1
            run = GRID_RUNS[f"faces-grid-{runs.FACE_LOSSES[loss]}-{number}"]
            assert (run.recipe, run.settings) == (recipe, settings)
            assert run.title == f"{title}, validation"
    assert len(GRID_RUNS) == sum(map(len, runs.GRID.values()))
    assert {(run.num_classes, run.images) for run in GRID_RUNS.values()} == {(1000, 20)}


def test_the_sweep_has_every_loss_and_as_many_images_however_many_people():
    assert {people * images for people, images in runs.SWEEP} == {20_000}
    for people, images in runs.SWEEP:
        for loss, key in runs.FACE_LOSSES.items():
            run = FACE_RUNS[f"faces-{key}-{people}"]
            assert (run.num_classes, run.images) == (people, images)
            assert (run.recipe, run.settings) == runs.GRID[loss][runs.CHOSEN[loss]]
    large = [run for name, run in FACE_RUNS.items() if name.endswith("-5000x20")]
    assert {run.num_classes * run.images for run in large} == {100_000}


def test_the_record_has_every_loss_at_one_price_and_says_what_was_never_trained():
    for people, _ in runs.SWEEP:
        assert list(results.recorded_faces(people)) == list(runs.FACE_LOSSES)
    assert list(results.recorded_faces(5000, images=20)) == ["softmax", "NormFace", "ArcFace"]
    for wrong in ((50,), (1000, 7)):
        with pytest.raises(KeyError, match="100 people, 1000 people, 5000 people"):
            results.recorded_faces(*wrong)


def test_the_choice_sees_neither_test_people_nor_a_seed_of_theirs():
    assert {(run.part, run.seeds) for run in GRID_RUNS.values()} == {("validation", (0,))}
    assert {run.part for run in TEST_RUNS.values()} == {"test"}
    for run in TEST_RUNS.values():
        assert len(set(run.seeds)) == len(run.seeds) == 3
        assert 0 not in run.seeds


@pytest.mark.parametrize("loss", runs.GRID)
def test_the_record_says_that_the_chosen_setting_is_the_best_of_the_grid(loss):
    entries, scores = results.read_results().get("lesson", {}), {}
    for number, title in enumerate(runs.GRID[loss], start=1):
        name = f"faces-grid-{runs.FACE_LOSSES[loss]}-{number}"
        if "0" not in entries.get(name, {}).get("rows", {}):
            pytest.fail(f"{name} is not recorded yet: `make results` trains it")
        assert entries[name]["title"] == f"{title}, validation"
        scores[title] = entries[name]["rows"]["0"]["tar_1e-3"]
    assert scores[runs.CHOSEN[loss]] == max(scores.values()), scores


def test_a_record_knows_all_that_decides_its_numbers():
    """Else a run that gets another strength keeps the record of the old one."""
    others = ({"images": 5}, {"strength": 1.0}, {"part": "validation"}, {"dark": 2})
    run = replace(RUN, recipe="softmax")
    prints = [results.run_fingerprint(replace(run, **other)) for other in ({}, *others)]
    assert len(set(prints)) == 5


# --- who is in the training -----------------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch):
    """What the recipe `recipe` is given, one after the other."""
    given = []

    def recipe(data, num_classes, verbose):
        given.append((data, num_classes))
        backbone = keras.Sequential([keras.Input(data.images.shape[1:]), keras.layers.Flatten()])
        return keras.Sequential([backbone, keras.layers.Dense(num_classes)])

    monkeypatch.setattr(recipes, "recipe", recipe, raising=False)
    return given


@pytest.fixture
def asked(monkeypatch):
    """Whom a run has asked for; `FEW` of them are drawn, and small."""
    calls = []

    def few(split, count, images, *, strength, hard=None):
        calls.append(SimpleNamespace(split=split, count=count, strength=strength, hard=hard))
        return people(split, FEW.get(count, count), images, strength=strength, hard=hard, size=8)

    monkeypatch.setattr(runs, "_people", few)
    monkeypatch.setattr(faces, "people", few)
    return calls


def assert_same(some, others):
    for part in ("images", "labels", "nuisances", "traits"):
        np.testing.assert_array_equal(getattr(some, part), getattr(others, part))


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_a_run_trains_on_the_first_people_of_the_training_part(seen, strength):
    replace(RUN, strength=strength).train(0, None)
    [(data, num_classes)] = seen
    assert num_classes == 6
    assert_same(data, people("train", 6, 4, strength=strength))


@pytest.mark.parametrize("dark", [0, 1, 3, 6])
def test_a_run_with_some_dark_people_has_that_many_of_them_and_all_others_light(seen, dark):
    replace(RUN, dark=dark, strength=0.3).train(0, None)
    [(data, num_classes)] = seen
    assert num_classes == len(data.traits) == 6
    assert data.labels.tolist() == np.repeat(np.arange(6), 4).tolist()
    skin = data.traits[:, list(faces.TRAITS).index("skin")]
    assert (skin < 0).sum() == runs.dark_skinned(data.traits).sum() == dark
    drawn = people("train", 18, 4, strength=0.3)
    first = {True: dark, False: 6 - dark}  # in the order in which they are drawn
    chosen = []
    for person, traits in enumerate(drawn.traits):
        is_dark = bool(traits[0] < 0)
        if first[is_dark]:
            first[is_dark] -= 1
            chosen.append(person)
    assert_same(data, drawn.only(chosen))


def test_few_dark_people_are_fifty_of_a_thousand_and_else_they_are_about_half(monkeypatch):
    def small(split, count, images, strength):
        return people(split, count, 1, strength=strength, size=8)

    monkeypatch.setattr(runs, "_people", small)
    few, ordinary = (
        FACE_RUNS[name].seen(None).traits
        for name in ("faces-arcface-few-dark", "faces-arcface-1000")
    )
    assert len(few) == len(ordinary) == 1000
    assert runs.dark_skinned(few).sum() == 50
    assert 450 < runs.dark_skinned(ordinary).sum() < 550


# --- whom it is scored on -------------------------------------------------------------------------

HARD_COLUMNS = {f"tar_1e-3, {hard}" for hard in ("easy", *faces.HARD)}
SKIN_COLUMNS = {f"{rate}, {skin}" for rate in ("fmr", "fnmr") for skin in ("dark", "light")}


def row_of(run):
    return run.score(run.train(0, None), None)


def test_a_test_run_has_a_row_with_hard_sets_and_skin_and_a_grid_run_has_not(seen, asked):
    tested, validated = (row_of(replace(RUN, part=part)) for part in ("test", "validation"))
    assert {"train_accuracy", "tar_1e-3", "eer", "rank_1", "fnir_1e-2"} <= set(validated)
    assert set(tested) - set(validated) == HARD_COLUMNS | SKIN_COLUMNS
    assert set(validated) < set(tested)
    assert all(0 <= tested[name] <= 1 for name in HARD_COLUMNS | SKIN_COLUMNS)


@pytest.mark.parametrize(("part", "sets"), [("test", 7), ("validation", 1)])
@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_strength_and_part_reach_all_that_is_drawn(seen, asked, part, sets, strength):
    row_of(replace(RUN, part=part, strength=strength))
    assert {call.strength for call in asked} == {strength}
    assert {call.split for call in asked} == {"train", part}
    scored = [(call.count, call.hard) for call in asked if call.split != "train"]
    assert scored == [(500, None), *((200, hard) for hard in (None, *faces.HARD))][:sets]


def test_nobody_of_the_validation_is_in_training_or_test():
    parts = [faces.identities(split, 1000) for split in ("train", "validation", "test")]
    assert len(np.unique(np.concatenate(parts), axis=0)) == 3000


def test_the_values_are_of_unseen_people_and_the_accuracy_is_of_training_pictures(seen, asked):
    run = replace(RUN, part="validation")
    model = run.train(0, None)
    head = model.layers[-1]
    head.set_weights([np.zeros(head.kernel.shape), np.eye(6)[2]])  # everybody is number 2
    row = run.score(model, None)
    assert row["train_accuracy"] == pytest.approx(1 / 6)
    unseen = people("validation", 200, 10, size=8)
    expected = evaluation.open_set_scores(unseen.images.reshape(2000, -1), unseen.labels)
    assert row == {"train_accuracy": row["train_accuracy"]} | {
        name: pytest.approx(value, abs=1e-6) for name, value in expected.items()
    }


def test_a_hard_set_is_scored_on_its_own_pictures(seen, asked):
    model = RUN.train(0, None)
    row = RUN._hard_scores(evaluation.backbone_of(model))
    assert set(row) == HARD_COLUMNS
    for hard in (None, *faces.HARD):
        unseen = people("test", 20, 10, hard=hard, size=8)
        scores = verification.score_pairs(unseen.images.reshape(200, -1), unseen.labels)
        expected = verification.measure(scores, (1e-3,)).tar_at(1e-3)
        assert row[f"tar_1e-3, {hard or 'easy'}"] == pytest.approx(expected, abs=1e-6)
    assert len(set(row.values())) > 3


def test_error_rates_by_skin_are_those_of_the_pairs_within_each_group():
    unseen = people("test", 40, 4, size=8)
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((40, 8))[unseen.labels] + rng.standard_normal((160, 8))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    impostors, pairs = [], {"dark": ([], []), "light": ([], [])}
    for i in range(160):
        for j in range(i):
            a, b, cosine = unseen.labels[i], unseen.labels[j], unit[i] @ unit[j]
            groups = ["dark" if unseen.traits[k, 0] < 0 else "light" for k in (a, b)]
            if a != b:
                impostors.append(cosine)
            if groups[0] == groups[1]:
                pairs[groups[0]][int(a == b)].append(cosine)
    # as many impostors of all pass as FAR 0.001 allows
    threshold = np.sort(impostors)[-int(1e-3 * len(impostors))]
    row = runs._by_skin(embeddings, unseen)
    assert set(row) == SKIN_COLUMNS
    for skin, (others, same) in pairs.items():
        assert row[f"fmr, {skin}"] == pytest.approx((np.array(others) >= threshold).mean())
        assert row[f"fnmr, {skin}"] == pytest.approx((np.array(same) < threshold).mean())
    assert 0 < row["fmr, dark"] != row["fmr, light"]
