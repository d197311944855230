"""How good are these embeddings? The scoreboards that lessons show and records keep.

Directions are compared, not lengths: an embedding is first divided by its norm, and angles are
computed in float64 by a formula that keeps its digits near 0 and π (see `angles_to_centres`).
What is said of pairs is counted in `lib.verification`.
"""

import html
import math
from dataclasses import dataclass

import keras
import numpy as np

from . import inputs, verification
from .layers import CosineHead, ModifiedSoftmaxHead, SubCenterHead

HEADS = CosineHead, ModifiedSoftmaxHead, SubCenterHead


# --- embeddings and angles ------------------------------------------------------------------------


def embed(backbone, images, batch_size=500):
    """What a model makes of images, in inference mode, as a float32 array (N, D).

    Args:
        backbone: the model from images to embeddings, such as `backbone_of(model)`.
        images: (N, 28, 28, 1).
        batch_size: how many images go through the network at a time.
    """
    inputs.function(backbone, "backbone", "model.layers[0]")
    batch_size = inputs.whole_number(batch_size, "batch_size")
    shape = getattr(backbone, "input_shape", None)
    known = isinstance(shape, tuple) and all(isinstance(size, int) for size in shape[1:])
    inputs.array(images, "images", ("images", *(shape if known else inputs.read(images).shape)[1:]))
    # called directly: `predict` would first trace a graph, longer than 1,000 digits take here
    parts = [
        keras.ops.convert_to_numpy(backbone(images[start : start + batch_size], training=False))
        for start in range(0, len(images), batch_size)
    ]
    return np.concatenate(parts).astype("float32")


def backbone_of(model):
    """The part of a model that makes embeddings: all that comes before its head.

    Args:
        model: one with an attribute `backbone`; or a Sequential or functional model that ends in
            a head: the last layer of `lib.layers`, or else the last Dense.

    Raises:
        TypeError: for what is no model.
        ValueError: if there is no head, or the model has not been built yet.
    """
    if getattr(model, "backbone", None) is not None:
        return model.backbone
    inputs.instance(model, keras.Model, "model", "pass the whole model, head and all")
    head = _head_of(model)
    if isinstance(model, keras.Sequential) and head is model.layers[1]:
        return model.layers[0]
    try:
        first, *more = model.inputs
        return keras.Model([first, *more] if more else first, head.input)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"model: it is not known what the head of {model.name} is given; call a Sequential on "
            "an image first, and in a subclass of keras.Model set self.backbone."
        ) from error


def _head_of(model):
    """The layer whose input is the embedding; only layers without weights may follow it."""
    heads = [layer for layer in model.layers if isinstance(layer, HEADS)]
    heads = heads or [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    after = model.layers[model.layers.index(heads[-1]) + 1 :] if heads else []
    several = isinstance(getattr(model, "output", None), list | tuple | dict)
    if several or not heads or heads[-1] is model.layers[0] or any(x.weights for x in after):
        raise ValueError(
            f"model: {model.name} does not end in a head behind a backbone, so it is not known "
            "which layer gives the embedding; end it in a CosineHead or a Dense, one output a "
            "class, or set model.backbone."
        )
    return heads[-1]


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
    return _centres(embeddings, labels, num_classes)


def _centres(embeddings, labels, num_classes, names=("embeddings", "labels")):
    unit = inputs.unit_rows(embeddings, names[0])
    labels = inputs.class_numbers(labels, len(unit), name=names[1])
    least = int(labels.max()) + 1
    num_classes = least if num_classes is None else num_classes
    num_classes = inputs.whole_number(num_classes, "num_classes", least)
    present = np.unique(labels)
    # among the first numbers, since labels may be huge
    absent = np.setdiff1d(np.arange(min(num_classes, len(present) + 5)), present)
    if len(absent):
        raise ValueError(
            f"{names[1]}: no embedding of class {inputs.some(absent)}, so it has no centre; pass "
            f"some of every class (num_classes is {num_classes:,})."
        )
    means = np.stack([unit[labels == c].mean(axis=0) for c in range(num_classes)])
    lengths = np.linalg.norm(means, axis=1)
    if lengths.min() < 1e-9:
        raise ValueError(
            f"{names[0]}: those of class {inputs.some(np.flatnonzero(lengths < 1e-9))} cancel out, "
            "so their mean has no direction; the network does not separate anything yet."
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
    unit, centres = inputs.unit_rows(embeddings), inputs.unit_rows(centres, "centres")
    inputs.same_dimensions(unit, centres, ("embeddings", "centres"))
    columns = [
        2 * np.arctan2(np.linalg.norm(unit - c, axis=1), np.linalg.norm(unit + c, axis=1))
        for c in centres
    ]
    return np.stack(columns, axis=1)


def _angles(embeddings, labels, centres):
    """Mean degrees to the own centre and from a centre to the nearest; share nearest to its own."""
    angles = angles_to_centres(embeddings, centres)
    between = angles_to_centres(centres, centres)
    np.fill_diagonal(between, np.inf)
    return (
        float(np.degrees(angles[np.arange(len(labels)), labels]).mean()),
        float(np.degrees(between.min(axis=1)).mean()),
        float(np.mean(angles.argmin(axis=1) == labels)),
    )


# --- the scoreboard -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scoreboard:
    """The five values by which every lesson compares its models, all on the held-out images.

    Attributes:
        head_accuracy: share of images whose largest logit is that of their class.
        centre_accuracy: share of images whose nearest class centre is their own; the centres come
            from the training originals.
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
    unit = inputs.unit_rows(embeddings)
    logits = inputs.array(logits, "logits", (len(unit), "classes"))
    labels = inputs.class_numbers(labels, len(unit), logits.shape[1])
    names = "centre_embeddings", "centre_labels"
    inputs.class_numbers(centre_labels, num_classes=logits.shape[1], name=names[1])
    centres = _centres(centre_embeddings, centre_labels, logits.shape[1], names)
    inputs.same_dimensions(unit, centres, ("embeddings", "centre_embeddings"))
    own, nearest, hits = _angles(embeddings, labels, centres)
    return Scoreboard(
        head_accuracy=float(np.mean(logits.argmax(axis=1) == labels)),
        centre_accuracy=hits,
        own_angle=own,
        nearest_angle=nearest,
        eer=verification.equal_error_rate(verification.score_pairs(embeddings, labels)),
    )


def evaluate_model(model, digits):
    """The `Scoreboard` of a model on `digits` (from `lib.data.load_digits`).

    Args:
        model: as for `backbone_of`.
        digits: held-out images give the scores, training originals the class centres.
    """
    x_test, y_test, x_clean, y_clean = _parts_of(digits)
    backbone = backbone_of(model)
    return scoreboard(
        logits=embed(model, x_test),
        embeddings=embed(backbone, x_test),
        labels=y_test,
        centre_embeddings=embed(backbone, x_clean),
        centre_labels=y_clean,
    )


def _parts_of(digits):
    """Held-out images and their labels, training originals and theirs."""
    parts = ("x_test", "y_test", "x_clean", "y_clean")
    for part in parts:
        if not hasattr(digits, part):
            raise TypeError(
                f"digits: {inputs.shown(digits)} has no {part}; pass what data.load_digits gives."
            )
    return [getattr(digits, part) for part in parts]


def for_pictures(model, digits):
    """What the pictures of `lib.plots` show of a model: their arguments, by name.

    Args:
        model: as for `backbone_of`; its head has one weight vector a class.
        digits: held-out images are shown, training originals give the class centres.

    Returns:
        A dictionary: embeddings (N, D) and labels (N,) of the held-out images, centres (C, D) and
        the head's weights (D, C).
    """
    x_test, y_test, x_clean, y_clean = _parts_of(digits)
    backbone = backbone_of(model)
    head = getattr(model, "head", None) or _head_of(model)
    return {
        "embeddings": embed(backbone, x_test),
        "labels": y_test,
        "centres": class_centres(embed(backbone, x_clean), y_clean),
        "weights": keras.ops.convert_to_numpy(head.kernel),
    }


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
    embeddings = 1.0 * inputs.array(embeddings, "embeddings", ("images", "dimensions"))
    if len(embeddings) < 2:
        raise ValueError("embeddings: one image makes no pair; pass two or more.")
    classes, labels = np.unique(inputs.identities(labels, len(embeddings)), return_inverse=True)
    centre_embeddings = 1.0 * inputs.array(
        centre_embeddings, "centre_embeddings", ("images", embeddings.shape[1])
    )
    centre_labels = inputs.identities(centre_labels, len(centre_embeddings), "centre_labels")
    absent = np.setdiff1d(classes, centre_labels)
    if len(absent):
        raise ValueError(
            f"centre_labels: no embedding of class {inputs.some(absent)}, so it has no centre; "
            "pass some of every class."
        )
    centres = np.stack([centre_embeddings[centre_labels == c].mean(axis=0) for c in classes])
    lengths = np.linalg.norm(centres, axis=1)
    if not lengths.any():
        raise ValueError("centre_embeddings: every centre is zero; the network is dead.")
    to_centres = np.linalg.norm(embeddings[:, None] - centres, axis=2)
    between = np.linalg.norm(centres[:, None] - centres, axis=2)
    np.fill_diagonal(between, np.inf)
    # image by image: all differences at once are 24 GB for 10,000 images in 64 dimensions
    others = range(1, len(embeddings))
    distances = [np.linalg.norm(embeddings[i:] - embeddings[i - 1], axis=1) for i in others]
    genuine = np.concatenate([labels[i:] == labels[i - 1] for i in others])
    own, nearest = to_centres[np.arange(len(labels)), labels].mean(), between.min(axis=1).mean()
    scores = verification.split_scores(-np.concatenate(distances), genuine)
    return {
        "own_distance": float(own),
        "nearest_distance": float(nearest),
        "distance_ratio": float(own / nearest) if nearest else math.inf,
        "distance_accuracy": float(np.mean(to_centres.argmin(axis=1) == labels)),
        "distance_eer": verification.equal_error_rate(scores),
        "shortest_centre": float(lengths.min() / lengths.mean()),
    }


def open_set_scores(embeddings, labels):
    """The values recorded for a model: what it does with identities it has never seen.

    Returns:
        A dictionary of floats: `tar_1e-2`, `tar_1e-3`, `tar_1e-4`, `eer`, over all pairs; `rank_1`
        and `rank_5` with one image of each identity enrolled, and `rank_1_of_100`, the mean over
        galleries of 100 of them; `fnir_1e-2`, the share of visitors refused or given a wrong name,
        where one image of every other identity is enrolled and one in a hundred of the visitors
        who are not is given a name; `fold_accuracy`, on the pairs of `fold_pairs`; `own_angle` and
        `nearest_angle`, of images to their class's centre and of that to the nearest other, in
        degrees; the counts of pairs.
    """
    embeddings = inputs.array(embeddings, "embeddings", ("images", "dimensions"))
    result = verification.measure(verification.score_pairs(embeddings, labels))
    labels = np.unique(labels, return_inverse=True)[1]
    gallery, probes = verification.one_each(labels)
    places = verification.ranks(
        embeddings[gallery], labels[gallery], embeddings[probes], labels[probes]
    )
    found = verification.cmc(places, len(gallery))
    among_100 = verification.cmc(places, len(gallery), min(99, len(gallery) - 1))
    enrolled = gallery[::2]
    visitors = np.setdiff1d(np.arange(len(labels)), enrolled)
    searches = verification.search_scores(
        embeddings[enrolled], labels[enrolled], embeddings[visitors], labels[visitors]
    )
    found_at = searches.tar(verification.threshold_at(searches, 1e-2))
    folds = verification.fold_accuracy(embeddings, *verification.fold_pairs(labels))
    own, nearest, _ = _angles(embeddings, labels, class_centres(embeddings, labels))
    return {
        **{f"tar_1e-{digits}": result.tar_at(10.0**-digits) for digits in (2, 3, 4)},
        "eer": result.eer,
        "rank_1": float(found[0]),
        "rank_5": float(found[:5][-1]),
        "rank_1_of_100": float(among_100[0]),
        "fnir_1e-2": 1 - float(found_at),
        "fold_accuracy": folds.mean,
        "own_angle": own,
        "nearest_angle": nearest,
        "genuine_pairs": float(result.genuine_pairs),
        "impostor_pairs": float(result.impostor_pairs),
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
        self.header, self.rows = [*map(str, header)], [[*map(str, row)] for row in rows]
        self.caption = str(caption)
        for number, row in enumerate(self.rows):
            if len(row) != len(self.header):
                raise ValueError(
                    f"rows: row {number} has {len(row)} cells, but header has {len(self.header)}."
                )

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
    caption = "On the held-out images. ↑ more is better, ↓ less is better; ± standard deviation."
    return _table_of_runs(rows, SCOREBOARD_COLUMNS, Scoreboard, caption)


# value of open_set_scores: (column title, digits after the point)
OPEN_SET_COLUMNS = {
    "tar_1e-2": ("TAR at FAR 0.01 ↑", 3),
    "tar_1e-3": ("TAR at FAR 0.001 ↑", 3),
    "tar_1e-4": ("TAR at FAR 0.0001 ↑", 3),
    "eer": ("EER ↓", 4),
    "rank_1": ("rank 1 ↑", 3),
    "fnir_1e-2": ("FNIR at FPIR 0.01 ↓", 3),
    "fold_accuracy": ("ten folds ↑", 4),
    "train_accuracy": ("accuracy in training", 3),
}


def open_set_table(rows, columns=("tar_1e-3", "tar_1e-4", "eer", "rank_1")):
    """Show what `open_set_scores` gave, or records of it over several seeds, side by side.

    Args:
        rows: a dictionary, name → such a dictionary ("this run") or a record of several seeds.
        columns: which of `OPEN_SET_COLUMNS`, in the order wanted.
    """
    caption = "On identities never seen. ↑ more is better, ↓ less is better; ± standard deviation."
    known = {
        name: OPEN_SET_COLUMNS[inputs.one_of(name, "columns", OPEN_SET_COLUMNS)] for name in columns
    }
    return _table_of_runs(rows, known, dict, caption)


def _table_of_runs(rows, columns, kind, caption):
    lines = []
    for title, row in inputs.dictionary(rows, "rows", "{'softmax': scores}").items():
        fresh, cells = isinstance(row, kind), []
        for name, (_, digits) in columns.items():
            unit = "°" if name.endswith("angle") else ""
            if not fresh:
                inputs.recorded(row, name, f"rows, {inputs.shown(title)}")
                spread = row.spread(name)  # NaN for a single seed
                more = "" if math.isnan(spread) else f" ± {spread:.{digits}f}"
                cells.append(f"{row.mean(name):.{digits}f}{more}{unit}")
            elif name in (values := row if kind is dict else vars(row)):
                cells.append(f"{values[name]:.{digits}f}{unit}")
            else:
                raise ValueError(f"rows, {inputs.shown(title)}: no value {name}.")
        source = (
            "this run" if fresh else f"recorded, {len(row.rows)} seed{'s' * (len(row.rows) > 1)}"
        )
        lines.append([title, source, *cells])
    return Table(["model", "source", *(title for title, _ in columns.values())], lines, caption)


def verification_table(rows, intervals=None):
    """Show verification results side by side.

    Args:
        rows: a dictionary, name → `Verification`, all at the same FARs.
        intervals: a dictionary, name → what `lib.verification.bootstrap` returned; shown in
            brackets.
    """
    for row in inputs.dictionary(rows, "rows", "{'softmax': result}").values():
        inputs.instance(row, verification.Verification, "rows", "verification.measure gives it")
    for known in inputs.dictionary(intervals or {None: {}}, "intervals", _INTERVALS).values():
        inputs.instance(known, dict, "intervals", f"pass {_INTERVALS}")
    unknown = [name for name in intervals or () if name not in rows]
    if unknown:
        raise ValueError(f"intervals: {inputs.some(unknown)} is not in rows, so it is not shown.")
    results, intervals = list(rows.values()), intervals or {}
    fars = [point.far for point in results[0].points]
    if any([point.far for point in result.points] != fars for result in results):
        raise ValueError("rows: they are at different FARs; measure them all at the same ones.")
    lines = []
    for title, result in rows.items():
        shown = [("eer", result.eer)] + [(point.far, point.tar) for point in result.points]
        known = intervals.get(title, {})
        cells = [f"{value:.3f}{_bracket(known.get(key))}" for key, value in shown]
        lines.append([title, *cells, f"{result.genuine_pairs:,}", f"{result.impostor_pairs:,}"])
    header = ["model", "EER ↓", *(f"TAR at FAR {far:g} ↑" for far in fars)]
    caption = "↑ more is better, ↓ less is better" + ("; [95 % interval]." if intervals else ".")
    return Table([*header, "genuine pairs", "impostor pairs"], lines, caption)


_INTERVALS = "{'softmax': {'eer': (0.01, 0.03)}}"


def _bracket(interval):
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
