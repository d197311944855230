"""Self-checks of lesson 00. A `Hint` answers one wrong answer that people really give."""

import math

from lib.course import Hint, self_check

import numpy as np


@self_check("0.1 angle between two vectors")
def angle(angle_between):
    right_angle = angle_between(np.array([3.0, 0.0]), np.array([0.0, 2.0]))
    if np.ndim(right_angle) != 0:
        raise Hint("return one number for two vectors; did you sum over the components?")
    if math.isclose(right_angle, math.pi / 2, abs_tol=1e-6):
        raise Hint("that is in radians; the exercise asks for degrees (np.degrees).")
    if math.isclose(right_angle, 0, abs_tol=1e-6):
        raise Hint("perpendicular vectors gave 0: that is the cosine; its arccos is the angle.")
    slanted = angle_between(np.array([2.0, 0.0]), np.array([1.0, 1.0]))
    if math.isnan(slanted):
        raise Hint("(2, 0) and (1, 1) gave NaN: divide by both lengths before arccos.")
    if not math.isclose(slanted, 45, abs_tol=1e-4):
        raise Hint(
            f"(2, 0) and (1, 1) are 45° apart, yours says {slanted:.4g}: is the dot product divided"
            " by the lengths of both vectors?"
        )
    vectors = np.random.default_rng(0).random((100, 3), dtype="float32")
    if any(math.isnan(angle_between(vector, vector)) for vector in vectors):
        raise Hint(
            "some vectors with themselves gave NaN: rounding makes a cosine a little larger than "
            "1, so clip it to [-1, 1] before arccos."
        )
    return "right, and it survives a vector compared with itself."


@self_check("0.2 three times as long")
def stretched(factor):
    if factor == 3:
        raise Hint("lengths grow by 3, but an angle does not know about lengths.")
    if factor in (1 / 3, 9):
        raise Hint("the angle divides by both lengths, so the 3 cancels instead of staying.")
    if factor != 1:
        raise Hint("multiply u by 3 in the formula for the angle: what cancels?")
    return "right: no number of the scoreboard that is an angle or a cosine notices a length."


@self_check("0.3 counting pairs")
def pairs(genuine_pairs, impostor_pairs):
    if genuine_pairs == 99_000:
        raise Hint("you counted each pair twice: (a, b) and (b, a) are one pair.")
    if genuine_pairs == 100_000:
        raise Hint("100 · 100 pairs a class counts each pair twice, and images with themselves.")
    if genuine_pairs == 50_500:
        raise Hint("you counted each image with itself as well: those pairs are left out.")
    if genuine_pairs != 10 * 100 * 99 // 2:
        raise Hint("a class of 100 images makes 100 · 99 / 2 pairs; how many classes are there?")
    if impostor_pairs != 1000 * 999 // 2 - genuine_pairs:
        raise Hint("the impostor pairs are all the others: all pairs are 1000 · 999 / 2.")
    return "right: nine in ten pairs are impostors, so a small FAR still admits many of them."
