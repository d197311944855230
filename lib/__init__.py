"""The tested library behind the course "From softmax to ArcFace".

Import `lib` before keras or tensorflow: it chooses the backend and keeps TensorFlow's start-up
messages out of the notebooks.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow's C++ code writes a few lines before it reads TF_CPP_MIN_LOG_LEVEL, past `sys.stderr`.
# Another process filters them, since a fatal one has to get through even as this process dies.
_DROP_CHATTER = r"""
import re, sys
chatter = re.compile(rb"[IWE]\d{4} |\d{4}-\d\d-\d\d .*: [IWE] |WARNING: All log messages before")
for line in sys.stdin.buffer:
    if not chatter.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
"""


@contextlib.contextmanager
def _without_chatter():
    """Drop what C++ code logs to file descriptor 2, unless it is fatal; errors of Python pass."""
    sys.stderr.flush()
    saved = os.dup(2)
    command = [sys.executable, "-S", "-E", "-c", _DROP_CHATTER]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as reader:
        try:
            os.dup2(reader.stdin.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class _QuietTensorFlow:
    """Finds TensorFlow as usual, once, and has it loaded without chatter."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _without_chatter():
                    load(module)

            spec.loader.exec_module = load_quietly
        return spec


if "tensorflow" not in sys.modules:
    sys.meta_path.insert(0, _QuietTensorFlow)
