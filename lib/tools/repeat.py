"""Run lessons again, and under other arithmetic, and compare what they print and draw.

    python -m lib.tools.repeat [NOTEBOOK ...]

Without names, every lesson. Each is run twice, with the code that its open questions suggest at
the end: all that it prints and draws must be the same to the last digit and pixel, but for measured
times, and rounding errors where a claim measures those. Then it is run with one thread, without
oneDNN's kernels and compiled by XLA: digits may differ then, but no claim may fail. Nothing is
stored.
"""

import argparse
import os
import re
import sys
from pathlib import Path
from unittest import mock

from lib.files import Problem

from nbformat.v4 import new_code_cell

from . import exercises, private_state, render

CONDITIONS = {
    "again": {},
    "one thread": {
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    },
    "oneDNN off": {"TF_ENABLE_ONEDNN_OPTS": "0"},
    "XLA": {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit"},
}
# A cell whose results are times without a unit, such as ratios of them, says so with this tag.
TIMED = "timed"
# Not "0.2, s 16": there, s is a scale.
TIME = r"\d+(?:[.,]\d+)*(?= ?(?:s|ms|seconds?)\b(?! ?=? ?\d))"
# A difference of two ways to compute the same: how threads share the work decides its last bits.
ROUNDING = r"\d[\d.]*e-(?:0[6-9]|[1-9]\d)\b|\b0(?= \(at most 1e-0[5-9]\))"


def results(notebook):
    """What the cells of an executed, cleaned notebook show, by cell id, without measured times."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and TIMED not in cell.metadata.get("tags", ()):
            found[cell.id] = [_lasting(output) for output in cell.outputs]
    return found


def _lasting(output):
    """A picture as it is, a text without times and rounding errors; by type."""
    shown = output.get("data") or {"text/plain": output.text}
    return {
        kind: content if kind == "image/png" else re.sub(f"{TIME}|{ROUNDING}", "…", content)
        for kind, content in shown.items()
    }


def with_answers(notebook):
    """The notebook, with a cell at its end for each piece of code in an answer that unfolds."""
    for cell in [cell for cell in notebook.cells if cell.cell_type == "markdown"]:
        answers = re.findall(exercises.UNFOLDING, cell.source, re.DOTALL)
        code = re.findall(r"```python\n(.*?)```", "".join(text for _, text in answers), re.DOTALL)
        notebook.cells += [
            new_code_cell(source, id=f"{cell.id}-answer-{number}")
            for number, source in enumerate(code, 1)
        ]
    return notebook


def run(path, environment):
    """Execute a lesson with these variables; return its results.

    Raises:
        Problem: if a cell fails, as one does whose claim does not hold.
    """
    notebook = with_answers(render.read(path))
    with mock.patch.dict(os.environ, environment):  # the kernel inherits them
        render.execute(notebook, path.parent)
    render.clean(notebook)
    return results(notebook)


def failures(path):
    """Run a lesson in every way and print a line for each; return how many of them failed."""
    failed, first = 0, None
    for name, environment in {"first run": {}, **CONDITIONS}.items():
        try:
            shown = run(path, environment)
        except Problem as problem:
            print(f"{render.shown(path)}, {name}: {problem}", flush=True)
            failed += 1
            continue
        first = first or shown
        changed = [cell for cell in first if first[cell] != shown[cell]]
        verdict = f"not the same in {', '.join(changed)}" if changed else "the same"
        print(f"{render.shown(path)}, {name}: all claims hold, {verdict}", flush=True)
        failed += name == "again" and bool(changed)
    return failed


def main():
    parser = argparse.ArgumentParser(description="Run lessons again and compare.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="lessons; all without")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # a claim may be named by letters that a pipe lacks
    private_state.use()
    os.environ["COURSE_MODE"] = "lesson"
    paths = [path.resolve() for path in options.notebooks]
    failed = sum(map(failures, paths or sorted(render.LESSONS.glob("*.ipynb"))))
    if failed:
        sys.exit(f"{failed} runs failed, or the second was not the same")


if __name__ == "__main__":
    main()
