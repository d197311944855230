"""Resolve the lists of packages again, for all systems and Pythons of the course.

    python -m lib.tools.lock [--upgrade]

requirements.txt becomes requirements.lock, and tests/requirements.txt, with the same releases,
tests/requirements.lock. uv resolves, in a temporary environment, from its own default registry.
What is locked already stays where it still fits, unless --upgrade is given.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from ..files import write_atomically
from . import bootstrap

HEADER = """\
# Exact releases with their hashes, for Linux, macOS and Windows and Python {range}.
# Made from {source} by `make lock`: change that file, not this one.
"""


def resolve(uv, source, folder, upgrade, constraints=()):
    """Lock one list, its file a path below the root; raises CalledProcessError if it cannot be."""
    lock = source.replace(".txt", ".lock")
    answer = os.path.join(folder, os.path.basename(os.path.dirname(lock)) + ".lock")
    if not upgrade and os.path.exists(os.path.join(bootstrap.ROOT, lock)):
        shutil.copyfile(os.path.join(bootstrap.ROOT, lock), answer)  # uv keeps what it finds there
    command = [*uv, "pip", "compile", source, "--output-file", answer, "--quiet", "--no-header"]
    command += ["--universal", "--python-version", bootstrap.dotted(bootstrap.OLDEST)]
    command += ["--fork-strategy=fewest", "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    command += [f"--constraints={file}" for file in constraints]
    subprocess.run(command, cwd=bootstrap.ROOT, stdout=subprocess.DEVNULL, check=True)
    with open(answer, encoding="utf-8") as file:
        text = HEADER.format(range=bootstrap.RANGE, source=source) + file.read()
    write_atomically(os.path.join(bootstrap.ROOT, lock), text)
    print(f"{lock} is up to date.")


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Resolve the lists of packages again.")
    parser.add_argument("--upgrade", action="store_true", help="move to the newest releases")
    upgrade = parser.parse_args(arguments).upgrade
    try:
        with tempfile.TemporaryDirectory() as folder:
            python = bootstrap.venv_python(folder)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "uv>=0.9,<1"], check=True)
            uv = [python, "-m", "uv"]
            resolve(uv, "requirements.txt", folder, upgrade)
            resolve(uv, "tests/requirements.txt", folder, upgrade, ["requirements.lock"])
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"Cannot make the lock: {' '.join(error.cmd[1:5])} failed, see above."
        ) from None


if __name__ == "__main__":
    main()
