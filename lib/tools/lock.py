"""Resolve requirements.txt into requirements.lock, for all systems and Pythons of the course.

    python -m lib.tools.lock [--upgrade]

The resolver, uv, is installed in a temporary environment. One release of each package is chosen
for all; versions that are locked already stay where they still fit, unless --upgrade is given.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

from . import bootstrap

HEADER = """\
# Exact releases with their hashes, for Linux, macOS and Windows and Python {range}.
# Made from requirements.txt by `make lock`: change that file, not this one.
"""


def resolve(upgrade):
    """Write the lock anew; raises CalledProcessError where there is no solution."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = bootstrap.venv_python(folder)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
        answer = os.path.join(folder, "requirements.lock")
        if not upgrade and os.path.exists(bootstrap.LOCK):
            shutil.copyfile(bootstrap.LOCK, answer)  # uv keeps the releases it finds there
        oldest = bootstrap.dotted(bootstrap.OLDEST)
        options = ["--universal", "--python-version", oldest, "--fork-strategy", "fewest"]
        options += ["--generate-hashes", "--no-header", "--quiet"]
        options += ["--no-emit-index-url", "--no-emit-find-links"]
        subprocess.run(
            [python, "-m", "uv", "pip", "compile", "requirements.txt", "-o", answer, *options],
            cwd=bootstrap.ROOT,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        with open(answer, encoding="utf-8") as file:
            text = HEADER.format(range=bootstrap.RANGE) + file.read()
        new = bootstrap.LOCK + ".new"
        with open(new, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(new, bootstrap.LOCK)


def main():
    parser = argparse.ArgumentParser(description="Resolve requirements.txt again.")
    parser.add_argument("--upgrade", action="store_true", help="move to the newest releases")
    options = parser.parse_args()
    if bootstrap.unfit() or bootstrap.lacks_venv():
        other = bootstrap.find_python()
        if other is None:
            raise SystemExit(
                f"Cannot make the lock: {bootstrap.unfit() or bootstrap.lacks_venv()}."
            )
        return subprocess.call([other, os.path.abspath(__file__), *sys.argv[1:]])
    try:
        resolve(options.upgrade)
    except subprocess.CalledProcessError as error:
        print(f"Cannot make the lock: this failed: {error.cmd[2:6]} (see above).", file=sys.stderr)
        return 1
    print("requirements.lock is up to date.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
