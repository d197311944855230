"""Scoreboard and verification: cases worked by hand, brute force, properties, and clear errors."""

import tracemalloc
from types import SimpleNamespace

from lib import evaluation

import keras
import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve


def directions(*degrees):
    """Unit vectors in the plane."""
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def clusters(seed=0, identities=12, images=5, dim=6, noise=0.9):
    """Embeddings (float32) scattered about one random direction for each identity."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), images)
    centres = rng.standard_normal((identities, dim))
    embeddings = centres[labels] + noise * rng.standard_normal((len(labels), dim))
    order = rng.permutation(len(labels))
    return embeddings[order].astype("float32"), labels[order]


# --- angles and centres ---------------------------------------------------------------------------


def test_angles_keep_their_digits_at_both_ends():
    wanted = np.array([0.0, 1e-9, 1e-6, 1e-3, 1.0, np.pi / 2, np.pi - 1e-6, np.pi])
    embeddings = np.stack([np.cos(wanted), np.sin(wanted)], axis=1)
    angles = evaluation.angles_to_centres(embeddings, np.array([[1.0, 0.0]]))[:, 0]
    np.testing.assert_allclose(angles, wanted, rtol=1e-9, atol=1e-15)
    with np.errstate(invalid="ignore"):
        assert np.arccos(embeddings[1, 0]) == 0, "which is why arccos will not do"


def test_an_embedding_is_at_angle_zero_to_itself():
    """Also where rounding takes the cosine above 1, which makes arccos NaN."""
    embeddings = np.random.default_rng(0).standard_normal((500, 7)).astype("float32")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert (np.sum(unit * unit, axis=1) > 1).any()
    angles = evaluation.angles_to_centres(embeddings, embeddings)
    assert np.diag(angles).max() == 0
    assert np.isfinite(angles).all()


def test_angles_do_not_depend_on_lengths():
    embeddings, _ = clusters()
    lengths = np.geomspace(1e-6, 1e6, len(embeddings))[:, None]
    np.testing.assert_allclose(
        evaluation.angles_to_centres(embeddings * lengths, 3 * embeddings[:4]),
        evaluation.angles_to_centres(embeddings, embeddings[:4]),
        atol=1e-7,
    )


def test_a_centre_is_the_mean_direction_and_long_embeddings_do_not_decide():
    embeddings = directions(0, 40, 90, 100) * np.array([[100.0], [1], [7], [0.1]])
    centres = evaluation.class_centres(embeddings, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(centres, directions(20, 95), atol=1e-12)


def test_a_class_without_embeddings_is_named():
    with pytest.raises(ValueError, match="no embedding of class 1, 3, so it has no centre"):
        evaluation.class_centres(directions(0, 90), np.array([0, 2]), num_classes=4)


def test_embeddings_that_cancel_out_are_named():
    with pytest.raises(ValueError, match="directions of class 1 cancel out"):
        evaluation.class_centres(directions(0, 10, 190), np.array([0, 1, 1]))


# --- the scoreboard -------------------------------------------------------------------------------


def hand_worked():
    """Two classes; the third image lies nearer to the wrong centre, the second has a wrong logit.

    Pairs: (0, 1) 70° impostor, (0, 2) 20° impostor, (1, 2) 50° genuine. Of the two impostor pairs
    one scores above the genuine pair, so both error rates meet at 0.5.
    """
    return {
        "logits": np.array([[2.0, 1.0], [3.0, 1.0], [0.0, 0.1]]),
        "embeddings": directions(10, 80, 30) * 5,
        "labels": np.array([0, 1, 1]),
        "centre_embeddings": directions(-5, 5, 85, 95),
        "centre_labels": np.array([0, 0, 1, 1]),
    }


def test_the_scoreboard_of_a_case_worked_by_hand():
    board = evaluation.scoreboard(**hand_worked())
    assert board.head_accuracy == pytest.approx(2 / 3)
    assert board.centre_accuracy == pytest.approx(2 / 3)
    assert board.own_angle == pytest.approx((10 + 10 + 60) / 3)
    assert board.nearest_angle == pytest.approx(90)
    assert board.eer == pytest.approx(0.5)
    assert all(type(value) is float for value in vars(board).values()), "they go into a JSON file"


def test_nearest_other_centre_is_averaged_over_classes():
    """Centres at 0°, 30° and 90°: the nearest other is 30°, 30° and 60° away."""
    case = {
        "logits": np.eye(3)[[0, 1, 2, 0]],
        "embeddings": directions(0, 30, 90, 0),
        "labels": np.array([0, 1, 2, 0]),
        "centre_embeddings": directions(0, 30, 90),
        "centre_labels": np.array([0, 1, 2]),
    }
    board = evaluation.scoreboard(**case)
    assert board.nearest_angle == pytest.approx(40)
    assert board.own_angle == pytest.approx(0, abs=1e-9)
    assert (board.head_accuracy, board.centre_accuracy, board.eer) == (1, 1, 0)


def test_a_collapsed_embedding_scores_like_chance():
    labels = np.repeat(np.arange(4), 5)
    same = np.ones((20, 3), dtype="float32")
    board = evaluation.scoreboard(np.zeros((20, 4)), same, labels, same, labels)
    assert board == evaluation.Scoreboard(0.25, 0.25, 0.0, 0.0, 0.5)


def test_the_scoreboard_is_blind_to_rotation_scaling_and_order():
    embeddings, labels = clusters(identities=4, images=40, noise=0.7)
    logits = np.random.default_rng(1).standard_normal((160, 4))
    plain = evaluation.scoreboard(logits, embeddings, labels, embeddings, labels)
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    moved = embeddings @ rotation * rng.uniform(0.1, 10, (160, 1))
    order = rng.permutation(160)
    other = evaluation.scoreboard(logits[order], moved[order], labels[order], moved, labels)
    assert vars(other) == pytest.approx(vars(plain), abs=2e-4)


def broken(**changes):
    return hand_worked() | changes


NAN_ROWS = np.array([[1.0, 2.0], [np.nan, 1.0], [np.inf, 1.0]])
BAD_BOARDS = {
    "NaN embeddings": (broken(embeddings=NAN_ROWS), "2 of 3 embeddings are not finite"),
    "zero embedding": (broken(embeddings=np.eye(3)[:, :2]), "1 of 3 embeddings are zero"),
    "NaN logits": (broken(logits=NAN_ROWS), "2 of 3 logits are not finite"),
    "fewer logits": (
        broken(logits=np.eye(2)),
        r"logits have shape \(2, 2\), expected \(3, classes",
    ),
    "fewer labels": (broken(labels=np.array([0, 1])), r"labels have shape \(2,\), expected \(3,\)"),
    "column of labels": (broken(labels=np.zeros((3, 1), int)), r"use labels.reshape\(-1\)"),
    "float labels": (broken(labels=np.array([0.0, 1, 1])), "labels are float64, expected integers"),
    "label too large": (broken(labels=np.array([0, 1, 2])), "from 0 to 2, expected 0 to 1"),
    "label −1": (broken(labels=np.array([0, 1, -1])), "from -1 to 1, expected 0 to 1"),
    "one embedding": (broken(embeddings=np.ones(3)), r"embeddings have shape \(3,\), expected"),
    "absent class": (broken(centre_labels=np.zeros(4, int)), "no embedding of class 1"),
}


@pytest.mark.parametrize(("case", "message"), BAD_BOARDS.values(), ids=BAD_BOARDS)
def test_a_scoreboard_of_bad_arrays_is_a_clear_error(case, message):
    with pytest.raises(ValueError, match=message):
        evaluation.scoreboard(**case)


class WithBackbone(keras.Model):
    """A model whose first layer is not its backbone."""

    def __init__(self, backbone, head):
        super().__init__()
        self.head, self.backbone = head, backbone

    def call(self, images):
        return self.head(self.backbone(images))


@pytest.mark.parametrize("wrap", [lambda b, h: keras.Sequential([b, h]), WithBackbone])
def test_a_model_is_evaluated_by_its_backbone_and_its_output(wrap):
    rng = np.random.default_rng(0)
    kernel, weights = rng.standard_normal((784, 3)), rng.standard_normal((3, 4))
    backbone = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)]
    )
    head = keras.layers.Dense(4, use_bias=False)
    model = wrap(backbone, head)
    model(np.zeros((1, 28, 28, 1), dtype="float32"))
    backbone.set_weights([kernel])
    head.set_weights([weights])
    digits = SimpleNamespace(
        x_clean=rng.random((24, 28, 28, 1), dtype="float32"),
        y_clean=np.arange(24) % 4,
        x_test=rng.random((16, 28, 28, 1), dtype="float32"),
        y_test=np.arange(16) % 4,
    )
    test, clean = digits.x_test.reshape(16, 784) @ kernel, digits.x_clean.reshape(24, 784) @ kernel
    expected = evaluation.scoreboard(test @ weights, test, digits.y_test, clean, digits.y_clean)
    assert vars(evaluation.evaluate_model(model, digits)) == pytest.approx(vars(expected), abs=1e-3)
    embeddings = evaluation.embed(backbone, digits.x_test, batch_size=5)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, test, rtol=1e-4, atol=1e-4)


# --- pairs ----------------------------------------------------------------------------------------


def test_pairs_are_all_pairs_of_different_images_in_order():
    embeddings, labels = clusters(identities=5, images=3)
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    expected, same = [], []
    for i in range(15):
        for j in range(i + 1, 15):
            u, v = embeddings[i].astype("float64"), embeddings[j].astype("float64")
            expected.append(u @ v / np.sqrt((u @ u) * (v @ v)))
            same.append(labels[i] == labels[j])
    np.testing.assert_allclose(scores, expected, atol=1e-7)
    np.testing.assert_array_equal(genuine, same)
    assert scores.dtype == np.float32
    assert genuine.dtype == bool


def test_three_images_by_hand():
    scores, genuine = evaluation.pair_scores(directions(0, 60, 90), np.array([7, 7, -2]))
    np.testing.assert_allclose(scores, [0.5, 0.0, np.sqrt(0.75)], atol=1e-7)
    np.testing.assert_array_equal(genuine, [True, False, False])


def test_no_cosine_leaves_its_range():
    same = np.repeat(np.random.default_rng(0).standard_normal((40, 7)), 2, axis=0)
    scores, _ = evaluation.pair_scores(np.concatenate([same, -same]), np.arange(160))
    assert scores.max() == 1
    assert scores.min() == -1


# --- EER ------------------------------------------------------------------------------------------


def pairs(genuine, impostor):
    mask = np.repeat([True, False], [len(genuine), len(impostor)])
    return np.array([*genuine, *impostor], dtype="float32"), mask


EER_BY_HAND = {
    "perfect": (pairs([0.9, 0.8], [0.7, 0.1]), 0.0),
    "upside down": (pairs([0.1, 0.2], [0.8, 0.9]), 1.0),
    "all tied": (pairs([0.3] * 4, [0.3] * 9), 0.5),
    # at 0.9 FAR 0 and TAR 1/2, at the tie FAR 1/2 and TAR 1: the line crosses at a quarter
    "a tie in the middle": (pairs([0.9, 0.5], [0.5, 0.1]), 0.25),
    # one impostor of three above the lower of three genuine pairs: 1/3 each
    "one overtakes": (pairs([0.9, 0.8, 0.4], [0.6, 0.3, 0.2]), 1 / 3),
    "one pair of each": (pairs([0.2], [0.1]), 0.0),
}


@pytest.mark.parametrize(("case", "eer"), EER_BY_HAND.values(), ids=EER_BY_HAND)
def test_eer_by_hand(case, eer):
    assert evaluation.equal_error_rate(*case) == pytest.approx(eer, abs=1e-12)


def test_eer_of_scores_without_meaning_is_a_half():
    rng = np.random.default_rng(0)
    eer = evaluation.equal_error_rate(rng.random(200_000), rng.random(200_000) < 0.1)
    assert eer == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_eer_is_where_a_root_finder_finds_it(seed):
    """Independent route: intersect the interpolated ROC curve with the line TAR = 1 − FAR."""
    rng = np.random.default_rng(seed)
    genuine = rng.random(300) < 0.3
    scores = np.round(rng.standard_normal(300) + genuine, seed % 3)  # with 0 or 1 digit: many ties
    far, tar, _ = roc_curve(genuine, scores, drop_intermediate=True)
    far = far + np.linspace(0, 1e-12, len(far))  # interp1d wants one value at each place
    expected = brentq(lambda x: 1 - x - interp1d(far / far[-1], tar)(x), 0, 1)
    assert evaluation.equal_error_rate(scores, genuine) == pytest.approx(expected, abs=1e-9)


def test_eer_does_not_change_under_a_rising_function_or_another_order():
    embeddings, labels = clusters()
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    eer = evaluation.equal_error_rate(scores, genuine)
    assert evaluation.equal_error_rate(5 + np.exp(scores.astype("float64")), genuine) == eer
    order = np.random.default_rng(0).permutation(len(scores))
    assert evaluation.equal_error_rate(scores[order], genuine[order]) == eer
    assert evaluation.equal_error_rate(-scores, ~genuine) == pytest.approx(eer, abs=1e-12)


# --- operating points -----------------------------------------------------------------------------


def test_operating_points_agree_with_brute_force():
    """Try every score as the threshold, in plain comparisons."""
    embeddings, labels = clusters(identities=20, images=4, noise=1.2)
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    scores = np.round(scores, 2)  # ties
    fars = (0.2, 0.05, 0.01)
    result = evaluation.verification(scores, genuine, fars)
    far = np.array([np.mean(scores[~genuine] >= t) for t in np.unique(scores)])
    tar = np.array([np.mean(scores[genuine] >= t) for t in np.unique(scores)])
    for wanted, point in zip(fars, result.points, strict=True):
        assert point.far == wanted
        assert point.tar == tar[far <= wanted].max() == result.tar_at(wanted)
        assert point.measured_far == far[far <= wanted].max()
    assert result.eer == evaluation.equal_error_rate(scores, genuine)
    assert (result.genuine_pairs, result.impostor_pairs) == (120, 3040)


def test_a_threshold_gives_its_own_rates_back():
    scores, genuine = evaluation.pair_scores(*clusters(identities=20, images=4))
    for point in evaluation.verification(scores, genuine, (0.3, 0.02, 0.005)).points:
        rates = evaluation.accept_rate_at(point.threshold, scores, genuine)
        assert rates == pytest.approx((point.tar, point.measured_far), abs=1e-12)


def test_rates_at_a_threshold_by_hand():
    scores, genuine = pairs([0.9, 0.5, 0.4], [0.5, 0.3, 0.2, 0.1])
    assert evaluation.accept_rate_at(0.5, scores, genuine) == pytest.approx((2 / 3, 1 / 4))
    assert evaluation.accept_rate_at(0.51, scores, genuine) == pytest.approx((1 / 3, 0))
    assert evaluation.accept_rate_at(-1, scores, genuine) == (1, 1)


def test_tied_impostors_are_accepted_all_or_none():
    """Eleven impostor pairs share the highest score: at any FAR below theirs nothing passes."""
    scores, genuine = pairs([0.9] * 3, [0.9] * 11 + [0.1] * 89)
    strict, loose = evaluation.verification(scores, genuine, (0.10, 0.11)).points
    assert (strict.tar, strict.measured_far, strict.threshold) == (0, 0, np.inf)
    assert (loose.tar, loose.measured_far) == (1, 0.11)
    assert loose.threshold == pytest.approx(0.9)


def test_a_far_that_evenly_spaced_points_reach_is_used_in_full():
    """Points on one straight line are dropped by roc_curve's default; the answer needs them."""
    scores, genuine = pairs(np.arange(100), np.arange(100))
    point = evaluation.verification(scores, genuine, (0.3,)).points[0]
    assert (point.tar, point.measured_far, point.threshold) == (0.3, 0.3, 70)


def test_a_far_below_ten_impostor_pairs_is_refused():
    scores, genuine = pairs([0.9] * 5, np.linspace(0, 0.8, 1000))
    assert evaluation.verification(scores, genuine, (0.01,)).tar_at(0.01) == 1
    with pytest.raises(ValueError, match="FAR 0.001 cannot be measured on 1,000 .* Ask for 0.01"):
        evaluation.verification(scores, genuine, (0.01, 0.001))
    for far in (0, -0.1, 1.5):
        with pytest.raises(ValueError, match="a FAR is a rate above 0 and at most 1"):
            evaluation.verification(scores, genuine, (far,))
    with pytest.raises(KeyError, match="no operating point at FAR 0.02; there are: 0.01"):
        evaluation.verification(scores, genuine, (0.01,)).tar_at(0.02)


GOOD = pairs([0.9, 0.8], [0.7, 0.1])
BAD_PAIRS = {
    "no genuine pair": (GOOD[0], np.zeros(4, bool), "no genuine pair: at least one identity needs"),
    "no impostor pair": (GOOD[0], np.ones(4, bool), "no impostor pair: at least two identities"),
    "NaN": (np.array([0.1, np.nan, np.inf, 0.2]), GOOD[1], "2 of 4 scores are not finite"),
    "other length": (GOOD[0][:3], GOOD[1], r"scores have shape \(3,\) and genuine \(4,\)"),
    "not bool": (GOOD[0], GOOD[1].astype(int), "genuine is int64, expected bool"),
    "nothing": (np.array([]), np.array([], dtype=bool), "no genuine pair"),
}


@pytest.mark.parametrize(("scores", "genuine", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_bad_pairs_are_clear_errors(scores, genuine, message):
    for measure in (
        evaluation.equal_error_rate,
        evaluation.verification,
        lambda s, g: evaluation.accept_rate_at(0.5, s, g),
    ):
        with pytest.raises(ValueError, match=message):
            measure(scores, genuine)


# --- bootstrap ------------------------------------------------------------------------------------


def exact_bootstrap(embeddings, labels, far, resamples, level, seed):
    """The same definition pair by pair: each pair weighted, scikit-learn's weighted ROC curve."""
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    count = labels.max() + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    first, second = np.triu_indices(len(labels), k=1)
    eers, tars = [], []
    for drawn in draws:
        a, b = drawn[labels[first]], drawn[labels[second]]
        weight = np.where(genuine, a, a * b)
        rates = roc_curve(genuine, scores, sample_weight=weight, drop_intermediate=False)
        eers.append(evaluation._eer_of_curve(*rates[:2]))
        tars.append(np.interp(far, *rates[:2]))
    tails = [(1 - level) / 2, (1 + level) / 2]
    return np.quantile(eers, tails), np.quantile(tars, tails)


@pytest.mark.parametrize(("images", "thresholds", "tolerance"), [(3, 4000, 1e-9), (12, 400, 2e-3)])
def test_the_bootstrap_agrees_with_weighting_every_pair(images, thresholds, tolerance):
    """Exactly where all thresholds fit into the grid, closely where they do not."""
    embeddings, labels = clusters(identities=10, images=images, noise=1.1)
    interval = evaluation.bootstrap_interval(
        embeddings, labels, fars=(0.05,), resamples=60, level=0.9, seed=3, thresholds=thresholds
    )
    eer, tar = exact_bootstrap(embeddings, labels, 0.05, resamples=60, level=0.9, seed=3)
    np.testing.assert_allclose(interval["eer"], eer, atol=tolerance)
    np.testing.assert_allclose(interval[0.05], tar, atol=tolerance)


def test_the_interval_holds_the_estimate_and_narrows_with_more_identities():
    widths = []
    for identities in (20, 180):
        embeddings, labels = clusters(identities=identities, images=4, noise=0.8)
        result = evaluation.verification(*evaluation.pair_scores(embeddings, labels), fars=(0.05,))
        interval = evaluation.bootstrap_interval(embeddings, labels, fars=(0.05,))
        assert interval["eer"][0] < result.eer < interval["eer"][1]
        assert interval[0.05][0] < result.tar_at(0.05) < interval[0.05][1]
        widths.append(interval["eer"][1] - interval["eer"][0])
    assert widths[1] < 0.6 * widths[0]  # three times narrower in theory


def test_the_bootstrap_repeats_itself_and_does_not_mind_the_names_of_identities():
    embeddings, labels = clusters()
    first = evaluation.bootstrap_interval(embeddings, labels, fars=(0.1,))
    assert evaluation.bootstrap_interval(embeddings, labels, fars=(0.1,)) == first
    assert evaluation.bootstrap_interval(embeddings, labels * 1000 - 7, fars=(0.1,)) == first
    assert evaluation.bootstrap_interval(embeddings, labels, fars=(0.1,), seed=1) != first


def test_resamples_without_impostor_pairs_do_not_spoil_the_interval():
    """Of two identities every second draw is one of them twice: no impostor pair is left."""
    embeddings, labels = clusters(identities=2, images=8, noise=2.0)
    interval = evaluation.bootstrap_interval(embeddings, labels, fars=(0.5,))
    assert np.isfinite([interval["eer"], interval[0.5]]).all()


def test_the_bootstrap_refuses_what_verification_refuses():
    embeddings, labels = clusters(identities=3, images=2)
    with pytest.raises(ValueError, match="FAR 0.01 cannot be measured on 12 impostor pairs"):
        evaluation.bootstrap_interval(embeddings, labels, fars=(0.01,))
    with pytest.raises(ValueError, match="no impostor pair"):
        evaluation.bootstrap_interval(embeddings, np.zeros(6, int))
    with pytest.raises(ValueError, match="no genuine pair"):
        evaluation.bootstrap_interval(embeddings, np.arange(6))


# --- tables ---------------------------------------------------------------------------------------


BOARD = evaluation.Scoreboard(0.9514, 0.94, 7.04, 33.3, 0.0612)


def record():
    """What `lib.records.results.recorded` gives: seeds, mean and spread."""
    return SimpleNamespace(
        rows={"0": None, "1": None, "2": None},
        mean=lambda name: getattr(BOARD, name) + 0.01,
        spread=lambda name: 0.32 if "angle" in name else 0.004,
    )


def test_the_scoreboard_table_tells_this_run_from_the_record():
    table = evaluation.scoreboard_table({"softmax": BOARD, "ArcFace": record()})
    lines = repr(table).splitlines()
    assert " ".join(lines[1].split()) == "softmax this run 0.951 0.940 7.0° 33.3° 0.061"
    assert "recorded, 3 seeds" in lines[2]
    assert "0.961 ± 0.004" in lines[2]
    assert "33.3 ± 0.3°" in lines[2]
    assert len({len(line) for line in lines[:3]}) == 1, "the columns are aligned"


def test_the_table_is_the_same_in_html_and_markdown():
    table = evaluation.scoreboard_table({"a|b <i>": BOARD})
    html, markdown = table._repr_html_(), table._repr_markdown_()
    assert "a|b &lt;i&gt;</th><td>this run</td><td>0.951</td>" in html
    assert html.count('scope="col"') == 7
    assert "| a\\|b <i> | this run | 0.951 | 0.940 | 7.0° | 33.3° | 0.061 |" in markdown
    assert BOARD._repr_html_().count("<tr>") == 2


def test_the_verification_table_shows_intervals_and_pair_counts():
    scores, genuine = pairs([0.9] * 5, np.linspace(0, 0.8, 1000))
    result = evaluation.verification(scores, genuine, (0.1, 0.01))
    table = evaluation.verification_table(
        {"plain": result, "margin": result}, {"margin": {"eer": (0.0, 0.1), 0.1: (0.8, 1.0)}}
    )
    lines = repr(table).splitlines()
    assert lines[1].split() == ["plain", "0.000", "1.000", "1.000", "5", "1,000"]
    assert "0.000 [0.000, 0.100]" in lines[2]
    assert "TAR at FAR 0.01 ↑" in lines[0]
    other = evaluation.verification(scores, genuine, (0.1,))
    with pytest.raises(ValueError, match="at different FARs"):
        evaluation.verification_table({"plain": result, "margin": other})


@pytest.mark.parametrize("show", [evaluation.scoreboard_table, evaluation.verification_table])
def test_an_empty_table_is_an_error(show):
    with pytest.raises(ValueError, match="pass a dictionary such as"):
        show({})


# --- distances ------------------------------------------------------------------------------------


def test_distance_scores_by_hand():
    centre_labels = np.array([0, 0, 1, 1])
    of_centres = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 6.0]])  # (2, 0) and (0, 5)
    embeddings = np.array([[2.0, 1.0], [4.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    scores = evaluation.distance_scores(embeddings, labels, of_centres, centre_labels)
    assert scores["own_distance"] == pytest.approx((1 + 2 + 0 + 17**0.5) / 4)
    assert scores["nearest_distance"] == pytest.approx(29**0.5)
    ratio = scores["own_distance"] / scores["nearest_distance"]
    assert scores["distance_ratio"] == pytest.approx(ratio)
    assert scores["distance_accuracy"] == 0.75  # (1, 1) lies nearer to (2, 0)
    assert scores["shortest_centre"] == pytest.approx(2 / 3.5)
    # genuine √5 and √17; impostors 1, √10, √20 and √41: up to √10, half of each are wrong
    assert scores["distance_eer"] == pytest.approx(0.5)


def test_distance_scores_see_lengths_and_do_not_mind_the_unit_or_the_class_numbers():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    embeddings = rng.normal(size=(60, 3)) + 3 * labels[:, None]
    scores = evaluation.distance_scores(embeddings, labels, embeddings, labels)
    other = evaluation.distance_scores(7 * embeddings, labels + 5, 7 * embeddings, labels + 5)
    for name in ("own_distance", "nearest_distance"):
        assert other.pop(name) == pytest.approx(7 * scores.pop(name))
    assert other == pytest.approx(scores)
    stretched = embeddings * rng.uniform(0.2, 5, (60, 1))
    changed = evaluation.distance_scores(stretched, labels, stretched, labels)
    assert changed["distance_ratio"] > 1.5 * scores["distance_ratio"]


def test_distances_take_little_memory():
    """All differences of 2,000 embeddings at once would be a gigabyte, of 10,000 more than 25."""
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(2000, 64)).astype("float32"), np.arange(2000) % 10
    tracemalloc.start()
    evaluation.distance_scores(embeddings, labels, embeddings, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_distance_scores_refuse_nan():
    with pytest.raises(ValueError, match="not finite"):
        evaluation.distance_scores(np.full((4, 2), np.nan), np.arange(4) % 2, np.eye(2), [0, 1])
