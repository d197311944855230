"""How good are these embeddings? The scoreboard that every lesson shows, and verification.

Everything here works on plain NumPy arrays; only `embed` and `evaluate_model` take a model.
Directions are compared, not lengths: an embedding is first divided by its norm, and angles are
computed in float64 by a formula that keeps its digits near 0 and π (see `angles_to_centres`).
"""

import html
from dataclasses import dataclass, fields

import keras
import numpy as np
from sklearn.metrics import roc_curve

# A FAR is measured only where at least this many impostor pairs are accepted at it.
MIN_ACCEPTED_IMPOSTORS = 10


# --- embeddings and angles ------------------------------------------------------------------------


def embed(backbone, images, batch_size=500):
    """Embeddings of images as a float32 array (N, D).

    Args:
        backbone: the model from images to embeddings; in `Sequential([backbone, head])` it is
            `model.layers[0]`.
        images: (N, 28, 28, 1).
        batch_size: how many images go through the network at a time.
    """
    return _forward(backbone, images, batch_size)


def _forward(model, images, batch_size=500):
    """A model's outputs in inference mode, float32.

    Called directly: `predict` would first trace a graph, longer than 1,000 digits take here.
    """
    parts = [
        keras.ops.convert_to_numpy(model(images[start : start + batch_size], training=False))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts).astype("float32")


def class_centres(embeddings, labels, num_classes=None):
    """The mean direction of each class: unit vectors, float64, (C, D).

    A centre is the normalised mean of the *normalised* embeddings. Verification and the angles of
    the margin losses see directions only; in a mean of raw embeddings the long ones would decide.

    Args:
        embeddings: (N, D).
        labels: (N,) class numbers from 0 to C − 1.
        num_classes: C; by default the largest label plus 1.

    Raises:
        ValueError: if an embedding is zero or not finite, a class has no embedding, or the
            embeddings of a class cancel out.
    """
    unit = _unit_rows(embeddings)
    num_classes = int(np.max(labels)) + 1 if num_classes is None else num_classes
    labels = _class_numbers(labels, len(unit), num_classes)
    absent = np.setdiff1d(np.arange(num_classes), labels)
    if len(absent):
        raise ValueError(
            f"no embedding of class {_list(absent)}, so it has no centre: pass some of every class."
        )
    means = np.stack([unit[labels == c].mean(axis=0) for c in range(num_classes)])
    lengths = np.linalg.norm(means, axis=1)
    if lengths.min() < 1e-9:
        raise ValueError(
            f"the directions of class {_list(np.flatnonzero(lengths < 1e-9))} cancel out, so their "
            "mean has no direction: the embedding does not separate anything yet."
        )
    return means / lengths[:, None]


def angles_to_centres(embeddings, centres):
    """The angle between every embedding and every centre, in radians, float64, (N, C).

    For unit vectors u and v it is 2·arctan2(‖u − v‖, ‖u + v‖), which keeps its digits at all
    angles; arccos(u·v) loses them near 0 and π and is NaN where rounding takes u·v above 1.

    Args:
        embeddings: (N, D), of any length but zero.
        centres: (C, D), likewise.
    """
    unit, centres = _unit_rows(embeddings), _unit_rows(centres, "centres")
    columns = [
        2 * np.arctan2(np.linalg.norm(unit - c, axis=1), np.linalg.norm(unit + c, axis=1))
        for c in centres
    ]
    return np.stack(columns, axis=1)


# --- the scoreboard -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scoreboard:
    """The five values by which every lesson compares its models, all on the held-out images.

    head_accuracy: share of images whose largest logit is that of their class.
    centre_accuracy: share of images whose nearest class centre is their own; the centres come from
        the training originals.
    own_angle: mean angle between an image's embedding and its class's centre, degrees.
    nearest_angle: mean over classes of the angle from a class's centre to the nearest other
        centre, degrees.
    eer: equal error rate of verification over all pairs of held-out images, by cosine.
    """

    head_accuracy: float
    centre_accuracy: float
    own_angle: float
    nearest_angle: float
    eer: float

    def _repr_html_(self):
        return scoreboard_table({"this model": self})._repr_html_()


def scoreboard(logits, embeddings, labels, centre_embeddings, centre_labels):
    """Compute a `Scoreboard` from arrays.

    Args:
        logits: (N, C) outputs of the head for the held-out images, without a margin.
        embeddings: (N, D) of the same images.
        labels: (N,) their class numbers.
        centre_embeddings: (M, D) of the training images that define the class centres.
        centre_labels: (M,) their class numbers.

    Raises:
        ValueError: if shapes do not fit, a value is not finite or an embedding is zero.
    """
    logits = np.asarray(logits)
    if logits.ndim != 2 or len(logits) != len(embeddings):
        raise ValueError(
            f"logits have shape {logits.shape}, expected ({len(embeddings)}, classes): one row "
            "for each embedding."
        )
    _check_finite(logits, "logits")
    num_classes = logits.shape[1]
    labels = _class_numbers(labels, len(embeddings), num_classes)
    centres = class_centres(centre_embeddings, centre_labels, num_classes)
    angles = angles_to_centres(embeddings, centres)
    between = angles_to_centres(centres, centres)
    np.fill_diagonal(between, np.inf)
    return Scoreboard(
        head_accuracy=float(np.mean(logits.argmax(axis=1) == labels)),
        centre_accuracy=float(np.mean(angles.argmin(axis=1) == labels)),
        own_angle=float(np.degrees(angles[np.arange(len(labels)), labels]).mean()),
        nearest_angle=float(np.degrees(between.min(axis=1)).mean()),
        eer=equal_error_rate(*pair_scores(embeddings, labels)),
    )


def backbone_of(model):
    """The part of a model that makes embeddings: its attribute `backbone`, else its first layer."""
    return getattr(model, "backbone", None) or model.layers[0]


def evaluate_model(model, digits):
    """The `Scoreboard` of a model on `digits` (from `lib.data.load_digits`).

    Args:
        model: `keras.Sequential([backbone, head])`, or a model with an attribute `backbone`.
        digits: held-out images give the scores, training originals the class centres.
    """
    backbone = backbone_of(model)
    return scoreboard(
        logits=_forward(model, digits.x_test),
        embeddings=embed(backbone, digits.x_test),
        labels=digits.y_test,
        centre_embeddings=embed(backbone, digits.x_clean),
        centre_labels=digits.y_clean,
    )


# --- verification ---------------------------------------------------------------------------------


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
    """What `verification` measured: EER, one `OperatingPoint` for each FAR, and pair counts."""

    eer: float
    points: tuple
    genuine_pairs: int
    impostor_pairs: int

    def tar_at(self, far):
        """TAR at one of the FARs that were asked for."""
        for point in self.points:
            if point.far == far:
                return point.tar
        known = ", ".join(f"{point.far:g}" for point in self.points)
        raise KeyError(f"no operating point at FAR {far:g}; there are: {known}")

    def _repr_html_(self):
        return verification_table({"this model": self})._repr_html_()


def pair_scores(embeddings, labels):
    """Cosines of all pairs of different images, and which pairs are genuine.

    Args:
        embeddings: (N, D).
        labels: (N,) identities, any integers.

    Returns:
        scores: (N·(N − 1)/2,) float32, pair (i, j) with i < j, ordered by i, then j.
        genuine: the same shape, bool: True where both images show one identity.

    10,000 images make 50 million pairs and need 1.3 GB for a moment.
    """
    unit = _unit_rows(embeddings)
    labels = _identities(labels, len(unit))
    upper = np.triu(np.ones((len(unit), len(unit)), dtype=bool), k=1)
    scores = (unit @ unit.T)[upper].astype("float32")  # never above 1: the rounding sees to it
    return scores, (labels[:, None] == labels)[upper]


def equal_error_rate(scores, genuine):
    """The error rate at the threshold where FAR = 1 − TAR.

    Where the two rates step past each other, the straight line between the two neighbouring points
    of the ROC curve is used; so scores that are all equal give 0.5.

    Args:
        scores: (P,), larger for pairs more alike.
        genuine: (P,) bool.

    Raises:
        ValueError: if there is no genuine or no impostor pair, or a score is not finite.
    """
    far, tar, _ = _roc(scores, genuine)
    return _eer_of_curve(far, tar)


def verification(scores, genuine, fars=(1e-2, 1e-3, 1e-4)):
    """EER and TAR at given FARs, as `Verification`.

    The thresholds are chosen on these very pairs, so TAR is what the scores allow, not what a
    system set up on other pairs would reach: for that give the threshold to `accept_rate_at`.

    Args:
        scores: (P,) from `pair_scores`.
        genuine: (P,) bool.
        fars: the false accept rates wanted, each above 0 and at most 1.

    Raises:
        ValueError: also if a FAR is so low that fewer than ten impostor pairs would be accepted
            at it: a rate measured on so few pairs says nothing.
    """
    far, tar, thresholds = _roc(scores, genuine)
    genuine_pairs = int(np.count_nonzero(genuine))
    impostor_pairs = len(genuine) - genuine_pairs
    _check_fars(fars, impostor_pairs)
    points = []
    for wanted in fars:
        last = np.searchsorted(far, wanted, side="right") - 1
        points.append(
            OperatingPoint(wanted, float(thresholds[last]), float(far[last]), float(tar[last]))
        )
    return Verification(_eer_of_curve(far, tar), tuple(points), genuine_pairs, impostor_pairs)


def accept_rate_at(threshold, scores, genuine):
    """TAR and FAR at a threshold that was chosen on other pairs: (tar, far).

    A pair is accepted if its score is at least the threshold.
    """
    scores, genuine = _checked_pairs(scores, genuine)
    accepted = scores >= threshold
    return float(accepted[genuine].mean()), float(accepted[~genuine].mean())


def bootstrap_interval(
    embeddings, labels, fars=(1e-2, 1e-3), resamples=200, level=0.95, seed=0, thresholds=400
):
    """How far EER and TAR would move with other identities: percentile bootstrap intervals.

    Pairs are not independent, identities are: so identities are drawn with replacement. One that
    is drawn w times counts w times with its own genuine pairs, and w·v times in the impostor pairs
    with one drawn v times. Its own copies are not compared: that would be images with themselves.

    To stay fast with millions of pairs the ROC curve of each resample is computed at about
    `thresholds` places and read off by straight lines between them. Below about ten identities
    the interval means little.

    Args:
        embeddings: (N, D).
        labels: (N,) identities.
        fars: the false accept rates at which TAR is wanted.
        resamples: how many times the identities are drawn.
        level: the share of resamples inside the interval.
        seed: of the draws.
        thresholds: how many points of the ROC curve are computed.

    Returns:
        A dictionary: "eer" and each FAR → (low, high).
    """
    scores, genuine = pair_scores(embeddings, labels)
    scores, genuine = _checked_pairs(scores, genuine)
    _check_fars(fars, np.count_nonzero(~genuine))
    identities, who = np.unique(labels, return_inverse=True)
    count = len(identities)
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples)
    far, tar = _resampled_curves(scores, genuine, who, draws.astype(float), thresholds)

    values = {"eer": [_eer_of_curve(f, t) for f, t in zip(far, tar, strict=True)]}
    for wanted in fars:
        values[wanted] = [np.interp(wanted, f, t) for f, t in zip(far, tar, strict=True)]
    tails = (1 - level) / 2, (1 + level) / 2
    return {name: tuple(map(float, np.quantile(v, tails))) for name, v in values.items()}


def _resampled_curves(scores, genuine, who, draws, thresholds):
    """FAR and TAR of each resample, each (resamples, points), from 0 to 1 along the points."""
    grid = _threshold_grid(scores, genuine, thresholds)
    count = draws.shape[1]
    first, second = np.triu_indices(len(who), k=1)
    pair = who[first] * count + who[second]
    # sort the pairs into the steps between neighbouring thresholds, the strictest first
    step = len(grid) - np.searchsorted(grid, scores, side="right")
    step = step.astype(np.min_scalar_type(len(grid)))  # NumPy sorts small integers much faster
    order = np.argsort(step, kind="stable")
    ends = np.cumsum(np.bincount(step, minlength=len(grid)))

    accepted = np.zeros(count * count)
    far, tar = [np.zeros(len(draws))], [np.zeros(len(draws))]
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        accepted += np.bincount(pair[order[start:end]], minlength=count * count)
        table = accepted.reshape(count, count)
        own = np.diag(table)
        far.append(np.sum(draws @ (table - np.diag(own)) * draws, axis=1))
        tar.append(draws @ own)
    # a resample may hold no genuine or no impostor pair at all: it says nothing
    defined = (far[-1] > 0) & (tar[-1] > 0)
    far, tar = np.stack(far, axis=1)[defined], np.stack(tar, axis=1)[defined]
    return far / far[:, -1:], tar / tar[:, -1:]


def _threshold_grid(scores, genuine, thresholds):
    """Ascending thresholds: from the lowest score on, dense where FAR is low."""
    impostor, own = np.sort(scores[~genuine])[::-1], np.sort(scores[genuine])
    ranks = np.geomspace(1, len(impostor), thresholds).round().astype(int) - 1
    places = np.linspace(0, len(own) - 1, thresholds // 2).round().astype(int)
    return np.unique(np.concatenate([impostor[ranks], own[places]]))


def _roc(scores, genuine):
    scores, genuine = _checked_pairs(scores, genuine)
    # keep every point: the ones dropped by default can lie at a FAR that is asked for
    return roc_curve(genuine, scores, drop_intermediate=False)


def _eer_of_curve(far, tar):
    gap = far + tar - 1  # rises from −1 to 1 along the curve
    after = int(np.argmax(gap >= 0))
    before = after - 1
    share = -gap[before] / (gap[after] - gap[before])
    return float(far[before] + share * (far[after] - far[before]))


# --- distances ------------------------------------------------------------------------------------


def distance_scores(embeddings, labels, centre_embeddings, centre_labels):
    """The scoreboard's questions asked with straight distances, where lengths count.

    A class's centre is here the plain mean of its raw embeddings, not a direction.

    Args:
        embeddings: (N, D) of the held-out images.
        labels: (N,) their class numbers.
        centre_embeddings: (M, D) of the training images that define the centres.
        centre_labels: (M,) their class numbers.

    Returns:
        A dictionary of floats: `own_distance`, the mean distance of an image to its class's
        centre; `nearest_distance`, the mean over classes of the distance from a centre to the
        nearest other one; `distance_ratio`, the first divided by the second; `distance_accuracy`,
        the share of images nearest to their own centre; `distance_eer` of verification over all
        pairs by distance; `shortest_centre`, the length of the shortest centre divided by the mean
        length of all.
    """
    _check_finite(embeddings, "embeddings")
    classes, labels = np.unique(labels, return_inverse=True)
    centres = np.stack([centre_embeddings[centre_labels == c].mean(axis=0) for c in classes])
    to_centres = np.linalg.norm(embeddings[:, None] - centres, axis=2)
    between = np.linalg.norm(centres[:, None] - centres, axis=2)
    np.fill_diagonal(between, np.inf)
    # image by image: all differences at once are 24 GB for 10,000 images in 64 dimensions
    others = range(1, len(embeddings))
    distances = [np.linalg.norm(embeddings[i:] - embeddings[i - 1], axis=1) for i in others]
    genuine = np.concatenate([labels[i:] == labels[i - 1] for i in others])
    own, nearest = to_centres[np.arange(len(labels)), labels].mean(), between.min(axis=1).mean()
    lengths = np.linalg.norm(centres, axis=1)
    return {
        "own_distance": float(own),
        "nearest_distance": float(nearest),
        "distance_ratio": float(own / nearest),
        "distance_accuracy": float(np.mean(to_centres.argmin(axis=1) == labels)),
        "distance_eer": equal_error_rate(-np.concatenate(distances), genuine),
        "shortest_centre": float(lengths.min() / lengths.mean()),
    }


# --- tables ---------------------------------------------------------------------------------------


class Table:
    """A small table: HTML in a notebook, Markdown where that is asked for, plain text in print.

    Args:
        header: the column titles.
        rows: lists of strings, the row's name first.
        caption: one line under the table.
    """

    def __init__(self, header, rows, caption):
        self.header, self.rows, self.caption = header, rows, caption

    def __repr__(self):
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in [self.header, *self.rows]
        ]
        return "\n".join([*lines, self.caption])

    def _repr_markdown_(self):
        rule = [":--"] + ["--:"] * (len(self.header) - 1)
        rows = [self.header, rule, *self.rows]
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows]
        return "\n".join([*lines, "", self.caption])

    def _repr_html_(self):
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "".join(
            f'<tr><th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        return (
            f"<table><caption>{html.escape(self.caption)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


# field of Scoreboard: (column title, digits after the point)
SCOREBOARD_COLUMNS = {
    "head_accuracy": ("accuracy, head ↑", 3),
    "centre_accuracy": ("accuracy, nearest centre ↑", 3),
    "own_angle": ("angle to own centre ↓", 1),
    "nearest_angle": ("centre to nearest other ↑", 1),
    "eer": ("EER ↓", 3),
}


def scoreboard_table(rows):
    """Show scoreboards side by side; displays as a table in a notebook, prints as text.

    Args:
        rows: a dictionary, name → `Scoreboard` (shown as "this run") or a record of several seeds
            as `lib.records.results.recorded` gives it, shown as `mean(field)` ± `spread(field)`.
    """
    if not rows:
        raise ValueError("no scoreboard to show: pass a dictionary such as {'softmax': board}.")
    names = [field.name for field in fields(Scoreboard)]
    lines = []
    for title, row in rows.items():
        source = "this run" if isinstance(row, Scoreboard) else f"recorded, {len(row.rows)} seeds"
        lines.append([title, source, *(_scoreboard_cell(row, name) for name in names)])
    header = ["model", "source", *(SCOREBOARD_COLUMNS[name][0] for name in names)]
    caption = "On the held-out images. ↑ more is better, ↓ less is better; ± standard deviation."
    return Table(header, lines, caption)


def verification_table(rows, intervals=None):
    """Show verification results side by side.

    Args:
        rows: a dictionary, name → `Verification`, all at the same FARs.
        intervals: a dictionary, name → what `bootstrap_interval` returned; shown in brackets.
    """
    if not rows:
        raise ValueError("no result to show: pass a dictionary such as {'softmax': result}.")
    intervals = intervals or {}
    results = list(rows.values())
    fars = [point.far for point in results[0].points]
    if any([point.far for point in result.points] != fars for result in results):
        raise ValueError("the results are at different FARs: measure them all at the same ones.")
    lines = []
    for title, result in rows.items():
        shown = [("eer", result.eer)] + [(point.far, point.tar) for point in result.points]
        known = intervals.get(title, {})
        cells = [f"{value:.3f}{_bracket(known.get(key))}" for key, value in shown]
        lines.append([title, *cells, f"{result.genuine_pairs:,}", f"{result.impostor_pairs:,}"])
    header = ["model", "EER ↓", *(f"TAR at FAR {far:g} ↑" for far in fars)]
    caption = "↑ more is better, ↓ less is better" + ("; [95 % interval]." if intervals else ".")
    return Table([*header, "genuine pairs", "impostor pairs"], lines, caption)


def _scoreboard_cell(row, name):
    digits = SCOREBOARD_COLUMNS[name][1]
    unit = "°" if name.endswith("angle") else ""
    if isinstance(row, Scoreboard):
        return f"{getattr(row, name):.{digits}f}{unit}"
    return f"{row.mean(name):.{digits}f} ± {row.spread(name):.{digits}f}{unit}"


def _bracket(interval):
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


# --- checks ---------------------------------------------------------------------------------------


def _unit_rows(vectors, what="embeddings"):
    """Rows divided by their norms, float64; zero and non-finite rows are named as such."""
    vectors = np.asarray(vectors, dtype="float64")
    if vectors.ndim != 2 or len(vectors) == 0:
        raise ValueError(f"{what} have shape {vectors.shape}, expected (rows, dimensions).")
    _check_finite(vectors, what)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    zero = int(np.count_nonzero(norms == 0))
    if zero:
        raise ValueError(
            f"{zero} of {len(vectors)} {what} are zero and have no direction: the network is dead "
            "there (a ReLU as last layer?) or the rows were never filled."
        )
    return vectors / norms


def _check_finite(values, what):
    bad = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
    if bad:
        raise ValueError(
            f"{bad} of {len(values)} {what} are not finite (NaN or infinite): the training "
            "diverged; lower the learning rate, and look for a sqrt, log or arccos at its edge."
        )


def _identities(labels, rows):
    labels = np.asarray(labels)
    if labels.shape != (rows,):
        raise ValueError(
            f"labels have shape {labels.shape}, expected ({rows},): one for each embedding; "
            "use labels.reshape(-1) if they are a column."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype}, expected integers, not one-hot or floats.")
    return labels


def _class_numbers(labels, rows, num_classes):
    labels = _identities(labels, rows)
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}."
        )
    return labels


def _checked_pairs(scores, genuine):
    scores, genuine = np.asarray(scores), np.asarray(genuine)
    if scores.ndim != 1 or scores.shape != genuine.shape:
        raise ValueError(
            f"scores have shape {scores.shape} and genuine {genuine.shape}: expected one value "
            "each for every pair."
        )
    if genuine.dtype != bool:
        raise ValueError(f"genuine is {genuine.dtype}, expected bool: True for a genuine pair.")
    bad = int(np.count_nonzero(~np.isfinite(scores)))
    if bad:
        raise ValueError(f"{bad} of {len(scores)} scores are not finite (NaN or infinite).")
    if not genuine.any():
        raise ValueError("no genuine pair: at least one identity needs two images.")
    if genuine.all():
        raise ValueError("no impostor pair: at least two identities are needed.")
    return scores, genuine


def _check_fars(fars, impostor_pairs):
    for far in fars:
        if not 0 < far <= 1:
            raise ValueError(f"a FAR is a rate above 0 and at most 1, got {far}.")
        if far * impostor_pairs < MIN_ACCEPTED_IMPOSTORS:
            lowest = MIN_ACCEPTED_IMPOSTORS / impostor_pairs
            raise ValueError(
                f"FAR {far:g} cannot be measured on {impostor_pairs:,} impostor pairs: fewer than "
                f"{MIN_ACCEPTED_IMPOSTORS} would be accepted. Ask for {lowest:.2g} or more, or "
                "bring more images."
            )


def _list(numbers):
    return ", ".join(str(number) for number in numbers)
