"""What every test runs with: lesson mode, and nothing written into the checkout or the home."""

import gc
import os

import measured_notebooks
from lib.tools import private_state

import hypothesis
from hypothesis.configuration import set_hypothesis_home_dir

os.environ["COURSE_MODE"] = "lesson"
os.environ.pop("COURSE_PROJECTOR", None)
_state = private_state.use()

set_hypothesis_home_dir(_state / "hypothesis")
# The same examples in every run: a failure that somebody sees, everybody sees.
hypothesis.settings.register_profile("course", database=None, deadline=None, derandomize=True)
hypothesis.settings.load_profile("course")


def pytest_addoption(parser):
    parser.addoption(
        "--write-budgets",
        action="store_true",
        help="keep what each notebook needs in data/budgets.json instead of checking it",
    )


def pytest_collection_finish(session):
    """What is imported by now stays: leave it out of each search for garbage that a test starts."""
    gc.collect()
    gc.freeze()


def pytest_configure(config):
    config.pluginmanager.register(measured_notebooks.MeasuredNotebooks())
