"""The tested library behind the course "From softmax to ArcFace".

Import `lib` before keras or tensorflow: it chooses the backend and keeps TensorFlow's start-up
messages out of the notebooks.
"""

import contextlib
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def _quiet_stderr():
    """Send file descriptor 2 to the null device.

    TensorFlow's C++ code writes a few lines before it reads TF_CPP_MIN_LOG_LEVEL; redirecting
    `sys.stderr` does not catch them. A Python error inside the block still propagates as usual.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(null)
        os.close(saved)


with _quiet_stderr():
    import keras  # noqa: F401
