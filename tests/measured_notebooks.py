"""Measure every notebook that pytest executes, and hold it to its budget.

A lesson states its seconds and its memory; one that needs more than twice of either fails. How fast
the machine is just now is measured before and after each notebook.
"""

import time
from pathlib import Path

from lib.tools import budgets

import pytest
from nbmake.nb_result import NotebookError, NotebookResult
from nbmake.pytest_items import NotebookFailedException


class MeasuredNotebooks:
    """The pytest plugin. `measured`: notebook → seconds, megabytes and calibration."""

    def __init__(self):
        self.measured = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if item.path.suffix != ".ipynb":
            return (yield)
        before = budgets.calibrate()
        began = time.perf_counter()
        with budgets.PeakMemory() as memory:
            result = yield
        self.measured[notebook_name(item.path)] = measured = {
            "seconds": round(time.perf_counter() - began, 1),
            "megabytes": round(memory.megabytes),
            "calibration": round(max(before, budgets.calibrate()), 3),
        }
        if not item.config.getoption("--write-budgets", default=False):
            complaint = budgets.complaint(
                notebook_name(item.path), measured, budgets.read_budgets()
            )
            if complaint:
                raise failure(complaint)
        return result

    def pytest_terminal_summary(self, terminalreporter, config):
        for name, measured in sorted(self.measured.items()):
            terminalreporter.write_line(
                f"{name:36} {measured['seconds']:6.1f} s {measured['megabytes']:6} MB  "
                f"calibration {measured['calibration']:.3f} s"
            )
        if self.measured and config.getoption("--write-budgets", default=False):
            budgets.write_budgets(self.measured)


def failure(complaint):
    """The exception that nbmake shows in one line."""
    error = NotebookError(summary=complaint, trace=complaint, failing_cell_index=0)
    return NotebookFailedException(NotebookResult(nb=None, error=error))


def notebook_name(path):
    """ "01_softmax", or "solutions/01_softmax"."""
    folder = "solutions/" if path.parent.name == "solutions" else ""
    return folder + Path(path).stem
