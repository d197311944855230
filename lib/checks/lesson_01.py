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


@self_check("1.2 smooth the labels")
def smoothed_loss(smoothed):
    labels, epsilon = np.array([0, 2]), 0.3
    logits = np.array([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
    losses = require_shape(smoothed(labels, logits, epsilon), (2,))
    costs = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits  # −ln p of every class
    right, everybody = costs[[0, 1], labels], costs.mean(axis=1)
    expected = (1 - epsilon) * right + epsilon * everybody
    if np.allclose(losses, -expected):
        raise Hint("a probability below 1 has a negative logarithm; the loss is minus that.")
    if np.allclose(losses, right):
        raise Hint("your loss does not know about ε: the other classes have a part in it.")
    if np.allclose(losses, epsilon * right + (1 - epsilon) * everybody):
        raise Hint("the shares are swapped: ε is spread out, 1 − ε goes to the right class.")
    if np.allclose(losses, (1 - epsilon) * right + epsilon * costs.sum(axis=1)):
        raise Hint("every class gets all of ε: three classes share it, a third each.")
    if np.allclose(losses, (1 - epsilon) * right + epsilon * (costs.sum(axis=1) - right) / 2):
        raise Hint("you spread ε over the wrong classes only; here the right one gets its part.")
    if not np.allclose(losses, expected):
        raise Hint("add up −ln p of all classes, each times its target: ε/C, and 1 − ε more for y.")
    with np.errstate(all="ignore"):
        far = smoothed(np.array([0]), np.array([[1000.0, 0.0, 0.0]]), epsilon)
    if not np.isfinite(far).all():
        raise Hint(
            "logits of 1000 give NaN or infinity: subtract the row's maximum, and never take the "
            "logarithm of a probability that has become 0."
        )
    if not np.allclose(far, 200):
        raise Hint("a class 1000 behind costs 1000, times ε/C: a clip has cut it off.")
    return "right: a class far behind costs something, so longer is no longer always better."


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
