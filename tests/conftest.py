"""What every test runs with: lesson mode, and nothing written into the checkout or the home."""

import gc
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from lib.tools import private_state

import hypothesis
import pytest
from hypothesis.configuration import set_hypothesis_home_dir

ROOT = Path(__file__).resolve().parents[1]

os.environ["COURSE_MODE"] = "lesson"
os.environ.pop("COURSE_PROJECTOR", None)
_state = private_state.use()

set_hypothesis_home_dir(_state / "hypothesis")
# The same examples in every run: a failure that somebody sees, everybody sees.
hypothesis.settings.register_profile(
    "course", database=None, deadline=None, derandomize=True, max_examples=60
)
hypothesis.settings.load_profile("course")


def pytest_collection_finish(session):
    """What is imported by now stays: leave it out of each search for garbage that a test starts."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session):
    """Of what holds on every backend, nothing is skipped without anybody seeing it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if "backends" in session.config.option.markexpr and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True, scope="module")
def nothing_is_left_to_the_next_file():
    """Figures and models of the files before would make each search for garbage slow."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def the_same_variables_for_every_test():
    """Commands that a test calls set variables for what they start; the next test has its own."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the website, built once."""
    folder = tmp_path_factory.mktemp("site") / "built"
    command = [sys.executable, "-m", "lib.tools.site", "--output", folder]
    without = {name: value for name, value in os.environ.items() if name != "GITHUB_REPOSITORY"}
    subprocess.run(command, cwd=ROOT, env=without, check=True)
    return folder
