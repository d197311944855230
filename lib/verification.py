"""Verification of identities that were never seen in training, with tens of millions of pairs.

`lib.evaluation` defines TAR, FAR and EER and is enough for a thousand digits. Here the same is
counted on scores that are sorted once, genuine and impostor pairs apart. And there is more:
intervals over identities, ten folds as LFW has them, identification with distractors.

    scores = score_pairs(embeddings, labels)
    measure(scores, fars=(1e-2, 1e-3, 1e-4))
"""

import bisect
import math
from dataclasses import dataclass

import numpy as np

from . import evaluation

FARS = (1e-2, 1e-3, 1e-4)


# --- pairs ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class PairScores:
    """The scores of genuine and of impostor pairs, each sorted ascending.

    A pair is accepted if its score is at least the threshold.
    """

    genuine: np.ndarray
    impostor: np.ndarray

    def tar(self, threshold):
        """Share of the genuine pairs accepted, at one threshold or an array of them."""
        return _share_from(threshold, self.genuine)

    def far(self, threshold):
        """Share of the impostor pairs accepted, at one threshold or an array of them."""
        return _share_from(threshold, self.impostor)

    def __repr__(self):
        return f"{len(self.genuine):,} genuine pairs, {len(self.impostor):,} impostor pairs"


def score_pairs(embeddings, labels):
    """The cosines of all pairs of different images, as `PairScores`.

    25 million pairs take a few seconds and less than 1 GB.

    Args:
        embeddings: (N, D).
        labels: (N,) identities, any integers.

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
    """`PairScores` from what `lib.evaluation.pair_scores` returns, or any other scores of pairs.

    Args:
        scores: (P,), larger for pairs more alike.
        genuine: (P,) bool.
    """
    scores, genuine = evaluation._checked_pairs(scores, genuine)
    return _sorted_parts(scores[genuine], scores[~genuine])


def _sorted_parts(genuine, impostor):
    if not len(genuine):
        raise ValueError("no genuine pair: at least one identity needs two images.")
    if not len(impostor):
        raise ValueError("no impostor pair: at least two identities are needed.")
    genuine.sort()
    impostor.sort()
    return PairScores(genuine, impostor)


def _by_identity(embeddings, labels):
    """Unit rows in the order of their identities, the number of each, and that order."""
    unit = evaluation._unit_rows(embeddings)
    who = np.unique(evaluation._identities(labels, len(unit)), return_inverse=True)[1]
    order = np.argsort(who, kind="stable")
    return unit[order], who[order], order


def _scores_by_identity(unit, who):
    """Of each identity: cosines of its images with themselves and all later ones, and whose."""
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(who)], strict=True):
        yield (unit[start:end] @ unit[start:].T).astype("float32"), who[start:]


def _share_from(threshold, ascending):
    accepted = len(ascending) - np.searchsorted(ascending, threshold, side="left")
    return accepted / len(ascending)


# --- operating points -----------------------------------------------------------------------------


def measure(scores, fars=FARS):
    """EER and TAR at given FARs as `lib.evaluation.Verification`, the same as `verification` gives.

    The thresholds are chosen on these very pairs, so TAR is what the scores allow, not what a
    system set up on other pairs would reach: for that, give a threshold to `scores.tar`.

    Args:
        scores: `PairScores`.
        fars: the false accept rates wanted, each above 0 and at most 1.

    Raises:
        ValueError: if fewer than ten impostor pairs would be accepted at one of the FARs.
    """
    evaluation._check_fars(fars, len(scores.impostor))
    points = []
    for far in fars:
        threshold = threshold_at(scores, far)
        points.append(
            evaluation.OperatingPoint(
                far, threshold, float(scores.far(threshold)), float(scores.tar(threshold))
            )
        )
    counts = len(scores.genuine), len(scores.impostor)
    return evaluation.Verification(equal_error_rate(scores), tuple(points), *counts)


def threshold_at(scores, far):
    """The lowest threshold at which the false accept rate is at most `far`.

    It is the score of a pair; infinite if more impostor pairs tie at the top than `far` allows.
    """
    evaluation._check_fars([far], len(scores.impostor))
    count = len(scores.impostor)
    allowed = math.floor(far * count)
    allowed += (allowed + 1) / count <= far  # where the product was rounded down
    if allowed == count:
        return float(min(scores.genuine[0], scores.impostor[0]))
    refused = scores.impostor[count - allowed - 1]  # and what ties with it
    return min(_next_above(refused, part) for part in (scores.genuine, scores.impostor))


def equal_error_rate(scores):
    """The error rate where FAR = 1 − TAR, on the straight line between two points of the curve."""
    accepted = max(_last_where_too_many(scores, part) for part in (scores.genuine, scores.impostor))
    before = min(_next_above(accepted, part) for part in (scores.genuine, scores.impostor))
    far, tar = scores.far([before, accepted]), scores.tar([before, accepted])
    gap = far + tar - 1
    share = -gap[0] / (gap[1] - gap[0])
    return float(far[0] + share * (far[1] - far[0]))


def _last_where_too_many(scores, candidates):
    """The highest candidate threshold at which FAR ≥ 1 − TAR; −infinity if none is."""

    def enough(threshold):
        return scores.far(threshold) + scores.tar(threshold) < 1

    place = bisect.bisect_left(candidates, True, key=enough)
    return candidates[place - 1] if place else -math.inf


def _next_above(score, ascending):
    place = np.searchsorted(ascending, score, side="right")
    return float(ascending[place]) if place < len(ascending) else math.inf


def roc_points(scores, points=400):
    """The ROC curve at thresholds that are dense where FAR is low, for a logarithmic axis.

    Returns:
        far, tar and thresholds, each ascending in FAR; the first is one accepted impostor pair.
    """
    count = len(scores.impostor)
    ranks = np.unique(np.geomspace(1, count, min(points, count)).round().astype(int))
    thresholds = scores.impostor[count - ranks]
    return scores.far(thresholds), scores.tar(thresholds), thresholds


def hardest_pairs(embeddings, labels, count=12):
    """The impostor pairs with the highest scores and the genuine pairs with the lowest.

    Of each two identities, and of each identity, only the hardest pair is listed.

    Returns:
        impostors, genuine: (count, 2) rows of `embeddings`, the hardest first.
    """
    unit, who, order = _by_identity(embeddings, labels)
    starts = np.flatnonzero(np.diff(who, prepend=-1))
    impostors, genuine = [], []
    for start, (scores, partners) in zip(starts, _scores_by_identity(unit, who), strict=True):
        size = len(scores)
        if size > 1:
            inner = scores[:, :size] + np.tri(size, dtype="float32") * 3  # each pair once
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
    """How far EER and TAR would move with other identities, as `lib.evaluation.bootstrap_interval`.

    The same definition, counted identity by identity: 16 million pairs in about ten seconds.
    Identities are drawn with replacement, since pairs that share one are not independent. One that
    is drawn w times counts w times with its own genuine pairs, and w·v times in its impostor pairs
    with one drawn v times.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        fars: the false accept rates at which TAR is wanted.
        resamples: how many times the identities are drawn.
        level: the share of resamples inside the interval.
        seed: of the draws.
        thresholds: how many points of the ROC curve are computed; straight lines in between.

    Returns:
        A dictionary: "eer" and each FAR → (low, high).
    """
    curves = resampled_curves(embeddings, labels, fars, resamples, seed, thresholds)
    return intervals(*curves, fars, level)


def intervals(far, tar, fars=FARS, level=0.95):
    """The percentile intervals of `bootstrap` from curves as `resampled_curves` returns them."""
    values = {"eer": [evaluation._eer_of_curve(f, t) for f, t in zip(far, tar, strict=True)]}
    values |= {wanted: resampled_tar(far, tar, wanted) for wanted in fars}
    tails = (1 - level) / 2, (1 + level) / 2
    return {name: tuple(map(float, np.quantile(v, tails))) for name, v in values.items()}


def resampled_tar(far, tar, wanted):
    """TAR at the FAR `wanted` in each resample, an array (resamples,)."""
    return np.array([np.interp(wanted, f, t) for f, t in zip(far, tar, strict=True)])


def resampled_curves(embeddings, labels, fars=FARS, resamples=200, seed=0, thresholds=300):
    """FAR and TAR of each resample of the identities, each (resamples, points), from 0 to 1.

    One seed gives the same draws for every model, so curves of two models can be compared resample
    by resample.
    """
    unit, who, _ = _by_identity(embeddings, labels)
    scores = score_pairs(embeddings, labels)
    evaluation._check_fars(fars, len(scores.impostor))
    grid = _threshold_grid(scores, thresholds)
    count = who[-1] + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    draws = draws.astype("float32")  # whole numbers: no digit is lost

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
    far, tar = np.hstack([start, far[defined]]), np.hstack([start, tar[defined]])
    return far / far[:, -1:], tar / tar[:, -1:]


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
    rng = np.random.default_rng(seed)
    labels = evaluation._identities(labels, len(labels))
    identities = rng.permutation(np.unique(labels))
    first, second = [], []
    for fold in range(folds):
        rows = np.flatnonzero(np.isin(labels, identities[fold::folds]))
        a, b = (rows[index] for index in np.triu_indices(len(rows), k=1))
        same = labels[a] == labels[b]
        if np.count_nonzero(same) < pairs or np.count_nonzero(~same) < pairs:
            raise ValueError(
                f"fold {fold} has {np.count_nonzero(same)} genuine and {np.count_nonzero(~same)} "
                f"impostor pairs, fewer than {pairs}: ask for fewer pairs or folds."
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
    unit = evaluation._unit_rows(embeddings)
    scores = (unit[first] * unit[second]).sum(axis=-1)
    accuracies, thresholds = [], []
    for fold in range(len(scores)):
        others = np.arange(len(scores)) != fold
        threshold = best_threshold(scores[others], genuine[others])
        thresholds.append(threshold)
        accuracies.append(float(np.mean((scores[fold] >= threshold) == genuine[fold])))
    return FoldAccuracy(tuple(accuracies), tuple(thresholds))


def best_threshold(scores, genuine):
    """The threshold of highest accuracy, halfway between two neighbouring scores.

    Where several places are equally good it is the middle one.
    """
    scores, genuine = evaluation._checked_pairs(np.ravel(scores), np.ravel(genuine))
    parts = _sorted_parts(scores[genuine], scores[~genuine])
    accepted_from = np.unique(scores)
    right = parts.tar(accepted_from) * len(parts.genuine)
    right += (1 - parts.far(accepted_from)) * len(parts.impostor)
    best = np.flatnonzero(right > right.max() - 0.5)
    place = best[len(best) // 2]
    return float(accepted_from[max(place - 1, 0) : place + 1].mean())


# --- identification -------------------------------------------------------------------------------


def one_each(labels):
    """Rows of the first image of each identity (the gallery), and of all the others (probes)."""
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
    gallery, probes = (
        evaluation._unit_rows(gallery, "gallery embeddings"),
        evaluation._unit_rows(probes, "probe embeddings"),
    )
    gallery_labels = evaluation._identities(gallery_labels, len(gallery))
    probe_labels = evaluation._identities(probe_labels, len(probes))
    order = np.argsort(gallery_labels)
    known = gallery_labels[order]
    if (np.diff(known) == 0).any():
        raise ValueError("an identity is in the gallery twice: enrol one image of each.")
    place = np.searchsorted(known, probe_labels).clip(max=len(known) - 1)
    missing = np.unique(probe_labels[known[place] != probe_labels])
    if len(missing):
        raise ValueError(
            f"no gallery image of identity {evaluation._list(missing[:5])}, so its probes cannot "
            "be found: enrol them, or leave them out and measure false accepts instead."
        )
    cosines = (probes @ gallery[order].T).astype("float32")
    own = cosines[np.arange(len(probes)), place]
    return (cosines >= own[:, None]).sum(axis=1)


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
    others = gallery_size - 1
    distractors = others if distractors is None else distractors
    if not 0 <= distractors <= others:
        raise ValueError(f"distractors is {distractors}; this gallery has {others} others.")
    ahead, probes = np.unique(np.asarray(ranks) - 1, return_counts=True)
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


# --- everything at once ---------------------------------------------------------------------------


def open_set_scores(embeddings, labels):
    """The values recorded for a model: what it does with identities it has never seen.

    Returns:
        A dictionary of floats: `tar_1e-2`, `tar_1e-3`, `tar_1e-4`, `eer`, over all pairs; `rank_1`
        and `rank_5` with one image of each identity enrolled, and `rank_1_of_100`, the mean over
        galleries of 100 of them; `fold_accuracy`, on the pairs of `fold_pairs`; `own_angle` and
        `nearest_angle`, of images to their class's centre and of that to the nearest other, in
        degrees; the counts of pairs.
    """
    result = measure(score_pairs(embeddings, labels))
    labels = np.unique(labels, return_inverse=True)[1]
    gallery, probes = one_each(labels)
    places = ranks(embeddings[gallery], labels[gallery], embeddings[probes], labels[probes])
    found = cmc(places, len(gallery))
    centres = evaluation.class_centres(embeddings, labels)
    angles = np.degrees(evaluation.angles_to_centres(embeddings, centres))
    between = np.degrees(evaluation.angles_to_centres(centres, centres))
    np.fill_diagonal(between, np.inf)
    return {
        **{f"tar_1e-{digits}": result.tar_at(10.0**-digits) for digits in (2, 3, 4)},
        "eer": result.eer,
        "rank_1": float(found[0]),
        "rank_5": float(found[:5][-1]),
        "rank_1_of_100": float(cmc(places, len(gallery), min(99, len(gallery) - 1))[0]),
        "fold_accuracy": fold_accuracy(embeddings, *fold_pairs(labels)).mean,
        "own_angle": float(angles[np.arange(len(labels)), labels].mean()),
        "nearest_angle": float(between.min(axis=1).mean()),
        "genuine_pairs": float(result.genuine_pairs),
        "impostor_pairs": float(result.impostor_pairs),
    }


# recorded value: (column title, digits after the point)
COLUMNS = {
    "tar_1e-2": ("TAR at FAR 0.01 ↑", 3),
    "tar_1e-3": ("0.001 ↑", 3),
    "tar_1e-4": ("0.0001 ↑", 3),
    "eer": ("EER ↓", 4),
    "rank_1": ("rank 1 ↑", 3),
    "fold_accuracy": ("ten folds ↑", 4),
}


def open_set_table(rows):
    """Show what `open_set_scores` gave, or records of it over several seeds, side by side.

    Args:
        rows: a dictionary, name → such a dictionary ("this run") or a `lib.records.results.Record`.
    """
    lines = []
    for title, row in rows.items():
        fresh = isinstance(row, dict)
        cells = []
        for name, (_, digits) in COLUMNS.items():
            value = row[name] if fresh else row.mean(name)
            spread = "" if fresh else f" ± {row.spread(name):.{digits}f}"
            cells.append(f"{value:.{digits}f}{spread}")
        source = "this run" if fresh else f"recorded, {len(row.rows)} seeds"
        lines.append([title, source, *cells])
    header = ["model", "source", *(title for title, _ in COLUMNS.values())]
    caption = "On identities never seen. ↑ more is better, ↓ less is better; ± standard deviation."
    return evaluation.Table(header, lines, caption)
