"""What a lesson costs: minutes of reading, and on two cores seconds of computing and memory.

    python -m lib.tools.budgets

`make budgets` executes every notebook, measures it and writes data/budgets.json. This script then
brings the title cells of the lessons and the table in the README up to date, from that file and
from the length of the texts. `make test` measures again, and fails where a notebook needs more than
twice what is stated.
"""

import json
import math
import os
import re
import statistics
import sys
import threading
import time
from pathlib import Path

import nbformat

from . import navigation

ROOT = Path(__file__).resolve().parents[2]
BUDGETS_FILE = ROOT / "data" / "budgets.json"
README = ROOT / "README.md"
LESSONS = ROOT / "notebooks"

ALLOWED = 2  # times what is stated
START = 10  # seconds more: starting a kernel and importing TensorFlow depend on the disk, too
QUIZ = "quiz"  # the id of the cell with the questions whose answers unfold
TIME_LINE = re.compile(r"^\*\*Time:\*\* .*$", re.MULTILINE)


# --- reading --------------------------------------------------------------------------------------


def count_words(notebook):
    """Words of prose: not code, addresses, links or the quiz; a formula is one word."""
    total = 0
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or cell.id in (navigation.TOP, navigation.END, QUIZ):
            continue
        text = TIME_LINE.sub(" ", cell.source)  # it states what follows from this count
        text = re.sub(r"^```.*?^```", " ", text, flags=re.MULTILINE | re.DOTALL)
        text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", " formula ", text, flags=re.DOTALL)
        text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
        total += len(re.findall(r"\w+(?:['’-]\w+)*", text))
    return total


def reading_minutes(notebook):
    """Minutes to read a lesson and its pictures, without its exercises; a multiple of five.

    180 words a minute, since it is technical prose, half a minute for each formula that stands
    alone and for each picture, and twenty lines of code a minute.
    """
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    formulas = sum(source.count("$$") // 2 for source in sources)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    pictures = sum("image/png" in out.get("data", {}) for cell in code for out in cell.outputs)
    lines = sum(len(cell.source.splitlines()) for cell in code)
    minutes = count_words(notebook) / 180 + formulas / 2 + pictures / 2 + lines / 20
    return 5 * math.ceil(minutes / 5)


# --- measuring ------------------------------------------------------------------------------------


class PeakMemory:
    """The most memory, in MB, that the processes started by this one held together in a block.

    Looks five times a second; a shorter peak is missed.
    """

    def __enter__(self):
        self.megabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        import psutil

        parent = psutil.Process()
        while not self._stop.wait(0.2):
            total = 0
            for child in parent.children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:  # it has ended in the meantime
                    continue
            self.megabytes = max(self.megabytes, total / 1e6)


_calibration_step = None


def calibrate(repeats=5, steps=10):
    """Seconds that this machine needs now for a fixed piece of training; the median of a few."""
    global _calibration_step
    if _calibration_step is None:
        _calibration_step = _training_step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(steps):
            _calibration_step()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _training_step():
    """One step of the course's backbone and a cosine head, compiled, on a batch of grey images."""
    from lib.backbones import build_backbone
    from lib.layers import CosineHead
    from lib.losses import ArcFaceLoss

    import keras
    import numpy as np

    model = keras.Sequential([build_backbone(embedding_dim=2), CosineHead(num_classes=10)])
    model.compile("adam", loss=ArcFaceLoss(margin=0.2, scale=16))
    images = np.full((128, 28, 28, 1), 0.5, "float32")
    labels = np.arange(128) % 10
    model.train_on_batch(images, labels)  # compiles
    return lambda: model.train_on_batch(images, labels)


# --- the record -----------------------------------------------------------------------------------


def read_budgets(path=BUDGETS_FILE):
    """What `make budgets` measured: notebook → seconds, megabytes, calibration. {} at first."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_budgets(measured, path=BUDGETS_FILE):
    """Add measurements to the record, in one step."""
    unfinished = path.with_suffix(".tmp")
    text = json.dumps(read_budgets(path) | measured, indent=1, sort_keys=True) + "\n"
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def stated_seconds(entry):
    """Seconds as a lesson states them: the next multiple of five."""
    return 5 * math.ceil(entry["seconds"] / 5)


def stated_gigabytes(entry):
    """Memory as a lesson states it: the next tenth of a gigabyte."""
    return math.ceil(entry["megabytes"] / 100) / 10


def complaint(name, measured, budgets):
    """What a notebook needs beyond its budget, or None.

    Args:
        name: its path below notebooks/, without the ending.
        measured: its seconds and megabytes, and the calibration beside it, as `make budgets` keeps
            them; on a slower machine seconds count in proportion to the calibration.
        budgets: what `read_budgets` gives.
    """
    if name not in budgets:
        return f"{name} has no budget yet: run `make budgets`"
    stated = budgets[name]
    # A short calibration can be lucky, so it never makes the limit stricter.
    slower = max(1, measured["calibration"] / stated["calibration"])
    seconds = ALLOWED * stated_seconds(stated) * slower + START
    if measured["seconds"] > seconds:
        return (
            f"{name} took {measured['seconds']:.0f} s; it states {stated_seconds(stated)} s. On "
            f"this machine, {slower:.2f} times as slow, twice that + {START} s is {seconds:.0f} s"
        )
    gigabytes = ALLOWED * stated_gigabytes(stated)
    if measured["megabytes"] > 1000 * gigabytes:
        return (
            f"{name} needed {measured['megabytes'] / 1000:.1f} GB; it states "
            f"{stated_gigabytes(stated):.1f} GB, twice that is {gigabytes:.1f} GB"
        )
    return None


# --- the texts ------------------------------------------------------------------------------------


def time_line(notebook, entry):
    """The line of a lesson's title cell that says what it costs."""
    return (
        f"**Time:** {reading_minutes(notebook)} minutes of reading; on two cores "
        f"{stated_seconds(entry)} seconds of computing and {stated_gigabytes(entry):.1f} GB of "
        "memory."
    )


def state(notebook, entry):
    """Put the time line into the title cell; return whether that changed it.

    Raises:
        ValueError: if the title cell has no such line.
    """
    title = notebook.cells[0]
    if not TIME_LINE.search(title.source):
        raise ValueError("the title cell needs a line that begins with **Time:**")
    before = title.source
    title.source = TIME_LINE.sub(time_line(notebook, entry), before)
    return title.source != before


def table_cells(notebook, entry):
    """The last three cells of a lesson's row in the README."""
    return [
        f"{reading_minutes(notebook)} min",
        f"{stated_seconds(entry)} s",
        f"{stated_gigabytes(entry):.1f} GB",
    ]


def with_costs(text, costs):
    """The README with the last three cells of each lesson's row replaced; `costs` by file name."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        found = re.match(r"\| \[.*?\]\(notebooks/([^/)]+\.ipynb)\)", line)
        if found and found[1] in costs:
            cells = line.strip("|").split("|")
            kept = [cell.strip() for cell in cells[:2]]
            lines[number] = f"| {' | '.join(kept + costs[found[1]])} |"
    return "\n".join(lines)


def main():
    budgets, costs = read_budgets(), {}
    for path in sorted(LESSONS.glob("[0-9][0-9]_*.ipynb")):
        if path.stem not in budgets:
            sys.exit(f"{path.name} has not been measured yet: run `make budgets`")
        notebook = nbformat.read(path, as_version=4)
        if state(notebook, budgets[path.stem]):
            path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
            print(f"{path.name}: {time_line(notebook, budgets[path.stem])}")
        costs[path.name] = table_cells(notebook, budgets[path.stem])
    text = README.read_text(encoding="utf-8")
    README.write_text(with_costs(text, costs), encoding="utf-8")


if __name__ == "__main__":
    main()
