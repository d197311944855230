"""Every exercise: the stub is not started, the solution passes, wrong answers get their hint.

The exercises are read from notebooks/solutions, so a new one is tested as soon as it is written;
a new self-check also needs its wrong answers in `WRONG_ANSWERS` below.
"""

import importlib
import itertools
import json
import re
import sys
from pathlib import Path

import reference
from lib import course, evaluation, recognition
from lib.folder import read_folder, read_picture
from lib.gallery import Gallery, fingerprint
from lib.tools import exercises

import nbformat
import numpy as np
import pytest

SOLUTIONS = sorted(Path(__file__).parents[1].glob("notebooks/solutions/*.ipynb"))


def exercise_cells(path):
    """The code cells of a notebook of solutions from its first exercise on, in order."""
    cells = nbformat.read(path, as_version=4).cells
    return [c.source for c in cells if c.cell_type == "code" and exercises.is_exercise(c)]


def scope_of(path):
    """What the first code cell of a notebook of solutions imports."""
    cells = nbformat.read(path, as_version=4).cells
    scope, before = {}, sys.path[:]  # to which a notebook adds its own
    exec(next(cell.source for cell in cells if cell.id == "setup"), scope)
    sys.path[:] = before
    return scope


def run(sources, path):
    """Execute cells as a student would; return the verdicts of the self-checks by name."""
    scope, verdicts = scope_of(path), {}
    for source in sources:
        if source.startswith("checks."):
            verdicts[source.split("(")[0].removeprefix("checks.")] = eval(source, scope)
        else:
            exec(source, scope)
    return verdicts


def checks_of(path):
    return importlib.import_module(f"lib.checks.lesson_{path.name[:2]}")


@pytest.fixture(autouse=True)
def no_verdicts_from_other_tests(monkeypatch):
    monkeypatch.setattr(course, "_last_verdicts", {})


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_stubs_are_not_started(path):
    verdicts = run([exercises.cut(source) for source in exercise_cells(path)], path)
    assert {verdict.state for verdict in verdicts.values()} == {"not started"}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_pass_and_each_self_check_knows_two_wrong_answers(path):
    checks = checks_of(path)
    verdicts = run(exercise_cells(path), path)
    assert all(verdict.passed for verdict in verdicts.values()), verdicts
    decorated = {name for name, value in vars(checks).items() if hasattr(value, "__wrapped__")}
    defined = {name for name in decorated if not name.startswith("_")}
    assert set(verdicts) == defined
    for name in defined:
        assert len(WRONG_ANSWERS[f"{path.name[:2]} {name}"]) >= 2, name


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


def smoothed(shared=lambda costs, right: costs.mean(axis=1), sign=1, costs_of=None):
    """Cross-entropy with smoothed labels, of lesson 01, with one thing wrong with it."""
    costs_of = costs_of or (lambda logits: -log_softmax(logits))

    def loss(labels, logits, epsilon):
        costs = costs_of(logits)
        right = costs[np.arange(len(labels)), labels]
        return sign * ((1 - epsilon) * right + epsilon * shared(costs, right))

    return loss


def closest_beyond(compare):
    """The choice of lesson 02 by another comparison, and nothing for where none is beyond p."""
    return lambda p, n: np.where(compare(n, p[:, None]), n, np.inf).argmin(axis=1)


def good_psi(theta, m):
    """The ψ of lesson 04."""
    k = np.floor(m * theta / np.pi)
    return (-1.0) ** k * np.cos(m * theta) - 2 * k


def angle_with(
    k_of=lambda values: np.floor((1 - values) / 2),
    before=lambda k, m: k * np.pi / m,
    turned=False,
):
    """The way back from ψ to the angle, of lesson 04, with one thing wrong with it."""

    def angle_of(values, m):
        k = k_of(values)
        cosines = (values + 2 * k).clip(-1, 1)
        return before(k, m) + np.arccos((-1) ** k * cosines if turned else cosines) / m

    return angle_of


def sphereface_logits(labels, cosines, m, s, clip=(-1, 1), psi=good_psi, scale_psi=True):
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):
        theta = np.arccos(np.clip(cosines[rows, labels], *clip))
    logits = s * cosines
    logits[rows, labels] = psi(theta, m) * (s if scale_psi else 1)
    return logits


def psi_on_every_class(labels, cosines, m, s):
    return s * good_psi(np.arccos(np.clip(cosines, -1, 1)), m)


def last_image_only(centres, x, labels, alpha, divide=1):
    classes, places = np.unique(labels, return_inverse=True)
    moved = centres[classes]
    moved[places] -= alpha * (moved[places] - x) / divide
    return classes, moved


def every_image(divisor, in_place=False):
    """A centre update of lesson 02 that adds all images up and divides by `divisor(counts)`."""

    def update(centres, x, labels, alpha):
        classes, places = np.unique(labels, return_inverse=True)
        sums = np.zeros((len(classes), centres.shape[1]))
        np.add.at(sums, places, centres[labels] - x)
        moved = centres[classes] - alpha * sums / divisor(np.bincount(places))[:, None]
        if in_place:
            centres[classes] = moved
        return classes, moved

    return update


def cosface(handicap=lambda m, s: s * m, scale=lambda s: s, everywhere=False, reduce=np.asarray,
            of=lambda margins, labels: margins[labels]):  # fmt: skip
    """The loss of lesson 05 with one thing wrong with it."""

    def loss(labels, cosines, margins, s):
        rows = np.arange(len(labels))
        logits = scale(s) * cosines
        if everywhere:
            logits -= handicap(margins, s)
        else:
            logits[rows, labels] -= handicap(of(margins, labels), s)
        return reduce(np.logaddexp.reduce(logits, axis=1) - logits[rows, labels])

    return loss


def cosface_on_the_others(labels, cosines, margins, s):
    logits = s * cosines - s * margins[labels][:, None]
    logits[np.arange(len(labels)), labels] += s * margins[labels]
    return -log_softmax(logits)[np.arange(len(labels)), labels]


def cosface_in_place(labels, cosines, margins, s):
    cosines[np.arange(len(labels)), labels] -= margins[labels]
    return -log_softmax(s * cosines)[np.arange(len(labels)), labels]


def scale_for_margin(room, log=np.log):
    """The scale of lesson 05's exercise with its own idea of the room between the cosines."""
    return lambda p, c, m: log((c - 1) * p / (1 - p)) / room(c, m)


def in_cosine(theta, m1, m2, m3, psi_of=None):
    """The margin of lesson 07 in CosFace's coin; `psi_of` stands in for ψ."""
    psi_of = psi_of or (lambda angle: good_psi(angle, 1))
    return np.cos(theta) - psi_of(m1 * theta + m2) + m3


def twins_if(alike, pairs=itertools.combinations):
    """The twins of lesson 07 by another idea of what makes two boards alike."""

    def twins(boards):
        return [(a, b) for a, b in pairs(boards, 2) if alike(boards[a], boards[b])]

    return twins


def identify_by(normalise=(True, True), refuse=True, named=True, ties="the closest"):
    """The identification of lesson 11 with one step left out."""

    def identify(queries, gallery, names, threshold):
        queries, gallery = (
            unit(rows, 1) if wanted else rows
            for rows, wanted in zip((queries, gallery), normalise, strict=True)
        )
        cosines = queries @ gallery.T
        place, largest = cosines.argmax(axis=1), cosines.max(axis=1)
        found = names[place] if named else place
        if ties == "the closest":
            found = np.where((cosines == largest[:, None]).sum(axis=1) > 1, -1, found)
        if ties == "any":
            found = np.where([len(set(row)) < len(row) for row in cosines], -1, found)
        return np.where(largest >= threshold, found, -1) if refuse else found

    return identify


def identify_one_by_one(queries, gallery, names, threshold):
    """Lesson 11's by sorting, and with a list of answers."""
    answers = []
    for query in queries:
        scores = [row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in gallery]
        (second, _), (first, name) = sorted(zip(scores, names, strict=True))[-2:]
        answers.append(name if first >= threshold and first > second else -1)
    return np.array(answers)


def threshold_by(
    count=lambda fpir, strangers: int(fpir * strangers),
    highest=lambda cosines: cosines.max(axis=1),
    above=lambda score: np.nextafter(score, np.inf),
):
    """The threshold of lesson 11, by the first of the sorted who may not be named."""

    def lowest(cosines, fpir):
        scores = np.sort(highest(cosines), axis=None)[::-1]
        return above(scores[count(fpir, len(scores))])

    return lowest


def threshold_among(allowed, highest=lambda cosines: cosines.max(axis=1)):
    """The threshold of lesson 11 as the first score at which `allowed(scores, score, fpir)`."""

    def lowest(cosines, fpir):
        scores = highest(cosines)
        return next((s for s in np.unique(scores) if allowed(scores, s, fpir)), np.inf)

    return lowest


def few_enough(scores, threshold, fpir):
    return np.mean(scores >= threshold) <= fpir


def traces_by(
    files=lambda folder: folder.rglob("*"),
    path_of=lambda path, folder: str(path.relative_to(folder)),
    read=lambda path: path.read_bytes(),
    name_in=lambda name, content: name.encode() in content,
    bytes_of=lambda embedding: embedding.astype("float32").tobytes(),
    give=lambda path: path,
):
    """The search of lesson 11 with one thing wrong with it."""

    def what_is_left(folder, name, embedding):
        found = []
        for path in files(folder):
            if path.is_file():
                content, trace = read(path), bytes_of(embedding)
                inside = name_in(name, content) or (trace and trace in content)
                if inside or name in path_of(path, folder):
                    found.append(give(path))
        return found

    return what_is_left


def all_but(*names):
    """A search that passes over files of these names."""
    return traces_by(lambda folder: [p for p in folder.rglob("*") if p.name not in names])


def text_of(path):
    """The text that a file has, as bytes; none if it is no text."""
    try:
        return path.read_text(encoding="utf-8").encode()
    except UnicodeDecodeError:
        return b""


def solved(lesson, cell):
    """What a cell of the solutions defines last."""
    (path,) = [path for path in SOLUTIONS if path.name.startswith(lesson)]
    scope = scope_of(path)
    exec(next(c.source for c in nbformat.read(path, 4).cells if c.id == cell), scope)
    return list(scope.values())[-1]


Recogniser = solved("11", "exercise-project")


def threshold_for(own, size=None, resamples=1):
    """As the capstone's, but without the interval that it throws away, or for another size."""
    size = size or max(1, len(own.gallery.people()))
    return recognition.threshold_for(
        own.fpir, own.embeddings, own.labels, size, pictures=4, resamples=resamples
    )


def recogniser_with(**changes):
    """The capstone of lesson 11 with some methods in place of the right ones."""
    quick = {"threshold": property(lambda self: threshold_for(self).value)}
    return type("Recogniser", (Recogniser,), quick | changes)


def starts_anew(self, *arguments):
    Recogniser.__init__(self, *arguments)
    for person in self.gallery.people():
        self.gallery.forget(person.name)


def only_once():
    """A start that works once."""
    started = []

    def start(self, *arguments):
        if started:
            raise FileExistsError("there is a gallery already")
        started.append(True)
        Recogniser.__init__(self, *arguments)

    return start


def always_the_first(models=()):
    """A start that takes every network for the one that it saw first."""
    models = list(models)

    def start(self, backbone, path, fpir, validation):
        self.backbone, self.fpir, self.labels = backbone, fpir, validation.labels
        models.append(fingerprint(backbone))
        self.gallery, self.passed_over = Gallery(path, models[0]), []
        self.embeddings = evaluation.embed(backbone, validation.images)

    return start


def under_another_model(self, backbone, path, *rest):
    always_the_first(["network"])(self, backbone, path, *rest)


def answers_with(change):
    return lambda self, paths: change(Recogniser.answer(self, paths))


def answer_unguarded(self, paths):
    """No care for pictures that cannot be read."""
    images = np.stack([read_picture(path) for path in paths])
    found, threshold = self.gallery.search(evaluation.embed(self.backbone, images)), self.threshold
    return recognition.decide(found, getattr(threshold, "value", threshold))


def answer_by_templates(self, paths):
    """No care for a gallery without people."""
    images = np.stack([read_picture(path) for path in paths])
    embeddings = evaluation.embed(self.backbone, images)
    return recognition.decide(
        recognition.closest(*self.gallery.templates(), embeddings), self.threshold
    )


def answer_with_the_damaged_last(self, paths):
    answers = Recogniser.answer(self, paths)
    sound = [a for a, path in zip(answers, paths, strict=True) if path.name != "cut.png"]
    return sound + [None] * (len(answers) - len(sound))


def without_report(method):
    """The method, and nothing of it in `passed_over`."""

    def silent(self, *arguments):
        before = self.passed_over[:]
        result = method(self, *arguments)
        self.passed_over = before
        return result

    return silent


def enrol_unguarded(self, folder, consent):
    for person in sorted(folder.iterdir()):
        images = np.stack([read_picture(path) for path in sorted(person.iterdir())])
        self.gallery.enrol(person.name, evaluation.embed(self.backbone, images), consent)


def enrol_by_number(self, folder, consent):
    found = read_folder(folder)
    embeddings = evaluation.embed(self.backbone, found.images)
    for label in np.unique(found.labels):
        self.gallery.enrol(str(label), embeddings[found.labels == label], consent)
    self.passed_over += found.passed_over


def forget_and_note(self, name):
    self.gallery.forget(name)
    Path(self.gallery.path).with_name("forgotten.json").write_text(json.dumps([name]))


def forget_everybody(self, name):
    for person in self.gallery.people():
        self.gallery.forget(person.name)


class OneByOne(Recogniser):
    """The capstone in another spelling: one picture at a time, one threshold at the start."""

    threshold = 0.0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.threshold = threshold_for(self, size=20).value

    def answer(self, paths):
        return tuple(answer for path in paths for answer in Recogniser.answer(self, [path]))


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


def adaface_logits(
    q_of=lambda q: q.clip(-1, 1),
    angle=lambda q, m: -m * q,
    off=lambda q, m: m + m * q,
    scale=lambda target, off, s: s * (target - off),
    others=lambda cosines, s: s * cosines,
    clip=True,
):
    """AdaFace's logits of lesson 10 with one thing wrong with them; `q_of` may use the length."""

    def logits(labels, cosines, lengths, mean, std, m, h, s):
        rows = np.arange(len(labels))
        q = q_of(h * (lengths - mean) / (std + 1e-3))
        with np.errstate(invalid="ignore"):
            theta = np.arccos(np.clip(cosines, -1, 1) if clip else cosines)[rows, labels]
        result = others(cosines, s)
        result[rows, labels] = scale(np.cos(theta + angle(q, m)), off(q, m), s)
        return result

    return logits


def adaface_everywhere(labels, cosines, lengths, mean, std, m, h, s):
    q = np.clip(h * (lengths - mean) / std, -1, 1)[:, None]
    return s * (np.cos(np.arccos(cosines) - m * q) - m - m * q)


def adaface_with(lengths_of=lambda lengths: lengths, **fixed):
    """The right logits of lesson 10, of other arguments."""

    def logits(labels, cosines, lengths, mean, std, m, h, s):
        given = {"mean": mean, "std": std, "m": m, "h": h, "s": s} | fixed
        given = {name: f(lengths) if callable(f) else f for name, f in given.items()}
        return adaface_logits()(labels, cosines, lengths_of(lengths), **given)

    return logits


def adaface_in_place(labels, cosines, lengths, mean, std, m, h, s):
    lengths -= mean
    return adaface_logits()(labels, cosines, lengths, 0, std, m, h, s)


def picked(order, margins_of=np.sort):
    """The margins of lesson 10's ElasticFace, picked in an order."""
    return lambda cosines, margins: margins_of(margins)[order(cosines)]


def as_released(cosines):
    return np.argsort(-cosines)


def right_places(cosines):
    return np.argsort(np.argsort(-cosines))


def descending(margins):
    return np.sort(margins)[::-1]


def elastic_in_place(cosines, margins):
    margins.sort()
    return margins[right_places(cosines)]


def dominant_of(labels, cosines, among="class", by="votes"):
    """The dominant sub-centre of each image's class, counted in one of several ways."""
    nearest = cosines.argmax(axis=1)
    groups = labels if among == "class" else np.zeros_like(labels)
    found = np.empty_like(labels)
    for group in np.unique(groups):
        own = groups == group
        votes = cosines[own].mean(axis=0) if by == "mean" else np.bincount(nearest[own])
        found[own] = (votes > 0).argmax() if by == "any vote" else votes.argmax()
    return found


def kept_by(
    center=dominant_of, angle=lambda cosines: np.degrees(np.arccos(cosines)), limit=lambda d: d
):
    """The cleaning of lesson 10 by another centre, another angle or another limit."""

    def kept(labels, cosines, degrees):
        own = cosines[np.arange(len(labels)), center(labels, cosines)]
        return angle(own) <= limit(degrees)

    return kept


def adaface_one_by_one(labels, cosines, lengths, mean, std, m, h, s):
    """AdaFace without NumPy's tricks, and without the small number beside std."""
    logits = [[s * c for c in row] for row in cosines]
    for row, label, length in zip(logits, labels, lengths, strict=True):
        q = max(-1, min(1, h * (length - mean) / std))
        theta = np.arccos(max(-1, min(1, row[label] / s)))
        row[label] = s * np.cos(theta - m * q) - s * m * (1 + q)
    return logits


def adaface_with_eye(labels, cosines, lengths, mean, std, m, h, s):
    """AdaFace with a margin for each logit, 0 where it is not the label's."""
    q = np.clip(h * (lengths - mean) / (std + 1e-3), -1, 1)[:, None]
    own = np.eye(cosines.shape[1])[labels]
    return s * (np.cos(np.arccos(np.clip(cosines, -1, 1)) - own * m * q) - own * m * (1 + q))


def elastic_one_by_one(cosines, margins):
    left, result = sorted(margins), {}
    for sample in sorted(range(len(cosines)), key=lambda i: cosines[i]):
        result[sample] = left.pop()
    return [result[sample] for sample in range(len(cosines))]


def kept_with_add_at(labels, cosines, degrees):
    """The cleaning of lesson 10 without a loop, by a table of votes and by angles."""
    classes, place = np.unique(labels, return_inverse=True)
    votes = np.zeros((len(classes), cosines.shape[1]), int)
    np.add.at(votes, (place, cosines.argmax(axis=1)), 1)
    dominant = votes.argmax(axis=1)[place]
    return np.degrees(np.arccos(cosines[np.arange(len(labels)), dominant])) <= degrees


# For each lesson and self-check: words of the hint, and the wrong arguments that must get it.
WRONG_ANSWERS = {
    "00 angle": [
        ("radians", lambda u, v: np.arccos(cosine(u, v))),
        ("that is the cosine", cosine),
        ("both lengths", lambda u, v: np.degrees(np.arccos(np.dot(u, v)))),
        ("clip it", lambda u, v: np.degrees(np.arccos(cosine(u, v)))),
        ("sum over", lambda u, v: np.degrees(np.arccos(u * v / 100))),
    ],
    "00 stretched": [
        ("does not know about lengths", 3),
        ("cancels", 1 / 3),
        ("what cancels", 0),
    ],
    "00 pairs": [
        ("each pair twice", 99_000, 900_000),
        ("with itself", 50_500, 450_000),
        ("images with themselves", 100_000, 900_000),
        ("how many classes", 4_950, 450_000),
        ("all the others", 49_500, 499_500),
    ],
    "01 first_loss": [
        ("probability", 0.1),
        ("natural logarithm", 1.0),
        ("minus that", -np.log(10)),
        ("1/10", 5.0),
    ],
    "01 smoothed_loss": [
        ("minus that", smoothed(sign=-1)),
        ("does not know about ε", lambda y, z, e: smoothed()(y, z, 0)),
        ("swapped", lambda y, z, e: smoothed()(y, z, 1 - e)),
        ("a third each", smoothed(shared=lambda costs, right: costs.sum(axis=1))),
        ("wrong classes only", smoothed(shared=lambda costs, right: (costs.sum(1) - right) / 2)),
        ("each times its target", smoothed(shared=lambda costs, right: 0 * right)),
        ("subtract the row's maximum", smoothed(costs_of=lambda z: -np.log(softmax_over(1)(z)))),
        ("NaN or infinity", smoothed(costs_of=lambda z: -np.log(softmax_over(1, 1)(z)))),
        ("a clip", smoothed(costs_of=lambda z: -np.log(softmax_over(1, 1)(z).clip(1e-30)))),
        ("has shape", lambda y, z, e: smoothed()(y, z, e).mean()),
    ],
    "01 repaired_loss": [
        ("the clip cuts the loss off", clipped_loss),
        ("the clip cuts", lambda y, z: clipped_loss(y, z, 1e-30)),
        ("reshape(-1)", squeezing_loss),
        ("subtract the maximum", overflowing_loss),
        ("one loss for each", lambda y, z: overflowing_loss(y, z).mean()),
        ("logit of the label", lambda y, z: -log_softmax(z).sum(axis=1)),
    ],
    "01 nearest_centre": [
        ("longer centre", lambda x, c: (x @ c.T).argmax(axis=1)),
        ("farthest", lambda x, c: cosines(x, c).argmin(axis=1)),
        ("has shape", lambda x, c: cosines(x, c).argmax(axis=0)),
        ("nearest in distance", lambda x, c: np.linalg.norm(x[:, None] - c, axis=2).argmin(axis=1)),
    ],
    "02 step": [
        ("the share is", (5, 0)),
        ("divide by 1 + n", (20, 0)),
        ("all four images", (1, 0)),
        ("points away", (-4, 0)),
        ("without the 1", (10, 0)),
        ("second coordinate", (4, 4)),
        ("n = 4", (2.5, 0)),
        ("has shape", 4),
    ],
    "02 semi_hard": [
        ("not their distances", lambda p, n: np.where(n > p[:, None], n, np.inf).min(axis=1)),
        ("the hardest", lambda p, n: n.argmin(axis=1)),
        ("but the farthest", lambda p, n: n.argmax(axis=1)),
        ("not the closest of those", lambda p, n: (n > p[:, None]).argmax(axis=1)),
        ("not farther", closest_beyond(np.greater_equal)),
        ("of infinities is 0", closest_beyond(np.greater)),
        ("has shape", lambda p, n: n > p[:, None]),
        ("column 2", lambda p, n: np.array([-2, 0, 3])),
        ("column 0", lambda p, n: np.array([2, 1, 3])),
    ],
    "02 repaired_update": [
        ("only its last image", last_image_only),
        ("only its last image counts", lambda *args: last_image_only(*args, divide=4)),
        ("beyond their mean", every_image(np.ones_like)),
        ("by 1 + n, not by n", every_image(lambda n: n)),
        ("a copy", every_image(lambda n: 1 + n, in_place=True)),
        ("of the way", every_image(lambda n: 2 + n)),
        ("two arrays", lambda *args: every_image(lambda n: 1 + n)(*args)[1]),
        ("once each", lambda c, x, y, a: (y, every_image(lambda n: 1 + n)(c, x, y, a)[1])),
        ("all nine", lambda c, x, y, a: (np.unique(y), c.copy())),
    ],
    "02 translated_weight": [
        ("make up for it", 0.003),
        ("lacks the paper's", 0.003 * 512),
        ("makes it worse", 0.003 * 2 / 512),
        ("equal to 0.003", 1.0),
    ],
    "03 normalised": [
        ("axis=1", lambda x: x / np.linalg.norm(x)),
        ("each row is an embedding", lambda x: unit(x, 0)),
        ("keepdims=True", lambda x: unit(x, 1, keepdims=False)),
        ("0/0", lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
        ("0.6", lambda x: x / (np.linalg.norm(x, axis=1, keepdims=True) + 0.1)),
        ("not small enough", lambda x: unit(x, 1) * (np.abs(x).max() > 0.1)),
        ("has shape", lambda x: np.linalg.norm(x, axis=1)),
    ],
    "03 ceiling": [
        ("opposite", 1 / (1 + 99 * np.exp(-2))),
        ("guessing", 0.01),
        ("at cosine 0", 1 / (1 + 99 * np.exp(-1))),
        ("lowest loss", np.log(1 + 99 * np.exp(-100 / 99))),
        ("who wins", 0.5),
    ],
    "03 scale": [
        ("upside down", lambda p, c: (c - 1) / c * np.log((c - 1) * (1 - p) / p / c)),
        ("log10", lambda p, c: (c - 1) / c * np.log10((c - 1) * p / (1 - p))),
        ("(C − 1)/C", lambda p, c: np.log((c - 1) * p / (1 - p))),
        ("nine rivals", lambda p, c: (c - 1) / c * np.log(p / (1 - p))),
        ("1000 classes", lambda p, c: 0.9 * np.log(9 * p / (1 - p))),
        ("one number", lambda p, c: np.log([p, p])),
    ],
    "03 repaired_logits": [
        ("the whole batch", cosine_logits(row_axis=None)),
        ("over axis 0", cosine_logits(column_axis=1)),
        ("then multiply by s", cosine_logits(late_clip=True)),
        ("then multiply by s", cosine_logits(late_scale=False)),
        ("by its own length", lambda x, w, s: s * x @ unit(w, 0)),
        ("16 times", lambda x, w, s: s**2 * unit(x, 1) @ unit(w, 0)),
    ],
    "04 room_and_gap": [
        ("stood still", 12, 12),
        ("half way", 18, 0),
        ("solve", 10, 16),
        ("both sides", 9, 27),
        ("both classes leave", 9, 9),
    ],
    "04 angle_behind": [
        ("no angle has a cosine", lambda v, m: np.arccos(v) / m),
        ("radians are asked", lambda v, m: np.degrees(angle_with()(v, m))),
        ("divide by m", lambda v, m: m * angle_with()(v, m)),
        ("begins at 0", angle_with(before=lambda k, m: 0 * k)),
        ("divide them by m", angle_with(before=lambda k, m: k * np.pi)),
        ("upside down", angle_with(turned=True)),
        ("which k", lambda v, m: angle_with(k_of=lambda v: np.floor(-v / 2).clip(0))(v, m)),
        ("1.5", lambda v, m: angle_with()(v, m) if m == 4 else np.arccos(v.clip(-1)) / m),
        ("has shape", lambda v, m: angle_with()(v, m)[:, None]),
    ],
    "04 repaired_logits": [
        ("shape", lambda y, c, m, s: sphereface_logits(y, c, m, s)[0]),
        ("only the label's", psi_on_every_class),
        ("is treated like 0", lambda y, c, m, s: sphereface_logits(y, c, m, s, clip=(0, np.pi))),
        ("multiply all of", lambda y, c, m, s: sphereface_logits(y, c, m, s, scale_psi=False)),
        ("keep a clip", lambda y, c, m, s: sphereface_logits(y, c, m, s, clip=(-2, 2))),
    ],
    "04 smallest_m": [
        ("evenly spread", 3),
        ("other root", 2 - np.sqrt(3)),
        ("inner side only", 2),
        ("solve", 4),
    ],
    "05 largest_margins": [
        ("half way", 1 - np.cos(np.pi / 12), 12 / 11),
        ("radians", 1 - np.cos(30), 12 / 11),
        ("neighbour's cosine", np.cos(np.pi / 6), 12 / 11),
        ("has cosine 1", 0.35, 12 / 11),
        ("right angle", 0.134, 1),
        ("opposite", 0.134, 2),
        ("upside down", 0.134, 11 / 12),
        ("simplex", 0.134, 0.134),
    ],
    "05 loss_function": [
        ("off every class", cosface(everywhere=True)),
        ("not to image 0", cosface(of=lambda margins, labels: margins)),
        ("no margin in it", cosface(handicap=lambda m, s: 0 * m)),
        ("after the scale", cosface(handicap=lambda m, s: m)),
        ("a bonus", cosface(handicap=lambda m, s: -s * m)),
        ("a bonus", cosface_on_the_others),
        ("the caller's", cosface_in_place),
        ("multiplied by s", cosface(handicap=lambda m, s: m, scale=lambda s: 1)),
        ("has shape", cosface(reduce=np.mean)),
        ("should be", cosface(handicap=lambda m, s: s * np.radians(m))),
    ],
    "05 scale_with_margin": [
        ("leaves the margin", scale_for_margin(lambda c, m: c / (c - 1))),
        ("cannot make", scale_for_margin(lambda c, m: c / (c - 1) + m)),
        ("not at 0", scale_for_margin(lambda c, m: 1 - m)),
        ("natural logarithm", scale_for_margin(lambda c, m: c / (c - 1) - m, log=np.log10)),
        ("1000 classes", scale_for_margin(lambda c, m: 10 / 9 - m)),
    ],
    "05 translated_margin": [
        ("not the margin", 0.35, 10.5),
        ("other way round", 10.5, 0.35 / 30),
        ("smaller still", 0.35 / 30, 0.35 / 30),
        ("multiply out", 0.0117, 0.35),
        ("solve for m", 0.5, 10.5),
    ],
    "06 room_and_gap": [
        ("in radians and 36 in degrees", (36 - 0.3) / 2, 0.3),
        ("without a margin", 18, 0),
        ("stand still", 36 - np.degrees(0.3), 17.2),
        ("a bonus", (36 + np.degrees(0.3)) / 2, 17.2),
        ("solve", 9, 18),
        ("asks for degrees", 9.41, 0.3),
        ("both sides", 9.41, 26.6),
        ("both classes leave", 9.41, 12),
    ],
    "06 logits": [
        ("every class", lambda y, c, m, s: s * np.cos(np.arccos(c) + m)),
        ("Which column", lambda *args: arcface_logits(*args, at=lambda c: c.argmax(axis=1))),
        ("minus m", lambda *args: arcface_logits(*args, sign=-1)),
        ("in radians already", lambda *args: arcface_logits(*args, unit=np.pi / 180)),
        ("the scale is missing", lambda y, c, m, s: arcface_logits(y, c, m, 1)),
        ("missing on the label's", lambda y, c, m, s: arcface_logits(y, c, m, 1, others=s)),
        ("should be", lambda *args: arcface_logits(*args, unit=2)),
        ("clip to", lambda *args: arcface_logits(*args, clip=False)),
        ("work on a copy", in_place),
        ("that is CosFace", lambda y, c, m, s: s * (c - m * np.eye(3)[y])),
        ("has shape", lambda *args: arcface_logits(*args)[0]),
    ],
    "06 gradient": [
        ("the sign", lambda *args: gradient_in_x(*args, sign=-1)),
        ("detached", lambda *args: gradient_in_x(*args, slope=lambda t, m: 1)),
        ("divide by", lambda *args: gradient_in_x(*args, length_power=0)),
        ("points along w", lambda *args: gradient_in_x(*args, along=0)),
        ("chain rule", lambda *args: gradient_in_x(*args, slope=lambda t, m: np.sin(t + m))),
        ("a part along x", lambda *args: gradient_in_x(*args, along=0.5)),
        ("two factors", lambda x, w, m: gradient_in_x(x, w, 2 * m)),
        ("has shape", lambda x, w, m: np.cos(np.arccos(x @ w) + m)),
    ],
    "06 repaired_loss": [
        ("all labels", lambda *args: arcface_loss(*args, select=columns_of)),
        (
            "sums over all classes",
            lambda *args: arcface_loss(*args, reduce=lambda v: v.sum(axis=1)),
        ),
        (
            "nothing about the sum",
            lambda *args: arcface_loss(
                *args, select=columns_of, reduce=lambda v: v.sum(axis=1), clip=False
            ),
        ),
        ("clip before", lambda *args: arcface_loss(*args, clip=False)),
        ("one loss for each", lambda *args: arcface_loss(*args).mean()),
        ("should be", lambda y, c, m, s: arcface_loss(y, c, -m, s)),
    ],
    "07 margin_in_cosine": [
        ("the sign is turned", lambda *args: -in_cosine(*args)),
        ("that is the target", lambda t, a, b, c: np.cos(t) - in_cosine(t, a, b, c)),
        ("not off 1", lambda t, a, b, c: 1 - np.cos(t) + in_cosine(t, a, b, c)),
        ("ArcFace's 0.5", lambda t, a, b, c: b + 0 * t),
        ("it adds", lambda t, a, b, c: in_cosine(t, a, b, -c)),
        ("a part of the margin", lambda t, a, b, c: in_cosine(t, a, b, 0)),
        ("θ alone", lambda t, a, b, c: in_cosine(t, a, a * b, c)),
        ("solve", lambda t, a, b, c: in_cosine(t, 1, b, c)),
        ("rises again", lambda t, a, b, c: in_cosine(t, a, b, c, psi_of=np.cos)),
        (
            "beyond π: ψ",
            lambda t, a, b, c: in_cosine(t, a, b, c, lambda u: np.cos(np.minimum(u, np.pi))),
        ),
        ("has shape", lambda t, a, b, c: in_cosine(t, a, b, c)[:2]),
    ],
    "07 fit_on_circle": [
        ("in radians", 0.7146, False),
        ("m2 alone", 17.19, True),
        ("cannot be added", 28.65, True),
        ("not off the cosine of 0", 54.06, False),
        ("on its class weight", 30, True),
        ("36° apart", 40.945, True),
        ("True or False", 40.945, "no"),
    ],
    "07 found_twins": [
        ("no more", twins_if(lambda a, b: a[0] == b[0])),
        ("false twins", twins_if(lambda a, b: np.allclose(a, b, atol=1e-3))),
        ("equals itself", twins_if(lambda a, b: a == b, itertools.combinations_with_replacement)),
        ("both orders", twins_if(lambda a, b: a == b, itertools.permutations)),
        ("('CosFace', 'ArcFace')", lambda boards: []),
        ("three pairs", lambda boards: twins_if(lambda a, b: a == b)(boards)[:1]),
    ],
    "08 pairs_and_far": [
        ("counts once", 2800, 77_000, 1e-4),
        ("number of images", 400, 1225, 1e-2),
        ("8 · 7 / 2 genuine", 1000, 78_800, 1e-4),
        ("all pairs of 400", 1400, 79_800, 1e-4),
        ("pairs of identities", 1400, 1225, 1e-2),
        ("not twice", 1400, 156_800, 1e-4),
        ("what is not genuine", 1400, 70_000, 1e-4),
        ("too few", 1400, 78_400, 1 / 78_400),
        ("not of all pairs", 1400, 78_400, 10 / 79_800),
        ("not of the genuine ones", 1400, 78_400, 10 / 1400),
        ("ten of the impostor pairs", 1400, 78_400, 0.01),
    ],
    "08 tar_at_far": [
        ("the FAR itself", lambda g, i, far: far),
        ("their share", lambda g, i, far: np.sum(g >= np.quantile(i, 1 - far))),
        ("tie at 0.5", lambda g, i, far: np.mean(g >= np.quantile(i, 1 - far))),
        ("down to 0.5", lambda g, i, far: np.mean(g > i.max())),
        ("at FAR 1", lambda g, i, far: np.mean(g > i.max()) + (far > 0) / 4),
        ("at FAR 0", lambda g, i, far: 0.75),
        ("has shape", lambda g, i, far: g >= i.max()),
    ],
    "08 rank_1": [
        ("found itself", rank_1_with(probes="all", gallery="all")),
        ("still counted", rank_1_with(probes="all")),
        ("lengths divided", rank_1_with(normalise=False)),
        ("only the first image", lambda x, y: 1 - rank_1_with()(x, y)),
    ],
    "08 stranger_at_the_door": [
        ("how many names", 10, 1e-6),
        ("nobody's name", 0.999**10_000, 1e-6),
        ("that is one comparison", 0.001, 1e-6),
        ("with its power", 0.5, 1e-6),
        ("far rarer", 0.99995, 0.01),
        ("one comparison goes well", 0.99995, 0.99 ** (1 / 10_000)),
        ("solve", 0.99995, 1e-5),
    ],
    "09 logits_memory": [
        ("their gradient", 2.048, 1.024),
        ("the batch counts", 0.128, 0.032),
        ("a 32nd of the classes", 131.1, 131.1),
        ("twice, in", 1, 1),
        ("half of the classes", 4.096, 4.096),
        ("everybody's", 4.096, 1.024),
        ("what halves", 4.096, 8.192),
    ],
    "09 places": [
        ("those are the labels", lambda labels, columns: labels),
        ("has shape", lambda labels, columns: np.isin(columns, labels)),
        ("ascends", lambda labels, columns: np.searchsorted(columns, labels)),
        ("turn them back", lambda labels, columns: np.searchsorted(np.sort(columns), labels)),
        ("give back the labels", lambda labels, columns: np.zeros(len(labels), int)),
        ("on other devices", lambda labels, columns: (labels[:, None] == columns).argmax(axis=1)),
    ],
    "09 repaired_draw": [
        ("drawn twice", draw_with(own=False, replace=True)),
        ("drawn twice", draw_with(others="all")),
        ("is missing", draw_with(own=False)),
        ("ascending order", draw_with(order=lambda columns: columns)),
        ("the same each time", draw_with(seed=0)),
        ("has shape", lambda labels, *rest: np.unique(labels)),
    ],
    "09 sub_centers": [
        ("the mean over", sub_center_cosines(reduce=np.mean)),
        ("not K first", sub_center_cosines(order="KC")),
        ("farthest", sub_center_cosines(reduce=np.min)),
        ("no cosines", sub_center_cosines(normalise=False)),
        ("has shape", lambda x, w, K: unit(x, 1) @ unit(w, 0)),
    ],
    "10 two_margins": [
        ("standard deviations from the mean", 1.5, -0.6, 1.0, -3.6, 1.44, -1.04),
        ("h makes a third", 1, -0.4, 0.8, -1, 0.4, 0),
        ("the sign is turned: longer", -0.5, 0.2, 0.2, 1, -0.4, 0.8),
        ("the sign is turned: longer", 0.5, -0.2, 0.6, 1, -0.4, 0.8),
        ("0.333 · (27.5 − 20) / 5", 1.83, -0.73, 1.13, -1, 0.4, 0),
        ("out of [−1, 1]", 0.5, -0.2, 0.6, -1.2, 0.48, -0.08),
        ("not to [0, 1]", 0.5, -0.2, 0.6, 0, 0, 0.4),
        ("0.333 · (2 − 20) / 5", 0.5, -0.2, 0.6, -0.13, 0.05, 0.35),
        ("swapped", 0.5, 0.6, -0.2, -1, 0, 0.4),
        ("the sign of m2", 0.5, 0.2, 0.6, -1, 0.4, 0),
        ("the sign of m2", 0.5, -0.2, 0.6, -1, -0.4, 0),
        ("in radians", 0.5, -11.4, 0.6, -1, 22.9, 0),
        ("long one is −0.4·q", 0.5, -0.4, 0.6, -1, 0.4, 0),
        ("short one is −0.4·q", 0.5, -0.2, 0.6, -1, 0.48, 0),
        ("both parts", 0.5, -0.2, 0.2, -1, 0.4, 0),
        ("both parts", 0.5, -0.2, 0.6, -1, 0.4, 0.8),
        ("both parts", 0.5, -0.2, 0.6, -1, 0.4, -0.4),
        ("0.4 + 0.4·q.", 0.5, -0.2, 0.9, -1, 0.4, 0),
        ("with q = −1", 0.5, -0.2, 0.6, -1, 0.4, -0.08),
    ],
    "10 adaface": [
        ("changed what it was given", adaface_in_place),
        ("every class got", adaface_everywhere),
        ("all logits are multiplied", adaface_with(s=1)),
        ("Which column", lambda y, *rest: adaface_logits()((y + 1) % 3, *rest)),
        ("ArcFace still", adaface_logits(angle=lambda q, m: m, off=lambda q, m: 0)),
        ("is not clipped", adaface_logits(q_of=lambda q: q)),
        ("not to [0, 1]", adaface_logits(q_of=lambda q: q.clip(0, 1))),
        ("h is missing", adaface_with(h=1)),
        ("inside the clip", adaface_logits(q_of=lambda q: 0.333 * (q / 0.333).clip(-1, 1))),
        ("the mean is missing", adaface_with(mean=0)),
        ("not take those of this batch", adaface_with(mean=np.mean, std=np.std)),
        ("the sign of the angle", adaface_logits(angle=lambda q, m: m * q)),
        ("has still to be taken off", adaface_logits(off=lambda q, m: 0)),
        ("; it is m + m·q", adaface_logits(off=lambda q, m: m * q)),
        ("m − m·q is taken", adaface_logits(off=lambda q, m: m - m * q)),
        ("not added", adaface_logits(off=lambda q, m: -m - m * q)),
        ("missing on the label's", adaface_logits(scale=lambda target, off, s: target - off)),
        ("after the scale", adaface_logits(scale=lambda target, off, s: s * target - off)),
        ("should be", adaface_logits(angle=lambda q, m: 0)),
        ("with h = 0", adaface_with(m=0.4, h=0.333)),
        ("with h = 0", adaface_with(h=0.333)),
        ("keep the clip", adaface_logits(clip=False)),
        ("has shape", lambda *args: adaface_logits()(*args)[0]),
    ],
    "10 elastic_margins": [
        ("changed what it was given", elastic_in_place),
        ("in which they came", lambda cosines, margins: margins),
        ("whose is which", lambda cosines, margins: np.sort(margins)),
        ("still gets the smallest", picked(as_released)),
        ("the mistake is the same", picked(np.argsort)),
        ("the mistake is the same", picked(as_released, margins_of=descending)),
        ("the mistake is the same", picked(np.argsort, margins_of=descending)),
        ("the other way round", picked(lambda cosines: np.argsort(np.argsort(cosines)))),
        ("sorted first", picked(right_places, margins_of=np.asarray)),
        ("unchanged", lambda cosines, margins: margins + 0.1 * (1 - cosines)),
        ("should be", picked(lambda cosines: np.roll(right_places(cosines), 1))),
        ("has shape", lambda cosines, margins: np.sort(margins)[:, None]),
    ],
    "10 cleaned": [
        ("True or False", lambda *args: kept_by()(*args).astype(int)),
        ("the images to drop", lambda *args: ~kept_by()(*args)),
        ("an angle in radians", kept_by(angle=np.arccos)),
        ("neither a cosine", kept_by(angle=np.asarray)),
        ("none is kept", kept_by(angle=np.negative, limit=np.negative)),
        ("np.cos takes radians", kept_by(angle=np.negative, limit=lambda d: -np.cos(d))),
        ("that is the nearest", kept_by(center=lambda labels, cosines: cosines.argmax(axis=1))),
        ("within the class", kept_by(lambda *args: dominant_of(*args, among="all"))),
        ("on average", kept_by(lambda *args: dominant_of(*args, by="mean"))),
        ("counts a place once", kept_by(lambda *args: dominant_of(*args, by="any vote"))),
        ("not whether it is", lambda y, c, d: dominant_of(y, c) == c.argmax(axis=1)),
        ("is it to be kept", kept_by(limit=lambda degrees: degrees + 5)),
        ("use `degrees`", kept_by(limit=lambda degrees: 75)),
        ("has shape", lambda *args: np.flatnonzero(kept_by()(*args))),
    ],
    "11 grown": [
        ("that is one comparison", 0.0001, 0.0001, 1e-6, 0.1),
        ("nobody's name", 0.99, 0.37, 1e-6, 0.1),
        ("nobody's name", 0.01, 0.3679, 1e-6, 0.1),
        ("all 100 of them", 0.1, 0.632, 1e-6, 0.1),
        ("how many names", 0.01, 1.0, 1e-6, 0.1),
        ("as in front of 100", 0.00995, 0.5, 1e-6, 0.1),
        ("far rarer", 0.00995, 0.632, 0.01, 0.1),
        ("one comparison goes well", 0.00995, 0.632, 0.99 ** (1 / 10_000), 0.1),
        ("solve", 0.00995, 0.632, 1e-4, 0.1),
        ("nine of these", 0.00995, 0.632, 1e-6, 0.632),
        ("the one in ten", 0.00995, 0.632, 1e-6, 0.99995),
        ("0.1 times", 0.00995, 0.632, 1e-6, 0.5),
    ],
    "11 identified": [
        ("names[place]", identify_by(named=False)),
        ("nobody is refused", identify_by(refuse=False, ties="nobody")),
        ("by its length", identify_by(normalise=(True, False))),
        ("short query", identify_by(normalise=(False, True))),
        ("that others tie", identify_by(ties="any")),
        ("as close to name 4", identify_by(ties="nobody")),
        ("and 0.7 is asked", lambda q, g, n, t: identify_by()(q, g, n, 0.8)),
        ("should be", lambda q, g, n, t: identify_by()(q, g, n, 0.7)),
        ("has shape", lambda q, g, n, t: identify_by()(q, g, n, t)[:2]),
    ],
    "11 lowest_threshold": [
        ("of all cosines", lambda cosines, fpir: np.quantile(cosines, 1 - fpir)),
        ("three quarters", lambda cosines, fpir: np.quantile(cosines.max(axis=1), fpir)),
        ("three quarters", threshold_by(count=lambda fpir, n: int((1 - fpir) * n))),
        ("lets a third in", lambda cosines, fpir: np.quantile(cosines.max(axis=1), 1 - fpir)),
        ("the threshold itself", threshold_by(above=float)),
        ("the threshold itself", threshold_among(lambda x, t, fpir: np.mean(x > t) <= fpir)),
        ("0.25 allows two", threshold_by(count=lambda fpir, n: round(fpir * n) + 1)),
        ("it can be lower", threshold_by(count=lambda fpir, n: int(fpir * n) - 1)),
        ("it can be lower", threshold_among(few_enough, lambda cosines: cosines.max(axis=0))),
        (
            "neither may be named",
            lambda c, fpir: np.sort(c.max(axis=1))[::-1][int(fpir * len(c)) - 1],
        ),
        ("at 0.8 may be named", lambda c, fpir: 0.75 if len(c) == 10 else np.inf),
        ("less than one", lambda c, fpir: threshold_among(few_enough)(c, max(fpir, 0.1))),
        ("has shape", lambda cosines, fpir: cosines.max(axis=1)),
    ],
    "11 left": [
        ("a list of paths", lambda *args: None),
        ("a list of paths", lambda *args: "people.db"),
        ("return whole paths", traces_by(give=lambda path: path.name)),
        ("only the part below", traces_by(path_of=lambda path, folder: str(path))),
        ("only the part below", lambda folder, *rest: list(folder.rglob("*"))),
        (
            "people/Bob/1.png is of Bob",
            traces_by(path_of=lambda p, _: "Ada" * (p.suffix == ".png")),
        ),
        ("cache/visitor.npy is of Bob", traces_by(bytes_of=lambda embedding: b"NUMPY")),
        ("rglob goes there", traces_by(lambda folder: folder.iterdir())),
        ("door.log has", traces_by(name_in=lambda name, content: False)),
        ("door.log has", all_but("door.log")),
        ("glob.glob passes over", all_but(".people.json")),
        ("as float32", traces_by(bytes_of=lambda embedding: embedding.tobytes())),
        ("as float32", traces_by(bytes_of=lambda embedding: b"")),
        ("as float32", traces_by(read=text_of)),
        ("in its path", traces_by(path_of=lambda path, folder: path.name)),
        ("Read all files as bytes", all_but("people.db")),
        ("finds her", lambda folder, *rest: traces_by()(folder, "Ada", *rest[1:])),
        (
            "nothing of her was found",
            lambda *args: [p for p in traces_by()(*args) if p.suffix != ".gallery"],
        ),
        (
            "yet something was found",
            traces_by(name_in=lambda n, c: n == "Ada" and (b"Ada" in c or b"SQLite" in c)),
        ),
    ],
    "11 recogniser": [
        ("'None' is no answer", recogniser_with(answer=answers_with(lambda a: list(map(str, a))))),
        (
            "one answer for each",
            recogniser_with(answer=answers_with(lambda a: list(filter(None, a)))),
        ),
        ("None is right", recogniser_with(answer=answers_with(lambda a: ["Guest 00"] * len(a)))),
        ("empty gallery stopped", recogniser_with(answer=answer_by_templates)),
        ("enrol_folder() stopped", recogniser_with(enrol_folder=enrol_unguarded)),
        (
            "Guest 03/cut.png is damaged",
            recogniser_with(enrol_folder=without_report(Recogniser.enrol_folder)),
        ),
        ("lib.gallery of this network", recogniser_with(__init__=under_another_model)),
        ("each by the name", recogniser_with(enrol_folder=enrol_by_number)),
        (
            "keep the consent",
            recogniser_with(
                enrol_folder=lambda self, folder, _: Recogniser.enrol_folder(self, folder, "yes")
            ),
        ),
        ("every stranger", recogniser_with(threshold=-1)),
        (
            "as many people as are enrolled",
            recogniser_with(threshold=property(lambda self: threshold_for(self, 1).value)),
        ),
        ("the lowest one", recogniser_with(threshold=0.99)),
        (
            "should be a number",
            recogniser_with(threshold=property(threshold_for), answer=answer_unguarded),
        ),
        ("damaged picture stopped", recogniser_with(answer=answer_unguarded)),
        ("None in its place", recogniser_with(answer=answer_with_the_damaged_last)),
        ("visits/cut.png is damaged", recogniser_with(answer=without_report(Recogniser.answer))),
        ("does not know who", recogniser_with(__init__=starts_anew)),
        ("same file stopped", recogniser_with(__init__=only_once())),
        ("without a word", recogniser_with(__init__=always_the_first())),
        ("forget() stopped", recogniser_with(forget=lambda self, name: {}[name])),
        ("this name again", recogniser_with(forget=lambda self, name: None)),
        ("forgotten, too", recogniser_with(forget=forget_everybody)),
        ("in forgotten.json", recogniser_with(forget=forget_and_note)),
    ],
}

# The same in other spellings: right arguments that must pass.
RIGHT_ANSWERS = {
    "10 two_margins": [
        (0.5, -0.2, 0.6, -1, 0.4, 0),
        (np.float64(0.4995), -0.1998, 0.5998, -1.0, 0.4, 0.0),
        (0.333 * 7.5 / 5.001, -0.1998, 0.5998, -1, 0.4, 0),
    ],
    "10 adaface": [
        (adaface_logits(),),
        (adaface_one_by_one,),
        (adaface_with_eye,),
        (lambda *args: adaface_logits()(*args).astype("float32"),),
        (lambda *args: adaface_logits()(*args).tolist(),),
    ],
    "10 elastic_margins": [
        (picked(right_places),),
        (elastic_one_by_one,),
        (picked(lambda cosines: (cosines > cosines[:, None]).sum(axis=1)),),
        (picked(lambda cosines: np.argsort(np.argsort(cosines)), margins_of=descending),),
    ],
    "10 cleaned": [
        (kept_by(),),
        (kept_with_add_at,),
        (lambda *args: kept_by()(*args).tolist(),),
    ],
    "11 grown": [
        (0.00995, 0.632, 1e-6, 0.1),
        (1 - 0.9999**100, 1 - 0.9999**10_000, 1 - 0.99**0.0001, 0.1 - 0.1 * 0.999**10_000),
    ],
    "11 identified": [
        (identify_by(),),
        (identify_one_by_one,),
        (lambda *args: identify_by()(*args).astype("int32"),),
    ],
    "11 lowest_threshold": [
        (threshold_by(),),
        (threshold_among(few_enough),),
        (threshold_by(above=lambda score: score + 1e-9),),
        (lambda *args: np.asarray(threshold_by()(*args)),),
    ],
    "11 left": [
        (traces_by(),),
        (traces_by(give=str),),
        (lambda folder, *rest: {p.relative_to(folder) for p in traces_by()(folder, *rest)},),
        (lambda *args: iter(traces_by()(*args)),),
    ],
    "11 recogniser": [(recogniser_with(),), (OneByOne,)],
}


@pytest.mark.parametrize(
    ("check", "hint", "answer"),
    [(check, hint, answer) for check, all_of in WRONG_ANSWERS.items() for hint, *answer in all_of],
)
def test_a_wrong_answer_gets_its_hint(check, hint, answer):
    lesson, name = check.split()
    verdict = getattr(importlib.import_module(f"lib.checks.lesson_{lesson}"), name)(*answer)
    assert verdict.state == "wrong"
    assert hint in verdict.message
    assert "your code stopped" not in verdict.message


@pytest.mark.parametrize(
    ("check", "answer"),
    [(check, answer) for check, answers in RIGHT_ANSWERS.items() for answer in answers],
)
def test_a_right_answer_passes_in_another_spelling(check, answer):
    lesson, name = check.split()
    verdict = getattr(importlib.import_module(f"lib.checks.lesson_{lesson}"), name)(*answer)
    assert verdict.passed, verdict


def test_the_released_order_is_right_for_two_samples_and_random_for_many():
    """What the text and the answer of exercise 10.3 say."""
    rng = np.random.default_rng(0)
    for cosines in ([0.1, 0.9], [0.9, 0.1]):
        two = np.array(cosines), np.array([0.5, 0.4])
        np.testing.assert_array_equal(picked(as_released)(*two), picked(right_places)(*two))
    cosines, margins = rng.uniform(size=2000), rng.normal(size=2000)
    assert abs(np.corrcoef(cosines, picked(as_released)(cosines, margins))[0, 1]) < 0.1
    assert np.corrcoef(cosines, picked(right_places)(cosines, margins))[0, 1] < -0.9


def test_the_adaface_of_the_exercise_is_the_one_of_the_library():
    """The same loss from the exercise's logits as the independent reference has."""
    rng = np.random.default_rng(0)
    labels, cosines = rng.integers(0, 5, 50), rng.uniform(-0.8, 0.8, (50, 5))
    lengths = rng.normal(20, 10, 50)
    logits = adaface_logits()(labels, cosines, lengths, 20.0, 5.0, 0.4, 0.333, 16.0)
    losses = -log_softmax(logits)[np.arange(50), labels]
    expected = reference.adaface(labels, cosines, lengths, 20.0, 5.0, 0.4, 0.333, 16.0)
    np.testing.assert_allclose(losses, expected)


def test_the_example_of_a_page_says_what_was_measured():
    """Lesson 11: its table and its threshold are in the output that is stored below it."""
    cells = {cell.id: cell for cell in nbformat.read(SOLUTIONS[11], as_version=4).cells}
    page, (measured,) = cells["exercise-project-page"].source, cells["page-measured"].outputs
    number = r"\d\.\d+ \(\d\.\d+ to \d\.\d+\)"
    row = rf"^\| ([\w ]+) \| ([\d,]+), ([\d,]+) \| ({number}) \| ({number}) \|$"
    rows = re.findall(row, page, re.MULTILINE)
    assert len(rows) == 6
    for who, *people, not_found, named in rows:
        members, strangers = (int(count.replace(",", "")) for count in people)
        assert f"{who}: enrolled not found {not_found} of {members}\n" in measured.text
        assert f"{who}: strangers named {named} of {strangers}\n" in measured.text
    (threshold,) = re.findall(rf"Threshold\.\* ({number})", page)
    assert f"threshold {threshold}\n" in measured.text
