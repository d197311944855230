"""Search at scale: one visitor among a thousand to a million enrolled, exactly and by an index.

    python -m pip install faiss-cpu
    python -m lib.records.search

draws a million people, embeds a picture of each with the backbone `faces-arcface-1000`, measures
every way to search, and writes data/search.json: a quarter of an hour on two quiet cores, and 3 GB.
Milliseconds are those of a clock, so other programs disturb them: `load` in the file says how many
were at work when it began.
"""

import argparse
import io
import json
import os
import platform
import statistics
import sys
import time
import zipfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .. import evaluation, faces, inputs, verification
from ..files import Problem, write_atomically
from .results import recorded_backbone
from .study import rows_with

PATH = Path(__file__).resolve().parents[2] / "data" / "search.json"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BACKBONE = "faces-arcface-1000"
VISITORS, PICTURES, STRANGERS = 1000, 2, 2000
ENROLLED_STRENGTH, STRENGTH = 0.0, 0.3  # a picture as in a passport, and some that are not
FPIR = 0.01
BATCH, SINGLE, RESAMPLES = 100, 100, 200
CROWD = 20_000  # people that are drawn together

# What faiss is asked for, in the words of its "index factory"; of NumPy the matrix product.
METHODS = {
    "NumPy": None,
    "exact": "Flat",
    "16 bits": "SQfp16",  # each number in half precision
    "8 bits": "SQ8",  # each number rounded to one of 256
    # Product quantisation: each two, or four, numbers together to one of 256. "np" leaves out a
    # sorting of the codes that only another way of search needs, and that takes a minute.
    "32 bytes": "PQ32np",
    "16 bytes": "PQ16np",
    "lists": "IVF{root},Flat",  # √N lists around centres of k-means, of which `LISTS` are read
    "graph": "HNSW32",  # of 32 neighbours each
}
LISTS, BREADTH = 16, 64  # the breadth of the search in the graph


# --- whom to find ---------------------------------------------------------------------------------


class Crowd(NamedTuple):
    """Embeddings of length one, float32.

    enrolled: (N, D), one of each person.
    visitors: (V, D), `PICTURES` of each of the first of them, then one of each stranger.
    who: (V,) their rows in `enrolled`, −1 for strangers.
    """

    enrolled: np.ndarray
    visitors: np.ndarray
    who: np.ndarray


def draw_crowd(backbone, enrolled):
    """Draw people whom no training has seen, and embed their pictures.

    Args:
        backbone: the model from images to embeddings.
        enrolled: how many people to enrol, in neutral pose and light; `VISITORS` of them come, and
            `STRANGERS` others, at the nuisances' strength `STRENGTH`.

    Returns:
        A `Crowd`. The first people are the same, however many follow.
    """

    def embed(part, count, images, strength, seed=0):
        drawn = faces.people(part, count, images, strength=strength, seed=seed)
        return inputs.unit_rows(evaluation.embed(backbone, drawn.images)).astype("float32")

    parts = [
        embed("test", min(CROWD, enrolled - start), 1, ENROLLED_STRENGTH, seed=start // CROWD)
        for start in range(0, enrolled, CROWD)  # another seed, other people
    ]
    known = embed("test", VISITORS, PICTURES, STRENGTH)
    unknown = embed("validation", STRANGERS, 1, STRENGTH)
    who = np.concatenate([np.repeat(np.arange(VISITORS), PICTURES), np.full(STRANGERS, -1)])
    return Crowd(np.concatenate(parts), np.concatenate([known, unknown]), who)


def kept_crowd(path):
    """The crowd of a file (npz), which is drawn now and kept there if there is no such file.

    Raises:
        Problem: if the file holds something else, or fewer people than the record needs.
    """
    if not path.exists():
        content = io.BytesIO()
        np.savez(content, **draw_crowd(recorded_backbone(BACKBONE), SIZES[-1])._asdict())
        write_atomically(path, content.getvalue())
    try:
        with np.load(path) as arrays:
            crowd = Crowd(**arrays)
    except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise Problem(f"{path} holds no crowd ({error}): delete it, or name another.") from error
    if len(crowd.enrolled) < SIZES[-1]:
        found = f"{len(crowd.enrolled):,} people, not {SIZES[-1]:,}"
        raise Problem(f"{path} has {found}: delete it, or name another.")
    return crowd


# --- how to find them -----------------------------------------------------------------------------


class Product:
    """NumPy's matrix product, asked like an index of faiss."""

    def __init__(self, enrolled):
        self.enrolled = enrolled

    def search(self, queries, k=1):
        cosines = queries @ self.enrolled.T
        rows = cosines.argmax(axis=1)[:, None]
        return np.take_along_axis(cosines, rows, axis=1), rows


def build(method, enrolled):
    """Make embeddings (N, D) of length one, float32, ready for a search by a key of `METHODS`.

    Returns:
        What has a method `search`: from queries (Q, D) of length one, float32, and the number 1 to
        approximate cosines of the best and their rows (−1 for none), both (Q, 1).

    Raises:
        Problem: if faiss is not installed.
    """
    kind = METHODS[inputs.one_of(method, "method", METHODS)]
    if kind is None:
        return Product(enrolled)
    faiss = _faiss()
    kind = kind.format(root=round(len(enrolled) ** 0.5))
    index = faiss.index_factory(enrolled.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    index.train(enrolled)
    index.add(enrolled)
    if method == "lists":
        index.nprobe = LISTS
    elif method == "graph":
        index.hnsw.efSearch = BREADTH
    return index


def size(index):
    """Bytes of all that a search needs, as they would be in a file."""
    if isinstance(index, Product):
        return index.enrolled.nbytes
    return _faiss().serialize_index(index).nbytes


def _faiss():
    try:
        import faiss
    except ImportError:
        raise Problem(
            "faiss is not installed: `python -m pip install faiss-cpu`, then try again."
        ) from None
    return faiss


# --- what that is worth ---------------------------------------------------------------------------


def answer(index, crowd):
    """Ask in batches of 100, and then the first 100 visitors one by one.

    Returns:
        The score of the best of each visitor and its row in `enrolled`, both (V,), as a pair; and a
        dictionary: `ms, batch` and `ms, single`, median milliseconds a query.
    """
    times, found = {"ms, batch": [], "ms, single": []}, []

    def ask(queries, kind):
        started = time.perf_counter()
        best = index.search(queries, 1)
        times[kind].append(1000 * (time.perf_counter() - started) / len(queries))
        return best

    for start in range(0, len(crowd.visitors), BATCH):
        found.append(ask(crowd.visitors[start : start + BATCH], "ms, batch"))
    for visitor in crowd.visitors[:SINGLE]:
        ask(visitor[None], "ms, single")
    answers = tuple(np.concatenate(part)[:, 0] for part in zip(*found, strict=True))
    return answers, {kind: statistics.median(of) for kind, of in times.items()}


def pair_scores(answers, who, drawn=slice(None)):
    """`PairScores` as of `verification.search_scores`, of all or of some of the visitors."""
    (scores, rows), own = (part[drawn] for part in answers), who[drawn]
    scores = np.where((own >= 0) & (rows != own), -2.0, scores)
    return verification.split_scores(scores, own >= 0)


def rates(answers, exact, who):
    """The errors of a search, beside those of the exact one.

    Args:
        answers, exact: what `answer` returned of the two.
        who: (V,) as of a `Crowd`.

    Returns:
        A dictionary: `recall`, how often the row is that of the exact search; `rank_1`; `fnir`, the
        share of the enrolled who are refused or given a wrong name at the threshold where one in a
        hundred strangers is given a name; `fnir, more`, by how much that is above the exact
        search's; both with `…, low` and `…, high`, the 95 % interval over people; `fnir, kept` and
        `fpir, kept` with the exact search's own threshold.
    """
    rng, enrolled = np.random.default_rng(0), who >= 0
    people, strangers = np.flatnonzero(enrolled).reshape(-1, PICTURES), np.flatnonzero(~enrolled)

    def fnirs(drawn):
        both = [pair_scores(one, who, drawn) for one in (answers, exact)]
        fnir, of_exact = (1 - of.tar(verification.threshold_at(of, FPIR)) for of in both)
        return {"fnir": fnir, "fnir, more": fnir - of_exact}

    def draw():
        return np.concatenate([rng.choice(of, len(of)).ravel() for of in (people, strangers)])

    found, drawn = fnirs(slice(None)), [fnirs(draw()) for _ in range(RESAMPLES)]
    for name in [*found]:
        ends = np.quantile([one[name] for one in drawn], (0.025, 0.975))
        found[f"{name}, low"], found[f"{name}, high"] = ends
    kept = pair_scores(answers, who)
    threshold = verification.threshold_at(pair_scores(exact, who), FPIR)
    return found | {
        "recall": np.mean(answers[1] == exact[1]),
        "rank_1": np.mean((answers[1] == who)[enrolled]),
        "fnir, kept": 1 - kept.tar(threshold),
        "fpir, kept": kept.far(threshold),
    }


# --- the record -----------------------------------------------------------------------------------


def measure(crowd, sizes):
    """A row for each size and method, as they come; the first method is the exact one."""
    for enrolled in sizes:
        exact = None
        for method in METHODS:
            started = time.perf_counter()
            index = build(method, crowd.enrolled[:enrolled])
            seconds = time.perf_counter() - started
            answers, times = answer(index, crowd)
            exact = exact or answers
            row = {"enrolled": enrolled, "method": method} | rates(answers, exact, crowd.who)
            row |= times | {"bytes": size(index) / enrolled, "build_seconds": seconds}
            yield {k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in row.items()}


def record(crowd, sizes=SIZES, path=PATH):
    """Measure all of it, and write each row when it is done."""
    head = {
        "backbone": BACKBONE,
        "dim": crowd.enrolled.shape[1],
        "visitors": int(np.count_nonzero(crowd.who >= 0)),
        "strangers": int(np.count_nonzero(crowd.who < 0)),
        "strength": STRENGTH,
        "fpir": FPIR,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {name: metadata.version(name) for name in ("faiss-cpu", "numpy")},
    }
    rows = []
    for row in measure(crowd, sizes):
        rows.append(row)
        write_atomically(path, json.dumps(head | {"rows": rows}, indent=1) + "\n")
        print(row, flush=True)


def recorded(method=None, enrolled=None, path=PATH):
    """The recorded rows of a method, of a number of people enrolled, or of both.

    Raises:
        KeyError: if there is no such row.
    """
    return rows_with(path, method=method, enrolled=enrolled)


def sizes_table():
    """What the exact search is worth, by the number of enrolled, as `evaluation.Table`."""
    rows = [
        [f"{row['enrolled']:,}", _with_interval(row, "fnir"), f"{row['rank_1']:.3f}"]
        for row in recorded("NumPy")
    ]
    header = ["enrolled", f"FNIR at FPIR {FPIR}", "rank 1"]
    return evaluation.Table(header, rows, "compared with all; 95 % interval over people")


def ways_table(enrolled):
    """What each way to search costs and is worth at a number of enrolled, as `evaluation.Table`."""
    numbers = {
        "bytes an entry": ("bytes", ",.0f"),
        "ms a query, by the hundred": ("ms, batch", ".3g"),
        "ms, one by one": ("ms, single", ".3g"),
        "recall@1": ("recall", ".3f"),
    }
    rows = [
        [
            row["method"],
            *(f"{row[name]:{digits}}" for name, digits in numbers.values()),
            _with_interval(row, "fnir, more", "+z.3f"),
        ]
        for row in recorded(enrolled=enrolled)
    ]
    header = ["way", *numbers, f"FNIR at FPIR {FPIR}, more than exact"]
    return evaluation.Table(header, rows, f"{enrolled:,} enrolled; 95 % interval over people")


def _with_interval(row, name, digits=".3f"):
    value, *ends = (
        f"{row[key]:{digits}}".replace("-", "−") for key in (name, f"{name}, low", f"{name}, high")
    )
    return f"{value} ({ends[0]} to {ends[1]})"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], prog="python -m lib.records.search"
    )
    parser.add_argument("--crowd", type=Path, help="keep the embeddings here (260 MB), or use them")
    path = parser.parse_args().crowd
    try:
        _faiss()
        record(kept_crowd(path) if path else draw_crowd(recorded_backbone(BACKBONE), SIZES[-1]))
    except Problem as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
