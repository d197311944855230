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
import time
from pathlib import Path
from unittest import mock

from nbformat.v4 import new_code_cell

from . import exercises, private_state, render

CONDITIONS = {
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
TIME = re.compile(r"\d[\d.,]*(?= ?(?:s|ms|seconds?)\b)")
# A difference of two ways to compute the same: how threads share the work decides its last bits.
ROUNDING = re.compile(r"\d[\d.]*e-(?:0[6-9]|[1-9]\d)\b|\b0(?= \(at most 1e-0[5-9]\))")


def results(notebook):
    """What the cells of an executed notebook show, by cell id: pictures, texts without times."""
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and TIMED not in cell.metadata.get("tags", ()):
            found[cell.id] = [_shown(output) for output in cell.outputs]
    return found


def _shown(output):
    if output.output_type == "stream":
        return _lasting(output.text)
    return {k: v if k == "image/png" else _lasting(v) for k, v in output.data.items()}


def _lasting(text):
    return ROUNDING.sub("…", TIME.sub("…", text))


def with_answers(notebook):
    """The notebook, with a cell at its end for each piece of code in an answer that unfolds."""
    for cell in [cell for cell in notebook.cells if cell.cell_type == "markdown"]:
        for number, code in enumerate(_code_in_answers(cell.source), 1):
            notebook.cells.append(new_code_cell(code, id=f"{cell.id}-answer-{number}"))
    return notebook


def _code_in_answers(text):
    answers = [answer for _, answer in re.findall(exercises.UNFOLDING, text, re.DOTALL)]
    return re.findall(r"```python\n(.*?)```", "".join(answers), re.DOTALL)


def run(path, environment):
    """Execute a lesson with these variables; return its results and the seconds it took.

    Raises:
        render.Problem: if a cell fails, as one does whose claim does not hold.
    """
    began = time.monotonic()
    notebook = with_answers(render.read(path))
    with mock.patch.dict(os.environ, environment):  # the kernel inherits them
        render.execute(notebook, path.parent)
    render.clean(notebook)
    return results(notebook), time.monotonic() - began


def differences(first, second):
    """The ids of the cells that do not show the same."""
    return [cell for cell in first if first[cell] != second[cell]]


def check(path):
    """Run one lesson in every way and print a line for each; return how many of them failed."""
    failed = 0
    first = None
    for name, environment in {"first run": {}, "again": {}, **CONDITIONS}.items():
        try:
            shown, seconds = run(path, environment)
        except render.Problem as problem:
            print(f"{render.shown(path)}, {name}: {problem}", flush=True)
            failed += 1
            continue
        first = shown if first is None else first
        changed = differences(first, shown)
        verdict = f"{len(changed)} of {len(shown)} cells differ, all claims hold"
        if name == "again" and changed:
            verdict = f"NOT THE SAME in {', '.join(changed)}"
            failed += 1
        elif not changed:
            verdict = "all claims hold" if name == "first run" else "the same"
        print(f"{render.shown(path)}, {name}: {verdict} ({seconds:.0f} s)", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description="Run lessons again and compare.")
    parser.add_argument("notebooks", nargs="*", help="lessons; all without")
    options = parser.parse_args()
    paths = [Path(name).resolve() for name in options.notebooks]
    private_state.use()
    failed = sum(check(path) for path in paths or sorted(render.LESSONS.glob("*.ipynb")))
    if failed:
        sys.exit(f"{failed} runs failed or were not the same")


if __name__ == "__main__":
    main()
