"""The feasibility calculator against closed forms, brute force and the losses themselves."""

import math

from lib.feasibility import (
    arrangement,
    feasibility,
    largest_angle,
    random_scale,
    scale_for,
    smallest_scale,
)
from lib.losses import MarginLoss

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.special import gammaln, hyp0f1, ive

# --- arrangements, built here once more -----------------------------------------------------------


def circle(count):
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def simplex(count):
    corners = np.eye(count) - 1 / count
    return corners / np.linalg.norm(corners, axis=1, keepdims=True)


def cross(dim):
    return np.concatenate([np.eye(dim), -np.eye(dim)])


ARRANGED = [
    pytest.param(circle(10), 10, 2, id="circle"),
    pytest.param(circle(5), 5, 2, id="pentagon"),
    pytest.param(simplex(4), 4, 3, id="tetrahedron"),
    pytest.param(simplex(10), 10, 20, id="simplex"),
    pytest.param(simplex(2), 2, 1, id="line"),
    pytest.param(cross(3), 6, 3, id="octahedron"),
]


def loss_of(directions, m1, m2, m3, scale):
    """The library's own margin loss with each embedding on its class weight."""
    cosines = (directions @ directions.T).astype("float32")
    labels = np.arange(len(directions))
    return float(MarginLoss(m1, m2, m3, scale)(labels, cosines))


@pytest.mark.parametrize(("directions", "num_classes", "dim"), ARRANGED)
@pytest.mark.parametrize("margins", [(1, 0, 0), (1, 0.3, 0), (1, 0, 0.2), (1.5, 0.2, 0.1)])
@pytest.mark.parametrize("scale", [1, 16])
def test_loss_floor_is_what_the_loss_gives(directions, num_classes, dim, margins, scale):
    answer = feasibility(num_classes, dim, scale, *margins)
    assert answer.exact
    assert answer.loss_floor == pytest.approx(loss_of(directions, *margins, scale), rel=1e-4)
    plain = math.exp(-loss_of(directions, 1, 0, 0, scale))
    assert answer.highest_probability == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize(("directions", "num_classes", "dim"), ARRANGED)
def test_largest_angle_is_that_of_the_arrangement(directions, num_classes, dim):
    cosines = directions @ directions.T - 2 * np.eye(num_classes)
    low, high = largest_angle(num_classes, dim)
    assert low == high == pytest.approx(math.acos(max(cosines.max(), -1)))


# --- brute force ----------------------------------------------------------------------------------


def lowest_mean_loss(num_classes, scale, m3, starts=4):
    """Move class weights and embeddings freely on the circle; the lowest mean loss found."""
    own = np.eye(num_classes, dtype=bool)

    def mean_loss(angles):
        weights, embeddings = angles[:num_classes], angles[num_classes:]
        cosines = np.cos(embeddings[:, None] - weights)
        others = np.logaddexp.reduce(np.where(own, -np.inf, scale * cosines), axis=1)
        return np.logaddexp(0, others - scale * (np.diag(cosines) - m3)).mean()

    rng = np.random.default_rng(0)
    lowest = math.inf
    for _ in range(starts):
        start = np.tile(rng.uniform(0, 2 * np.pi, num_classes), 2)
        start += rng.normal(scale=0.05, size=start.shape)
        lowest = min(lowest, minimize(mean_loss, start, method="L-BFGS-B").fun)
    return lowest


@pytest.mark.parametrize(("num_classes", "scale", "m3"), [(4, 1, 0), (7, 4, 0), (5, 8, 0.2)])
def test_free_optimisation_finds_the_floor_and_nothing_lower(num_classes, scale, m3):
    floor = feasibility(num_classes, 2, scale, m3=m3).loss_floor
    assert lowest_mean_loss(num_classes, scale, m3) == pytest.approx(floor, abs=1e-6)


def test_giving_up_classes_beats_the_floor_where_the_margin_does_not_fit():
    answer = feasibility(10, 2, 64, m3=0.35)
    assert answer.loss_floor == pytest.approx(10.87, abs=0.005)
    assert answer.attainable is False
    # four classes on one spot, the other six with room enough
    angles = np.radians([0, 0, 0, 0, 51, 102, 153, 204, 255, 306])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert loss_of(directions, 1, 0, 0.35, 64) < answer.loss_floor - 0.5


@pytest.mark.parametrize(("num_classes", "dim"), [(7, 3), (10, 3), (12, 5)])
def test_bounds_hold_for_directions_that_push_each_other_apart(num_classes, dim):
    rng = np.random.default_rng(0)

    def energy(flat):
        points = flat.reshape(num_classes, dim)
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        upper = np.triu_indices(num_classes, k=1)
        return np.logaddexp.reduce(40 * (unit @ unit.T)[upper])

    start = rng.normal(size=num_classes * dim)
    points = minimize(energy, start, method="L-BFGS-B").x.reshape(num_classes, dim)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    found = math.acos((unit @ unit.T - 2 * np.eye(num_classes)).max())
    low, high = largest_angle(num_classes, dim)
    assert low < found < high
    for scale in (1.0, 16.0):
        answer = feasibility(num_classes, dim, scale)
        assert not answer.exact
        assert loss_of(unit, 1, 0, 0, scale) > answer.loss_floor


def test_known_best_angles_lie_between_the_bounds():
    # Tammes' problem: the icosahedron, and ten points on the sphere
    for num_classes, degrees in ((12, 63.435), (10, 66.147)):
        low, high = map(math.degrees, largest_angle(num_classes, 3))
        assert low < degrees < high
    assert largest_angle(9, 5) == (math.pi / 2, math.pi / 2)  # Rankin
    low, high = largest_angle(3, 1)  # three classes on a line: two share a direction
    assert low == high == 0


def test_cap_radius_on_the_ordinary_sphere():
    # there a cap of radius alpha has the share (1 - cos alpha) / 2 of the area
    low, high = largest_angle(50, 3)
    assert (1 - math.cos(low)) / 2 == pytest.approx(1 / 50, rel=1e-6)
    assert high == pytest.approx(2 * low)


# --- the numbers that the lessons quote -----------------------------------------------------------


def test_scales_for_ten_classes():
    assert smallest_scale(0.9, 10) == pytest.approx(3.955, abs=0.001)  # CosFace eq. 6
    assert smallest_scale(0.9, 10, dim=9) == smallest_scale(0.9, 10)
    assert smallest_scale(0.9, 10, dim=2) == pytest.approx(15.1, abs=0.05)
    assert smallest_scale(0.99, 10, dim=2) == pytest.approx(27.7, abs=0.05)
    assert smallest_scale(0.9, 10, dim=4) == smallest_scale(0.9, 10)  # eq. 6 as a bound


@given(
    st.integers(2, 30),
    st.sampled_from([2, 3, 40]),
    st.floats(0.05, 0.95),
)
def test_smallest_scale_reaches_its_probability_and_no_less_does(num_classes, dim, share):
    probability = 1 / num_classes + share * (1 - 1 / num_classes)
    scale = smallest_scale(probability, num_classes, dim)
    reached = feasibility(num_classes, dim, scale).highest_probability
    assert reached == pytest.approx(probability, abs=1e-9)
    assert feasibility(num_classes, dim, 0.99 * scale).highest_probability < probability


def test_normface_example_with_10575_classes():
    answer = feasibility(10575, 10574, 1)
    assert answer.loss_floor == pytest.approx(8.266, abs=0.001)
    assert feasibility(10, 9, 1).highest_probability == pytest.approx(0.25, abs=0.005)


@pytest.mark.parametrize("num_classes", [2, 3, 4, 8, 10, 40])
def test_margins_in_the_plane_fit_up_to_their_limit(num_classes):
    limit = 1 - math.cos(2 * math.pi / num_classes)  # CosFace eq. 7
    assert feasibility(num_classes, 2, 16, m3=limit).attainable is True
    if limit < 1.9:
        assert feasibility(num_classes, 2, 16, m3=limit + 0.01).attainable is False
    angle = 2 * math.pi / num_classes
    if angle < math.pi / 2:  # ArcFace; above, no margin that a loss accepts is too large
        assert feasibility(num_classes, 2, 16, m2=angle).attainable is True
        assert feasibility(num_classes, 2, 16, m2=angle + 0.01).attainable is False
    assert feasibility(num_classes, 2, 16, m1=4).attainable is True


@pytest.mark.parametrize(("num_classes", "dim"), [(3, 5), (10, 9), (10, 20)])
def test_cosface_limit_on_the_simplex(num_classes, dim):
    limit = num_classes / (num_classes - 1)  # CosFace eq. 7
    assert feasibility(num_classes, dim, 16, m3=limit).attainable is True
    assert feasibility(num_classes, dim, 16, m3=limit + 0.01).attainable is False


def test_margins_between_the_bounds_are_not_known_to_fit():
    low, high = largest_angle(1500, 64)
    assert low < high == math.pi / 2
    assert feasibility(1500, 64, 64, m2=0.5).attainable is True
    assert feasibility(1500, 64, 64, m3=0.35).attainable is True
    assert feasibility(1500, 64, 64, m3=0.8).attainable is None
    assert feasibility(1500, 64, 64, m3=1.1).attainable is False


# --- random directions, and given ones ------------------------------------------------------------


def reference_scale(rest, probability):
    """The scale at which `rest`, ln of all others' share over the own, is what P leaves them."""
    goal = math.log((1 - probability) / probability)
    high = 1.0
    while rest(high) > goal:
        high *= 2
    return brentq(lambda scale: rest(scale) - goal, 0, high, xtol=1e-12, rtol=1e-14)


def reference_for(row, probability):
    away = np.float64(row) - 1
    return reference_scale(lambda scale: np.logaddexp.reduce(scale * away), probability)


@pytest.mark.parametrize(
    ("probability", "classes", "dim"),
    [(0.9, 10, 3), (0.11, 10, 5), (0.9, 5000, 64), (0.99, 100_000, 8), (0.999, 10**6, 512)],
)
def test_random_scale_solves_its_equation(probability, classes, dim):
    def rest(scale):
        return math.log((classes - 1) * hyp0f1(dim / 2, scale**2 / 4)) - scale

    expected = reference_scale(rest, probability)
    assert random_scale(probability, classes, dim) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("probability", "classes", "dim"),
    [(0.9, 10, 2), (0.99, 10**6, 2), (0.9, 10**6, 3), (0.9999, 10**9, 8), (0.9999, 10**9, 40)],
)
def test_random_scale_solves_it_where_the_scale_is_huge(probability, classes, dim):
    """A scale of 10**15 too, where the sum itself is out of every float's reach."""
    scale = random_scale(probability, classes, dim)
    order = dim / 2 - 1
    mean = gammaln(dim / 2) - order * math.log(scale / 2)
    if scale < 1e9:
        mean += math.log(ive(order, scale))
    else:
        mean -= math.log(2 * math.pi * scale) / 2  # the Bessel function's limit
    odds = math.log((classes - 1) * probability / (1 - probability))
    assert odds + mean == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("scale_share", [0.5, 1])
@pytest.mark.parametrize(("classes", "dim"), [(1000, 32), (100, 128)])
def test_random_directions_add_what_the_formula_says(classes, dim, scale_share):
    probability = 0.9 if scale_share == 1 else 0.2
    scale = random_scale(probability, classes, dim)
    drawn = np.random.default_rng(0).standard_normal((100_000, dim))
    terms = np.exp(scale * (drawn[:, 0] / np.linalg.norm(drawn, axis=1) - 1))
    error = terms.std() / math.sqrt(len(terms))
    expected = (1 - probability) / probability / (classes - 1)
    assert error < 0.05 * expected, "too few directions to say anything"
    assert abs(terms.mean() - expected) < 4 * error


@pytest.mark.parametrize("classes", [10, 1000, 10**6])
def test_with_many_dimensions_the_crowd_costs_half_the_square_over_the_dimensions(classes):
    for dim, close in ((10**4, 1e-4), (10**6, 1e-8)):
        scale = random_scale(0.9, classes, dim)
        right = math.log((classes - 1) * 0.9 / 0.1)
        assert scale - scale**2 / (2 * dim) == pytest.approx(right, rel=close)
        assert scale > right


def test_random_scale_grows_with_classes_and_probability_and_falls_with_dimensions():
    by_classes = [random_scale(0.9, classes, 64) for classes in (2, 3, 10, 1000, 10**5, 10**8)]
    by_probability = [random_scale(p, 1000, 64) for p in (0.002, 0.1, 0.5, 0.9, 0.999)]
    by_dim = [random_scale(0.9, 1000, dim) for dim in (512, 64, 32, 16, 8, 4, 3, 2)]
    for scales in (by_classes, by_probability, by_dim):
        assert np.all(np.diff(scales) > 0)


@given(st.integers(2, 10**7), st.integers(2, 2000), st.floats(0.01, 0.99))
def test_random_directions_need_more_than_the_best_ones(classes, dim, share):
    probability = 1 / classes + share * (1 - 1 / classes)
    assert random_scale(probability, classes, dim) > smallest_scale(probability, classes)


def test_half_of_the_random_classes_need_less_in_few_dimensions():
    drawn = np.random.default_rng(0).standard_normal((1000, 4))
    cosines = cosines_to_others(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
    assert np.median(scale_for(cosines, 0.9)) < 0.8 * random_scale(0.9, 1000, 4)


def cosines_to_others(directions):
    count = len(directions)
    cosines = directions @ directions.T
    return cosines[~np.eye(count, dtype=bool)].reshape(count, count - 1)


PROBABILITIES = st.one_of(st.floats(0.5, 0.999), st.just(0.5), st.just(1 - 1e-12))


@given(
    st.integers(0, 10**6),
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(1e-4, 1.0),
    PROBABILITIES,
)
def test_scale_for_is_the_root(seed, others, spread, gap, probability):
    """Crowds of every width, with a nearest neighbour at any distance."""
    rng = np.random.default_rng(seed)
    row = np.clip(rng.normal(rng.uniform(-1, 0.5), spread, others), -1, 0.9)
    row[0] = 1 - gap
    expected = reference_for(row, probability)
    found = scale_for(row[None], probability)
    assert found == pytest.approx([expected], rel=1e-6, abs=1e-9)
    if gap > 1e-3:  # nearer, float32 itself moves the neighbour
        single = scale_for(np.float32(row)[None], probability)
        assert single == pytest.approx([expected], rel=3e-4, abs=1e-4)


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.999999])
@pytest.mark.parametrize(
    "row",
    [
        pytest.param([0.9999] + [-0.3] * 5000, id="one near neighbour"),
        pytest.param([0.9999] + [-1.0] * 5000, id="one near, the others opposite"),
        pytest.param([-1.0] * 5000, id="all opposite"),
        pytest.param([0.0] * 5000, id="all across"),
        pytest.param([0.9999, -1.0], id="three classes"),
        pytest.param([0.9999], id="two classes, near"),
        pytest.param([0.2], id="two classes"),
        pytest.param([-1.0], id="two classes, opposite"),
    ],
)
def test_scale_for_neither_overshoots_nor_stops_short(row, probability):
    expected = reference_for(row, probability)
    assert scale_for([row], probability) == pytest.approx([expected], rel=1e-6, abs=1e-9)
    single = np.array([row], dtype="float32")
    expected = reference_for(single[0], probability)  # of what is left of the cosines
    assert scale_for(single, probability) == pytest.approx([expected], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("count", [2, 3, 10, 200])
def test_scale_for_a_simplex_is_that_of_cosface(count, probability):
    found = scale_for(cosines_to_others(simplex(count)), probability)
    expected = smallest_scale(probability, count) if probability > 1 / count else 0
    assert found == pytest.approx(np.full(count, expected), rel=1e-6)


@pytest.mark.parametrize(("directions", "num_classes", "dim"), ARRANGED)
def test_scale_for_the_best_arrangement_is_the_smallest_scale(directions, num_classes, dim):
    expected = np.full(num_classes, smallest_scale(0.9, num_classes, dim))
    assert scale_for(cosines_to_others(directions), 0.9) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("probability", [0.5, 0.9, 1 - 1e-12])
@pytest.mark.parametrize("others", [[], [0.2], [1], [-1] * 50])
def test_no_scale_is_enough_where_another_class_has_the_same_direction(others, probability, dtype):
    same = (1, 1 + 1e-6)  # rounded too
    nearly = () if probability == 0.5 else (1 - 1e-8,)  # one half is where it draws level
    for cosine in same + nearly:
        row = np.array([[cosine, *others]], dtype=dtype)
        assert scale_for(row, probability).tolist() == [math.inf]


def test_scale_for_answers_for_each_class_whatever_kind_of_number():
    rows = [[1, 0], [-1, 0], [0, 0]]
    expected = [math.inf, reference_for([-1, 0], 0.9), reference_for([0, 0], 0.9)]
    assert scale_for(rows, 0.9) == pytest.approx(expected)
    for dtype in ("float16", "int8"):  # shares of 1e-12 are nothing in half precision
        found = scale_for(np.array([[-1] * 9], dtype), 1 - 1e-12)
        assert found == pytest.approx([reference_for([-1] * 9, 1 - 1e-12)], rel=1e-5)


@pytest.mark.parametrize(
    ("cosines", "message"),
    [
        ([[0.1, 2.0]], "cosines: expected -1 to 1, got 2"),
        ([[0.1, -1.1]], "cosines: expected -1 to 1, got 1.1"),
        ([0.1, 0.2], r"cosines: expected shape \(asked for, others\)"),
        ([[]], r"cosines: expected shape \(asked for, others\)"),
        ([[math.nan, 0]], "cosines: 1 of 1 are not finite"),
        ([["a"]], "cosines: expected an array of numbers"),
        (None, "cosines: expected an array of numbers"),
    ],
)
def test_what_is_no_cosine_is_refused(cosines, message):
    with pytest.raises(ValueError, match=message):
        scale_for(cosines, 0.9)


@pytest.mark.parametrize("probability", [0.49, 0, 1, 1.5, math.nan])
def test_a_probability_below_one_half_is_not_for_scale_for(probability):
    with pytest.raises(ValueError, match=r"probability must lie in \[0.5, 1\)"):
        scale_for([[0.0, 0.1]], probability)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.9, 1, 8), "num_classes must be a whole number of at least 2"),
        ((0.9, 10, 1), "dim must be a whole number of at least 2"),
        ((0.9, 10, 2.5), "dim must be"),
        ((0.1, 10, 8), "which guessing reaches"),
        ((1, 10, 8), "which no scale reaches"),
        ((math.nan, 10, 8), "probability must lie"),
    ],
)
def test_what_random_scale_cannot_answer_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        random_scale(*arguments)


@pytest.mark.parametrize("probability", [None, "0.9", [0.9, 0.8]])
def test_a_probability_that_is_no_number_is_refused(probability):
    for ask in (
        lambda: scale_for([[0.0]], probability),
        lambda: random_scale(probability, 10, 8),
        lambda: smallest_scale(probability, 10),
    ):
        with pytest.raises(ValueError, match="probability must be a number"):
            ask()


# --- as a reader sees it --------------------------------------------------------------------------


def test_the_answer_reads_well():
    text = repr(feasibility(10, 2, 64, m3=0.35))
    assert "10 classes, 2 dimensions, scale 64, margins (1, 0, 0.35)" in text
    assert "36.0° at best" in text
    assert "49.5°: it does NOT fit" in text
    assert "10.87, unless classes are given up" in text
    assert "bound" not in text
    assert "a bound, not quite reached" in repr(feasibility(10, 3, 64))
    assert "more than 180°" in repr(feasibility(10, 2, 64, m2=1.5, m3=2))
    assert "not known to fit" in repr(feasibility(1500, 64, 64, m3=0.8))
    assert ": it fits" in repr(feasibility(10, 2, 16))
    assert "given up" not in repr(feasibility(10, 2, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 2, 16), "at least 2"),
        ((2.5, 2, 16), "whole number"),
        ((10, 0, 16), "dim must be"),
        ((10, 2, 0), "scale must be"),
        ((10, 2, 16, 1, 30), "degrees"),
        ((10, 2, 16, 0), "m1"),
        ((10, 2, 16, 1, 0, -0.1), "m3"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        feasibility(*arguments)


@pytest.mark.parametrize("probability", [0.1, 0, 1, math.nan])
def test_a_probability_that_no_scale_is_for_is_refused(probability):
    with pytest.raises(ValueError, match="which guessing reaches"):
        smallest_scale(probability, 10)


@pytest.mark.parametrize(("classes", "dim"), [(5, 4), (9, 8), (8, 4), (16, 8)])
def test_an_arrangement_finds_the_best_one_where_it_is_known(classes, dim):
    low, _ = largest_angle(classes, dim)
    assert smallest_angle_of(arrangement(classes, dim)) == pytest.approx(low, abs=0.02)


@pytest.mark.parametrize(("classes", "dim"), [(64, 8), (100, 3), (200, 16)])
def test_an_arrangement_lies_between_the_bounds(classes, dim):
    with pytest.raises(ValueError, match="steps must be a whole number"):
        arrangement(classes, dim, steps=0)
    low, high = largest_angle(classes, dim)
    found = arrangement(classes, dim)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert low < smallest_angle_of(found) < high
    np.testing.assert_array_equal(found, arrangement(classes, dim))


def smallest_angle_of(directions):
    cosines = directions.astype("float64") @ directions.T
    np.fill_diagonal(cosines, -1)
    return math.acos(cosines.max())
