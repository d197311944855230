"""Self-checks of lesson 04. A `Hint` answers one wrong answer that people really give."""

import math

from lib import losses
from lib.course import Hint, require_shape, self_check

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


@self_check("4.2 back to the angle")
def angle_behind(angle_of):
    theta = np.radians([0.0, 20.0, 60.0, 100.0, 150.0, 175.0])
    values = np.asarray(losses.psi(4 * theta), dtype=float)
    with np.errstate(invalid="ignore"):
        angles = require_shape(angle_of(values.copy(), 4), theta.shape).astype(float)
    k = np.floor(4 * theta / math.pi)
    within = 4 * theta - k * math.pi  # how far down in its piece, in radians
    if np.isnan(angles).any():
        raise Hint("no angle has a cosine below −1: lift a value by 2k before the arccos.")
    if np.allclose(angles, np.degrees(theta), atol=1e-4):
        raise Hint("radians are asked, those are degrees.")
    if np.allclose(angles, 4 * theta, atol=1e-4):
        raise Hint("that is mθ: divide by m.")
    if np.allclose(angles, within / 4, atol=1e-4):
        raise Hint("every piece begins at 0 with you: the k pieces before it are π each.")
    if np.allclose(angles, within / 4 + k * math.pi, atol=1e-4):
        raise Hint("the pieces before are π each in mθ: divide them by m, too.")
    if np.allclose(angles, (k * math.pi + np.where(k % 2, math.pi - within, within)) / 4):
        raise Hint("every second piece is upside down: (−1)^k has turned it already, ψ only falls.")
    if not np.allclose(angles, theta, atol=1e-6):
        raise Hint("a piece is 2 high, from 1 − 2k down to −1 − 2k: which k has a value v in it?")
    uneven = np.asarray(losses.psi(1.5 * theta), dtype=float)
    if not np.allclose(angle_of(uneven, 1.5), theta, atol=1e-6):
        raise Hint("right for m = 4, but not for m = 1.5: compute k from the value alone.")
    return "right: ψ falls all the way, so each value belongs to one angle."


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
