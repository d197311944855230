"""Pairs: against brute force, scikit-learn, a root finder, and cases worked by hand."""

import itertools
import math

from lib import verification

import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score, roc_curve


def clusters(seed=0, identities=12, images=5, dim=6, noise=0.9):
    """Embeddings (float32) scattered about one random direction for each identity."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), images)
    centres = rng.standard_normal((identities, dim))
    embeddings = centres[labels] + noise * rng.standard_normal((len(labels), dim))
    order = rng.permutation(len(labels))
    return embeddings[order].astype("float32"), labels[order]


def directions(*degrees):
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def parts(genuine, impostor):
    """`PairScores` from two lists."""
    scores = np.array([*genuine, *impostor], dtype="float32")
    return verification.split_scores(scores, np.arange(len(scores)) < len(genuine))


def all_pairs(embeddings, labels):
    """Cosines of all pairs, rounded to float32, and which are genuine, in plain loops."""
    scores, genuine = [], []
    for i, j in itertools.combinations(range(len(labels)), 2):
        u, v = embeddings[i].astype("float64"), embeddings[j].astype("float64")
        scores.append(u @ v / np.sqrt((u @ u) * (v @ v)))
        genuine.append(labels[i] == labels[j])
    return np.array(scores).astype("float32"), np.array(genuine)


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [2, 5])
def test_the_scores_are_all_cosines_sorted(images):
    embeddings, labels = clusters(identities=9, images=images)
    scores, genuine = all_pairs(embeddings, labels)
    ours = verification.score_pairs(embeddings, 7 * labels - 20)
    np.testing.assert_allclose(ours.genuine, np.sort(scores[genuine]), atol=1e-7)
    np.testing.assert_allclose(ours.impostor, np.sort(scores[~genuine]), atol=1e-7)
    assert repr(ours) == f"{genuine.sum():,} genuine pairs, {(~genuine).sum():,} impostor pairs"


def test_identities_may_have_names():
    embeddings, labels = clusters()
    names = np.array([f"person {label}" for label in labels])
    for measure in (
        lambda who: verification.score_pairs(embeddings, who).impostor,
        lambda who: verification.hardest_pairs(embeddings, who)[1],
        lambda who: verification.one_each(who)[1],
        lambda who: verification.ranks(*[embeddings[:1], who[:1]] * 2),
    ):
        np.testing.assert_array_equal(measure(names), measure(labels))


def test_identities_of_unequal_size_by_hand():
    """One image of 3, two of 5: the genuine pair is 60° apart, the impostor pairs 30° and 90°."""
    scores = verification.score_pairs(directions(0, 30, 90), np.array([5, 3, 5]))
    np.testing.assert_allclose(scores.genuine, [0], atol=1e-7)
    np.testing.assert_allclose(scores.impostor, [0.5, math.sqrt(0.75)], atol=1e-7)


def test_rates_at_a_threshold_count_the_threshold_itself():
    scores = parts([0.9, 0.5, 0.5, 0.1], [0.5, 0.3])
    assert scores.tar(0.5) == 0.75
    assert scores.far(0.5) == 0.5
    np.testing.assert_array_equal(scores.far([-1, 0.3, 0.31, 0.6]), [1, 1, 0.5, 0])


@pytest.mark.parametrize("dimensions", [2, 3, 64])
def test_equal_directions_tie_at_one_and_opposite_ones_at_minus_one(dimensions):
    """However long the vectors are, and however the matrix product rounds."""
    rng = np.random.default_rng(0)
    same = np.repeat(rng.standard_normal((20, dimensions)), 2, axis=0) * rng.uniform(
        0.1, 9, (40, 1)
    )
    scores = verification.score_pairs(np.concatenate([same, -same]), np.arange(80) // 2 % 20)
    assert (scores.genuine == 1).sum() == 40
    assert (scores.genuine == -1).sum() == 80
    assert scores.impostor.max() < 1


@pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-6])
def test_near_one_the_cosine_keeps_the_digits_that_float32_has_not(angle):
    scores = verification.score_pairs(directions(0, np.degrees(angle), 90), np.array([0, 0, 1]))
    assert 1 - scores.genuine[0] == pytest.approx(angle**2 / 2, rel=1e-3 if angle > 1e-6 else 1e-2)


# --- EER ------------------------------------------------------------------------------------------


EER_BY_HAND = {
    "perfect": (([0.9, 0.8], [0.7, 0.1]), 0.0),
    "upside down": (([0.1, 0.2], [0.8, 0.9]), 1.0),
    "all tied": (([0.3] * 4, [0.3] * 9), 0.5),
    # at 0.9 FAR 0 and TAR 1/2, at the tie FAR 1/2 and TAR 1: the line crosses at a quarter
    "a tie in the middle": (([0.9, 0.5], [0.5, 0.1]), 0.25),
    "one overtakes": (([0.9, 0.8, 0.4], [0.6, 0.3, 0.2]), 1 / 3),
    "one pair of each": (([0.2], [0.1]), 0.0),
}


@pytest.mark.parametrize(("case", "eer"), EER_BY_HAND.values(), ids=EER_BY_HAND)
def test_eer_by_hand(case, eer):
    assert verification.equal_error_rate(parts(*case)) == pytest.approx(eer, abs=1e-12)


def test_eer_of_scores_without_meaning_is_a_half():
    rng = np.random.default_rng(0)
    scores = verification.split_scores(rng.random(200_000), rng.random(200_000) < 0.1)
    assert verification.equal_error_rate(scores) == pytest.approx(0.5, abs=0.01)


def test_eer_of_a_collapsed_network_is_a_half():
    scores = verification.score_pairs(np.ones((60, 7)), np.arange(60) % 6)
    assert verification.equal_error_rate(scores) == 0.5


@pytest.mark.parametrize("seed", range(8))
def test_eer_is_where_a_root_finder_finds_it(seed):
    """Independent route: intersect the interpolated ROC curve with the line TAR = 1 − FAR."""
    rng = np.random.default_rng(seed)
    genuine = rng.random(300) < 0.3
    scores = np.round(rng.standard_normal(300) + genuine, seed % 3)  # with 0 or 1 digit: many ties
    far, tar, _ = roc_curve(genuine, scores, drop_intermediate=True)
    far = far + np.linspace(0, 1e-12, len(far))  # interp1d wants one value at each place
    expected = brentq(lambda x: 1 - x - interp1d(far / far[-1], tar)(x), 0, 1)
    ours = verification.equal_error_rate(verification.split_scores(scores, genuine))
    assert ours == pytest.approx(expected, abs=1e-9)


def test_eer_does_not_change_under_a_rising_function_or_another_order():
    scores, genuine = all_pairs(*clusters())
    split = verification.split_scores
    eer = verification.equal_error_rate(split(scores, genuine))
    assert verification.equal_error_rate(split(5 + np.exp(scores.astype(float)), genuine)) == eer
    order = np.random.default_rng(0).permutation(len(scores))
    assert verification.equal_error_rate(split(scores[order], genuine[order])) == eer
    turned = verification.equal_error_rate(split(-scores, ~genuine))
    assert turned == pytest.approx(eer, abs=1e-12)


# --- operating points -----------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [1, 2, 3, 7])
def test_operating_points_agree_with_brute_force(digits):
    """Try every score as the threshold, in plain comparisons; with many ties, few, and none."""
    scores, genuine = all_pairs(*clusters(identities=20, images=4, noise=1.2))
    scores = np.round(scores, digits)
    fars = (1, 0.9, 0.5, 0.2, 0.05, 0.01, 10 / np.count_nonzero(~genuine))
    result = verification.measure(verification.split_scores(scores, genuine), fars)
    thresholds = [*np.unique(scores), np.inf]
    far = np.array([np.mean(scores[~genuine] >= t) for t in thresholds])
    tar = np.array([np.mean(scores[genuine] >= t) for t in thresholds])
    for wanted, point in zip(fars, result.points, strict=True):
        assert point.far == wanted
        assert point.tar == tar[far <= wanted].max() == result.tar_at(wanted)
        assert point.measured_far == far[far <= wanted].max()
        assert np.mean(scores[genuine] >= point.threshold) == point.tar
        assert np.mean(scores[~genuine] >= point.threshold) == point.measured_far
    assert (result.genuine_pairs, result.impostor_pairs) == (120, 3040)


@pytest.mark.parametrize("digits", [1, 2, 6])
def test_the_curve_is_scikit_learns(digits):
    rng = np.random.default_rng(digits)
    genuine = rng.random(3000) < 0.2
    scores = np.round(rng.standard_normal(3000) + genuine, digits)
    far, tar, thresholds = roc_curve(genuine, scores, drop_intermediate=False)
    ours = verification.split_scores(scores, genuine)
    np.testing.assert_allclose(ours.far(thresholds), far, atol=1e-12)
    np.testing.assert_allclose(ours.tar(thresholds), tar, atol=1e-12)
    every = ours.far(np.unique(scores))[::-1], ours.tar(np.unique(scores))[::-1]
    area = np.trapezoid(np.r_[0, every[1]], np.r_[0, every[0]])
    assert area == pytest.approx(roc_auc_score(genuine, scores), abs=1e-12)


def test_tied_impostors_are_accepted_all_or_none():
    """Eleven impostor pairs share the highest score: at any FAR below theirs nothing passes."""
    strict, loose = verification.measure(
        parts([0.9] * 3, [0.9] * 11 + [0.1] * 89), (0.1, 0.11)
    ).points
    assert (strict.tar, strict.measured_far, strict.threshold) == (0, 0, math.inf)
    assert (loose.tar, loose.measured_far) == (1, 0.11)


def test_a_far_that_evenly_spaced_points_reach_is_used_in_full():
    """Where points of the curve lie on one straight line, each of them is a threshold."""
    point = verification.measure(parts(range(100), range(100)), (0.3,)).points[0]
    assert (point.tar, point.measured_far, point.threshold) == (0.3, 0.3, 70)


def test_a_far_finer_than_the_pairs_allow_is_refused():
    scores = parts([0.9] * 5, np.linspace(0, 0.8, 1000))
    assert verification.measure(scores, (0.01,)).tar_at(0.01) == 1
    for measure in (verification.measure, lambda s, fars: verification.threshold_at(s, fars[-1])):
        with pytest.raises(ValueError, match="FAR 0.001 cannot be measured on 1,000 .* 0.01"):
            measure(scores, (0.01, 0.001))
    embeddings, labels = clusters(identities=3, images=2)
    with pytest.raises(ValueError, match="FAR 0.01 cannot be measured on 12 impostor pairs"):
        verification.bootstrap(embeddings, labels, fars=(0.01,))
    with pytest.raises(ValueError, match="no operating point at 0.02; ask .* for it, not 0.01"):
        verification.measure(scores, (0.01,)).tar_at(0.02)


def test_points_of_the_curve_lie_on_it_and_begin_at_one_impostor():
    rng = np.random.default_rng(0)
    scores = parts(rng.normal(1, 1, 200), rng.normal(0, 1, 5000))
    far, tar, thresholds = verification.roc_points(scores, points=50)
    assert far[0] == 1 / 5000
    assert far[-1] == 1
    assert (np.diff(far) > 0).all()
    np.testing.assert_array_equal(tar, scores.tar(thresholds))
    assert len(verification.roc_points(parts([0.5], [0.1, 0.2]))[0]) == 2


def test_the_hardest_pairs_are_those_of_brute_force():
    embeddings, labels = clusters(identities=15, images=4, noise=1.1)
    embeddings, labels = embeddings[:-3], labels[:-3] * 3 - 5
    scores, _ = all_pairs(embeddings, labels)
    first, second = np.triu_indices(len(labels), k=1)
    hardest = {}  # of each two identities: (score, rows)
    for score, a, b in zip(scores, first, second, strict=True):
        who = tuple(sorted((labels[a], labels[b])))
        sign = -1 if who[0] == who[1] else 1
        if who not in hardest or sign * score > sign * hardest[who][0]:
            hardest[who] = (score, {a, b})
    own = sorted((v for k, v in hardest.items() if k[0] == k[1]), key=lambda v: v[0])
    other = sorted((v for k, v in hardest.items() if k[0] != k[1]), key=lambda v: -v[0])
    impostors, genuine = verification.hardest_pairs(embeddings, labels, count=8)
    assert [set(pair) for pair in impostors.tolist()] == [rows for _, rows in other[:8]]
    assert [set(pair) for pair in genuine.tolist()] == [rows for _, rows in own[:8]]


# --- intervals ------------------------------------------------------------------------------------


def weighted_curves(embeddings, labels, resamples, seed):
    """The bootstrap's definition pair by pair: scikit-learn's ROC curve of weighted pairs."""
    scores, genuine = all_pairs(embeddings, labels)
    count = labels.max() + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    first, second = np.triu_indices(len(labels), k=1)
    for drawn in draws:
        a, b = drawn[labels[first]], drawn[labels[second]]
        weight = np.where(genuine, a, a * b)
        yield roc_curve(genuine, scores, sample_weight=weight, drop_intermediate=False)[:2]


@pytest.mark.parametrize(("images", "thresholds", "tolerance"), [(3, 4000, 1e-7), (12, 400, 2e-3)])
def test_the_bootstrap_agrees_with_weighting_every_pair(images, thresholds, tolerance):
    """Exactly where all thresholds fit into the grid, closely where they do not."""
    embeddings, labels = clusters(identities=10, images=images, noise=1.1)
    embeddings, labels = embeddings[:-1], labels[:-1]  # identities of unequal size
    interval = verification.bootstrap(
        embeddings,
        10 - labels[::1],
        fars=(0.05,),
        resamples=60,
        level=0.9,
        seed=3,
        thresholds=thresholds,
    )
    curves = list(weighted_curves(embeddings, 10 - labels - (10 - labels).min(), 60, 3))
    eers = [brentq(lambda x: 1 - x - np.interp(x, *curve), 0, 1) for curve in curves]  # noqa: B023
    tars = [np.interp(0.05, *curve) for curve in curves]
    np.testing.assert_allclose(interval["eer"], np.quantile(eers, (0.05, 0.95)), atol=tolerance)
    np.testing.assert_allclose(interval[0.05], np.quantile(tars, (0.05, 0.95)), atol=tolerance)


def test_the_interval_holds_the_estimate_and_narrows_with_more_identities():
    widths = []
    for identities in (20, 180):
        embeddings, labels = clusters(identities=identities, images=4, noise=0.8)
        result = verification.measure(verification.score_pairs(embeddings, labels), (0.05,))
        interval = verification.bootstrap(embeddings, labels, fars=(0.05,))
        assert interval["eer"][0] < result.eer < interval["eer"][1]
        assert interval[0.05][0] < result.tar_at(0.05) < interval[0.05][1]
        widths.append(interval["eer"][1] - interval["eer"][0])
    assert widths[1] < 0.6 * widths[0]  # three times narrower in theory


def test_the_bootstrap_repeats_itself_and_does_not_mind_the_names_of_identities():
    embeddings, labels = clusters()
    first = verification.bootstrap(embeddings, labels, fars=(0.1,))
    assert verification.bootstrap(embeddings, labels, fars=(0.1,)) == first
    assert verification.bootstrap(embeddings, labels * 1000 - 7, fars=(0.1,)) == first
    assert verification.bootstrap(embeddings, labels, fars=(0.1,), seed=1) != first


def test_resamples_without_impostor_pairs_do_not_spoil_the_interval():
    """Of two identities every second draw is one of them twice: no impostor pair is left."""
    embeddings, labels = clusters(identities=2, images=8, noise=2.0)
    interval = verification.bootstrap(embeddings, labels, fars=(0.5,))
    assert np.isfinite([interval["eer"], interval[0.5]]).all()
    with pytest.raises(ValueError, match="resamples: none of 1 drew both"):
        verification.bootstrap(embeddings, labels, fars=(0.5,), resamples=1, seed=3)


def test_resampled_curves_of_two_models_are_paired():
    """A rotated copy of a model has the same curve in every resample."""
    embeddings, labels = clusters(identities=15)
    turned = embeddings @ np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0]
    one, other = (
        verification.resampled_curves(x, labels, fars=(0.1,), resamples=20)
        for x in (embeddings, turned)
    )
    tar_one, tar_other = (
        [np.interp(0.1, f, t) for f, t in zip(*curves, strict=True)] for curves in (one, other)
    )
    np.testing.assert_allclose(tar_one, tar_other, atol=2e-3)
    assert np.std(tar_one) > 0.005


# --- a threshold of others ----------------------------------------------------------------------


@pytest.mark.parametrize("images", [2, 5])
def test_rates_of_a_group_are_those_of_its_pairs(images):
    embeddings, labels = clusters(identities=9, images=images)
    scores, genuine = all_pairs(embeddings, labels)
    threshold = float(np.median(scores)) + 1e-4
    rates = verification.rates_at(embeddings, labels, threshold, resamples=20)
    assert rates["fmr"][0] == pytest.approx(np.mean(scores[~genuine] >= threshold))
    assert rates["fnmr"][0] == pytest.approx(np.mean(scores[genuine] < threshold))


def test_rates_by_hand_with_identities_of_unequal_size():
    embeddings, labels = directions(0, 10, 50, 20, 100), np.array([0, 0, 0, 1, 2])
    threshold = np.cos(np.radians(25))  # accepted: 0-10 of the genuine; 0-20, 10-20 of the others
    rates = verification.rates_at(embeddings, labels, threshold, resamples=5)
    assert rates["fnmr"][0] == pytest.approx(2 / 3)
    assert rates["fmr"][0] == pytest.approx(2 / 7)
    nobody = verification.rates_at(embeddings, labels, 1.5, resamples=5)
    assert [nobody[name][0] for name in ("fmr", "fnmr")] == [0, 1]


def test_the_interval_of_a_rate_is_that_of_weighted_pairs():
    """Against draws that repeat the identities themselves, each copy under a name of its own."""
    embeddings, labels = clusters(identities=8, images=4)
    threshold, resamples = 0.5, 60
    rates = verification.rates_at(embeddings, labels, threshold, resamples, level=0.9)
    draws = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), resamples)
    fmr, fnmr = [], []
    for drawn in draws:
        rows, names = [], []
        for copy in range(drawn.max()):
            chosen = np.flatnonzero(np.isin(labels, np.flatnonzero(drawn > copy)))
            rows.append(chosen)
            names.append(labels[chosen] + 8 * copy)
        x, who = embeddings[np.concatenate(rows)], np.concatenate(names)
        scores, genuine = all_pairs(x, who)
        first, second = np.triu_indices(len(who), k=1)
        # copies of an identity are not compared
        impostor = who[first] % 8 != who[second] % 8
        fmr.append(np.mean(scores[impostor] >= threshold))
        fnmr.append(np.mean(scores[genuine] < threshold))
    np.testing.assert_allclose(rates["fmr"][1:], np.quantile(fmr, (0.05, 0.95)))
    np.testing.assert_allclose(rates["fnmr"][1:], np.quantile(fnmr, (0.05, 0.95)))


def test_rates_need_two_identities_and_two_images_of_one():
    with pytest.raises(ValueError, match="two identities"):
        verification.rates_at(directions(0, 10), [0, 0], 0.5)
    with pytest.raises(ValueError, match="two images"):
        verification.rates_at(directions(0, 10), [0, 1], 0.5)


# --- ten folds ------------------------------------------------------------------------------------


def test_folds_share_no_identity_and_no_pair_is_drawn_twice():
    _, labels = clusters(identities=50, images=6)
    first, second, genuine = verification.fold_pairs(labels, folds=5, pairs=40)
    assert first.shape == second.shape == genuine.shape == (5, 80)
    np.testing.assert_array_equal(labels[first] == labels[second], genuine)
    assert (genuine.sum(axis=1) == 40).all()
    people = [set(labels[first[i]]) | set(labels[second[i]]) for i in range(5)]
    assert not any(a & b for a, b in itertools.combinations(people, 2))
    for fold in range(5):
        assert len(set(zip(first[fold], second[fold], strict=True))) == 80
        assert (first[fold] != second[fold]).all()
    again = verification.fold_pairs(labels, folds=5, pairs=40)
    np.testing.assert_array_equal(first, again[0])
    other = verification.fold_pairs(labels, folds=5, pairs=40, seed=1)
    assert (first != other[0]).any()
    with pytest.raises(ValueError, match="pairs: fold 0 has 150 genuine and .* ask for fewer"):
        verification.fold_pairs(labels, folds=5, pairs=151)


def test_a_fold_is_scored_with_the_threshold_of_the_others():
    """Fold 0's pairs lie 20° (genuine) and 75° apart, fold 1's 60° (genuine) and 85°.

    Halfway between fold 1's cosines all of fold 0 is right. Halfway between fold 0's the genuine
    pair of fold 1 is refused.
    """
    embeddings = directions(0, 20, 75, 60, 85)
    first = np.zeros((2, 2), int)
    second, genuine = np.array([[1, 2], [3, 4]]), np.array([[True, False]] * 2)
    result = verification.fold_accuracy(embeddings, first, second, genuine)
    assert result.accuracies == (1.0, 0.5)
    halfway = np.cos(np.radians([[60, 85], [20, 75]])).mean(axis=1)
    np.testing.assert_allclose(result.thresholds, halfway, atol=1e-12)
    assert result.mean == 0.75
    assert result.spread == pytest.approx(math.sqrt(0.125))
    assert repr(result) == "0.7500 ± 0.3536 over 2 folds"


@pytest.mark.parametrize("digits", [1, 6])
def test_the_best_threshold_is_the_best_of_all(digits):
    rng = np.random.default_rng(0)
    genuine = rng.random(300) < 0.5
    scores = np.round(rng.standard_normal(300) + genuine, digits)
    chosen = verification.best_threshold(scores, genuine)
    accuracy = [np.mean((scores >= threshold) == genuine) for threshold in np.unique(scores)]
    assert np.mean((scores >= chosen) == genuine) == max(accuracy)


def test_of_equally_good_thresholds_one_in_the_middle_is_taken():
    """Accepting from 0.8 on gets three of four right, and so does accepting from 0.4 on."""
    genuine = np.array([True, False, True, False])
    best = verification.best_threshold(np.array([0.8, 0.6, 0.4, 0.2]), genuine)
    assert best == pytest.approx(0.7)
    assert verification.best_threshold(np.full(4, 0.3), genuine) == 0.3


def test_ten_folds_of_a_perfect_embedding_are_all_right():
    embeddings, labels = clusters(identities=40, images=5, noise=0)
    result = verification.fold_accuracy(embeddings, *verification.fold_pairs(labels, 10, 20))
    assert result.accuracies == (1.0,) * 10


def test_a_fold_alone_has_no_threshold():
    pairs = (part[:1] for part in verification.fold_pairs(clusters()[1], folds=2, pairs=5))
    with pytest.raises(ValueError, match="first: one fold only"):
        verification.fold_accuracy(clusters()[0], *pairs)


# --- identification -------------------------------------------------------------------------------


def test_gallery_and_probes_by_hand():
    gallery, probes = verification.one_each(np.array([4, 4, -1, 4, 7, -1]))
    np.testing.assert_array_equal(gallery, [2, 0, 4])
    np.testing.assert_array_equal(probes, [1, 3, 5])


def test_ranks_by_hand():
    """Gallery at 0° (A), 40° (B), 90° (C). A probe of A at 25° has B nearer; C at 80° is a hit."""
    ranks = verification.ranks(
        directions(0, 40, 90), np.array([5, 9, 2]), directions(25, 80, 130), np.array([5, 2, 5])
    )
    np.testing.assert_array_equal(ranks, [2, 1, 3])


def test_a_tie_counts_against_the_probe():
    ranks = verification.ranks(directions(0, 60), np.arange(2), directions(30, 0), np.array([0, 0]))
    np.testing.assert_array_equal(ranks, [2, 1])
    same = np.ones((4, 3))
    np.testing.assert_array_equal(
        verification.ranks(same, np.arange(4), same, np.arange(4)), [4] * 4
    )


def test_ranks_agree_with_sorting():
    embeddings, labels = clusters(identities=25, images=4, noise=1.3)
    gallery, probes = verification.one_each(labels)
    ours = verification.ranks(
        embeddings[gallery], labels[gallery], embeddings[probes], labels[probes]
    )
    for row, rank in zip(probes, ours, strict=True):
        cosine = [embeddings[row] @ embeddings[g] / np.linalg.norm(embeddings[g]) for g in gallery]
        order = labels[gallery][np.argsort(cosine)[::-1]]
        assert list(order).index(labels[row]) + 1 == rank


def test_cmc_by_hand():
    ranks = np.array([1, 1, 2, 4])
    np.testing.assert_allclose(verification.cmc(ranks, 4), [0.5, 0.75, 0.75, 1])
    # one distractor of three: the probe at rank 2 is beaten by one of the three, rank 4 by all
    np.testing.assert_allclose(verification.cmc(ranks, 4, 1), [(1 + 1 + 2 / 3 + 0) / 4, 1])
    np.testing.assert_allclose(verification.cmc(ranks, 4, 0), [1])


def test_cmc_is_the_mean_over_all_ways_to_keep_distractors():
    ranks, size = np.array([1, 3, 3, 5, 6, 2]), 6
    for distractors in range(size):
        expected = np.zeros(distractors + 1)
        subsets = list(itertools.combinations(range(1, size), distractors))
        for kept in subsets:  # the other r − 1 with the lowest numbers stand before the probe
            for rank in ranks:
                ahead = sum(other < rank for other in kept)
                expected[ahead:] += 1 / len(subsets) / len(ranks)
        np.testing.assert_allclose(verification.cmc(ranks, size, distractors), expected, atol=1e-12)


# --- visitors whom nobody may have enrolled -------------------------------------------------------


def test_searches_by_hand():
    gallery, names = directions(0, 60, 100), ["ada", "bob", "cem"]
    visitors, who = directions(10, 45, 70, 98, 150), ["ada", "ada", "bob", "eve", "fay"]
    scores = verification.search_scores(gallery, names, visitors, who)
    found = np.cos(np.radians([10, 10]))  # at 45 degrees, bob is nearer than ada
    np.testing.assert_allclose(scores.genuine, [-2, *found], atol=1e-6)
    np.testing.assert_allclose(scores.impostor, np.cos(np.radians([50, 2])), atol=1e-6)


def test_searches_agree_with_loops():
    embeddings, labels = clusters(identities=12, images=4, noise=1.5)
    gallery = np.array([np.flatnonzero(labels == who)[0] for who in range(8)])[::-1]
    rest = np.setdiff1d(np.arange(len(labels)), gallery)
    scores = verification.search_scores(
        embeddings[gallery], labels[gallery], embeddings[rest], labels[rest]
    )
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    genuine, impostor = [], []
    for row in rest:
        cosines = unit[gallery] @ unit[row]
        best = np.argmax(cosines)
        if labels[row] >= 8:
            impostor.append(cosines[best])
        else:
            genuine.append(cosines[best] if labels[gallery[best]] == labels[row] else -2)
    np.testing.assert_allclose(scores.genuine, np.sort(genuine), atol=1e-6)
    np.testing.assert_allclose(scores.impostor, np.sort(impostor), atol=1e-6)
    assert -2 in scores.genuine


def test_a_tie_is_no_answer():
    twins = directions(30, 30, 90)
    scores = verification.search_scores(twins, [0, 1, 2], directions(30, 200), [0, 7])
    assert scores.genuine.tolist() == [-2]
    assert scores.tar(-1) == 0


@pytest.mark.parametrize(
    ("labels", "visitors", "message"),
    [
        ([0, 0], [0, 5], "gallery_labels: an identity is there twice"),
        ([0, 1], [0, 1], "all of them are enrolled"),
        ([0, 1], [5, 6], "none of them are enrolled"),
    ],
)
def test_searches_say_what_is_wrong(labels, visitors, message):
    with pytest.raises(ValueError, match=message):
        verification.search_scores(directions(0, 50), labels, directions(0, 50), visitors)
