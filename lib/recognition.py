"""From embeddings to an answer: templates, the closest people, a threshold, and "nobody".

    found = closest(*templates(enrolled, names), visitors)
    limit = threshold_for(0.01, validation, labels, size=100)
    decide(found, limit.value)  # for each visitor a name or None

`lib.gallery` keeps the enrolled in a file and searches by the same functions. All of it works on
NumPy arrays. What the answers are worth, `verification.search_scores` counts.
"""

import bisect
from dataclasses import dataclass

import numpy as np

from . import inputs, verification

AT_ONCE = 2**24  # cosines in memory at a time


# --- search ---------------------------------------------------------------------------------------


def templates(embeddings, labels, weighted=False):
    """One direction for each identity, from all its pictures.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        weighted: False for the mean of the directions; True for the mean of the embeddings as they
            are, in which long ones count more.

    Returns:
        The identities (G,), sorted, and unit rows (G, D), float64.

    Raises:
        ValueError: if an embedding is zero or not finite, or those of an identity cancel out.
    """
    unit = inputs.unit_rows(embeddings)
    labels = inputs.identities(labels, len(unit))
    rows = inputs.read(embeddings).astype("float64") if weighted else unit
    order = np.argsort(labels, kind="stable")
    who, starts = np.unique(labels[order], return_index=True)
    sums = np.add.reduceat(rows[order], starts)
    lengths = np.linalg.norm(sums, axis=1)
    lost = lengths < 1e-6 * np.add.reduceat(np.linalg.norm(rows[order], axis=1), starts)
    if lost.any():
        raise ValueError(
            f"embeddings: those of {inputs.some(who[lost])} cancel out, so their mean has no "
            "direction; they are hardly of one person."
        )
    return who, sums / lengths[:, None]


@dataclass(frozen=True, eq=False)
class Matches:
    """What a search found, for each of V visitors the closest first.

    names: (V, k). scores: (V, k) cosines, float64. lengths: (V,) of the visitors' embeddings.
    tied: (V,) bool, whether two people are equally close, and closest of all.
    """

    names: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    tied: np.ndarray


def closest(names, gallery, embeddings, k=1):
    """The k people closest to each visitor, compared with everybody: `Matches`.

    Args:
        names: (G,) of the enrolled.
        gallery: (G, D) their templates; names and these are what `templates` returns.
        embeddings: (V, D) of visitors.
        k: how many people; where fewer are enrolled, all of them.
    """
    gallery, unit = inputs.unit_rows(gallery, "gallery"), inputs.unit_rows(embeddings)
    inputs.same_dimensions(gallery, unit, ("gallery", "embeddings"))
    embeddings = inputs.read(embeddings)
    names = inputs.identities(names, len(gallery), "names")
    k = inputs.whole_number(k, "k")
    lengths = np.linalg.norm(embeddings.astype("float64"), axis=1)
    step = max(1, AT_ONCE // len(names))
    starts = range(0, len(embeddings), step)
    parts = [_best(verification.cosines(embeddings[i : i + step], gallery), k) for i in starts]
    places, scores, tied = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Matches(names[places], scores, lengths, tied)


def no_matches(embeddings):
    """What a search finds for these visitors where nobody is enrolled."""
    visitors = len(inputs.unit_rows(embeddings))
    nothing = np.zeros((visitors, 0))
    return Matches(nothing.astype(str), nothing, nothing.sum(axis=1), np.zeros(visitors, bool))


def _best(cosines, k):
    """Places and values of the k highest of each row, and whether the highest is there twice."""
    count = cosines.shape[1]
    places = np.argpartition(-cosines, min(max(k, 2), count) - 1)[:, : max(k, 2)]
    scores = np.take_along_axis(cosines, places, axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")
    places, scores = (np.take_along_axis(x, order, axis=1) for x in (places, scores))
    tied = (scores == scores[:, :1]).sum(axis=1) > 1
    return places[:, :k], scores[:, :k], tied


# --- the decision ---------------------------------------------------------------------------------


def decide(matches, threshold, min_length=0.0):
    """Who each visitor is: a list of names, with None for "nobody".

    Nobody is who scores below the threshold, who is as close to two people, and whose embedding is
    shorter than `min_length`.

    Args:
        matches: what `closest` or `Gallery.search` returned.
        threshold: of the cosine, such as `threshold_for(…).value`.
        min_length: of the embedding before it is divided by its length. Whether length tells a
            good picture from a bad one depends on the loss: measure it.
    """
    inputs.instance(matches, Matches, "matches", "closest() or Gallery.search() returns them")
    threshold = inputs.number_from(threshold, "threshold", -2, 2)
    min_length = inputs.number_from(min_length, "min_length", 0, np.inf)
    known = (matches.scores[:, :1] >= threshold).any(axis=1)
    known &= ~matches.tied & (matches.lengths >= min_length)
    return [
        row[0] if sure else None for row, sure in zip(matches.names.tolist(), known, strict=True)
    ]


def fpir_at(cosines, sizes, threshold):
    """FPIR of smaller galleries: how often a stranger is given a name by one of a given size.

    The mean over all galleries of that size that can be made of the people at hand. It is computed,
    not drawn: of a stranger who is close to m of G people, a gallery of n meets none with the
    probability C(G − m, n) / C(G, n). That differs from 1 − (1 − FMR)^n, which takes all strangers
    to be alike: some resemble many, and most nobody.

    Args:
        cosines: (V, G) of strangers with everybody who may be enrolled.
        sizes: (S,) how many of the G are.
        threshold: of the cosine.

    Returns:
        (S,) float64.
    """
    cosines = inputs.array(cosines, "cosines", ("strangers", "people"))
    people = cosines.shape[1]
    sizes = inputs.whole_numbers(sizes, "sizes", ("sizes",), 1, people)
    threshold = inputs.number_from(threshold, "threshold", -2, 2)
    close = np.count_nonzero(cosines >= threshold, axis=1)
    return np.array([_met(people, size)[close].mean() for size in sizes])


def _met(people, size):
    """The chance that a gallery of `size` out of `people` has one of m: an array over m."""
    log = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, people + 1)))])  # log k!
    others = people - np.arange(people - size + 1)  # at least `size`, else one is met for sure
    none = np.exp(log[others] - log[others - size] - (log[people] - log[people - size]))
    return np.concatenate([1 - none, np.ones(size)])


@dataclass(frozen=True)
class Threshold:
    """The cosine from which a visitor is given a name; `low` to `high` is its interval."""

    value: float
    low: float
    high: float


def threshold_for(
    fpir,
    embeddings,
    labels,
    size,
    pictures=1,
    weighted=False,
    min_length=0.0,
    resamples=200,
    level=0.95,
    seed=0,
):
    """The lowest threshold at which a gallery of `size` people gives few strangers a name.

    Everybody is enrolled by the first `pictures` images and comes to the door with the others, as a
    stranger to all galleries of `size` other people (`fpir_at`). For the interval the threshold is
    found on random halves of the people: without replacement nobody meets a copy of himself, and
    halves spread as far as samples of all would, or farther where a few pairs decide.

    Args:
        fpir: the share of strangers who may be given a name, above 0 and below 1.
        embeddings: (N, D) of people whom nobody trained on and nobody will enrol.
        labels: (N,) identities, more than `pictures` images of each.
        size: how many people the gallery is going to have.
        pictures, weighted: how a template is made of images, see `templates`.
        min_length: as for `decide`.
        resamples, level, seed: as for `verification.bootstrap`.

    Returns:
        `Threshold`.

    Raises:
        ValueError: if there are too few people or images for that `fpir` or `size`.
    """
    fpir = inputs.number_between(fpir, "fpir", 0, 1)
    pictures = inputs.whole_number(pictures, "pictures")
    min_length = inputs.number_from(min_length, "min_length", 0, np.inf)
    resamples = inputs.whole_number(resamples, "resamples", 1, 100_000)
    inputs.number_between(level, "level", 0, 1)
    rng = np.random.default_rng(inputs.whole_number(seed, "seed", 0))
    unit, embeddings = inputs.unit_rows(embeddings), inputs.read(embeddings).astype("float64")
    labels = inputs.identities(labels, len(unit))
    order = np.argsort(labels, kind="stable")
    starts = np.unique(labels[order], return_index=True)[1]
    place = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
    enrolled, visits = order[place < pictures], order[place >= pictures]
    people, gallery = templates(embeddings[enrolled], labels[enrolled], weighted)
    own = np.searchsorted(people, labels[visits])
    _check_counts(fpir, size, pictures, len(people), own)

    scores = verification.cosines(embeddings[visits], gallery)
    candidates = np.append(np.unique(scores), np.inf)
    scores[np.arange(len(own)), own] = -2  # nobody is a stranger to himself
    scores[np.linalg.norm(embeddings[visits], axis=1) < min_length] = -2
    highest = np.argsort(-scores, axis=None)[: np.count_nonzero(scores > -2)]
    visitor, person = np.divmod(highest, len(people))

    def lowest(drawn):
        """The threshold by those people alone who are drawn."""
        met, share = _met(np.count_nonzero(drawn) - 1, size), 1 / np.count_nonzero(drawn[own])

        def too_often(count):
            """Whether the `count` highest scores, if accepted, exceed `fpir`."""
            who, whom = visitor[:count], person[:count]
            close = np.bincount(who[drawn[whom] & drawn[own[who]]])
            return met[close].sum() * share > fpir * (1 + 1e-9)  # rounding is no excess

        count = 1
        while count < len(highest) and not too_often(count):
            count *= 2
        count = bisect.bisect_left(range(min(count, len(highest)) + 1), True, key=too_often)
        if count > len(highest):
            return candidates[0]
        refused = scores.flat[highest[count - 1]]  # and what ties with it
        return candidates[np.searchsorted(candidates, refused, side="right")]

    everybody = np.arange(len(people))
    found = [
        lowest(np.isin(everybody, rng.permutation(everybody)[: len(people) // 2]))
        for _ in range(resamples)
    ]
    tails = (1 - level) / 2, (1 + level) / 2
    value, (low, high) = lowest(everybody >= 0), np.quantile(found, tails)
    return Threshold(float(value), float(low), float(high))


def _check_counts(fpir, size, pictures, people, own):
    """There have to be enough people, and visits, for what `threshold_for` is asked."""
    inputs.whole_number(size, "size")
    visits = np.bincount(own, minlength=people)
    if not visits.all():
        raise ValueError(
            f"labels: {np.count_nonzero(visits == 0):,} of {people:,} people have no image left "
            f"after the first {pictures}, pictures={pictures}; leave them out."
        )
    if size > people // 2 - 1:
        raise ValueError(
            f"size, labels: for a gallery of {size:,}, {2 * size + 2:,} people are needed (half of "
            f"them for an interval), and there are {people:,}."
        )
    least = verification.MIN_ACCEPTED_IMPOSTORS / len(own)
    if fpir < least:
        raise ValueError(
            f"fpir: {fpir:g} cannot be measured on {len(own):,} visits, of which it names fewer "
            f"than ten; ask for {least:.2g} or more, or bring more people."
        )


# --- another network ------------------------------------------------------------------------------


def linear_map(old, new, rotation=False):
    """The matrix that takes a network's embeddings closest to another's, by least squares.

    Fitted on directions, since only these are compared. `old @ linear_map(old, new)` is what
    `Gallery.convert` does to the enrolled.

    Args:
        old, new: (N, D) and (N, D') embeddings of the same pictures by the two networks; nobody
            has to be enrolled, and N has to be well above D.
        rotation: only turn and mirror, so that all angles stay (orthogonal Procrustes); D' = D.

    Returns:
        (D, D') float64.
    """
    old, new = inputs.unit_rows(old, "old"), inputs.unit_rows(new, "new")
    if len(old) != len(new) or len(old) < old.shape[1]:
        raise ValueError(
            f"old, new: {len(old):,} and {len(new):,} rows; both of the same pictures, and at "
            f"least {old.shape[1]:,} of them, one for each dimension."
        )
    if not rotation:
        return np.linalg.lstsq(old, new, rcond=None)[0]
    inputs.same_dimensions(old, new, ("old", "new"))
    left, _, right = np.linalg.svd(old.T @ new)
    return left @ right
