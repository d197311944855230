"""Importing the library is quiet, and an error in it is not."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUBMODULES = sorted(
    path.stem for path in (ROOT / "lib").glob("*.py") if not path.stem.startswith("__")
)


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k not in ("TF_CPP_MIN_LOG_LEVEL",)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_importing_everything_prints_nothing():
    done = run_python(f"from lib import {', '.join(SUBMODULES)}")
    assert done.stdout == ""
    assert done.stderr == ""


def test_a_failing_import_still_shows_its_error():
    done = subprocess.run(
        [sys.executable, "-c", "import lib; raise SystemExit('the reason')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "the reason" in done.stderr
