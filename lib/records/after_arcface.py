"""The losses after ArcFace on spoiled faces, by severity; and what wrong labels do to sub-centers.

    python -m lib.records.after_arcface

trains what data/after_arcface.json does not have yet (`lib.records.study`): first six settings of
each loss, scored on validation people, then the best of each three times, scored on test people. So
it is started twice, with `--join` in between where it runs as several processes. On two cores a run
takes two minutes, all of them six hours.
"""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import keras
import numpy as np
from keras import ops

from .. import adaptive, evaluation, faces, losses, training, verification
from ..backbones import build_backbone
from ..layers import SubCenterHead
from .partial_fc import wrong_labels
from .study import Study

PATH = Path(__file__).resolve().parents[2] / "data" / "after_arcface.json"
PEOPLE, IMAGES, EPOCHS, WARMUP, DIM = 1000, 20, 10, 2, 64
UNSEEN = 500  # people that it is scored on
SEEDS = (1, 2, 3)  # seed 0 chooses
BINS = 5  # of severity
REFUSED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
CLEANED_BEYOND = 75.0  # degrees: the paper's, and the released code's


@dataclass(frozen=True)
class Run:
    """One training, of which a part is a warm-up by plain softmax.

    loss: a key of `LOSSES`.
    margin, scale: m and s; an angle in radians or a difference of cosines, as the loss has it.
    extra: the loss's own setting, see `LOSSES`.
    spoiled: the share of the training pictures that are spoiled.
    wrong: the share of the training pictures that carry another person's label.
    cleaned: "75" and "share" train it first to leave out pictures by their angle, and then ArcFace
        on what is left: those beyond 75 degrees, or as many as are wrong. "truth" leaves out those
        that are wrong, which nobody could. "" leaves out nothing.
    part: whom it is scored on, "validation" or "test".
    seed: of weights, order, draws and wrong labels.
    """

    loss: str = "ArcFace"
    margin: float = 0.0
    scale: float = 10.0
    extra: float = 0.0
    spoiled: float = 0.5
    wrong: float = 0.0
    cleaned: str = ""
    part: str = "test"
    seed: int = 0


class RandomQuality(adaptive.AdaFaceModel):
    """AdaFace whose quality is a draw: what is left if the length says nothing."""

    def quality(self, lengths):
        drawn = keras.random.normal(ops.shape(lengths), dtype="float32", seed=self.draws)
        return ops.clip(self.h * drawn, -1.0, 1.0)

    def build(self, input_shape):
        super().build(input_shape)
        self.draws = keras.random.SeedGenerator(0)


def _plain(name, **more):
    """A loss that needs cosines and labels only, behind the head that it is given."""

    def build(run, backbone, head, known):
        options = {"scale": run.scale} | ({"margin": run.margin} if run.margin else {}) | more
        return keras.Sequential([backbone, head]), getattr(losses, name)(**options)

    return build


def _softmax(run, backbone, head, known):
    """The warm-up goes on."""
    plain = keras.layers.Dense(PEOPLE, use_bias=False, name="head")
    plain.build((None, DIM))
    plain.set_weights(head.get_weights())
    return keras.Sequential([backbone, plain]), losses.softmax_cross_entropy


def _mv_softmax(run, backbone, head, known):
    loss = losses.MVSoftmaxLoss(run.extra, m2=run.margin, m3=0.0, scale=run.scale)
    return keras.Sequential([backbone, head]), loss


def _sub_centers(run, backbone, head, known):
    """Each class's centers begin around the direction that the warm-up gave it."""
    centers = int(run.extra)
    many = SubCenterHead(PEOPLE, centers, name="head")
    many.build((None, DIM))
    kernel = np.repeat(np.array(head.kernel), centers, axis=1)
    noise = np.random.default_rng((run.seed, 2)).standard_normal(kernel.shape)
    kernel += 0.3 * np.linalg.norm(kernel, axis=0) / np.sqrt(DIM) * noise
    many.directions.kernel.assign(kernel)
    return _plain("ArcFaceLoss")(run, backbone, many, known)


def _adaface(kind=adaptive.AdaFaceModel, **more):
    more = {"start": None} | more
    return _adaptive(
        lambda run, backbone, head, known: kind(
            backbone, head, run.margin, run.extra, run.scale, **more
        )
    )


def _adaptive(build):
    """A model that brings its loss."""
    return lambda run, backbone, head, known: (build(run, backbone, head, known), None)


def _magface(run, backbone, head, known):
    """The lengths' ends lie around those that the warm-up gave, as the authors advise."""
    lengths = np.linalg.norm(evaluation.embed(backbone, known.images[:2000]), axis=1)
    ends = 0.5 * np.quantile(lengths, 0.01), 1.5 * np.quantile(lengths, 0.99)
    margins = run.margin - run.extra, run.margin + run.extra
    return adaptive.MagFaceModel(backbone, head, margins, tuple(map(float, ends)), scale=run.scale)


# What builds (model, loss) for a run from a warm backbone and head; and what `extra` is.
LOSSES = {
    "softmax": _softmax,
    "NormFace": _plain("NormFaceLoss"),
    "CosFace": _plain("CosFaceLoss"),
    "ArcFace": _plain("ArcFaceLoss"),
    "ArcFace, straight through": _plain("ArcFaceLoss", straight_through=True),
    "sub-centers": _sub_centers,  # K
    "MV-Softmax": _mv_softmax,  # t
    "CurricularFace": _adaptive(
        lambda run, backbone, head, known: adaptive.CurricularFaceModel(
            backbone, head, run.margin, run.scale
        )
    ),
    "AdaCos": _adaptive(lambda run, backbone, head, known: adaptive.AdaCosModel(backbone, head)),
    "ElasticFace": _adaptive(  # std
        lambda run, backbone, head, known: adaptive.ElasticFaceModel(
            backbone, head, run.margin, run.extra, run.scale
        )
    ),
    "MagFace": _adaptive(_magface),  # how far the margins at the ends are from the middle
    "AdaFace": _adaface(),  # h
    "AdaFace, random quality": _adaface(RandomQuality),
    "AdaFace, released start": _adaface(start=(20.0, 100.0)),
}

SCALES = (6.0, 10.0, 16.0)


def _settings(margins, *extras):
    extras = extras or (0.0,)
    return [{"margin": m, "scale": s, "extra": e} for s in SCALES for m in margins for e in extras]


GRID = {
    "softmax": [{"scale": 0.0}],  # neither of these two has anything to set
    "NormFace": [{"scale": s} for s in (4.0, 6.0, 8.0, 12.0, 16.0, 24.0)],
    "CosFace": _settings((0.3, 0.45)),
    "ArcFace": _settings((0.4, 0.6)),
    "ArcFace, straight through": _settings((0.4, 0.6)),
    "sub-centers": _settings((0.4, 0.6), 3.0),
    "MV-Softmax": _settings((0.4, 0.6), 0.2),
    "CurricularFace": _settings((0.4, 0.6)),
    "AdaCos": [{"scale": 0.0}],
    "ElasticFace": _settings((0.4, 0.6), 0.05),
    "MagFace": _settings((0.4, 0.6), 0.15),
    "AdaFace": _settings((0.3, 0.45), 0.333),
}


def _grid_runs():
    return [
        Run(loss, **setting, part="validation") for loss, grid in GRID.items() for setting in grid
    ]


def _controls(ada):
    """What AdaFace is compared with besides: less of its quality, more, or another one."""
    controls = {
        "AdaFace, h 0": replace(ada, extra=0.0),  # CosFace
        "AdaFace, h 1": replace(ada, extra=1.0),
        f"AdaFace, h −{ada.extra:g}": replace(ada, extra=-ada.extra),  # short passes for good
    }
    for how in ("random quality", "released start"):
        controls[f"AdaFace, {how}"] = replace(ada, loss=f"AdaFace, {how}")
    return controls


def _final_runs(chosen):
    """What is scored on test people, by the best settings."""
    cos, arc, ada = (chosen[loss] for loss in ("CosFace", "ArcFace", "AdaFace"))
    runs = [*chosen.values(), *_controls(ada).values()]
    for wrong in (0.0, 0.2, 0.4):
        told = [replace(run, spoiled=0.0, wrong=wrong) for run in (cos, arc, ada)]
        one, three = (replace(told[1], loss="sub-centers", extra=k) for k in (1.0, 3.0))
        runs += [told[0], told[2], one, three]
        if wrong:
            runs += [replace(one, cleaned=how) for how in ("75", "share", "truth")]
            runs += [replace(three, cleaned=how) for how in ("75", "share")]
    return [replace(run, seed=seed) for seed in SEEDS for run in runs]


# --- a run ----------------------------------------------------------------------------------------


def _trained(run, known):
    """The model of a run, trained on these faces."""
    backbone = build_backbone(DIM)
    head = training.warm_up(backbone, known, PEOPLE, WARMUP, verbose=False)
    model, loss = LOSSES[run.loss](run, backbone, head, known)
    training.train(model, known, loss, EPOCHS - WARMUP, metrics=(), verbose=False)
    return model


def train(run, known):
    """Train it, and score it.

    Returns:
        A dictionary: on validation people what the choice looks at, on test people what
        `severity_scores` has, and with `run.wrong` what `cleaning_scores` has.
    """
    training.set_seed(run.seed)
    labels = wrong_labels(known.labels, run.wrong, run.seed)
    named, found = replace(known, labels=labels), {}
    if run.cleaned:
        kept, found = _kept(run, named, labels != known.labels)
        named = faces.Faces(named.images[kept], labels[kept], named.nuisances[kept], named.traits)
        run = replace(run, loss="ArcFace", extra=0.0)
    backbone = evaluation.backbone_of(_trained(run, named))
    unseen = _strangers(run.part, run.spoiled)
    scores = evaluation.open_set_scores(evaluation.embed(backbone, unseen.images), unseen.labels)
    found |= {name: scores[name] for name in ("tar_1e-2", "tar_1e-3", "tar_1e-4", "eer", "rank_1")}
    return found | (severity_scores(backbone) if run.part == "test" else {})


@cache
def _strangers(part, spoiled):
    """People that no training has: ten pictures of each, drawn once."""
    return faces.people(part, UNSEEN, 10, spoiled=spoiled)


def severity_scores(backbone):
    """At one threshold for everybody, who is refused, by the severity of the picture.

    Enrolled is the mean of four good pictures of each person. The threshold keeps FAR 0.001 of six
    other good pictures of each against all that are enrolled.

    Returns:
        A dictionary: `fnmr, good` and `fmr, good` of those; `fnmr, 1` to `fnmr, 5` and `fmr, …` of
        spoiled pictures in fifths of severity; `length, severity`, the rank correlation of an
        embedding's length with how good its picture is, and `length, blur` and so on of those that
        are spoiled in one way; `fnmr, 0.1 refused` and so on, of the spoiled pictures that are left
        where the shortest are refused, `…, best` where the most severe are, and `…, sharp` where
        those of the smallest contrast between neighbours are, for which nobody needs a network.
    """
    people, good, bad = UNSEEN, _strangers("test", 0.0), _strangers("test", 1.0)
    embeddings, lengths = {}, {}
    for name, drawn in (("good", good), ("bad", bad)):
        rows = evaluation.embed(backbone, drawn.images)
        lengths[name] = np.linalg.norm(rows, axis=1)
        embeddings[name] = (rows / lengths[name][:, None]).reshape(people, 10, -1)
    enrolled = embeddings["good"][:, :4].mean(axis=1)
    enrolled /= np.linalg.norm(enrolled, axis=1, keepdims=True)

    def scores(rows):
        """Of each picture: with its own person, and with all others."""
        found = rows @ enrolled.T  # (people, pictures, people)
        own = np.eye(people, dtype=bool)[:, None].repeat(rows.shape[1], axis=1)
        return found[own], found[~own].reshape(-1, people - 1)

    own, others = scores(embeddings["good"][:, 4:])
    threshold = verification.threshold_at(_pairs(own, others), 1e-3)
    found = {"fnmr, good": np.mean(own < threshold), "fmr, good": np.mean(others >= threshold)}
    own, others = scores(embeddings["bad"])
    severity = bad.nuisances["severity"]
    for number in range(BINS):
        rows = (severity >= number / BINS) & (severity < (number + 1) / BINS)
        found[f"fnmr, {number + 1}"] = np.mean(own[rows] < threshold)
        found[f"fmr, {number + 1}"] = np.mean(others[rows] >= threshold)
    found["length, severity"] = rank_correlation(lengths["bad"], -severity)
    for number, way in enumerate(faces.SPOILED, start=1):
        rows = bad.nuisances["spoiled"] == number
        found[f"length, {way}"] = rank_correlation(lengths["bad"][rows], -severity[rows])
    refused_by = ((lengths["bad"], ""), (-severity, ", best"), (sharpness(bad.images), ", sharp"))
    for share in REFUSED:
        for by, how in refused_by:
            kept = by >= np.quantile(by, share)
            found[f"fnmr, {share} refused{how}"] = np.mean(own[kept] < threshold)
    return {name: float(value) for name, value in found.items()}


def _pairs(own, others):
    scores = np.concatenate([own, others.ravel()])
    return verification.split_scores(scores, np.arange(len(scores)) < len(own))


def sharpness(images):
    """The mean square of what a pixel differs by from the mean of its four neighbours."""
    shifted = [np.roll(images, step, axis) for axis in (1, 2) for step in (-1, 1)]
    differences = (images - sum(shifted) / 4)[:, 1:-1, 1:-1]
    return np.mean(np.square(differences), axis=(1, 2, 3))


def rank_correlation(first, second):
    """Spearman's, of numbers among which no two are equal."""
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(ranks)[0, 1])


# --- labels that lie ------------------------------------------------------------------------------


def _kept(run, named, wrong):
    """Which pictures are left when a run has cleaned its labels, and how well that went."""
    if run.cleaned == "truth":
        return ~wrong, {}
    angles = dominant_angles(_trained(run, named), named)
    beyond = CLEANED_BEYOND if run.cleaned == "75" else np.quantile(angles, 1 - run.wrong)
    return angles <= beyond, cleaning_scores(angles, wrong, beyond)


def dominant_angles(model, named):
    """The angle of each image to the center of its class that most of the class are nearest to.

    Args:
        model: a backbone and a `SubCenterHead`.
        named: what it was trained on, with the labels that it was told.

    Returns:
        (n,) degrees.
    """
    backbone, head = model.layers
    cosines = ops.convert_to_numpy(head.all_cosines(evaluation.embed(backbone, named.images)))
    own = cosines[np.arange(len(named.labels)), named.labels]  # (n, K)
    nearest = own.argmax(axis=1)
    votes = np.zeros(cosines.shape[1:], int)
    np.add.at(votes, (named.labels, nearest), 1)
    dominant = votes.argmax(axis=1)[named.labels]
    return np.degrees(np.arccos(np.clip(own[np.arange(len(own)), dominant], -1, 1)))


def cleaning_scores(angles, wrong, beyond):
    """How well the angle to the dominant center tells wrong labels, against the truth.

    Returns:
        A dictionary: `dropped`, the share beyond these degrees; `dropped, wrong`, how much of that
        is wrong; `wrong, dropped`, how much of what is wrong that is; `auc` of the angle.
    """
    dropped = angles > beyond
    ranks = np.argsort(np.argsort(angles)) + 1
    pairs = wrong.sum() * (~wrong).sum()
    above = ranks[wrong].sum() - wrong.sum() * (wrong.sum() + 1) / 2
    return {
        "dropped": float(dropped.mean()),
        "dropped, wrong": float(wrong[dropped].mean()) if dropped.any() else 1.0,
        "wrong, dropped": float(dropped[wrong].mean()),
        "auc": float(above / pairs),
    }


# --- all of them ----------------------------------------------------------------------------------


def best(rows):
    """The best run of each loss in the grid, for test people; None while the grid is not done."""
    rows = [row for row in rows if row["part"] == "validation"]
    if len(rows) < len(_grid_runs()):
        return None
    found = {}
    for loss in GRID:
        row = max((row for row in rows if row["loss"] == loss), key=lambda row: row["tar_1e-3"])
        found[loss] = Run(loss, row["margin"], row["scale"], row["extra"])
    return found


def chosen():
    """The settings that each loss has on test people, a run for each."""
    return best(STUDY.read(PATH))


def compared():
    """The runs on spoiled pictures by name: `chosen`, and AdaFace's controls."""
    runs = chosen()
    return runs | _controls(runs["AdaFace"])


def setting(run):
    """Margin and scale in words, ", m 0.6, s 10"; none where a loss has none to set."""
    parts = ((run.margin, "m"), (run.scale, "s"))
    return "".join(f", {name} {value:g}" for value, name in parts if value)


def _study():
    study = Study(
        path=PATH,
        kind=Run,
        runs=tuple(_grid_runs()),
        recipe={"people": PEOPLE, "images": IMAGES, "epochs": EPOCHS, "warm-up": WARMUP, "D": DIM},
        crowd=lambda run: run.spoiled,
        draw=lambda spoiled: faces.people("train", PEOPLE, IMAGES, spoiled=spoiled),
        train=train,
    )
    settings = best(study.read(PATH))
    return replace(study, runs=(*study.runs, *(_final_runs(settings) if settings else ())))


STUDY = _study()
RUNS, recorded = STUDY.runs, STUDY.recorded

if __name__ == "__main__":
    STUDY.main(__doc__)
