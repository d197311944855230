"""Run lessons with other seeds than theirs, and list the claims that do not hold then.

    python -m lib.tools.seeds SEED [SEED ...] [--lessons NOTEBOOK ...]

A lesson says `set_seed(0)` and claims what it measures. With each of these seeds it is run once, in
a copy in which a claim that does not hold is noted and does not stop. Nothing is stored.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from lib.files import Problem

import nbformat
from nbconvert.filters import strip_ansi

from . import private_state, render

SEED = re.compile(r"\bset_seed\(0\)")
FAILED = "✗ "

# Runs behind the imports: the lesson calls `course.claim`.
NOTE_CLAIMS = f"""
_claim = course.claim

def note(text, *bounds, **more):
    try:
        _claim(text, *bounds, **more)
    except AssertionError as error:
        print("{FAILED}" + str(error).partition(". On another machine")[0])

course.claim = note
"""


def with_seed(notebook, seed):
    """Give every training of a notebook this seed, and let claims be noted; how many were given."""
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, found = SEED.subn(f"set_seed({seed})", cell.source)
            count += found
            if cell.id == "setup":
                cell.source += NOTE_CLAIMS
    return count


def failed_claims(path, seed):
    """What does not hold in a lesson with this seed: (cell, claim) each; an error is one, too."""
    notebook = nbformat.read(path, as_version=4)
    if not with_seed(notebook, seed):
        return []
    failed = []
    try:
        render.execute(notebook, path.parent)
    except Problem as problem:
        failed.append(("stops", strip_ansi(str(problem)).strip().splitlines()[-1]))
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            lines = output.get("text", "").splitlines()
            failed += [(cell.id, line[len(FAILED) :]) for line in lines if line.startswith(FAILED)]
    return failed


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seeds", nargs="+", type=int, metavar="SEED")
    parser.add_argument("--lessons", nargs="*", type=Path, metavar="NOTEBOOK")
    asked = parser.parse_args(arguments)
    private_state.use()
    os.environ["COURSE_MODE"] = "lesson"
    count = 0
    for path in asked.lessons or sorted(render.LESSONS.glob("*.ipynb")):
        if not path.exists():
            print(f"{path}: there is no such notebook", file=sys.stderr)
            return 2
        for seed in asked.seeds:
            failed = failed_claims(path, seed)
            count += len(failed)
            print(f"{path.name}, seed {seed}: {len(failed) or 'no'} claims fail", flush=True)
            for cell, claim in failed:
                print(f"    {cell}: {claim}")
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
