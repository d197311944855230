"""The pictures of the course: the same few, drawn the same way, in every lesson.

A plotting function draws into axes that it is given and returns them; `new_figure` makes the axes
and `show` puts a figure into the notebook, live where ipympl is there, with its description for
readers who do not see it.
"""

import os

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.colors import to_rgb
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patheffects import withStroke
from sklearn.metrics import roc_curve

from .evaluation import angles_to_centres, equal_error_rate

# Ten colours that stay apart for readers with colour-vision deficiencies (M. A. Petroff,
# arXiv:2107.02270, table 1). The digit itself, as the marker, is always there as a second cue.
COLORS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
# The same, darkened: outlines that keep the pale ones readable on white.
EDGES = tuple(tuple(0.55 * part for part in to_rgb(color)) for color in COLORS)
INK = "#222222"
OWN, OTHER = "#3f90da", "#e76300"


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
    metadata = described(alt)
    display(fig.canvas if is_live(fig) else fig, metadata=metadata)


def described(alt):
    """The metadata that gives a displayed figure its description; errors as for `show`."""
    if len(alt.split()) < 5:
        raise ValueError(f"describe the figure in a sentence: alt={alt!r} says too little.")
    return {"image/png": {"alt": alt}}


def is_live(fig):
    """Whether the figure belongs to ipympl, the backend of figures one can touch."""
    return hasattr(fig.canvas, "syncing_data_url")


# --- images ---------------------------------------------------------------------------------------


def plot_images(ax, images, columns, titles=None):
    """Tile images (N, height, width[, 1]) in `[0, 1]` into one axes, `columns` in a row."""
    images = np.asarray(images).reshape(len(images), *images.shape[1:3])
    rows = -(-len(images) // columns)
    height, width = images.shape[1:]
    sheet = np.zeros((rows * (height + 2), columns * (width + 2)))
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
    """Draw 2-D embeddings, each as its digit, and the directions of the class weights.

    Args:
        ax: 2-D axes.
        embeddings: (N, 2).
        labels: (N,) class numbers 0 to 9.
        weights: (2, C) class weights, one column a class; None draws no arrows.
    """
    _scatter_digits(ax, embeddings, labels)
    limit = 1.08 * np.abs(embeddings).max()
    if weights is not None:
        for label, tip in enumerate(0.95 * limit * _unit_rows(np.asarray(weights).T)):
            ax.plot((0, tip[0]), (0, tip[1]), color=COLORS[label], lw=1.2, zorder=1)
    ax.plot(0, 0, "+", color=INK, ms=9)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.set(xlabel="embedding $x_1$", ylabel="embedding $x_2$", title="embeddings")
    return ax


def plot_unit_circle(ax, embeddings, labels, weights=None):
    """Draw only the directions of 2-D embeddings: a petal for each class, on the unit circle.

    A petal is the density of the class's directions, all ten to one scale: a narrow petal is a
    class whose members agree. Arrows are the class weights' directions.

    Args as for `plot_embeddings`.
    """
    angles = np.arctan2(embeddings[:, 1], embeddings[:, 0])
    grid = np.linspace(-np.pi, np.pi, 1441)
    densities = {c: circular_density(angles[labels == c], grid) for c in np.unique(labels)}
    scale = 0.75 / max(density.max() for density in densities.values())
    for label, density in densities.items():
        radius, color = 1 + scale * density, COLORS[label]
        ax.fill(radius * np.cos(grid), radius * np.sin(grid), color=color, alpha=0.55, lw=0)
        ax.plot(radius * np.cos(grid), radius * np.sin(grid), color=EDGES[label], lw=0.8)
        peak = grid[density.argmax()]
        _write_digit(ax, 1.12 + scale * density.max(), peak, label)
    ax.fill(np.cos(grid), np.sin(grid), color="white", zorder=2)
    ax.plot(np.cos(grid), np.sin(grid), color=INK, lw=0.8, zorder=3)
    if weights is not None:
        for label, direction in enumerate(_unit_rows(np.asarray(weights).T)):
            _draw_arrow(ax, 0.97 * direction, COLORS[label])
            _write_digit(ax, 0.62, np.arctan2(direction[1], direction[0]), label, size=9)
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
    directions = _unit_rows(embeddings)
    draw_sphere(ax)
    for label in range(10):
        members = directions[labels == label]
        ax.scatter(
            *members.T, s=26, marker=f"${label}$", color=COLORS[label], ec=EDGES[label], lw=0.4
        )
    if weights is not None:
        for label, direction in enumerate(_unit_rows(np.asarray(weights).T)):
            ax.quiver(0, 0, 0, *direction, color=COLORS[label], arrow_length_ratio=0.1)
            ax.text(*(1.15 * direction), str(label), color=INK, weight="bold", ha="center")
    return ax


def draw_sphere(ax):
    """Draw the unit sphere itself, with its labels, into 3-D axes.

    From here on the mouse turns 3-D figures around their vertical axis and up, never tilting them.
    """
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
    angles = np.degrees(angles_to_centres(embeddings, centres))
    own = np.eye(len(centres), dtype=bool)[labels]
    bins = np.linspace(0, 180, 61)
    own_share, other_share = (np.histogram(angles[mask], bins)[0] for mask in (own, ~own))
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
    fig, axes = new_figure(name, columns=3, width=10.5, height=3.7)
    plot_embeddings(axes[0], embeddings, labels, weights)
    plot_unit_circle(axes[1], embeddings, labels, weights)
    plot_angle_histogram(axes[2], embeddings, labels, centres)
    return fig


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
    limit = 1.08 * np.abs(embeddings).max()
    side = np.linspace(-limit, limit, resolution, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    winner = keras.ops.convert_to_numpy(predict(grid)).argmax(axis=-1)
    colors = np.array([to_rgb(color) for color in COLORS])
    picture = (0.35 * colors + 0.65)[winner].reshape(resolution, resolution, 3)
    extent = (-limit, limit, -limit, limit)
    ax.imshow(picture, extent=extent, origin="lower", interpolation="nearest", aspect="equal")
    _scatter_digits(ax, embeddings, labels)
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

    layout = TSNE(metric="cosine", init="pca", perplexity=30, random_state=seed)
    # Its threads wait for one another at every step: on a busy machine two are slower than one.
    with threadpool_limits(1, user_api="openmp"):
        return layout.fit_transform(_unit_rows(embeddings))


def plot_tsne(ax, points, labels, images=None):
    """Draw a t-SNE layout (N, 2), each point as its digit; with `images`, hovering shows them."""
    _scatter_digits(ax, points, labels)
    for label in range(10):
        x, y = np.median(points[labels == label], axis=0)
        ax.text(x, y, str(label), ha="center", va="center", fontsize=18, weight="bold",
                color=INK, path_effects=[withStroke(linewidth=4, foreground="white")])  # fmt: skip
    ax.set(xticks=(), yticks=(), xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
    ax.set(title="t-SNE", aspect="equal")
    if images is not None:
        show_image_on_hover(ax, points, images)
    return ax


def show_image_on_hover(ax, points, images):
    """Show the image that belongs to the point under the mouse pointer, in a live figure."""
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
            thumbnail.set_data(images[nearest].squeeze())
            box.xy = points[nearest]
        ax.figure.canvas.draw_idle()

    ax.figure.canvas.mpl_connect("motion_notify_event", on_move)


def nearest_point(ax, points, event, within_pixels=12):
    """The number of the point under the pointer, or None if none is near."""
    distances = np.hypot(*(ax.transData.transform(points) - (event.x, event.y)).T)
    nearest = int(distances.argmin())
    return nearest if distances[nearest] <= within_pixels else None


# --- verification ---------------------------------------------------------------------------------


def plot_score_histogram(ax, scores, genuine):
    """Compare the cosines of genuine pairs with those of impostor pairs.

    Args:
        ax: 2-D axes.
        scores: (P,) cosines, as `lib.evaluation.pair_scores` gives them.
        genuine: (P,) bool.
    """
    bins = np.linspace(min(0, scores.min()), 1, 81)
    ax.hist(scores[genuine], bins, density=True, color=OWN, alpha=0.85, label="genuine pairs")
    ax.hist(scores[~genuine], bins, density=True, color=OTHER, histtype="step", lw=1.6,
            hatch="///", label="impostor pairs")  # fmt: skip
    ax.set(xlabel="cosine similarity of the pair", ylabel="density", title="scores of the pairs")
    ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend(loc="upper left")
    return ax


def plot_error_rates(ax, scores, genuine):
    """Draw both error rates against the threshold, and mark where they are equal (the EER).

    Arguments as for `plot_score_histogram`.
    """
    far, tar, threshold = roc_curve(genuine, scores)
    eer = equal_error_rate(scores, genuine)
    crossing = np.interp(eer, far, threshold)
    ax.plot(threshold[1:], far[1:], color=OTHER, label="impostors accepted (FAR)")
    ax.plot(threshold[1:], 1 - tar[1:], color=OWN, ls="--", label="genuine rejected (1 − TAR)")
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
        log: a logarithmic axis, on which rare scores can be seen; the unit is then the share of
            its kind's pairs that falls into one of 80 columns.
    """
    low = min(0.0, float(scores.impostor[0]), float(scores.genuine[0]))
    bins = np.linspace(low, 1, 81)
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
    ax.set_title("scores of the pairs")
    ax.legend(loc="upper left" if log else "upper center")
    return ax


def plot_roc(ax, curves):
    """Draw TAR against FAR on a logarithmic axis, one line for each model.

    Args:
        ax: 2-D axes.
        curves: a dictionary, name → (far, tar) as `lib.verification.roc_points` gives them.
    """
    styles = zip(COLORS[:1] + COLORS[6:7] + COLORS[4:5] + COLORS[2:3], ("-", "--", "-.", ":"),
                 strict=True)  # fmt: skip
    for (name, (far, tar)), (color, line) in zip(curves.items(), styles, strict=False):
        ax.plot(far, tar, line, color=color, lw=2, label=name)
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
    images = np.asarray(images).reshape(len(images), *images.shape[1:3])
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
    markers = "os^Dv"
    for i, (name, history) in enumerate(histories.items()):
        values = history.history[quantity]
        epochs = range(1, len(values) + 1)
        ax.plot(epochs, values, marker=markers[i % len(markers)], color=COLORS[i], label=name)
    ax.set(xlabel="epoch", ylabel=f"training {quantity}", title=f"training {quantity}")
    ax.set_xticks(epochs)
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def plot_sweep(ax, records, columns):
    """Draw recorded values against a setting: a dot for each seed, a line through the means.

    Args:
        ax: 2-D axes.
        records: a dictionary, the setting as text → `lib.records.results.Record`, in the order
            wanted.
        columns: a dictionary, the name of a recorded value → what the legend calls it;
            three at most.
    """
    places = range(len(records))
    looks = zip((OWN, OTHER, COLORS[4]), "os^", ("-", "--", ":"), strict=True)
    for (name, label), (color, marker, line) in zip(columns.items(), looks, strict=False):
        means = [record.mean(name) for record in records.values()]
        ax.plot(places, means, line, color=color, marker=marker, ms=7, label=label)
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
            has a colour and a marker of its own, three at most. None: all rows look alike.
    """
    groups = {None: tuple(records)} if groups is None else groups
    looks = zip((OWN, OTHER, COLORS[4]), "os^", strict=True)
    for (label, members), (color, marker) in zip(groups.items(), looks, strict=False):
        rows = [(place, name) for place, name in enumerate(records) if name in members]
        for place, name in rows:
            values = records[name].values(column)
            ax.plot((min(values), max(values)), (place, place), color=color, lw=2, alpha=0.6)
            ax.plot(values, [place] * len(values), "|", color=color, ms=9)
        means = [records[name].mean(column) for _, name in rows]
        ax.plot(means, [place for place, _ in rows], marker, color=color, ms=7, label=label)
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
    degrees = np.linspace(0, limit, 301)
    first, second = np.radians(np.meshgrid(degrees, degrees))
    for label, (own, other) in enumerate(((first, second), (second, first)), 1):
        _fill_content(ax, degrees, degrees, target_cosine, own, other, label)
    ax.plot((0, limit), (0, limit), color=INK, lw=1, ls="--")
    ax.text(0.03 * limit, 0.92 * limit, "class 1", color=INK)
    ax.text(0.97 * limit, 0.04 * limit, "class 2", color=INK, ha="right")
    ax.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    ax.set(xlabel=r"$\theta_1$, angle to class 1 (degrees)", ylabel=r"$\theta_2$ (degrees)")
    ax.set(title="who is content")
    return ax


def plot_cosine_regions(ax, target_cosine, lowest=0.0):
    """Show, for every pair of cosines to two classes, which class a loss would be content with.

    As `plot_angle_regions`, but in the plane of cosines, where CosFace's margin is a strip.

    Args:
        ax: 2-D axes.
        target_cosine: as for `plot_angle_regions`.
        lowest: the smallest cosine shown.
    """
    cosines = np.linspace(lowest, 1, 301)
    first, second = np.arccos(np.meshgrid(cosines, cosines))
    for label, (own, other) in enumerate(((first, second), (second, first)), 1):
        _fill_content(ax, cosines, cosines, target_cosine, own, other, label)
    ax.plot((lowest, 1), (lowest, 1), color=INK, lw=1, ls="--")
    place = {"color": INK, "ha": "right", "transform": ax.transAxes}
    ax.text(0.97, 0.04, "class 1", **place)
    ax.text(0.3, 0.92, "class 2", **place)
    ax.set(xlim=(lowest, 1), ylim=(lowest, 1), aspect="equal")
    ax.set(xlabel=r"$\cos\theta_1$, cosine to class 1", ylabel=r"$\cos\theta_2$")
    ax.set(title="who is content")
    return ax


def plot_margin_on_circle(ax, target_cosine, directions):
    """Show for every direction in the plane which class a loss would be content with.

    A class is content where target_cosine(angle to it) >= cos(angle to the nearest other class).

    Args:
        ax: 2-D axes.
        target_cosine: as for `plot_angle_regions`.
        directions: of the class weights, in degrees; at least two.
    """
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
    quarter = np.array([[0.0, 1.0], [-1.0, 0.0]])  # turns rows by 90°: class 0 points upwards
    angles = np.radians(offsets)
    starts = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ quarter
    longest = max(np.linalg.norm(pull, axis=1).max() for pull in pulls.values())
    scale = np.radians(np.diff(np.sort(offsets)).max()) / longest
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
    content = np.asarray(target_cosine(own)) - np.cos(other)
    hatch = "///" if label % 2 else None
    ax.contourf(x, y, content, (0, np.inf), colors=COLORS[label], alpha=0.45, hatches=[hatch])


# --- small drawing helpers ------------------------------------------------------------------------


def _unit_rows(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _scatter_digits(ax, points, labels):
    for label in range(10):
        x, y = points[labels == label].T
        ax.scatter(x, y, s=30, marker=f"${label}$", color=COLORS[label], ec=EDGES[label], lw=0.4)


def circular_density(angles, grid, concentration=400.0):
    """A smoothed histogram of angles on the circle (a von Mises kernel about 3° wide)."""
    kernel = np.exp(concentration * (np.cos(grid[:, None] - angles) - 1))
    return kernel.mean(axis=1) * np.sqrt(concentration / (2 * np.pi))


def _write_digit(ax, radius, angle, label, size=11):
    ax.text(radius * np.cos(angle), radius * np.sin(angle), str(label), ha="center", va="center",
            fontsize=size, weight="bold", color=INK, zorder=6,
            path_effects=[withStroke(linewidth=3, foreground="white")])  # fmt: skip


def _draw_arrow(ax, tip, color):
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=tip, xytext=(0, 0), arrowprops=arrow, zorder=4)
