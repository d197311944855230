"""Self-checks of lesson 09. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("9.1 memory of the logits")
def logits_memory(with_32, with_64):
    if math.isclose(with_32, 2.048, rel_tol=0.01):
        raise Hint("that is the logits alone: their gradient is as large.")
    if math.isclose(with_32, 4.096 / 32, rel_tol=0.01):
        raise Hint("the batch counts, too: a device has the logits of all 32 × 256 images.")
    if math.isclose(with_32, 4.096 * 32, rel_tol=0.01):
        raise Hint("a device has a 32nd of the classes.")
    if not math.isclose(with_32, 4.096, rel_tol=0.01):
        raise Hint("4 bytes × (32 · 256 images) × (2 · 10⁶ / 32 classes), twice, in 10⁹ bytes.")
    if math.isclose(with_64, 4.096, rel_tol=0.01):
        raise Hint("half of the classes on a device, and as many images in all as before.")
    if math.isclose(with_64, 1.024, rel_tol=0.01):
        raise Hint("a device has half of its images, but the logits of everybody's.")
    if not math.isclose(with_64, 2.048, rel_tol=0.01):
        raise Hint("64 · 128 images are as many as 32 · 256; what halves is the classes.")
    return "right: 8·N·C bytes, with N images on a device; how many devices, does not count."


@self_check("9.2 the labels' places")
def places(places_of):
    columns = np.array([11, 2, 40, 7, 3, 8])
    labels = np.array([40, 3, 5, 3, 2, 90, 11])
    result = require_shape(places_of(labels, columns), labels.shape)
    right = np.array([2, 4, -1, 4, 1, -1, 0])
    here = right >= 0
    if np.array_equal(result, labels):
        raise Hint("those are the labels: class 40 has no column 40, there are only six.")
    with np.errstate(all="ignore"):
        unsorted = np.searchsorted(columns, labels)
    if np.array_equal(result[here], unsorted[here]):
        raise Hint("searchsorted takes for granted that `columns` ascends; here it does not.")
    if np.array_equal(result[here], np.searchsorted(np.sort(columns), labels)[here]):
        raise Hint("those are places among the sorted columns: turn them back, as argsort says.")
    if not np.array_equal(result[here], right[here]):
        raise Hint("columns[places] should give back the labels that are among the columns.")
    if not np.array_equal(result, right):
        raise Hint("the classes 5 and 90 are on other devices: their place is −1.")
    return "right: an image whose class is elsewhere has only rivals here."


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
