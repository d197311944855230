"""The website's figures to touch: where each stands in the lessons, and the data that they read.

`static/figures.js` turns a still picture into a figure that moves without a kernel. Colours,
dashes, presets and the numbers of recorded models are not written into it: `write_data` takes them
from `lib` and `data/` and writes small scripts, which work from a folder as well as from a server.
"""

import functools
import html
import json
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np

from ... import palette, scene, verification
from ...files import Problem, write_atomically

DATA = Path(__file__).resolve().parents[3] / "data"
FACE_SCORES = DATA / "face_scores.json"
# --- where they stand -----------------------------------------------------------------------------


@dataclass(frozen=True)
class FigureToTouch:
    """A figure of `figures.js` by its name, with the options that it begins with.

    It takes the place of the still picture; or, with `below`, it stands under one that shows more.
    """

    name: str
    options: dict = field(default_factory=dict)
    below: bool = False

    def around(self, still):
        """The still picture, HTML, with what the script needs to find it."""
        attributes = {"class": "figure-to-touch", "data-figure": self.name}
        attributes |= {f"data-{key}": value for key, value in self.options.items()}
        written = " ".join(f'{key}="{html.escape(str(v))}"' for key, v in attributes.items())
        if self.below:
            return f"{still}\n<div {written}></div>"
        return f"<div {written}>\n{still}\n</div>"


def _figure(name, below=False, **options):
    return FigureToTouch(name, options, below)


# (lesson, cell) → what takes the place of that cell's picture, or stands below it.
FIGURES = {
    ("00_start_here", "eer-picture"): _figure("threshold", scores="pixels"),
    ("01_softmax", "field-live"): _figure("field", loss="softmax"),
    ("01_softmax", "train"): _figure("playback", record="softmax-2d"),
    ("02_center_loss", "field-live"): _figure("field", loss="center loss"),
    ("03_modified_softmax", "field-live"): _figure("field", loss="NormFace"),
    ("03_modified_softmax", "touch-playground"): _figure("circle", classes=5, angle=40),
    ("03_modified_softmax", "touch-room"): _figure("feasibility", classes=10, dim=2, scale=16),
    ("04_sphereface", "touch-explorer"): _figure("explorer", preset="SphereFace, m 4"),
    ("04_sphereface", "field-live"): _figure("field", loss="SphereFace"),
    ("05_cosface", "circle"): _figure(
        "circle", below=True, loss="CosFace", classes=4, angle=30, m3=0.1
    ),
    ("05_cosface", "touch-room"): _figure("feasibility", classes=10, dim=2, scale=16, m3=0.1),
    ("05_cosface", "field-live"): _figure("field", loss="CosFace"),
    ("06_arcface", "field-live"): _figure("field", loss="ArcFace"),
    ("06_arcface", "touch-playground"): _figure(
        "circle", loss="ArcFace", classes=10, angle=12, m2=0.2
    ),
    ("06_arcface", "pictures"): _figure("playback", below=True, record="arcface-2d"),
    ("06_arcface", "touch-explorer"): _figure("explorer", preset="ArcFace, m 0.5"),
    ("07_combined_margins", "extra-picture"): _figure(
        "explorer", below=True, preset="combined (1, 0.3, 0.2)"
    ),
    ("07_combined_margins", "field-live"): _figure("field", loss="combined"),
    ("08_open_set_verification", "slider"): _figure(
        "threshold", scores="faces", model="ArcFace", threshold=0.5
    ),
    ("09_many_classes", "room-picture"): _figure(
        "feasibility", classes=1_000_000, dim=512, scale=64, m3=0.35
    ),
}


# --- the data -------------------------------------------------------------------------------------

# Each recorded training: its loss as the course names it, and from which epoch on it has a margin.
RECORDS = {"softmax-2d": ("softmax", None), "arcface-2d": ("ArcFace", 2)}
THRESHOLDS = 200  # for each 1 of cosine
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def write_data(folder):
    """Write what `figures.js` reads into `folder`; the same bytes each time.

    Args:
        folder: the folder `figures` beside `figures.js`; it is made if it is missing.

    Returns:
        The paths, one script each.

    Raises:
        Problem: if a recorded file is missing; the message says how to make it.
    """
    contents = {"course": course_data}
    contents |= {f"playback_{name}": functools.partial(playback_data, name) for name in RECORDS}
    contents |= {f"scores_{name}": functools.partial(scores_data, name) for name in SCORES}
    paths = []
    for name, content in contents.items():
        written = json.dumps(content(), ensure_ascii=False, separators=(",", ":"))
        script = f"(window.marginFiguresData ??= {{}})[{json.dumps(name)}] = {written};\n"
        paths.append(Path(folder) / f"{name}.js")
        write_atomically(paths[-1], script)
    return paths


def course_data():
    """Colours, dashes, presets, sliders, and the five classes of the fields."""
    return {
        "losses": {
            loss: {"color": matplotlib.colors.to_hex(color), "dash": _dash(loss)}
            for loss, color in palette.LOSS_COLORS.items()
        },
        "classes": [
            {"color": color, "edge": matplotlib.colors.to_hex(edge)}
            for color, edge in zip(palette.COLORS, palette.EDGES, strict=True)
        ],
        "own": palette.OWN,
        "other": palette.OTHER,
        "presets": scene.PRESETS,
        "compared": scene.COMPARED,
        "sliders": scene.MARGINS,
        "fields": {loss: scene.FIELD_MARGINS.get(loss) for loss in palette.LOSS_COLORS},
        "plane": {
            "directions": scene.DIRECTIONS.tolist(),
            "lengths": scene.LENGTHS.tolist(),
            "biases": scene.BIASES.tolist(),
            "centre": scene.CENTRE.tolist(),
            "weight": scene.CENTRE_WEIGHT,
            "scale": scene.SCALE,
            "reach": scene.REACH,
            "arrow": scene.ARROW,
            "points": scene.FIELD_POINTS.round(4).tolist(),
        },
    }


def _dash(loss):
    """The dash of a loss in widths of its line, as SVG and a canvas want it; none if unbroken."""
    named = {":": "dotted", "--": "dashed", "-.": "dashdot"}
    dash = palette.LOSS_DASHES[loss]
    if dash == "-":
        return []
    if isinstance(dash, str):
        return list(matplotlib.rcParamsDefault[f"lines.{named[dash]}_pattern"])
    return list(dash[1])


def playback_data(name):
    """A recorded training in the plane: of each moment the points, packed, weights and scores."""
    record = _kept(f"playback_{name}.npz", "make pictures")
    embeddings, weights = (record[key].astype("float64") for key in ("embeddings", "weights"))
    loss, margin_from = RECORDS[name]
    reaches = [float(np.abs(points).max()) for points in embeddings]
    return {
        "loss": loss,
        "marginFrom": margin_from,
        "labels": "".join(map(str, record["labels"])),
        "epochs": record["epochs"].astype("float64").round(4).tolist(),
        "reaches": np.round(reaches, 4).tolist(),
        "points": [_packed(p, r) for p, r in zip(embeddings, reaches, strict=True)],
        "directions": [np.arctan2(columns[1], columns[0]).round(4).tolist() for columns in weights],
        "scores": record["scores"].astype("float64").round(4).tolist(),
    }


def _packed(points, reach):
    """Coordinates from -reach to reach as two letters of base64 each: twelve bits."""
    steps = np.rint((points.ravel() / reach + 1) / 2 * 4095).astype(int)
    return "".join(LETTERS[step >> 6] + LETTERS[step & 63] for step in steps.clip(0, 4095))


def scores_data(name):
    """How many pairs each threshold accepts, for the models of a set in `SCORES`."""
    about, counts_of_models = SCORES[name]
    return {"about": about, "models": counts_of_models()}


def _counts(scores):
    """Pairs with a score of at least each threshold, from the lowest score up to 1."""
    lowest = min(scores.genuine[0], scores.impostor[0])
    steps = np.arange(int(np.floor(lowest * THRESHOLDS)), THRESHOLDS + 1)
    thresholds = steps / THRESHOLDS
    far, tar = scores.far(thresholds), scores.tar(thresholds)
    return {
        "first": int(steps[0]),
        "perUnit": THRESHOLDS,
        "genuine": np.rint(tar * len(scores.genuine)).astype(int).tolist(),
        "impostor": np.rint(far * len(scores.impostor)).astype(int).tolist(),
        "eer": round(verification.equal_error_rate(scores), 6),
        "eerAt": round(float(np.interp(0, 1 - tar - far, thresholds)), 4),
    }


def pixel_scores():
    """The held-out digits by their pixels, as in lesson 0: model → `PairScores`."""
    digits = _kept("digits.npz", "git checkout data/digits.npz")
    pixels = digits["x_test"].reshape(len(digits["x_test"]), -1).astype("float32") / 255
    return {"pixels": verification.score_pairs(pixels, digits["y_test"])}


def face_scores():
    """500 people never seen, ten pictures each, by the backbones that are kept; as in lesson 8.

    It takes ten seconds, so the website reads what `record_face_scores` has kept.
    """
    from ... import evaluation, faces
    from ...records import results

    unseen = faces.people("test", count=500, images=10)
    runs = {"softmax": "faces-softmax-1000", "ArcFace": "faces-arcface-1000"}
    return {
        loss: verification.score_pairs(
            evaluation.embed(results.recorded_backbone(run), unseen.images), unseen.labels
        )
        for loss, run in runs.items()
    }


def record_face_scores(path=FACE_SCORES):
    """Count the pairs of `face_scores` and write them to data/face_scores.json."""
    counts = {loss: _counts(scores) for loss, scores in face_scores().items()}
    write_atomically(path, json.dumps(counts) + "\n")


def _kept_face_scores():
    if not FACE_SCORES.exists():
        raise Problem(f"{FACE_SCORES} is missing: `python -m {__name__}` records it.")
    return json.loads(FACE_SCORES.read_text(encoding="utf-8"))


def _kept(name, remedy):
    """The arrays of a file in `data/`."""
    path = DATA / name
    if not path.exists():
        raise Problem(f"{path} is missing: `{remedy}` brings it back.")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


# Each set of pairs: what they are, and the counts of each model.
SCORES = {
    "pixels": (
        "held-out digits, compared by their pixels",
        lambda: {model: _counts(scores) for model, scores in pixel_scores().items()},
    ),
    "faces": (
        "ten pictures each of 500 people never seen, by the recorded models of ten epochs",
        _kept_face_scores,
    ),
}

if __name__ == "__main__":
    record_face_scores()
