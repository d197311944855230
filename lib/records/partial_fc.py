"""Partial FC on faces: what a share of the classes costs, over batches, classes and wrong labels.

    python -m lib.records.partial_fc

trains what data/partial_fc.json does not have yet, one line a run; it can be stopped and goes on.
The runs are many, and any backend and device will do: what trained a row is written in it. On a
large GPU eight processes side by side (`--process 0/8` to `7/8`, then `--join`) take about ten
minutes for all of them; on two cores a run takes some minutes.
"""

import argparse
import itertools
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

from .. import evaluation, faces, feasibility, inputs, training
from ..backbones import build_backbone
from ..files import write_atomically
from ..layers import CosineHead
from ..losses import ArcFaceLoss
from ..models import PartialFCModel

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


def recorded(**asked):
    """The rows of the runs that are as asked, `Run`'s defaults for what is not; over the seeds.

    Raises:
        KeyError: if there is no such run.
    """
    wanted = {name: value for name, value in asdict(Run(**asked)).items() if name != "seed"}
    rows = [row for row in _read(PATH) if wanted.items() <= row.items()]
    if not rows:
        raise KeyError(f"no run with {asked} is recorded; RUNS has all that are.")
    return rows


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []


def _write(rows, path):
    order = {run: place for place, run in enumerate(RUNS)}
    rows = sorted(rows, key=lambda row: order[_run_of(row)])
    recipe = {"images": IMAGES, "epochs": EPOCHS, "margin": MARGIN, "scale": SCALE}
    write_atomically(path, json.dumps(recipe | {"rows": rows}, indent=1) + "\n")


def _run_of(row):
    return Run(**{name: row[name] for name in asdict(Run())})


def record(runs, path):
    """Train those of the runs that the file does not have, and write each when it is done."""
    done = {_run_of(row) for row in _read(path)}
    where = f"{keras.backend.backend()}, Keras {keras.__version__}"
    for people, group in itertools.groupby(runs, lambda run: run.people):
        todo = [run for run in group if run not in done]
        known = faces.people("train", people, IMAGES // people) if todo else None
        for run in todo:
            keras.utils.clear_session()
            started = time.perf_counter()
            row = asdict(run) | train(run, known)
            row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
            row |= {"seconds": round(time.perf_counter() - started, 1), "backend": where}
            _write([*_read(path), row], path)
            print(row, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m lib.records.partial_fc")
    parser.add_argument("--process", default="0/1", help="which of how many, each with its file")
    parser.add_argument("--join", action="store_true", help="put the files of processes together")
    asked = parser.parse_args()
    process, processes = map(int, asked.process.split("/"))
    parts = PATH.with_suffix("")
    if asked.join:
        files = sorted(parts.parent.glob(f"{parts.name}_*_of_*.json"))
        rows = [*_read(PATH), *(row for file in files for row in _read(file))]
        _write({_run_of(row): row for row in rows}.values(), PATH)  # each run once
    else:
        path = PATH if processes == 1 else Path(f"{parts}_{process}_of_{processes}.json")
        record(RUNS[process::processes], path)


if __name__ == "__main__":
    main()
