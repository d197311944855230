"""Delete what the other commands made: the environment, caches, build/ and dist/.

    python -m lib.tools.clean [VENV]

An environment that somebody made elsewhere is left alone, and so is data/mnist.npz.
"""

import os
import shutil
import sys
from pathlib import Path

from . import bootstrap

CACHES = {"__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache", ".hypothesis"}


def is_ours(venv, root):
    """Whether the folder is an environment that this project made, or one inside its checkout."""
    inside = root in venv.resolve().parents and (venv / "pyvenv.cfg").exists()
    return inside or bool(bootstrap.read_stamp(venv).get("created"))


def leftovers(root):
    """The caches, build/ and dist/ of `root`, without looking into environments."""
    yield from (path for path in (root / "build", root / "dist") if path.exists())
    for folder, names, files in os.walk(root):
        yield from (Path(folder, name) for name in CACHES.intersection(names))
        names[:] = [] if "pyvenv.cfg" in files else set(names) - CACHES - {".git"}


def main(venv=".venv", root=Path(bootstrap.ROOT)):
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a path may have letters that a pipe lacks
    venv = Path(venv)
    ours = is_ours(venv, root)
    if venv.exists() and not ours:
        print(f"Left alone: {venv} was not made by this project.")
    for path in [venv] * ours + list(leftovers(root)):
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
        print(f"Deleted {path}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
