"""Verification of unseen identities: against lib.evaluation, scikit-learn, brute force and by hand.

`lib.evaluation` is the first reference (it has its own tests); the second is scikit-learn.
"""

import itertools
import math

from lib import evaluation, verification
from lib.records import results

import numpy as np
import pytest
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


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("images", [2, 5])
def test_the_scores_are_those_of_lib_evaluation_sorted(images):
    embeddings, labels = clusters(identities=9, images=images)
    scores, genuine = evaluation.pair_scores(embeddings, 7 * labels - 20)
    ours = verification.score_pairs(embeddings, 7 * labels - 20)
    np.testing.assert_allclose(ours.genuine, np.sort(scores[genuine]), atol=1e-7)
    np.testing.assert_allclose(ours.impostor, np.sort(scores[~genuine]), atol=1e-7)
    assert ours.genuine.dtype == ours.impostor.dtype == np.float32
    assert repr(ours) == f"{genuine.sum():,} genuine pairs, {(~genuine).sum():,} impostor pairs"


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


BAD_EMBEDDINGS = {
    "one identity": (directions(0, 10, 20), np.zeros(3, int), "no impostor pair"),
    "one image each": (directions(0, 10, 20), np.arange(3), "no genuine pair"),
    "NaN": (np.array([[1, 2], [np.nan, 1], [1, 1]]), np.array([0, 0, 1]), "1 of 3 .* not finite"),
    "zero": (np.array([[1, 2], [0, 0], [1, 1]]), np.array([0, 0, 1]), "1 of 3 embeddings are zero"),
    "fewer labels": (directions(0, 10, 20), np.array([0, 0]), r"labels have shape \(2,\)"),
    "float labels": (directions(0, 10, 20), np.array([0.0, 0, 1]), "labels are float64"),
    "no embedding": (np.zeros((0, 2)), np.zeros(0, int), r"embeddings have shape \(0, 2\)"),
}


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"), BAD_EMBEDDINGS.values(), ids=BAD_EMBEDDINGS
)
@pytest.mark.parametrize(
    "measure",
    [verification.score_pairs, verification.bootstrap, verification.open_set_scores],
)
def test_bad_embeddings_are_clear_errors(measure, embeddings, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(embeddings, labels)


def test_bad_scores_are_clear_errors():
    genuine = np.array([True, False])
    for scores, mask, message in (
        ([0.1, np.nan], genuine, "1 of 2 scores are not finite"),
        ([0.1, 0.2], ~genuine & genuine, "no genuine pair"),
        ([0.1, 0.2], genuine | True, "no impostor pair"),
        ([0.1, 0.2, 0.3], genuine, r"scores have shape \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            verification.split_scores(np.array(scores), mask)


# --- operating points -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_measurements_are_those_of_lib_evaluation(seed):
    """With many ties (scores of one or two digits), few ties, and none."""
    embeddings, labels = clusters(seed, identities=20, images=4, noise=1.2)
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    scores = np.round(scores, 1 + seed) if seed < 5 else scores
    fars = (1, 0.9, 0.5, 0.2, 0.05, 0.01, 10 / np.count_nonzero(~genuine))
    ours = verification.measure(verification.split_scores(scores, genuine), fars)
    theirs = evaluation.verification(scores, genuine, fars)
    assert ours.eer == pytest.approx(theirs.eer, abs=1e-12)
    assert ours.points == theirs.points
    assert (ours.genuine_pairs, ours.impostor_pairs) == (120, 3040)


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


def test_tied_impostors_are_accepted_all_or_none():
    """Eleven impostor pairs share the highest score: at any FAR below theirs nothing passes."""
    strict, loose = verification.measure(
        parts([0.9] * 3, [0.9] * 11 + [0.1] * 89), (0.1, 0.11)
    ).points
    assert (strict.tar, strict.measured_far, strict.threshold) == (0, 0, math.inf)
    assert (loose.tar, loose.measured_far) == (1, 0.11)


def test_a_far_finer_than_the_pairs_allow_is_refused():
    scores = parts([0.9] * 5, np.linspace(0, 0.8, 1000))
    assert verification.measure(scores, (0.01,)).tar_at(0.01) == 1
    for measure in (verification.measure, lambda s, fars: verification.threshold_at(s, fars[-1])):
        with pytest.raises(ValueError, match="FAR 0.001 cannot be measured on 1,000 .* 0.01"):
            measure(scores, (0.01, 0.001))
    embeddings, labels = clusters(identities=3, images=2)
    with pytest.raises(ValueError, match="FAR 0.01 cannot be measured on 12 impostor pairs"):
        verification.bootstrap(embeddings, labels, fars=(0.01,))
    with pytest.raises(ValueError, match="a FAR is a rate above 0 and at most 1"):
        verification.measure(scores, (0,))


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
    scores, _ = evaluation.pair_scores(embeddings, labels)
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


@pytest.mark.parametrize("images", [2, 6])
def test_the_bootstrap_is_that_of_lib_evaluation(images):
    """The same draws, the same grid: the same interval, from another way of counting."""
    embeddings, labels = clusters(identities=30, images=images, noise=1.1)
    embeddings, labels = embeddings[:-1], labels[:-1]  # identities of unequal size
    options = {"fars": (0.1, 0.05), "resamples": 40, "level": 0.9, "seed": 3, "thresholds": 200}
    ours = verification.bootstrap(embeddings, 10 - labels, **options)
    theirs = evaluation.bootstrap_interval(embeddings, 10 - labels, **options)
    assert ours.keys() == theirs.keys()
    for key, interval in theirs.items():
        assert ours[key] == pytest.approx(interval, abs=1e-6)


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
    with pytest.raises(ValueError, match="fold 0 has 150 genuine and .* ask for fewer"):
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


def test_a_gallery_that_does_not_fit_is_a_clear_error():
    two = directions(0, 90)
    with pytest.raises(ValueError, match="no gallery image of identity 3, so its probes"):
        verification.ranks(two, np.array([1, 2]), two, np.array([1, 3]))
    with pytest.raises(ValueError, match="in the gallery twice"):
        verification.ranks(two, np.array([1, 1]), two, np.array([1, 1]))
    with pytest.raises(ValueError, match="1 of 2 probe embeddings are not finite"):
        verification.ranks(two, np.array([1, 2]), two * [[1], [np.nan]], np.array([1, 2]))


def test_cmc_by_hand():
    ranks = np.array([1, 1, 2, 4])
    np.testing.assert_allclose(verification.cmc(ranks, 4), [0.5, 0.75, 0.75, 1])
    # one distractor of three: the probe at rank 2 is beaten by one of the three, rank 4 by all
    np.testing.assert_allclose(verification.cmc(ranks, 4, 1), [(1 + 1 + 2 / 3 + 0) / 4, 1])
    np.testing.assert_allclose(verification.cmc(ranks, 4, 0), [1])
    for distractors in (-1, 4):
        with pytest.raises(ValueError, match="this gallery has 3 others"):
            verification.cmc(ranks, 4, distractors)


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


# --- everything at once ---------------------------------------------------------------------------


def test_open_set_scores_are_what_their_names_say():
    embeddings, labels = clusters(identities=110, images=12, noise=0.6)
    row = verification.open_set_scores(embeddings, 3 * labels + 1)
    scores, genuine = evaluation.pair_scores(embeddings, labels)
    theirs = evaluation.verification(scores, genuine)
    assert row["eer"] == pytest.approx(theirs.eer)
    for digits in (2, 3, 4):
        assert row[f"tar_1e-{digits}"] == pytest.approx(theirs.tar_at(10.0**-digits))
    assert (row["genuine_pairs"], row["impostor_pairs"]) == (7260, 863_280)
    assert 0 < row["rank_1"] < row["rank_1_of_100"] < row["rank_5"] < 1
    centres = evaluation.class_centres(embeddings, labels)
    angles = np.degrees(evaluation.angles_to_centres(embeddings, centres))
    assert row["own_angle"] == pytest.approx(angles[np.arange(len(labels)), labels].mean())
    assert 0.5 < row["fold_accuracy"] < 1
    assert all(type(value) is float for value in row.values()), "they go into a JSON file"


def test_25_million_pairs_fit_into_the_budget():
    """As many as 7,080 images make; at a tenth of the size, since time and memory are linear."""
    embeddings, labels = clusters(identities=187, images=12, dim=64, noise=2)
    scores = verification.score_pairs(embeddings, labels)
    assert len(scores.genuine) + len(scores.impostor) > 2_500_000
    assert scores.genuine.nbytes + scores.impostor.nbytes == 4 * 2_516_646
    assert verification.measure(scores).impostor_pairs == len(scores.impostor)


def test_the_table_tells_this_run_from_the_record():
    row = {name: 0.12345 for name in verification.COLUMNS}
    record = results.Record("title", {"0": row, "1": {name: 0.14345 for name in row}})
    lines = repr(verification.open_set_table({"fresh": row, "kept": record})).splitlines()
    assert " ".join(lines[1].split()) == "fresh this run 0.123 0.123 0.123 0.1235 0.123 0.1235"
    assert "recorded, 2 seeds" in lines[2]
    assert "0.133 ± 0.014" in lines[2]
