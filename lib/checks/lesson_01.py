"""Self-checks of lesson 01. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("1.1 the first loss")
def first_loss(loss):
    if math.isclose(loss, 0.1, abs_tol=0.01):
        raise Hint("0.1 is the probability of each class; the loss is −ln of it.")
    if math.isclose(loss, 1.0, abs_tol=0.01):
        raise Hint("that is log10(10); losses use the natural logarithm, np.log.")
    if loss < 0:
        raise Hint("a probability below 1 has a negative logarithm; the loss is minus that.")
    if not math.isclose(loss, math.log(10), abs_tol=0.01):
        raise Hint("with equal logits each of the ten classes gets probability 1/10.")
    return "right: ln 10 = 2.303. A first loss far above it means logits of wild size."


@self_check("1.2 a stable softmax")
def stable_softmax(softmax):
    logits = np.array([[0.0, math.log(3.0)], [1.0, 1.0]])
    probabilities = require_shape(softmax(logits), logits.shape)
    if np.allclose(probabilities.sum(axis=0), 1) and not np.allclose(probabilities.sum(axis=1), 1):
        raise Hint("the columns add up to 1, but each row is one image: sum over axis 1.")
    if math.isclose(probabilities.sum(), 1):
        raise Hint("all values together add up to 1: sum over axis 1, with keepdims=True.")
    if not np.allclose(probabilities, [[0.25, 0.75], [0.5, 0.5]]):
        raise Hint(
            "logits 0 and ln 3 should give 0.25 and 0.75: exp, then divide by the row's sum."
        )
    with np.errstate(all="ignore"):
        large = softmax(np.array([[1000.0, 1000.0]]))
        mixed = softmax(np.array([[1000.0, 1000.0], [0.0, 0.0]]))
    if not np.allclose(large, 0.5):
        raise Hint("two logits of 1000 should give 0.5 each: subtract the maximum before exp.")
    if not np.allclose(mixed, 0.5):
        raise Hint(
            "you subtract the largest logit of the whole batch; a row far below it turns into 0/0."
            " Each row needs its own maximum: axis=1, keepdims=True."
        )
    return "right, also where exp alone would overflow."


@self_check("1.3 find the mistakes")
def repaired_loss(cross_entropy):
    labels, logits = np.array([0, 1, 2]), np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0, 0]])
    losses = cross_entropy(labels, logits)
    if np.shape(losses) == ():
        raise Hint("return one loss for each image; the mean comes later.")
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1, 2], labels]
    if not np.allclose(require_shape(losses, (3,)), expected):
        raise Hint(
            "even harmless logits give a wrong loss: it is ln(sum of exp) minus the logit of the "
            "label."
        )
    with np.errstate(all="ignore"):
        hopeless = cross_entropy(np.array([1, 1]), np.array([[100.0, 0.0], [2000.0, 0.0]]))
    if not np.isfinite(hopeless).all():
        raise Hint(
            "a gap of 2000 between two logits gives NaN or infinity: subtract the maximum, and "
            "never take the log of a probability that has become 0."
        )
    if hopeless[0] < 99:
        raise Hint(
            f"an image that is wrong by 100 should cost 100, yours says {hopeless[0]:.4g}: the clip"
            " cuts the loss off, and its gradient with it. Stay in logarithms."
        )
    try:
        single = cross_entropy(np.array([[1]]), np.array([[0.0, 1.0, 0.0]]))
    except Exception as error:
        raise Hint(
            "a batch of one fails: squeeze turns labels of shape (1, 1) into a scalar; reshape(-1)"
            " keeps them a list."
        ) from error
    if np.shape(single) != (1,):
        raise Hint(
            f"a batch of one should give one loss, shape (1,), not {np.shape(single)}: use "
            "reshape(-1) on the labels instead of squeeze."
        )
    return "right: no cliff, no NaN, and a batch of one is a batch."


@self_check("1.4 nearest centre by angle")
def nearest_centre(nearest):
    centres = np.array([[1.0, 0.0], [0.0, 5.0]])
    embeddings = np.array([[0.1, 0.02], [2.0, 2.2], [6.0, 2.0]])
    classes = require_shape(nearest(embeddings, centres), (3,))
    if np.array_equal(classes, [0, 1, 1]):
        raise Hint("the longer centre wins too often: divide the centres by their lengths.")
    if np.array_equal(classes, [1, 0, 1]):
        raise Hint("that chooses the farthest centre: a larger cosine is a smaller angle, argmax.")
    distances = np.linalg.norm(embeddings[:, None] - centres, axis=2)
    if np.array_equal(classes, distances.argmin(axis=1)):
        raise Hint("that is the nearest in distance; lengths should not matter, only directions.")
    if not np.array_equal(classes, [0, 1, 0]):
        raise Hint(
            "compute the cosine of each embedding with each centre, then argmax over axis 1."
        )
    return "right: this is the scoreboard's accuracy by nearest centre."
