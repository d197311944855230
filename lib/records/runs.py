"""What is recorded: every named configuration that `lib.records.results` trains over several seeds.

A run is one line here: the recipe of `lib.records.recipes` that trains it, and its arguments.
"""

import functools
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np

from .. import evaluation, faces, training, verification
from ..data import load_digits
from . import recipes

SEEDS = (0, 1, 2, 3, 4)
FEW_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Run:
    """One named configuration: everything that decides its numbers except seed and packages.

    `recipe` names a function of `lib.records.recipes`, `settings` are its arguments. `num_classes`
    is how many classes it trains on, the first ones; None for all of them.

    A kind of run adds its data: `load_data(mode)`, what it sees of them in training, `seen(data)`,
    and a row of named values for a trained model, `score(model, data)`.
    """

    title: str
    recipe: str
    settings: dict = field(default_factory=dict)
    num_classes: int | None = 10
    seeds: tuple = SEEDS

    packages: ClassVar = ("tensorflow", "keras", "numpy", "scikit-learn")  # that decide the numbers

    def train(self, seed, data):
        """A model of this run, trained on what it may see of the data."""
        training.set_seed(seed)
        seen = self.seen(data)
        recipe = getattr(recipes, self.recipe)
        classes = int(seen.y_train.max()) + 1
        return recipe(seen, num_classes=classes, verbose=False, **self.settings)


class DigitRun(Run):
    """A run on the digits: all of them, or 0 to num_classes - 1 only."""

    load_data = staticmethod(load_digits)

    def seen(self, digits):
        return digits.only(range(self.num_classes))

    def score(self, model, digits):
        """The scoreboard on the digits it was trained with, and the EER on 5 to 9 alone.

        The last value compares a model that has seen the digits 5 to 9 with one that has not.
        """
        last_five = digits.only(range(5, 10))
        embeddings = evaluation.embed(evaluation.backbone_of(model), last_five.x_test)
        pairs = verification.score_pairs(embeddings, last_five.y_test)
        eer = verification.equal_error_rate(pairs)
        scoreboard = evaluation.evaluate_model(model, self.seen(digits))
        return asdict(scoreboard) | {"eer_5_to_9": eer}


class DistanceRun(DigitRun):
    """A run that is also scored by distances, where the length of an embedding counts."""

    def score(self, model, digits):
        """What a `DigitRun` has, what `evaluation.distance_scores` has, and its EER on 5 to 9."""
        backbone = evaluation.backbone_of(model)
        seen_scores, last_scores = (
            evaluation.distance_scores(
                evaluation.embed(backbone, part.x_test),
                part.y_test,
                evaluation.embed(backbone, part.x_clean),
                part.y_clean,
            )
            for part in (self.seen(digits), digits.only(range(5, 10)))
        )
        last_eer = {"distance_eer_5_to_9": last_scores["distance_eer"]}
        return super().score(model, digits) | seen_scores | last_eer


_people = functools.lru_cache(maxsize=2)(faces.people)


@dataclass(frozen=True)
class FaceRun(Run):
    """A run on faces, scored on people whom training has not seen.

    Args:
        images: how many of each person it trains on.
        strength: of the nuisances, in training and test.
        part: whom it is scored on, "validation" or "test".
        dark: how many of the people in training have a dark skin; None as it comes, about half.
    """

    images: int = 20
    strength: float = 0.6
    part: str = "test"
    dark: int | None = None

    packages: ClassVar = ("tensorflow", "keras", "numpy")

    @staticmethod
    def load_data(mode):
        """Faces are drawn where they are needed, the same in both modes."""
        return None

    def seen(self, data):
        count = self.num_classes if self.dark is None else 3 * self.num_classes
        drawn = _people("train", count, self.images, strength=self.strength)
        if self.dark is None:
            return drawn
        is_dark = dark_skinned(drawn.traits)
        dark = np.flatnonzero(is_dark)[: self.dark]
        light = np.flatnonzero(~is_dark)[: self.num_classes - self.dark]
        if len(dark) + len(light) < self.num_classes:
            raise ValueError(f"dark: of {count} people drawn, too few have the skin asked for.")
        return drawn.only(np.union1d(dark, light))

    def score(self, model, data):
        """What the model does with people it has never seen, and accuracy on its training images.

        On test people also: TAR at FAR 0.001 on each hard set of 200 of them, and FMR and FNMR of
        dark and of light skin at the threshold that keeps FAR 0.001 over all.
        """
        seen, backbone = self.seen(data), evaluation.backbone_of(model)
        step = -(-len(seen.labels) // 20_000)  # some of them, where there are many
        logits = evaluation.embed(model, seen.images[::step])  # of the whole model
        accuracy = float((logits.argmax(axis=1) == seen.labels[::step]).mean())
        unseen = _people(self.part, 500, 10, strength=self.strength)
        embeddings = evaluation.embed(backbone, unseen.images)
        row = {"train_accuracy": accuracy}
        row |= evaluation.open_set_scores(embeddings, unseen.labels)
        if self.part == "test":
            row |= _by_skin(embeddings, unseen) | self._hard_scores(backbone)
        return row

    def _hard_scores(self, backbone):
        row = {}
        for hard in (None, *faces.HARD):
            unseen = faces.people(self.part, 200, 10, strength=self.strength, hard=hard)
            embeddings = evaluation.embed(backbone, unseen.images)
            scores = verification.score_pairs(embeddings, unseen.labels)
            row[f"tar_1e-3, {hard or 'easy'}"] = verification.measure(scores, (1e-3,)).tar_at(1e-3)
        return row


def dark_skinned(traits):
    """Which people have a skin darker than the average: bool, one for each row of traits."""
    return traits[:, list(faces.TRAITS).index("skin")] < 0


def _by_skin(embeddings, unseen):
    """FMR and FNMR of people of dark and of light skin, at one threshold for everybody."""
    scores = verification.score_pairs(embeddings, unseen.labels)
    threshold = verification.threshold_at(scores, 1e-3)
    is_dark, row = dark_skinned(unseen.traits)[unseen.labels], {}
    for name, rows in (("dark", is_dark), ("light", ~is_dark)):
        rates = verification.rates_at(embeddings[rows], unseen.labels[rows], threshold, 1)
        row |= {f"{rate}, {name}": value for rate, (value, *_) in rates.items()}
    return row


# --- one line for one run -------------------------------------------------------------------------


def _run(
    method, recipe, dim=2, num_classes=10, seeds=FEW_SEEDS, kind=DigitRun, where="", **settings
):
    """A run whose title is its method and where it is at work."""
    if not where:
        where = f"{dim}-D" + (f", digits 0 to {num_classes - 1}" if num_classes < 10 else "")
    settings = {"embedding_dim": dim} | settings
    return kind(f"{method}, {where}", recipe, settings, num_classes, seeds)


def _margin(name, m=None, scale=16, recipe="margin", **more):
    """A run of the loss that has this name, with one margin or none."""
    options = {"scale": scale} if m is None else {"margin": m, "scale": scale}
    method = f"{name}, s {scale}" if m is None else f"{name}, m {m}, s {scale}"
    return _run(method, recipe, loss=f"{name}Loss", options=options, **more)


def _combined(margins, scale=16, **more):
    """A run of all three margins at once."""
    options = dict(zip(("m1", "m2", "m3"), margins, strict=True)) | {"scale": scale}
    method = f"combined {margins}, s {scale}"
    return _run(method, "margin", loss="CombinedMarginLoss", options=options, **more)


def _center(weight, **more):
    return _run(f"center loss, λ {weight}", "center", kind=DistanceRun, weight=weight, **more)


def _modified_softmax(warmup_epochs=0, **more):
    return _run("modified softmax", "modified_softmax", warmup_epochs=warmup_epochs, **more)


def _annealed(**more):
    return _run("SphereFace, m 4, annealed", "annealed_sphereface", margin=4, **more)


def _by_length(method, **margins):
    return _run(method, "length_scaled_margin", options=margins)


# --- the digits -----------------------------------------------------------------------------------

_COLD = {"warmup_epochs": 0, "where": "2-D, no warm-up"}

RUNS = {
    "softmax-2d": _run("softmax", "softmax", seeds=SEEDS),
    "softmax-2d-five-digits": _run("softmax", "softmax", num_classes=5, seeds=SEEDS),
    "softmax-20d": _run("softmax", "softmax", dim=20, seeds=SEEDS),
    "center-2d": _center(0.1, seeds=SEEDS),
    "center-2d-w0": _center(0, seeds=SEEDS),
    **{f"center-2d-w{weight}": _center(weight) for weight in (0.003, 0.03, 1)},
    "center-2d-five-digits": _center(0.1, num_classes=5),
    "center-2d-w0-five-digits": _center(0, num_classes=5),
    "center-20d": _center(0.1, dim=20),
    "modified-softmax-2d": _modified_softmax(seeds=SEEDS),
    "modified-softmax-2d-warm": _modified_softmax(2, where="2-D, warmed up", seeds=SEEDS),
    "modified-softmax-20d": _modified_softmax(dim=20),
    "normface-2d": _margin("NormFace", seeds=SEEDS),
    "normface-2d-cold": _margin("NormFace", **_COLD),
    **{f"normface-2d-s{s}": _margin("NormFace", scale=s) for s in (1, 4, 64)},
    "sphereface-2d": _margin("SphereFace", 2, seeds=SEEDS),
    **{f"sphereface-2d-m{m}": _margin("SphereFace", m) for m in (1.35, 3, 4)},
    "sphereface-2d-m4-cold": _margin("SphereFace", 4, **_COLD),
    "sphereface-2d-annealed": _annealed(seeds=SEEDS),
    "sphereface-2d-unannealed": _by_length("SphereFace, m 4, not annealed", m1=4),
    "sphereface-20d-annealed": _annealed(dim=20, seeds=SEEDS),
    # CosFace: its margin, its scale, fewer classes, and the length of the embedding as the scale
    "cosface-2d": _margin("CosFace", 0.1, seeds=SEEDS),
    **{f"cosface-2d-m{m}": _margin("CosFace", m) for m in (0.05, 0.15, 0.2, 0.25, 0.35, 0.5)},
    **{f"cosface-2d-s{s}": _margin("CosFace", 0.1, s) for s in (4, 8, 30, 64)},
    **{
        f"cosface-2d-eight-digits-m{m}": _margin("CosFace", m, num_classes=8)
        for m in (0, 0.1, 0.2, 0.35, 0.5)  # the first three are the margins of the paper's toy
    },
    **{
        f"cosface-2d-five-digits-m{m}": _margin("CosFace", m, num_classes=5)
        for m in (0.35, 0.5, 0.8)
    },
    **{
        f"cosface-2d-length-m{m}": _by_length(f"CosFace, m {m}, s = length", m3=m)
        for m in (0.1, 0.35)
    },
    "arcface-2d": _margin("ArcFace", 0.2, seeds=SEEDS),
    **{f"arcface-2d-m{m}": _margin("ArcFace", m) for m in (0.1, 0.3, 0.5, 0.8)},
    "arcface-2d-cold": _margin("ArcFace", 0.2, **_COLD),
    "combined-2d": _combined((1, 0.1, 0.05), seeds=SEEDS),
}


def _every_loss(dim, cosface_m, arcface_m, combined):
    """Every loss with more room than in the plane, three seeds each."""
    return {
        f"softmax-{dim}d": _run("softmax", "softmax", dim),
        f"center-{dim}d": _center(0.1, dim=dim),
        f"modified-softmax-{dim}d": _modified_softmax(dim=dim),
        f"normface-{dim}d": _margin("NormFace", dim=dim),
        f"sphereface-{dim}d-annealed": _annealed(dim=dim),
        f"cosface-{dim}d": _margin("CosFace", cosface_m, dim=dim),
        f"arcface-{dim}d": _margin("ArcFace", arcface_m, dim=dim),
        f"combined-{dim}d": _combined(combined, dim=dim),
    }


# A sphere, and 64 dimensions with the margins that the papers use.
RUNS |= _every_loss(3, 0.2, 0.4, (1, 0.2, 0.1)) | _every_loss(64, 0.35, 0.5, (1, 0.3, 0.2))
RUNS["combined-0.9-64d"] = _combined((0.9, 0.4, 0.15), dim=64)
RUNS["softmax-64d-five-digits"] = _run("softmax", "softmax", dim=64, num_classes=5)


# --- faces never seen -----------------------------------------------------------------------------
# One protocol for all losses: 64-D, ten epochs, of which two are a warm-up for what normalises the
# embedding (annealed SphereFace has its own). Six settings of each that has something to choose are
# trained once on 1,000 people and scored on the validation people; the best at FAR 0.001 is trained
# anew, three times, and scored on the test people.

_FACES = {"embedding_dim": 64, "epochs": 10}
_WARM = _FACES | {"warmup_epochs": 2}


def _grid(recipe, title, settings, common=_FACES):
    """Six settings of one recipe, by what the title says of each."""
    return {title.format(*point): (recipe, common | values) for point, values in settings}


def _margins(name, points):
    loss = f"{name}Loss"
    settings = [
        ((m, s), {"loss": loss, "options": {"margin": m, "scale": s}})
        for s in (6, 10, 16)
        for m in points
    ]
    return _grid("margin", f"{name}, m {{}}, s {{}}", settings, _WARM)


def _one_by_one(recipe, title, argument, values, common=_FACES):
    return _grid(recipe, title, [((v,), {argument: v}) for v in values], common)


GRID = {
    "softmax": _one_by_one("softmax", "softmax", "label_smoothing", (0,)),
    "smoothed softmax": _one_by_one(
        "softmax",
        "softmax, label smoothing {}",
        "label_smoothing",
        (0.1, 0.3, 0.5, 0.7, 0.9, 0.95),
    ),
    "center loss": _one_by_one(
        "center", "center loss, λ {}", "weight", (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    ),
    "triplets": _one_by_one(
        "triplet", "triplets, m {}", "margin", (0.1, 0.2, 0.3, 0.5, 0.8, 1.2), _WARM
    ),
    "modified softmax": _one_by_one(
        "modified_softmax",
        "modified softmax, label smoothing {}",
        "label_smoothing",
        (0, 0.1, 0.3, 0.5, 0.7, 0.9),
        _WARM,
    ),
    "NormFace": _grid(
        "margin",
        "NormFace, s {}",
        [((s,), {"loss": "NormFaceLoss", "options": {"scale": s}}) for s in (4, 6, 8, 12, 16, 24)],
        _WARM,
    ),
    "SphereFace, annealed": _grid(
        "annealed_sphereface",
        "SphereFace, m {}, λ down to {}",
        [((m, last), {"margin": m, "last": last}) for last in (5.0, 1.0) for m in (2, 3, 4)],
    ),
    "CosFace": _margins("CosFace", (0.3, 0.45)),
    "ArcFace": _margins("ArcFace", (0.4, 0.6)),
    "combined": _grid(
        "margin",
        "combined ({}, {}, {}), s {}",
        [
            (
                (m1, m2, m3, s),
                {
                    "loss": "CombinedMarginLoss",
                    "options": {"m1": m1, "m2": m2, "m3": m3, "scale": s},
                },
            )
            for s in (6, 10, 16)
            for m1, m2, m3 in ((1, 0.3, 0.2), (0.9, 0.4, 0.15))
        ],
        _WARM,
    ),
}


# Each loss by the part of its runs' names, in the order of the lessons.
FACE_LOSSES = {
    "softmax": "softmax",
    "smoothed softmax": "smoothed",
    "center loss": "center",
    "triplets": "triplets",
    "modified softmax": "modified-softmax",
    "NormFace": "normface",
    "SphereFace, annealed": "sphereface",
    "CosFace": "cosface",
    "ArcFace": "arcface",
    "combined": "combined",
}
# What the grid says is the best of each; a test compares.
CHOSEN = {
    "softmax": "softmax",
    "smoothed softmax": "softmax, label smoothing 0.9",
    "center loss": "center loss, λ 0.1",
    "triplets": "triplets, m 0.8",
    "modified softmax": "modified softmax, label smoothing 0.5",
    "NormFace": "NormFace, s 6",
    "SphereFace, annealed": "SphereFace, m 4, λ down to 5.0",
    "CosFace": "CosFace, m 0.3, s 6",
    "ArcFace": "ArcFace, m 0.6, s 10",
    "combined": "combined (0.9, 0.4, 0.15), s 6",
}
FACE_SEEDS = (1, 2, 3)  # seed 0 has chosen
# People and images of each: 20,000 images whoever they show, so that all see as many steps.
SWEEP = ((100, 200), (1000, 20), (5000, 4))


def _on_faces(loss, where, people=1000, **more):
    """A run of this loss at its best setting."""
    recipe, settings = GRID[loss][CHOSEN[loss]]
    return FaceRun(f"{CHOSEN[loss]}, {where}", recipe, settings, people, FACE_SEEDS, **more)


RUNS |= {
    f"faces-grid-{FACE_LOSSES[loss]}-{number}": FaceRun(
        f"{title}, validation", recipe, settings, 1000, (0,), part="validation"
    )
    for loss, points in GRID.items()
    for number, (title, (recipe, settings)) in enumerate(points.items(), start=1)
}
RUNS |= {
    f"faces-{key}-{people}": _on_faces(loss, f"{people:,} people", people, images=images)
    for people, images in SWEEP
    for loss, key in FACE_LOSSES.items()
}
# Five times the images, for three losses.
RUNS |= {
    f"faces-{FACE_LOSSES[loss]}-5000x20": _on_faces(loss, "5,000 people, 100,000 images", 5000)
    for loss in ("softmax", "NormFace", "ArcFace")
}
# Pictures that the network cannot fit; a training set with few dark faces.
RUNS |= {
    f"faces-{FACE_LOSSES[loss]}-strong": _on_faces(loss, "strength 1", strength=1.0)
    for loss in ("softmax", "NormFace", "ArcFace")
} | {"faces-arcface-few-dark": _on_faces("ArcFace", "50 of 1,000 people dark", dark=50)}

# Of these the backbone is kept, for lessons that need a trained one at once.
KEPT_BACKBONES = ("faces-softmax-1000", "faces-arcface-1000")


# --- all of MNIST ---------------------------------------------------------------------------------


def _demo_20d(title, method="margin", loss=None, **options):
    settings = {"method": method, "options": options} | ({"loss": loss} if loss else {})
    return DigitRun(title, "demo_20d", settings, seeds=(0,))


# The two reference demonstrations have their own recipes, and only make sense with all of MNIST.
DEMO_RUNS = {
    f"demo-2d-{name}{suffix}": DigitRun(
        title, "demo_2d", {"margins": margins, "epochs": epochs}, seeds=seeds
    )
    for suffix, epochs, seeds in (("", 3, FEW_SEEDS), ("-six-epochs", 6, (0,)))
    for name, title, margins in (
        ("softmax", "softmax", None),
        ("modified-softmax", "modified softmax", {}),
        ("sphereface", "SphereFace, m 2", {"m1": 2}),
        ("cosface", "CosFace, m 0.1", {"m3": 0.1}),
        ("arcface", "ArcFace, m 0.15", {"m2": 0.15}),
    )
} | {
    "demo-20d-softmax": _demo_20d("softmax", "softmax"),
    "demo-20d-center": _demo_20d("center loss, λ 0.5", "center", weight=0.5),
    "demo-20d-modified-softmax": _demo_20d("modified softmax"),
    "demo-20d-sphereface": _demo_20d("SphereFace, m 4", m1=4),
    "demo-20d-arcface": _demo_20d("ArcFace, m 0.5, s 30", loss="ArcFaceLoss", margin=0.5, scale=30),
    "demo-20d-combined": _demo_20d(
        "combined (1, 0.3, 0.2), s 30", loss="CombinedMarginLoss", m1=1, m2=0.3, m3=0.2, scale=30
    ),
}

# What the table of all losses compares, in the order of the lessons; {} stands for 2, 3 or 64.
COMPARED = {
    "softmax": "softmax-{}d",
    "center loss": "center-{}d",
    "modified softmax": "modified-softmax-{}d",
    "NormFace": "normface-{}d",
    "SphereFace, annealed": "sphereface-{}d-annealed",
    "CosFace": "cosface-{}d",
    "ArcFace": "arcface-{}d",
    "combined": "combined-{}d",
}
DIMENSIONS = (2, 3, 64)

# On all of MNIST a training takes about a minute, so only these runs are recorded there.
FULL_RUNS = {
    name: replace(RUNS[name], seeds=FEW_SEEDS)
    for name in (pattern.format(dim) for dim in DIMENSIONS for pattern in COMPARED.values())
} | DEMO_RUNS

# Of these a map is drawn.
MAPPED_RUNS = tuple(
    name
    for name, run in (RUNS | DEMO_RUNS).items()
    if name.startswith("demo-20d") or ("-64d" in name and run.num_classes == 10)
)
# Of these the embeddings of 1,000 held-out digits are kept: for the maps, and for what networks of
# five digits make of the other five.
KEPT_EMBEDDINGS = (*MAPPED_RUNS, "softmax-2d-five-digits", "softmax-64d-five-digits")
