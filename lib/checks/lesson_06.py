"""Self-checks of lesson 06. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("6.1 room and gap")
def room_and_gap(room, gap):
    margin = math.degrees(0.3)
    if math.isclose(room, (36 - 0.3) / 2, abs_tol=0.005):
        raise Hint("0.3 is in radians and 36 in degrees: 0.3 rad are 17.2°.")
    if math.isclose(room, 18, abs_tol=0.05):
        raise Hint("18° is the border without a margin: the room is where θ + m = 36° − θ.")
    if math.isclose(room, 36 - margin, abs_tol=0.05):
        raise Hint("the neighbour does not stand still: an image θ away is 36° − θ from it.")
    if math.isclose(room, (36 + margin) / 2, abs_tol=0.05):
        raise Hint("that is a bonus, not a margin: the own angle counts as larger, θ + m.")
    if not math.isclose(room, (36 - margin) / 2, abs_tol=0.05):
        raise Hint("solve θ + m = 36° − θ, with m in degrees.")
    if math.isclose(gap, 0.3, abs_tol=0.005):
        raise Hint("0.3 is right in radians; the question asks for degrees.")
    if math.isclose(gap, 36 - room, abs_tol=0.05):
        raise Hint("the neighbour's images, too, need room: take it off on both sides.")
    if not math.isclose(gap, margin, abs_tol=0.05):
        raise Hint("the gap is what both classes leave of the 36°.")
    return "right: the gap is m itself, 17.2°, and would be so between any two classes."


@self_check("6.2 write ArcFace's logits")
def logits(arcface_logits):
    labels = np.array([1, 0, 2])
    cosines = np.array([[0.9, 0.5, -0.3], [0.2, 0.6, 0.1], [-0.6, 0.7, 0.2]])
    given = cosines.copy()
    result = require_shape(arcface_logits(labels, given, 0.2, 16.0), cosines.shape)
    if not np.array_equal(given, cosines):
        raise Hint("your function changed the cosines it was given: work on a copy.")
    own = np.eye(3, dtype=bool)[labels]
    theta = np.arccos(cosines)
    if np.allclose(result[~own], 16 * np.cos(theta + 0.2)[~own]):
        raise Hint("every class got the margin; only the label's angle grows.")
    if np.allclose(result, np.where(own, np.cos(theta + 0.2), cosines)):
        raise Hint("the scale is missing: all logits are multiplied by s.")
    if not np.allclose(result[~own], 16 * cosines[~own]):
        raise Hint(
            "the other classes' logits must stay s·cos θ. Which column is the label's? The rows "
            "go with np.arange(len(labels))."
        )
    if np.allclose(result[own], 16 * np.cos(theta - 0.2)[own]):
        raise Hint("minus m brings the image nearer, a bonus: a margin makes its angle larger.")
    if np.allclose(result[own], 16 * np.cos(theta + math.radians(0.2))[own]):
        raise Hint("m is in radians already, and so is what arccos returns: do not convert.")
    if np.allclose(result[own], 16 * (np.cos(theta) - 0.2)[own]):
        raise Hint("that is CosFace, m taken off the cosine. Here m is added to the angle.")
    if np.allclose(result[own], np.cos(theta + 0.2)[own]):
        raise Hint("the scale is missing on the label's logit: it is s·cos(θ + m).")
    if not np.allclose(result[own], 16 * np.cos(theta + 0.2)[own]):
        raise Hint(f"the label's logits should be {(16 * np.cos(theta + 0.2))[own].round(2)}.")
    with np.errstate(invalid="ignore"):
        edge = arcface_logits(np.array([0]), np.array([[1.0000001, 0.0]]), 0.2, 16.0)
    if not np.isfinite(edge).all():
        raise Hint("rounding can make a cosine 1.0000001, and its arccos NaN: clip to [−1, 1].")
    return "right: one angle an image, in radians, and the scale on all."


@self_check("6.3 the gradient in the embedding")
def gradient(gradient_in_x):
    x, w, m = np.array([3.0, 1.0, -2.0]), np.array([0.6, 0.8, 0.0]), 0.4
    length = np.linalg.norm(x)
    c = x @ w / length
    along = (w - c * x / length) / length
    slope = np.sin(np.arccos(c) + m) / np.sin(np.arccos(c))
    result = require_shape(gradient_in_x(x, w, m), x.shape)
    if np.allclose(result, -slope * along):
        raise Hint("the sign: cos(θ + m) grows when x turns towards w.")
    if np.allclose(result, along):
        raise Hint("that is the gradient of cos θ, the detached one: the slope is missing.")
    if np.allclose(result, slope * along * length):
        raise Hint("a long embedding turns less for the same step: divide by ‖x‖.")
    if np.allclose(result, slope * w) or np.allclose(result, slope * w / length):
        raise Hint("that points along w; take out the part along x: w − c·x/‖x‖.")
    if np.allclose(result, np.sin(np.arccos(c) + m) * along):
        raise Hint("the slope is sin(θ + m)/sin θ: by the chain rule, dθ/dc = −1/sin θ.")
    if not math.isclose(float(result @ x), 0, abs_tol=1e-9):
        raise Hint("your gradient has a part along x, but the length of x changes no cosine.")
    if not np.allclose(result, slope * along):
        raise Hint("two factors: d cos(θ + m)/dc, and dc/dx = (w − c·x/‖x‖)/‖x‖.")
    return "right: along the circle, and sin(θ + m)/‖x‖ long."


@self_check("6.4 find the mistakes")
def repaired_loss(arcface_loss):
    labels = np.array([1, 0, 2])
    cosines = np.array([[0.9, 0.5, -0.3, 0.1], [0.2, 0.6, 0.1, 0.4], [-0.6, 0.7, 0.2, -0.1]])
    result = np.asarray(arcface_loss(labels, cosines.copy(), 0.3, 8.0), dtype=float)
    if result.shape != (3,):
        raise Hint(f"one loss for each image, shape (3,); yours has shape {result.shape}.")
    rows = np.arange(3)
    theta = np.arccos(cosines)
    if np.allclose(result, -_log_softmax(_columns(theta, labels, 0.3, 8.0)).sum(axis=1)):
        raise Hint("nothing about the sum has changed: the loss is the label's −log p alone.")
    if np.allclose(result, -_log_softmax(_columns(theta, labels, 0.3, 8.0))[rows, labels]):
        raise Hint(
            "theta[:, labels] takes the columns of all labels in the batch, for every image: "
            "pair rows with labels."
        )
    theta[rows, labels] += 0.3
    log_p = _log_softmax(8.0 * np.cos(theta))
    if np.allclose(result, -log_p.sum(axis=1)) or np.allclose(result, -log_p.mean(axis=1)):
        raise Hint("that sums over all classes: the loss is the label's −log p alone.")
    if not np.allclose(result, -log_p[rows, labels]):
        raise Hint(f"the losses should be {(-log_p[rows, labels]).round(3)}.")
    with np.errstate(invalid="ignore"):
        edge = arcface_loss(np.array([0]), np.array([[1.0000001, 0.0]]), 0.3, 8.0)
    if not np.isfinite(edge).all():
        raise Hint("a cosine of 1.0000001 makes the loss NaN: clip before arccos.")
    return "right: one angle, one term, and no NaN."


def _columns(theta, labels, m, s):
    theta = theta.copy()
    theta[:, labels] += m
    return s * np.cos(theta)


def _log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
