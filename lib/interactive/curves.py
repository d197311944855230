"""The numbers behind the interactive figures, as plain functions of arrays in float64.

`lib.losses` computes the same in tensors, with gradients: there an operation takes as long as
hundreds of NumPy's on the few angles of a figure that follows a slider. A test holds both together.
Angles are in radians.
"""

import numpy as np


def target_cosine(theta, m1=1.0, m2=0.0, m3=0.0):
    """What stands in for the target's cosine: psi(m1 θ + m2) − m3."""
    angle = m1 * np.asarray(theta, dtype=float) + m2
    k = np.floor(angle / np.pi)
    return (1 - 2 * (k % 2)) * np.cos(angle) - 2 * k - m3


def pull(theta, m1=1.0, m2=0.0, m3=0.0):
    """How fast it falls with the angle: −d target_cosine / dθ = m1 |sin(m1 θ + m2)|, per radian."""
    return m1 * np.abs(np.sin(m1 * np.asarray(theta, dtype=float) + m2))


def probability(theta, m1=1.0, m2=0.0, m3=0.0, scale=64.0, others=9, other_angle=np.pi / 2):
    """Softmax probability of the target, the margin included.

    Args:
        theta: angle to the own class.
        m1, m2, m3, scale: as in `lib.losses.MarginLoss`.
        others: how many other classes there are, all of them at `other_angle`.
    """
    ahead = scale * (target_cosine(theta, m1, m2, m3) - np.cos(other_angle)) - np.log(others)
    return np.exp(-np.logaddexp(0.0, -ahead))


# What other code does with θ + m beyond π, where the plain cosine would rise again.
PAST_PI = {
    "wraps: cos(θ + m)": lambda theta, m: np.cos(theta + m),
    "drops: cos θ − m sin m": lambda theta, m: np.cos(theta) - m * np.sin(m),
    "−2 − cos(θ + m)": lambda theta, m: -2 - np.cos(theta + m),
}


def target_cosine_elsewhere(theta, m2, m3=0.0, rule="wraps: cos(θ + m)"):
    """The target's cosine of ArcFace as other code has it: cos(θ + m2), and a rule beyond π.

    Args:
        theta, m2, m3: as for `target_cosine`.
        rule: a name in `PAST_PI`.
    """
    theta = np.asarray(theta, dtype=float)
    usual = np.cos(theta + m2)
    return np.where(theta + m2 > np.pi, PAST_PI[rule](theta, m2), usual) - m3


def pull_elsewhere(theta, m2, rule):
    """−d target_cosine_elsewhere / dθ; negative where the rule pushes away from the own class."""
    theta = np.asarray(theta, dtype=float)
    usual = np.sin(theta + m2)
    beyond = {
        "wraps: cos(θ + m)": usual,
        "drops: cos θ − m sin m": np.sin(theta),
        "−2 − cos(θ + m)": -usual,
    }
    return np.where(theta + m2 > np.pi, beyond[rule], usual)


# --- borders --------------------------------------------------------------------------------------


def border(theta, m1=1.0, m2=0.0, m3=0.0):
    """From which angle to another class on an image at θ from its own is content; NaN if none is.

    It is content where target_cosine(θ) >= cos(angle to the other class).
    """
    target = target_cosine(theta, m1, m2, m3)
    return np.arccos(np.where(target < -1, np.nan, np.minimum(target, 1.0)))


def content_on_circle(around, own, others, m1=1.0, m2=0.0, m3=0.0):
    """Where on the circle images are content with a class.

    Args:
        around: (N,) directions of images.
        own: the direction of the class weight.
        others: (K,) directions of the other class weights.
        m1, m2, m3: the margins.

    Returns:
        (N,) bool.
    """
    nearest_other = angle_between(np.asarray(around)[:, None], others).min(axis=1)
    return target_cosine(angle_between(around, own), m1, m2, m3) >= np.cos(nearest_other) - 1e-12


def angle_between(first, second):
    """The angle between two directions of the plane, in [0, π]."""
    return np.abs(turn_to(first, second))


def turn_to(first, second):
    """By how much to turn from one direction to another, in [−π, π)."""
    return (np.asarray(second) - first + np.pi) % (2 * np.pi) - np.pi


# --- one sample on the circle ---------------------------------------------------------------------


def logits_on_circle(sample, weights, label, m1=1.0, m2=0.0, m3=0.0, scale=16.0):
    """Scaled logits of an image in a direction of the plane, the target's with its margin: (C,)."""
    angles = angle_between(sample, weights)
    logits = scale * np.cos(angles)
    logits[label] = scale * target_cosine(angles[label], m1, m2, m3)
    return logits


def softmax(logits):
    """Probabilities of one image's logits (C,)."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def push_on_circle(sample, weights, label, m1=1.0, m2=0.0, m3=0.0, scale=16.0):
    """Which way, and how strongly, the loss turns an image: −dL / d(its direction), per radian.

    Positive is counter-clockwise. On the circle an embedding can only turn: what would make it
    longer changes no cosine.
    """
    turns = turn_to(sample, weights)
    # how each logit grows as the image turns counter-clockwise
    growth = scale * np.sin(turns)
    side = np.sign(turns[label])
    growth[label] = scale * side * pull(abs(turns[label]), m1, m2, m3)
    missing = -softmax(logits_on_circle(sample, weights, label, m1, m2, m3, scale))
    missing[label] += 1
    return float(missing @ growth)
