"""Faces that belong to nobody, drawn on the spot: as many people, and of each as many pictures, as
are asked for.

    known = people("train", count=1000, images=20)
    someone = portraits(identities("test", 1), yaw=np.linspace(-30, 30, 7))

A person is 28 numbers, `TRAITS`. What makes two pictures of a person differ (pose, light,
expression, …) is one row of a table, `NUISANCES`, which is kept with the pictures; people and table
make the picture, with no other chance. Ranges, use and limits: data/README.md.

The same call gives the same bytes on every machine. Numbers are therefore drawn with integers, and
pictures computed with + - * / and square roots of single elements only, which IEEE 754 rounds in
one way. A sine or an exponential, a sum over an axis or a matrix product would differ in the last
digit from one processor, or one number of threads, to the next.
"""

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np

from . import inputs
from .drawing import draw, mix, random_words

SPLITS = ("train", "validation", "test")
# Test sets with one thing that no ordinary set has; half of the pictures have it.
HARD = ("glasses", "bar", "side light", "low resolution", "turned head")

# Four ways to spoil a picture, by a known severity from 0 to 1, where nobody is recognised.
SPOILED = ("blur", "noise", "low resolution", "bar")

# Each trait is a number drawn evenly from -1 to 1; 0 is the average. It stands for middle ± half
# the range, which is given here. Lengths are in halves of the picture's width.
TRAITS = {
    "skin": (0.5, 0.5),  # dark to light
    "hair": (0.5, 0.5),  # black, brown, red, blond, silver
    "head_width": (0.47, 0.075),
    "forehead": (0.60, 0.06),
    "chin": (0.62, 0.09),
    "jaw": (0.40, 0.40),  # round to square
    "taper": (0.20, 0.20),  # how much narrower the head is below
    "ears": (0.13, 0.045),
    "hairline": (0.63, 0.33),  # share of the forehead: a fringe down to the brows, to bald
    "parting": (0.0, 0.6),  # on one side or the other
    "volume": (0.11, 0.08),  # of the hair
    "length": (0.42, 0.58),  # of the hair: short, to below the shoulders
    "curl": (0.0, 1.0),  # above 0 there are curls
    "eye_distance": (0.215, 0.04),
    "eye_height": (-0.03, 0.06),
    "eye_size": (0.105, 0.025),
    "eye_opening": (0.62, 0.17),  # height to width
    "eye_slant": (0.0, 0.28),
    "iris": (0.45, 0.45),  # black, brown, hazel, green, blue
    "brow_height": (0.15, 0.035),
    "brow_weight": (0.028, 0.016),
    "brow_slope": (0.08, 0.22),
    "nose_length": (0.205, 0.065),
    "nose_width": (0.088, 0.04),
    "mouth_height": (0.355, 0.045),
    "mouth_width": (0.17, 0.055),
    "lips": (0.045, 0.022),
    "beard": (-0.35, 1.0),  # above 0 there is one
}

# What differs between pictures of a person: neutral value, how far from it at strength 1 at most,
# and the lowest and highest value that `portraits` takes.
NUISANCES = {
    "roll": (0.0, 18.0, -45.0, 45.0),  # degrees; above 0 the head leans to the picture's right
    "yaw": (0.0, 32.0, -45.0, 45.0),  # degrees; above 0 it turns to the picture's right
    "pitch": (0.0, 18.0, -30.0, 30.0),  # degrees; above 0 it looks up
    "zoom": (1.12, 0.16, 0.5, 2.0),
    "shift_x": (0.0, 0.06, -0.5, 0.5),  # share of the picture's width, to the right
    "shift_y": (0.0, 0.05, -0.5, 0.5),  # and of its height, down
    "light_x": (0.0, 0.75, -1.0, 1.0),  # from the picture's left, to from its right
    "light_y": (-0.2, 0.4, -1.0, 1.0),  # from above, to from below
    "smile": (0.3, 0.7, -1.0, 1.0),
    "mouth_open": (0.0, 0.7, 0.0, 1.0),
    "gaze": (0.0, 1.0, -1.0, 1.0),  # to the picture's left, to its right
    "brow_lift": (0.0, 1.0, -1.0, 1.0),
    "background": (0.6, 0.4, 0.0, 1.0),  # dark to light
    "clothes": (0.5, 0.5, 0.0, 1.0),  # colours in a row
    "contrast": (1.0, 0.35, 0.2, 2.0),
    "brightness": (0.0, 0.12, -0.5, 0.5),  # added, where black is 0 and white 1
    "noise": (0.0, 0.06, 0.0, 1.0),  # standard deviation, on the same scale
}
BLINKS = 0.12  # share of the pictures with closed eyes, at strength 1
TABLE = np.dtype(
    [(name, "f4") for name in NUISANCES]
    + [("blink", "?"), ("glasses", "?"), ("bar", "?")]
    + [("bar_y", "f4")]  # from -1, the picture's top, to 1
    + [("bar_size", "f4")]  # half of its height, on the same scale
    + [("blur", "f4")]  # standard deviation, share of the picture's width
    + [("resolution", "i4")]  # pixels of the camera across; 0 for as many as the picture has
    + [("severity", "f4")]  # how far a picture is spoiled, from 0 to 1
    + [("spoiled", "i4")]  # how: the place in `SPOILED` + 1, or 0
    + [("grain", "u8")]  # which noise
)
LIMITS = {name: limits for name, (_, _, *limits) in NUISANCES.items()} | {
    "blink": (0, 1),
    "glasses": (0, 1),
    "bar": (0, 1),
    "bar_y": (-1, 1),
    "bar_size": (0, 1),
    "blur": (0, 0.25),
    "severity": (0, 1),
    "spoiled": (0, len(SPOILED)),
    "resolution": (0, 512),
    "grain": (0, 2**64 - 1),
}
MAX_BYTES = 4 * 10**9
MAX_PEOPLE = 10**6
PIXELS_AT_ONCE = 100_000  # of all pictures that a thread draws together


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Faces:
    """Pictures of some people.

    images: (n, size, size, 1) float32, 0 black to 1 white, ordered by label.
    labels: (n,) int32, from 0 to the number of people - 1.
    nuisances: (n,) a structured array, one row for each picture; its columns are those of `TABLE`.
    traits: (people, 28) float32 from -1 to 1, one row for each label; its columns are `TRAITS`.
    """

    images: np.ndarray
    labels: np.ndarray
    nuisances: np.ndarray
    traits: np.ndarray

    # the names by which `lib.training` finds what it trains on
    x_train = property(lambda self: self.images)
    y_train = property(lambda self: self.labels)

    def only(self, chosen):
        """The same set with some of its people only, who get the labels 0, 1, … in their order.

        Args:
            chosen: labels, in ascending order, such as `range(100)`.
        """
        chosen = inputs.whole_numbers(
            np.asarray(chosen), "chosen", ("people",), 0, len(self.traits) - 1
        )
        if (np.diff(chosen) <= 0).any():
            raise ValueError("chosen: each person once, in ascending order; np.unique sorts them.")
        kept = np.isin(self.labels, chosen)
        labels = np.searchsorted(chosen, self.labels[kept]).astype("int32")
        return Faces(self.images[kept], labels, self.nuisances[kept], self.traits[chosen])

    def __repr__(self):
        return f"{len(self.traits):,} people who do not exist, {len(self.labels):,} pictures"


def people(
    split="train",
    count=1000,
    images=20,
    *,
    strength=0.6,
    hard=None,
    spoiled=0.0,
    seed=0,
    size=28,
):
    """Draw pictures of the first people of a split; nobody is in two splits.

    Person k, and picture j of them, are the same whatever `count` and `images` are. A hard set
    has the same people in the same poses as the set without `hard`, and the hard thing besides in
    the pictures 1, 3, 5, … of each person.

    Args:
        split: "train", "validation" or "test".
        count: how many people, up to a million.
        images: how many pictures of each.
        strength: from 0, where all pictures of a person are equal, to 1: how far the nuisances go.
        hard: None, or one of `HARD`.
        spoiled: which share of the pictures is spoiled, each in one of the ways in `SPOILED` and by
            a severity from 0 to 1, all as likely. Both are kept with the picture; the others are
            the same as without.
        seed: another seed, other people.
        size: pixels across and down, 8 to 512.

    Returns:
        `Faces`, grey pictures.

    Raises:
        ValueError: naming the argument that is out of range, or pictures of more than 4 GB.
    """
    count = inputs.whole_number(count, "count", 1, MAX_PEOPLE)
    images = inputs.whole_number(images, "images")
    size = _size(size)
    strength = inputs.number_from(strength, "strength", 0, 1)
    hard = None if hard is None else inputs.one_of(hard, "hard", HARD)
    spoiled = inputs.number_from(spoiled, "spoiled", 0, 1)
    _check_memory("count, images, size", count * images, size, channels=1)
    keys = _keys(split, count, seed)
    labels = np.repeat(np.arange(count, dtype="int32"), images)
    number = np.tile(np.arange(images, dtype="uint64"), count)
    pictures = mix(keys[labels] + number)
    table = _draw_table(pictures, number % 2 == 1, strength, hard)
    _spoil(table, pictures, spoiled)
    traits = _draw_traits(keys)
    return Faces(_draw_all(traits, labels, table, size, colour=False), labels, table, traits)


def identities(split="test", count=1, *, seed=0):
    """The traits (count, 28) of the people that `people` draws; for `portraits`.

    Zeros are the average face, and between two rows lie the faces that turn one into the other.

    Args and errors as for `people`.
    """
    return _draw_traits(_keys(split, inputs.whole_number(count, "count", 1, MAX_PEOPLE), seed))


def portraits(traits, nuisances=None, *, size=64, colour=True, **changes):
    """Draw people with nuisances of one's own choice, large and in colour if wanted.

    With a row of `people`'s own traits and table, size 28 and no colour, it draws the same picture.

    Args:
        traits: (28,) or (n, 28) from -1 to 1, as in `Faces.traits`.
        nuisances: rows of a table as in `Faces.nuisances`; None for a neutral picture.
        size: pixels across and down, 8 to 512.
        colour: False for grey.
        **changes: columns of the table, each a number or (n,): `yaw=30`, `glasses=True`.

    Returns:
        (n, size, size, 3) float32 from 0 to 1, or (n, size, size, 1) in grey. n is the largest
        number of rows given; whatever has one row is the same in all pictures.

    Raises:
        ValueError: if a shape or number is not as above, or out of its range in `LIMITS`.
        TypeError: for a column that the table does not have.
    """
    traits = inputs.read(traits)
    traits = inputs.array(np.atleast_2d(traits), "traits", ("people", len(TRAITS)))
    if np.abs(traits).max() > 1:
        raise ValueError("traits: expected numbers from -1 to 1; identities() draws some.")
    table = _neutral(1) if nuisances is None else nuisances
    if getattr(table, "dtype", None) != TABLE or table.ndim != 1 or not len(table):
        raise ValueError("nuisances: expected rows of a set's table, such as test.nuisances[:5].")
    changes = {name: _column(name, values) for name, values in changes.items()}
    given = {"traits": traits, "nuisances": table} | changes
    lengths = {len(values) for values in given.values()} - {1}
    if len(lengths) > 1:
        rows = ", ".join(f"{name} {len(values)}" for name, values in given.items())
        raise ValueError(f"rows differ ({rows}): give one row, or the same number to each.")
    count = max(lengths, default=1)
    size = _size(size)
    _check_memory("traits, nuisances, size", count, size, channels=3)
    table = np.resize(table, count)
    for name, values in changes.items():
        table[name] = values
    who = np.arange(count) % len(traits)
    return _draw_all(traits.astype("float32"), who, table, size, colour)


# --- what is put in -------------------------------------------------------------------------------


def _size(size):
    return inputs.whole_number(size, "size", 8, 512)


def _check_memory(names, count, size, channels):
    needed = count * size**2 * channels * 4
    if needed > MAX_BYTES:
        raise ValueError(
            f"{names}: {count:,} pictures of {size}×{size} need {needed / 1e9:,.0f} GB of memory; "
            f"ask for at most {MAX_BYTES * count // needed:,} at a time."
        )


def _column(name, values):
    if name not in TABLE.names:
        raise TypeError(f"{name}: there is no such nuisance; there are {', '.join(TABLE.names)}.")
    values = inputs.array(np.atleast_1d(inputs.read(values)), name, ("pictures",))
    low, high = LIMITS[name]
    if values.min() < low or values.max() > high:
        raise ValueError(
            f"{name}: expected numbers from {low:g} to {high:g}, got {float(values.min()):g} "
            f"to {float(values.max()):g}."
        )
    return values


# --- numbers --------------------------------------------------------------------------------------


def _uniform(keys, count):
    """The first `count` random numbers of each key, from 0 to below 1: (count, n) float64."""
    return (random_words(keys, count) >> np.uint64(11)) * 2.0**-53


def _keys(split, count, seed):
    """A key for each person: different ones in all splits of a seed, since `mix` is one-to-one."""
    place = SPLITS.index(inputs.one_of(split, "split", SPLITS))
    seed = np.array(inputs.whole_number(seed, "seed", 0, 2**64 - 1), "uint64")
    person = np.arange(count, dtype="uint64") * np.uint64(len(SPLITS)) + np.uint64(place)
    return mix(mix(seed[None]) + person)


def _draw_traits(keys):
    return (2 * _uniform(keys, len(TRAITS)) - 1).astype("float32").T


def _neutral(count):
    table = np.zeros(count, TABLE)
    for name, (neutral, *_) in NUISANCES.items():
        table[name] = neutral
    table["bar_size"] = 0.11
    return table


def _draw_table(keys, odd, strength, hard):
    """What the pictures with these keys look like; `odd` says which of them are hard."""
    draws = iter(_uniform(keys, len(NUISANCES) + 3))
    table = _neutral(len(keys))
    for name, (neutral, reach, lowest, highest) in NUISANCES.items():
        drawn = neutral + strength * reach * (2 * next(draws) - 1)
        table[name] = np.clip(drawn, lowest, highest)
    table["blink"] = next(draws) < BLINKS * strength
    table["grain"] = keys
    side, far = np.where(next(draws) < 0.5, -1, 1), next(draws)
    if hard in ("glasses", "bar"):
        table[hard] = odd
        table["bar_y"] = np.where(table["bar"], far - 0.4, 0)
    elif hard == "side light":
        table["light_x"] = np.where(odd, side, table["light_x"])
    elif hard == "low resolution":
        table["resolution"] = np.where(odd, 9 + np.floor(4 * far), 0)
    elif hard == "turned head":
        table["yaw"] = np.where(odd, side * (36 + 8 * far), table["yaw"])
    return table


def _spoil(table, keys, share):
    """Spoil that share of the pictures."""
    which, way, severity = _uniform(keys, len(NUISANCES) + 6)[-3:]
    way = np.where(which < share, 1 + np.floor(len(SPOILED) * way), 0)
    severity = np.where(way > 0, severity, 0)
    table["spoiled"], table["severity"] = way, severity
    of = {name: way == place for place, name in enumerate(SPOILED, start=1)}
    table["blur"] = np.where(of["blur"], 0.14 * severity**2, 0)
    table["noise"] = np.where(of["noise"], table["noise"] + 0.6 * severity**2, table["noise"])
    across = 3 + np.floor(25 * (1 - severity) ** 2)  # pixels; 28 are all that there are
    table["resolution"] = np.where(of["low resolution"], across, table["resolution"])
    table["bar"] |= of["bar"]
    table["bar_size"] = np.where(of["bar"], 0.7 * severity, table["bar_size"])


# --- pictures -------------------------------------------------------------------------------------


def _draw_all(traits, who, table, size, colour):
    """Draw in parts that fit into a processor's cache; which thread draws which does not matter."""
    pictures = np.empty((len(table), size, size, 3 if colour else 1), "float32")
    step = max(1, PIXELS_AT_ONCE // size**2)

    def draw_part(start):
        part = slice(start, start + step)
        values = traits[who[part]].T
        shapes = {
            name: middle + half_range * value
            for (name, (middle, half_range)), value in zip(TRAITS.items(), values, strict=True)
        }
        rows = {name: np.ascontiguousarray(table[name][part]) for name in TABLE.names}
        pictures[part] = draw(SimpleNamespace(**shapes), SimpleNamespace(**rows), size, colour)

    with ThreadPoolExecutor(_processors()) as pool:
        list(pool.map(draw_part, range(0, len(table), step)))
    return pictures


def _processors():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
