"""Self-checks of lesson 04. A `Hint` answers one wrong answer that people really give."""

import math

from lib import losses
from lib.course import Hint, self_check

import numpy as np


@self_check("4.1 room and gap")
def room_and_gap(room, gap):
    if math.isclose(room, 12, abs_tol=0.01):
        raise Hint("36/3 would be right if the neighbour stood still: 3θ ≤ 36 − θ.")
    if math.isclose(room, 18, abs_tol=0.01):
        raise Hint("18° is half way, the border without a margin: the room is where 3θ = 36 − θ.")
    if not math.isclose(room, 9, abs_tol=0.01):
        raise Hint("an image θ from its class is 36 − θ from the neighbour: solve 3θ = 36 − θ.")
    if math.isclose(gap, 27, abs_tol=0.01):
        raise Hint("the neighbour's images, too, need room: take 9° off on both sides.")
    if not math.isclose(gap, 18, abs_tol=0.01):
        raise Hint("the gap is what both classes leave of the 36°.")
    return "right: half of the 36° belong to nobody, (m − 1)/(m + 1) = 1/2."


@self_check("4.2 write ψ")
def psi_function(psi):
    theta = np.radians([0.0, 30.0, 60.0, 100.0, 170.0])
    first = np.asarray(psi(theta[:1], 4), dtype=float)
    if np.allclose(first, -1):
        raise Hint("an image on its class gets −1: -1**k is −(1**k); write (-1)**k.")
    with np.errstate(invalid="ignore"):
        values = np.asarray(psi(theta, 4), dtype=float)
    if values.shape != theta.shape:
        raise Hint(f"the result has shape {values.shape}, expected {theta.shape}.")
    if np.isnan(values).any():
        raise Hint("a negative number to a fractional power is NaN: round k down, np.floor.")
    expected = np.asarray(losses.psi(4 * theta))
    if np.allclose(values, np.cos(4 * theta)):
        raise Hint("that is cos 4θ, which rises again beyond 45°.")
    if np.allclose(values, expected + 2 * np.floor(4 * theta / math.pi)):
        raise Hint("each piece falls from 1 to −1 and then jumps back up: subtract 2k.")
    if not np.allclose(values, expected):
        raise Hint("k is m·θ/π rounded down; then (−1)^k cos(mθ) − 2k. Is θ in radians?")
    if not np.allclose(psi(theta, 1.5), losses.psi(1.5 * theta)):
        raise Hint("right for m = 4, but not for m = 1.5: compute k from m·θ, for any m.")
    return "right, for every m."


@self_check("4.3 find the mistakes")
def repaired_logits(target_logits):
    labels = np.array([0, 1, 0])
    cosines = np.array([[0.9, 0.1, -0.3], [0.2, 0.5, 0.1], [-0.6, 0.7, 0.2]])
    logits = np.asarray(target_logits(labels, cosines, 2, 10.0), dtype=float)
    if logits.shape != cosines.shape:
        raise Hint(f"the result has shape {logits.shape}, expected {cosines.shape}.")
    own = np.eye(3, dtype=bool)[labels]
    if not np.allclose(logits[~own], 10 * cosines[~own]):
        raise Hint("the other classes' logits must stay s·cos θ: only the label's gets ψ.")
    expected = 10 * np.asarray(losses.psi(2 * np.arccos(cosines[own])))
    if math.isclose(logits[2, 0], -10, abs_tol=0.1) and np.allclose(logits[own][:2], expected[:2]):
        raise Hint(
            "a cosine of −0.6 is treated like 0: a cosine lies in [−1, 1]; [0, π] is the angle's."
        )
    if not np.allclose(logits[own], expected):
        raise Hint(
            f"the targets should be {np.round(expected, 2)}, yours are {np.round(logits[own], 2)}: "
            "round k down, and multiply all of ψ by s."
        )
    exact = target_logits(np.array([0]), np.array([[1.0000001, 0.0]]), 2, 10.0)
    if not np.isfinite(exact).all():
        raise Hint("rounding can make a cosine 1.0000001, and its arccos NaN: keep a clip.")
    return "right: one column, one ψ, and no image is out of reach."


@self_check("4.4 the smallest m for two classes")
def smallest_m(m):
    if math.isclose(m, 3, abs_tol=1e-3):
        raise Hint(
            "3 is for evenly spread classes (and comes out if you count the outer side only)."
        )
    if math.isclose(m, 2 - math.sqrt(3), abs_tol=1e-3):
        raise Hint("that is the other root of m² − 4m + 1 = 0; m must be above 1.")
    if math.isclose(m, 2, abs_tol=1e-3):
        raise Hint("that counts the inner side only: the class is also as wide as its outer side.")
    if not math.isclose(m, 2 + math.sqrt(3), abs_tol=1e-2):
        raise Hint("solve 1/(m+1) + 1/(m−1) = (m−1)/(m+1); multiply by (m+1)(m−1).")
    return "right: 2 + √3 = 3.73, Property 2. The next whole number is the authors' 4."
