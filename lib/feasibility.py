"""Can this margin be reached at all? What C classes in D dimensions can do, before any training.

Classes are directions, and directions need room. In the best arrangement the C class weights stand
as far apart as they can and every embedding lies on its class weight; from there one reads off the
highest probability, the lowest loss, and whether a margin leaves every class a region of its own.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from . import inputs
from .layers import checked_classes, whole_number
from .losses import checked_margins, checked_scale, number

# Margins exactly at their limit count as within it, whatever the rounding.
_TOLERANCE = 1e-9
_LARGEST_SCALE = 1e6


@dataclass(frozen=True)
class Feasibility:
    """What the loss can ask of `num_classes` classes in `dim` dimensions; from `feasibility`.

    Attributes:
        num_classes, dim, scale, m1, m2, m3: the question.
        angle_low, angle_high: bounds, in radians, on the smallest angle between two classes in the
            arrangement where that angle is as large as it can be. Equal where it is known exactly.
        angle_needed: the smallest angle between two classes, in radians, at which an embedding on
            its class weight still satisfies the margin; infinite if no angle is enough.
        highest_probability: the softmax probability of the right class, without the margin, that
            all classes can reach at once.
        loss_floor: the lowest loss, margin included, that all classes can have at once.
        exact: whether `highest_probability` and `loss_floor` are those of a known best arrangement;
            otherwise they are bounds that hold in every dimension and are not quite reached.
        attainable: True if the margin leaves every class a region, False if it cannot, None if that
            is not known: the angle needed lies between the bounds.

    Where a margin is not attainable, the *mean* loss over the classes can fall below `loss_floor`:
    by giving up some classes, that is, by merging them, to make room for the others.
    """

    num_classes: int
    dim: int
    scale: float
    m1: float
    m2: float
    m3: float
    angle_low: float
    angle_high: float
    angle_needed: float
    highest_probability: float
    loss_floor: float
    exact: bool

    @property
    def attainable(self):
        if self.angle_needed <= self.angle_low + _TOLERANCE:
            return True
        return None if self.angle_needed <= self.angle_high + _TOLERANCE else False

    def __repr__(self):
        low, high = math.degrees(self.angle_low), math.degrees(self.angle_high)
        known = math.isclose(low, high)
        angle = f"{low:.1f}°" if known else f"between {low:.1f}° and {high:.1f}°"
        needed = math.degrees(self.angle_needed)
        asks = "more than 180°" if math.isinf(needed) else f"{needed:.1f}°"
        verdict = {True: "fits", False: "does NOT fit", None: "not known to fit"}[self.attainable]
        kind = "" if self.exact else " (a bound, not quite reached)"
        unless = ", unless classes are given up" if self.attainable is False else ""
        return "\n".join(
            [
                f"{self.num_classes} classes, {self.dim} dimensions, scale {self.scale:g}, "
                f"margins ({self.m1:g}, {self.m2:g}, {self.m3:g})",
                f"  angle between neighbours  {angle} at best",
                f"  angle the margin needs    {asks}: it {verdict}",
                f"  highest probability       {self.highest_probability:.4g}{kind}",
                f"  loss floor                {self.loss_floor:.4g}{kind}{unless}",
            ]
        )


def feasibility(num_classes, dim, scale, m1=1.0, m2=0.0, m3=0.0):
    """Say whether the margins fit, and how high the probability and how low the loss can get.

    With each embedding on its class weight (theta = 0) and a neighbour at the angle phi, the margin
    is satisfied if cos(m2) - m3 >= cos(phi). With phi from `largest_angle` that gives CosFace's
    limits on m3 (Wang et al., CVPR 2018, eq. 7, for dim = 2 and num_classes <= dim + 1), and m2 <=
    2 pi / num_classes for ArcFace in the plane. m1 multiplies an angle that is 0 there, so it
    leaves every class at least its own direction.

    Args:
        num_classes: C, at least 2.
        dim: D, dimensions of the embedding, at least 1.
        scale: s, > 0.
        m1, m2, m3: the margins, as in `lib.losses.MarginLoss`; neutral by default.

    Returns:
        A `Feasibility`.

    Raises:
        ValueError: for a size, a scale or a margin outside its range.
    """
    m1, m2, m3 = checked_margins(m1, m2, m3)
    scale = checked_scale(scale)
    low, high = largest_angle(num_classes, dim)
    target = math.cos(m2) - m3
    others = _other_cosines(num_classes, dim)
    exact = others is not None
    if not exact:
        # the mean of the other cosines is never below this, in any arrangement
        others = np.full(num_classes - 1, -1 / (num_classes - 1))
    return Feasibility(
        num_classes=num_classes,
        dim=dim,
        scale=scale,
        m1=m1,
        m2=m2,
        m3=m3,
        angle_low=low,
        angle_high=high,
        angle_needed=math.acos(target) if target >= -1 else math.inf,
        highest_probability=math.exp(-_loss(others, 1.0, scale)),
        loss_floor=_loss(others, target, scale),
        exact=exact,
    )


def largest_angle(num_classes, dim):
    """Bounds, in radians, on the largest possible smallest angle between class directions.

    Exact (low = high) are: the circle, 2 pi / C; the simplex, arccos(-1 / (C - 1)), for C <= D + 1;
    and pi / 2 for D + 2 <= C <= 2 D (Rankin, 1955). Beyond that let alpha be the radius of a cap
    that covers one C-th of the sphere. C caps of radius alpha just cover it in area, so directions
    can be placed one after the other without coming closer than alpha; and C caps that do not
    overlap have at most that area, so the angle is at most 2 alpha, and at most pi / 2.

    Args:
        num_classes: C, at least 2.
        dim: D, at least 1.

    Returns:
        (low, high).
    """
    _check_sizes(num_classes, dim)
    if num_classes <= dim + 1:
        angle = math.acos(-1 / (num_classes - 1))
    elif dim == 1:
        angle = 0.0  # two directions only: some classes share one
    elif dim == 2:
        angle = 2 * math.pi / num_classes
    elif num_classes <= 2 * dim:
        angle = math.pi / 2
    else:
        alpha = _cap_radius(1 / num_classes, dim)
        return alpha, min(2 * alpha, math.pi / 2)
    return angle, angle


def smallest_scale(probability, num_classes, dim=None):
    """The scale from which on every class can reach a probability.

    In closed form where the classes form a simplex, CosFace's eq. 6 (Wang et al., CVPR 2018):

        s >= (C - 1) / C * ln((C - 1) P / (1 - P))

    It is necessary for every number of classes, and enough only for C <= D + 1.

    Args:
        probability: P, above 1 / C and below 1.
        num_classes: C, at least 2.
        dim: D. None, or an arrangement that is not known in closed form, gives eq. 6.

    Returns:
        s.

    Raises:
        ValueError: for a size or a probability outside its range.
    """
    _check_sizes(num_classes, 1 if dim is None else dim)
    probability = number("probability", probability)
    if not 1 / num_classes < probability < 1:
        raise ValueError(
            f"probability must lie between 1/{num_classes}, which guessing reaches, and 1, which "
            f"no scale reaches; got {probability}."
        )
    others = None if dim is None else _other_cosines(num_classes, dim)
    if others is None or len(set(others)) == 1:
        odds = (num_classes - 1) * probability / (1 - probability)
        return (num_classes - 1) / num_classes * math.log(odds)
    return _bisect(lambda scale: math.exp(-_loss(others, 1.0, scale)) >= probability)


def _bisect(enough):
    """The smallest scale that is enough, if every larger one is."""
    low, high = 0.0, 1.0
    while not enough(high):
        high *= 2
    for _ in range(60):  # halve the interval to below any rounding
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def random_scale(probability, num_classes, dim):
    """The scale at which classes in *random* directions reach a probability, on their class weight.

    The cosine u of two random directions has a known law, and with it the mean of what another
    class adds to the softmax's sum, E exp(s u) = 0F1(; D / 2; s^2 / 4). The scale solves

        ln((C - 1) E exp(s u)) - s = ln((1 - P) / P)

    With many dimensions E exp(s u) is close to exp(s^2 / 2D), so s - s^2 / 2D is close to
    ln((C - 1) P / (1 - P)), the right side of CosFace's eq. 6. In few dimensions a few near rivals
    make up most of the mean, and half of the classes need less.

    Args:
        probability: P, above 1 / C and below 1.
        num_classes: C, at least 2.
        dim: D, at least 2.

    Raises:
        ValueError: for a size or a probability outside its range.
    """
    smallest_scale(probability, num_classes)  # refuses what is out of range
    whole_number("dim", dim, 2, "with one dimension there are two directions only.")
    others = math.log(num_classes - 1)
    goal = math.log((1 - probability) / probability)
    return _bisect(lambda scale: others + _log_mean_exp(scale, dim) <= goal)


def scale_for(cosines, probability):
    """The scale from which on classes have a probability, for an embedding on its class weight.

    Args:
        cosines: of each class that is asked for to all *other* classes, (asked for, others).
        probability: P, at least 0.5 and below 1.

    Returns:
        One scale for each class asked for; infinite where another class has the same direction, or
        as good as the same: a scale above a million would be needed.

    Raises:
        ValueError: for cosines that are none, or a probability outside its range.
    """
    cosines = inputs.array(cosines, "cosines", ("asked for", "others"))
    if abs(cosines).max() > 1 + 1e-5:
        raise ValueError(f"cosines: expected -1 to 1, got {abs(cosines).max():.3g} as the largest.")
    probability = number("probability", probability)
    if not 0.5 <= probability < 1:
        raise ValueError(f"probability must lie in [0.5, 1), got {probability}.")
    goal = math.log((1 - probability) / probability)
    precise = np.result_type(cosines, "float32")  # half precision has no room for small shares
    return np.array([_scale_of(row.astype(precise).clip(-1, 1) - 1, goal) for row in cosines])


def _scale_of(away, goal):
    """The scale s at which ln sum exp(s away) falls to the goal; `away` is cosines less one."""
    if away.max() == 0:
        return math.inf
    # It is convex: Newton's steps from below never go too far. Were all others opposite, half of
    # the logarithm would do.
    scale = (math.log(len(away)) - goal) / 2
    while scale < _LARGEST_SCALE:
        shares = np.exp(scale * away)
        total = float(shares.sum(dtype="float64"))
        step = (math.log(total) - goal) * total / -float(shares @ away)
        scale += step
        if step <= 1e-4 * scale:  # both are 0 where two classes are to have one half
            return scale
    return math.inf


def _log_mean_exp(scale, dim):
    """ln E exp(scale (u - 1)), u the cosine of two random directions."""
    half = dim / 2
    if scale > 1000:  # where the series is long: Debye's expansion of the Bessel function in it
        order = half - 1
        root = math.hypot(order, scale)
        height = math.lgamma(half) + order * math.log(2 / (order + root))
        height += order**2 / (root + scale) - math.log(2 * math.pi * root) / 2
        return height + math.log1p((3 - 5 * (order / root) ** 2) / (24 * root))
    terms = np.arange(int(2 * scale) + 50)
    lgamma = np.vectorize(math.lgamma)
    sizes = lgamma(terms + 1.0) + lgamma(terms + half) - math.lgamma(half)
    series = np.logaddexp.reduce(2 * terms * math.log(max(scale, 1e-300) / 2) - sizes)
    return float(series) - scale


def arrangement(num_classes, dim, seed=0, steps=400, sharpest=40):
    """Spread class directions over the sphere as far as descent gets them: (num_classes, dim).

    What the bounds of `largest_angle` only enclose, found by trying: from random directions,
    gradient steps on the softmax loss of the directions themselves, with a scale that grows from
    5 to `sharpest` so that in the end the nearest neighbours decide. Not always the best
    arrangement there is, but one that exists. In the plane, where nobody can get past anybody,
    some may coincide; in few dimensions another seed may find a better one.

    Args:
        num_classes: C, at least 2; a step takes C² D operations.
        dim: D, at least 1.
        seed: of the random start.
        steps: of descent, ever smaller.
        sharpest: the scale at the end; in three dimensions 400 finds better ones than 40.

    Returns:
        Unit vectors, float32.

    Raises:
        ValueError: for a size or a number of steps outside its range.
    """
    _check_sizes(num_classes, dim)
    whole_number("steps", steps, 1, "400 come within a degree or two of the best that is known.")
    rng = np.random.default_rng(seed)
    directions = _unit(rng.standard_normal((num_classes, dim)).astype("float32"))
    for step in range(steps):
        done = step / steps
        logits = (5 + (sharpest - 5) * done) * (directions @ directions.T)
        np.fill_diagonal(logits, -np.inf)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        towards_others = _unit((shares + shares.T) @ directions)
        directions = _unit(directions - np.float32(0.1 * (1 - done)) * towards_others)
    return directions


def _unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _other_cosines(num_classes, dim):
    """Cosines from one class to the others where a best arrangement is known, else None."""
    if num_classes <= dim + 1:  # simplex
        return np.full(num_classes - 1, -1 / (num_classes - 1))
    if dim == 2:  # evenly on the circle
        return np.cos(2 * np.pi * np.arange(1, num_classes) / num_classes)
    if dim > 1 and num_classes == 2 * dim:  # both ends of each axis
        return np.array([-1.0] + [0.0] * (num_classes - 2))
    return None


def _loss(others, target, scale):
    """Cross-entropy of a target cosine (with its margin) against the other cosines."""
    ahead = np.logaddexp.reduce(scale * (others - target))
    return float(np.logaddexp(0.0, ahead))


@functools.cache
def _cap_radius(share, dim):
    """The angular radius of a cap that covers a share (at most one half) of the sphere."""
    angles = np.linspace(0, np.pi / 2, 200_001)
    ring = np.sin(angles) ** (dim - 2)
    area = np.concatenate([[0.0], np.cumsum(ring[1:] + ring[:-1])])  # trapezoids
    return float(np.interp(share, 0.5 * area / area[-1], angles))


def _check_sizes(num_classes, dim):
    checked_classes(num_classes)
    whole_number("dim", dim, 1, "the course uses 2, 3, 20 and 64.")
