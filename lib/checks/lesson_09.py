"""Self-checks of lesson 09. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("9.1 memory of the logits")
def logits_memory(with_64, with_128):
    if math.isclose(with_64, 2.56, rel_tol=0.01):
        raise Hint("that is the logits alone: their gradient is as large.")
    if math.isclose(with_64, 5.12 / 64, rel_tol=0.01):
        raise Hint("the batch counts, too: a device has the logits of all 64 × 64 images.")
    if math.isclose(with_64, 5.12 * 64, rel_tol=0.01):
        raise Hint("a device has a 64th of the classes.")
    if not math.isclose(with_64, 5.12, rel_tol=0.01):
        raise Hint("4 bytes × (64 · 64 images) × (10⁷ / 64 classes), twice, in 10⁹ bytes.")
    if math.isclose(with_128, 2.56, rel_tol=0.01):
        raise Hint("half of the classes, but 128 × 64 images now.")
    if math.isclose(with_128, 10.24, rel_tol=0.01):
        raise Hint("twice the images, but half of the classes on a device.")
    if not math.isclose(with_128, 5.12, rel_tol=0.01):
        raise Hint("images times classes on a device: one doubles, the other halves.")
    return "right: 5.12 GB, whatever the number of devices. Only a smaller share helps."


@self_check("9.2 the labels' places")
def places(places_of):
    columns = np.array([2, 3, 7, 8, 11, 40])
    labels = np.array([40, 3, 3, 2, 11])
    result = require_shape(places_of(labels, columns), labels.shape)
    if np.array_equal(result, labels):
        raise Hint("those are the labels: class 40 has no column 40, there are only six.")
    if np.array_equal(result, np.unique(labels, return_inverse=True)[1]):
        raise Hint("you count among the batch's own classes; count in `columns`.")
    if np.array_equal(result, np.searchsorted(columns, labels, side="right")):
        raise Hint('one too far: searchsorted with side="left" gives the place of an equal value.')
    if not np.array_equal(result, [5, 1, 1, 0, 4]):
        raise Hint("columns[places] should give the labels back: np.searchsorted finds them.")
    return "right: columns[places] gives the labels back."


@self_check("9.3 find the mistakes")
def repaired_draw(draw):
    labels = np.array([5, 90, 5, 17])
    rng = np.random.default_rng(0)
    draws = [
        require_shape(draw(labels, 100, 30, np.random.default_rng(seed)), (30,))
        for seed in range(20)
    ]
    if any(len(np.unique(columns)) < 30 for columns in draws):
        raise Hint(
            "a class was drawn twice: draw with replace=False, and not from the batch's own."
        )
    if not all(np.isin(labels, columns).all() for columns in draws):
        raise Hint("a class of the batch is missing: put np.unique(labels) in first, then fill up.")
    if any(np.any(np.diff(columns) < 0) for columns in draws):
        raise Hint("the columns are not in ascending order, so that searchsorted finds nothing.")
    if all(np.array_equal(columns, draws[0]) for columns in draws):
        raise Hint("the others are the same each time: draw them with `rng`.")
    everyone = np.zeros(100)
    for _ in range(400):
        everyone[draw(labels, 100, 30, rng)] += 1
    if everyone.min() == 0:
        raise Hint(f"class {everyone.argmin()} never had its turn in 400 draws.")
    return "right: the batch's own, and every other class has its turn."


@self_check("9.4 sub-centres")
def sub_centers(cosines_of):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(5, 3)), 3 * rng.normal(size=(3, 8))
    result = require_shape(cosines_of(x, weights, 2), (5, 4))
    u = x / np.linalg.norm(x, axis=1, keepdims=True)
    v = weights / np.linalg.norm(weights, axis=0)
    cosines = u @ v
    if np.allclose(result, cosines.reshape(5, 4, 2).mean(axis=2)):
        raise Hint("that is the mean over the directions; the nearest counts, the largest cosine.")
    if np.allclose(result, cosines.reshape(5, 2, 4).max(axis=1)):
        raise Hint("neighbouring columns belong together: reshape to (batch, C, K), not K first.")
    if np.allclose(result, cosines.reshape(5, 4, 2).min(axis=2)):
        raise Hint("that is the farthest direction.")
    if np.allclose(result, (x @ weights).reshape(5, 4, 2).max(axis=2)):
        raise Hint("those are no cosines: divide rows of x and columns of W by their lengths.")
    if not np.allclose(result, cosines.reshape(5, 4, 2).max(axis=2)):
        raise Hint("cosines to all C·K columns, reshaped to (batch, C, K), maximum over the last.")
    return "right: one of the K is enough."
