"""What is recorded: every named configuration that `lib.records.results` trains over several seeds.

A run is one line here: the recipe of `lib.records.recipes` that trains it, and its arguments.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

from .. import evaluation, training, verification
from ..data import load_digits
from ..glyphs import load_glyphs
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


class GlyphRun(Run):
    """A run on glyph identities, scored on those never seen in training."""

    packages = (*Run.packages, "matplotlib")  # which has the fonts and draws them

    @staticmethod
    def load_data(mode):
        """The glyphs are the same in both modes."""
        return load_glyphs()

    def seen(self, glyphs):
        return glyphs.train if self.num_classes is None else glyphs.train.first(self.num_classes)

    def score(self, model, glyphs):
        """Verification and identification of the unseen, and accuracy on the training images."""
        seen, unseen = self.seen(glyphs), glyphs.unseen
        logits = evaluation.embed(model, seen.images)  # of the whole model: what the head says
        accuracy = float((logits.argmax(axis=1) == seen.labels).mean())
        embeddings = evaluation.embed(evaluation.backbone_of(model), unseen.images)
        scores = evaluation.open_set_scores(embeddings, unseen.labels)
        return {"train_accuracy": accuracy} | scores


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


# --- identities never seen ------------------------------------------------------------------------


def _on_glyphs(where, identities=None, epochs=10):
    """What all runs on glyph identities have in common."""
    more = {"kind": GlyphRun, "num_classes": identities, "where": where}
    return more | {"dim": 64, "epochs": epochs}


def _glyph_runs(identities=None, epochs=10):
    """Five losses on this many glyph identities, by the loss."""
    more = _on_glyphs(f"{identities or 'all'} glyph identities", identities, epochs)
    warm = more | {"scale": 30, "warmup_epochs": epochs // 5}
    return {
        "softmax": _run("softmax", "softmax", **more),
        "normface": _margin("NormFace", **warm),
        "cosface": _margin("CosFace", 0.35, **warm),
        "arcface": _margin("ArcFace", 0.5, **warm),
        "combined": _combined((1, 0.3, 0.2), **warm),
    }


def _partial_run(share):
    more = _on_glyphs(f"{100 * share:.0f} % of the classes in a step")
    return _margin("ArcFace", 0.5, scale=30, recipe="partial_fc", share=share, **more)


# All identities; two of the losses with fewer. Fewer identities have fewer images; they get more
# epochs, so that every model makes as many steps; "-short" does not, to show what follows from it.
# Then Partial FC on all identities, against its own full step (share 1).
_FEWER = {"100": (100, 140), "400": (400, 35), "100-short": (100, 10)}  # identities, epochs
RUNS |= {
    **{f"glyphs-{loss}": run for loss, run in _glyph_runs().items()},
    **{
        f"glyphs-{loss}-{suffix}": _glyph_runs(*fewer)[loss]
        for suffix, fewer in _FEWER.items()
        for loss in ("softmax", "arcface")
    },
    **{f"glyphs-partial-{share}": _partial_run(share) for share in (0.1, 0.3, 1)},
}


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

# Of these the embeddings of 1,000 held-out digits are kept as well, for a map of each.
MAPPED_RUNS = tuple(
    name for name in RUNS | DEMO_RUNS if name.startswith("demo-20d") or "-64d" in name
)
