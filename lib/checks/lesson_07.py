"""Self-checks of lesson 07. A `Hint` answers one wrong answer that people really give."""

import math

from lib import losses
from lib.course import Hint, require_shape, self_check

import numpy as np


@self_check("7.1 in CosFace's coin")
def margin_in_cosine(cosface_margin):
    theta = np.radians([0.0, 20.0, 60.0, 100.0])

    def close(values, m1, m2, m3, angles=theta):
        return np.allclose(values, np.cos(angles) - np.asarray(losses.psi(m1 * angles + m2)) + m3)

    values = require_shape(cosface_margin(theta, 1.0, 0.5, 0.0), theta.shape)
    if close(-values, 1, 0.5, 0):
        raise Hint("the sign is turned: a margin takes off the cosine, so it is cos θ − target.")
    if close(np.cos(theta) - values, 1, 0.5, 0):
        raise Hint("that is the target; the margin is what lies between it and cos θ.")
    if np.allclose(values, 1 - np.cos(theta + 0.5)):
        raise Hint("CosFace takes its margin off cos θ, not off 1.")
    if not close(values, 1, 0.5, 0):
        raise Hint("for ArcFace's 0.5 it is the m with cos θ − m = cos(θ + 0.5).")
    values = cosface_margin(theta, 0.9, 0.4, 0.15)
    if close(values, 0.9, 0.4, -0.15):
        raise Hint("its own m3 is taken off the cosine already: it adds to the margin.")
    if close(values, 0.9, 0.4, 0):
        raise Hint("its own m3 is a part of the margin, too.")
    if close(values, 0.9, 0.36, 0.15):
        raise Hint("m1 multiplies θ alone, not θ + m2.")
    if not close(values, 0.9, 0.4, 0.15):
        raise Hint("for (0.9, 0.4, 0.15) solve cos θ − m = cos(0.9 θ + 0.4) − 0.15.")
    wide = np.radians([100.0, 150.0, 179.0])
    values = cosface_margin(wide, 2.0, 0.5, 0.1)
    if np.allclose(values, np.cos(wide) - np.cos(2 * wide + 0.5) + 0.1):
        raise Hint("beyond m1·θ + m2 = π the cosine rises again: put ψ in its place.")
    if not close(values, 2, 0.5, 0.1, wide):
        raise Hint("beyond π: ψ(a) = (−1)^k cos a − 2k with k = ⌊a/π⌋ and a = m1·θ + m2.")
    return "right. ArcFace's 0.5 is 0.12 on the class weight, 0.48 at 60°, and most at 75.7°."


@self_check("7.2 does it fit")
def fit_on_circle(angle_needed, fits):
    right = math.degrees(math.acos(math.cos(0.3) - 0.2))
    if math.isclose(angle_needed, math.radians(right), abs_tol=2e-3):
        raise Hint("that is the angle in radians; degrees were asked.")
    if math.isclose(angle_needed, math.degrees(0.3), abs_tol=0.05):
        raise Hint("that is m2 alone; m3 asks for more.")
    if math.isclose(angle_needed, math.degrees(0.5), abs_tol=0.05):
        raise Hint("0.3 is an angle and 0.2 a difference of cosines: they cannot be added.")
    if math.isclose(angle_needed, math.degrees(0.3 + math.acos(0.8)), abs_tol=0.05):
        raise Hint("take 0.2 off the cosine of 0.3, not off the cosine of 0.")
    if not math.isclose(angle_needed, right, abs_tol=0.05):
        raise Hint("on its class weight θ = 0: for which φ is cos(0.3) − 0.2 = cos φ?")
    if not isinstance(fits, bool | np.bool_):
        raise Hint("fits is True or False.")
    if fits:
        raise Hint("ten classes on a circle are 36° apart at best.")
    return "right: 40.9° are needed and 36° are there. Hence (1, 0.1, 0.05) in the plane."


@self_check("7.3 find the twins")
def found_twins(twins):
    boards = {
        "softmax": (0.955, 5.70, 0.0581),
        "CosFace": (0.943, 5.87, 0.0587),
        "ArcFace": (0.943, 5.87, 0.0587),
        "combined": (0.943, 5.71, 0.0568),
        "SphereFace": (0.955, 5.70, 0.0584),
    }
    found = [tuple(pair) for pair in twins(dict(boards))]
    if any(first == second for first, second in found):
        raise Hint("every model equals itself: compare each with the others only.")
    pairs = {frozenset(pair) for pair in found}
    if len(pairs) < len(found):
        raise Hint("a pair comes twice, in both orders: itertools.combinations gives each once.")
    if frozenset(("CosFace", "combined")) in pairs:
        raise Hint("CosFace and combined share an accuracy, no more: all values must be equal.")
    if frozenset(("softmax", "SphereFace")) in pairs:
        raise Hint("0.0581 and 0.0584 are not equal: rounded values have many false twins.")
    if pairs != {frozenset(("CosFace", "ArcFace"))}:
        raise Hint("the answer is [('CosFace', 'ArcFace')]: all three values are equal.")
    if len(twins({"a": (1.0, 2.0), "b": (1.0, 2.0), "c": (1.0, 2.0)})) != 3:
        raise Hint("three equal boards make three pairs.")
    return "right: equal in the last digit means the same training, whatever the heading says."
