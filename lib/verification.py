"""Are these two the same? Everything about pairs: scores, ROC, EER, TAR at FAR, identification.

Scores are sorted once, genuine and impostor pairs apart, so that tens of millions of pairs are
counted in seconds. And there is more: intervals over identities, ten folds as LFW has them,
identification with distractors.

    scores = score_pairs(embeddings, labels)
    measure(scores, fars=(1e-2, 1e-3, 1e-4))

All of it works on NumPy arrays; an identity is named by an integer or a string.
"""

import bisect
import math
from dataclasses import dataclass

import numpy as np

from . import inputs

FARS = (1e-2, 1e-3, 1e-4)
# A FAR is measured only where at least this many impostor pairs are accepted at it.
MIN_ACCEPTED_IMPOSTORS = 10
# Above this cosine (0.8°) float32 has too few digits left to tell angles apart.
_NEAR = 0.9999


# --- pairs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class PairScores:
    """The scores of genuine and of impostor pairs, each sorted ascending.

    A pair is accepted if its score is at least the threshold. `score_pairs` and `split_scores`
    make them.
    """

    genuine: np.ndarray
    impostor: np.ndarray

    def __post_init__(self):
        for name in ("genuine", "impostor"):
            if inputs.read(getattr(self, name)).shape == (0,):
                raise ValueError(
                    f"{name}: no {name} pair; labels need two images of one identity for a genuine "
                    "pair, and two identities for an impostor pair."
                )
            scores = inputs.array(getattr(self, name), name, ("pairs",))
            if (scores[1:] < scores[:-1]).any():
                raise ValueError(f"{name}: not sorted; let split_scores make the PairScores.")
            object.__setattr__(self, name, scores)

    def tar(self, threshold):
        """Share of the genuine pairs accepted, at one threshold or an array of them."""
        return _share_from(threshold, self.genuine)

    def far(self, threshold):
        """Share of the impostor pairs accepted, at one threshold or an array of them."""
        return _share_from(threshold, self.impostor)

    def __repr__(self):
        return f"{len(self.genuine):,} genuine pairs, {len(self.impostor):,} impostor pairs"


def score_pairs(embeddings, labels):
    """The cosines of all pairs of different images, as `PairScores` (float64).

    25 million pairs take a few seconds and less than 1 GB.

    Args:
        embeddings: (N, D).
        labels: (N,) identities, integers or strings.

    Raises:
        ValueError: if an embedding is zero or not finite, no identity has two images, or there is
            only one identity.
    """
    unit, who, _ = _by_identity(embeddings, labels)
    own, others = [], []
    for scores, _ in _scores_by_identity(unit, who):
        size = len(scores)
        own.append(scores[:, :size][np.triu_indices(size, k=1)])
        others.append(scores[:, size:].reshape(-1))
    return _sorted_parts(np.concatenate(own), np.concatenate(others))


def split_scores(scores, genuine):
    """`PairScores` from scores of pairs in any order.

    Args:
        scores: (P,), larger for pairs more alike.
        genuine: (P,) bool.
    """
    scores = inputs.array(scores, "scores", ("pairs",))
    genuine = inputs.booleans(genuine, "genuine", scores.shape)
    return _sorted_parts(scores[genuine], scores[~genuine])


def _sorted_parts(genuine, impostor):
    genuine.sort()
    impostor.sort()
    return PairScores(genuine, impostor)


def cosines(embeddings, others):
    """The cosine of each embedding with each other one, rounded as all of this module does.

    Args:
        embeddings: (N, D).
        others: (M, D).

    Returns:
        (N, M) float64.
    """
    unit, others = inputs.unit_rows(embeddings), inputs.unit_rows(others, "others")
    inputs.same_dimensions(unit, others, ("embeddings", "others"))
    return _cosines(unit, others)


def _by_identity(embeddings, labels):
    """Unit rows in the order of their identities, the number of each, and that order."""
    unit = inputs.unit_rows(embeddings)
    who = np.unique(inputs.identities(labels, len(unit)), return_inverse=True)[1]
    order = np.argsort(who, kind="stable")
    return unit[order], who[order], order


def _scores_by_identity(unit, who):
    """Of each identity: cosines of its images with themselves and all later ones, and whose."""
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(who)], strict=True):
        yield _cosines(unit[start:end], unit[start:]), who[start:]


def _cosines(rows, others):
    """The cosines of unit rows, (rows, others), ties where they are equal and nowhere else.

    Rounded to float32, since what follows is the noise of the matrix product, which would part
    pairs that tie. Near 1, where float32 makes ties of different angles, by 1 − ‖u − v‖² / 2.
    """
    cosines = (rows @ others.T).astype("float32").astype("float64")
    first, second = np.nonzero(cosines > _NEAR)
    for start in range(0, len(first), 50_000):  # all differences at once could be gigabytes
        a, b = first[start : start + 50_000], second[start : start + 50_000]
        cosines[a, b] = 1 - np.square(rows[a] - others[b]).sum(axis=1) / 2
    return cosines


def _share_from(threshold, ascending):
    accepted = len(ascending) - np.searchsorted(ascending, threshold, side="left")
    return accepted / len(ascending)


# --- operating points -----------------------------------------------------------------------------


@dataclass(frozen=True)
class OperatingPoint:
    """The most permissive threshold that keeps the false accept rate within `far`.

    A pair is accepted if its score is at least `threshold`. `measured_far` is the rate at that
    threshold (below `far` where scores tie), `tar` the share of genuine pairs accepted.
    """

    far: float
    threshold: float
    measured_far: float
    tar: float


@dataclass(frozen=True)
class Verification:
    """What `measure` found: EER, one `OperatingPoint` for each FAR, and the counts of pairs.

    `lib.evaluation.verification_table` shows several of them side by side.
    """

    eer: float
    points: tuple
    genuine_pairs: int
    impostor_pairs: int

    def tar_at(self, far):
        """TAR at one of the FARs that were asked for."""
        for point in self.points:
            if point.far == far:
                return point.tar
        known = inputs.some(f"{point.far:g}" for point in self.points)
        raise ValueError(f"far: no operating point at {far}; ask `measure` for it, not {known}.")


def measure(scores, fars=FARS):
    """EER and TAR at given FARs, as `Verification`.

    The thresholds are chosen on these very pairs, so TAR is what the scores allow, not what a
    system set up on other pairs would reach: for that, give a threshold to `scores.tar`.

    Args:
        scores: `PairScores`.
        fars: the false accept rates wanted, each above 0 and at most 1.

    Raises:
        ValueError: if fewer than ten impostor pairs would be accepted at one of the FARs: a rate
            measured on so few pairs says nothing.
    """
    points = []
    for far in _checked_fars(fars, len(_checked(scores).impostor)):
        threshold = threshold_at(scores, far)
        rates = float(scores.far(threshold)), float(scores.tar(threshold))
        points.append(OperatingPoint(far, threshold, *rates))
    counts = len(scores.genuine), len(scores.impostor)
    return Verification(equal_error_rate(scores), tuple(points), *counts)


def threshold_at(scores, far):
    """The lowest threshold at which the false accept rate is at most `far`.

    It is the score of a pair; infinite if more impostor pairs tie at the top than `far` allows.
    """
    count = len(_checked(scores).impostor)
    _checked_fars([far], count, "far")
    allowed = math.floor(far * count)
    allowed += (allowed + 1) / count <= far  # where the product was rounded down
    if allowed == count:
        return float(min(scores.genuine[0], scores.impostor[0]))
    refused = scores.impostor[count - allowed - 1]  # and what ties with it
    return min(_next_above(refused, part) for part in (scores.genuine, scores.impostor))


def equal_error_rate(scores):
    """The error rate at the threshold where FAR = 1 − TAR.

    Where the two rates step past each other, the straight line between the two neighbouring points
    of the ROC curve is used; so scores that are all equal give 0.5.

    Args:
        scores: `PairScores`.
    """
    _checked(scores)
    accepted = max(_last_where_too_many(scores, part) for part in (scores.genuine, scores.impostor))
    before = min(_next_above(accepted, part) for part in (scores.genuine, scores.impostor))
    return _crossing(scores.far([before, accepted]), scores.tar([before, accepted]))


def _crossing(far, tar):
    """Where a curve of ascending points crosses FAR = 1 − TAR, by straight lines."""
    gap = far + tar - 1  # rises from −1 to 1 along the curve
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(far[before] + share * (far[after] - far[before]))


def _last_where_too_many(scores, candidates):
    """The highest candidate threshold at which FAR ≥ 1 − TAR; −infinity if none is."""

    def enough(threshold):
        return scores.far(threshold) + scores.tar(threshold) < 1

    place = bisect.bisect_left(candidates, True, key=enough)
    return candidates[place - 1] if place else -math.inf


def _next_above(score, ascending):
    place = np.searchsorted(ascending, score, side="right")
    return float(ascending[place]) if place < len(ascending) else math.inf


def _checked(scores):
    remedy = "score_pairs(embeddings, labels) or split_scores(scores, genuine) makes them"
    return inputs.instance(scores, PairScores, "scores", remedy)


def _checked_fars(fars, impostor_pairs=math.inf, name="fars"):
    if not isinstance(fars, list | tuple | np.ndarray):
        shown = inputs.shown(fars)
        raise TypeError(f"{name}: expected several rates, such as (0.01, 0.001), got {shown}.")
    for far in fars:
        if not isinstance(far, int | float | np.number) or not 0 < far <= 1:
            shown = inputs.shown(far)
            raise ValueError(f"{name}: a FAR is a rate above 0 and at most 1, got {shown}.")
        if far * impostor_pairs < MIN_ACCEPTED_IMPOSTORS:
            lowest = MIN_ACCEPTED_IMPOSTORS / impostor_pairs
            raise ValueError(
                f"{name}: FAR {far:g} cannot be measured on {impostor_pairs:,} impostor pairs: "
                f"fewer than {MIN_ACCEPTED_IMPOSTORS} would be accepted. Ask for {lowest:.2g} or "
                "more, or bring more images."
            )
    return fars


def roc_points(scores, points=400):
    """The ROC curve at thresholds that are dense where FAR is low, for a logarithmic axis.

    Returns:
        far, tar and thresholds, each ascending in FAR; the first is one accepted impostor pair.
    """
    count = len(_checked(scores).impostor)
    points = min(inputs.whole_number(points, "points", 2), count)
    ranks = np.unique(np.geomspace(1, count, points).round().astype(int))
    thresholds = scores.impostor[count - ranks]
    return scores.far(thresholds), scores.tar(thresholds), thresholds


def hardest_pairs(embeddings, labels, count=12):
    """The impostor pairs with the highest scores and the genuine pairs with the lowest.

    Of each two identities, and of each identity, only the hardest pair is listed.

    Returns:
        impostors, genuine: (count, 2) rows of `embeddings`, the hardest first.
    """
    unit, who, order = _by_identity(embeddings, labels)
    inputs.whole_number(count, "count")
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    impostors, genuine = [], []
    for start, (scores, partners) in zip(starts, _scores_by_identity(unit, who), strict=True):
        size = len(scores)
        if size > 1:
            inner = scores[:, :size] + np.tri(size) * 3  # each pair once
            first, second = np.unravel_index(inner.argmin(), inner.shape)
            genuine.append((scores[first, second], start + first, start + second))
        best = scores.max(axis=0)
        for other in np.unique(partners[size:]):
            columns = np.flatnonzero(partners == other)
            second = columns[best[columns].argmax()]
            impostors.append((-best[second], start + scores[:, second].argmax(), start + second))
    return tuple(
        np.array([order[list(pair[1:])] for pair in sorted(pairs)[:count]])
        for pairs in (impostors, genuine)
    )


# --- intervals ------------------------------------------------------------------------------------


def bootstrap(embeddings, labels, fars=FARS, resamples=200, level=0.95, seed=0, thresholds=300):
    """How far EER and TAR would move with other identities: percentile bootstrap intervals.

    Pairs are not independent, identities are: so identities are drawn with replacement. One that
    is drawn w times counts w times with its own genuine pairs, and w·v times in the impostor pairs
    with one drawn v times. Its own copies are not compared: that would be images with themselves.

    16 million pairs take about ten seconds. Below about ten identities an interval means little.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        fars: the false accept rates at which TAR is wanted, as for `measure`.
        resamples: how many times the identities are drawn.
        level: the share of resamples inside the interval.
        seed: of the draws.
        thresholds: how many points of the ROC curve are computed; straight lines in between.

    Returns:
        A dictionary: "eer" and each FAR → (low, high).
    """
    inputs.number_between(level, "level", 0, 1)
    curves = resampled_curves(embeddings, labels, fars, resamples, seed, thresholds)
    return intervals(*curves, fars, level)


def intervals(far, tar, fars=FARS, level=0.95):
    """The percentile intervals of `bootstrap` from curves as `resampled_curves` returns them."""
    far, tar = _curves(far, tar)
    inputs.number_between(level, "level", 0, 1)
    values = {"eer": [_crossing(f, t) for f, t in zip(far, tar, strict=True)]}
    values |= {wanted: resampled_tar(far, tar, wanted) for wanted in _checked_fars(fars)}
    tails = (1 - level) / 2, (1 + level) / 2
    return {name: tuple(map(float, np.quantile(v, tails))) for name, v in values.items()}


def resampled_tar(far, tar, wanted):
    """TAR at the FAR `wanted` in each resample, an array (resamples,)."""
    far, tar = _curves(far, tar)
    _checked_fars([wanted], name="wanted")
    return np.array([np.interp(wanted, f, t) for f, t in zip(far, tar, strict=True)])


def _curves(far, tar):
    far = inputs.array(far, "far", ("resamples", "points"))
    tar = inputs.array(tar, "tar", far.shape)
    for curve, name in ((far, "far"), (tar, "tar")):
        if (curve[:, 0] != 0).any() or (curve[:, -1] != 1).any():
            raise ValueError(f"{name}: each curve runs from 0 to 1, as of `resampled_curves`.")
    return far, tar


def resampled_curves(embeddings, labels, fars=FARS, resamples=200, seed=0, thresholds=300):
    """FAR and TAR of each resample of the identities, each (resamples, points), from 0 to 1.

    One seed gives the same draws for every model, so curves of two models can be compared resample
    by resample.
    """
    resamples = inputs.whole_number(resamples, "resamples", 1, 100_000)
    inputs.whole_number(seed, "seed", 0)
    inputs.whole_number(thresholds, "thresholds", 2, 100_000)
    unit, who, _ = _by_identity(embeddings, labels)
    scores = score_pairs(embeddings, labels)
    _checked_fars(fars, len(scores.impostor))
    grid = _threshold_grid(scores, thresholds)
    count = who[-1] + 1
    draws = _draws(count, resamples, seed).astype("float32")  # whole numbers: no digit is lost

    far, tar = np.zeros((resamples, len(grid))), np.zeros((resamples, len(grid)))
    for identity, (block, partners) in enumerate(_scores_by_identity(unit, who)):
        size, drawn = len(block), draws[:, identity, None]
        own = block[:, :size][np.triu_indices(size, k=1)]
        tar += drawn * _accepted(own, np.zeros(len(own), int), grid, 1)
        others = np.tile(partners[size:] - identity - 1, size)
        accepted = _accepted(block[:, size:].reshape(-1), others, grid, count - identity - 1)
        far += drawn * (draws[:, identity + 1 :] @ accepted)
    # a resample may hold no genuine or no impostor pair at all: it says nothing
    defined = (far[:, -1] > 0) & (tar[:, -1] > 0)
    start = np.zeros((np.count_nonzero(defined), 1))
    if not len(start):
        raise ValueError(
            f"resamples: none of {resamples} drew both a genuine and an impostor pair; ask for "
            "more, or bring more identities."
        )
    far, tar = np.hstack([start, far[defined]]), np.hstack([start, tar[defined]])
    return far / far[:, -1:], tar / tar[:, -1:]


def _draws(count, resamples, seed):
    """How often each of `count` identities is drawn in each resample: (resamples, count)."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)


def _accepted(scores, groups, grid, num_groups):
    """How many scores of each group pass each threshold, strictest first: (groups, thresholds)."""
    step = len(grid) - np.searchsorted(grid, scores, side="right")
    counts = np.bincount(groups * len(grid) + step, minlength=num_groups * len(grid))
    return counts.reshape(num_groups, len(grid)).cumsum(axis=1).astype("float32")


def _threshold_grid(scores, thresholds):
    """Ascending thresholds from the lowest score on, dense where FAR is low."""
    count = len(scores.impostor)
    ranks = np.geomspace(1, count, thresholds).round().astype(int)
    places = np.linspace(0, len(scores.genuine) - 1, thresholds // 2).round().astype(int)
    return np.unique(np.concatenate([scores.impostor[count - ranks], scores.genuine[places]]))


def rates_at(embeddings, labels, threshold, resamples=200, level=0.95, seed=0):
    """Error rates of these identities at a threshold that others have chosen, with intervals.

    Of each group of people for itself this tells whether one threshold treats all alike: FMR is
    the share of the impostor pairs within the group that are accepted, FNMR that of the genuine
    pairs that are refused. Identities are resampled as in `bootstrap`.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        threshold: of the cosine.
        resamples, level, seed: as for `bootstrap`.

    Returns:
        A dictionary: "fmr" and "fnmr" → (value, low, high).
    """
    inputs.number_between(level, "level", 0, 1)
    resamples = inputs.whole_number(resamples, "resamples", 1, 100_000)
    inputs.whole_number(seed, "seed", 0)
    threshold = inputs.number_from(threshold, "threshold", -2, 2)
    unit, who, _ = _by_identity(embeddings, labels)
    sizes = np.bincount(who).astype("float64")
    count = len(sizes)
    # how many pairs of one identity are refused, and of each two identities are accepted
    refused, accepted = np.zeros(count), np.zeros((count, count))
    for identity, (block, partners) in enumerate(_scores_by_identity(unit, who)):
        size = len(block)
        refused[identity] = np.count_nonzero(np.triu(block[:, :size] < threshold, k=1))
        passed = (block[:, size:] >= threshold).sum(axis=0)
        accepted[identity] = np.bincount(partners[size:], passed, count)
    genuine, impostor = sizes * (sizes - 1) / 2, np.triu(np.outer(sizes, sizes), k=1)
    if not genuine.any() or count < 2:
        raise ValueError("labels: two identities are needed, and two images of one of them.")
    draws = _draws(count, resamples, seed)
    fmr, fnmr = [], []
    for drawn in (np.ones(count), *draws):
        pairs = drawn @ impostor @ drawn, drawn @ genuine
        if all(pairs):  # else the resample says nothing
            fmr.append(drawn @ accepted @ drawn / pairs[0])
            fnmr.append(drawn @ refused / pairs[1])
    tails = (1 - level) / 2, (1 + level) / 2
    return {
        name: (float(values[0]), *map(float, np.quantile(values[1:] or values, tails)))
        for name, values in (("fmr", fmr), ("fnmr", fnmr))
    }


# --- ten folds ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy on each fold, and the threshold that the other folds chose for it."""

    accuracies: tuple
    thresholds: tuple

    @property
    def mean(self):
        return float(np.mean(self.accuracies))

    @property
    def spread(self):
        """The sample standard deviation over the folds."""
        return float(np.std(self.accuracies, ddof=1))

    def __repr__(self):
        return f"{self.mean:.4f} ± {self.spread:.4f} over {len(self.accuracies)} folds"


def fold_pairs(labels, folds=10, pairs=300, seed=0):
    """Draw `pairs` genuine and as many impostor pairs for each fold; folds share no identity.

    LFW's list has this shape: 10 folds of 300 + 300 pairs.

    Args:
        labels: (N,) identities.
        folds, pairs, seed: as named.

    Returns:
        first, second: (folds, 2 · pairs) rows of the images compared.
        genuine: the same shape, bool.

    Raises:
        ValueError: if a fold has too few identities or too few genuine pairs.
    """
    labels = inputs.identities(labels)
    folds = inputs.whole_number(folds, "folds", 2)
    pairs = inputs.whole_number(pairs, "pairs")
    rng = np.random.default_rng(inputs.whole_number(seed, "seed", 0))
    identities = rng.permutation(np.unique(labels))
    first, second = [], []
    for fold in range(folds):
        rows = np.flatnonzero(np.isin(labels, identities[fold::folds]))
        a, b = (rows[index] for index in np.triu_indices(len(rows), k=1))
        same = labels[a] == labels[b]
        if np.count_nonzero(same) < pairs or np.count_nonzero(~same) < pairs:
            raise ValueError(
                f"pairs: fold {fold} has {np.count_nonzero(same):,} genuine and "
                f"{np.count_nonzero(~same):,} impostor pairs, fewer than {pairs:,}: ask for fewer "
                "pairs or folds, or bring more images."
            )
        chosen = [rng.choice(np.flatnonzero(kind), pairs, replace=False) for kind in (same, ~same)]
        first.append(a[np.concatenate(chosen)])
        second.append(b[np.concatenate(chosen)])
    genuine = np.tile(np.repeat([True, False], pairs), (folds, 1))
    return np.array(first), np.array(second), genuine


def fold_accuracy(embeddings, first, second, genuine):
    """Accuracy with the threshold from all folds but one, scored on that one, as LFW has it.

    Args:
        embeddings: (N, D).
        first, second, genuine: (folds, P), as `fold_pairs` returns them.
    """
    unit = inputs.unit_rows(embeddings)
    last = len(unit) - 1
    first = inputs.whole_numbers(first, "first", ("folds", "pairs"), 0, last)
    second = inputs.whole_numbers(second, "second", first.shape, 0, last)
    genuine = inputs.booleans(genuine, "genuine", first.shape)
    if len(first) < 2:
        raise ValueError("first: one fold only; its threshold has to come from another, draw two.")
    scores = (unit[first] * unit[second]).sum(axis=-1)
    accuracies, thresholds = [], []
    for fold in range(len(scores)):
        others = np.arange(len(scores)) != fold
        threshold = best_threshold(scores[others].ravel(), genuine[others].ravel())
        thresholds.append(threshold)
        accuracies.append(float(np.mean((scores[fold] >= threshold) == genuine[fold])))
    return FoldAccuracy(tuple(accuracies), tuple(thresholds))


def best_threshold(scores, genuine):
    """The threshold of highest accuracy, halfway between two neighbouring scores.

    Where several places are equally good it is the middle one.
    """
    parts = split_scores(scores, genuine)
    accepted_from = np.unique(scores)
    right = parts.tar(accepted_from) * len(parts.genuine)
    right += (1 - parts.far(accepted_from)) * len(parts.impostor)
    best = np.flatnonzero(right > right.max() - 0.5)
    place = best[len(best) // 2]
    return float(accepted_from[max(place - 1, 0) : place + 1].mean())


# --- identification -------------------------------------------------------------------------------


def one_each(labels):
    """Rows of the first image of each identity (the gallery), and of all the others (probes)."""
    labels = inputs.identities(labels)
    gallery = np.unique(labels, return_index=True)[1]
    return gallery, np.setdiff1d(np.arange(len(labels)), gallery)


def ranks(gallery, gallery_labels, probes, probe_labels):
    """The place of each probe's identity when the gallery is sorted by cosine; 1 is a hit.

    An image of somebody else that scores as high as the right one is placed before it. Gallery
    images whose identity has no probe are distractors: they can only be in the way.

    Args:
        gallery: (G, D) embeddings, one image of each identity.
        gallery_labels: (G,).
        probes: (P, D) embeddings.
        probe_labels: (P,) identities, each in the gallery.

    Returns:
        (P,) integers from 1 to G.

    Raises:
        ValueError: if an identity is in the gallery twice, or a probe's identity is not in it.
    """
    gallery, known = _gallery(gallery, gallery_labels)
    probes = inputs.unit_rows(probes, "probes")
    inputs.same_dimensions(gallery, probes, ("gallery", "probes"))
    probe_labels = inputs.identities(probe_labels, len(probes), "probe_labels")
    missing = np.setdiff1d(probe_labels, known)
    if len(missing):
        raise ValueError(
            f"probe_labels: no gallery image of identity {inputs.some(missing)}, so its probes "
            "cannot be found: enrol them, or leave them out and measure false accepts instead."
        )
    place = np.searchsorted(known, probe_labels)
    cosines = _cosines(probes, gallery)
    own = cosines[np.arange(len(probes)), place]
    return (cosines >= own[:, None]).sum(axis=1)


def search_scores(gallery, gallery_labels, visitors, visitor_labels):
    """The scores by which a gallery answers visitors, some of whom nobody has enrolled.

    What the answers are worth is counted as for pairs: `far` of the result is the false positive
    identification rate (FPIR), the share of the visitors not enrolled who are given somebody's
    name, and 1 − `tar` the false negative one (FNIR), the share of the enrolled who are refused or
    given a wrong name; `measure` and `threshold_at` take it.

    Args:
        gallery: (G, D) embeddings, one of each identity: of an image, or the mean of several.
        gallery_labels: (G,).
        visitors: (V, D) embeddings.
        visitor_labels: (V,) identities, some in the gallery and some not.

    Returns:
        `PairScores`. Genuine: the cosine of each enrolled visitor with the own identity, or −2,
        below all cosines, where another one is as close. Impostor: the highest cosine of each
        visitor not enrolled.

    Raises:
        ValueError: if an identity is in the gallery twice, or all visitors, or none, are enrolled.
    """
    gallery, known = _gallery(gallery, gallery_labels)
    visitors = inputs.unit_rows(visitors, "visitors")
    inputs.same_dimensions(gallery, visitors, ("gallery", "visitors"))
    visitor_labels = inputs.identities(visitor_labels, len(visitors), "visitor_labels")
    enrolled = np.isin(visitor_labels, known)
    if enrolled.all() or not enrolled.any():
        kind = "all" if enrolled.all() else "none"
        raise ValueError(f"visitor_labels: {kind} of them are enrolled; some should be.")
    cosines = _cosines(visitors[~enrolled], gallery)
    return _sorted_parts(_own_scores(gallery, known, visitors[enrolled], visitor_labels[enrolled]),
                         cosines.max(axis=1))  # fmt: skip


def _own_scores(gallery, known, visitors, labels):
    """The cosine of each visitor with its own identity; −2 where another one is as close."""
    cosines = _cosines(visitors, gallery)
    rows, place = np.arange(len(visitors)), np.searchsorted(known, labels)
    own = cosines[rows, place]
    cosines[rows, place] = -2.0
    return np.where(own > cosines.max(axis=1), own, -2.0)


def _gallery(gallery, gallery_labels):
    """Unit rows and their labels, sorted by these."""
    gallery = inputs.unit_rows(gallery, "gallery")
    gallery_labels = inputs.identities(gallery_labels, len(gallery), "gallery_labels")
    order = np.argsort(gallery_labels)
    known = gallery_labels[order]
    if (known[1:] == known[:-1]).any():
        raise ValueError("gallery_labels: an identity is there twice; enrol one image of each.")
    return gallery[order], known


def cmc(ranks, gallery_size, distractors=None):
    """Share of probes found at rank 1, 2, …: the cumulative match characteristic.

    With `distractors`, the mean over all ways to keep that many of the other gallery images. It is
    computed, not drawn: of a probe at rank r in a gallery of G, r − 1 of G − 1 others are in front.

    Args:
        ranks: (P,), as `ranks` returns them.
        gallery_size: G.
        distractors: how many other images the probe's own is hidden among; by default G − 1.

    Returns:
        (distractors + 1,) shares, rising to 1.
    """
    others = inputs.whole_number(gallery_size, "gallery_size") - 1
    distractors = others if distractors is None else distractors
    distractors = inputs.whole_number(distractors, "distractors", 0, others)
    ranks = inputs.whole_numbers(ranks, "ranks", ("probes",), 1, gallery_size)
    ahead, probes = np.unique(ranks - 1, return_counts=True)
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, others + 1)))])  # log k!

    def log_choose(n, k):
        possible = (k >= 0) & (k <= n)
        n, k = np.broadcast_arrays(n, np.where(possible, k, 0))
        ways = log[n] - log[k] - log[np.maximum(n - k, 0)]
        return np.where(possible, ways, -np.inf)

    # k of the r − 1 in front are kept, and distractors − k of those behind
    kept = np.arange(distractors + 1)
    ways = log_choose(ahead[:, None], kept) + log_choose(
        (others - ahead)[:, None], distractors - kept
    )
    share = np.exp(ways - log_choose(np.array(others), np.array(distractors)))
    return np.minimum((probes[:, None] * share).sum(axis=0).cumsum() / probes.sum(), 1.0)
