"""What a lesson says about itself: the environment it runs in, its claims, its self-checks."""

import functools
import math
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
from packaging.requirements import Requirement

from .data import course_mode
from .tools.bootstrap import NEWEST, OLDEST, RANGE

REQUIREMENTS_FILE = Path(__file__).resolve().parent.parent / "requirements.txt"
SHOWN_PACKAGES = ("tensorflow", "keras", "numpy", "matplotlib", "ipympl", "jupyterlab")


# --- the environment ------------------------------------------------------------------------------


@dataclass(frozen=True)
class EnvironmentReport:
    """What this kernel runs on: (name, value) lines, and a warning for each thing out of range."""

    lines: tuple
    warnings: tuple

    def __repr__(self):
        width = max(len(name) for name, _ in self.lines)
        text = [f"{name:<{width}}  {value}" for name, value in self.lines]
        if self.warnings:
            text += ["", *(f"! {warning}" for warning in self.warnings)]
        else:
            text += ["", "✓ every version is in the range that the course is tested with"]
        return "\n".join(text)


def environment_report():
    """Python, packages, processor and graphics card of this kernel, and what is untested."""
    lines = [("Python", platform.python_version())]
    lines += [(name, _version(name) or "missing") for name in SHOWN_PACKAGES]
    lines += [
        ("backend", keras.backend.backend()),
        ("processor", f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"),
        ("GPU", describe_gpu()),
        ("mode", course_mode()),
    ]
    return EnvironmentReport(tuple(lines), tuple(version_warnings()))


def _version(package):
    """The installed version of a package; None if it is missing, or only its remains are there."""
    try:
        return metadata.version(package)
    except (metadata.PackageNotFoundError, KeyError):  # KeyError: a folder without its METADATA
        return None


def version_warnings(requirements=None, version_of=_version, python=sys.version_info):
    """One sentence for each package, and for Python, that is outside the tested range."""
    if not OLDEST <= tuple(python[:2]) <= NEWEST:
        yield f"Python {python[0]}.{python[1]} is untested: the course runs on Python {RANGE}."
    for requirement in requirements or _requirements():
        version = version_of(requirement.name)
        if version is None:
            yield f"{requirement.name} is missing: install with `pip install -r requirements.lock`."
        elif not requirement.specifier.contains(version, prereleases=True):
            yield (
                f"{requirement.name} {version} is outside the tested range "
                f"{requirement.specifier}: results may differ; install requirements.lock instead."
            )


def _requirements():
    text = REQUIREMENTS_FILE.read_text(encoding="utf-8")
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    requirements = [Requirement(line) for line in lines if line]
    return [r for r in requirements if r.marker is None or r.marker.evaluate()]


def describe_gpu():
    """Which graphics cards TensorFlow uses, or why it uses none."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if found:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in found]
        return "found: " + ", ".join(name or "unnamed" for name in names)
    return f"none, because {_why_no_gpu(tf.test.is_built_with_cuda())}; the course needs none"


def _why_no_gpu(built_with_cuda):
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return "CUDA_VISIBLE_DEVICES hides it"
    if platform.system() == "Windows":
        return "TensorFlow has no GPU support on native Windows (WSL2 has)"
    if platform.system() == "Darwin":
        return "TensorFlow's Mac build uses the processor only"
    if shutil.which("nvidia-smi") is None and not Path("/proc/driver/nvidia").exists():
        return "there is no NVIDIA driver here"
    if not built_with_cuda:
        return "this TensorFlow was built without CUDA"
    return "the CUDA libraries are missing (`pip install 'tensorflow[and-cuda]'` brings them)"


# --- claims ---------------------------------------------------------------------------------------


def claim(text, value, low=-math.inf, high=math.inf):
    """State something that was just measured, and fail if the measurement does not bear it out.

    The bounds of a lesson are those of lesson mode. With all of MNIST some numbers leave them, so
    in full mode a claim that does not hold is marked with ○ and the notebook goes on.

    Args:
        text: the claim, as a reader should read it.
        value: the measured number.
        low, high: where it must lie; set them from several recorded seeds, not from one run.

    Raises:
        AssertionError: in lesson mode, if the value is not in [low, high]; NaN never is.
        ValueError: if no bound is given: such a claim could not fail.
    """
    value = float(value)
    if low == -math.inf and high == math.inf:
        raise ValueError("a claim needs a bound: pass low=, high= or both.")
    bounds = _bounds_text(low, high)
    if low <= value <= high:
        _say(f"✓ {text}: {value:.4g} ({bounds})")
    elif course_mode() == "full":
        _say(f"○ {text}: {value:.4g} (in lesson mode {bounds})")
    else:
        raise AssertionError(
            f"{text}: measured {value:.4g}, claimed {bounds}. On another machine or version a "
            "number can move a little past its bound; a large difference means that the code or "
            "the data changed. Lesson 00 says how to get the original notebook back."
        )


def agrees(ours, theirs, tolerance=1e-5):
    """Say in one line that what a lesson has computed by hand is what `lib` computes.

    Args:
        ours, theirs: numbers, or arrays of one shape.
        tolerance: the largest difference allowed.

    Raises:
        AssertionError: if they differ by more, or in shape; NaN agrees with nothing.
    """
    ours, theirs = np.asarray(ours, "float64"), np.asarray(theirs, "float64")
    if ours.shape != theirs.shape:
        raise AssertionError(f"by hand there are {ours.shape} values, in lib {theirs.shape}.")
    difference = np.abs(ours - theirs).max(initial=0.0)
    if not difference <= tolerance:
        raise AssertionError(
            f"by hand and by lib differ by {difference:.3g}, more than {tolerance:g}."
        )
    _say("✓ by hand as in lib")


def _say(text):
    """Print, also where the terminal or a pipe has no ✓: a lesson run as a script on Windows."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _bounds_text(low, high):
    if low == high:
        return f"exactly {low:.4g}"
    if high == math.inf:
        return f"at least {low:.4g}"
    if low == -math.inf:
        return f"at most {high:.4g}"
    return f"between {low:.4g} and {high:.4g}"


# --- exercises ------------------------------------------------------------------------------------


class Hint(Exception):
    """Raised inside a self-check: what to tell a student about one particular wrong answer."""


def require_shape(values, shape):
    """A student's result as an array, or a `Hint` if it does not have the shape it should have."""
    if np.shape(values) != shape:
        raise Hint(f"the result has shape {np.shape(values)}, expected {shape}.")
    return np.asarray(values)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one self-check; a notebook shows its message."""

    title: str
    state: str  # "passed", "wrong" or "not started"
    message: str

    @property
    def passed(self):
        return self.state == "passed"

    def __repr__(self):
        mark = {"passed": "✓", "wrong": "✗", "not started": "○"}[self.state]
        return f"{mark} {self.title}: {self.message}"


_last_verdicts = {}


def self_check(title):
    """Make a self-check out of a function that examines a student's answer.

    The examining function raises `Hint` for a wrong answer it recognises, and otherwise returns
    what there is to say about a right one. The self-check itself never raises: a lesson runs from
    top to bottom with its exercises unsolved.
    """

    def decorate(examine):
        @functools.wraps(examine)
        def check(*answers):
            _last_verdicts[title] = verdict = _judge(title, examine, answers)
            return verdict

        return check

    return decorate


def _judge(title, examine, answers):
    if any(answer is ... for answer in answers):
        return Verdict(title, "not started", "replace the `...` with your answer, then run again.")
    try:
        return Verdict(title, "passed", examine(*answers))
    except NotImplementedError:
        return Verdict(title, "not started", "write the missing lines, then run both cells again.")
    except Hint as hint:
        return Verdict(title, "wrong", str(hint))
    except Exception as error:
        message = f"your code stopped with {type(error).__name__}: {error}"
        return Verdict(title, "wrong", message)


def require_all_passed():
    """Fail unless every self-check that ran in this kernel passed; ends a notebook of solutions.

    Raises:
        AssertionError: naming the self-checks that did not pass, or that none was run.
    """
    open_checks = [repr(verdict) for verdict in _last_verdicts.values() if not verdict.passed]
    if open_checks or not _last_verdicts:
        raise AssertionError("\n".join(open_checks) or "no self-check was run in this kernel.")
    _say(f"✓ all {len(_last_verdicts)} exercises solved")
