"""Claims can fail, self-checks give their hints, and the report names what is out of range."""

import io
import math
import re
import sys
from importlib import metadata

from lib import course

import numpy as np
import pytest
from packaging.requirements import Requirement


@pytest.fixture(autouse=True)
def no_verdicts_from_other_tests(monkeypatch):
    monkeypatch.setattr(course, "_last_verdicts", {})


# --- claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({"low": 0.9}, "at least 0.9"),
        ({"high": 0.99}, "at most 0.99"),
        ({"low": 0.9, "high": 0.99}, "between 0.9 and 0.99"),
        ({"low": 0.95, "high": 0.95}, "exactly 0.95"),
    ],
)
def test_a_claim_that_holds_is_printed_with_its_bounds(bounds, text, capsys):
    course.claim("accuracy", 0.95, **bounds)
    assert capsys.readouterr().out == f"✓ accuracy: 0.95 ({text})\n"


@pytest.mark.parametrize("value", [0.89, math.nan, -math.inf])
def test_a_claim_that_does_not_hold_fails_with_the_measured_value(value):
    with pytest.raises(AssertionError, match=f"measured {value:.4g}"):
        course.claim("accuracy", value, low=0.9)


def test_in_full_mode_a_claim_of_lesson_mode_is_only_marked(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_MODE", "full")
    course.claim("accuracy", 0.99, high=0.95)
    assert capsys.readouterr().out == "○ accuracy: 0.99 (in lesson mode at most 0.95)\n"


def test_a_pipe_that_has_no_check_mark_gets_the_claim_all_the_same(monkeypatch):
    """What `python lesson.py > log.txt` is on Windows."""
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", pipe)
    course.claim("angle ≥ 2θ", 0.95, low=0.9)
    monkeypatch.setattr(course, "_last_verdicts", {"it": check_doubling(lambda number: 2 * number)})
    course.require_all_passed()
    pipe.flush()
    lines = pipe.buffer.getvalue().decode("cp1252").splitlines()
    assert lines == ["? angle ? 2?: 0.95 (at least 0.9)", "? all 1 exercises solved"]


def test_a_claim_without_bounds_could_not_fail():
    with pytest.raises(ValueError, match="needs a bound"):
        course.claim("accuracy", 0.95)


def test_two_ways_that_agree_are_said_in_one_line(capsys):
    course.agrees([1.0, 2.0], np.array([1.0, 2.0 + 1e-6]))
    course.agrees(0.5, np.float32(0.5))
    assert capsys.readouterr().out == 2 * "✓ by hand as in lib\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        ([1.0, 2.0], [1.0, 2.1], "differ by 0.1, more than 1e-05"),
        ([1.0, math.nan], [1.0, 2.0], "differ by nan"),
        ([1.0], 1.0, r"by hand there are \(1,\) values"),
    ],
)
def test_two_ways_that_do_not_agree_fail(ours, theirs, message):
    with pytest.raises(AssertionError, match=message):
        course.agrees(ours, theirs)


# --- exercises ------------------------------------------------------------------------------------


@course.self_check("doubling")
def check_doubling(double):
    if double(3) == 9:
        raise course.Hint("that is the square.")
    if double(3) != 6:
        raise course.Hint("twice 3 is 6.")
    return "right."


def unsolved(number):
    raise NotImplementedError("your turn")


def crashing(number):
    return {}["missing"]


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (lambda number: 2 * number, "passed", "right."),
        (lambda number: number**2, "wrong", "that is the square."),
        (unsolved, "not started", "write the missing lines"),
        (..., "not started", "replace the `...`"),
        (crashing, "wrong", "your code stopped with KeyError: 'missing'"),
    ],
)
def test_a_self_check_tells_states_apart_and_never_raises(answer, state, message):
    verdict = check_doubling(answer)
    assert verdict.state == state
    assert message in repr(verdict)


def test_all_passed_needs_every_check_to_pass_and_at_least_one():
    with pytest.raises(AssertionError, match="no self-check"):
        course.require_all_passed()
    check_doubling(lambda number: number**2)
    with pytest.raises(AssertionError, match="that is the square"):
        course.require_all_passed()
    check_doubling(lambda number: 2 * number)
    course.require_all_passed()


# --- environment ----------------------------------------------------------------------------------


def test_the_report_names_versions_processor_gpu_and_mode():
    text = repr(course.environment_report())
    for part in ("Python", "tensorflow", metadata.version("keras"), "cores", "GPU", "lesson"):
        assert part in text


def test_a_version_outside_the_tested_range_is_named():
    installed = {"keras": "99.0", "numpy": "2.1"}
    warnings = list(
        course.version_warnings(
            [Requirement("keras>=3.10,<4"), Requirement("numpy>=2,<3")], installed.get
        )
    )
    assert len(warnings) == 1
    assert "keras 99.0" in warnings[0]
    assert ">=3.10" in warnings[0]


def test_a_missing_package_is_named(monkeypatch):
    warnings = list(course.version_warnings([Requirement("no-such-package>=1")]))
    assert "no-such-package is missing" in warnings[0]

    def version(name):
        if name == "ipympl":
            raise metadata.PackageNotFoundError(name)
        return None if name == "matplotlib" else "1.0"  # None: a folder is left, but empty

    monkeypatch.setattr(metadata, "version", version)
    text = repr(course.environment_report())
    assert re.search(r"^ipympl +missing$", text, re.MULTILINE)
    assert re.search(r"^matplotlib +missing$", text, re.MULTILINE)
    assert "! ipympl is missing: install" in text


@pytest.mark.parametrize(
    ("python", "count"), [((3, 10), 1), ((3, 11), 0), ((3, 13), 0), ((3, 14), 1)]
)
def test_an_untested_python_is_named(python, count):
    assert len(list(course.version_warnings([Requirement("keras")], python=python))) == count


@pytest.mark.parametrize(
    ("system", "variable", "reason"),
    [
        ("Linux", "-1", "CUDA_VISIBLE_DEVICES hides it"),
        ("Windows", None, "native Windows"),
        ("Darwin", None, "Mac"),
    ],
)
def test_the_report_says_why_there_is_no_gpu(system, variable, reason, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if variable:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    monkeypatch.setattr(course.platform, "system", lambda: system)
    assert reason in course._why_no_gpu(built_with_cuda=True)


def test_a_driver_without_cuda_libraries_is_told_apart_from_no_driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(course.platform, "system", lambda: "Linux")
    monkeypatch.setattr(course.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert "and-cuda" in course._why_no_gpu(built_with_cuda=True)
    assert "built without CUDA" in course._why_no_gpu(built_with_cuda=False)
