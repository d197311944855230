"""Checks of what is put in, shared by `evaluation`, `verification`, `plots` and `faces`.

Each check returns its value, ready to compute with, or raises one clear line: a `ValueError` that
names the argument and says what was expected, or a `TypeError` where a thing of another kind was
given. No line grows with the data.
"""

import math
import operator
import reprlib
from collections.abc import Mapping

import numpy as np


def some(names, most=5):
    """The first few of many names or numbers, as text."""
    names = list(names)
    text = ", ".join(f"{name!s:.40}" for name in names[:most])
    return f"{text} and {len(names) - most:,} more" if len(names) > most else text


def shown(value):
    """A value as one short line, whatever its size."""
    if hasattr(value, "shape"):
        return f"an array of {getattr(value, 'dtype', 'values')}, shape {tuple(value.shape)}"
    return reprlib.repr(value).replace("\n", " ")


def read(values):
    """Whatever NumPy makes of it, without an error: of what is no array an object."""
    try:
        return np.asarray(values)
    except Exception:  # rows of unequal length; tensors that live elsewhere, each in its own way
        return np.array(None)


def _check_shape(found, name, shape):
    fits = len(shape) == found.ndim and all(
        size == want or (isinstance(want, str) and size > 0)
        for size, want in zip(found.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        column = found.ndim == 2 and len(shape) == 1 and 1 in found.shape
        remedy = f"; use {name}.reshape(-1)" if column else ""
        raise ValueError(f"{name}: expected shape ({wanted}), got {found.shape}{remedy}.")


def array(values, name, shape):
    """An array of finite numbers, its dtype kept.

    Args:
        values: anything that NumPy reads as an array.
        name: of the argument, for the error.
        shape: for each axis its size, or a word for what is counted along it (one or more).
    """
    found = read(values)
    if found.dtype.kind not in "iufb":
        raise ValueError(f"{name}: expected an array of numbers, got {shown(values)}.")
    _check_shape(found, name, shape)
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        bad = np.count_nonzero(~np.isfinite(found).reshape(len(found), -1).all(axis=1))
        raise ValueError(
            f"{name}: {bad:,} of {len(found):,} are not finite (NaN or infinite). In a network's "
            "outputs: the training diverged; lower the learning rate, and look for a sqrt, log or "
            "arccos at its edge."
        )
    return found


def unit_rows(vectors, name="embeddings", dimensions="dimensions"):
    """Rows (N, D) divided by their lengths, float64; a row without a direction is an error."""
    vectors = array(vectors, name, ("rows", dimensions)).astype("float64")
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    lost = np.count_nonzero((lengths == 0) | (lengths == np.inf))
    if lost:
        raise ValueError(
            f"{name}: {lost:,} of {len(vectors):,} are zero, or too long for float64, and have no "
            "direction: the network is dead there (a ReLU as last layer?) or the rows were never "
            "filled."
        )
    return vectors / lengths


def same_dimensions(vectors, others, names):
    """Raise unless two arrays of rows have rows of one length."""
    if vectors.shape[1] != others.shape[1]:
        raise ValueError(
            f"{names[0]} and {names[1]} have {vectors.shape[1]} and {others.shape[1]} dimensions: "
            "take both from one network."
        )


def identities(labels, rows="images", name="labels"):
    """Labels (N,) that tell who is who: integers or strings, in any order, with any gaps."""
    found = read(labels)
    if found.dtype.kind not in "iuUS":
        raise ValueError(
            f"{name}: expected integers or strings, one for each image, got {shown(labels)}; not "
            "one-hot and not floats: use .astype(int)."
        )
    _check_shape(found, name, (rows,))
    return found


def class_numbers(labels, rows="images", num_classes=2**31, name="labels"):
    """Labels (N,) that are class numbers: integers from 0 on, below `num_classes`."""
    found = read(labels)
    remedy = "np.unique(labels, return_inverse=True)[1] numbers classes from 0 on, without gaps"
    if found.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, got {shown(labels)}; {remedy}.")
    _check_shape(found, name, (rows,))
    if found.min() < 0 or found.max() >= num_classes:
        raise ValueError(
            f"{name}: they run from {found.min()} to {found.max()}, expected 0 to "
            f"{num_classes - 1}; {remedy}."
        )
    return found.astype(int)


def whole_numbers(values, name, shape, low, high):
    """An array of integers from `low` to `high`, such as rows of another array."""
    found = array(values, name, shape)
    if found.dtype.kind not in "iu" or found.min() < low or found.max() > high:
        raise ValueError(f"{name}: expected whole numbers from {low} to {high}.")
    return found


def booleans(values, name, shape):
    """An array of bool."""
    values = array(values, name, shape)
    if values.dtype != bool:
        raise ValueError(f"{name}: expected bool, got {values.dtype}: True for a genuine pair.")
    return values


def whole_number(value, name, low=1, high=None):
    """An int of at least `low`, and at most `high` if that is given."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        most = "" if high is None else f" and at most {high:,}"
        raise ValueError(
            f"{name}: expected a whole number of at least {low:,}{most}, got {shown(value)}."
        )
    return number


def number_between(value, name, low, high):
    """A float above `low` and below `high`."""
    number = _float(value)
    if not low < number < high:
        raise ValueError(
            f"{name}: expected a number above {low:g} and below {high:g}, got {shown(value)}."
        )
    return number


def number_from(value, name, low, high):
    """A float from `low` to `high`, both included."""
    number = _float(value)
    if not low <= number <= high:
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {shown(value)}.")
    return number


def _float(value):
    """The value as a float; NaN, which is in no range, if it cannot be one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def one_of(value, name, known):
    """A text that is one of these."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}; got {shown(value)}.")
    return value


def instance(value, kind, name, remedy):
    """`value`, which has to be a `kind`; the remedy says where one comes from."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {kind.__name__}, got {shown(value)}; {remedy}.")
    return value


def dictionary(value, name, example):
    """A dictionary that is not empty."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected a dictionary such as {example}, got {shown(value)}.")
    if not value:
        raise ValueError(f"{name}: nothing to show; pass a dictionary such as {example}.")
    return value


def function(value, name, example):
    """Something that can be called."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function such as {example}, got {shown(value)}.")
    return value


def recorded(record, column, name):
    """A record of several seeds that has this column."""
    if not all(hasattr(record, part) for part in ("rows", "mean", "spread")):
        raise TypeError(
            f"{name}: expected a record as lib.records.results.recorded gives it, got "
            f"{shown(record)}."
        )
    known = next(iter(record.rows.values()))
    if column not in known:
        raise ValueError(
            f"{name}: no column {shown(column)} is recorded; there are {some(known, 20)}."
        )
    return record
