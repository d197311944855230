"""Delete what the other commands made: the environment, caches, build/ and dist/.

    python -m lib.tools.clean [VENV]

An environment that somebody made elsewhere is left alone, and so is data/mnist.npz.
"""

import os
import shutil
import sys
from pathlib import Path

from . import bootstrap

CACHES = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache", ".hypothesis")
CACHES += (".benchmarks",)


def is_ours(venv, root):
    """Whether the folder is an environment that this project made, or one inside its checkout."""
    venv = Path(venv)
    if bootstrap.read_stamp(venv).get("created"):
        return True
    return root in venv.resolve().parents and (venv / "pyvenv.cfg").exists()


def leftovers(root):
    """The caches, build/ and dist/ of `root`, without looking into environments."""
    for folder, names, _ in os.walk(root):
        for name in list(names):
            path = Path(folder, name)
            made = name in CACHES or path in (root / "build", root / "dist")
            if made:
                yield path
            if made or name == ".git" or (path / "pyvenv.cfg").exists():
                names.remove(name)


def main(arguments=None):
    given = sys.argv[1:] if arguments is None else arguments
    venv, root = Path(given[0] if given else ".venv"), Path(bootstrap.ROOT)
    if is_ours(venv, root):
        shutil.rmtree(venv)
        print(f"Deleted {venv}")
    elif venv.exists():
        print(f"Left alone: {venv} was not made by this project.")
    for path in leftovers(root):
        shutil.rmtree(path)
        print(f"Deleted {path.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
