"""Build the course's website from the stored outputs of the notebooks; nothing is executed.

    python -m lib.tools.site [--output FOLDER] [--check-links]

It needs no network, and neither do its pages: they are read from a folder as well as from a server.
A link that leads nowhere and a formula that cannot be drawn stop the build.
"""

import argparse
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from ...files import Problem
from .. import private_state
from . import address, staging

HERE = Path(__file__).resolve().parent
OUTPUT = address.ROOT / "build" / "site"
MARK = "searchindex.js"  # by which a folder is known as a website of this kind
LARGEST_REPORT = 20  # warnings in one message


def run_sphinx(folder, builder):
    """Let Sphinx make pages of the sources in `folder`; return where they are.

    Raises:
        Problem: with all that Sphinx warns of.
    """
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of its list of fonts
    os.environ["KERAS_BACKEND"] = "numpy"  # lib is imported to be read: the fastest does
    from sphinx.application import Sphinx  # here, since `--help` should not wait for it
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    sources, pages, warnings = folder / "sources", folder / "made" / "site", folder / "warnings"
    with warnings.open("w+", encoding="utf-8") as log, patch_docutils(HERE), docutils_namespace():
        app = Sphinx(
            *(sources, HERE, pages, folder / "doctrees", builder),
            status=None,
            warning=log,
            parallel=os.cpu_count() or 1,
        )
        app.build()
        log.seek(0)
        told = re.sub(r"\x1b\[[\d;]*m", "", log.read())  # colours
    told = told.replace(f"{sources}/", "").strip().splitlines()
    if told:
        more = len(told) - LARGEST_REPORT
        raise Problem(
            "\n".join(told[:LARGEST_REPORT] + ([f"and {more} more lines"] if more > 0 else []))
            + "\nMend that in the sources: the website is as it was before."
        )
    return pages


def check_links(folder):
    """Look up the links to outside, which needs a network.

    Raises:
        Problem: with all that lead nowhere.
    """
    run_sphinx(folder, "linkcheck")
    print("Every link to outside leads somewhere.")


def checked_target(folder):
    """The folder for the website; a Problem if something else is in it."""
    target = folder.resolve()
    if target.exists() and any(target.iterdir()) and not (target / MARK).exists():
        raise Problem(
            f"{target} is there already and is no website of this course. Delete it, or choose "
            "another folder: make site OUT=/path/to/folder."
        )
    return target


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Build the course's website.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: build/site")
    parser.add_argument(
        "--check-links", action="store_true", help="look up the links to outside instead"
    )
    options = parser.parse_args(arguments)
    private_state.use()
    from . import figures  # here: it imports Matplotlib, which looks for its folder at once

    began, target = time.monotonic(), checked_target(options.output)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        staging.stage(folder / "sources", address.repository())
        if options.check_links:
            return check_links(folder)
        pages = run_sphinx(folder, "html")
        figures.write_data(pages / "_static" / "figures")
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(pages, target)
    print(f"The website in {time.monotonic() - began:.0f} s: {target / 'index.html'}")


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(str(problem))
