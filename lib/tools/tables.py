"""Write the tables of results and costs, from the records in data/.

python -m lib.tools.tables

The README has the short ones, notebooks/results.md the long ones. `make results` and `make bench
SAVE=1` end with it. Each table stands between a pair of comment lines; what is between them is
replaced, all else is kept.
"""

import itertools
import json
import sys
from pathlib import Path

from lib.files import Problem, write_atomically
from lib.records import after_arcface, search
from lib.records.results import Record, read_results
from lib.records.runs import CHOSEN, COMPARED, DEMO_RUNS, DIMENSIONS, FACE_LOSSES, SWEEP
from lib.records.study import interval

ROOT = Path(__file__).resolve().parents[2]
README, RESULTS = ROOT / "README.md", ROOT / "notebooks" / "results.md"
BENCH_FILE = ROOT / "data" / "bench.json"

# Rows of data/bench.json that would say once more what those of ArcFace and of Dense say.
LIKE_OTHERS = {f"CosineHead + {name}" for name in ("NormFace", "CosFace", "SphereFace")}
LIKE_OTHERS |= {"Dense, no bias + softmax_cross_entropy"}

# What the short table of costs has of data/bench.json, and in which columns.
OURS, PEER = "CosineHead + ArcFace", "no Keras: insightface's formula"
SHORT_COST = {
    "CPU": {"TensorFlow, XLA": (OURS,), "PyTorch, eager": (OURS, PEER), "JAX, jit": (OURS,)},
    "GPU": {"PyTorch, eager": (OURS, PEER), "JAX, jit": (OURS,)},
}
SHORT_SIZES = (10_000, 100_000, 1_000_000)

# Test accuracy that the 2-D demonstration reports for its own runs of three epochs. Its section on
# ArcFace trains CosFace, so there is nothing to compare with.
REPORTED = {"demo-2d-softmax": 0.9494, "demo-2d-sphereface": 0.9514, "demo-2d-cosface": 0.9420}


def table(header, rows):
    """A table in Markdown: lists of cells in, text out."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def mean_and_spread(record, column, digits=3):
    """ "0.955 ± 0.004"; without the spread where there is one seed only, a dash where none."""
    if record is None:
        return "–"
    mean, spread = record.mean(column), record.spread(column)
    text = f"{mean:.{digits}f}"
    return text if spread != spread else f"{text} ± {spread:.{digits}f}"


def accuracy_and_eer(record, digits=3):
    """Two cells: accuracy by the head, and EER."""
    return [mean_and_spread(record, column, digits) for column in ("head_accuracy", "eer")]


def losses_table(records, digits=3):
    """Accuracy by the head and EER of every loss in two, three and 64 dimensions."""
    header = ["loss", *(f"{dim}-D {what}" for dim in DIMENSIONS for what in ("accuracy", "EER"))]
    rows = []
    for title, pattern in COMPARED.items():
        names = [pattern.format(dim) for dim in DIMENSIONS]
        cells = [cell for n in names for cell in accuracy_and_eer(records.get(n), digits)]
        rows.append([title, *cells])
    return table(header, rows)


def faces_table(records, people=1000):
    """TAR at two FARs, EER, rank 1 and FNIR of every loss on faces never seen.

    The last columns are TAR at FAR 0.001 with as many training images of other numbers of people.
    """
    others = [count for count, _ in SWEEP if count != people]
    columns = {"TAR at FAR 0.001": "tar_1e-3", "TAR at FAR 0.0001": "tar_1e-4", "EER": "eer",
               "rank 1 of 500": "rank_1", "FNIR at FPIR 0.01": "fnir_1e-2"}  # fmt: skip
    rows = [
        [
            CHOSEN[loss],
            *(mean_and_spread(records.get(f"faces-{key}-{people}"), c) for c in columns.values()),
            *(mean_and_spread(records.get(f"faces-{key}-{n}"), "tar_1e-3") for n in others),
        ]
        for loss, key in FACE_LOSSES.items()
    ]
    return table(["loss", *columns, *(f"TAR at FAR 0.001, {n:,} people" for n in others)], rows)


def short_faces_table(records, people=1000):
    """TAR, EER and rank 1 of every loss on faces never seen."""
    columns = {"TAR at FAR 0.001": "tar_1e-3", "EER": "eer", "rank 1 of 500": "rank_1"}
    rows = [
        [
            CHOSEN[loss],
            *(mean_and_spread(records.get(f"faces-{key}-{people}"), c) for c in columns.values()),
        ]
        for loss, key in FACE_LOSSES.items()
    ]
    return table(["loss", *columns], rows)


def severity_table():
    """Of every loss after ArcFace and its controls: TAR, and who is refused by severity."""
    bins = range(1, after_arcface.BINS + 1)
    ends = [(number - 1) / after_arcface.BINS for number in bins] + [1]
    header = ["loss", "TAR at FAR 0.001"]
    header += [f"{low:.1f} to {high:.1f}" for low, high in itertools.pairwise(ends)]
    rows = []
    for name, run in after_arcface.compared().items():
        seeds = after_arcface.STUDY.rows_of(run)
        cells = [name + after_arcface.setting(run)]
        for column in ("tar_1e-3", *(f"fnmr, {number}" for number in bins)):
            mean, half = interval([row[column] for row in seeds])
            cells.append(f"{mean:.3f} ± {half:.3f}")
        rows.append(cells)
    return table(header, rows)


def demo_2d_table(records):
    """The 2-D demonstration: accuracy after three epochs, as reported there, and after six."""
    rows = []
    for name in (name for name in DEMO_RUNS if f"{name}-six-epochs" in DEMO_RUNS):
        reported = f"{REPORTED[name]:.3f}" if name in REPORTED else "–"
        six = mean_and_spread(records.get(f"{name}-six-epochs"), "head_accuracy")
        three = accuracy_and_eer(records.get(name))
        rows.append([DEMO_RUNS[name].title, reported, *three, six])
    return table(["loss", "reported", "3 epochs", "3 epochs, EER", "6 epochs"], rows)


def demo_20d_table(records):
    """The 20-D demonstration: accuracy and EER."""
    names = [name for name in DEMO_RUNS if name.startswith("demo-20d")]
    rows = [[DEMO_RUNS[name].title, *accuracy_and_eer(records.get(name))] for name in names]
    return table(["loss", "accuracy", "EER"], rows)


def milliseconds(ms):
    """Three digits, or all before the point."""
    return f"{ms:,.0f} ms" if ms >= 1000 else f"{ms:.3g} ms"


def bench_table(parts):
    """Time of a step as a ratio to its backend's first row, with quartiles and milliseconds."""
    sizes = list(dict.fromkeys(tuple(part["size"]) for part in parts))
    cells = {}
    for part in parts:
        shown = [row for row in part["rows"] if row[0] not in LIKE_OTHERS]
        for name, ms, ratio, lower, upper, _ in shown:
            # the first row has no spread, and older records have none at all
            spread = "" if lower == upper else f" ({lower:.2f} to {upper:.2f})"
            cell = f"{ratio:.2f}{spread}, {milliseconds(ms)}"
            cells.setdefault((part["kind"], name), {})[tuple(part["size"])] = cell
    header = ["backend", "head and loss", *(f"B {b}, D {d}, C {c:,}" for b, d, c in sizes)]
    return table(header, [[*key, *(row.get(s, "–") for s in sizes)] for key, row in cells.items()])


def short_bench_table(parts):
    """ArcFace on each backend, and insightface's formula, as a ratio to Dense and in time."""
    cells = {}
    for part in parts:
        device = "CPU" if part["device"] == "CPU" else "GPU"
        for name, ms, ratio, *_ in part["rows"]:
            if name in SHORT_COST[device].get(part["kind"], ()):
                place = part["device"].removeprefix("NVIDIA ").split()[0]
                row = cells.setdefault((f"{place}, {part['kind']}", name), {})
                row[part["size"][2]] = f"{ratio:.2f}, {milliseconds(ms)}"
    header = ["device and backend", "head and loss", *(f"C {c:,}" for c in SHORT_SIZES)]
    rows = [[*key, *(row.get(c, "–") for c in SHORT_SIZES)] for key, row in cells.items()]
    return table(header, rows)


def search_tables():
    """Exact search by the number of enrolled, and all ways at two numbers of them."""
    found = {"search by size": search.sizes_table()}
    found |= {f"search among {size:,}": search.ways_table(size) for size in (100_000, 1_000_000)}
    return {name: table(one.header, one.rows) for name, one in found.items()}


def tables():
    """The tables of each page by the names that their comment lines have."""
    results, bench = read_results(), json.loads(BENCH_FILE.read_text(encoding="utf-8"))
    lesson, full = (
        {name: Record(entry["title"], entry["rows"]) for name, entry in results[mode].items()}
        for mode in ("lesson", "full")
    )
    long = {
        "lesson mode": losses_table(lesson),
        "faces never seen": faces_table(lesson),
        "spoiled faces": severity_table(),
        "full mode": losses_table(full, digits=4),
        "demonstration in 2-D": demo_2d_table(full),
        "demonstration in 20-D": demo_20d_table(full),
        "cost of a step": bench_table([part for part in bench if part["device"] == "CPU"]),
        "cost of a step on a GPU": bench_table([part for part in bench if part["device"] != "CPU"]),
    } | search_tables()
    short = {"faces in short": short_faces_table(lesson), "cost in short": short_bench_table(bench)}
    return {README: short, RESULTS: long}


def with_tables(text, parts):
    """The text with each table in its place.

    Raises:
        Problem: if the comment lines of a table are missing.
    """
    for name, content in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        if not (found and found_end):
            raise Problem(
                f"there is no place for a table: the page needs `{start.strip()}`, `{end}`."
            )
        text = f"{before}{start}{content}\n{end}{after}"
    return text


def main():
    try:
        for page, parts in tables().items():
            write_atomically(page, with_tables(page.read_text(encoding="utf-8"), parts))
    except Problem as problem:
        sys.exit(str(problem))


if __name__ == "__main__":
    main()
