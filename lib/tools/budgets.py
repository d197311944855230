"""What a lesson costs: minutes of reading, and on two cores seconds of computing and memory.

    python -m lib.tools.budgets [NOTEBOOK ...]

Executes the notebooks, every lesson without names, and keeps what each took in data/budgets.json.
Then it writes the costs into the title cells of the lessons and the table in the README. The time
to read follows from the text alone: `--read` executes nothing.
"""

import argparse
import contextlib
import json
import math
import os
import re
import sys
import threading
import time
from pathlib import Path

from lib.files import Problem, write_atomically

import psutil

from . import navigation, private_state, render

BUDGETS_FILE = render.ROOT / "data" / "budgets.json"
README = render.ROOT / "README.md"
TIME_LINE = re.compile(r"^\*\*Time:\*\* .*$", re.MULTILINE)


# --- reading --------------------------------------------------------------------------------------


def count_words(notebook):
    """Words of prose: not code, addresses, links or the quiz; a formula is one word."""
    total = 0
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or cell.id in (
            navigation.TOP,
            navigation.END,
            navigation.QUIZ,
        ):
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


def measure(path):
    """Execute a notebook; return its seconds, and the most megabytes its processes held at once.

    Looks five times a second; a shorter peak is missed. Nothing is stored.
    """
    held, ended = [0], threading.Event()

    def watch():
        while not ended.wait(0.2):
            with contextlib.suppress(psutil.Error):  # one may end while it is looked at
                children = psutil.Process().children(recursive=True)
                held.append(sum(child.memory_info().rss for child in children))

    thread = threading.Thread(target=watch)
    thread.start()
    began = time.perf_counter()
    try:
        render.execute(render.read(path), path.parent)
    finally:
        seconds = time.perf_counter() - began
        ended.set()
        thread.join()
    return {"seconds": round(seconds, 1), "megabytes": round(max(held) / 1e6)}


def read_budgets():
    """What was measured: lesson → seconds and megabytes."""
    return json.loads(BUDGETS_FILE.read_text(encoding="utf-8"))


# --- the texts ------------------------------------------------------------------------------------


def costs(notebook, entry):
    """Minutes of reading, seconds and gigabytes as they are stated, for what was measured.

    Seconds are the next multiple of five, memory is the next tenth of a gigabyte.
    """
    seconds = 5 * math.ceil(entry["seconds"] / 5)
    gigabytes = math.ceil(entry["megabytes"] / 100) / 10
    return reading_minutes(notebook), seconds, f"{gigabytes:.1f}"


def with_time(text, notebook, entry):
    """The text of a title cell, with the costs in its line.

    Raises:
        Problem: if it has no line for them.
    """
    minutes, seconds, gigabytes = costs(notebook, entry)
    line = (
        f"**Time:** {minutes} minutes of reading; on two cores {seconds} seconds of computing and "
        f"{gigabytes} GB of memory."
    )
    text, found = TIME_LINE.subn(line, text)
    if not found:
        raise Problem("the title cell needs a line that begins with **Time:**")
    return text


def with_row(text, name, notebook, entry):
    """The README with the last three cells of a lesson's row replaced."""
    minutes, seconds, gigabytes = costs(notebook, entry)
    row = rf"^(\| \[[^|]*\]\(notebooks/{re.escape(name)}\) \|[^|]*\|).*$"
    return re.sub(
        row, rf"\g<1> {minutes} min | {seconds} s | {gigabytes} GB |", text, flags=re.MULTILINE
    )


def update(path, only_read):
    """Measure a lesson, and bring the record, its title cell and the README up to date."""
    measured = read_budgets()
    if path.parent != render.LESSONS:
        raise Problem("is no lesson")
    if not only_read:
        measured[path.stem] = measure(path)
        write_atomically(BUDGETS_FILE, json.dumps(measured, indent=1, sort_keys=True) + "\n")
    if path.stem not in measured:
        raise Problem("has not been measured yet: run `make budgets`")
    entry, notebook = measured[path.stem], render.read(path)
    notebook.cells[0].source = with_time(notebook.cells[0].source, notebook, entry)
    render.store(notebook, path)
    write_atomically(README, with_row(README.read_text("utf-8"), path.name, notebook, entry))
    print(f"{path.stem:30} {entry['seconds']:5.1f} s {entry['megabytes']:5} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measure lessons and state what they cost.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="lessons; all without")
    parser.add_argument("--read", action="store_true", help="only bring the texts up to date")
    options = parser.parse_args()
    private_state.use()
    os.environ["COURSE_MODE"] = "lesson"
    for path in options.notebooks or sorted(render.LESSONS.glob("*.ipynb")):
        try:
            update(path.resolve(), options.read)
        except Problem as problem:
            sys.exit(f"{render.shown(path)}: {problem}")


if __name__ == "__main__":
    main()
