"""What is recorded: every named configuration that `lib.records.results` trains over several seeds.

A run of the digits is one line here: the recipe of `lib.records.recipes` that trains it, and its
arguments.
"""

from dataclasses import asdict, dataclass, field, replace

from .. import evaluation, training, verification
from ..glyphs import load_glyphs
from . import recipes

SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Run:
    """One named configuration: everything that decides its numbers except the seed.

    `recipe` names a function of `lib.records.recipes`, `settings` are its arguments. `num_classes`
    below ten trains on the digits 0 to num_classes - 1 only.
    """

    title: str
    recipe: str
    settings: dict = field(default_factory=dict)
    num_classes: int = 10
    seeds: tuple = SEEDS

    def train(self, seed, digits):
        """A model of this run, trained on those of the digits that it may see."""
        training.set_seed(seed)
        seen = digits.only(range(self.num_classes))
        recipe = getattr(recipes, self.recipe)
        return recipe(seen, num_classes=self.num_classes, verbose=False, **self.settings)

    def score(self, model, digits):
        """The scoreboard on the digits it was trained with, and the EER on 5 to 9 alone.

        The last value compares a model that has seen the digits 5 to 9 with one that has not.
        """
        seen = digits.only(range(self.num_classes))
        last_five = digits.only(range(5, 10))
        embeddings = evaluation.embed(evaluation.backbone_of(model), last_five.x_test)
        pairs = verification.score_pairs(embeddings, last_five.y_test)
        eer = verification.equal_error_rate(pairs)
        return asdict(evaluation.evaluate_model(model, seen)) | {"eer_5_to_9": eer}


@dataclass(frozen=True)
class DistanceRun(Run):
    """A run that is also scored by distances, where the length of an embedding counts."""

    def score(self, model, digits):
        """The columns of `Run.score`, those of `evaluation.distance_scores`, and 5 to 9 alone."""
        seen, last_five = digits.only(range(self.num_classes)), digits.only(range(5, 10))
        backbone = evaluation.backbone_of(model)
        seen_scores, last_scores = (
            evaluation.distance_scores(
                evaluation.embed(backbone, part.x_test),
                part.y_test,
                evaluation.embed(backbone, part.x_clean),
                part.y_clean,
            )
            for part in (seen, last_five)
        )
        last_eer = {"distance_eer_5_to_9": last_scores["distance_eer"]}
        return super().score(model, digits) | seen_scores | last_eer


@dataclass(frozen=True)
class GlyphRun(Run):
    """A run on glyph identities, scored on those never seen in training.

    `num_classes` is the number of identities it trains on; None for all of them.
    """

    num_classes: int | None = None
    seeds: tuple = (0, 1, 2)

    def load_data(self):
        """What `train` and `score` take: the glyphs, the same in lesson and in full mode."""
        return load_glyphs()

    def train(self, seed, glyphs):
        """A model of this run, trained on the first `num_classes` of the training identities."""
        training.set_seed(seed)
        seen = self._seen(glyphs)
        recipe = getattr(recipes, self.recipe)
        return recipe(seen, num_classes=len(seen.characters), verbose=False, **self.settings)

    def score(self, model, glyphs):
        """Verification and identification of the unseen, and accuracy on the training images."""
        seen, unseen = self._seen(glyphs), glyphs.unseen
        logits = evaluation.embed(model, seen.images)  # of the whole model: what the head says
        accuracy = float((logits.argmax(axis=1) == seen.labels).mean())
        embeddings = evaluation.embed(evaluation.backbone_of(model), unseen.images)
        scores = evaluation.open_set_scores(embeddings, unseen.labels)
        return {"train_accuracy": accuracy} | scores

    def _seen(self, glyphs):
        return glyphs.train if self.num_classes is None else glyphs.train.first(self.num_classes)


RUNS = {
    "softmax-2d": Run("softmax, 2-D", "softmax", {"embedding_dim": 2}),
    "softmax-2d-five-digits": Run(
        "softmax, 2-D, digits 0 to 4", "softmax", {"embedding_dim": 2}, num_classes=5
    ),
    "softmax-20d": Run("softmax, 20-D", "softmax", {"embedding_dim": 20}),
    "modified-softmax-2d": Run("modified softmax, 2-D", "modified_softmax", {"warmup_epochs": 0}),
    "modified-softmax-2d-warm": Run("modified softmax, 2-D, warmed up", "modified_softmax"),
    "normface-2d": Run(
        "NormFace, s 16, 2-D", "margin", {"loss": "NormFaceLoss", "options": {"scale": 16}}
    ),
    "normface-2d-cold": Run(
        "NormFace, s 16, 2-D, no warm-up",
        "margin",
        {"loss": "NormFaceLoss", "options": {"scale": 16}, "warmup_epochs": 0},
        seeds=(0, 1, 2),
    ),
    "normface-2d-s1": Run(
        "NormFace, s 1, 2-D",
        "margin",
        {"loss": "NormFaceLoss", "options": {"scale": 1}},
        seeds=(0, 1, 2),
    ),
    "normface-2d-s4": Run(
        "NormFace, s 4, 2-D",
        "margin",
        {"loss": "NormFaceLoss", "options": {"scale": 4}},
        seeds=(0, 1, 2),
    ),
    "normface-2d-s64": Run(
        "NormFace, s 64, 2-D",
        "margin",
        {"loss": "NormFaceLoss", "options": {"scale": 64}},
        seeds=(0, 1, 2),
    ),
    "sphereface-2d": Run(
        "SphereFace, m 2, s 16, 2-D",
        "margin",
        {"loss": "SphereFaceLoss", "options": {"margin": 2, "scale": 16}},
    ),
    "sphereface-2d-annealed": Run(
        "SphereFace, m 4, annealed, 2-D", "annealed_sphereface", {"margin": 4}
    ),
    "sphereface-2d-unannealed": Run(
        "SphereFace, m 4, not annealed, 2-D",
        "length_scaled_margin",
        {"options": {"m1": 4}},
        seeds=(0, 1, 2),
    ),
    "sphereface-2d-m1.35": Run(
        "SphereFace, m 1.35, s 16, 2-D",
        "margin",
        {"loss": "SphereFaceLoss", "options": {"margin": 1.35, "scale": 16}},
        seeds=(0, 1, 2),
    ),
    "sphereface-2d-m3": Run(
        "SphereFace, m 3, s 16, 2-D",
        "margin",
        {"loss": "SphereFaceLoss", "options": {"margin": 3, "scale": 16}},
        seeds=(0, 1, 2),
    ),
    "sphereface-2d-m4": Run(
        "SphereFace, m 4, s 16, 2-D",
        "margin",
        {"loss": "SphereFaceLoss", "options": {"margin": 4, "scale": 16}},
        seeds=(0, 1, 2),
    ),
    "center-2d": DistanceRun("center loss, λ 0.1, 2-D", "center", {"weight": 0.1}),
    "center-2d-w0": DistanceRun("center loss, λ 0, 2-D", "center", {"weight": 0}),
    "center-2d-w0.003": DistanceRun(
        "center loss, λ 0.003, 2-D", "center", {"weight": 0.003}, seeds=(0, 1, 2)
    ),
    "center-2d-w0.03": DistanceRun(
        "center loss, λ 0.03, 2-D", "center", {"weight": 0.03}, seeds=(0, 1, 2)
    ),
    "center-2d-w1": DistanceRun("center loss, λ 1, 2-D", "center", {"weight": 1}, seeds=(0, 1, 2)),
    "center-2d-five-digits": DistanceRun(
        "center loss, λ 0.1, 2-D, digits 0 to 4",
        "center",
        {"weight": 0.1},
        num_classes=5,
        seeds=(0, 1, 2),
    ),
    "center-2d-w0-five-digits": DistanceRun(
        "center loss, λ 0, 2-D, digits 0 to 4",
        "center",
        {"weight": 0},
        num_classes=5,
        seeds=(0, 1, 2),
    ),
    "center-20d": DistanceRun(
        "center loss, λ 0.1, 20-D",
        "center",
        {"weight": 0.1, "embedding_dim": 20},
        seeds=(0, 1, 2),
    ),
    "sphereface-2d-m4-cold": Run(
        "SphereFace, m 4, s 16, 2-D, no warm-up",
        "margin",
        {
            "loss": "SphereFaceLoss",
            "options": {"margin": 4, "scale": 16},
            "warmup_epochs": 0,
        },
        seeds=(0, 1, 2),
    ),
    "sphereface-20d-annealed": Run(
        "SphereFace, m 4, annealed, 20-D",
        "annealed_sphereface",
        {"margin": 4, "embedding_dim": 20},
    ),
    "modified-softmax-20d": Run(
        "modified softmax, 20-D",
        "modified_softmax",
        {"embedding_dim": 20, "warmup_epochs": 0},
        seeds=(0, 1, 2),
    ),
}


def _margin_run(title, loss, margins, scale=16, seeds=(0, 1, 2), num_classes=10, **settings):
    """A run of `recipes.margin`; `margins` and `scale` are the options of the loss."""
    settings = {"loss": loss, "options": margins | {"scale": scale}} | settings
    return Run(title, "margin", settings, num_classes, seeds)


# CosFace: its margin, its scale, fewer classes, and the length of the embedding as the scale.
RUNS["cosface-2d"] = _margin_run(
    "CosFace, m 0.1, s 16, 2-D", "CosFaceLoss", {"margin": 0.1}, seeds=SEEDS
)
for m in (0.05, 0.15, 0.2, 0.25, 0.35, 0.5):
    RUNS[f"cosface-2d-m{m}"] = _margin_run(
        f"CosFace, m {m}, s 16, 2-D", "CosFaceLoss", {"margin": m}
    )
for s in (4, 8, 30, 64):
    RUNS[f"cosface-2d-s{s}"] = _margin_run(
        f"CosFace, m 0.1, s {s}, 2-D", "CosFaceLoss", {"margin": 0.1}, scale=s
    )
for m in (0, 0.1, 0.2, 0.35, 0.5):  # the first three are the margins of the paper's toy
    RUNS[f"cosface-2d-eight-digits-m{m}"] = _margin_run(
        f"CosFace, m {m}, s 16, 2-D, digits 0 to 7", "CosFaceLoss", {"margin": m}, num_classes=8
    )
for m in (0.35, 0.5, 0.8):
    RUNS[f"cosface-2d-five-digits-m{m}"] = _margin_run(
        f"CosFace, m {m}, s 16, 2-D, digits 0 to 4", "CosFaceLoss", {"margin": m}, num_classes=5
    )
for m in (0.1, 0.35):
    RUNS[f"cosface-2d-length-m{m}"] = Run(
        f"CosFace, m {m}, s = length, 2-D",
        "length_scaled_margin",
        {"options": {"m3": m}},
        seeds=(0, 1, 2),
    )

# ArcFace: its margin, and without the warm-up. Then all three margins at once.
RUNS["arcface-2d"] = _margin_run(
    "ArcFace, m 0.2, s 16, 2-D", "ArcFaceLoss", {"margin": 0.2}, seeds=SEEDS
)
for m in (0.1, 0.3, 0.5, 0.8):
    RUNS[f"arcface-2d-m{m}"] = _margin_run(
        f"ArcFace, m {m}, s 16, 2-D", "ArcFaceLoss", {"margin": m}
    )
RUNS["arcface-2d-cold"] = _margin_run(
    "ArcFace, m 0.2, s 16, 2-D, no warm-up", "ArcFaceLoss", {"margin": 0.2}, warmup_epochs=0
)
RUNS["combined-2d"] = _margin_run(
    "combined (1, 0.1, 0.05), s 16, 2-D",
    "CombinedMarginLoss",
    {"m1": 1, "m2": 0.1, "m3": 0.05},
    seeds=SEEDS,
)

# Every loss with more room: a sphere, and 64 dimensions with the margins that the papers use.
for dim, cosface_m, arcface_m, combined in (
    (3, 0.2, 0.4, {"combined": (1, 0.2, 0.1)}),
    (64, 0.35, 0.5, {"combined": (1, 0.3, 0.2), "combined-0.9": (0.9, 0.4, 0.15)}),
):
    room = {"embedding_dim": dim}
    RUNS |= {
        f"softmax-{dim}d": Run(f"softmax, {dim}-D", "softmax", room, seeds=(0, 1, 2)),
        f"center-{dim}d": DistanceRun(
            f"center loss, λ 0.1, {dim}-D", "center", {"weight": 0.1} | room, seeds=(0, 1, 2)
        ),
        f"modified-softmax-{dim}d": Run(
            f"modified softmax, {dim}-D",
            "modified_softmax",
            {"warmup_epochs": 0} | room,
            seeds=(0, 1, 2),
        ),
        f"normface-{dim}d": _margin_run(f"NormFace, s 16, {dim}-D", "NormFaceLoss", {}, **room),
        f"sphereface-{dim}d-annealed": Run(
            f"SphereFace, m 4, annealed, {dim}-D",
            "annealed_sphereface",
            {"margin": 4} | room,
            seeds=(0, 1, 2),
        ),
        f"cosface-{dim}d": _margin_run(
            f"CosFace, m {cosface_m}, s 16, {dim}-D", "CosFaceLoss", {"margin": cosface_m}, **room
        ),
        f"arcface-{dim}d": _margin_run(
            f"ArcFace, m {arcface_m}, s 16, {dim}-D", "ArcFaceLoss", {"margin": arcface_m}, **room
        ),
    }
    for name, (m1, m2, m3) in combined.items():
        RUNS[f"{name}-{dim}d"] = _margin_run(
            f"combined ({m1}, {m2}, {m3}), s 16, {dim}-D",
            "CombinedMarginLoss",
            {"m1": m1, "m2": m2, "m3": m3},
            **room,
        )


# Identities never seen: five losses with all identities to train on, and two of them with fewer.
# Fewer identities have fewer images; they get more epochs, so that every model makes as many steps.
# "-short" does not, to show what follows from that.
GLYPH_LOSSES = {
    "softmax": ("softmax", None, {}),
    "normface": ("NormFace", "NormFaceLoss", {}),
    "cosface": ("CosFace, m 0.35", "CosFaceLoss", {"margin": 0.35}),
    "arcface": ("ArcFace, m 0.5", "ArcFaceLoss", {"margin": 0.5}),
    "combined": ("combined (1, 0.3, 0.2)", "CombinedMarginLoss", {"m1": 1, "m2": 0.3, "m3": 0.2}),
}


def _glyph_run(name, identities=None, epochs=10):
    title, loss, margins = GLYPH_LOSSES[name]
    settings, recipe = {"epochs": epochs}, "glyph_softmax"
    if loss:
        settings |= {"loss": loss, "options": margins | {"scale": 30}}
        settings |= {"warmup_epochs": epochs // 5}
        title, recipe = f"{title}, s 30", "glyph_margin"
    title += f", {identities or 'all'} glyph identities"
    return GlyphRun(title, recipe, settings, identities)


for name in GLYPH_LOSSES:
    RUNS[f"glyphs-{name}"] = _glyph_run(name)
for suffix, identities, epochs in (("100", 100, 140), ("400", 400, 35), ("100-short", 100, 10)):
    for name in ("softmax", "arcface"):
        RUNS[f"glyphs-{name}-{suffix}"] = _glyph_run(name, identities, epochs)


# Partial FC on all identities, against its own full step (share 1): without a warm-up, which would
# see all classes.
for share in (0.1, 0.3, 1):
    RUNS[f"glyphs-partial-{share}"] = GlyphRun(
        f"ArcFace, m 0.5, s 30, {100 * share:.0f} % of the classes in a step",
        "glyph_partial",
        {"share": share, "loss": "ArcFaceLoss", "options": {"margin": 0.5, "scale": 30}},
    )


# The two reference demonstrations have their own recipes, and only make sense with all of MNIST.
DEMO_RUNS = {
    f"demo-2d-{name}{suffix}": Run(title, "demo_2d", settings | {"epochs": epochs}, seeds=seeds)
    for suffix, epochs, seeds in (("", 3, (0, 1, 2)), ("-six-epochs", 6, (0,)))
    for name, title, settings in (
        ("softmax", "softmax", {"method": "softmax"}),
        ("modified-softmax", "modified softmax", {"method": "margin"}),
        ("sphereface", "SphereFace, m 2", {"method": "margin", "options": {"m1": 2}}),
        ("cosface", "CosFace, m 0.1", {"method": "margin", "options": {"m3": 0.1}}),
        ("arcface", "ArcFace, m 0.15", {"method": "margin", "options": {"m2": 0.15}}),
    )
} | {
    f"demo-20d-{name}": Run(title, "demo_20d", settings, seeds=(0,))
    for name, title, settings in (
        ("softmax", "softmax", {"method": "softmax"}),
        ("center", "center loss, λ 0.5", {"method": "center", "options": {"weight": 0.5}}),
        ("modified-softmax", "modified softmax", {"method": "margin", "options": {}}),
        ("sphereface", "SphereFace, m 4", {"method": "margin", "options": {"m1": 4}}),
        (
            "arcface",
            "ArcFace, m 0.5, s 30",
            {"method": "margin", "loss": "ArcFaceLoss", "options": {"margin": 0.5, "scale": 30}},
        ),
        (
            "combined",
            "combined (1, 0.3, 0.2), s 30",
            {
                "method": "margin",
                "loss": "CombinedMarginLoss",
                "options": {"m1": 1, "m2": 0.3, "m3": 0.2, "scale": 30},
            },
        ),
    )
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
    name: replace(RUNS[name], seeds=(0, 1, 2))
    for name in (pattern.format(dim) for dim in DIMENSIONS for pattern in COMPARED.values())
} | DEMO_RUNS

# Of these the embeddings of 1,000 held-out digits are kept as well, for a map of each.
MAPPED_RUNS = tuple(
    name for name in RUNS | DEMO_RUNS if name.startswith("demo-20d") or "-64d" in name
)
