"""A study: many runs of one kind, each of them a row in one file, trained wherever there is room.

    python -m lib.records.partial_fc
    python -m lib.records.after_arcface

train what their file in data/ does not have yet, one line a run; they can be stopped and go on. Any
backend and device will do: what trained a row is written in it. On a large GPU eight processes side
by side (`--process 0/8` to `7/8`, then `--join`) take minutes for what takes hours on two cores.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
from scipy import stats

from ..files import write_atomically


def interval(values, level=0.95):
    """The mean of a value over seeds, and half of its confidence interval (Student's t)."""
    spread = np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values)), float(spread * stats.t.ppf((1 + level) / 2, len(values) - 1))


def rows_with(path, **wanted):
    """The rows of a recorded file in which these columns are as wanted; None for whatever they are.

    Raises:
        KeyError: if there is none.
    """
    wanted = {name: value for name, value in wanted.items() if value is not None}
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    found = [row for row in rows if wanted.items() <= row.items()]
    if not found:
        known = {name: {row[name]: None for row in rows if name in row} for name in wanted}
        known = "; ".join(f"{name}: {', '.join(map(str, of))}" for name, of in known.items())
        raise KeyError(f"no row with {wanted} in {path.name}; it has {known}.")
    return found


@dataclass(frozen=True)
class Study:
    """Args:
    path: the file of its rows.
    kind: the dataclass of a run: whatever decides a row, with defaults for all of it.
    runs: all of them, in the order of the file.
    recipe: what all runs have in common, for the file's head.
    crowd: what a run's data are made from; those of runs that agree in it are drawn once.
    draw: data from a crowd.
    train: a dictionary of numbers from a run and its data.
    """

    path: Path
    kind: type
    runs: tuple
    recipe: dict
    crowd: Callable
    draw: Callable
    train: Callable

    def recorded(self, **asked):
        """The rows of the runs that are as asked, the defaults for what is not; over the seeds.

        Raises:
            KeyError: if there is no such run.
        """
        return self.rows_of(self.kind(**asked))

    def rows_of(self, run):
        """The rows of a run, over the seeds; errors as for `recorded`."""
        wanted = {name: value for name, value in asdict(run).items() if name != "seed"}
        rows = [row for row in self.read(self.path) if wanted.items() <= row.items()]
        if not rows:
            raise KeyError(f"no run like {run} is recorded; RUNS has all that are.")
        return rows

    def run_of(self, row):
        return self.kind(**{name: row[name] for name in asdict(self.kind())})

    def read(self, path):
        return json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []

    def write(self, rows, path):
        order = {run: place for place, run in enumerate(self.runs)}
        rows = sorted(rows, key=lambda row: order[self.run_of(row)])
        write_atomically(path, json.dumps(self.recipe | {"rows": rows}, indent=1) + "\n")

    def record(self, runs, path):
        """Train those of the runs that the file does not have, and write each when it is done."""
        done = {self.run_of(row) for file in (path, self.path) for row in self.read(file)}
        where = f"{keras.backend.backend()}, Keras {keras.__version__}"
        for crowd, group in itertools.groupby(runs, self.crowd):
            todo = [run for run in group if run not in done]
            data = self.draw(crowd) if todo else None
            for run in todo:
                keras.utils.clear_session()
                started = time.perf_counter()
                row = asdict(run) | self.train(run, data)
                row = {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
                row |= {"seconds": round(time.perf_counter() - started, 1), "backend": where}
                self.write([*self.read(path), row], path)
                print(row, flush=True)

    def main(self, about):
        """The command, which `about` describes."""
        parser = argparse.ArgumentParser(
            description=about.splitlines()[0], prog=f"python -m lib.records.{self.path.stem}"
        )
        parser.add_argument("--process", default="0/1", help="which of how many; each has its file")
        parser.add_argument("--join", action="store_true", help="put the processes' files together")
        asked = parser.parse_args()
        process, processes = map(int, asked.process.split("/"))
        parts = self.path.with_suffix("")
        if asked.join:
            files = sorted(parts.parent.glob(f"{parts.name}_*_of_*.json"))
            rows = [*self.read(self.path), *(row for file in files for row in self.read(file))]
            self.write({self.run_of(row): row for row in rows}.values(), self.path)  # each once
        else:
            one = Path(f"{parts}_{process}_of_{processes}.json")
            self.record(self.runs[process::processes], self.path if processes == 1 else one)
