"""Every public function of the measures is given every kind of wrong input, one argument at a time.

The answer is a ValueError or a TypeError out of `lib` itself, one short line that names the
argument. One table says for each argument what is good and what is wrong; a public function, or an
argument of one, that is not in it fails a test.
"""

import inspect
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("agg")

from lib import diagrams, evaluation, plots, recognition, verification
from lib.layers import CosineHead
from lib.records import results

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

# --- good arguments -------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4
CENTRES = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
EMBEDDINGS = CENTRES[LABELS] + RNG.normal(0, 0.3, (40, 2))
IN_SPACE = RNG.normal(size=(40, 3))
IMAGES = RNG.random((40, 8, 8, 1))
MANY, OF_MANY = RNG.normal(size=(3000, 8)), np.arange(3000) // 12  # enough for what is recorded
PAIRS = verification.score_pairs(EMBEDDINGS, LABELS)
MEASURED = verification.measure(PAIRS, (0.1,))
FAR, TAR = verification.resampled_curves(EMBEDDINGS, LABELS, fars=(0.1,), resamples=5)
FIRST, SECOND, SAME = verification.fold_pairs(LABELS, folds=2, pairs=20)
SCORES, GENUINE = np.linspace(0, 1, 40), np.arange(40) % 2 == 0
FOUND = recognition.closest(list("abcd"), CENTRES, EMBEDDINGS, k=2)
RECORD = results.Record("title", {"0": {"eer": 0.1}, "1": {"eer": 0.2}})
BACKBONE = keras.Sequential(
    [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)], name="backbone"
)
MODEL = keras.Sequential([BACKBONE, CosineHead(4)])
DIGITS = SimpleNamespace(x_test=IMAGES, y_test=LABELS, x_clean=IMAGES, y_clean=LABELS)
FIGURE = plt.figure()
AX, AX_3D = FIGURE.add_subplot(121), FIGURE.add_subplot(122, projection="3d")
DEGREES = np.array([0.0, 90, 180, 270])

# --- wrong ones, by kind --------------------------------------------------------------------------

NO_ARRAY = {"None": None, "text": "abc", "ragged": [[1.0], [1.0, 2.0]], "objects": [{}, {}]}


def with_last(array, value):
    changed = np.array(array, dtype="float64")
    changed[-1] = value
    return changed


def array(good, **more):
    """What is no array of finite numbers of this shape."""
    return NO_ARRAY | {
        "none": good[:0],
        "one number": 1.0,
        "an axis more": good[None],
        "NaN": with_last(good, np.nan),
        "infinite": with_last(good, np.inf),
        "strings": good.astype(str),
        **more,
    }


def directions(good, **more):
    """As `array`; besides, a row without a direction."""
    return array(
        good,
        flat=good.ravel(),
        zeros=0 * good,
        one_zero=with_last(good, 0),
        too_long=good * 1e200,
        too_short=good * 1e-200,
        **more,
    )


def identities(good, **more):
    return NO_ARRAY | {
        "none": good[:0],
        "one number": 3,
        "a column": good[:, None],
        "floats": good * 1.0,
        "NaN": good * np.nan,
        "bool": good > 1,
        **more,
    }


def pairs_of(good):
    """Besides, identities that make no genuine or no impostor pair."""
    return identities(
        good, one_less=good[:-1], one_identity=0 * good, all_different=np.arange(len(good))
    )


def class_numbers(good, **more):
    return identities(
        good,
        one_less=good[:-1],
        strings=good.astype(str),
        negative=good - 1,
        huge=good * 10**12,
        unsigned=np.full(len(good), 2**64 - 1, dtype="uint64"),
        **more,
    )


def whole_number(low, high=None):
    wrong = {"too low": low - 1, "half": low + 0.5, "text": "many", "None": None, "NaN": np.nan}
    return wrong if high is None else wrong | {"too high": high + 1}


def number(low, high=None):
    wrong = {"too low": low, "text": "much", "None": None, "NaN": np.nan, "array": np.ones(3)}
    return wrong if high is None else wrong | {"too high": high}


def dictionary(**values):
    wrong = {"None": None, "empty": {}, "a list": [1, 2], "of numbers": {"a name": 3}}
    return wrong | {kind: {"a name": value} for kind, value in values.items()}


RATE = {"zero": 0, "above one": 1.5, "NaN": np.nan, "text": "low", "None": None}
RATES = {f"{kind} in a list": [value] for kind, value in RATE.items()} | {"one number": 0.1}
FUNCTION = {"None": None, "a number": 3}
NO_PAIRS = {"None": None, "arrays": (PAIRS.genuine, PAIRS.impostor), "numbers": np.ones(5)}
NO_FIGURE = {"None": None, "axes": AX}
NO_TEXT = {"None": None, "two words": "a plot", "a number": 3}
NO_COLUMN = {"unknown": "speed", "None": None}
FIVE = {"five dimensions": np.ones((40, 5))}
IN_PLANE = array(EMBEDDINGS) | FIVE
GAP = {"a gap": LABELS * (LABELS != 2)}
CANCEL = {"cancel": CENTRES[LABELS] * np.where(np.arange(40) // 4 % 2, 1, -1)[:, None]}
WEIGHTS = {
    "rows for columns": np.ones((4, 2)),
    "zeros": np.zeros((2, 4)),
    "NaN": np.full((2, 4), np.nan),
    "none": np.ones((2, 0)),
    "eleven": np.ones((2, 11)),
    "text": "W",
}
dense, norm = keras.layers.Dense, keras.layers.BatchNormalization
MODELS = {
    "None": None,
    "text": "softmax",
    "a layer": dense(4),
    "no head": keras.Sequential([keras.Input((4,)), norm()]),
    "only a head": keras.Sequential([keras.Input((4,)), dense(4)]),
    "weights behind": keras.Sequential([keras.Input((4,)), dense(4), dense(4), norm()]),
    "never called": keras.Sequential([dense(8), dense(8), CosineHead(4)]),
}

# --- the table: argument → (good, wrong by kind), for all functions but those named below ---------

ARGUMENTS = {
    "alt": ("A line that falls to zero.", NO_TEXT),
    "angles": (SCORES, array(SCORES)),
    "apart": (36.0, number(0, 180)),
    "ax": (AX, {"None": None, "a figure": FIGURE, "3-D": AX_3D}),
    "backbone": (BACKBONE, FUNCTION),
    "batch_size": (7, whole_number(1)),
    "caption": ("caption", {}),
    "centre_embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | FIVE | CANCEL),
    "centre_labels": (LABELS, class_numbers(LABELS) | GAP),
    "centres": (CENTRES, directions(CENTRES) | FIVE),
    "column": ("eer", NO_COLUMN),
    "columns": (8, whole_number(1)),
    "concentration": (400.0, number(0)),
    "cosines": (IN_SPACE, array(IN_SPACE, flat=SCORES)),
    "count": (2, whole_number(1)),
    "devices": (4, whole_number(3, 5)),
    "curves": (
        {"a": ([0.1, 1.0], [0.2, 1.0])},
        dictionary(unequal=([0.1], [0.2, 1.0]), nan=([0.1], [np.nan])),
    ),
    "digits": (DIGITS, {"None": None, "one part": SimpleNamespace(x_test=IMAGES)}),
    "directions": (DEGREES, array(DEGREES, one=[90.0], eleven=np.arange(11.0))),
    "distractors": (2, {"negative": -1, "too many": 9, "half": 1.5, "text": "few"}),
    "embeddings": (EMBEDDINGS, directions(EMBEDDINGS)),
    "event": (SimpleNamespace(x=1, y=1), {"None": None}),
    "far": (FAR, array(FAR, one_curve=FAR[0], half=FAR / 2)),
    "fars": ((0.1,), RATES | {"too fine": (0.1, 1e-9)}),
    "fig": (FIGURE, NO_FIGURE),
    "fpir": (0.5, number(0, 1) | {"too fine": 1e-9}),
    "first": (FIRST, array(FIRST, flat=FIRST[0], no_row=FIRST + 40)),
    "folds": (2, whole_number(2) | {"too many": 1000}),
    "gallery": (CENTRES, directions(CENTRES) | FIVE),
    "gallery_labels": (np.arange(4), identities(np.arange(4), twice=np.zeros(4, int))),
    "gallery_size": (9, whole_number(1)),
    "genuine": (GENUINE, array(GENUINE, all=GENUINE | True, no=GENUINE & False, less=GENUINE[1:])),
    "grid": (SCORES, array(SCORES)),
    "groups": (
        {"all": ("a",)},
        {"empty": {}, "unknown": {"all": ("a", "b")}, "nobody": {"all": ()}, "a list": ["a"]},
    ),
    "header": (["name", "value"], {"one title": ["name"]}),
    "height": (4, number(0)),
    "histories": (
        {"a": SimpleNamespace(history={"loss": [2.0, 1.0]})},
        dictionary(nothing=SimpleNamespace(history={"loss": []})),
    ),
    "images": (IMAGES, array(IMAGES, flat=IMAGES.reshape(40, 64))),
    "impostor": (PAIRS.impostor, array(PAIRS.impostor, not_sorted=PAIRS.impostor[::-1])),
    "intervals": ({"a": {"eer": (0.0, 0.1)}}, {"unknown": {"b": {}}, "number": {"a": 3}}),
    "labels": (LABELS, pairs_of(LABELS)),
    "lesson": (6, whole_number(0, 11)),
    "k": (2, whole_number(1)),
    "level": (0.9, number(0, 1)),
    "limit": (90, number(0, 181)),
    "log": (True, {}),
    "logits": (RNG.random((40, 4)), array(RNG.random((40, 4)), one_less=np.ones((39, 4)))),
    "loss": ("ArcFace", {"None": None, "unknown": "arcface", "a number": 3, "a function": np.cos}),
    "lowest": (0.0, number(-1.1, 1)),
    "matches": (FOUND, {"None": None, "scores": FOUND.scores}),
    "min_length": (0.0, number(-1) | {"negative": -0.1}),
    "model": (MODEL, MODELS),
    "name": ("figure", {}),
    "names": (list("abcd"), identities(np.arange(4), one_less=list("abc"))),
    "new": (IN_SPACE, directions(IN_SPACE, one_less=IN_SPACE[1:])),
    "num_classes": (4, {"too few": 3, "too many": 10**12, "half": 4.5, "text": "ten"}),
    "offsets": (DEGREES, array(DEGREES, one=np.ones(1), one_place=np.ones(4))),
    "old": (EMBEDDINGS, directions(EMBEDDINGS, one_less=EMBEDDINGS[1:])),
    "pairs": (20, whole_number(1) | {"too many": 10**6}),
    "pictures": (3, whole_number(1) | {"all": 10}),
    "points": (EMBEDDINGS, IN_PLANE),
    "predict": (
        lambda x: x @ CENTRES.T,
        {
            "None": None,
            "NaN": lambda x: x * np.nan,
            "flat": lambda x: x[:, 0],
            "eleven": lambda x: x @ np.ones((2, 11)) + np.arange(11),
        },
    ),
    "others": (EMBEDDINGS, directions(EMBEDDINGS) | FIVE),
    "probe_labels": (LABELS, identities(LABELS, one_less=LABELS[1:], unknown=LABELS + 1000)),
    "probes": (EMBEDDINGS, directions(EMBEDDINGS) | FIVE),
    "pulls": ({"a": np.ones((4, 2))}, dictionary(flat=np.ones(4), three=np.ones((3, 2)))),
    "quantity": ("loss", NO_COLUMN),
    "ranks": (LABELS + 1, array(LABELS + 1, zero=LABELS, behind_all=LABELS + 100)),
    "records": ({"a": RECORD}, dictionary(dictionary={"eer": 0.1})),
    "resamples": (5, whole_number(1, 100_000)),
    "resolution": (9, whole_number(2, 5000)),
    "rotation": (False, {}),
    "rows": (1, whole_number(1)),
    "scores": (PAIRS, NO_PAIRS),
    "second": (SECOND, array(SECOND, one_fold=SECOND[:1], negative=SECOND - 40)),
    "seed": (0, whole_number(0)),
    "size": (1, whole_number(1) | {"too many": 2}),
    "sizes": ([1, 3], array(np.array([1, 3]), zero=[0], too_many=[4], half=[1.5])),
    "tar": (TAR, array(TAR, one_less=TAR[:-1], half=TAR / 2)),
    "target_cosine": (
        np.cos,
        FUNCTION | {"NaN": lambda angle: angle * np.nan, "one number": lambda angle: 1.0},
    ),
    "threshold": (0.5, number(-2.1, 2) | {"too high": 2.1}),
    "thresholds": (20, whole_number(2, 100_000)),
    "titles": ([str(i) for i in range(40)], {"too few": ["one"], "a number": 3}),
    "wanted": (0.1, RATE),
    "visitor_labels": (
        LABELS + 1,  # the last of them nobody has enrolled
        identities(LABELS, all_enrolled=LABELS, nobody=LABELS + 10, one_less=LABELS[1:]),
    ),
    "visitors": (EMBEDDINGS, directions(EMBEDDINGS) | FIVE),
    "weighted": (False, {}),
    "weights": (CENTRES.T, WEIGHTS),
    "widest": (60, number(0, 181)),
    "width": (4, number(0)),
    "within_pixels": (9, number(0)),
}
CLASSES = {"labels": (LABELS, class_numbers(LABELS))}
DRAWN = {
    "embeddings": (EMBEDDINGS, IN_PLANE),
    "labels": (LABELS, class_numbers(LABELS, ten=LABELS + 10)),
}
IN_ROW = {"embeddings": EMBEDDINGS, "labels": LABELS, "centres": CENTRES}
WHO = {"labels": (LABELS, identities(LABELS))}
SPLIT = {
    "scores": (SCORES, array(SCORES)),
    "genuine": (GENUINE, array(GENUINE, all=GENUINE | True, less=GENUINE[1:])),
}
# function → argument → what is good and wrong in this function
ESPECIALLY = {
    evaluation.class_centres: {
        "embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | CANCEL),
        "labels": (LABELS, class_numbers(LABELS) | GAP),
    },
    evaluation.scoreboard: {"labels": (LABELS, class_numbers(LABELS) | pairs_of(LABELS))},
    evaluation.distance_scores: {
        "embeddings": (EMBEDDINGS, array(EMBEDDINGS)),
        "centre_embeddings": (EMBEDDINGS, array(EMBEDDINGS, zeros=0 * EMBEDDINGS) | FIVE),
        "centre_labels": (LABELS, identities(LABELS, one_less=LABELS[1:]) | GAP),
    },
    evaluation.open_set_scores: {
        "embeddings": (MANY, directions(MANY)),
        "labels": (OF_MANY, pairs_of(OF_MANY)),
    },
    evaluation.scoreboard_table: {
        "rows": ({"a": evaluation.Scoreboard(*np.ones(5))}, dictionary(others=RECORD)),
    },
    evaluation.verification_table: {
        "rows": (
            {"a": MEASURED},
            dictionary() | {"FARs": {"a": MEASURED, "b": verification.measure(PAIRS, (0.2,))}},
        ),
    },
    evaluation.open_set_table: {
        "rows": (
            {"a": dict.fromkeys(evaluation.OPEN_SET_COLUMNS, 0.5)},
            dictionary(others=RECORD, other={"eer": 0.1}),
        ),
        "columns": (("tar_1e-3",), {"unknown": ("eer", "err"), "number": (1,)}),
    },
    evaluation.Table: {"rows": ([["a", "1"]], {"short": [["a"]], "long": [["a", "b", "c"]]})},
    verification.PairScores: {
        "genuine": (PAIRS.genuine, array(PAIRS.genuine, not_sorted=PAIRS.genuine[::-1])),
    },
    verification.split_scores: SPLIT,
    verification.best_threshold: SPLIT,
    recognition.templates: WHO | {"embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | CANCEL)},
    verification.threshold_at: {"far": (0.1, RATE | {"too fine": 1e-9})},
    verification.roc_points: {"points": (9, whole_number(2))},
    verification.hardest_pairs: WHO,
    verification.intervals: {"fars": ((0.1,), RATES)},
    verification.fold_pairs: WHO,
    verification.one_each: WHO,
    verification.fold_accuracy: {"genuine": (SAME, array(SAME, numbers=SAME * 1, flat=SAME[0]))},
    plots.plot_images: {"images": (IMAGES, array(IMAGES, channels=np.ones((40, 8, 8, 4))))},
    plots.plot_embeddings: DRAWN | {"ax": (AX, {"None": None, "a figure": FIGURE})},
    plots.plot_unit_circle: DRAWN | {"embeddings": (EMBEDDINGS, directions(EMBEDDINGS) | FIVE)},
    plots.plot_unit_sphere: DRAWN
    | {
        "ax": (AX_3D, {"None": None, "2-D": AX}),
        "embeddings": (IN_SPACE, directions(IN_SPACE) | FIVE),
        "weights": (IN_SPACE[:4].T, WEIGHTS),
    },
    plots.draw_sphere: {"ax": (AX_3D, {"None": None, "2-D": AX})},
    plots.plot_angle_histogram: CLASSES
    | {"centres": (CENTRES, directions(CENTRES, one=CENTRES[:1]) | FIVE)},
    plots.three_pictures: DRAWN,
    plots.plot_own_and_nearest: CLASSES
    | {"centres": (CENTRES, directions(CENTRES, one=CENTRES[:1]) | FIVE)},
    plots.pictures_in_rows: {
        "rows": (
            {"a": IN_ROW, "b": IN_ROW | {"weights": CENTRES.T}},
            dictionary(nothing={}, less={"labels": LABELS}, more=IN_ROW | {"head": 3}),
        ),
    },
    plots.plot_decision_regions: DRAWN,
    plots.tsne: {
        "embeddings": (
            EMBEDDINGS,
            directions(EMBEDDINGS, twenty=EMBEDDINGS[:20], line=EMBEDDINGS[:, :1])
            | {"one place": np.ones((40, 2))},
        ),
        "seed": (0, whole_number(0, 2**32 - 1)),
    },
    plots.plot_tsne: CLASSES | {"images": (IMAGES, {"flat": IMAGES[:, 0, :, 0], "text": "abc"})},
    plots.plot_image_map: {
        "images": (IMAGES, array(IMAGES, one_less=IMAGES[:-1])),
        "labels": (LABELS, {kind: v for kind, v in class_numbers(LABELS).items() if v is not None}),
    },
    plots.plot_sweep: {"columns": ({"eer": "EER"}, dictionary() | {"unknown": {"speed": "v"}})},
}


def public_functions():
    """All of the four modules, a field's numbers, and the classes made of what is put in."""
    for module in (evaluation, verification, plots, recognition):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield function
    yield from (diagrams.push, evaluation.Table, verification.PairScores)


def rows_of(function):
    names = set(inspect.signature(function).parameters) - {"subplot_options"}
    return {name: ARGUMENTS[name] for name in names} | ESPECIALLY.get(function, {})


FUNCTIONS = {function.__name__: function for function in public_functions()}
CASES = {
    f"{name}, {argument}, {kind}": (function, argument, wrong)
    for name, function in FUNCTIONS.items()
    for argument, (_, kinds) in sorted(rows_of(function).items())
    for kind, wrong in kinds.items()
}


def good_arguments(function):
    return {name: good for name, (good, _) in rows_of(function).items()}


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left_behind():
    with plt.rc_context():
        yield


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_good_input_is_taken(function):
    """Without which the next test would say nothing."""
    function(**good_arguments(function))
    AX.clear()
    AX_3D.clear()


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
