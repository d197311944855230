"""Recorded runs: what several seeds gave, so that a lesson need not train them again.

`python -m lib.records.results` (or `make results`) trains every run of `lib.records.runs` over its
seeds and writes `data/results.json`. It saves after each seed and skips what is already there, so
it can be stopped and started again. A record carries a fingerprint of the code it came from: when
that code changes, the record is stale, a test says so, and the command trains it anew.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from .. import evaluation
from ..data import course_mode, load_digits
from .fingerprint import fingerprint
from .runs import FULL_RUNS, MAPPED_RUNS, RUNS, GlyphRun

RESULTS_FILE = Path(__file__).resolve().parents[2] / "data" / "results.json"


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

    Only the runs of `FULL_RUNS` are recorded in full mode. Of any other, a lesson that is run in
    full mode gets the lesson mode's record, and its title says so.

    Raises:
        KeyError: if nothing is recorded under that name; the message says how to record it.
    """
    wanted = mode or course_mode()
    mode = _recorded_mode(name, wanted)
    entry = read_results().get(mode, {}).get(name)
    if entry is None:
        command = "make results FULL=1" if mode == "full" else "make results"
        raise KeyError(f"no record of {name!r} in {mode} mode: `{command}` trains and records it.")
    return Record(entry["title"] + (", lesson mode" if mode != wanted else ""), entry["rows"])


def _recorded_mode(name, mode):
    """`mode`, or lesson mode for a run that is recorded in no other."""
    return "lesson" if name in RUNS and name not in FULL_RUNS else mode


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


def is_current(name, entry, mode="lesson"):
    """Whether a recorded entry came from the code, the settings and the seeds of today."""
    run = runs_of(mode)[name]
    seeds = {str(seed) for seed in run.seeds}
    return entry.get("fingerprint") == run_fingerprint(run) and set(entry["rows"]) == seeds


def run_fingerprint(run):
    """A hash of the run's settings and of all code in `lib` that its numbers come from."""
    glyphs = isinstance(run, GlyphRun)
    roots = [
        ("records.runs", type(run).__name__),
        ("glyphs", "load_glyphs") if glyphs else ("data", "load_digits"),
        ("records.recipes", run.recipe),
    ]
    if "loss" in run.settings:
        roots.append(("losses", run.settings["loss"]))
    return fingerprint(roots, _settings(run))


def runs_of(mode):
    """The runs that are recorded in a mode, by name."""
    return FULL_RUNS if mode == "full" else RUNS


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
            if isinstance(run, GlyphRun):
                data = run.load_data()
            else:
                data = digits = digits or load_digits(mode)
            started = time.perf_counter()
            keras.utils.clear_session()  # else each trained model stays in memory
            model = run.train(seed, data)
            seconds = round(time.perf_counter() - started, 1)
            row = run.score(model, data)
            entry["rows"][str(seed)] = {key: round(float(v), 6) for key, v in row.items()}
            entry["train_seconds"][str(seed)] = seconds
            results = read_results(path)
            results.setdefault(mode, {})[name] = entry | _summary(entry["rows"])
            # before the row: what has a row is not trained again
            if name in MAPPED_RUNS and seed == run.seeds[0]:
                _keep_embeddings(model, data, _embeddings_file(name, mode, path.parent))
            write_results(results, path)
            print(f"  seed {seed}: {seconds} s, {entry['rows'][str(seed)]}", flush=True)


def _keep_embeddings(model, digits, path):
    """Write the embeddings and labels of the first 1,000 held-out digits, in half precision."""
    embeddings = evaluation.embed(evaluation.backbone_of(model), digits.x_test[:1000])
    np.savez_compressed(
        path, embeddings=embeddings.astype("float16"), labels=digits.y_test[:1000].astype("uint8")
    )


def recorded_embeddings(name, mode=None, folder=RESULTS_FILE.parent):
    """The kept embeddings of a run in `MAPPED_RUNS`, of its first seed.

    Returns:
        embeddings (1000, D), float32, of the first 1,000 held-out digits, and labels (1000,).

    Raises:
        FileNotFoundError: if there are none; the message says how to record them.
    """
    mode = _recorded_mode(name, mode or course_mode())
    path = _embeddings_file(name, mode, folder)
    if not path.exists():
        command = "make results" if mode == "lesson" and name in RUNS else "make results FULL=1"
        raise FileNotFoundError(f"{path} is missing: `{command}` records it.")
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["embeddings"].astype("float32"), arrays["labels"].astype("int32")


def _embeddings_file(name, mode, folder):
    """The demonstrations exist in full mode only; of any other run both modes are kept apart."""
    both_modes = name in RUNS
    return folder / f"embeddings_{name}{'_full' if both_modes and mode == 'full' else ''}.npz"


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
