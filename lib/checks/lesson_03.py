"""Self-checks of lesson 03. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("3.1 normalise a batch")
def normalised(normalise):
    batch = np.array([[3.0, 4.0], [0.0, 2.0]])
    result = require_shape(normalise(batch.copy()), batch.shape)
    if math.isclose(np.linalg.norm(result), 1):
        raise Hint("all rows together have length 1: norm needs axis=1, one length for each row.")
    if np.allclose(np.linalg.norm(result, axis=0), 1):
        raise Hint("the columns have length 1, but each row is an embedding: axis=1.")
    if np.allclose(result, batch / np.array([5.0, 2.0])):
        raise Hint(
            "each value was divided by the length of another row: without keepdims=True the "
            "lengths line up with the columns."
        )
    if not np.allclose(result, [[0.6, 0.8], [0.0, 1.0]]):
        raise Hint("(3, 4) has length 5 and should become (0.6, 0.8).")
    with np.errstate(all="ignore"):
        zeros = normalise(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2e-3]]))
    if not np.isfinite(zeros).all():
        raise Hint("an embedding of zeros gives 0/0: divide by np.maximum(length, 1e-12).")
    if not np.allclose(zeros, [[0, 0, 0], [0, 0, 1]]):
        raise Hint(
            "zeros stay zeros, but (0, 0, 0.002) should become (0, 0, 1): what you add to the "
            "length, or hold it above, is not small enough."
        )
    return "right, one length for each row, and no NaN."


@self_check("3.2 the ceiling")
def ceiling(probability):
    right = 1 / (1 + 99 * math.exp(-100 / 99))
    if math.isclose(probability, 1 / (1 + 99 * math.exp(-2)), abs_tol=2e-4):
        raise Hint(
            "that puts all other classes at cosine −1, but a hundred directions cannot all be "
            "opposite to each other: on the simplex it is −1/99."
        )
    if math.isclose(probability, 1 / 100, abs_tol=2e-4):
        raise Hint("1/100 is guessing; the right class has cosine 1 and the others less.")
    if math.isclose(probability, 1 / (1 + 99 * math.exp(-1)), abs_tol=1e-5):
        raise Hint("close: that has the others at cosine 0. On the simplex it is −1/99.")
    if math.isclose(probability, -math.log(right), rel_tol=1e-3):
        raise Hint("that is the lowest loss; the probability is exp(−loss).")
    if not math.isclose(probability, right, abs_tol=2e-5):
        raise Hint("e^1 for the right class, and e^(−1/99) for each of the 99 others: who wins?")
    return "right: 0.027. However well it is trained, such a network is never 3 % sure."


@self_check("3.3 choose a scale")
def scale(needed_scale):
    value = needed_scale(0.9, 10)
    if np.shape(value) != ():
        raise Hint("return one number.")
    if value < 0:
        raise Hint("a negative scale: the odds stand upside down, it is P / (1 − P).")
    if math.isclose(value, 0.9 * math.log10(81)):
        raise Hint("that uses log10; the formula has the natural logarithm, np.log.")
    if math.isclose(value, math.log(81)):
        raise Hint("almost: the factor (C − 1)/C in front is missing.")
    if math.isclose(value, 0.9 * math.log(9)):
        raise Hint("inside the logarithm the factor C − 1 is missing: there are nine rivals.")
    for probability, count in ((0.9, 10), (0.99, 1000), (0.6, 2)):
        odds = (count - 1) * probability / (1 - probability)
        expected = (count - 1) / count * math.log(odds)
        if not math.isclose(needed_scale(probability, count), expected, rel_tol=1e-6):
            raise Hint(
                f"for P = {probability} and {count} classes it should be {expected:.3f}, yours "
                f"gives {needed_scale(probability, count):.3f}."
            )
    return "right: 3.96 for ten classes at 0.9. With C the need grows, but only as a logarithm."


@self_check("3.4 find the mistakes")
def repaired_logits(cosine_logits):
    embeddings = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [1.0, 1.0, 0.0]])
    weights = np.array([[2.0, 0.0], [0.0, 5.0], [0.0, 0.0]])
    expected = np.array([[0.6, 0.8], [0.0, 0.0], [0.5**0.5, 0.5**0.5]])
    logits = require_shape(cosine_logits(embeddings, weights, 1.0), expected.shape)
    alone = require_shape(cosine_logits(embeddings[:1], weights, 1.0), (1, 2))
    if not np.allclose(logits[:1], alone):
        raise Hint(
            "an image has other logits alone than in a batch: the embeddings are divided by the "
            "length of the whole batch. norm needs an axis."
        )
    skewed = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    cosines = cosine_logits(np.array([[0.5**0.5, 0.5**0.5, 0.0]]), skewed, 1.0)
    if not np.allclose(cosines, [[1.0, 0.5**0.5]]):
        raise Hint(
            "a class weight along (1, 1, 0) has no cosine of 1 with an embedding along (1, 1, 0): "
            "a class is a column of the weights, so their lengths are taken over axis 0."
        )
    if not np.allclose(logits, expected):
        raise Hint("divide each embedding by its own length: (3, 4, 0) becomes (0.6, 0.8, 0).")
    scaled = cosine_logits(embeddings, weights, 16.0)
    if scaled.max() <= 1:
        raise Hint("no logit exceeds 1, whatever the scale: clip the cosines, then multiply by s.")
    if not np.allclose(scaled, 16 * expected):
        raise Hint("with scale 16 every logit should be 16 times the cosine.")
    return "right: cosines first, then the scale, and nobody depends on the neighbours."
