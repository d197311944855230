"""Partial FC on faces: what a share of the classes costs, over batches, classes and wrong labels.

    python -m lib.records.partial_fc

trains what data/partial_fc.json does not have yet (`lib.records.study`). On two cores a run takes
some minutes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from .. import evaluation, faces, feasibility, inputs, training
from ..backbones import build_backbone
from ..layers import CosineHead
from ..losses import ArcFaceLoss
from ..models import PartialFCModel
from .study import Study

PATH = Path(__file__).resolve().parents[2] / "data" / "partial_fc.json"
IMAGES, EPOCHS, MARGIN, SCALE = 50_000, 10, 0.3, 10.0
SEEDS = (21, 22, 23)


@dataclass(frozen=True)
class Run:
    """A training of ArcFace (m 0.3, s 10) on `IMAGES` faces, without a warm-up.

    people: classes, each with as many images as any other.
    share: of the classes in a step.
    batch: images in a step.
    wrong: the share of the images that carry another person's label, drawn evenly.
    dim: of the embedding.
    seed: of weights, order, draws and wrong labels.
    """

    people: int = 5000
    share: float = 1.0
    batch: int = 128
    wrong: float = 0.0
    dim: int = 64
    seed: int = 0


def _runs():
    changes = [{"share": share} for share in (1.0, 0.5, 0.3, 0.2, 0.1)]
    changes += [{"share": share, "batch": batch} for batch in (32, 512) for share in (1.0, 0.1)]
    # the share of 5,000 people, and its number of columns, with fewer and with more people
    changes += [{"people": 1000, "share": share} for share in (1.0, 0.5, 0.1)]
    changes += [{"people": 25_000, "share": share} for share in (1.0, 0.1, 0.02)]
    changes += [{"wrong": wrong, "share": s} for wrong in (0.2, 0.4) for s in (1.0, 0.3, 0.1)]
    changes += [{"dim": dim} for dim in (8, 16, 128, 512)]
    return tuple(Run(**change, seed=seed) for change in changes for seed in SEEDS)


RUNS = _runs()


def wrong_labels(labels, share, seed):
    """Labels of which a share is another one, every other one as likely.

    Args:
        labels: (n,) whole numbers from 0 to the number of people - 1.
        share: of the images whose label becomes wrong; rounded to whole images.
        seed: of the draw.

    Returns:
        (n,), a copy.
    """
    rng, labels = np.random.default_rng((seed, 1)), np.array(labels)
    chosen = rng.choice(len(labels), round(share * len(labels)), replace=False)
    people = labels.max() + 1
    labels[chosen] = (labels[chosen] + rng.integers(1, people, len(chosen))) % people
    return labels


def train(run, known):
    """Train it, and say what its embeddings of 500 people never seen are worth.

    Returns:
        A dictionary: the values of `lib.evaluation.open_set_scores` that are shown; `columns`, of
        a step; `brought`, how many different classes a batch brings along, the mean of 100;
        `scale_90`, from which scale on half of the class weights have probability 0.9 for an
        embedding that lies on them (`lib.feasibility.scale_for`); and `loss`, of the last epoch.
    """
    training.set_seed(run.seed)
    labels = wrong_labels(known.labels, run.wrong, run.seed)
    head = CosineHead(run.people, name="head")
    model = PartialFCModel(build_backbone(run.dim), head, run.share)
    history = training.train(
        model,
        replace(known, labels=labels),
        ArcFaceLoss(MARGIN, SCALE),
        EPOCHS,
        batch_size=run.batch,
        metrics=(),
        verbose=False,
    )
    unseen = faces.people("test", 500, 10)
    scores = evaluation.open_set_scores(
        evaluation.embed(model.backbone, unseen.images), unseen.labels
    )
    rng = np.random.default_rng(0)
    brought = [len(np.unique(rng.choice(labels, run.batch))) for _ in range(100)]
    directions = inputs.unit_rows(keras.ops.convert_to_numpy(head.kernel).T, "class weights")
    some = rng.choice(run.people, 500, replace=False)
    others = [np.delete(directions @ directions[one], one) for one in some]
    return {
        **{name: scores[name] for name in ("tar_1e-2", "tar_1e-3", "tar_1e-4", "eer", "rank_1")},
        "columns": max(model.num_sampled, min(run.batch, run.people)),
        "brought": float(np.mean(brought)),
        "scale_90": float(np.median(feasibility.scale_for(others, 0.9))),
        "loss": history.history["loss"][-1],
    }


STUDY = Study(
    path=PATH,
    kind=Run,
    runs=RUNS,
    recipe={"images": IMAGES, "epochs": EPOCHS, "margin": MARGIN, "scale": SCALE},
    crowd=lambda run: run.people,
    draw=lambda people: faces.people("train", people, IMAGES // people),
    train=train,
)
recorded = STUDY.recorded

if __name__ == "__main__":
    STUDY.main(__doc__)
