"""Recorded runs: what several seeds gave, so that a lesson need not train them again.

`python -m lib.results` (or `make results`) trains every run in `RUNS` over its seeds and writes
`data/results.json`. It saves after each seed and skips what is already there, so it can be stopped
and started again. A record carries a fingerprint of the code it came from: when that code changes,
the record is stale, a test says so, and the command trains it anew.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from . import evaluation, recipes, training
from .data import course_mode, load_digits
from .fingerprint import fingerprint

RESULTS_FILE = Path(__file__).resolve().parent.parent / "data" / "results.json"
SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Run:
    """One named configuration: everything that decides its numbers except the seed.

    `recipe` names a function of `lib.recipes`, `settings` are its arguments. `num_classes` below
    ten trains on the digits 0 to num_classes - 1 only.
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
        eer = evaluation.equal_error_rate(*evaluation.pair_scores(embeddings, last_five.y_test))
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


# The two reference demonstrations have their own recipes, and only make sense with all of MNIST.
DEMO_RUNS = {
    "demo-2d-softmax": Run("softmax", "demo_2d", {"method": "softmax"}, seeds=(0, 1, 2)),
    "demo-2d-modified-softmax": Run(
        "modified softmax", "demo_2d", {"method": "margin"}, seeds=(0, 1, 2)
    ),
    "demo-2d-sphereface": Run(
        "SphereFace, m 2", "demo_2d", {"method": "margin", "options": {"m1": 2}}, seeds=(0, 1, 2)
    ),
    "demo-20d-softmax": Run("softmax", "demo_20d", {"method": "softmax"}, seeds=(0,)),
    "demo-20d-center": Run(
        "center loss, λ 0.5",
        "demo_20d",
        {"method": "center", "options": {"weight": 0.5}},
        seeds=(0,),
    ),
    "demo-20d-modified-softmax": Run(
        "modified softmax", "demo_20d", {"method": "margin", "options": {}}, seeds=(0,)
    ),
    "demo-20d-sphereface": Run(
        "SphereFace, m 4", "demo_20d", {"method": "margin", "options": {"m1": 4}}, seeds=(0,)
    ),
}

# Of these the embeddings of 1,000 held-out digits are kept as well, for a map of each.
MAPPED_RUNS = tuple(name for name in DEMO_RUNS if name.startswith("demo-20d"))


@dataclass(frozen=True)
class Record:
    """What a run gave over its seeds: `rows[seed][value]`, and how far each value spreads."""

    title: str
    rows: dict = field(repr=False)

    def values(self, name):
        """The recorded values of one scoreboard column, one for each seed."""
        return [row[name] for row in self.rows.values()]

    def mean(self, name):
        return statistics.fmean(self.values(name))

    def spread(self, name):
        """The sample standard deviation over the seeds; NaN where there is only one."""
        values = self.values(name)
        return statistics.stdev(values) if len(values) > 1 else math.nan

    def band(self, name):
        """Where a fresh run is expected: the recorded range, widened by its own width on each side.

        With five seeds that is about three and a half standard deviations either way: wide enough
        for another machine's arithmetic, too narrow for a different loss.
        """
        low, high = min(self.values(name)), max(self.values(name))
        return low - (high - low), high + (high - low)


def recorded(name, mode=None):
    """The record of run `name` in this mode.

    Raises:
        KeyError: if nothing is recorded under that name; the message says how to record it.
    """
    mode = mode or course_mode()
    entry = read_results().get(mode, {}).get(name)
    if entry is None:
        command = "make results FULL=1" if mode == "full" else "make results"
        raise KeyError(f"no record of {name!r} in {mode} mode: `{command}` trains and records it.")
    return Record(entry["title"], entry["rows"])


def read_results(path=RESULTS_FILE):
    """The whole record as a dictionary: mode → run → entry. Empty if there is no file yet."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}). Restore it with `git checkout -- data/results.json`, or "
            "delete it and run `make results`."
        ) from error


def write_results(results, path=RESULTS_FILE):
    """Write the record in one step, so that an interruption leaves the old file whole."""
    text = json.dumps(results, indent=1, sort_keys=True) + "\n"
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def is_current(name, entry):
    """Whether a recorded entry came from the code, the settings and the seeds of today."""
    run = runs_of("full")[name]
    seeds = {str(seed) for seed in run.seeds}
    return entry.get("fingerprint") == run_fingerprint(run) and set(entry["rows"]) == seeds


def run_fingerprint(run):
    """A hash of the run's settings and of all code in `lib` that its numbers come from."""
    roots = [
        ("results", type(run).__name__),
        ("data", "load_digits"),
        ("recipes", run.recipe),
    ]
    if "loss" in run.settings:
        roots.append(("losses", run.settings["loss"]))
    return fingerprint(roots, _settings(run))


def runs_of(mode):
    """The runs that are recorded in a mode, by name."""
    return RUNS | DEMO_RUNS if mode == "full" else RUNS


def record_all(mode=None, names=None, path=RESULTS_FILE):
    """Train what is missing or stale among the named runs, saving after each seed."""
    mode = mode or course_mode()
    digits = None
    for name in names or runs_of(mode):
        run = runs_of(mode)[name]
        entry = _entry_to_continue(read_results(path).get(mode, {}).get(name), run)
        missing = [seed for seed in run.seeds if str(seed) not in entry["rows"]]
        print(f"{name}: {len(missing)} of {len(run.seeds)} seeds to train", flush=True)
        for seed in missing:
            digits = digits or load_digits(mode)
            started = time.perf_counter()
            keras.utils.clear_session()  # else each trained model stays in memory
            model = run.train(seed, digits)
            seconds = round(time.perf_counter() - started, 1)
            row = run.score(model, digits)
            entry["rows"][str(seed)] = {key: round(float(v), 6) for key, v in row.items()}
            entry["train_seconds"][str(seed)] = seconds
            results = read_results(path)
            results.setdefault(mode, {})[name] = entry | _summary(entry["rows"])
            if name in MAPPED_RUNS:  # before the row: what has a row is not trained again
                _keep_embeddings(model, digits, path.parent / f"embeddings_{name}.npz")
            write_results(results, path)
            print(f"  seed {seed}: {seconds} s, {entry['rows'][str(seed)]}", flush=True)


def _keep_embeddings(model, digits, path):
    """Write the embeddings and labels of the first 1,000 held-out digits, in half precision."""
    embeddings = evaluation.embed(evaluation.backbone_of(model), digits.x_test[:1000])
    np.savez_compressed(
        path, embeddings=embeddings.astype("float16"), labels=digits.y_test[:1000].astype("uint8")
    )


def recorded_embeddings(name, folder=RESULTS_FILE.parent):
    """The kept embeddings (1000, D), float32, and labels (1000,) of a run in `MAPPED_RUNS`.

    Raises:
        FileNotFoundError: if there are none; the message says how to record them.
    """
    path = folder / f"embeddings_{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: `make results FULL=1` records it.")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["embeddings"].astype("float32"), arrays["labels"].astype("int32")


def _entry_to_continue(entry, run):
    """The recorded entry if it is of today's code, less seeds not asked for; else a new one."""
    current = run_fingerprint(run)
    if entry is None or entry.get("fingerprint") != current:
        entry = {"rows": {}, "train_seconds": {}}
    wanted = {str(seed) for seed in run.seeds}
    return {
        "title": run.title,
        "settings": _settings(run),
        "fingerprint": current,
        "versions": _versions(),
        "rows": {seed: row for seed, row in entry["rows"].items() if seed in wanted},
        "train_seconds": {s: v for s, v in entry["train_seconds"].items() if s in wanted},
    }


def _summary(rows):
    columns = {key: [row[key] for row in rows.values()] for key in next(iter(rows.values()))}
    return {
        "mean": {key: round(statistics.fmean(v), 6) for key, v in columns.items()},
        "spread": {
            key: round(statistics.stdev(v), 6) if len(v) > 1 else 0.0 for key, v in columns.items()
        },
    }


def _settings(run):
    return {"recipe": run.recipe, "num_classes": run.num_classes} | run.settings


def _versions():
    packages = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"python": platform.python_version()} | packages


if __name__ == "__main__":
    known = runs_of(course_mode())
    unknown = set(sys.argv[1:]) - set(known)
    if unknown:
        sys.exit(f"no run named {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    record_all(names=sys.argv[1:])
