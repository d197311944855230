"""The faces: who is drawn, the same bytes everywhere, and a table that tells what is seen."""

import ast
import hashlib
from pathlib import Path

from lib import drawing, faces

import numpy as np
import pytest

RNG = np.random.default_rng(0)
NO_NOISE = {"noise": 0, "light_y": 0, "zoom": 1}


@pytest.fixture(scope="module")
def test_set():
    return faces.people("test", 40, 6)


@pytest.fixture(scope="module")
def average():
    return np.zeros(len(faces.TRAITS), "float32")


def grey(traits, size=64, **nuisances):
    """Grey portraits (n, size, size), without zoom and light from above unless they are named."""
    drawn = faces.portraits(traits, size=size, colour=False, **NO_NOISE | nuisances)
    return drawn[..., 0].astype("float64")


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def rows_at(low, high, size=64):
    """Which rows of a picture are between two heights, in halves of its width."""
    heights = (np.arange(size) + 0.5) / size * 2 - 1
    return (heights > low) & (heights < high)


# --- the same everywhere --------------------------------------------------------------------------

CHECKSUMS = {
    "train": "8796ff02142cc59f63156a7d2daadbe4b2f96899453c75e4f6fc9ff59fc8a198",
    "validation": "49e4cc29b941c874329d8f03c45f0507c76f77d2557a5a75889ed8b06a6a26f1",
    "test": "7b573cce956dba67836acd37c8106fb10ff25db33ac6d1f62f84d05d425e5d41",
    "spoiled": "f9041d0bd980b8328f4f09968b48bc3e983b4bdc1ffa4d78eecfaf79e9f244bb",
    "hard": "24b6e95bbbb25f64dbb11968a8b55742a606a36d2c146fa6791b9c6bcc9207c9",
    "portraits": "5af60815f34f43196ada504768c787c7c23ca5a757937ae8b54c69ddce01f1b9",
}


def content(name):
    if name == "hard":
        sets = [faces.people("test", 3, 4, hard=hard, strength=1) for hard in faces.HARD]
        return digest(*(part for s in sets for part in (s.images, s.nuisances)))
    if name == "spoiled":
        drawn = faces.people("train", 40, 6, spoiled=0.8)
        return digest(drawn.images, drawn.nuisances)
    if name == "portraits":
        return digest(faces.portraits(faces.identities("train", 12, seed=7), size=50, yaw=25))
    drawn = faces.people(name, 60, 4)
    return digest(drawn.images, drawn.labels, drawn.nuisances, drawn.traits)


@pytest.mark.parametrize("name", CHECKSUMS)
def test_the_bytes_are_those_of_every_other_machine(name):
    assert content(name) == CHECKSUMS[name]


EXACT = {
    *("abs", "copysign", "floor", "maximum", "minimum", "clip", "sqrt", "where", "flatnonzero"),
    *("arange", "array", "ascontiguousarray", "atleast_1d", "atleast_2d", "empty", "zeros"),
    *("repeat", "resize", "stack", "tile", "dtype", "float32", "uint64", "ndarray"),
    *("asarray", "diff", "isin", "searchsorted", "argsort", "count_nonzero", "pad", "moveaxis"),
}


@pytest.mark.parametrize("module", [faces, drawing])
def test_nothing_is_computed_that_may_differ_in_the_last_digit(module):
    """By construction: no sine, no exponential, no sum, no product of matrices, no power."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "np"
    }
    assert names <= EXACT
    methods = {
        n.func.attr for n in ast.walk(tree) if isinstance(n, ast.Call) and hasattr(n.func, "attr")
    }
    assert not methods & {"sum", "mean", "dot", "cumsum", "prod", "std", "var", "random", "normal"}
    powers = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp | ast.AugAssign)]
    assert not any(isinstance(node.op, ast.MatMult) for node in powers)
    for node in powers:
        if isinstance(node.op, ast.Pow):
            assert isinstance(node.left, ast.Constant) or ast.unparse(node.right) == "2"


def test_all_arithmetic_of_pictures_is_float32(average, monkeypatch):
    """A float64 in between would make pictures slow, and a table's row mean another picture."""
    seen = []
    paint = drawing._Canvas.paint

    def watch(canvas, cover, tone, factor=1.0):
        seen.extend(
            part.dtype
            for part in (cover, factor, *tone)
            if isinstance(part, np.generic | np.ndarray)
        )
        paint(canvas, cover, tone, factor)

    monkeypatch.setattr(drawing._Canvas, "paint", watch)
    assert faces.portraits(average, glasses=True).dtype == np.float32
    assert set(seen) == {np.dtype("float32")}
    assert len(seen) > 20


def test_threads_parts_and_windows_change_nothing(monkeypatch):
    traits = RNG.choice([-1.0, 1.0], (200, len(faces.TRAITS)))
    table = {name: RNG.uniform(*limits, 200) for name, limits in faces.LIMITS.items()}
    table |= {"resolution": RNG.integers(0, 40, 200), "grain": RNG.integers(0, 2**60, 200)}
    table["noise"] = 0.01 * RNG.random(200)
    whole = faces.portraits(traits, size=28, **table)
    monkeypatch.setattr(faces, "_processors", lambda: 1)
    monkeypatch.setattr(faces, "PIXELS_AT_ONCE", 1)  # each picture alone
    np.testing.assert_array_equal(faces.portraits(traits, size=28, **table), whole)
    monkeypatch.setattr(faces, "_processors", lambda: 3)
    monkeypatch.setattr(drawing._Canvas, "window", lambda canvas, *place: canvas)
    np.testing.assert_array_equal(faces.portraits(traits, size=28, **table), whole)


def test_a_person_and_a_picture_do_not_depend_on_how_many_are_drawn(test_set):
    few = faces.people("test", 7, 3)
    kept = (test_set.labels < 7) & (np.tile(np.arange(6), 40) < 3)
    np.testing.assert_array_equal(few.images, test_set.images[kept])
    np.testing.assert_array_equal(few.nuisances, test_set.nuisances[kept])
    np.testing.assert_array_equal(few.traits, test_set.traits[:7])
    np.testing.assert_array_equal(faces.identities("test", 7), few.traits)
    large = faces.people("test", 7, 3, size=40)
    np.testing.assert_array_equal(large.nuisances, few.nuisances)
    np.testing.assert_array_equal(large.traits, few.traits)


# --- sets -----------------------------------------------------------------------------------------


def test_shapes_types_and_order(test_set):
    assert test_set.images.shape == (240, 28, 28, 1)
    assert test_set.images.dtype == test_set.traits.dtype == np.float32
    assert test_set.labels.dtype == np.int32
    np.testing.assert_array_equal(test_set.labels, np.repeat(np.arange(40), 6))
    assert test_set.nuisances.shape == (240,)
    assert test_set.traits.shape == (40, 28)
    assert test_set.x_train is test_set.images
    assert test_set.y_train is test_set.labels
    assert repr(test_set) == "40 people who do not exist, 240 pictures"
    levels = test_set.images * 255
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
    assert 0 <= test_set.images.min() < 0.1 < 0.9 < test_set.images.max() <= 1


def test_only_some_people_are_the_same_ones_with_new_labels(test_set):
    chosen = [2, 5, 11, 39]
    some = test_set.only(chosen)
    assert some.labels.dtype == np.int32
    assert some.labels.tolist() == np.repeat([0, 1, 2, 3], 6).tolist()
    for label, person in enumerate(chosen):
        ours, theirs = some.labels == label, test_set.labels == person
        np.testing.assert_array_equal(some.images[ours], test_set.images[theirs])
        np.testing.assert_array_equal(some.nuisances[ours], test_set.nuisances[theirs])
        np.testing.assert_array_equal(some.traits[label], test_set.traits[person])
    assert len(some.traits) == 4
    again = faces.portraits(some.traits[some.labels], some.nuisances, size=28, colour=False)
    np.testing.assert_array_equal(again, some.images)
    np.testing.assert_array_equal(some.x_train, some.images)
    np.testing.assert_array_equal(some.y_train, some.labels)
    assert len(test_set.traits) == 40, "the set itself stays as it is"


def test_only_the_first_people_are_those_who_are_drawn_when_fewer_are_asked_for(test_set):
    few, again = test_set.only(range(3)), faces.people("test", 3, 6)
    for part in ("images", "labels", "nuisances", "traits"):
        np.testing.assert_array_equal(getattr(few, part), getattr(again, part))
        everybody = getattr(test_set.only(np.arange(40)), part)
        np.testing.assert_array_equal(everybody, getattr(test_set, part))


@pytest.mark.parametrize(
    "wrong",
    [[40], [-1], [3, 2], [3, 3], [0.5], [True, False], [], 3, [[1, 2]], None, "all", ["1"], [None]],
    ids=str,
)
def test_only_answers_what_are_no_labels_in_order_with_a_line_that_names_chosen(test_set, wrong):
    with pytest.raises(ValueError, match="^chosen: [^\n]+$"):
        test_set.only(wrong)


def test_nobody_is_in_two_splits_or_twice():
    keys = [faces._keys(split, 50_000, 3) for split in faces.SPLITS]
    assert len(np.unique(np.concatenate(keys))) == 150_000
    traits = np.concatenate([faces.identities(split, 700) for split in faces.SPLITS])
    squares = (traits**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * traits @ traits.T
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 2.0, "the nearest two of 2,100 people; a pair is 18.7 apart on average"
    others = faces.identities("test", 200, seed=1)
    assert ((others[:, None] - traits) ** 2).sum(axis=2).min() > 2.0


def test_traits_and_nuisances_are_spread_over_their_whole_range():
    drawn = faces.people("train", 400, 5, strength=1, size=8)
    half = faces.people("train", 400, 5, strength=0.5, size=8)
    assert abs(drawn.traits.mean(axis=0)).max() < 0.12
    assert np.abs(drawn.traits.std(axis=0) - 3**-0.5).max() < 0.05
    correlations = np.corrcoef(drawn.traits.T) - np.eye(28)
    assert abs(correlations).max() < 0.25
    for name, (neutral, reach, low, high) in faces.NUISANCES.items():
        values = drawn.nuisances[name].astype("float64")
        bottom, top = max(neutral - reach, low), min(neutral + reach, high)
        assert bottom - 1e-6 <= values.min() < bottom + 0.02 * reach
        assert top - 0.02 * reach < values.max() <= top + 1e-6
        weaker = half.nuisances[name]
        inside = (values > low) & (values < high)
        expected = neutral + (values - neutral) / 2
        np.testing.assert_allclose(weaker[inside], expected[inside], atol=1e-5)
    assert drawn.nuisances["blink"].mean() == pytest.approx(faces.BLINKS, abs=0.03)
    assert not drawn.nuisances["glasses"].any()
    assert not drawn.nuisances["bar"].any()
    assert len(np.unique(drawn.nuisances["grain"])) == 2000


def test_without_strength_all_pictures_of_a_person_are_equal_and_people_are_not():
    plain = faces.people("test", 50, 3, strength=0).images.reshape(50, 3, -1)
    np.testing.assert_array_equal(plain[:, 0], plain[:, 1])
    np.testing.assert_array_equal(plain[:, 0], plain[:, 2])
    apart = np.abs(plain[:, None, 0] - plain[None, :, 0]).mean(axis=2)
    np.fill_diagonal(apart, 1)
    assert apart.min() > 0.01
    varied = faces.people("test", 50, 3, strength=0.3).images.reshape(50, 3, -1)
    assert np.abs(varied[:, 0] - varied[:, 1]).mean(axis=1).min() > 0.01


@pytest.mark.parametrize("hard", faces.HARD)
def test_a_hard_set_is_the_ordinary_one_with_one_thing_more(test_set, hard):
    drawn = faces.people("test", 40, 6, hard=hard)
    odd = np.tile(np.arange(6) % 2 == 1, 40)
    np.testing.assert_array_equal(drawn.images[~odd], test_set.images[~odd])
    changed = [
        name
        for name in faces.TABLE.names
        if (drawn.nuisances[name] != test_set.nuisances[name])[odd].any()
    ]
    name = {"side light": "light_x", "low resolution": "resolution", "turned head": "yaw"}.get(
        hard, hard
    )
    assert set(changed) == ({name, "bar_y"} if hard == "bar" else {name})
    assert (drawn.images != test_set.images).any(axis=(1, 2, 3))[odd].all()
    new, ordinary = drawn.nuisances[name][odd], faces.NUISANCES.get(name)
    if ordinary:  # further than any ordinary set goes
        assert np.abs(new).min() > ordinary[0] + ordinary[1]
        assert 0.3 < (new > 0).mean() < 0.7
    elif name == "resolution":
        assert set(new) == {9, 10, 11, 12}
    else:
        assert new.all()


def test_spoiled_pictures_are_the_share_that_is_asked_for_and_say_how_and_how_much():
    plain = faces.people("train", 300, 10, size=8)
    drawn = faces.people("train", 300, 10, spoiled=0.6, size=8)
    table, way = drawn.nuisances, drawn.nuisances["spoiled"]
    np.testing.assert_array_equal(drawn.images[way == 0], plain.images[way == 0])
    np.testing.assert_array_equal(table[way == 0], plain.nuisances[way == 0])
    assert (way > 0).mean() == pytest.approx(0.6, abs=0.03)
    assert np.bincount(way)[1:] / 3000 == pytest.approx(0.15, abs=0.03)
    severity = table["severity"][way > 0]
    assert np.quantile(severity, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.04)
    columns = {1: {"blur"}, 2: {"noise"}, 3: {"resolution"}, 4: {"bar", "bar_size"}}
    for number, name in enumerate(faces.SPOILED, start=1):
        rows = way == number
        changed = {c for c in faces.TABLE.names if (table[c] != plain.nuisances[c])[rows].any()}
        assert changed == columns[number] | {"severity", "spoiled"}, name
    # picture by picture the worse of two sets of the same people is as bad in all else
    more = faces.people("train", 300, 10, spoiled=1.0, size=8).nuisances
    np.testing.assert_array_equal(more[way > 0], table[way > 0])


@pytest.mark.parametrize("number", range(1, 5), ids=faces.SPOILED)
def test_the_more_a_picture_is_spoiled_the_less_is_left_of_it(number):
    drawn = faces.people("test", 150, 8, spoiled=1.0)
    plain = faces.people("test", 150, 8)
    way, severity = (drawn.nuisances[name] for name in ("spoiled", "severity"))
    rows = np.flatnonzero(way == number)
    alike = [
        np.corrcoef(drawn.images[row].ravel(), plain.images[row].ravel())[0, 1] for row in rows
    ]
    thirds = np.array_split(np.array(alike)[np.argsort(severity[rows])], 3)
    good, middle, bad = map(np.mean, thirds)
    assert good > 0.85
    assert good > middle + 0.05
    assert middle > bad + 0.1


# --- the table tells what is seen -----------------------------------------------------------------


def test_a_row_of_the_table_and_the_traits_make_the_picture(test_set):
    again = faces.portraits(
        test_set.traits[test_set.labels], test_set.nuisances, size=28, colour=False
    )
    np.testing.assert_array_equal(again, test_set.images)


def test_a_grey_picture_is_the_luma_of_the_colour_one(test_set):
    traits = test_set.traits
    colour = faces.portraits(traits, size=48, glasses=True, bar=True, bar_y=0.6, brightness=-0.1)
    plain = faces.portraits(
        traits, size=48, glasses=True, bar=True, bar_y=0.6, brightness=-0.1, colour=False
    )
    inside = ((colour > 0) & (colour < 1)).all(axis=-1)
    assert inside.mean() > 0.8
    luma = colour @ np.float32([0.299, 0.587, 0.114])
    assert np.abs(luma - plain[..., 0])[inside].max() < 1.5 / 255
    assert (colour[..., 0] - colour[..., 2])[:, 20:30, 20:28].mean() > 0.1, "skin is warm"


# nuisance: (another value, the heights between which alone it may change pixels)
LOCAL = {
    "smile": (1.0, (0.15, 0.62)),
    "mouth_open": (1.0, (0.2, 0.55)),
    "gaze": (1.0, (-0.15, 0.12)),
    "blink": (True, (-0.15, 0.12)),
    "brow_lift": (1.0, (-0.36, 0.0)),
    "glasses": (True, (-0.25, 0.20)),
    "clothes": (1.0, (0.65, 1.0)),
}


@pytest.mark.parametrize("name", LOCAL)
def test_a_nuisance_changes_its_part_of_the_face_only(average, name):
    value, heights = LOCAL[name]
    changed = (grey(average) != grey(average, **{name: value}))[0]
    assert changed.any()
    assert not changed[~rows_at(*heights)].any()


def test_a_bar_hides_what_is_behind_it():
    people = faces.identities("test", 2)
    barred = grey(people, bar=True, bar_y=0.1)
    behind, around = rows_at(0.01, 0.19), ~rows_at(-0.05, 0.25)
    assert np.ptp(barred[:, behind]) == 0
    np.testing.assert_array_equal(barred[:, around], grey(people)[:, around])


def test_blur_is_a_gaussian_of_that_width(average):
    """Against the same filter as a matrix, whose rows have the variance asked for."""
    sharp, size = grey(average, size=32)[0], 32
    step = 0.5 * np.eye(size) + 0.25 * (np.eye(size, k=1) + np.eye(size, k=-1))
    step[0, 0] = step[-1, -1] = 0.75  # the edge goes on
    for blur, passes in ((0.0, 0), (0.0625, 8), (0.125, 32)):
        assert passes == 2 * (blur * size) ** 2
        filtered = np.linalg.matrix_power(step, passes)
        expected = filtered @ sharp @ filtered.T
        np.testing.assert_allclose(
            grey(average, size=32, blur=blur)[0], expected, atol=1 / 255 + 1e-6
        )
    many = grey(np.tile(average, (3, 1)), size=32, blur=[0.125, 0, 0.0625])  # each has its own
    for row, blur in zip(many, (0.125, 0, 0.0625), strict=True):
        np.testing.assert_array_equal(row, grey(average, size=32, blur=blur)[0])


def test_low_resolution_makes_blocks(average):
    blocks = grey(average, size=60, resolution=10).reshape(10, 6, 10, 6)
    assert np.ptp(blocks, axis=(1, 3)).max() == 0
    assert len(np.unique(blocks)) > 20
    np.testing.assert_array_equal(grey(average, resolution=64), grey(average))


def test_poses_move_the_face_as_they_say(average):
    """The eyes are dark: the centre of what is dark between hair and nose follows them."""
    across, down = np.meshgrid(*2 * [(np.arange(64) + 0.5) / 64 * 2 - 1])

    def eyes(**nuisances):
        place = dict.fromkeys(("x", "y", "slope"), 0.0)
        open_, shut = (grey(average, blink=b, **nuisances)[0] for b in (False, True))
        weight = np.abs(open_ - shut)
        place["x"], place["y"] = ((c * weight).sum() / weight.sum() for c in (across, down))
        x, y = across - place["x"], down - place["y"]
        place["slope"] = (x * y * weight).sum() / (x * x * weight).sum()
        return place

    middle = eyes()
    assert abs(middle["x"]) < 0.02
    assert eyes(yaw=20)["x"] > 0.1
    assert eyes(yaw=-20)["x"] < -0.1
    assert eyes(pitch=15)["y"] < middle["y"] - 0.1
    assert eyes(pitch=-15)["y"] > middle["y"] + 0.1
    assert eyes(shift_x=0.1)["x"] == pytest.approx(0.2, abs=0.02)
    assert eyes(shift_y=0.1)["y"] == pytest.approx(middle["y"] + 0.2, abs=0.02)
    assert eyes(roll=20)["x"] > 0.1
    assert eyes(roll=20)["slope"] == pytest.approx(np.tan(np.radians(20)), abs=0.06)
    assert eyes(roll=-20)["slope"] == pytest.approx(-np.tan(np.radians(20)), abs=0.06)


@pytest.mark.parametrize("name", ["roll", "yaw", "shift_x", "light_x"])
def test_the_other_way_is_the_mirror_image(average, name):
    value = {"roll": 20, "yaw": 25, "shift_x": 0.1, "light_x": 0.8}[name]
    one, other = grey(average, **{name: value})[0], grey(average, **{name: -value})[0]
    unlike = np.abs(one - other[:, ::-1]) > 2 / 255
    assert unlike.mean() < 0.01, "but for the glint in the eyes"
    assert (np.abs(one - other) > 2 / 255).mean() > 0.1


def test_zoom_enlarges(average):
    spread = []
    for zoom in (0.7, 1.4):
        eyes = grey(average, zoom=zoom)[0] != grey(average, zoom=zoom, blink=True)[0]
        spread.append(np.ptp(np.flatnonzero(eyes.any(axis=0))))
    assert spread[1] / spread[0] == pytest.approx(2, abs=0.15)


def test_light_contrast_brightness_background_and_noise(average):
    plain = grey(average)[0]
    lit = grey(average, light_x=1)[0]
    assert lit[20:40, 36:44].mean() > 1.3 * lit[20:40, 20:28].mean()
    lit = grey(average, light_y=-1)[0]
    assert lit[12:24, 24:40].mean() > plain[12:24, 24:40].mean() + 0.02
    np.testing.assert_allclose(grey(average, contrast=0.5)[0], 0.5 * plain + 0.25, atol=1 / 255)
    np.testing.assert_allclose(grey(average, brightness=-0.05)[0], plain - 0.05, atol=1 / 255)
    assert grey(average, background=0)[0][:8].mean() < plain[:8].mean() - 0.2
    noisy = grey(average, noise=0.05, contrast=0.5, grain=[1, 2])
    noise = noisy - grey(average, contrast=0.5)
    assert noise.std() == pytest.approx(0.05, rel=0.03)
    assert abs(noise.mean()) < 0.003
    assert abs(np.corrcoef(noise.reshape(2, -1))[0, 1]) < 0.05
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("name", faces.TRAITS)
def test_every_trait_is_seen(average, name):
    """At 28 pixels, from one end to the other, with hair so short that it hides no ear."""
    ends = np.stack([average, average])
    ends[:, list(faces.TRAITS).index("length")] = -1
    ends[:, list(faces.TRAITS).index(name)] = -1, 1
    low, high = grey(ends, size=28)
    assert np.abs(low - high).max() > 0.05


# --- wrong input ----------------------------------------------------------------------------------

TABLE = faces._neutral(3)
WRONG = {
    faces.people: {
        "split": ["training", None, 3],
        "count": [0, 2.5, None, 10**9],
        "images": [0, "many", 10**9],
        "strength": [-0.1, 1.1, np.nan, "high", None, [0.5, 0.5]],
        "hard": ["hat", 1, ["bar"]],
        "spoiled": [-0.1, 1.1, np.nan, "all", None, [0.5, 0.5]],
        "seed": [-1, 0.5, 2**64, None],
        "size": [7, 513, 28.0, (28, 28)],
    },
    faces.identities: {"split": ["tests"], "count": [0, None, 10**9], "seed": [-1]},
    faces.portraits: {
        "traits": [
            None,
            np.zeros(27),
            np.zeros((2, 2, 28)),
            np.full(28, np.nan),
            np.full(28, 1.5),
            np.zeros((0, 28)),
        ],
        "nuisances": [3, TABLE[:0], TABLE[0], np.zeros(3), {"yaw": 3}],
        "size": [7, 513, None],
        "yaw": [46, -46, np.nan, "left", None, [[1, 2]], []],
        "zoom": [0, False],
        "glasses": [2, "round"],
        "yawn": [1],
    },
}
CASES = [
    (f, name, value) for f, row in WRONG.items() for name, values in row.items() for value in values
]


@pytest.mark.parametrize(("function", "name", "value"), CASES)
def test_wrong_input_is_answered_in_one_line_that_names_it(function, name, value):
    good = {"traits": np.zeros(28)} if function is faces.portraits else {}
    with pytest.raises((ValueError, TypeError)) as caught:
        function(**good | {name: value})
    text = str(caught.value)
    assert name in text
    assert "\n" not in text
    assert len(text) < 300
    assert Path(str(caught.traceback[-1].path)).parent == Path(faces.__file__).parent


def test_rows_that_do_not_match_are_named():
    with pytest.raises(ValueError, match=r"rows differ \(traits 2, nuisances 3, yaw 1\)"):
        faces.portraits(np.zeros((2, 28)), TABLE, yaw=3)
    with pytest.raises(ValueError, match="ask for at most 1,275,510 at a time"):
        faces.people(count=1_000_000, images=2)


def test_one_row_serves_all_pictures():
    pair = faces.identities("train", 2)
    drawn = faces.portraits(pair, yaw=5, size=16)
    assert drawn.shape == (2, 16, 16, 3)
    assert (drawn[0] != drawn[1]).any()
    turned = faces.portraits(pair[0], TABLE[:1], yaw=[-20, 5, 20], size=16)
    assert turned.shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(turned[1], drawn[0])
    faces.portraits(pair[0], TABLE, yaw=5, size=16)
    assert (TABLE["yaw"] == 0).all(), "the table that is given stays as it is"
    between = faces.portraits(np.linspace(pair[0], pair[1], 5), size=16)
    np.testing.assert_array_equal(between[[0, -1]], faces.portraits(pair, size=16))
