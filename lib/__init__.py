"""The tested library behind the course "From softmax to ArcFace".

Import `lib` before keras or tensorflow: it chooses the backend and keeps TensorFlow's start-up
messages out of the notebooks.
"""

import contextlib
import importlib.machinery
import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# TensorFlow's C++ code writes a few lines before it reads TF_CPP_MIN_LOG_LEVEL, past `sys.stderr`.
# Another process filters them, since a fatal one has to get through even as this process dies.
_DROP_CHATTER = r"""
import re, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
chatter = re.compile(rb"[IWE]\d{4} |\d{4}-\d\d-\d\d .*: [IWE] |WARNING: All log messages before")
for line in sys.stdin.buffer:
    if not chatter.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
"""


def _start_filter():
    """Start the filter with its output where file descriptor 2 leads; None where there is none.

    There may be no descriptor 2, and in a program that embeds Python no interpreter to start.
    """
    if "python" not in os.path.basename(sys.executable or "").lower():
        return None
    with contextlib.suppress(OSError):
        os.fstat(2)
        return subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _DROP_CHATTER],
            stdin=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


@contextlib.contextmanager
def _without_chatter():
    """Drop what C++ code logs to file descriptor 2, unless it is fatal; errors of Python pass."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # none there, or closed
        sys.stderr.flush()
    reader = _start_filter()
    if reader is None:
        yield
        return
    with reader:
        saved = os.dup(2)
        try:
            os.dup2(reader.stdin.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class _QuietTensorFlow:
    """Finds TensorFlow as usual, and has it loaded without chatter."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _without_chatter():
                    load(module)

            spec.loader.exec_module = load_quietly
        return spec


if "tensorflow" not in sys.modules:
    sys.meta_path.insert(0, _QuietTensorFlow)
