"""Self-checks of lesson 05. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("5.1 how large may m be")
def largest_margins(on_circle, with_room):
    right = 1 - math.cos(2 * math.pi / 12)
    if math.isclose(on_circle, 1 - math.cos(math.pi / 12), abs_tol=1e-3):
        raise Hint("15° is half way to the neighbour; its class weight stands 30° away.")
    if math.isclose(on_circle, 1 - math.cos(30), abs_tol=1e-3):
        raise Hint("np.cos takes radians: np.cos(np.radians(30)).")
    if math.isclose(on_circle, 1 - right, abs_tol=1e-3):
        raise Hint("that is the neighbour's cosine; m is what 1 has more than that.")
    if not math.isclose(on_circle, right, abs_tol=2e-3):
        raise Hint("on its class weight an image has cosine 1; what has it with the neighbour's?")
    if math.isclose(with_room, 1, abs_tol=1e-3):
        raise Hint("that puts the others at a right angle; on the simplex they are farther away.")
    if math.isclose(with_room, 2, abs_tol=1e-3):
        raise Hint("twelve classes cannot all be opposite to each other.")
    if math.isclose(with_room, 11 / 12, abs_tol=1e-3):
        raise Hint("upside down: the cosine to the others is −1/11, so 1 − (−1/11).")
    if not math.isclose(with_room, 12 / 11, abs_tol=2e-3):
        raise Hint("on the simplex every two class weights have the cosine −1/(C − 1).")
    return "right: 0.134 on the circle, 1.09 with room for a simplex, eight times as much."


@self_check("5.2 a margin for each class")
def loss_function(cosface_loss):
    labels = np.array([2, 0, 1])
    cosines = np.array([[0.9, 0.85, -0.3], [0.2, 0.5, 0.1], [0.4, 0.7, 0.2]])
    margins, s = np.array([0.05, 0.1, 0.3]), 16.0
    given = cosines.copy()
    losses = require_shape(cosface_loss(labels, given, margins, s), (3,))
    if not np.array_equal(given, cosines):
        raise Hint("your function changed the caller's cosines: take a copy, or s * cosines first.")
    m = margins[labels]
    expected = _loss(labels, cosines, s * m, s)
    if np.allclose(losses, _loss(labels, cosines, 0, s)):
        raise Hint("there is no margin in it.")
    if np.allclose(losses, _loss(labels, cosines - margins, 0, s)):
        raise Hint("it is taken off every class: only the label's logit gets its margin.")
    if np.allclose(losses, _loss(labels, cosines, s * margins, s)):
        raise Hint("margins[0] belongs to class 0, not to image 0: margins[labels].")
    if np.allclose(losses, _loss(labels, cosines, m, s)):
        raise Hint("the margin is subtracted from the logit, after the scale: s·(cos θ − m).")
    if np.allclose(losses, _loss(labels, cosines, -s * m, s)):
        raise Hint("that is a bonus: the loss should be larger than without a margin.")
    if np.allclose(losses, _loss(labels, cosines, m, 1)):
        raise Hint("nothing is multiplied by s.")
    if not np.allclose(losses, expected):
        raise Hint(f"the losses should be {np.round(expected, 3)}, yours: {np.round(losses, 3)}.")
    return "right: each image meets the margin of its own class."


@self_check("5.3 a scale for a margin")
def scale_with_margin(needed_scale):
    value = require_shape(needed_scale(0.9, 10, 0.35), ())
    if math.isclose(value, 0.9 * math.log(81)):
        raise Hint("that is eq. 6, which leaves the margin out: the target's cosine is 1 − m.")
    if math.isclose(value, math.log(81) / (10 / 9 + 0.35)):
        raise Hint("a margin cannot make it easier: the target's cosine is 1 − m, not 1 + m.")
    if math.isclose(value, math.log(81) / (1 - 0.35)):
        raise Hint("the others stand at −1/(C − 1), not at 0.")
    if math.isclose(value, math.log10(81) / (10 / 9 - 0.35)):
        raise Hint("that uses log10; take the natural logarithm, np.log.")
    for probability, count, m in ((0.9, 10, 0.35), (0.99, 1000, 0.2), (0.6, 2, 0)):
        odds = (count - 1) * probability / (1 - probability)
        expected = math.log(odds) / (count / (count - 1) - m)
        got = needed_scale(probability, count, m)
        if not math.isclose(got, expected, rel_tol=1e-6):
            raise Hint(
                f"for P = {probability}, {count} classes and m = {m} it should be {expected:.3f}, "
                f"yours gives {got:.3f}: solve P = 1 / (1 + (C − 1)·exp(s·(m − C/(C − 1))))."
            )
    return "right: 5.77 in place of 3.96. The bound of eq. 6 is necessary, not enough."


@self_check("5.4 a margin outside the brackets")
def translated_margin(acts_like, to_pass):
    if math.isclose(acts_like, 0.35, abs_tol=1e-4):
        raise Hint("the scale multiplies the cosine there, but not the margin.")
    if math.isclose(acts_like, 10.5, abs_tol=1e-2):
        raise Hint("the other way round: 30·cos θ − 0.35 = 30·(cos θ − ?).")
    if not math.isclose(acts_like, 0.35 / 30, abs_tol=1e-4):
        raise Hint("write 30·cos θ − 0.35 as 30·(cos θ − m) and solve for m.")
    if math.isclose(to_pass, 0.35 / 30, abs_tol=1e-4):
        raise Hint("that makes it smaller still: 30·(cos θ − 0.35) = 30·cos θ − ?")
    if not math.isclose(to_pass, 10.5, abs_tol=1e-2):
        raise Hint("multiply out 30·(cos θ − 0.35).")
    return "right: 0.0117, and 10.5 would have to be passed. Check which one a repository means."


def _loss(labels, cosines, handicap, s):
    logits = s * cosines
    logits[np.arange(len(labels)), labels] -= handicap
    own = logits[np.arange(len(labels)), labels]
    return np.logaddexp.reduce(logits, axis=1) - own
