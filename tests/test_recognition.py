"""Templates, search, threshold and map: against loops, all galleries, and the measures of pairs."""

import itertools
import math

from lib import recognition, verification
from lib.recognition import closest, decide, fpir_at, linear_map, templates, threshold_for

import numpy as np
import pytest


def clusters(identities=12, images=4, noise=0.6, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(identities, 1, dim))
    found = (centres + noise * rng.normal(size=(identities, images, dim))).reshape(-1, dim)
    return found * rng.uniform(0.2, 5, (len(found), 1)), np.repeat(np.arange(identities), images)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def row_of(degrees, length=1.0):
    return length * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def test_two_people_nearly_alike_are_told_apart_as_by_the_measures():
    """Two angles near 0 whose cosines are one number in float32: no tie."""
    gallery, visitor = np.array([row_of(0.003), row_of(0.006), row_of(90)]), row_of(0)[None]
    found = closest(["near", "nearer not", "far"], gallery, visitor)
    assert np.float32(gallery[0, 0]) == np.float32(gallery[1, 0])
    assert (found.names[0, 0], found.tied[0]) == ("near", False)
    assert decide(found, 0.9) == ["near"]
    np.testing.assert_array_equal(
        verification.cosines(visitor, gallery).max(axis=1), found.scores[:, 0]
    )


# --- templates and search -------------------------------------------------------------------------


def test_a_template_is_the_mean_of_directions_or_of_embeddings():
    rows = np.array([row_of(0), row_of(60, 3), row_of(100)])
    who, plain = templates(rows, ["b", "b", "a"])
    assert who.tolist() == ["a", "b"]
    np.testing.assert_allclose(plain, [row_of(100), row_of(30)], atol=1e-12)
    _, weighted = templates(rows, ["b", "b", "a"], weighted=True)
    angle = math.degrees(math.atan2(3 * math.sin(math.pi / 3), 1 + 3 * math.cos(math.pi / 3)))
    np.testing.assert_allclose(weighted, [row_of(100), row_of(angle)], atol=1e-12)
    with pytest.raises(ValueError, match="embeddings: those of a cancel out"):
        templates([row_of(10), row_of(190), row_of(0)], ["a", "a", "b"])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_closest_are_those_of_loops(weighted, monkeypatch):
    monkeypatch.setattr(recognition, "AT_ONCE", 30)  # two visitors at a time
    embeddings, labels = clusters()
    embeddings = embeddings.astype("float32")
    enrolled = np.arange(len(labels)) % 4 < 3
    names = np.char.add("person ", labels[enrolled].astype(str))
    order = np.random.default_rng(1).permutation(len(names))
    who, gallery = templates(embeddings[enrolled][order], names[order], weighted)
    found = closest(who, gallery, embeddings[~enrolled], k=3)
    for row, visitor in enumerate(embeddings[~enrolled].astype("float64")):
        cosines = {}
        for name in set(names.tolist()):
            own = embeddings[enrolled][names == name].astype("float64")
            mean = (own if weighted else unit(own)).sum(axis=0)
            cosines[name] = unit(mean) @ unit(visitor)
        best = sorted(cosines, key=cosines.get, reverse=True)[:3]
        assert found.names[row].tolist() == best
        np.testing.assert_allclose(found.scores[row], [cosines[n] for n in best], atol=1e-6)
    np.testing.assert_allclose(found.lengths, np.linalg.norm(embeddings[~enrolled], axis=1))
    assert not found.tied.any()
    everybody = closest(who, gallery, embeddings[~enrolled], k=99)
    assert everybody.names.shape == (12, 12)
    assert (np.diff(everybody.scores) <= 0).all()


# --- the decision ---------------------------------------------------------------------------------


def test_below_the_threshold_it_is_nobody():
    visitors = [row_of(10, 2), row_of(80, 0.5), row_of(45), row_of(200)]
    found = closest(["Ada", "Bob"], [row_of(0), row_of(90)], visitors)
    assert found.tied.tolist() == [False, False, True, False]
    assert decide(found, 0.9) == ["Ada", "Bob", None, None]
    assert decide(found, 0.9, min_length=1) == ["Ada", None, None, None]
    assert decide(found, 0.99) == [None] * 4
    assert decide(found, -1) == ["Ada", "Bob", None, "Bob"]
    at = found.scores[0, 0]
    assert decide(found, at)[0] == "Ada"
    assert decide(found, np.nextafter(at, 1))[0] is None
    assert decide(recognition.no_matches(visitors), -1) == [None] * 4
    assert decide(closest([7], [row_of(0)], visitors[:1]), 0.5) == [7]


def test_decisions_are_what_search_scores_counts():
    """FPIR and FNIR of the answers, at thresholds that are scores themselves."""
    embeddings, labels = clusters(identities=30, images=2, noise=1.0)
    first, second = embeddings[::2], embeddings[1::2]
    known = np.arange(20)
    scores = verification.search_scores(first[known], known, second, np.arange(30))
    found = closest(*templates(first[known], known), second)
    for threshold in [-1.0, *scores.genuine[scores.genuine > -1], *scores.impostor]:
        answers = decide(found, threshold)
        named = [answer is not None for answer in answers[20:]]
        right = [answer == label for label, answer in enumerate(answers[:20])]
        assert np.mean(named) == scores.far(threshold)
        assert np.mean(right) == scores.tar(threshold)


# --- how FPIR grows -------------------------------------------------------------------------------


def test_fpir_is_the_mean_over_every_gallery():
    cosines = np.random.default_rng(0).random((5, 7))
    for threshold in (0.2, 0.7, 0.95, 2):
        expected = [
            np.mean([
                (cosines[:, gallery] >= threshold).any(axis=1).mean()
                for gallery in itertools.combinations(range(7), size)
            ])
            for size in range(1, 8)
        ]  # fmt: skip
        np.testing.assert_allclose(fpir_at(cosines, range(1, 8), threshold), expected, atol=1e-12)


def test_the_whole_gallery_is_a_direct_search():
    embeddings, labels = clusters(identities=300, images=2, noise=1.0)
    first, second = embeddings[::2], embeddings[1::2]
    scores = verification.search_scores(first[:200], labels[:400:2], second, np.arange(300))
    cosines = (unit(second[200:]) @ unit(first[:200]).T).astype("float32")
    for threshold in (0.8, 0.9, 0.95):
        assert fpir_at(cosines, [200], threshold)[0] == pytest.approx(scores.far(threshold))
        direct = [
            verification.search_scores(
                first[part], part, second[[part[0], *range(200, 300)]], [part[0], *range(200, 300)]
            ).far(threshold)
            for part in np.random.default_rng(1).permutation(200).reshape(20, 10)
        ]
        assert fpir_at(cosines, [10], threshold)[0] == pytest.approx(np.mean(direct), abs=0.03)


def test_the_closed_form_holds_where_strangers_are_alike_and_is_too_high_elsewhere():
    rng = np.random.default_rng(0)
    alike = rng.random((400, 20_000)) + 0.5
    closed = 1 - (1 - (alike >= 1.49).mean()) ** 50
    assert fpir_at(alike, [50], 1.49)[0] == pytest.approx(closed, rel=0.01)
    lambs = alike[:, :1000] + rng.normal(0, 0.2, (400, 1))
    closed = 1 - (1 - (lambs >= 1.49).mean()) ** 50
    assert fpir_at(lambs, [50], 1.49)[0] < 0.7 * closed
    grown = fpir_at(lambs, [1, 10, 100, 1000], 1.49)
    assert (np.diff(grown) > 0).all()
    assert grown[0] == pytest.approx((lambs >= 1.49).mean())


# --- the threshold --------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("fpir", "size"), [(0.3, 1), (0.4, 4), (0.9, 8)])
def test_the_threshold_is_the_lowest_of_all_that_keep_the_rate(fpir, size, weighted):
    """By trying every score, on strangers who leave themselves out of the gallery."""
    embeddings, labels = clusters(identities=18, images=4, noise=1.0)
    shuffled = np.random.default_rng(0).permutation(len(labels))
    found = threshold_for(
        fpir, embeddings[shuffled], labels[shuffled], size, pictures=2, weighted=weighted,
        min_length=1.0, resamples=3,
    )  # fmt: skip
    embeddings, labels = embeddings[shuffled], labels[shuffled]
    rank = np.array([np.count_nonzero(labels[:i] == who) for i, who in enumerate(labels)])
    who, gallery = templates(embeddings[rank < 2], labels[rank < 2], weighted)
    visits = embeddings[rank >= 2]
    cosines = (unit(visits) @ gallery.T).astype("float32").astype("float64")
    others = who[None] != labels[rank >= 2][:, None]
    strangers = cosines[others].reshape(len(visits), -1)
    strangers[np.linalg.norm(visits, axis=1) < 1] = -2
    kept = [t for t in np.unique(cosines) if fpir_at(strangers, [size], t)[0] <= fpir + 1e-12]
    assert found.value == min(kept)
    assert found.low <= found.high


def test_a_rate_is_used_in_full():
    """With a gallery of one, FPIR is the share of all pairs of a visit and another person, and is
    computed a little too high for 20 people."""
    embeddings, labels = clusters(identities=20, images=3, noise=1.0)
    visits, first = np.arange(len(labels)) % 3 > 0, np.arange(len(labels)) % 3 == 0
    cosines = (unit(embeddings[visits]) @ unit(embeddings[first]).T).astype("float32")
    strangers = cosines[labels[visits][:, None] != labels[first][None]]
    assert len(np.unique(strangers)) == len(strangers) == 40 * 19
    for count in range(190, 760, 9):
        found = threshold_for(count / 760, embeddings, labels, size=1, resamples=1)
        assert np.count_nonzero(strangers >= found.value) == count


def test_a_rate_that_holds_for_some_holds_for_others():
    """Chosen on validation people, counted by a direct search on people drawn likewise."""
    embeddings, labels = clusters(identities=400, images=3, noise=0.5, dim=16)
    found = threshold_for(0.05, embeddings, labels, size=40, resamples=20)
    assert found.low < found.value < found.high
    rates = []
    for seed in range(1, 11):
        others, _ = clusters(identities=440, images=1, noise=0.5, dim=16, seed=seed)
        scores = verification.search_scores(
            others[:40], np.arange(40), others[np.r_[0, 40:440]], np.r_[0, 40:440]
        )
        rates.append(scores.far(found.value))
    assert np.mean(rates) == pytest.approx(0.05, abs=0.015)


def test_a_larger_gallery_needs_a_higher_threshold():
    embeddings, labels = clusters(identities=200, images=3, noise=0.5, dim=16)
    found = [threshold_for(0.05, embeddings, labels, size, resamples=5) for size in (1, 9, 90)]
    assert found[0].value < found[1].value < found[2].value
    again = threshold_for(0.05, embeddings, labels, 9, resamples=5)
    assert again == found[1]
    renamed = threshold_for(0.05, embeddings, labels * 7 - 3, 9, resamples=5)
    assert renamed == found[1]
    assert threshold_for(0.05, embeddings, labels, 9, resamples=5, seed=1) != found[1]


def test_the_interval_holds_the_truth():
    """For 40 sets of people out of one population; 36 would be nine in ten."""
    everybody = clusters(identities=2000, images=2, noise=0.3, dim=16, seed=99)
    truth = threshold_for(0.1, *everybody, size=20, resamples=1).value
    sets = (clusters(identities=120, images=2, noise=0.3, dim=16, seed=s) for s in range(40))
    found = [threshold_for(0.1, *people, size=20, resamples=60) for people in sets]
    assert sum(t.low <= truth <= t.high for t in found) >= 36
    # and says something: it is no wider than three times what the values spread
    width = np.mean([t.high - t.low for t in found])
    assert width < 3 * 2 * 1.96 * np.std([t.value for t in found])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 10}, "size, labels: for a gallery of 10, 22 people are needed .* there are 20"),
        ({"fpir": 0.1}, "fpir: 0.1 cannot be measured on 60 visits.* ask for 0.17"),
        ({"pictures": 4}, "labels: 20 of 20 people have no image left"),
    ],
)
def test_too_few_people_are_refused(change, message):
    embeddings, labels = clusters(identities=20)
    with pytest.raises(ValueError, match=message):
        threshold_for(
            **{"fpir": 0.5, "embeddings": embeddings, "labels": labels, "size": 5} | change
        )


# --- another network ------------------------------------------------------------------------------


def test_a_rotation_is_found_to_the_last_digit():
    old, _ = clusters(dim=8)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))[0]
    lengths = np.random.default_rng(4).uniform(0.5, 2, (len(old), 1))
    for rotation in (False, True):
        np.testing.assert_allclose(
            linear_map(old, old @ turn * lengths, rotation), turn, atol=1e-10
        )


def test_the_map_is_the_best_of_its_kind():
    """No small step away from it fits better: any matrix, or any turn of the rotation."""
    rng = np.random.default_rng(0)
    old, new = unit(rng.normal(size=(60, 4))), unit(rng.normal(size=(60, 5)))

    def misfit(matrix, other):
        return np.square(old @ matrix - other).sum()

    free, turned = linear_map(old, new), linear_map(old, new[:, :4], rotation=True)
    assert free.shape == (4, 5)
    np.testing.assert_allclose(turned @ turned.T, np.eye(4), atol=1e-12)
    for _ in range(50):
        step = 1e-3 * rng.normal(size=(4, 5))
        assert misfit(free + step, new) > misfit(free, new)
        small = step[:, :4] - step[:, :4].T
        turn = np.linalg.solve(np.eye(4) + small, np.eye(4) - small)  # Cayley's form of a rotation
        assert misfit(turned @ turn, unit(new[:, :4])) > misfit(turned, unit(new[:, :4]))


def test_maps_need_the_same_pictures_and_enough_of_them():
    old, _ = clusters(dim=6)
    with pytest.raises(ValueError, match="old, new: 48 and 47 rows"):
        linear_map(old, old[1:])
    with pytest.raises(ValueError, match="old, new: 5 and 5 rows; .* at least 6"):
        linear_map(old[:5], old[:5])
    with pytest.raises(ValueError, match="old and new have 6 and 5 dimensions"):
        linear_map(old, old[:, :5], rotation=True)
