"""Importing the library is quick and quiet; errors, and what TensorFlow dies of, are shown."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# on_torch imports PyTorch, which only its own tests have
LEFT_OUT = {"__init__", "on_torch"}
SUBMODULES = sorted({path.stem for path in (ROOT / "lib").glob("*.py")} - LEFT_OUT)


def run_python(code, *folders, **options):
    paths = os.pathsep.join(map(str, [*folders, ROOT]))
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        **options,
    )


def test_importing_everything_prints_nothing():
    done = run_python(f"from lib import {', '.join(SUBMODULES)}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_the_library_loads_neither_keras_nor_tensorflow():
    done = run_python("import lib, sys; print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))")
    assert done.stdout == "set()\n"


# --- a TensorFlow of its own, which says what C++ code would say ----------------------------------

CHATTER = """
import contextlib, os, sys
def cpp(text):
    with contextlib.suppress(OSError):  # C++ code does not ask whether it was heard
        os.write(2, text.encode() + b"\\n")
cpp("2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN is on")
cpp("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR")
cpp("I0000 00:00:1.2 3 port.cc:153] oneDNN is on")
cpp("E0000 00:00:1.2 3 cuda_dnn.cc:8310] Unable to register cuDNN factory")
"""


@pytest.fixture
def tensorflow_that(tmp_path):
    """Imports a package `tensorflow` that chatters and then runs the given code."""

    def imported(code, before="", after="", **options):
        package = tmp_path / "tensorflow"
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(CHATTER + code)
        return run_python(
            f"import lib, os, sys\n{before}\nimport tensorflow\n{after}", tmp_path, **options
        )

    return imported


def test_chatter_is_dropped_and_everything_else_is_shown(tensorflow_that):
    done = tensorflow_that("cpp('something else'); print('said', file=sys.stderr)")
    assert (done.returncode, done.stderr) == (0, "something else\nsaid\n")
    # only while it is loaded
    assert tensorflow_that("", after="tensorflow.cpp('E0000 later')").stderr == "E0000 later\n"


def test_a_fatal_message_of_cpp_code_is_shown(tensorflow_that):
    done = tensorflow_that("cpp('F0000 00:00:1.2 3 cpu.cc:1] no AVX on this CPU'); os.abort()")
    assert done.returncode != 0
    assert "F0000 00:00:1.2 3 cpu.cc:1] no AVX on this CPU" in done.stderr
    assert "oneDNN" not in done.stderr


def test_an_error_of_python_is_shown(tensorflow_that):
    done = tensorflow_that("raise ImportError('the reason')")
    assert done.returncode == 1
    assert "ImportError: the reason" in done.stderr
    assert "oneDNN" not in done.stderr


@pytest.mark.parametrize(
    "before",
    [
        "sys.stderr = None",
        "import io; sys.stderr = io.StringIO()",  # as in a notebook: no file behind it
        "sys.stderr.close()",
        "os.close(2)",
        "sys.executable = ''",  # embedded in another program
        "sys.executable = '/usr/bin/true'",
        "sys.executable = '/no/python'",
    ],
)
def test_it_is_imported_wherever_the_messages_go(tensorflow_that, before):
    done = tensorflow_that("loaded = True", before, "print(tensorflow.loaded)")
    assert done.stdout == "True\n", done.stderr


def test_looking_for_it_is_not_loading_it(tensorflow_that):
    look = "import importlib.util; importlib.util.find_spec('tensorflow')"
    assert tensorflow_that("", before=look).stderr == ""
