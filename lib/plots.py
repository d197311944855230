"""The pictures of the course: the same few, drawn the same way, in every lesson.

A plotting function draws into axes that it is given and returns them; `new_figure` makes the axes
and `show` puts a figure into the notebook, live where ipympl is there, with its description for
readers who do not see it.
"""

import math
import os
from itertools import cycle

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patheffects import withStroke

from . import diagrams, inputs, verification
from .evaluation import angles_to_centres
from .palette import COLORS, EDGES, INK, LOSS_COLORS, LOSS_DASHES, OTHER, OWN, loss_in

# --- figures --------------------------------------------------------------------------------------


def use_course_style():
    """Set fonts and sizes for every figure of this kernel; call it once, after `%matplotlib`.

    With COURSE_PROJECTOR=1 in the environment, which `make lab PROJECTOR=1` sets, every figure is
    drawn a third larger, letters and all.
    """
    plt.ioff()
    plt.rcParams.update(
        {
            # at 82 three panels fit beside the contents on a small screen
            "figure.dpi": 110 if os.environ.get("COURSE_PROJECTOR") == "1" else 82,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "legend.framealpha": 0.9,
            "legend.edgecolor": "white",
            "legend.borderaxespad": 0.1,
            "image.cmap": "Greys",
        }
    )


def new_figure(name, columns=1, rows=1, width=7.0, height=4.5, **subplot_options):
    """A figure and its axes; running the same cell again reuses the figure instead of adding one.

    Args:
        name: the figure's name, unique in the notebook.
        columns, rows: how many axes.
        width, height: of the whole figure, in inches at 82 dots an inch.
        **subplot_options: passed to `plt.subplots`.

    Returns:
        The figure, and one axes or an array of them, as `plt.subplots` returns them.
    """
    for value, argument in ((columns, "columns"), (rows, "rows")):
        inputs.whole_number(value, argument)
    for value, argument in ((width, "width"), (height, "height")):
        inputs.number_between(value, argument, 0, 1000)
    fig, axes = plt.subplots(
        rows,
        columns,
        num=name,
        clear=True,
        figsize=(width, height),
        layout="compressed",
        **subplot_options,
    )
    if is_live(fig):
        fig.canvas.header_visible = False
        # Without this a figure stays blank while cells behind it are queued ("Run All"): ipympl
        # would wait for a message from the browser that the busy kernel does not read.
        fig.canvas.syncing_data_url = False
    return fig, axes


def show(fig, alt):
    """Put a figure into the notebook, with a sentence that describes it to those who cannot see it.

    Raises:
        ValueError: if the description is missing or too short to describe anything.
    """
    live, metadata = is_live(fig), described(alt)
    display(fig.canvas if live else fig, metadata=metadata)


def described(alt):
    """The metadata that gives a displayed figure its description; errors as for `show`."""
    if not isinstance(alt, str) or len(alt.split()) < 5:
        raise ValueError(
            f"alt: describe the figure in a sentence; {inputs.shown(alt)} says too little."
        )
    return {"image/png": {"alt": alt}}


def is_live(fig):
    """Whether the figure belongs to ipympl, the backend of figures one can touch."""
    inputs.instance(fig, Figure, "fig", "new_figure makes one")
    return hasattr(fig.canvas, "syncing_data_url")


# --- images ---------------------------------------------------------------------------------------


def plot_images(ax, images, columns, titles=None):
    """Tile images into one axes, `columns` in a row.

    Args:
        ax: 2-D axes.
        images: (N, height, width[, 1]), 0 white to 1 black as digits are; or (N, height, width, 3)
            in colour, which is shown as it is. All in [0, 1].
        columns: images in a row.
        titles: a text above each, or None.
    """
    _check_axes(ax)
    in_colour = inputs.read(images).shape[3:] == (3,)
    axes = "images", "height", "width", 3
    images = inputs.array(images, "images", axes) if in_colour else _gray(images)
    if titles is not None and inputs.read(titles).shape != (len(images),):
        raise ValueError(f"titles: expected {len(images)} texts, got {inputs.shown(titles)}.")
    rows = -(-len(images) // inputs.whole_number(columns, "columns"))
    height, width = images.shape[1:3]
    sheet = np.zeros((rows * (height + 2), columns * (width + 2), *images.shape[3:]))
    sheet += in_colour  # white between the images
    for i, image in enumerate(images):
        top, left = (i // columns) * (height + 2) + 1, (i % columns) * (width + 2) + 1
        sheet[top : top + height, left : left + width] = image
        if titles is not None:
            ax.text(left + width / 2, top - 1, titles[i], ha="center", va="bottom", fontsize=9)
    ax.imshow(sheet, vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()
    return ax


# --- embeddings -----------------------------------------------------------------------------------


def plot_embeddings(ax, embeddings, labels, weights=None):
    """Draw 2-D or 3-D embeddings, each as its digit, and the directions of the class weights.

    Args:
        ax: axes of as many dimensions.
        embeddings: (N, 2) or (N, 3).
        labels: (N,) class numbers 0 to 9.
        weights: (2, C) or (3, C) class weights, one column a class; None draws no arrows.
    """
    dimensions = 3 if _is_3d(ax) else 2
    embeddings, labels = _scatter_digits(ax, embeddings, labels, dimensions)
    limit = 1.08 * np.abs(embeddings).max() or 1.0
    for label, tip in enumerate(0.95 * limit * _directions(weights, dimensions)):
        ax.plot(*np.stack([0 * tip, tip], axis=1), color=COLORS[label], lw=1.2, zorder=1)
    ax.plot(*np.zeros((dimensions, 1)), "+", color=INK, ms=9)
    for axis in "xyz"[:dimensions]:
        number = "xyz".index(axis) + 1
        ax.set(**{f"{axis}lim": (-limit, limit), f"{axis}label": f"embedding $x_{number}$"})
    ax.set(title="embeddings", aspect="equal")
    return ax


def plot_unit_circle(ax, embeddings, labels, weights=None):
    """Draw only the directions of 2-D embeddings: a petal for each class, on the unit circle.

    A petal is the density of the class's directions, all ten to one scale: a narrow petal is a
    class whose members agree. Arrows are the class weights' directions.

    Args as for `plot_embeddings`.
    """
    _check_axes(ax)
    x, y = inputs.unit_rows(embeddings, dimensions=2).T
    labels = inputs.class_numbers(labels, len(x), len(COLORS))
    angles = np.arctan2(y, x)
    grid = np.linspace(-np.pi, np.pi, 1441)
    densities = {c: circular_density(angles[labels == c], grid) for c in np.unique(labels)}
    scale, peaks = 0.75 / max(density.max() for density in densities.values()), {}
    for label, density in densities.items():
        radius, color = 1 + scale * density, COLORS[label]
        ax.fill(radius * np.cos(grid), radius * np.sin(grid), color=color, alpha=0.55, lw=0)
        ax.plot(radius * np.cos(grid), radius * np.sin(grid), color=EDGES[label], lw=0.8)
        peaks[label] = grid[density.argmax()], 1.12 + scale * density.max()
    for names, angle, radius in _joined(peaks):
        _write_digit(ax, radius, angle, names)
    ax.fill(np.cos(grid), np.sin(grid), color="white", zorder=2)
    ax.plot(np.cos(grid), np.sin(grid), color=INK, lw=0.8, zorder=3)
    tips = {}
    for label, direction in enumerate(_directions(weights, 2)):
        _draw_arrow(ax, 0.97 * direction, COLORS[label])
        tips[label] = np.arctan2(direction[1], direction[0]), 0.62
    for names, angle, radius in _joined(tips):
        _write_digit(ax, radius, angle, names, size=9)
    ax.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", title="directions on the unit circle")
    ax.set(xlabel=r"$x_1/\|x\|$", ylabel=r"$x_2/\|x\|$", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    return ax


def plot_unit_sphere(ax, embeddings, labels, weights=None):
    """Draw the directions of 3-D embeddings on the unit sphere, class weights as arrows.

    Args:
        ax: 3-D axes (`subplot_kw={"projection": "3d"}`).
        embeddings: (N, 3).
        labels: (N,) class numbers 0 to 9.
        weights: (3, C) class weights, or None.
    """
    draw_sphere(ax)
    _scatter_digits(ax, inputs.unit_rows(embeddings, dimensions=3), labels, 3)
    for label, direction in enumerate(_directions(weights, 3)):
        ax.quiver(0, 0, 0, *direction, color=COLORS[label], arrow_length_ratio=0.1)
        ax.text(*(1.15 * direction), str(label), color=INK, weight="bold", ha="center")
    return ax


def draw_sphere(ax):
    """Draw the unit sphere itself, with its labels, into 3-D axes.

    From here on the mouse turns 3-D figures around their vertical axis and up, never tilting them.
    """
    _check_axes(ax, 3)
    plt.rcParams["axes3d.mouserotationstyle"] = "azel"
    around, up = np.meshgrid(np.linspace(0, 2 * np.pi, 37), np.linspace(0, np.pi, 19))
    sphere = (np.cos(around) * np.sin(up), np.sin(around) * np.sin(up), np.cos(up))
    ax.plot_wireframe(*sphere, color=INK, alpha=0.08, lw=0.6)
    ax.set(xlabel=r"$x_1/\|x\|$", ylabel=r"$x_2/\|x\|$", zlabel=r"$x_3/\|x\|$")
    ax.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1), zticks=(-1, 0, 1))
    ax.set(title="directions on the unit sphere", box_aspect=(1, 1, 1))
    return ax


def plot_angle_histogram(ax, embeddings, labels, centres):
    """Compare the angle to the own class's centre with the angles to the other classes' centres.

    Args:
        ax: 2-D axes.
        embeddings: (N, D).
        labels: (N,) class numbers.
        centres: (C, D), one row a class, as `lib.evaluation.class_centres` gives them.
    """
    _check_axes(ax)
    own, others = _own_and_others(embeddings, labels, centres)
    bins = np.linspace(0, 180, 61)
    own_share, other_share = (np.histogram(angles, bins)[0] for angles in (own, others))
    ax.stairs(own_share / own_share.max(), bins, fill=True, color=OWN, label="own class")
    ax.stairs(other_share / other_share.max(), bins, color=OTHER, lw=1.6, hatch="///",
              label="other classes")  # fmt: skip
    ax.set(xlim=(0, 180), xticks=range(0, 181, 30), ylim=(0, 1.3), yticks=(0, 0.5, 1))
    ax.set(xlabel="angle to a class centre (degrees)", ylabel="count / highest count")
    ax.set(title="angles to the centres")
    ax.legend()
    return ax


def three_pictures(name, embeddings, labels, centres, weights=None):
    """The three pictures that every lesson shows, for 2-D or 3-D embeddings, in one figure.

    Embeddings, their directions on the circle (or sphere) with the class-weight directions, and
    the angles to own and other class centres. Arguments as for the three plotting functions.

    Returns:
        The figure; pass it to `show`.
    """
    shape = inputs.read(embeddings).shape
    dimensions = shape[-1] if len(shape) == 2 else 0
    if dimensions not in (2, 3):
        raise ValueError(
            f"embeddings: expected shape (images, 2) or (images, 3), got {shape}; for others there "
            "are tsne and plot_angle_histogram."
        )
    fig, axes = new_figure(name, columns=3, width=10.5, height=3.7)
    if dimensions == 3:
        for place, ax in enumerate(axes[:2]):
            ax.remove()
            axes[place] = fig.add_subplot(ax.get_subplotspec(), projection="3d")
    plot_angle_histogram(axes[2], embeddings, labels, centres)
    plot_embeddings(axes[0], embeddings, labels, weights)
    directions = plot_unit_circle if dimensions == 2 else plot_unit_sphere
    directions(axes[1], embeddings, labels, weights)
    for ax in axes[:2] if dimensions == 3 else ():
        ax.set_box_aspect((1, 1, 1), zoom=0.8)  # else the layout cuts the third label off
        ax.locator_params(nbins=3)
    return fig


def plot_own_and_nearest(ax, embeddings, labels, centres, widest=60):
    """Compare the angle to the own class's centre with that to the nearest of the others.

    Both are densities, so that two such pictures can be laid on the same axes.

    Args:
        ax: 2-D axes.
        embeddings: (N, D).
        labels: (N,) class numbers.
        centres: (C, D), one row a class, as `lib.evaluation.class_centres` gives them.
        widest: the largest angle shown, in degrees; thirty bars lead up to it.
    """
    _check_axes(ax)
    own, others = _own_and_others(embeddings, labels, centres)
    bins = np.linspace(0, inputs.number_between(widest, "widest", 0, 180.001), 31)
    own_share, nearest_share = (
        np.histogram(angles, bins)[0] / len(angles) / np.diff(bins)
        for angles in (own, others.min(axis=1))
    )
    ax.stairs(own_share, bins, fill=True, color=OWN, label="own class")
    ax.stairs(nearest_share, bins, color=OTHER, lw=2, hatch="///", label="nearest other")
    highest = max(own_share.max(), nearest_share.max()) or 1
    ax.set(xlim=(0, widest), ylim=(0, 1.35 * highest))  # room for the legend
    ax.set(xlabel="angle to a class centre (degrees)", ylabel="density")
    ax.set(title="own and nearest other")
    ax.legend(loc="upper right")
    return ax


def _own_and_others(embeddings, labels, centres):
    """The angles to the own centre (N,) and to all the other centres (N, C - 1), in degrees."""
    angles = np.degrees(angles_to_centres(embeddings, centres))
    if angles.shape[1] < 2:
        raise ValueError("centres: one class only; the angles to others need two or more.")
    labels = inputs.class_numbers(labels, *angles.shape)
    own = np.eye(len(centres), dtype=bool)[labels]
    return angles[own], angles[~own].reshape(len(angles), -1)


def pictures_in_rows(name, rows, widest=60):
    """Three pictures of each of several models in the plane, a row for each, to compare them.

    Embeddings, their directions on the circle with those of the class weights, and the angles to
    the own and to the nearest other class centre, these on the same axes.

    Args:
        name: the figure's name, unique in the notebook.
        rows: a dictionary, name of the model → a dictionary with embeddings (N, 2), labels, centres
            and, where there are any, weights: what `lib.evaluation.for_pictures` returns.
        widest: as for `plot_own_and_nearest`.

    Returns:
        The figure; pass it to `show`. Its axes are numbered row by row.
    """
    _check_rows(rows)
    fig, axes = new_figure(
        name, columns=3, rows=len(rows), width=9.6, height=3.2 * len(rows), squeeze=False
    )
    for (cloud, circle, angles), (row, parts) in zip(axes, rows.items(), strict=True):
        embeddings, labels, centres = (parts[key] for key in ("embeddings", "labels", "centres"))
        plot_embeddings(cloud, embeddings, labels, parts.get("weights"))
        plot_unit_circle(circle, embeddings, labels, parts.get("weights"))
        plot_own_and_nearest(angles, embeddings, labels, centres, widest)
        cloud.set_title(row)
    highest = max(ax.get_ylim()[1] for ax in axes[:, 2])
    for ax in axes[:, 2]:
        ax.set_ylim(0, highest)
    return fig


def _check_rows(rows):
    """Raise unless each row has the arrays that its three pictures need, and no others."""
    inputs.dictionary(rows, "rows", "{'ArcFace': evaluation.for_pictures(model, digits)}")
    needed, possible = {"embeddings", "labels", "centres"}, {"weights"}
    for row, parts in rows.items():
        keys = set(inputs.dictionary(parts, "rows", "what evaluation.for_pictures returns"))
        if not needed <= keys <= needed | possible:
            raise ValueError(
                f"rows: {inputs.shown(row)} has {inputs.some(sorted(map(str, keys)))}; expected "
                f"{', '.join(sorted(needed))} and perhaps weights."
            )


def plot_decision_regions(ax, predict, embeddings, labels, resolution=300):
    """Colour the plane of 2-D embeddings by the class that a head would choose there.

    Args:
        ax: 2-D axes.
        predict: from embeddings (N, 2) to one score a class (N, C); the largest wins. A Keras head
            is such a function.
        embeddings: (N, 2), drawn on top, each as its digit.
        labels: (N,) class numbers.
        resolution: points along each side of the grid.
    """
    _check_axes(ax)
    embeddings = inputs.array(embeddings, "embeddings", ("images", 2))
    inputs.function(predict, "predict", "a Keras head")
    resolution = inputs.whole_number(resolution, "resolution", 2, 5000)
    limit = 1.08 * np.abs(embeddings).max() or 1.0
    side = np.linspace(-limit, limit, resolution, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    scores = keras.ops.convert_to_numpy(predict(grid))
    winner = inputs.array(scores, "predict", (len(grid), "scores")).argmax(axis=-1)
    inputs.class_numbers(winner, num_classes=len(COLORS), name="predict")
    colors = np.array([to_rgb(color) for color in COLORS])
    picture = (0.35 * colors + 0.65)[winner].reshape(resolution, resolution, 3)
    extent = (-limit, limit, -limit, limit)
    ax.imshow(picture, extent=extent, origin="lower", interpolation="nearest", aspect="equal")
    _scatter_digits(ax, embeddings, labels, 2)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
    ax.set(xlabel="embedding $x_1$", ylabel="embedding $x_2$", title="decision regions")
    return ax


def tsne(embeddings, seed=0):
    """Lay embeddings (N, D) out in the plane by t-SNE on their cosine distances: (N, 2).

    van der Maaten and Hinton, JMLR 2008, in scikit-learn's version, started from the first two
    principal components so that a seed gives one picture.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    inputs.whole_number(seed, "seed", 0, 2**32 - 1)
    unit, neighbours = inputs.unit_rows(embeddings), 30
    if len(unit) <= neighbours or unit.shape[1] < 2 or (unit == unit[0]).all():
        raise ValueError(
            f"embeddings: a map needs more than {neighbours} of them, of two or more dimensions, "
            f"not all in one direction; got shape {unit.shape}."
        )
    layout = TSNE(metric="cosine", init="pca", perplexity=neighbours, random_state=seed)
    # Its threads wait for one another at every step: on a busy machine two are slower than one.
    with threadpool_limits(1, user_api="openmp"):
        return layout.fit_transform(unit)


def plot_tsne(ax, points, labels, images=None):
    """Draw a t-SNE layout (N, 2), each point as its digit; with `images`, hovering shows them."""
    points, labels = _scatter_digits(ax, points, labels, 2, "points")
    for label in np.unique(labels):
        x, y = np.median(points[labels == label], axis=0)
        ax.text(x, y, str(label), ha="center", va="center", fontsize=18, weight="bold",
                color=INK, path_effects=[withStroke(linewidth=4, foreground="white")])  # fmt: skip
    ax.set(xticks=(), yticks=(), xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    ax.set(title="t-SNE", aspect="equal")
    if images is not None:
        _show_image_on_hover(ax, points, images)
    return ax


def _show_image_on_hover(ax, points, images):
    """Show the image that belongs to the point under the mouse pointer, in a live figure."""
    images = _gray(images, len(points))
    thumbnail = OffsetImage(np.zeros(images.shape[1:3]), zoom=2, cmap="Greys", clim=(0, 1))
    box = AnnotationBbox(thumbnail, (0, 0), xybox=(40, 40), boxcoords="offset points", pad=0.2)
    box.set_visible(False)
    ax.add_artist(box)

    def on_move(event):
        nearest = nearest_point(ax, points, event) if event.inaxes is ax else None
        if nearest is None and not box.get_visible():
            return
        box.set_visible(nearest is not None)
        if nearest is not None:
            thumbnail.set_data(images[nearest])
            box.xy = points[nearest]
        ax.figure.canvas.draw_idle()

    ax.figure.canvas.mpl_connect("motion_notify_event", on_move)


def nearest_point(ax, points, event, within_pixels=12):
    """The number of the point under the pointer, or None if none is near."""
    _check_axes(ax)
    points = inputs.array(points, "points", ("points", 2))
    inputs.number_between(within_pixels, "within_pixels", 0, math.inf)
    if not (hasattr(event, "x") and hasattr(event, "y")):
        raise TypeError(f"event: expected Matplotlib's of the mouse, got {inputs.shown(event)}.")
    distances = np.hypot(*(ax.transData.transform(points) - (event.x, event.y)).T)
    nearest = int(distances.argmin())
    return nearest if distances[nearest] <= within_pixels else None


# --- verification ---------------------------------------------------------------------------------


def plot_error_rates(ax, scores):
    """Draw both error rates against the threshold, and mark where they are equal (the EER).

    Args:
        ax: 2-D axes.
        scores: `lib.verification.PairScores`.
    """
    _check_axes(ax)
    eer = verification.equal_error_rate(scores)
    ends = [part[end] for part in (scores.genuine, scores.impostor) for end in (0, -1)]
    threshold = np.linspace(min(ends), max(ends), 1001)
    far, tar = scores.far(threshold), scores.tar(threshold)
    crossing = np.interp(0, 1 - tar - far, threshold)
    ax.plot(threshold, far, color=OTHER, label="impostors accepted (FAR)")
    ax.plot(threshold, 1 - tar, color=OWN, ls="--", label="genuine rejected (1 − TAR)")
    ax.plot(crossing, eer, "o", color=INK)
    ax.annotate(f"EER {eer:.3f}", (crossing, eer), (14, -4), textcoords="offset points")
    ax.set(xlabel="threshold on the cosine", ylabel="error rate", ylim=(0, 1.3))
    ax.set(yticks=(0, 0.25, 0.5, 0.75, 1), title="both kinds of error")
    ax.legend(loc="upper left")
    return ax


def plot_pair_scores(ax, scores, log=False):
    """Compare the scores of genuine and impostor pairs, as many of them as there may be.

    Args:
        ax: 2-D axes.
        scores: `lib.verification.PairScores`.
        log: a logarithmic axis, on which rare scores can be seen. A height is the share of its
            kind's pairs that falls into one of 80 columns.
    """
    _check_axes(ax)
    remedy = "lib.verification.score_pairs makes them"
    inputs.instance(scores, verification.PairScores, "scores", remedy)
    low = min(0.0, float(scores.impostor[0]), float(scores.genuine[0]))
    bins = np.linspace(low, max(1.0, float(scores.impostor[-1]), float(scores.genuine[-1])), 81)
    for part, label, look in (
        (scores.genuine, "genuine pairs", {"fill": True, "color": OWN, "alpha": 0.85}),
        (scores.impostor, "impostor pairs", {"color": OTHER, "lw": 1.6, "hatch": "///"}),
    ):
        inner = np.searchsorted(part, bins[1:-1], side="left")
        share = np.diff([0, *inner, len(part)]) / len(part)
        ax.stairs(share, bins, label=label, baseline=1e-7 if log else 0, **look)
    ax.set(xlabel="cosine similarity of the pair", ylabel="share of the pairs")
    if log:
        ax.set(yscale="log", ylim=(1e-7, 1))
    else:
        ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
    ax.set_title("scores of the pairs")
    ax.legend(loc="upper left")
    return ax


def plot_roc(ax, curves):
    """Draw TAR against FAR on a logarithmic axis, one line for each model.

    Args:
        ax: 2-D axes.
        curves: a dictionary, name → (far, tar) as `lib.verification.roc_points` gives them.
    """
    _check_axes(ax)
    example = "{'softmax': roc_points(scores)[:2]}"
    for name, curve, color, _, line in _with_looks(curves, "curves", example):
        far, tar = inputs.array(curve, "curves", (2, "points"))
        ax.plot(far, tar, ls=line, color=color, lw=2, label=name)
    ax.set(xscale="log", ylim=(0, 1.02), title="ROC curve")
    ax.set(xlabel="impostor pairs accepted (FAR)", ylabel="genuine pairs accepted (TAR)")
    ax.grid(color="0.92")
    ax.legend(loc="lower right")
    return ax


def plot_image_map(ax, points, images, labels=None):
    """Draw images at their places in the plane, such as a t-SNE map; a colour for each label.

    Args:
        ax: 2-D axes.
        points: (N, 2).
        images: (N, height, width[, 1]) in [0, 1].
        labels: (N,) class numbers, or None for black.
    """
    _check_axes(ax)
    points = inputs.array(points, "points", ("points", 2))
    images = _gray(images, len(points))
    if labels is not None:
        labels = inputs.class_numbers(labels, len(images))
    for i, (point, image) in enumerate(zip(points, images, strict=True)):
        ink = INK if labels is None else EDGES[labels[i] % len(EDGES)]
        picture = np.concatenate([np.broadcast_to(to_rgb(ink), (*image.shape, 3)),
                                  image[..., None]], axis=-1)  # fmt: skip
        ax.add_artist(AnnotationBbox(OffsetImage(picture, zoom=0.6), point, frameon=False))
    ax.update_datalim(points)
    ax.margins(0.06)
    ax.autoscale_view()
    ax.set(xticks=(), yticks=(), xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    return ax


# --- training -------------------------------------------------------------------------------------


def plot_loss_curves(ax, histories, quantity="loss"):
    """Draw one line for each training: `histories` maps a name to a Keras `History`."""
    _check_axes(ax)
    longest = 1
    for name, history, color, marker, _ in _with_looks(histories, "histories", "{'a': history}"):
        known = getattr(history, "history", None)
        if not isinstance(known, dict) or quantity not in known:
            raise ValueError(
                f"histories, quantity: that of {inputs.shown(name)} has no "
                f"{inputs.shown(quantity)}; pass what `fit` returned, it has "
                f"{inputs.some(known or ['nothing'])}."
            )
        values = inputs.array(known[quantity], "histories", ("epochs",))
        ax.plot(range(1, len(values) + 1), values, marker=marker, color=color, label=name)
        longest = max(longest, len(values))
    ax.set(xlabel="epoch", ylabel=f"training {quantity}", title=f"training {quantity}")
    ax.set_xticks(range(1, longest + 1, -(-longest // 20)))
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_sweep(ax, records, columns):
    """Draw recorded values against a setting: a dot for each seed, a line through the means.

    Args:
        ax: 2-D axes.
        records: a dictionary, the setting as text → `lib.records.results.Record`, in the order
            wanted.
        columns: a dictionary, the name of a recorded value → what the legend calls it.
    """
    _check_axes(ax)
    inputs.dictionary(records, "records", "{'0.1': recorded(name)}")
    places = range(len(records))
    for name, label, color, marker, line in _with_looks(columns, "columns", "{'eer': 'EER'}"):
        for record in records.values():
            inputs.recorded(record, name, "records, columns")
        means = [record.mean(name) for record in records.values()]
        ax.plot(places, means, ls=line, color=color, marker=marker, ms=7, label=label)
        for place, record in zip(places, records.values(), strict=True):
            values = record.values(name)
            ax.plot([place] * len(values), values, marker, color=color, ms=4, alpha=0.5, mew=0)
    ax.set_xticks(places, records)
    ax.legend()
    return ax


def plot_ranges(ax, records, column, groups=None):
    """Compare records in one value: a line from the lowest seed to the highest, the mean on it.

    Args:
        ax: 2-D axes.
        records: a dictionary, the name of a row → `lib.records.results.Record`, from the top down.
        column: the name of the recorded value.
        groups: a dictionary, what the legend calls a group → the names of its rows; each group
            has a colour and a marker of its own. None: each row has its loss's colour.
    """
    _check_axes(ax)
    for record in inputs.dictionary(records, "records", "{'ArcFace': recorded(name)}").values():
        inputs.recorded(record, column, "records, column")
    by_loss = groups is None
    groups = {None: tuple(records)} if by_loss else groups
    example = "{'margins': ('ArcFace',)}"
    named = {
        name
        for members in inputs.dictionary(groups, "groups", example).values()
        for name in members
    }
    if named != set(records):
        raise ValueError(
            f"groups: they differ from the records in {inputs.some(named ^ set(records))}; each "
            "record needs a group."
        )
    for label, members, color, marker, _ in _with_looks(groups, "groups", example):
        rows = [(place, name) for place, name in enumerate(records) if name in members]
        for place, name in rows:
            values, mean = records[name].values(column), records[name].mean(column)
            look = {"color": LOSS_COLORS.get(loss_in(name), color) if by_loss else color}
            ax.plot((min(values), max(values)), (place, place), lw=2, alpha=0.6, **look)
            ax.plot(values, [place] * len(values), "|", ms=9, **look)
            ax.plot(mean, place, marker, ms=7, label=label if name == rows[0][1] else None, **look)
    ax.set_yticks(range(len(records)), records)
    ax.set_ylim(len(records) - 0.5, -0.5)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    return ax


# --- margins --------------------------------------------------------------------------------------


def plot_angle_regions(ax, target_cosine, limit=90):
    """Show, for every pair of angles to two classes, which class a loss would be content with.

    Class 1 is content where target_cosine(angle 1) >= cos(angle 2), class 2 the other way round.
    Where neither is, the plane stays white: the margin.

    Args:
        ax: 2-D axes.
        target_cosine: from angles in radians to what stands in for their cosine in the target's
            logit, such as `lambda angle: lib.losses.psi(2 * angle)`.
        limit: the largest angle shown, in degrees.
    """
    _check_axes(ax)
    degrees = np.linspace(0, inputs.number_between(limit, "limit", 0, 180.001), 301)
    _regions_of_two(ax, degrees, np.radians(degrees), target_cosine)
    ax.text(0.03 * limit, 0.92 * limit, "class 1", color=INK)
    ax.text(0.97 * limit, 0.04 * limit, "class 2", color=INK, ha="right")
    ax.set(xlabel=r"$\theta_1$, angle to class 1 (degrees)", ylabel=r"$\theta_2$ (degrees)")
    return ax


def plot_cosine_regions(ax, target_cosine, lowest=0.0):
    """Show, for every pair of cosines to two classes, which class a loss would be content with.

    As `plot_angle_regions`, but in the plane of cosines, where CosFace's margin is a strip.

    Args:
        ax: 2-D axes.
        target_cosine: as for `plot_angle_regions`.
        lowest: the smallest cosine shown.
    """
    _check_axes(ax)
    cosines = np.linspace(inputs.number_between(lowest, "lowest", -1.001, 1), 1, 301).clip(-1)
    _regions_of_two(ax, cosines, np.arccos(cosines), target_cosine)
    place = {"color": INK, "ha": "right", "transform": ax.transAxes}
    ax.text(0.97, 0.04, "class 1", **place)
    ax.text(0.3, 0.92, "class 2", **place)
    ax.set(xlabel=r"$\cos\theta_1$, cosine to class 1", ylabel=r"$\cos\theta_2$")
    return ax


def _regions_of_two(ax, ticks, angles, target_cosine):
    """Both classes in the plane of their angles, which the axes call `ticks`."""
    first, second = np.meshgrid(angles, angles)
    for label, (own, other) in enumerate(((first, second), (second, first)), 1):
        _fill_content(ax, ticks, ticks, target_cosine, own, other, label)
    ends = ticks[0], ticks[-1]
    ax.plot(ends, ends, color=INK, lw=1, ls="--")
    ax.set(xlim=ends, ylim=ends, aspect="equal", title="who is content")


def plot_margin_on_circle(ax, target_cosine, directions):
    """Show for every direction in the plane which class a loss would be content with.

    A class is content where target_cosine(angle to it) >= cos(angle to the nearest other class).

    Args:
        ax: 2-D axes.
        target_cosine: as for `plot_angle_regions`.
        directions: of the class weights, in degrees; at least two.
    """
    _check_axes(ax)
    directions = inputs.array(directions, "directions", ("classes",))
    if not 2 <= len(directions) <= len(COLORS):
        raise ValueError(f"directions: expected 2 to {len(COLORS)} of them, got {len(directions)}.")
    around = np.radians(np.linspace(0, 360, 1441))
    apart = np.abs(np.angle(np.exp(1j * (around[:, None] - np.radians(directions)))))
    radius = np.array([[0.0], [1.0]])
    for label in range(len(directions)):
        own, other = apart[:, label], np.delete(apart, label, axis=1).min(axis=1)
        own, other = (np.broadcast_to(angle, (2, len(around))) for angle in (own, other))
        x, y = radius * np.cos(around), radius * np.sin(around)
        _fill_content(ax, x, y, target_cosine, own, other, label)
    ax.plot(np.cos(around), np.sin(around), color=INK, lw=0.8)
    for label, direction in enumerate(np.radians(directions)):
        _draw_arrow(ax, (np.cos(direction), np.sin(direction)), COLORS[label])
        _write_digit(ax, 1.13, direction, label)
    ax.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal", xticks=(), yticks=())
    ax.set(xlabel=r"$x_1/\|x\|$", ylabel=r"$x_2/\|x\|$", title="who is content")
    return ax


def plot_pulls_on_arcs(ax, pulls, offsets, apart=36.0):
    """Draw where several losses pull an image that lies between its class and the neighbours.

    One arc of the circle for each loss, the own class (0) in the middle and a neighbour on each
    side. An arrow starts at each image and is as long as the pull on it is strong, to one scale
    for all losses.

    Args:
        ax: 2-D axes.
        pulls: a dictionary, loss → (N, 2) pulls on the embeddings (cos t, sin t), t = `offsets`
            in radians: minus the gradients, with class 0 at the angle 0.
        offsets: (N,) degrees from the own class weight, negative on one side.
        apart: degrees between two neighbouring class weights.
    """
    _check_axes(ax)
    inputs.number_between(apart, "apart", 0, 180)
    offsets = inputs.array(offsets, "offsets", ("images",))
    if np.ptp(offsets) == 0:
        raise ValueError("offsets: expected two or more images at different places.")
    pulls = {
        name: inputs.array(pull, "pulls", (len(offsets), 2))
        for name, pull in inputs.dictionary(pulls, "pulls", "{'ArcFace': pull}").items()
    }
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])  # turns rows by 90°: class 0 points upwards
    angles = np.radians(offsets)
    starts = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ quarter
    longest = max(np.linalg.norm(pull, axis=1).max() for pull in pulls.values())
    scale = np.radians(np.diff(np.sort(offsets)).max()) / (longest or 1)
    radii = 1 + 0.2 * np.arange(len(pulls))[::-1]
    arc = np.radians(90 + np.linspace(-apart - 4, apart + 4, 101))
    for side, label in ((0, 0), (1, 1), (-1, 9)):
        direction = np.radians(90 + side * apart)
        way = np.array([np.cos(direction), np.sin(direction)])
        ax.plot(*np.outer(way, (radii[-1] - 0.06, radii[0] + 0.04)), color=COLORS[label], lw=1.5)
        _write_digit(ax, radii[-1] - 0.11, direction, label)
        if side:  # half way lies the border without a margin
            border = np.radians(90 + side * apart / 2)
            way = np.array([np.cos(border), np.sin(border)])
            ax.plot(*np.outer(way, (radii[-1] - 0.06, radii[0] + 0.04)), ":", color="0.6", lw=1.5)
    for (name, pull), radius in zip(pulls.items(), radii, strict=True):
        ax.plot(radius * np.cos(arc), radius * np.sin(arc), color="0.75", lw=1, zorder=1)
        ax.plot(*(radius * starts).T, "o", color=INK, ms=3.5, zorder=5)
        ax.quiver(*(radius * starts).T, *(scale * pull @ quarter).T, color=OTHER, width=0.0045,
                  angles="xy", scale_units="xy", scale=1, zorder=4)  # fmt: skip
        end = radius * np.array([np.cos(arc[0]), np.sin(arc[0])])
        ax.text(end[0] + 0.02, end[1] - 0.02, name, color=INK, va="center")
    ax.set(aspect="equal", xlim=(-1.1, 1.5), ylim=(0.66, 1.66))
    ax.set_axis_off()
    return ax


def _fill_content(ax, x, y, target_cosine, own, other, label):
    """Fill where a class is content; every second class is hatched, as a second cue."""
    inputs.function(target_cosine, "target_cosine", "lambda angle: psi(2 * angle)")
    content = inputs.array(target_cosine(own), "target_cosine", own.shape) - np.cos(other)
    hatch = "///" if label % 2 else None
    ax.contourf(x, y, content, (0, np.inf), colors=COLORS[label], alpha=0.45, hatches=[hatch])


# --- the method -----------------------------------------------------------------------------------


def method_map(lesson):
    """The way from an image to the loss, the same in every lesson, with the lesson's part lit.

    Args:
        lesson: its number; `lib.diagrams.MAP` says what each lights and which formula it shows.

    Returns:
        The figure; pass it to `show`.
    """
    fig, ax = new_figure("method map", width=diagrams.WIDTH, height=diagrams.HEIGHT)
    diagrams.draw_map(ax, lesson)
    return fig


def divided_head(devices=4):
    """Draw how a head is trained whose classes, like the batch, are divided over several devices.

    What travels is lit; what never leaves its device is blue.

    Args:
        devices: how many are drawn, 3 to 5.

    Raises:
        ValueError: for another number.
    """
    inputs.whole_number(devices, "devices", 3, 5)
    width, height = diagrams.divided_width(devices), diagrams.DIVIDED_HEIGHT
    fig, ax = new_figure("divided head", width=width, height=height)
    diagrams.draw_divided_head(ax, devices)
    return fig


def plot_field(ax, loss):
    """Draw where a loss pushes embeddings of one class, and how strongly: −∂L/∂x, all to one scale.

    The class at the top of five is the target. Its region with the margin is filled; a dashed line
    is its border without. Arrows at the rim are the class weights.

    Args:
        ax: 2-D axes.
        loss: a name in `lib.diagrams.FIELDS`, such as "ArcFace", or a `lib.losses.MarginLoss`.
    """
    _check_axes(ax)
    diagrams.draw_field(ax, loss)
    ax.set(xlabel="embedding $x_1$", ylabel="embedding $x_2$")
    return ax


def all_fields():
    """The fields of the course's eight losses side by side.

    Returns:
        The figure; pass it to `show`.
    """
    fig, axes = new_figure("all fields", columns=4, rows=2, width=10.5, height=5.5)
    for ax, loss in zip(axes.flat, diagrams.FIELDS, strict=True):
        diagrams.draw_field(ax, loss, key=ax is axes[0, 0])
        ax.set_axis_off()
    return fig


# --- small drawing helpers ------------------------------------------------------------------------


def _with_looks(items, name, example):
    """Name, value, colour, marker and line of each item of a dictionary; twenty look different.

    Where each is a loss, it has the loss's own colour and dash.
    """
    # the dark ones first: they have contrast enough on white without an outline
    colors = cycle((OWN, OTHER, COLORS[4], COLORS[2], COLORS[8]))
    dashes = cycle(("-", "--", "-.", ":"))
    items = inputs.dictionary(items, name, example).items()
    losses = [loss_in(key) for key, _ in items]
    if all(losses) and len(set(losses)) == len(losses):
        colors, dashes = [LOSS_COLORS[x] for x in losses], [LOSS_DASHES[x] for x in losses]
    looks = zip(colors, cycle("os^Dv<>P"), dashes, strict=False)
    return [(*item, *look) for item, look in zip(items, looks, strict=False)]


def _is_3d(ax):
    inputs.instance(ax, Axes, "ax", "new_figure makes them")
    return hasattr(ax, "get_zlim")


def _check_axes(ax, dimensions=2):
    if _is_3d(ax) != (dimensions == 3):
        option = "subplot_kw={'projection': '3d'}" if dimensions == 3 else "no projection"
        raise ValueError(f"ax: expected {dimensions}-D axes; new_figure makes them with {option}.")


def _directions(weights, dimensions):
    """The unit vectors (C, D) of class weights (D, C); none if there are no weights."""
    if weights is None:
        return np.zeros((0, dimensions))
    weights = inputs.array(weights, "weights", (dimensions, "classes"))
    if weights.shape[1] > len(COLORS):
        raise ValueError(f"weights: {weights.shape[1]} classes, but colours for {len(COLORS)}.")
    return inputs.unit_rows(weights.T, "weights")


def _gray(images, count="images"):
    """Images (N, height, width) of (N, height, width[, 1])."""
    axes = count, "height", "width", 1
    images = inputs.array(images, "images", axes[: max(3, inputs.read(images).ndim)])
    return images.reshape(images.shape[:3])


def _scatter_digits(ax, points, labels, dimensions, name="embeddings"):
    """Draw each point as its digit; returns points and labels as arrays."""
    _check_axes(ax, dimensions)
    points = inputs.array(points, name, ("images", dimensions))
    labels = inputs.class_numbers(labels, len(points), len(COLORS))
    for label in range(10):
        digit = {"marker": f"${label}$", "color": COLORS[label], "ec": EDGES[label], "lw": 0.4}
        ax.scatter(*points[labels == label].T, s=30 if dimensions == 2 else 26, **digit)
    return points, labels


def circular_density(angles, grid, concentration=400.0):
    """A smoothed histogram of angles on the circle (a von Mises kernel about 3° wide)."""
    angles, grid = (
        inputs.array(angles, "angles", ("images",)),
        inputs.array(grid, "grid", ("points",)),
    )
    inputs.number_between(concentration, "concentration", 0, math.inf)
    kernel = np.exp(concentration * (np.cos(grid[:, None] - angles) - 1))
    return kernel.mean(axis=1) * np.sqrt(concentration / (2 * np.pi))


def _joined(places, apart=0.16):
    """Labels at (angle, radius); of those less than `apart` radians from the next, one for all.

    Yields (text, angle, radius), the largest radius of what is joined.
    """
    groups = []
    for label, (angle, radius) in sorted(places.items(), key=lambda place: place[1][0]):
        if groups and angle - groups[-1][-1][1] < apart:
            groups[-1].append((label, angle, radius))
        else:
            groups.append([(label, angle, radius)])
    for group in groups:
        labels, angles, radii = zip(*group, strict=True)
        yield " ".join(map(str, sorted(labels))), np.mean(angles), max(radii)


def _write_digit(ax, radius, angle, label, size=11):
    ax.text(radius * np.cos(angle), radius * np.sin(angle), str(label), ha="center", va="center",
            fontsize=size, weight="bold", color=INK, zorder=6,
            path_effects=[withStroke(linewidth=3, foreground="white")])  # fmt: skip


def _draw_arrow(ax, tip, color):
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=tip, xytext=(0, 0), arrowprops=arrow, zorder=4)
