"""Self-checks of lesson 10. A `Hint` answers one wrong answer that people really give."""

import math

from lib import losses
from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("10.1 two lengths, two margins")
def two_margins(q_long, m2_long, m3_long, q_short, m2_short, m3_short):
    def close(value, right):
        return math.isclose(value, right, abs_tol=0.005)

    # (27.5 - 20) / 5 = 1.5 and (2 - 20) / 5 = -3.6
    if close(q_long, 1.5) or close(q_short, -3.6):
        raise Hint("those are standard deviations from the mean; h = 0.333 makes a third of them.")
    if close(q_long, 1):
        raise Hint("27.5 is 1.5 standard deviations above the mean, and h makes a third of it.")
    if close(q_long, -0.5) or close(q_short, 1):
        raise Hint("the sign is turned: longer than the mean is above 0, shorter below.")
    if not close(q_long, 0.4995):
        raise Hint("q of the long one is 0.333 · (27.5 − 20) / 5.")
    if close(q_short, -1.2):
        raise Hint("q is clipped: −1.2 is out of [−1, 1].")
    if close(q_short, 0):
        raise Hint("q is clipped to [−1, 1], not to [0, 1].")
    if not close(q_short, -1):
        raise Hint("q of the short one is 0.333 · (2 − 20) / 5, clipped to [−1, 1].")
    if close(m2_long, 0.6) and close(m3_long, -0.2):
        raise Hint("swapped: m2 = −m·q is added to the angle, m3 = m + m·q taken off the cosine.")
    if close(m2_long, 0.2) or close(m2_short, -0.4):
        raise Hint("the sign of m2 is turned: m2 = −m·q, below 0 for the long one.")
    if abs(m2_long) > 10:
        raise Hint("that is m2 in degrees; margins are in radians.")
    if not close(m2_long, -0.2):
        raise Hint("m2 of the long one is −0.4·q.")
    if not close(m2_short, 0.4):
        raise Hint("m2 of the short one is −0.4·q, with q = −1.")
    if close(m3_long, 0.2) or close(m3_short, 0.8) or close(m3_short, -0.4):
        raise Hint("m3 = m + m·q: both parts, and with a plus, so that more q takes off more.")
    if not close(m3_long, 0.6):
        raise Hint("m3 of the long one is 0.4 + 0.4·q.")
    if not close(m3_short, 0):
        raise Hint("m3 of the short one is 0.4 + 0.4·q, with q = −1.")
    return "right: the short one has ArcFace's 0.4; the long one −0.2, and 0.6 off its cosine."


@self_check("10.2 AdaFace from ArcFace")
def adaface(adaface_logits):
    labels = np.array([1, 0, 2, 1])
    cosines = np.array([[0.3, 0.6, -0.2], [0.1, 0.4, 0.2], [-0.4, 0.3, 0.4], [0.7, -0.3, 0.2]])
    lengths = np.array([27.5, 14.0, 60.0, 2.0])  # the last two are clipped
    given = cosines.copy(), lengths.copy()

    def logits_with(m, h):
        result = adaface_logits(labels, *given, 20.0, 5.0, m, h, 16.0)
        return require_shape(result, cosines.shape)

    result = logits_with(m=0.4, h=0.333)
    if not all(map(np.array_equal, given, (cosines, lengths))):
        raise Hint("your function changed what it was given: work on copies.")
    own = np.eye(3, dtype=bool)[labels]
    _adaface_rivals(result, cosines, own, lengths)
    _adaface_target(result[own], cosines[own], lengths)
    if not np.allclose(logits_with(m=0.2, h=0.0)[own], 16 * (cosines[own] - 0.2)):
        raise Hint("with h = 0 and m = 0.2 it is CosFace with 0.2: take all numbers as arguments.")
    with np.errstate(invalid="ignore"):
        edge = adaface_logits(
            np.array([0]), np.array([[1.0000001, 0.0]]), np.array([20.0]), 20, 5, 0.4, 0.333, 16
        )
    if not np.isfinite(edge).all():
        raise Hint("rounding can make a cosine 1.0000001, and its arccos NaN: keep the clip.")
    return "right: one number a sample, and with h = 0 it is CosFace."


def _adaface_rivals(result, cosines, own, lengths):
    """Hints about the logits of the other classes: they are s cos(theta)."""
    q = _quality(lengths)[:, None]
    if np.allclose(result[~own], 16 * _target(cosines, q)[~own], atol=0.01):
        raise Hint("every class got the margin; only the label's logit changes.")
    if np.allclose(result[~own], cosines[~own]):
        raise Hint("the scale is missing: all logits are multiplied by s.")
    if not np.allclose(result[~own], 16 * cosines[~own]):
        raise Hint(
            "the other classes' logits must stay s·cos θ. Which column is the label's? The rows "
            "go with np.arange(len(labels))."
        )


def _adaface_target(values, cosines, lengths):
    """Hints about the label's logit, (batch,): s (cos(theta - m q) - (m + m q))."""

    def close(target, scale=16):
        # what people make of the 0.001 beside std lies within this, no mistake does
        return np.allclose(values, scale * target, atol=0.01)

    q, unclipped = _quality(lengths), 0.333 * (lengths - 20) / 5
    right = _target(cosines, q)
    if close(losses.margin_logit(cosines, m2=0.4)):
        raise Hint("that is ArcFace still: nothing in it depends on the lengths.")
    if close(_target(cosines, unclipped)):
        raise Hint("q is not clipped: np.clip(q, −1, 1).")
    if close(_target(cosines, np.clip(unclipped, 0, 1))):
        raise Hint("q is clipped to [−1, 1], not to [0, 1].")
    if close(_target(cosines, _quality(lengths, h=1))):
        raise Hint("h is missing: q = clip(h·(length − mean) / std).")
    if close(_target(cosines, 0.333 * _quality(lengths, h=1))):
        raise Hint("h stands inside the clip: q reaches −1 and 1.")
    if close(_target(cosines, _quality(lengths, mean=0))):
        raise Hint("the mean is missing: q is above 0 for what is longer than the mean.")
    if close(_target(cosines, _quality(lengths, mean=lengths.mean(), std=lengths.std()))):
        raise Hint("mean and std are given; do not take those of this batch.")
    if close(_target(cosines, q, angle=-q)):
        raise Hint("the sign of the angle is turned: a long embedding's gets smaller, θ − m·q.")
    if close(_target(cosines, q, off=0 * q)):
        raise Hint("the angle is right; m + m·q has still to be taken off the cosine.")
    if close(_target(cosines, q, off=q)):
        raise Hint("m·q is taken off the cosine; it is m + m·q.")
    if close(_target(cosines, q, off=1 - q)):
        raise Hint("m − m·q is taken off the cosine; it is m + m·q.")
    if close(_target(cosines, q, off=-1 - q)):
        raise Hint("m + m·q is a margin: it is taken off the cosine, not added.")
    if close(right, scale=1):
        raise Hint("the scale is missing on the label's logit.")
    if close(16 * right + 15 * 0.4 * (1 + q), scale=1):
        raise Hint("m + m·q is taken off the logit, after the scale: s·(cos(θ − m·q) − (m + m·q)).")
    if not close(right):
        raise Hint(
            f"the label's logits should be {(16 * right).round(2)}, yours: {np.round(values, 2)}."
        )


def _quality(lengths, h=0.333, mean=20.0, std=5.0):
    return np.clip(h * (lengths - mean) / (std + 1e-3), -1, 1)


def _target(cosines, q, angle=None, off=None, m=0.4):
    """AdaFace's target; `angle` and `off` stand in for q and 1 + q."""
    angle, off = q if angle is None else angle, 1 + q if off is None else off
    return np.asarray(losses.margin_logit(cosines, m2=-m * angle, m3=m * off))


@self_check("10.3 the farther, the larger")
def elastic_margins(elastic_plus):
    cosines = np.array([0.7, -0.1, 0.2, 0.9, 0.5])
    margins = np.array([0.52, 0.41, 0.60, 0.47, 0.55])
    given = cosines.copy(), margins.copy()
    result = require_shape(elastic_plus(*given), cosines.shape)
    if not all(map(np.array_equal, given, (cosines, margins))):
        raise Hint("your function changed what it was given: np.sort returns a copy.")
    ascending, nearest_first = np.sort(margins), np.argsort(-cosines)
    if np.allclose(result, margins):
        raise Hint("those are the draws in the order in which they came.")
    if np.allclose(result, ascending):
        raise Hint("the draws are sorted, but whose is which? Sample 0 is not the nearest.")
    if np.allclose(result, ascending[nearest_first]):
        raise Hint(
            "the farthest sample, of cosine −0.1, still gets the smallest draw. argsort says who "
            "is first, second, …; what is wanted is the place of each sample in that order."
        )
    mistaken = [
        draws[order]
        for draws in (ascending, ascending[::-1])
        for order in (nearest_first, nearest_first[::-1])
    ]
    if any(np.allclose(result, other) for other in mistaken):
        raise Hint(
            "another order, and the mistake is the same: argsort says who is first, second, …; "
            "what is wanted is the place of each sample in that order."
        )
    place = np.argsort(nearest_first)
    if np.allclose(result, ascending[::-1][place]):
        raise Hint("now the nearest sample gets the largest margin: the other way round.")
    if np.allclose(result, margins[place]):
        raise Hint("the places are right, but the draws have to be sorted first.")
    if not np.allclose(np.sort(result), ascending):
        raise Hint("each of the draws is given to one sample, unchanged.")
    if not np.allclose(result, ascending[place]):
        raise Hint(f"for the cosines {cosines} it should be {ascending[place]}, yours: {result}.")
    return "right. A test with two samples would not have found it: that order is its own inverse."


@self_check("10.4 clean the labels")
def cleaned(kept):
    # a label, and the degrees to each of the three sub-centres of its class
    labels, *angles = np.array(
        [
            (3, 10, 80, 85),
            (9, 85, 80, 15),
            (3, 82, 20, 86),  # near to a sub-centre, but not to that of most threes
            (5, 68, 60, 88),
            (5, 72, 65, 85),
            (3, 62, 55, 80),  # nearer to another, but near enough
            (9, 80, 20, 84),
            (5, 12, 81, 79),
            (3, 30, 70, 88),
            (5, 66, 48, 80),
            (9, 76, 86, 40),
            (5, 20, 84, 86),  # on average the fives are nearer to 0, but most are nearest to 1
            (3, 78, 88, 89),  # nearest to the right one, and too far away
        ]
    ).T
    angles = np.stack(angles, axis=1)
    rows, nearest = np.arange(len(labels)), angles.argmin(axis=1)
    dominant = np.select([labels == 3, labels == 5], [0, 1], 2)
    average = np.select([labels == 9], [2], 0)
    counted_once = np.select([labels == 9], [1], 0)
    away = angles[rows, dominant]
    cosines = np.cos(np.radians(angles))
    result = require_shape(kept(labels, cosines, 75.0), labels.shape)
    if result.dtype != bool:
        raise Hint("one True or False for each image: a comparison returns them.")
    if np.array_equal(result, away > 75):
        raise Hint("those are the images to drop: within 75° means a larger cosine.")
    if result.all():
        raise Hint("all are kept: neither a cosine nor an angle in radians is ever above 75.")
    if not result.any():
        raise Hint(
            "none is kept: the nearest has the largest cosine, and degrees compare with degrees."
        )
    if np.array_equal(result, cosines[rows, dominant] >= np.cos(75)):
        raise Hint("np.cos takes radians: np.cos(np.radians(degrees)).")
    if np.array_equal(result, angles.min(axis=1) <= 75):
        raise Hint("that is the nearest sub-centre: wrong labels may have one of their own.")
    if np.array_equal(result, angles[:, np.bincount(nearest).argmax()] <= 75):
        raise Hint("each class has a dominant sub-centre of its own: count within the class.")
    if np.array_equal(result, angles[rows, average] <= 75):
        raise Hint("dominant is not the nearest on average: count who is nearest to which.")
    if np.array_equal(result, angles[rows, counted_once] <= 75):
        raise Hint("votes[labels, nearest] += 1 counts a place once: np.add.at counts them all.")
    if np.array_equal(result, nearest == dominant):
        raise Hint("what counts is the angle to the dominant one, not whether it is the nearest.")
    if not np.array_equal(result, away <= 75):
        wrong = np.flatnonzero(result != (away <= 75))[0]
        raise Hint(
            f"image {wrong}, labelled {labels[wrong]}, is {away[wrong]}° from the dominant "
            f"sub-centre of its class, number {dominant[wrong]}: is it to be kept?"
        )
    if not np.array_equal(kept(labels, cosines, 50.0), away <= 50):
        raise Hint("75° is right, 50° is not: use `degrees`.")
    return "right: who is far from the dominant sub-centre goes, however near to another."
