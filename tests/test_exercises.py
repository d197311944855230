"""Every exercise: the stub is not started, the solution passes, wrong answers get their hint.

The exercises are read from notebooks/solutions, so a new one is tested as soon as it is written;
a new self-check also needs its wrong answers in `WRONG_ANSWERS` below.
"""

import importlib
import itertools
import sys
from pathlib import Path

from lib import course

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "lib" / "tools"))
import exercises  # noqa: E402

SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))


def exercise_cells(path):
    """The code cells of a notebook of solutions from its first exercise on, in order."""
    cells = nbformat.read(path, as_version=4).cells
    return [c.source for c in cells if c.cell_type == "code" and exercises.is_exercise(c)]


def run(sources, checks):
    """Execute cells as a student would; return the verdicts of the self-checks by name."""
    scope, verdicts = {"np": np, "checks": checks}, {}
    for source in sources:
        if source.startswith("checks."):
            verdicts[source.split("(")[0].removeprefix("checks.")] = eval(source, scope)
        else:
            exec(source, scope)
    return verdicts


def checks_of(path):
    return importlib.import_module(f"lib.checks.lesson_{path.name[:2]}")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_stubs_are_not_started(path):
    verdicts = run([exercises.cut(source) for source in exercise_cells(path)], checks_of(path))
    assert {verdict.state for verdict in verdicts.values()} == {"not started"}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_pass_and_use_every_self_check(path):
    checks = checks_of(path)
    verdicts = run(exercise_cells(path), checks)
    assert all(verdict.passed for verdict in verdicts.values()), verdicts
    defined = {name for name, value in vars(checks).items() if hasattr(value, "__wrapped__")}
    assert set(verdicts) == defined


# --- wrong answers --------------------------------------------------------------------------------


def cosine(u, v):
    return np.dot(u, v) / np.linalg.norm(u) / np.linalg.norm(v)


def softmax_over(axis, maximum_over=None):
    """A softmax that subtracts the maximum over an axis (None: nowhere; "all": of everything)."""

    def softmax(logits):
        if maximum_over == "all":
            logits = logits - logits.max()
        elif maximum_over is not None:
            logits = logits - logits.max(axis=maximum_over, keepdims=True)
        powers = np.exp(logits)
        return powers / powers.sum(axis=axis, keepdims=True)

    return softmax


def clipped_loss(labels, logits, smallest=1e-10):
    labels = np.reshape(labels, -1)
    probabilities = np.clip(softmax_over(1, maximum_over=1)(logits), smallest, 1)
    return -np.log(probabilities[np.arange(len(labels)), labels])


def log_softmax(logits):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def squeezing_loss(labels, logits):
    labels = np.squeeze(labels)
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def overflowing_loss(labels, logits):
    labels = np.reshape(labels, -1)
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]


def cosines(embeddings, centres):
    return embeddings @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T


def unit(vectors, axis, keepdims=True):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=axis, keepdims=keepdims), 1e-12)


def cosine_logits(row_axis=1, column_axis=0, late_clip=False, late_scale=True):
    """The logits of lesson 3 with one thing wrong with them."""

    def logits(embeddings, weights, scale):
        product = unit(embeddings, row_axis) @ unit(weights, column_axis)
        product = scale * product if late_scale else product
        return np.clip(product, -1, 1) if late_clip else product

    return logits


def psi_with(k_of, sign=lambda k: (-1.0) ** k, lowered=2):
    """A ψ of lesson 04 with its own ideas of k, of the sign and of how far a piece is lowered."""

    def psi(theta, m):
        k = k_of(m * theta / np.pi)
        return sign(k) * np.cos(m * theta) - lowered * k

    return psi


good_psi = psi_with(np.floor)


def sphereface_logits(labels, cosines, m, s, clip=(-1, 1), psi=good_psi, scale_psi=True):
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):
        theta = np.arccos(np.clip(cosines[rows, labels], *clip))
    logits = s * cosines
    logits[rows, labels] = psi(theta, m) * (s if scale_psi else 1)
    return logits


def psi_on_every_class(labels, cosines, m, s):
    return s * good_psi(np.arccos(np.clip(cosines, -1, 1)), m)


def energy(factor=0.5, over=np.sum, of=np.mean, power=2, centres_of=lambda c, y: c[y]):
    """Center loss of lesson 02 with one thing wrong with it."""

    def loss(x, labels, centres):
        distances = over((x - centres_of(centres, labels)) ** 2, axis=1) ** (power / 2)
        return of(factor * distances)

    return loss


def last_image_only(centres, x, labels, alpha, divide=1):
    moved = centres.copy()
    moved[labels] -= alpha * (centres[labels] - x) / divide
    return moved


def every_image(divisor, in_place=False):
    """A centre update of lesson 02 that adds all images up and divides by `divisor(counts)`."""

    def update(centres, x, labels, alpha):
        moved = centres if in_place else centres.copy()
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, centres[labels] - x)
        moved -= alpha * sums / divisor(np.bincount(labels, minlength=len(centres)))[:, None]
        return moved

    return update


def cosface(handicap=lambda m, s: s * m, scale=lambda s: s, everywhere=False, reduce=np.asarray):
    """The loss of lesson 05 with one thing wrong with it."""

    def loss(labels, cosines, m, s):
        rows = np.arange(len(labels))
        logits = scale(s) * cosines
        logits[slice(None) if everywhere else (rows, labels)] -= handicap(m, s)
        return reduce(np.logaddexp.reduce(logits, axis=1) - logits[rows, labels])

    return loss


def cosface_on_the_others(labels, cosines, m, s):
    logits = s * cosines - s * m
    logits[np.arange(len(labels)), labels] += s * m
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def cosface_in_place(labels, cosines, m, s):
    cosines[np.arange(len(labels)), labels] -= m
    return -log_softmax(s * cosines)[np.arange(len(labels)), labels]


def scale_for_margin(room, log=np.log):
    """The scale of lesson 05's exercise with its own idea of the room between the cosines."""
    return lambda p, c, m: log((c - 1) * p / (1 - p)) / room(c, m)


def combined(theta, m1, m2, m3, s, psi_of=None):
    """The target's logit of lesson 07; `psi_of` stands in for ψ."""
    psi_of = psi_of or (lambda angle: good_psi(angle, 1))
    return s * (psi_of(m1 * theta + m2) - m3)


def twins_if(alike, pairs=itertools.combinations):
    """The twins of lesson 07 by another idea of what makes two boards alike."""

    def twins(boards):
        return [(a, b) for a, b in pairs(boards, 2) if alike(boards[a], boards[b])]

    return twins


def identify_by(normalise=(True, True), refuse=True, named=True):
    """The identification of lesson 07 with one step left out."""

    def identify(queries, gallery, names, threshold):
        queries, gallery = (
            unit(rows, 1) if wanted else rows
            for rows, wanted in zip((queries, gallery), normalise, strict=True)
        )
        cosines = queries @ gallery.T
        place = cosines.argmax(axis=1)
        found = names[place] if named else place
        return np.where(cosines.max(axis=1) >= threshold, found, -1) if refuse else found

    return identify


def arcface_logits(labels, cosines, m, s, at=None, sign=1, unit=1.0, others=1.0, clip=True):
    """The logits of lesson 06 with one thing wrong with them."""
    rows, at = np.arange(len(labels)), labels if at is None else at(cosines)
    with np.errstate(invalid="ignore"):
        theta = np.arccos(np.clip(cosines, -1, 1) if clip else cosines)
    logits = others * s * cosines
    logits[rows, at] = s * np.cos(theta[rows, at] + sign * unit * m)
    return logits


def in_place(labels, cosines, m, s):
    cosines[:] = arcface_logits(labels, cosines, m, s)
    return cosines


def gradient_in_x(x, w, m, sign=1, slope=None, length_power=1, along=1.0):
    """The gradient of cos(θ + m) of lesson 06 with one thing wrong with it."""
    length = np.linalg.norm(x)
    c = x @ w / length
    theta = np.arccos(c)
    slope = np.sin(theta + m) / np.sin(theta) if slope is None else slope(theta, m)
    return sign * slope * (w - along * c * x / length) / length**length_power


def arcface_loss(labels, cosines, m, s, select=None, reduce=None, clip=True):
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):
        theta = np.arccos(np.clip(cosines, -1, 1) if clip else cosines)
    theta[(rows, labels) if select is None else select(labels)] += m
    log_p = log_softmax(s * np.cos(theta))
    return -log_p[rows, labels] if reduce is None else reduce(-log_p)


def columns_of(labels):
    return slice(None), labels


def draw_with(own=True, replace=False, others="rest", order=np.sort, seed=None):
    """A draw of lesson 09 with one thing wrong with it."""

    def draw(labels, num_classes, size, rng):
        rng = rng if seed is None else np.random.default_rng(seed)
        kept = np.unique(labels) if own else np.array([], int)
        pool = np.arange(num_classes)
        pool = np.setdiff1d(pool, kept) if others == "rest" else pool
        return order(np.append(kept, rng.choice(pool, size - len(kept), replace=replace)))

    return draw


def sub_center_cosines(order="CK", reduce=np.max, normalise=True):
    """The sub-centres of lesson 09 with one thing wrong with them."""

    def cosines(x, weights, K):
        x, weights = (unit(x, 1), unit(weights, 0)) if normalise else (x, weights)
        shape = (len(x), -1, K) if order == "CK" else (len(x), K, -1)
        return reduce((x @ weights).reshape(shape), axis=2 if order == "CK" else 1)

    return cosines


def rank_1_with(probes="others", gallery="first", normalise=True):
    """The rank-1 rate of lesson 08, with other images enrolled or asked about."""

    def rank_1(embeddings, labels):
        x, everything = unit(embeddings, 1) if normalise else embeddings, np.arange(len(labels))
        first = np.unique(labels, return_index=True)[1]
        enrolled = everything if gallery == "all" else first
        asked = everything if probes == "all" else np.setdiff1d(everything, first)
        nearest = enrolled[(x[asked] @ x[enrolled].T).argmax(axis=1)]
        return np.mean(labels[nearest] == labels[asked])

    return rank_1


# (lesson, self-check, the wrong answer's arguments, words of the hint it must get)
WRONG_ANSWERS = [
    ("00", "angle", [lambda u, v: np.arccos(cosine(u, v))], "radians"),
    ("00", "angle", [cosine], "that is the cosine"),
    ("00", "angle", [lambda u, v: np.degrees(np.arccos(np.dot(u, v)))], "both lengths"),
    ("00", "angle", [lambda u, v: np.degrees(np.arccos(cosine(u, v)))], "clip it"),
    ("00", "angle", [lambda u, v: np.degrees(np.arccos(u * v / 100))], "sum over"),
    ("00", "stretched", [3], "does not know about lengths"),
    ("00", "stretched", [1 / 3], "cancels"),
    ("00", "stretched", [0], "what cancels"),
    ("00", "pairs", [99_000, 900_000], "each pair twice"),
    ("00", "pairs", [50_500, 450_000], "with itself"),
    ("00", "pairs", [100_000, 900_000], "images with themselves"),
    ("00", "pairs", [4_950, 450_000], "how many classes"),
    ("00", "pairs", [49_500, 499_500], "all the others"),
    ("01", "first_loss", [0.1], "probability"),
    ("01", "first_loss", [1.0], "natural logarithm"),
    ("01", "first_loss", [-np.log(10)], "minus that"),
    ("01", "first_loss", [5.0], "1/10"),
    ("01", "stable_softmax", [softmax_over(1)], "subtract the maximum"),
    ("01", "stable_softmax", [softmax_over(0, maximum_over=0)], "sum over axis 1"),
    ("01", "stable_softmax", [softmax_over(1, maximum_over="all")], "its own maximum"),
    ("01", "stable_softmax", [softmax_over(None, maximum_over=1)], "all values together"),
    ("01", "repaired_loss", [clipped_loss], "the clip cuts the loss off"),
    ("01", "repaired_loss", [lambda y, z: clipped_loss(y, z, 1e-30)], "the clip cuts"),
    ("01", "repaired_loss", [squeezing_loss], "reshape(-1)"),
    ("01", "repaired_loss", [overflowing_loss], "subtract the maximum"),
    ("01", "repaired_loss", [lambda y, z: overflowing_loss(y, z).mean()], "one loss for each"),
    ("01", "repaired_loss", [lambda y, z: -log_softmax(z).sum(axis=1)], "logit of the label"),
    ("01", "nearest_centre", [lambda x, c: (x @ c.T).argmax(axis=1)], "longer centre"),
    ("01", "nearest_centre", [lambda x, c: cosines(x, c).argmin(axis=1)], "farthest"),
    ("01", "nearest_centre", [lambda x, c: cosines(x, c).argmax(axis=0)], "has shape"),
    (
        "01",
        "nearest_centre",
        [lambda x, c: np.linalg.norm(x[:, None] - c, axis=2).argmin(axis=1)],
        "nearest in distance",
    ),
    ("02", "step", [(5, 0)], "the share is"),
    ("02", "step", [(20, 0)], "divide by 1 + n"),
    ("02", "step", [(1, 0)], "all four images"),
    ("02", "step", [(-4, 0)], "points away"),
    ("02", "step", [(10, 0)], "without the 1"),
    ("02", "step", [(4, 4)], "second coordinate"),
    ("02", "step", [(2.5, 0)], "n = 4"),
    ("02", "step", [4], "has shape"),
    ("02", "loss", [energy(factor=1)], "half"),
    ("02", "loss", [energy(of=np.sum)], "sum over the batch"),
    ("02", "loss", [energy(over=np.mean)], "averages over the dimensions"),
    ("02", "loss", [energy(factor=1, over=np.mean)], "averages over the dimensions"),
    ("02", "loss", [energy(power=1)], "half the distance"),
    ("02", "loss", [energy(of=lambda values: values)], "one number"),
    ("02", "loss", [energy(centres_of=lambda c, y: c[:1])], "its own label"),
    ("02", "repaired_update", [last_image_only], "only its last image"),
    (
        "02",
        "repaired_update",
        [lambda *args: last_image_only(*args, divide=4)],
        "only its last image counts",
    ),
    ("02", "repaired_update", [every_image(np.ones_like)], "beyond their mean"),
    ("02", "repaired_update", [every_image(lambda n: n)], "by 1 + n, not by n"),
    ("02", "repaired_update", [every_image(lambda n: np.maximum(n, 1))], "by 1 + n, not by n"),
    ("02", "repaired_update", [every_image(lambda n: 1 + n, in_place=True)], "a copy"),
    ("02", "repaired_update", [every_image(lambda n: 2 + n)], "of the way"),
    ("02", "translated_weight", [0.003], "make up for it"),
    ("02", "translated_weight", [0.003 * 512], "lacks the paper's"),
    ("02", "translated_weight", [0.003 * 2 / 512], "makes it worse"),
    ("02", "translated_weight", [1.0], "equal to 0.003"),
    ("03", "normalised", [lambda x: x / np.linalg.norm(x)], "axis=1"),
    ("03", "normalised", [lambda x: unit(x, 0)], "each row is an embedding"),
    ("03", "normalised", [lambda x: unit(x, 1, keepdims=False)], "keepdims=True"),
    ("03", "normalised", [lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)], "0/0"),
    ("03", "normalised", [lambda x: x / (np.linalg.norm(x, axis=1, keepdims=True) + 0.1)], "0.6"),
    ("03", "normalised", [lambda x: unit(x, 1) * (np.abs(x).max() > 0.1)], "not small enough"),
    ("03", "normalised", [lambda x: np.linalg.norm(x, axis=1)], "has shape"),
    ("03", "ceiling", [1 / (1 + 99 * np.exp(-2))], "opposite"),
    ("03", "ceiling", [0.01], "guessing"),
    ("03", "ceiling", [1 / (1 + 99 * np.exp(-1))], "at cosine 0"),
    ("03", "ceiling", [np.log(1 + 99 * np.exp(-100 / 99))], "lowest loss"),
    ("03", "ceiling", [0.5], "who wins"),
    ("03", "scale", [lambda p, c: (c - 1) / c * np.log((c - 1) * (1 - p) / p / c)], "upside down"),
    ("03", "scale", [lambda p, c: (c - 1) / c * np.log10((c - 1) * p / (1 - p))], "log10"),
    ("03", "scale", [lambda p, c: np.log((c - 1) * p / (1 - p))], "(C − 1)/C"),
    ("03", "scale", [lambda p, c: (c - 1) / c * np.log(p / (1 - p))], "nine rivals"),
    ("03", "scale", [lambda p, c: 0.9 * np.log(9 * p / (1 - p))], "1000 classes"),
    ("03", "scale", [lambda p, c: np.log([p, p])], "one number"),
    ("03", "repaired_logits", [cosine_logits(row_axis=None)], "the whole batch"),
    ("03", "repaired_logits", [cosine_logits(column_axis=1)], "over axis 0"),
    ("03", "repaired_logits", [cosine_logits(late_clip=True)], "then multiply by s"),
    ("03", "repaired_logits", [cosine_logits(late_scale=False)], "then multiply by s"),
    ("03", "repaired_logits", [lambda x, w, s: s * x @ unit(w, 0)], "by its own length"),
    ("03", "repaired_logits", [lambda x, w, s: s**2 * unit(x, 1) @ unit(w, 0)], "16 times"),
    ("04", "room_and_gap", [12, 12], "stood still"),
    ("04", "room_and_gap", [18, 0], "half way"),
    ("04", "room_and_gap", [10, 16], "solve"),
    ("04", "room_and_gap", [9, 27], "both sides"),
    ("04", "room_and_gap", [9, 9], "both classes leave"),
    ("04", "psi_function", [psi_with(np.floor, sign=lambda k: -(1**k))], "(-1)**k"),
    ("04", "psi_function", [psi_with(lambda k: k)], "round k down"),
    ("04", "psi_function", [psi_with(np.floor, lowered=0)], "subtract 2k"),
    ("04", "psi_function", [lambda theta, m: np.cos(m * theta)], "rises again"),
    ("04", "psi_function", [psi_with(np.ceil)], "rounded down"),
    ("04", "psi_function", [lambda theta, m: good_psi(theta, int(m + 0.5) if m > 2 else 1)], "1.5"),
    ("04", "psi_function", [lambda theta, m: good_psi(theta, m)[:, None]], "shape"),
    ("04", "repaired_logits", [lambda y, c, m, s: sphereface_logits(y, c, m, s)[0]], "shape"),
    ("04", "repaired_logits", [psi_on_every_class], "only the label's"),
    (
        "04",
        "repaired_logits",
        [lambda y, c, m, s: sphereface_logits(y, c, m, s, clip=(0, np.pi))],
        "is treated like 0",
    ),
    (
        "04",
        "repaired_logits",
        [lambda y, c, m, s: sphereface_logits(y, c, m, s, scale_psi=False)],
        "multiply all of",
    ),
    (
        "04",
        "repaired_logits",
        [lambda y, c, m, s: sphereface_logits(y, c, m, s, clip=(-2, 2))],
        "keep a clip",
    ),
    ("04", "smallest_m", [3], "evenly spread"),
    ("04", "smallest_m", [2 - np.sqrt(3)], "other root"),
    ("04", "smallest_m", [2], "inner side only"),
    ("04", "smallest_m", [4], "solve"),
    ("05", "largest_margins", [1 - np.cos(np.pi / 12), 12 / 11], "half way"),
    ("05", "largest_margins", [1 - np.cos(30), 12 / 11], "radians"),
    ("05", "largest_margins", [np.cos(np.pi / 6), 12 / 11], "neighbour's cosine"),
    ("05", "largest_margins", [0.35, 12 / 11], "has cosine 1"),
    ("05", "largest_margins", [0.134, 1], "right angle"),
    ("05", "largest_margins", [0.134, 2], "opposite"),
    ("05", "largest_margins", [0.134, 11 / 12], "upside down"),
    ("05", "largest_margins", [0.134, 0.134], "simplex"),
    ("05", "loss_function", [cosface(everywhere=True)], "taken off every class"),
    ("05", "loss_function", [cosface(handicap=lambda m, s: m)], "after the scale"),
    ("05", "loss_function", [cosface(handicap=lambda m, s: -s * m)], "a bonus"),
    ("05", "loss_function", [cosface_on_the_others], "a bonus"),
    ("05", "loss_function", [cosface_in_place], "the caller's"),
    (
        "05",
        "loss_function",
        [cosface(handicap=lambda m, s: m, scale=lambda s: 1)],
        "multiplied by s",
    ),
    ("05", "loss_function", [cosface(reduce=np.mean)], "has shape"),
    ("05", "loss_function", [cosface(handicap=lambda m, s: s * np.radians(m))], "should be"),
    ("05", "scale_with_margin", [scale_for_margin(lambda c, m: c / (c - 1))], "leaves the margin"),
    ("05", "scale_with_margin", [scale_for_margin(lambda c, m: c / (c - 1) + m)], "cannot make"),
    ("05", "scale_with_margin", [scale_for_margin(lambda c, m: 1 - m)], "not at 0"),
    (
        "05",
        "scale_with_margin",
        [scale_for_margin(lambda c, m: c / (c - 1) - m, log=np.log10)],
        "natural logarithm",
    ),
    ("05", "scale_with_margin", [scale_for_margin(lambda c, m: 10 / 9 - m)], "1000 classes"),
    ("05", "translated_margin", [0.35, 10.5], "not the margin"),
    ("05", "translated_margin", [10.5, 0.35 / 30], "other way round"),
    ("05", "translated_margin", [0.35 / 30, 0.35 / 30], "smaller still"),
    ("05", "translated_margin", [0.0117, 0.35], "multiply out"),
    ("05", "translated_margin", [0.5, 10.5], "solve for m"),
    ("07", "combined_logit", [lambda t, a, b, c, s: s * good_psi(a * t + b, 1) - c], "0.35/30"),
    ("07", "combined_logit", [lambda t, a, b, c, s: combined(t, a, b, -c, s)], "a bonus"),
    ("07", "combined_logit", [lambda t, a, b, c, s: combined(t, a, b, c, 1)], "scale is missing"),
    ("07", "combined_logit", [lambda t, a, b, c, s: 0 * t], "should be s·(cos θ − 0.35)"),
    ("07", "combined_logit", [lambda t, a, b, c, s: combined(t, a, a * b, c, s)], "θ alone"),
    (
        "07",
        "combined_logit",
        [lambda t, a, b, c, s: combined(t, a, np.radians(b), c, s)],
        "radians already",
    ),
    ("07", "combined_logit", [lambda t, a, b, c, s: combined(t, 1, b, c, s)], "0.9 θ + 0.4"),
    (
        "07",
        "combined_logit",
        [lambda t, a, b, c, s: combined(t, a, b, c, s, psi_of=np.cos)],
        "rises again",
    ),
    (
        "07",
        "combined_logit",
        [lambda t, a, b, c, s: combined(t, a, b, c, s, lambda u: np.cos(np.minimum(u, np.pi)))],
        "beyond π: ψ",
    ),
    ("07", "combined_logit", [lambda t, a, b, c, s: combined(t, a, b, c, s)[:2]], "has shape"),
    ("07", "fit_on_circle", [0.7146, False], "in radians"),
    ("07", "fit_on_circle", [17.19, True], "m2 alone"),
    ("07", "fit_on_circle", [28.65, True], "cannot be added"),
    ("07", "fit_on_circle", [54.06, False], "not off the cosine of 0"),
    ("07", "fit_on_circle", [30, True], "on its class weight"),
    ("07", "fit_on_circle", [40.945, True], "36° apart"),
    ("07", "fit_on_circle", [40.945, "no"], "True or False"),
    ("07", "found_twins", [twins_if(lambda a, b: a[0] == b[0])], "no more"),
    ("07", "found_twins", [twins_if(lambda a, b: np.allclose(a, b, atol=1e-3))], "false twins"),
    (
        "07",
        "found_twins",
        [twins_if(lambda a, b: a == b, itertools.combinations_with_replacement)],
        "equals itself",
    ),
    ("07", "found_twins", [twins_if(lambda a, b: a == b, itertools.permutations)], "both orders"),
    ("07", "found_twins", [lambda boards: []], "('CosFace', 'ArcFace')"),
    (
        "07",
        "found_twins",
        [lambda boards: twins_if(lambda a, b: a == b)(boards)[:1]],
        "three pairs",
    ),
    ("07", "identified", [identify_by(named=False)], "names[place]"),
    ("07", "identified", [identify_by(refuse=False)], "nobody is refused"),
    ("07", "identified", [identify_by(normalise=(True, False))], "by its length"),
    ("07", "identified", [identify_by(normalise=(False, True))], "short query"),
    (
        "07",
        "identified",
        [lambda q, g, n, t: identify_by()(q, g, n, 0.95)],
        "above a threshold of 0.7",
    ),
    ("07", "identified", [lambda q, g, n, t: identify_by()(q, g, n, 0.7)], "should be"),
    ("07", "identified", [lambda q, g, n, t: identify_by()(q, g, n, t)[:2]], "has shape"),
    ("06", "room_and_gap", [(36 - 0.3) / 2, 0.3], "in radians and 36 in degrees"),
    ("06", "room_and_gap", [18, 0], "without a margin"),
    ("06", "room_and_gap", [36 - np.degrees(0.3), 17.2], "stand still"),
    ("06", "room_and_gap", [(36 + np.degrees(0.3)) / 2, 17.2], "a bonus"),
    ("06", "room_and_gap", [9, 18], "solve"),
    ("06", "room_and_gap", [9.41, 0.3], "asks for degrees"),
    ("06", "room_and_gap", [9.41, 26.6], "both sides"),
    ("06", "room_and_gap", [9.41, 12], "both classes leave"),
    ("06", "logits", [lambda y, c, m, s: s * np.cos(np.arccos(c) + m)], "every class"),
    (
        "06",
        "logits",
        [lambda *args: arcface_logits(*args, at=lambda c: c.argmax(axis=1))],
        "Which column",
    ),
    ("06", "logits", [lambda *args: arcface_logits(*args, sign=-1)], "minus m"),
    ("06", "logits", [lambda *args: arcface_logits(*args, unit=np.pi / 180)], "in radians already"),
    ("06", "logits", [lambda y, c, m, s: arcface_logits(y, c, m, 1)], "the scale is missing"),
    (
        "06",
        "logits",
        [lambda y, c, m, s: arcface_logits(y, c, m, 1, others=s)],
        "missing on the label's",
    ),
    ("06", "logits", [lambda *args: arcface_logits(*args, unit=2)], "should be"),
    ("06", "logits", [lambda *args: arcface_logits(*args, clip=False)], "clip to"),
    ("06", "logits", [in_place], "work on a copy"),
    ("06", "logits", [lambda y, c, m, s: s * (c - m * np.eye(3)[y])], "that is CosFace"),
    ("06", "logits", [lambda *args: arcface_logits(*args)[0]], "has shape"),
    ("06", "gradient", [lambda *args: gradient_in_x(*args, sign=-1)], "the sign"),
    ("06", "gradient", [lambda *args: gradient_in_x(*args, slope=lambda t, m: 1)], "detached"),
    ("06", "gradient", [lambda *args: gradient_in_x(*args, length_power=0)], "divide by"),
    ("06", "gradient", [lambda *args: gradient_in_x(*args, along=0)], "points along w"),
    (
        "06",
        "gradient",
        [lambda *args: gradient_in_x(*args, slope=lambda t, m: np.sin(t + m))],
        "chain rule",
    ),
    ("06", "gradient", [lambda *args: gradient_in_x(*args, along=0.5)], "a part along x"),
    ("06", "gradient", [lambda x, w, m: gradient_in_x(x, w, 2 * m)], "two factors"),
    ("06", "gradient", [lambda x, w, m: np.cos(np.arccos(x @ w) + m)], "has shape"),
    ("06", "repaired_loss", [lambda *args: arcface_loss(*args, select=columns_of)], "all labels"),
    (
        "06",
        "repaired_loss",
        [lambda *args: arcface_loss(*args, reduce=lambda v: v.sum(axis=1))],
        "sums over all classes",
    ),
    (
        "06",
        "repaired_loss",
        [
            lambda *args: arcface_loss(
                *args, select=columns_of, reduce=lambda v: v.sum(axis=1), clip=False
            )
        ],
        "nothing about the sum",
    ),
    ("06", "repaired_loss", [lambda *args: arcface_loss(*args, clip=False)], "clip before"),
    ("06", "repaired_loss", [lambda *args: arcface_loss(*args).mean()], "one loss for each"),
    ("06", "repaired_loss", [lambda y, c, m, s: arcface_loss(y, c, -m, s)], "should be"),
    ("08", "pairs_and_far", [2800, 77_000, 1e-4], "counts once"),
    ("08", "pairs_and_far", [400, 1225, 1e-2], "number of images"),
    ("08", "pairs_and_far", [1000, 78_800, 1e-4], "8 · 7 / 2 genuine"),
    ("08", "pairs_and_far", [1400, 79_800, 1e-4], "all pairs of 400"),
    ("08", "pairs_and_far", [1400, 1225, 1e-2], "pairs of identities"),
    ("08", "pairs_and_far", [1400, 156_800, 1e-4], "not twice"),
    ("08", "pairs_and_far", [1400, 70_000, 1e-4], "what is not genuine"),
    ("08", "pairs_and_far", [1400, 78_400, 1 / 78_400], "too few"),
    ("08", "pairs_and_far", [1400, 78_400, 10 / 79_800], "not of all pairs"),
    ("08", "pairs_and_far", [1400, 78_400, 10 / 1400], "not of the genuine ones"),
    ("08", "pairs_and_far", [1400, 78_400, 0.01], "ten of the impostor pairs"),
    ("08", "tar_at_far", [lambda g, i, far: far], "the FAR itself"),
    ("08", "tar_at_far", [lambda g, i, far: np.sum(g >= np.quantile(i, 1 - far))], "their share"),
    ("08", "tar_at_far", [lambda g, i, far: np.mean(g >= np.quantile(i, 1 - far))], "tie at 0.5"),
    ("08", "tar_at_far", [lambda g, i, far: np.mean(g > i.max())], "down to 0.5"),
    ("08", "tar_at_far", [lambda g, i, far: np.mean(g > i.max()) + (far > 0) / 4], "at FAR 1"),
    ("08", "tar_at_far", [lambda g, i, far: 0.75], "at FAR 0"),
    ("08", "tar_at_far", [lambda g, i, far: g >= i.max()], "has shape"),
    ("08", "rank_1", [rank_1_with(probes="all", gallery="all")], "found itself"),
    ("08", "rank_1", [rank_1_with(probes="all")], "still counted"),
    ("08", "rank_1", [rank_1_with(normalise=False)], "lengths divided"),
    ("08", "rank_1", [lambda x, y: 1 - rank_1_with()(x, y)], "only the first image"),
    ("09", "logits_memory", [2.56, 2.56], "their gradient"),
    ("09", "logits_memory", [0.08, 0.04], "the batch counts"),
    ("09", "logits_memory", [327.68, 655.36], "a 64th of the classes"),
    ("09", "logits_memory", [5.12, 2.56], "128 × 64 images"),
    ("09", "logits_memory", [5.12, 10.24], "half of the classes"),
    ("09", "logits_memory", [1, 1], "twice, in"),
    ("09", "logits_memory", [5.12, 1], "one doubles"),
    ("09", "places", [lambda labels, columns: labels], "those are the labels"),
    ("09", "places", [lambda labels, columns: np.isin(columns, labels)], "has shape"),
    (
        "09",
        "places",
        [lambda labels, columns: np.unique(labels, return_inverse=True)[1]],
        "batch's own classes",
    ),
    (
        "09",
        "places",
        [lambda labels, columns: np.searchsorted(columns, labels, side="right")],
        "one too far",
    ),
    ("09", "places", [lambda labels, columns: np.zeros(len(labels), int)], "labels back"),
    ("09", "repaired_draw", [draw_with(own=False, replace=True)], "drawn twice"),
    ("09", "repaired_draw", [draw_with(others="all")], "drawn twice"),
    ("09", "repaired_draw", [draw_with(own=False)], "is missing"),
    ("09", "repaired_draw", [draw_with(order=lambda columns: columns)], "ascending order"),
    ("09", "repaired_draw", [draw_with(seed=0)], "the same each time"),
    ("09", "repaired_draw", [lambda labels, *rest: np.unique(labels)], "has shape"),
    ("09", "sub_centers", [sub_center_cosines(reduce=np.mean)], "the mean over"),
    ("09", "sub_centers", [sub_center_cosines(order="KC")], "not K first"),
    ("09", "sub_centers", [sub_center_cosines(reduce=np.min)], "farthest"),
    ("09", "sub_centers", [sub_center_cosines(normalise=False)], "no cosines"),
    ("09", "sub_centers", [lambda x, w, K: unit(x, 1) @ unit(w, 0)], "has shape"),
]


@pytest.mark.parametrize(("lesson", "name", "answer", "hint"), WRONG_ANSWERS)
def test_a_wrong_answer_gets_its_hint(lesson, name, answer, hint):
    verdict = getattr(importlib.import_module(f"lib.checks.lesson_{lesson}"), name)(*answer)
    assert verdict.state == "wrong"
    assert hint in verdict.message
    assert "your code stopped" not in verdict.message


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_self_check_knows_two_wrong_answers(path):
    known = [(lesson, name) for lesson, name, _, _ in WRONG_ANSWERS]
    for name in run(exercise_cells(path), checks_of(path)):
        assert known.count((path.name[:2], name)) >= 2, f"{path.stem}: {name}"


@pytest.fixture(autouse=True)
def no_verdicts_from_other_tests(monkeypatch):
    monkeypatch.setattr(course, "_last_verdicts", {})
