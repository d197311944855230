"""Importing the library is quiet and cheap."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SUBMODULES = sorted(
    path.stem for path in (ROOT / "lib").glob("*.py") if not path.stem.startswith("__")
)

TIMED_IMPORT = f"""
import time
import keras
start = time.perf_counter()
from lib import {", ".join(SUBMODULES)}
print(time.perf_counter() - start)
"""


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


def test_importing_everything_costs_little_more_than_keras():
    # the first run warms the disk cache; a busy machine gets a second chance
    seconds = [float(run_python(TIMED_IMPORT).stdout) for _ in range(3)]
    assert min(seconds) <= 0.3, seconds


def test_a_failing_import_still_shows_its_error():
    done = subprocess.run(
        [sys.executable, "-c", "import lib; raise SystemExit('the reason')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "the reason" in done.stderr
