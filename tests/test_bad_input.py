"""Every public function of the measures is given every kind of wrong input, one argument at a time.

The answer is a ValueError or a TypeError out of `lib` itself, one short line that names the
argument. A function or an argument without a row in the table fails a test.
"""

import inspect
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("agg")

from lib import evaluation, plots, verification
from lib.layers import CosineHead
from lib.records import results

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

MODULES = evaluation, verification, plots

# --- good arguments -------------------------------------------------------------------------------

LABELS = np.arange(40) % 4
ANGLES = np.pi / 2 * LABELS + np.random.default_rng(0).normal(0, 0.3, 40)
EMBEDDINGS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
CENTRES = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
CANCELLING = CENTRES[LABELS] * np.where(np.arange(40) // 4 % 2, 1, -1)[:, None]
IN_SPACE = np.random.default_rng(0).normal(size=(40, 3))
IMAGES = np.random.default_rng(0).random((40, 8, 8, 1))
PAIRS = verification.score_pairs(EMBEDDINGS, LABELS)
GENUINE = np.arange(40) % 2 == 0
CURVES = verification.resampled_curves(EMBEDDINGS, LABELS, fars=(0.1,), resamples=5)
FOLDS = verification.fold_pairs(LABELS, folds=2, pairs=20)
RECORD = results.Record("title", {"0": {"eer": 0.1}, "1": {"eer": 0.2}})
BACKBONE = keras.Sequential(
    [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)], name="backbone"
)
MODEL = keras.Sequential([BACKBONE, CosineHead(4)])
DIGITS = SimpleNamespace(x_test=IMAGES, y_test=LABELS, x_clean=IMAGES, y_clean=LABELS)
MEASURED = verification.measure(PAIRS, (0.1,))
MANY = np.random.default_rng(0).normal(size=(3000, 8))  # enough for what is recorded
FIGURE = plt.figure()
AX, AX_3D = FIGURE.add_subplot(121), FIGURE.add_subplot(122, projection="3d")


def with_value(array, value):
    changed = np.array(array, dtype="float64")
    changed[-1] = value
    return changed


# --- wrong ones, by kind --------------------------------------------------------------------------

NO_NUMBERS = {"None": None, "text": "abc", "ragged": [[1.0], [1.0, 2.0]], "objects": [{}, {}]}


def array(good):
    """What is no array of finite numbers of this shape."""
    return NO_NUMBERS | {
        "none": good[:0],
        "one number": 1.0,
        "one axis more": np.asarray(good)[None],
        "NaN": with_value(good, np.nan),
        "infinite": with_value(good, np.inf),
        "strings": np.asarray(good).astype(str),
    }


def same_length(good):
    return array(good) | {"one less": good[:-1]}


def directions(good):
    """As `array`; besides, a row without a direction."""
    return array(good) | {
        "flat": np.ravel(good),
        "zeros": 0 * good,
        "one zero": with_value(good, 0),
        "too long": good * 1e200,
        "too short": good * 1e-200,
    }


def other_dimensions(good):
    return {"five dimensions": np.ones((len(good), 5))}


def identities(good):
    return NO_NUMBERS | {
        "none": good[:0],
        "one less": good[:-1],
        "one number": 3,
        "a column": good[:, None],
        "floats": good * 1.0,
        "NaN": good * np.nan,
        "bool": good > 1,
    }


def class_numbers(good):
    return identities(good) | {
        "strings": good.astype(str),
        "negative": good - 1,
        "huge": good * 10**12,
        "unsigned": np.full(len(good), 2**64 - 1, dtype="uint64"),
    }


def pairs_of(good):
    """Identities that make no genuine or no impostor pair."""
    return identities(good) | {"one identity": 0 * good, "all different": np.arange(len(good))}


def whole_number(low, high=None):
    wrong = {"too low": low - 1, "half": low + 0.5, "text": "many", "None": None, "NaN": np.nan}
    return wrong if high is None else wrong | {"too high": high + 1}


def number(low, high=None):
    wrong = {"too low": low, "text": "much", "None": None, "NaN": np.nan, "array": np.ones(3)}
    return wrong if high is None else wrong | {"too high": high}


def rate():
    return {"zero": 0, "above one": 1.5, "NaN": np.nan, "text": "low", "None": None}


def rates(too_fine=True):
    wrong = {f"a list: {kind}": [value] for kind, value in rate().items()}
    return wrong | {"one number": 0.1} | ({"too fine": (0.1, 1e-9)} if too_fine else {})


def dictionary(**values):
    return {"None": None, "empty": {}, "a list": [1, 2]} | {
        kind: {"a name": value} for kind, value in values.items()
    }


FUNCTION = {"None": None, "a number": 3}
SCORES = {"None": None, "arrays": (PAIRS.genuine, PAIRS.impostor), "numbers": np.ones(5)}
FLAT = {"None": None, "a figure": FIGURE, "3-D": AX_3D}
IN_3D = {"None": None, "2-D": AX}
MODELS = {
    "None": None,
    "text": "softmax",
    "a layer": keras.layers.Dense(4),
    "no head": keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()]),
    "only a head": keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)]),
    "weights behind": keras.Sequential(
        [keras.Input((4,)), *map(keras.layers.Dense, (4, 4)), keras.layers.BatchNormalization()]
    ),
    "never called": keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(8), CosineHead(4)]),
}
RECORDS = dictionary(number=3, dictionary={"eer": 0.1})
COLUMN = {"unknown": "speed", "None": None}
WEIGHTS = {
    "rows and columns": np.ones((4, 2)),
    "zeros": np.zeros((2, 4)),
    "NaN": np.full((2, 4), np.nan),
    "none": np.ones((2, 0)),
    "eleven": np.ones((2, 11)),
    "text": "W",
}
IN_PLANE = array(EMBEDDINGS) | other_dimensions(EMBEDDINGS)
TEXT = {"None": None, "two words": "a plot", "a number": 3}
TARGET = FUNCTION | {"NaN": lambda angle: angle * np.nan, "one number": lambda angle: 1.0}

# --- the table ------------------------------------------------------------------------------------

ON_CENTRES = {
    "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
    "centres": (CENTRES, directions(CENTRES) | other_dimensions(CENTRES)),
}
OF_CENTRES = {
    "centre_embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | other_dimensions(EMBEDDINGS)),
    "centre_labels": (LABELS, class_numbers(LABELS) | {"a gap": LABELS * (LABELS != 2)}),
}
RESAMPLING = {
    "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
    "labels": (LABELS, pairs_of(LABELS)),
    "fars": ((0.1,), rates()),
    "resamples": (5, whole_number(1)),
    "seed": (0, whole_number(0)),
    "thresholds": (20, whole_number(2)),
}
CURVE_ARRAYS = {
    "far": (CURVES[0], array(CURVES[0]) | {"one curve": CURVES[0][0], "half": CURVES[0] / 2}),
    "tar": (CURVES[1], same_length(CURVES[1]) | {"half": CURVES[1] / 2}),
}
DRAWN = {"ax": (AX, FLAT)}
DRAWN_EMBEDDINGS = DRAWN | {
    "embeddings": (EMBEDDINGS, IN_PLANE),
    "labels": (LABELS, class_numbers(LABELS) | {"ten": LABELS + 10}),
}
DRAWN_WEIGHTS = {"weights": (CENTRES.T, WEIGHTS)}
MARGIN = DRAWN | {"target_cosine": (np.cos, TARGET)}

# function → argument → (a good value, wrong ones by kind)
TABLE = {
    evaluation.embed: {
        "backbone": (BACKBONE, FUNCTION),
        "images": (IMAGES, array(IMAGES) | {"flat": IMAGES.reshape(40, 64)}),
        "batch_size": (7, whole_number(1)),
    },
    evaluation.backbone_of: {"model": (MODEL, MODELS)},
    evaluation.class_centres: {
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | {"cancel": CANCELLING}),
        "labels": (LABELS, class_numbers(LABELS) | {"a gap": LABELS * 2}),
        "num_classes": (4, {"too few": 3, "too many": 10**12, "text": "ten", "half": 3.5}),
    },
    evaluation.angles_to_centres: ON_CENTRES,
    evaluation.scoreboard: {
        "logits": (EMBEDDINGS @ CENTRES.T, same_length(EMBEDDINGS @ CENTRES.T)),
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
        "labels": (LABELS, class_numbers(LABELS) | pairs_of(LABELS)),
        **OF_CENTRES,
    },
    evaluation.evaluate_model: {
        "model": (MODEL, MODELS),
        "digits": (DIGITS, {"None": None, "one part": SimpleNamespace(x_test=IMAGES)}),
    },
    evaluation.distance_scores: {
        "embeddings": (EMBEDDINGS, array(EMBEDDINGS)),
        "labels": (LABELS, pairs_of(LABELS)),
        "centre_embeddings": (
            EMBEDDINGS,
            array(EMBEDDINGS) | other_dimensions(EMBEDDINGS) | {"zeros": 0 * EMBEDDINGS},
        ),
        "centre_labels": (LABELS, identities(LABELS) | {"a gap": LABELS * (LABELS != 2)}),
    },
    evaluation.open_set_scores: {
        "embeddings": (MANY, directions(MANY)),
        "labels": (np.arange(3000) // 12, pairs_of(np.arange(3000) // 12)),
    },
    evaluation.scoreboard_table: {
        "rows": (
            {"a": evaluation.Scoreboard(*np.ones(5))},
            dictionary(number=3, record_of_others=RECORD),
        ),
    },
    evaluation.verification_table: {
        "rows": (
            {"a": MEASURED},
            dictionary(number=3)
            | {"other FARs": {"a": MEASURED, "b": verification.measure(PAIRS, (0.2,))}},
        ),
        "intervals": ({"a": {"eer": (0.0, 0.1)}}, {"unknown": {"b": {}}, "number": {"a": 3}}),
    },
    evaluation.open_set_table: {
        "rows": (
            {"a": dict.fromkeys(evaluation.OPEN_SET_COLUMNS, 0.5)},
            dictionary(number=3, record_of_others=RECORD, dictionary_of_others={"eer": 0.1}),
        ),
    },
    verification.score_pairs: {
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
        "labels": (LABELS, pairs_of(LABELS)),
    },
    verification.split_scores: {
        "scores": (np.linspace(0, 1, 40), array(np.linspace(0, 1, 40))),
        "genuine": (GENUINE, same_length(GENUINE) | {"all": GENUINE | True, "no": GENUINE & False}),
    },
    verification.measure: {"scores": (PAIRS, SCORES), "fars": ((0.1,), rates())},
    verification.threshold_at: {
        "scores": (PAIRS, SCORES),
        "far": (0.1, rate() | {"too fine": 1e-9}),
    },
    verification.equal_error_rate: {"scores": (PAIRS, SCORES)},
    verification.roc_points: {"scores": (PAIRS, SCORES), "points": (9, whole_number(2))},
    verification.hardest_pairs: {
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
        "labels": (LABELS, identities(LABELS)),
        "count": (2, whole_number(1)),
    },
    verification.bootstrap: RESAMPLING | {"level": (0.9, number(0, 1))},
    verification.intervals: CURVE_ARRAYS
    | {"fars": ((0.1,), rates(too_fine=False)), "level": (0.9, number(0, 1))},
    verification.resampled_tar: CURVE_ARRAYS | {"wanted": (0.1, rate())},
    verification.resampled_curves: RESAMPLING,
    verification.fold_pairs: {
        "labels": (LABELS, {k: v for k, v in identities(LABELS).items() if k != "one less"}),
        "folds": (2, whole_number(2) | {"too many": 1000}),
        "pairs": (20, whole_number(1) | {"too many": 10**6}),
        "seed": (0, whole_number(0)),
    },
    verification.fold_accuracy: {
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
        "first": (FOLDS[0], array(FOLDS[0]) | {"flat": FOLDS[0][0], "no row": FOLDS[0] + 40}),
        "second": (FOLDS[1], same_length(FOLDS[1]) | {"negative": FOLDS[1] - 40}),
        "genuine": (FOLDS[2], same_length(FOLDS[2]) | {"numbers": FOLDS[2] * 1}),
    },
    verification.best_threshold: {
        "scores": (np.linspace(0, 1, 40), array(np.linspace(0, 1, 40))),
        "genuine": (GENUINE, same_length(GENUINE) | {"all": GENUINE | True}),
    },
    verification.one_each: {
        "labels": (LABELS, {k: v for k, v in identities(LABELS).items() if k != "one less"}),
    },
    verification.ranks: {
        "gallery": (CENTRES, directions(CENTRES) | other_dimensions(CENTRES)),
        "gallery_labels": (np.arange(4), identities(np.arange(4)) | {"twice": np.zeros(4, int)}),
        "probes": (EMBEDDINGS, directions(EMBEDDINGS) | other_dimensions(EMBEDDINGS)),
        "probe_labels": (LABELS, identities(LABELS) | {"not enrolled": LABELS + 1000}),
    },
    verification.cmc: {
        "ranks": (LABELS + 1, array(LABELS + 1) | {"zero": LABELS, "behind all": LABELS + 100}),
        "gallery_size": (9, whole_number(1)),
        "distractors": (2, {"negative": -1, "too many": 9, "half": 1.5, "text": "few"}),
    },
    plots.use_course_style: {},
    plots.new_figure: {
        "columns": (2, whole_number(1)),
        "rows": (1, whole_number(1)),
        "width": (4, number(0)),
        "height": (4, number(0)),
    },
    plots.show: {
        "fig": (FIGURE, {"None": None, "axes": AX}),
        "alt": ("A line that falls to zero.", TEXT),
    },
    plots.described: {"alt": ("A line that falls to zero.", TEXT)},
    plots.is_live: {"fig": (FIGURE, {"None": None, "axes": AX})},
    plots.plot_images: DRAWN
    | {
        "images": (IMAGES, array(IMAGES) | {"colour": np.ones((40, 8, 8, 3))}),
        "columns": (8, whole_number(1)),
        "titles": ([str(i) for i in range(40)], {"too few": ["one"], "a number": 3}),
    },
    plots.plot_embeddings: DRAWN_EMBEDDINGS | DRAWN_WEIGHTS | {"ax": (AX, {"None": None})},
    plots.plot_unit_circle: DRAWN_EMBEDDINGS
    | DRAWN_WEIGHTS
    | {"embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | other_dimensions(EMBEDDINGS))},
    plots.plot_unit_sphere: {
        "ax": (AX_3D, IN_3D),
        "embeddings": (IN_SPACE, directions(IN_SPACE) | other_dimensions(IN_SPACE)),
        "labels": (LABELS, class_numbers(LABELS)),
        "weights": (IN_SPACE[:4].T, WEIGHTS),
    },
    plots.draw_sphere: {"ax": (AX_3D, IN_3D)},
    plots.plot_angle_histogram: DRAWN
    | ON_CENTRES
    | {"centres": (CENTRES, directions(CENTRES) | {"one": CENTRES[:1]})}
    | {"labels": (LABELS, class_numbers(LABELS))},
    plots.three_pictures: {k: v for k, v in DRAWN_EMBEDDINGS.items() if k != "ax"}
    | {"centres": ON_CENTRES["centres"], "weights": DRAWN_WEIGHTS["weights"]},
    plots.plot_decision_regions: DRAWN_EMBEDDINGS
    | {
        "predict": (
            lambda x: x @ CENTRES.T,
            FUNCTION
            | {
                "NaN": lambda x: x * np.nan,
                "flat": lambda x: x[:, 0],
                "wide": lambda x: x @ np.ones((2, 11)),
            },
        ),
        "resolution": (9, whole_number(2, 5000)),
    },
    plots.tsne: {
        "embeddings": (
            EMBEDDINGS,
            directions(EMBEDDINGS)
            | {
                "twenty": EMBEDDINGS[:20],
                "a line": EMBEDDINGS[:, :1],
                "one place": np.ones((40, 2)),
            },
        ),
        "seed": (0, whole_number(0, 2**32 - 1)),
    },
    plots.plot_tsne: DRAWN
    | {
        "points": (EMBEDDINGS, IN_PLANE),
        "labels": (LABELS, class_numbers(LABELS)),
        "images": (IMAGES, {"flat": IMAGES.reshape(40, 64), "text": "abc", "none": IMAGES[:0]}),
    },
    plots.nearest_point: DRAWN
    | {
        "points": (EMBEDDINGS, IN_PLANE),
        "event": (SimpleNamespace(x=1, y=1), {"None": None}),
        "within_pixels": (9, number(0)),
    },
    plots.plot_error_rates: DRAWN | {"scores": (PAIRS, SCORES)},
    plots.plot_pair_scores: DRAWN | {"scores": (PAIRS, SCORES)},
    plots.plot_roc: DRAWN
    | {
        "curves": (
            {"a": ([0.1, 1.0], [0.2, 1.0])},
            dictionary(number=3, unequal=([0.1], [0.2, 1.0]), nan=([0.1], [np.nan])),
        )
    },
    plots.plot_image_map: DRAWN
    | {
        "points": (EMBEDDINGS, IN_PLANE),
        "images": (IMAGES, array(IMAGES) | {"one less": IMAGES[:-1]}),
        "labels": (LABELS, {k: v for k, v in class_numbers(LABELS).items() if k != "None"}),
    },
    plots.plot_loss_curves: DRAWN
    | {
        "histories": (
            {"a": SimpleNamespace(history={"loss": [2.0, 1.0]})},
            dictionary(number=3, nothing=SimpleNamespace(history={"loss": []})),
        ),
        "quantity": ("loss", COLUMN),
    },
    plots.plot_sweep: DRAWN
    | {
        "records": ({"0.1": RECORD}, RECORDS),
        "columns": ({"eer": "EER"}, dictionary() | {"unknown": {"speed": "v"}}),
    },
    plots.plot_ranges: DRAWN
    | {
        "records": ({"a": RECORD}, RECORDS),
        "column": ("eer", COLUMN),
        "groups": (
            {"all": ("a",)},
            {"empty": {}, "unknown": {"all": ("a", "b")}, "none": {"all": ()}},
        ),
    },
    plots.plot_angle_regions: MARGIN | {"limit": (90, number(0, 181))},
    plots.plot_cosine_regions: MARGIN | {"lowest": (0.0, number(-1.1, 1))},
    plots.plot_margin_on_circle: MARGIN
    | {
        "directions": (
            np.array([0.0, 90, 180, 270]),
            array(np.array([0.0, 90, 180, 270])) | {"one": [90.0], "eleven": np.arange(11.0)},
        )
    },
    plots.plot_pulls_on_arcs: DRAWN
    | {
        "pulls": (
            {"a": np.ones((3, 2))},
            dictionary(number=3, flat=np.ones(3), four=np.ones((4, 2))),
        ),
        "offsets": (
            np.array([-10.0, 0, 10]),
            array(np.arange(5.0)) | {"one": np.ones(1), "one place": np.ones(3)},
        ),
        "apart": (36.0, number(0, 180)),
    },
    plots.circular_density: {
        "angles": (ANGLES, array(ANGLES)),
        "grid": (np.linspace(-3, 3, 9), array(np.linspace(-3, 3, 9))),
        "concentration": (400.0, number(0)),
    },
    verification.PairScores: {
        "genuine": (PAIRS.genuine, array(PAIRS.genuine) | {"not sorted": PAIRS.genuine[::-1]}),
        "impostor": (PAIRS.impostor, array(PAIRS.impostor) | {"not sorted": PAIRS.impostor[::-1]}),
    },
    evaluation.Table: {
        "rows": ([["a", "1"]], {"too short": [["a"]], "too long": [["a", "b", "c"]]})
    },
}
REQUIRED = {plots.new_figure: {"name": "figure"}, plots.three_pictures: {"name": "figure"}}
REQUIRED |= {evaluation.Table: {"header": ["name", "value"], "caption": "caption"}}
# what can be anything: a name, a switch, what is passed on to Matplotlib
FREE = {"name", "log", "subplot_options", "header", "caption"}


def good_arguments(function):
    arguments = {name: good for name, (good, _) in TABLE[function].items()}
    return REQUIRED.get(function, {}) | arguments


@pytest.fixture(autouse=True)
def fresh_axes():
    AX.clear()
    AX_3D.clear()
    with plt.rc_context():
        yield


def test_every_public_function_and_each_of_its_arguments_is_in_the_table():
    for module in MODULES:
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                assert function in TABLE, f"{name} has no row"
                arguments = set(inspect.signature(function).parameters) - FREE
                assert arguments == set(TABLE[function]), name


@pytest.mark.parametrize("function", TABLE, ids=lambda function: function.__name__)
def test_good_input_is_taken(function):
    """Without which the next test would say nothing."""
    function(**good_arguments(function))


CASES = {
    f"{function.__name__}, {argument}, {kind}": (function, argument, wrong)
    for function, arguments in TABLE.items()
    for argument, (_, kinds) in arguments.items()
    for kind, wrong in kinds.items()
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("function", "argument", "wrong"), CASES.values(), ids=CASES)
def test_wrong_input_is_answered_in_one_line_that_names_the_argument(function, argument, wrong):
    with pytest.raises((ValueError, TypeError)) as caught:
        function(**good_arguments(function) | {argument: wrong})
    text = str(caught.value)
    assert argument in text
    assert "\n" not in text
    assert len(text) < 300
    raised_in = Path(str(caught.traceback[-1].path))
    assert raised_in.parent == Path(plots.__file__).parent, "the words are another library's"
