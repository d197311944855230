"""Recorded runs: what several seeds gave, so that a lesson need not train them again.

`python -m lib.records.results` (or `make results`) trains every run of `lib.records.runs` over its
seeds and writes `data/results.json`. It saves after each seed and skips what is already there, so
it can be stopped and started again, and two may run at once. A record carries a fingerprint of the
code it came from: when that code changes, the record is stale, a test says so, and the command
trains it anew. It also names the packages it was made with. Other packages do not make it stale,
since its numbers are then still what this code gives, to about the third digit; but it is said.
"""

import contextlib
import functools
import io
import json
import math
import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field, fields
from importlib import metadata
from pathlib import Path

import keras
import numpy as np

from .. import evaluation
from ..backbones import build_backbone
from ..data import course_mode
from ..files import Problem, write_atomically
from .fingerprint import fingerprint
from .runs import FACE_LOSSES, FULL_RUNS, GRID, KEPT_BACKBONES, KEPT_EMBEDDINGS, RUNS, SWEEP, Run

RESULTS_FILE = Path(__file__).resolve().parents[2] / "data" / "results.json"
LOCK_SECONDS = 30  # a change of the file takes a few milliseconds


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
        """Where a fresh run is expected: the recorded range and three times it on each side.

        Five seeds tell little of the spread: by Student's t one run in 600 falls outside; one in 80
        would, and did, if it were widened by 1.5 of it.
        """
        low, high = min(self.values(name)), max(self.values(name))
        return low - 3 * (high - low), high + 3 * (high - low)


# --- what is recorded -----------------------------------------------------------------------------


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


def recorded_faces(people=1000, images=None):
    """What losses have reached for people never seen: a dictionary, loss → its record.

    Args:
        people: how many they were trained on.
        images: how many of each; None for 20,000 in all, which every loss has had.

    Raises:
        KeyError: if no loss was trained on so many.
    """
    end = f"{people}" if images is None else f"{people}x{images}"
    names = {loss: f"faces-{key}-{end}" for loss, key in FACE_LOSSES.items()}
    names = {loss: name for loss, name in names.items() if name in RUNS}
    if not names:
        trained = ", ".join(f"{count} people" for count, _ in SWEEP)
        raise KeyError(f"no run on faces ends in {end!r}: every loss was trained on {trained}.")
    return {loss: recorded(name, "lesson") for loss, name in names.items()}


def recorded_grid(loss):
    """What the settings of a loss have reached on validation people: setting → its record."""
    return {
        setting: recorded(f"faces-grid-{FACE_LOSSES[loss]}-{number}", "lesson")
        for number, setting in enumerate(GRID[loss], start=1)
    }


def recorded_embeddings(name, mode=None, folder=RESULTS_FILE.parent):
    """The kept embeddings of a run in `KEPT_EMBEDDINGS`, of its first seed.

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


def recorded_backbone(name, folder=RESULTS_FILE.parent):
    """The trained backbone of a run in `KEPT_BACKBONES`, of its first seed.

    Raises:
        KeyError: if that run's backbone is not kept.
        FileNotFoundError: if there is none; the message says how to record it.
    """
    if name not in KEPT_BACKBONES:
        known = ", ".join(KEPT_BACKBONES)
        raise KeyError(f"no backbone of {name!r} is kept; there are those of {known}.")
    path = _backbone_file(name, folder)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: `make results` records it.")
    backbone = build_backbone(RUNS[name].settings["embedding_dim"])
    with np.load(path, allow_pickle=False) as arrays:
        backbone.set_weights([arrays[key].astype("float32") for key in arrays])
    return backbone


def read_results(path=RESULTS_FILE):
    """The whole record as a dictionary: mode → run → entry. Empty if there is no file yet."""
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Problem(
            f"{path} is damaged ({error}). Restore it with `git checkout -- data/results.json`, or "
            "delete it and run `make results`."
        ) from error


def runs_of(mode):
    """The runs that are recorded in a mode, by name."""
    return FULL_RUNS if mode == "full" else RUNS


def _recorded_mode(name, mode):
    """`mode`, or lesson mode for a run that is recorded in no other."""
    return "lesson" if name in RUNS and name not in FULL_RUNS else mode


def _embeddings_file(name, mode, folder):
    """The demonstrations exist in full mode only; of any other run both modes are kept apart."""
    both_modes = name in RUNS
    return folder / f"embeddings_{name}{'_full' if both_modes and mode == 'full' else ''}.npz"


def _backbone_file(name, folder):
    return folder / f"backbone_{name}.npz"


# --- is it still true? ----------------------------------------------------------------------------


def is_current(name, entry, mode="lesson"):
    """Whether a recorded entry came from the code, the settings and the seeds of today."""
    run = runs_of(mode)[name]
    seeds = {str(seed) for seed in run.seeds}
    return entry.get("fingerprint") == run_fingerprint(run) and set(entry["rows"]) == seeds


def run_fingerprint(run):
    """A hash of the run's settings and of all code in `lib` that its numbers come from."""
    roots = [("records.runs", type(run).__name__), ("records.recipes", run.recipe)]
    if "loss" in run.settings:
        roots.append(("losses", run.settings["loss"]))
    return fingerprint(roots, _settings(run))


def other_packages(entry):
    """Where the packages of a recorded entry differ from those here, as a list of texts."""
    there, here = entry["versions"], _versions(entry["versions"])
    return [
        f"{name} {there[name]}, here {here[name]}" for name in here if there[name] != here[name]
    ]


def _versions(names):
    """The installed release of each package, and of Python."""
    return {
        name: platform.python_version() if name == "python" else metadata.version(name)
        for name in names
    }


def _settings(run):
    known = {each.name for each in fields(Run)}
    of_its_kind = {e.name: getattr(run, e.name) for e in fields(run) if e.name not in known}
    return {"recipe": run.recipe, "num_classes": run.num_classes} | of_its_kind | run.settings


# --- recording ------------------------------------------------------------------------------------


def record_all(mode=None, names=None, path=RESULTS_FILE):
    """Train what is missing or stale among the named runs, saving after each seed."""
    mode = mode or course_mode()
    loaded = functools.cache(lambda load_data: load_data(mode))
    for name in names or runs_of(mode):
        run = runs_of(mode)[name]
        rows = _entry_to_continue(read_results(path), mode, name)["rows"]
        missing = [seed for seed in run.seeds if str(seed) not in rows]
        print(f"{name}: {len(missing)} of {len(run.seeds)} seeds to train", flush=True)
        for seed in missing:
            data = loaded(run.load_data)
            started = time.perf_counter()
            keras.utils.clear_session()  # else each trained model stays in memory
            model = run.train(seed, data)
            seconds = round(time.perf_counter() - started, 1)
            row = {key: round(float(v), 6) for key, v in run.score(model, data).items()}
            # before the row: what has a row is not trained again
            if name in KEPT_EMBEDDINGS and seed == run.seeds[0]:
                _keep_embeddings(model, data, _embeddings_file(name, mode, path.parent))
            if name in KEPT_BACKBONES and seed == run.seeds[0]:
                _keep_backbone(model, _backbone_file(name, path.parent))
            _add_row(path, mode, name, str(seed), row, seconds)
            print(f"  seed {seed}: {seconds} s, {row}", flush=True)


def _add_row(path, mode, name, seed, row, seconds):
    """Add one row to the record as it is now: it may have grown since the training began."""
    with _alone(path):
        results = read_results(path)
        entry = _entry_to_continue(results, mode, name)
        entry["rows"][seed], entry["train_seconds"][seed] = row, seconds
        results.setdefault(mode, {})[name] = entry
        write_atomically(path, json.dumps(results, indent=1, sort_keys=True) + "\n")


def _entry_to_continue(results, mode, name):
    """The recorded entry, less seeds not asked for, if today's rows can join it; else a new one."""
    run = runs_of(mode)[name]
    new = {
        "title": run.title,
        "settings": _settings(run),
        "fingerprint": run_fingerprint(run),
        "versions": _versions(("python", *run.packages)),
        "rows": {},
        "train_seconds": {},
    }
    entry = results.get(mode, {}).get(name, new)
    if entry["fingerprint"] != new["fingerprint"]:
        return new
    wanted = {str(seed) for seed in run.seeds}
    if wanted - set(entry["rows"]) and other_packages(entry):
        return new  # not some rows of these packages and some of those
    kept = {
        key: {s: v for s, v in entry[key].items() if s in wanted}
        for key in ("rows", "train_seconds")
    }
    return new | kept | {"versions": entry["versions"]}


@contextlib.contextmanager
def _alone(path):
    """Keep other commands from changing the file for a moment.

    Raises:
        Problem: if the file's lock stays; the message says how to get rid of it.
    """
    lock = path.with_suffix(".lock")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            break
        except (FileExistsError, PermissionError):
            if time.monotonic() > deadline:
                advice = "delete it, if no other `make results` is at work"
                raise Problem(
                    f"{lock} was left there by a command that was killed: {advice}."
                ) from None
            time.sleep(0.02)
    try:
        yield
    finally:
        lock.unlink()


def _keep_embeddings(model, digits, path):
    """Write the embeddings and labels of the first 1,000 held-out digits, in half precision."""
    embeddings = evaluation.embed(evaluation.backbone_of(model), digits.x_test[:1000])
    labels = digits.y_test[:1000].astype("uint8")
    _write_arrays(path, {"embeddings": embeddings.astype("float16"), "labels": labels})


def _keep_backbone(model, path):
    """Write the weights of the backbone, in half precision."""
    weights = evaluation.backbone_of(model).get_weights()
    _write_arrays(path, {f"{i:02}": weight.astype("float16") for i, weight in enumerate(weights)})


def _write_arrays(path, arrays):
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)
    write_atomically(path, packed.getvalue())


def main():
    mode = course_mode()
    names, known = sys.argv[1:], runs_of(mode)
    unknown = set(names) - set(known)
    if unknown:
        sys.exit(f"no run named {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    try:
        record_all(mode, names)
    except Problem as problem:
        sys.exit(str(problem))
    entries = read_results()[mode].values()
    for text in sorted({text for entry in entries for text in other_packages(entry)}):
        print(f"some records were made with {text}: the last digits may differ.")


if __name__ == "__main__":
    main()
