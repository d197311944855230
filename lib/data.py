"""The handwritten digits: 5,000 shipped with the course, or all 70,000 of MNIST.

    digits = load_digits()          # the course's one switch decides, see `course_mode`
    print(digits)

The course's other data, faces that belong to nobody, are drawn by `lib.faces`.

`python -m lib.data` puts the full MNIST into data/mnist.npz.
What the files hold, where they come from and under which licence: data/README.md.
"""

import contextlib
import dataclasses
import hashlib
import io
import os
import socket
import sys
from pathlib import Path

import keras
import numpy as np

from .files import Problem, write_atomically

DATA_DIR = Path(__file__).resolve().parent.parent / "data"

MODES = ("lesson", "full")

# array: (shape, SHA-256 of its bytes in C order); every array is uint8
DIGITS = {
    "x_train": ((4000, 28, 28), "52454974f5606fb1cb7a0b60cb9e0026695d7a6ff73bc12b8d9b703df7aafe13"),
    "y_train": ((4000,), "18f60181177257fa959576b2e27a6e81f2d1e246d592a7c27d824f6b4d9c1072"),
    "x_test": ((1000, 28, 28), "05f16c885f80bb90594fc5376d4c5fdcd5d3fabe6e5d3e6085255628eecfeaa3"),
    "y_test": ((1000,), "793e48347f02ec9f49b10d30a93de91d185c4cfb957f09d953b1576548404082"),
}
MNIST = {
    "x_train": (
        (60000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "y_train": ((60000,), "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
    "x_test": (
        (10000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "y_test": ((10000,), "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
}

DIGITS_REMEDY = "Restore it with `git checkout -- data/digits.npz`."
MNIST_REMEDY = "Delete it, then run `make data` or copy a good mnist.npz there."
OFFLINE_REMEDY = (
    "Connect to the internet and run `make data`, or copy an mnist.npz from another machine to "
    "data/mnist.npz; the lessons need neither: leave COURSE_MODE at 'lesson'."
)


class DataError(Problem):
    """A data file is missing, damaged or cannot be had; the message names it and the remedy."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Digits:
    """Digits ready for training: images float32 in [0, 1], (n, 28, 28, 1); labels int32, (n,).

    `x_train` starts with `x_clean`, the originals, and goes on with their jittered copies; class
    centres and pictures use `x_clean`. `x_test` is held out and never jittered.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_clean: np.ndarray
    y_clean: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def only(self, classes):
        """Return the same digits without the images of any other class; labels stay as they are."""
        kept = {}
        for part in ("train", "clean", "test"):
            x, y = getattr(self, f"x_{part}"), getattr(self, f"y_{part}")
            mask = np.isin(y, list(classes))
            kept |= {f"x_{part}": x[mask], f"y_{part}": y[mask]}
        return dataclasses.replace(self, **kept)

    def __repr__(self):
        originals, copies = len(self.x_clean), len(self.x_train) // len(self.x_clean) - 1
        jitter = f" ({originals:,} originals and {copies} jittered copies of each)"
        return (
            f"Digits, {self.name} mode: {len(self.x_train):,} training images"
            f"{jitter if copies else ''}, {len(self.x_test):,} held out, "
            f"28×28 pixels, {len(np.unique(self.y_test))} classes"
        )


def course_mode():
    """Return the course's one switch, "lesson" or "full".

    It is the environment variable COURSE_MODE; "lesson" where that is not set. "lesson" means the
    shipped digits and a budget of seconds, "full" all of MNIST and a budget of minutes.
    """
    mode = os.environ.get("COURSE_MODE", "lesson")
    if mode not in MODES:
        raise ValueError(
            f"the environment variable COURSE_MODE is {mode!r}; set it to 'lesson' or 'full', "
            "or unset it for 'lesson'"
        )
    return mode


def load_digits(mode=None, copies=None, seed=0):
    """Load the digits of a mode.

    mode: "lesson" (4,000 to train, 1,000 held out, shipped with the course) or "full" (MNIST's
        60,000 and 10,000; from data/mnist.npz, else downloaded by Keras). None: `course_mode()`.
    copies: how many jittered copies of each training image are added; None: 4 in lesson mode,
        where images are few, 0 in full mode.
    seed: of the jitter; the split into training and held-out images is fixed.

    Raises DataError if a file is missing, damaged or cannot be downloaded.
    """
    mode = course_mode() if mode is None else mode
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; use 'lesson' or 'full'")
    if copies is None:
        copies = 4 if mode == "lesson" else 0
    if copies < 0:
        raise ValueError(f"copies is {copies}; use 0 or more")

    arrays = _lesson_arrays() if mode == "lesson" else _full_arrays()
    x_clean, x_test = _as_images(arrays["x_train"]), _as_images(arrays["x_test"])
    y_clean, y_test = arrays["y_train"].astype("int32"), arrays["y_test"].astype("int32")
    x_train, y_train = x_clean, y_clean
    if copies:
        rng = np.random.default_rng(seed)
        x_train = np.concatenate([x_clean] + [jitter(x_clean, rng) for _ in range(copies)])
        y_train = np.tile(y_clean, copies + 1)
    return Digits(mode, x_train, y_train, x_clean, y_clean, x_test, y_test)


def jitter(images, rng, shift=0.08, rotation=14.0, zoom=0.10):
    """Shift, turn and zoom each image by its own random amounts; empty corners become 0.

    images: (n, height, width, channels), float32. rng: a `numpy.random.Generator`.
    shift: largest shift as a share of the image's size. rotation: largest angle in degrees.
    zoom: largest change of size; 0.10 draws factors from 0.9 to 1.1. Bilinear interpolation.
    """
    n, height, width = images.shape[:3]
    angle = np.radians(rng.uniform(-rotation, rotation, n))
    factor = rng.uniform(1 - zoom, 1 + zoom, n)
    shift_x = rng.uniform(-shift, shift, n) * width
    shift_y = rng.uniform(-shift, shift, n) * height
    rows = affine_rows(angle, factor, shift_x, shift_y, height, width)
    moved = keras.ops.image.affine_transform(
        images, rows, interpolation="bilinear", fill_mode="constant", fill_value=0.0
    )
    return keras.ops.convert_to_numpy(moved)


def affine_rows(angle, factor, shift_x, shift_y, height=28, width=28):
    """Rows for `keras.ops.image.affine_transform`: turn and zoom about the centre, then shift.

    angle: radians, anticlockwise as seen. factor: above 1 enlarges. shift_x, shift_y: pixels to
    the right and down. Each an array (n,); returns (n, 8) float32.

    A row maps a pixel of the result to the place in the source it is taken from, so it holds the
    inverse of the movement: x' = a0·x + a1·y + a2, y' = b0·x + b1·y + b2.
    """
    a0, a1 = np.cos(angle) / factor, -np.sin(angle) / factor
    b0, b1 = -a1, a0
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    a2 = centre_x - a0 * (centre_x + shift_x) - a1 * (centre_y + shift_y)
    b2 = centre_y - b0 * (centre_x + shift_x) - b1 * (centre_y + shift_y)
    none = np.zeros_like(a0)  # no perspective
    return np.stack([a0, a1, a2, b0, b1, b2, none, none], axis=1).astype("float32")


def fetch_mnist():
    """Put the full MNIST at data/mnist.npz, or check the file that is there. Returns its path.

    A file that is there is never overwritten: a damaged one raises DataError.
    """
    path = DATA_DIR / "mnist.npz"
    if path.exists():
        _read_npz(path, MNIST, MNIST_REMEDY)
        print("data/mnist.npz is there already and its checksums are right")
        return path
    content = io.BytesIO()
    np.savez_compressed(content, **_download_mnist())
    try:
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error}). Make the folder writable or free some space, "
            "then run `make data` again."
        ) from error
    print(f"wrote data/mnist.npz ({path.stat().st_size:,} bytes); its checksums are right")
    return path


def check_arrays(arrays, expected, source, remedy):
    """Raise DataError unless `arrays` has the names, shapes, type and content in `expected`."""
    if set(arrays) != set(expected):
        raise DataError(f"{source} holds {sorted(arrays)}, not {sorted(expected)}. {remedy}")
    for name, (shape, checksum) in expected.items():
        array = arrays[name]
        if array.shape != shape or array.dtype != np.uint8:
            raise DataError(
                f"{source} is not the expected file: {name} is {array.dtype} {array.shape}, "
                f"not uint8 {shape}. {remedy}"
            )
        if hashlib.sha256(array.tobytes()).hexdigest() != checksum:
            raise DataError(f"{source} was altered: {name} has another checksum. {remedy}")


def _as_images(pixels):
    return pixels[..., np.newaxis].astype("float32") / 255


def _lesson_arrays():
    return _read_npz(DATA_DIR / "digits.npz", DIGITS, DIGITS_REMEDY)


def _full_arrays():
    path = DATA_DIR / "mnist.npz"
    return _read_npz(path, MNIST, MNIST_REMEDY) if path.exists() else _download_mnist()


def _read_npz(path, expected, remedy):
    """Read and check an npz; whatever is wrong with the file becomes one DataError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. {remedy}") from error
    except PermissionError as error:
        raise DataError(f"{path} may not be read: change its permissions.") from error
    except Exception as error:  # a broken zip fails in many ways: they all mean the same here
        raise DataError(f"{path} is damaged or not an npz file ({error}). {remedy}") from error
    check_arrays(arrays, expected, path, remedy)
    return arrays


def _download_mnist():
    """Get MNIST by Keras, which keeps it in its own cache; check it."""
    print("data/mnist.npz is not there: getting MNIST by Keras (11 MB, once) ...", flush=True)
    try:
        with _network_timeout(seconds=30):
            (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise DataError(f"MNIST could not be downloaded ({error}). {OFFLINE_REMEDY}") from error
    arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    check_arrays(arrays, MNIST, "the MNIST that Keras downloaded", OFFLINE_REMEDY)
    return arrays


@contextlib.contextmanager
def _network_timeout(seconds):
    """Let a connection that nobody answers (a firewall) fail in seconds instead of minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def main():
    """Run `fetch_mnist` as a command; returns the exit code."""
    try:
        fetch_mnist()
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
