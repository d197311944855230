"""What the method is, in drawings: the map of its steps, a divided head, and the field of a loss.

The map shows the way from an image to the loss, the same in every lesson, with what the lesson is
about lit up. The field shows where a loss pushes an embedding: -dL/dx as an arrow at many places
of the plane. Between them: a head whose classes are divided over several devices. `lib.plots` has
all of them as pictures.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
from keras import ops
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from . import adaptive, data, inputs
from .layers import CosineHead, ModifiedSoftmaxHead
from .losses import (
    ArcFaceLoss,
    CombinedMarginLoss,
    CosFaceLoss,
    MarginLoss,
    NormFaceLoss,
    SphereFaceLoss,
    margin_logit,
    softmax_cross_entropy,
)
from .palette import INK, LATER_COLORS, LOSS_COLORS
from .scene import (
    ARROW,
    BIASES,
    CENTRE,
    CENTRE_WEIGHT,
    DIRECTIONS,
    FIELD_POINTS,
    LENGTHS,
    REACH,
    SCALE,
    WEIGHTS,
)

# --- the map --------------------------------------------------------------------------------------

LIT = "#ffd27a"  # a lamp that is on
PALE, FAINT = "#b4babb", "#8b9294"  # lines and letters of a step that is skipped
DIGIT = 12  # which of the held-out ones is on the map

# The steps from left to right: key → (symbol, word, width in inches).
STEPS = {
    "image": ("", "image", 0.56),
    "backbone": ("backbone", "network", 0.92),
    "x": ("$x$", "embedding", 0.86),
    "unit": (r"$\hat{x}$", r"$x\,/\,\|x\|$", 0.68),
    "head": (r"$\cos\,\theta_j$", "cosines", 0.72),
    "margin": ("margin", r"only $j = y$", 0.80),
    "scale": (r"$\times\ s$", "scale", 0.54),
    "softmax": ("$p_j$", "softmax", 0.80),
    "loss": ("$L$", "loss", 0.48),
}
# What else is learned, or given, below the step that it goes into: key → (symbol, word, step).
BELOW = {
    "centres": (r"$\mu_j$", "centres", "x"),
    "weights": (r"$\hat{W}_j$", "class weights", "head"),
}
# Where the head takes lengths and biases as they come.
PLAIN_HEAD = {
    "head": ("$z_j$", "logits", 0.72),
    "weights": (r"$W_j\,,\ b_j$", "class weights", "head"),
}


@dataclasses.dataclass(frozen=True)
class Stop:
    """What one lesson's map shows.

    lit: the steps that the lesson is about.
    skipped: those that its loss does not take.
    formula: under the steps.
    other: what is written in a step, where that differs from `STEPS` and `BELOW`.
    """

    lit: tuple
    skipped: tuple
    formula: str
    other: dict = dataclasses.field(default_factory=dict)


NO_ANGLE = ("unit", "margin", "scale")
MAP = {
    0: Stop(("x",), ("centres",), r"an embedding:  $x = (x_1, \dots, x_D)$  for an image"),
    1: Stop(
        ("head", "weights", "softmax", "loss"),
        (*NO_ANGLE, "centres"),
        r"softmax:  $z_j = W_j \cdot x + b_j\,,\quad L = -\ln\,p_y$",
        PLAIN_HEAD,
    ),
    2: Stop(
        ("x", "centres", "loss"),
        NO_ANGLE,
        r"center loss:  $L = -\ln\,p_y + \lambda\,\|x - \mu_y\|^2\,/\,2$",
        PLAIN_HEAD,
    ),
    3: Stop(
        ("unit", "head", "weights", "scale"),
        ("margin", "centres"),
        r"modified softmax:  $z_j = \|x\|\,\cos\,\theta_j$      "
        r"NormFace:  $z_j = s\,\cos\,\theta_j$",
    ),
    4: Stop(("margin",), ("centres",), r"SphereFace:  $z_y = s\ \psi(m\,\theta_y)$"),
    5: Stop(("margin",), ("centres",), r"CosFace:  $z_y = s\,(\cos\,\theta_y - m)$"),
    6: Stop(("margin",), ("centres",), r"ArcFace:  $z_y = s\ \cos(\theta_y + m)$"),
    7: Stop(
        ("margin",),
        ("centres",),
        r"combined:  $z_y = s\,(\cos(m_1\,\theta_y + m_2) - m_3)$",
    ),
    8: Stop(
        ("unit", "head", "weights"),
        ("margin", "scale", "softmax", "loss", "centres"),
        r"the same one?  Yes, if  $\cos\,\theta = \hat{x} \cdot \hat{x}^{\,\prime} \geq t$",
        {
            "head": (r"$\cos\,\theta$", "compare", 0.72),
            "weights": (r"$\hat{x}^{\,\prime}$", "another image", "head"),
        },
    ),
    9: Stop(
        ("head", "weights", "softmax"),
        ("centres",),
        r"$C$ classes:  $\hat{W}$ has $D \times C$ numbers, a batch has $B \times C$ logits",
    ),
    10: Stop(
        ("x", "margin"),
        ("centres",),
        r"a margin by the length:  $z_y = s\,(\cos(\theta_y + m_2(\|x\|)) - m_3(\|x\|))$",
    ),
    11: Stop(
        ("unit", "head", "weights"),
        ("margin", "scale", "softmax", "loss", "centres"),
        r"who?  The closest of the gallery, if  $\hat{x} \cdot \hat{t} \geq t$;  else nobody",
        {
            "head": (r"$\cos\,\theta$", "search", 0.72),
            "weights": (r"$\hat{t}$", "templates", "head"),
        },
    ),
}

WIDTH, HEIGHT = 8.0, 2.3  # inches
MIDDLE, LOWER, FORMULA = 1.64, 0.77, 0.18  # heights of the rows
TALL, LOW, ABOVE = 0.62, 0.6, 0.22  # of boxes, and of the way over skipped ones


def draw_map(ax, lesson):
    """Draw the map of a lesson into axes that are `WIDTH` by `HEIGHT`, one unit an inch."""
    stop = MAP[inputs.whole_number(lesson, "lesson", min(MAP), max(MAP))]
    words = {**STEPS, **BELOW, **stop.other}
    gap = (WIDTH - 0.1 - sum(width for _, _, width in STEPS.values())) / (len(STEPS) - 1)
    spans, left = {}, 0.05  # the left and right end of each box
    for key, (_, _, width) in STEPS.items():
        spans[key] = left, left + width
        left += width + gap
    for key, span in spans.items():
        _draw_box(ax, stop, key, words[key], span, MIDDLE, TALL)
    for key, (*_, step) in BELOW.items():
        x = np.mean(spans[step])
        _draw_box(ax, stop, key, words[key], (x - 0.53, x + 0.53), LOWER, LOW)
        ends = (x, LOWER + LOW / 2), (x, MIDDLE - TALL / 2)
        _draw_way(ax, ends, key not in stop.skipped)
    taken = [key for key in STEPS if key not in stop.skipped]
    for first, second in itertools.pairwise(STEPS):
        ends = (spans[first][1], MIDDLE), (spans[second][0], MIDDLE)
        _draw_way(ax, ends, first in taken and second in taken)
    for first, second in itertools.pairwise(taken):
        if spans[second][0] - spans[first][1] > 2 * gap:
            start, end = np.mean(spans[first]) + 0.12, np.mean(spans[second]) - 0.12
            top, over = MIDDLE + TALL / 2, MIDDLE + TALL / 2 + ABOVE
            _draw_way(ax, ((start, top), (start, over), (end, over), (end, top)), True)
    ax.text(WIDTH / 2, FORMULA, stop.formula, color=INK, fontsize=13, ha="center", va="center")
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="equal")
    ax.set_axis_off()
    return ax


def _draw_box(ax, stop, key, words, span, middle, height):
    """A step: its symbol with a word below, lit, taken or skipped."""
    left, right = span
    lit, skipped = key in stop.lit, key in stop.skipped
    corner = (left, middle - height / 2)
    box = FancyBboxPatch(
        corner, right - left, height, boxstyle="round,pad=0,rounding_size=0.08", mutation_aspect=1,
        fc=LIT if lit else "white", ec=PALE if skipped else INK, lw=1.8 if lit else 1.1,
        ls="--" if skipped else "-", zorder=3,
    )  # fmt: skip
    ax.add_patch(box)
    symbol, word, _ = words
    look = {"color": FAINT if skipped else INK, "ha": "center", "zorder": 4}
    x = (left + right) / 2
    if key == "image":
        side = (right - left) / 2 - 0.04
        image = ax.imshow(_digit(), extent=(x - side, x + side, middle - side, middle + side),
                          vmin=0, vmax=1, zorder=4)  # fmt: skip
        image.set_clip_path(box)
        return
    size = 10.5 if len(symbol) > 5 and "$" not in symbol else 14
    ax.text(x, middle + 0.03, symbol, fontsize=size, **look)
    ax.text(x, middle - 0.2, word, fontsize=9, **look)


def _draw_way(ax, points, taken):
    """An arrow through points, its corners rounded."""
    points = np.array(points)
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = (
            corner + 0.08 * (end - corner) / np.linalg.norm(end - corner) for end in (before, after)
        )
        vertices += [near, corner, far]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*vertices, points[-1]], [*codes, Path.LINETO])
    color, width = (INK, 1.5) if taken else (PALE, 1.0)
    ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>,head_length=4.5,head_width=2.4",
                                 color=color, lw=width, zorder=2 + taken, capstyle="butt",
                                 joinstyle="miter"))  # fmt: skip


@functools.cache
def _digit():
    """The image on the map: a held-out digit."""
    return data.load_digits("lesson", copies=0).x_test[DIGIT, 3:25, 3:25, 0]


# --- a head that is divided over several devices --------------------------------------------------

# The rows from the bottom up: key → (height of its middle, height), in inches. Batch and classes
# lie side by side on the same devices; in the rows that are lit something travels.
DIVIDED = {
    "sums": (0.44, 0.3),
    "images": (0.98, 0.36),
    "backbone": (1.53, 0.38),
    "embeddings": (2.08, 0.36),
    "gather": (2.76, 0.6),
    "head": (3.52, 0.56),
    "logits": (4.17, 0.36),
    "softmax": (4.7, 0.34),
}
# What is in a column's boxes: key → lines of text.
DIVIDED_PARTS = {
    "images": ("images  $B/k$",),
    "backbone": ("backbone, a copy",),
    "embeddings": (r"embeddings  $B/k \times D$",),
    "head": (r"$W$ of $C/k$ classes", "never travels"),
    "logits": (r"logits  $B \times C/k$",),
}
# The bars across all columns: key → lines with their arrow, upwards in the forward pass.
DIVIDED_BARS = {
    "sums": ("▼ all-reduce: gradients of the copies of the backbone",),
    "gather": (
        r"▲ all-gather: all embeddings to every device, $B \times D$",
        r"▼ back: the gradients of the embeddings, $B \times D$",
    ),
    "softmax": ("▲ all-reduce: maximum and sum of the softmax, 2 numbers an image",),
}
COLUMN, BESIDE, DIVIDED_HEIGHT = 2.2, 0.26, 4.95  # a column and the room beside it, inches
PANEL, STAYS, BACK = "#eff1f1", "#b9d7f1", "#a31b01"  # device, what never leaves it, gradients


def draw_divided_head(ax, devices=4):
    """Draw how a head with many classes is trained on several devices, one column for each.

    The axes are `divided_width(devices)` by `DIVIDED_HEIGHT`, one unit an inch.
    """
    width = divided_width(devices)
    for number in range(devices):
        left = BESIDE / 2 + number * (COLUMN + BESIDE)
        _draw_device(ax, left, f"device {number + 1}")
    for key, lines in DIVIDED_BARS.items():
        _divided_box(ax, key, (0.04, width - 0.04), LIT, lines)
    ax.set(xlim=(0, width), ylim=(0, DIVIDED_HEIGHT), aspect="equal")
    ax.set_axis_off()
    return ax


def divided_width(devices):
    """How wide the drawing of a divided head is, in inches."""
    return devices * (COLUMN + BESIDE)


def _draw_device(ax, left, name):
    """A column: its boxes, upwards the arrows of the forward pass, beside them those back."""
    ax.add_patch(Rectangle((left, 0.02), COLUMN, DIVIDED["softmax"][0], fc=PANEL, zorder=0))
    middle, right = left + COLUMN / 2, left + COLUMN - 0.08
    ax.text(middle, 0.15, name, fontsize=11, color=INK, ha="center", va="center_baseline")
    for key, lines in DIVIDED_PARTS.items():
        # beside the images there is room for the arrow from the backbone to the sums
        span = left + 0.08, right - 0.5 * (key == "images")
        color = STAYS if key in ("head", "logits") else "white"
        _divided_box(ax, key, span, color, lines)
    up, down = middle - 0.25, right - 0.25
    for lower, upper in itertools.pairwise(list(DIVIDED)[1:]):
        _divided_arrow(ax, up, _top(lower), _bottom(upper), INK)
        if lower != "images":
            _divided_arrow(ax, down, _bottom(upper), _top(lower), BACK)
    _divided_arrow(ax, down, _bottom("backbone"), _top("sums"), BACK)


def _top(key):
    return DIVIDED[key][0] + DIVIDED[key][1] / 2


def _bottom(key):
    return DIVIDED[key][0] - DIVIDED[key][1] / 2


def _divided_box(ax, key, span, color, lines):
    """A box in a row with one line of text or two; what is about gradients is in their colour."""
    (left, right), (middle, height) = span, DIVIDED[key]
    ax.add_patch(FancyBboxPatch((left, middle - height / 2), right - left, height, fc=color, ec=INK,
                                boxstyle="round,pad=0,rounding_size=0.08", lw=1.1))  # fmt: skip
    places = (0,) if len(lines) == 1 else (0.125, -0.125)
    for line, place in zip(lines, places, strict=True):
        ax.text((left + right) / 2, middle + place, line, fontsize=12, ha="center",
                va="center_baseline", color=BACK if line.startswith("▼") else INK)  # fmt: skip


def _divided_arrow(ax, x, start, end, color):
    ax.add_patch(FancyArrowPatch(path=Path([(x, start), (x, end)]), color=color, lw=1.6,
                                 arrowstyle="-|>,head_length=4.5,head_width=2.8",
                                 capstyle="butt", joinstyle="miter"))  # fmt: skip


# --- the field ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class CenterPull:
    """Softmax and, with a weight λ, the spring of center loss to a centre at `CENTRE`."""

    weight: float = CENTRE_WEIGHT

    def __call__(self, labels, logits, x):
        away = ops.sum(ops.square(x - CENTRE.astype("float32")), axis=-1)
        return softmax_cross_entropy(labels, logits) + self.weight / 2 * away


# Each loss as the course names it: its head, and the loss or, where it also asks for the
# embeddings, a function of labels, logits and embeddings.
FIELDS = {
    "softmax": (keras.layers.Dense, softmax_cross_entropy),
    "center loss": (keras.layers.Dense, CenterPull()),
    "modified softmax": (ModifiedSoftmaxHead, softmax_cross_entropy),
    "NormFace": (CosineHead, NormFaceLoss(SCALE)),
    "SphereFace": (CosineHead, SphereFaceLoss(2, SCALE)),
    "CosFace": (CosineHead, CosFaceLoss(0.35, SCALE)),
    "ArcFace": (CosineHead, ArcFaceLoss(0.5, SCALE)),
    "combined": (CosineHead, CombinedMarginLoss(1.0, 0.3, 0.2, SCALE)),
}

# What came after: models whose state is set as if they had trained. (t of CurricularFace; mean and
# std of the lengths that AdaFace has seen.)
LATER = {
    "CurricularFace": (adaptive.CurricularFaceModel, {"margin": 0.5}, {"t": 0.8}),
    "MagFace": (adaptive.MagFaceModel, {"margins": (0.1, 0.9), "lengths": (2.5, 9.0)}, {}),
    "AdaFace": (adaptive.AdaFaceModel, {"margin": 0.35, "h": 0.7}, {"mean": 5.5, "std": 2.0}),
}


@functools.cache
def _later(name):
    kind, settings, state = LATER[name]
    nothing = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    model = kind(nothing, _head(CosineHead), scale=SCALE, **settings)
    model.build((None, 2))
    for variable, value in state.items():
        getattr(model, variable).assign(value)
    return model


def push(loss, points):
    """Where a loss pushes embeddings of class 0: -dL/dx of each, by lib's own gradient.

    Args:
        loss: a name in `FIELDS` or `LATER`, a `lib.losses.MarginLoss`, or a `CenterPull`.
        points: (N, 2), each an embedding x.

    Returns:
        (N, 2) float32. On the target's class weight itself, where the pull turns from one side to
        the other, a cosine in float32 no longer knows the side.
    """
    return loss_and_push(loss, points)[1]


def loss_and_push(loss, points):
    """The loss of each embedding of class 0, (N,), and the push on it, as `push` gives it."""
    import tensorflow as tf

    head, loss = _head_and_loss(loss)
    points = inputs.array(points, "points", ("embeddings", 2))
    x, labels = tf.constant(points, dtype="float32"), np.zeros(len(points), dtype="int32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = head(x)
        if isinstance(loss, MarginLoss):
            each = loss.call(labels, logits)
        elif isinstance(loss, adaptive.AdaptiveModel):
            each = loss.loss_values(labels, logits, ops.norm(x, axis=-1), training=True)
        elif isinstance(loss, CenterPull):
            each = loss(labels, logits, x)
        else:
            each = loss(labels, logits)
        total = tf.reduce_sum(each)
    return each.numpy(), -tape.gradient(total, x).numpy()


def _head_and_loss(loss):
    """A head with the class weights, and the loss as in `FIELDS`."""
    if isinstance(loss, MarginLoss | adaptive.AdaptiveModel):
        return _head(CosineHead), loss
    if isinstance(loss, CenterPull):
        return _head(keras.layers.Dense), loss
    if loss in LATER:
        return _head(CosineHead), _later(loss)
    kind, found = FIELDS[inputs.one_of(loss, "loss", FIELDS)]
    return _head(kind), found


@functools.cache
def _head(kind):
    head = kind(len(DIRECTIONS))
    head.build((None, 2))
    free = kind is keras.layers.Dense
    head.set_weights([WEIGHTS * LENGTHS, BIASES] if free else [WEIGHTS])
    return head


def draw_field(ax, loss, key=True, color=None):
    """Draw the push of a loss on embeddings all over the plane; `key` draws the arrow of one unit.

    The loss as for `push`, its colour by default that of a loss with a name.
    """
    colors = LOSS_COLORS | LATER_COLORS
    color = color or colors.get(loss if isinstance(loss, str) else None, INK)
    draw_borders(ax, loss, color)
    arrows = draw_arrows(ax, FIELD_POINTS, push(loss, FIELD_POINTS), color)
    if key:
        ax.quiverkey(arrows, -0.93 * REACH, -0.93 * REACH, 2, "2", coordinates="data", color=INK,
                     labelpos="N", labelsep=0.04, fontproperties={"size": 10})  # fmt: skip
    draw_frame(ax, loss)
    ax.set_title(loss if isinstance(loss, str) else getattr(loss, "name", "center loss"))
    return ax


def draw_frame(ax, loss):
    """Draw what no setting of a loss moves: the class weights, the centre if it has one."""
    for label, way in enumerate(WEIGHTS.T):
        own = label == 0
        look = {"arrowstyle": "-|>", "color": INK if own else "0.6", "lw": 2, "shrinkA": 0,
                "shrinkB": 0, "mutation_scale": 12}  # fmt: skip
        ax.annotate("", (REACH + 1) * way, (REACH - 0.4) * way, arrowprops=look, zorder=5,
                    annotation_clip=False)  # fmt: skip
    if isinstance(_head_and_loss(loss)[1], CenterPull):
        ax.plot(*CENTRE, "X", color="white", mec=INK, ms=9, zorder=6)
    ends = -REACH - 1.1, REACH + 1.1
    ax.set(xlim=ends, ylim=ends, aspect="equal", xticks=(), yticks=())


def draw_arrows(ax, points, pushes, color):
    """An arrow for the push on each point (N, 2), all to one scale: matplotlib's quiver."""
    return ax.quiver(
        *points.T, *pushes.T, color=color, angles="xy", scale_units="xy", scale=1 / ARROW,
        units="inches", width=0.022, headwidth=4, headlength=4.5, headaxislength=4, zorder=4,
    )  # fmt: skip


def draw_borders(ax, loss, color):
    """The target's region with the margin, filled, and dashed where its border is without.

    Returns:
        What is drawn, a list of artists.
    """
    head, _ = _head_and_loss(loss)
    side = np.linspace(-REACH - 1, REACH + 1, 121)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    logits = ops.convert_to_numpy(head(grid.astype("float32")))
    own, others = logits[:, 0], logits[:, 1:].max(axis=1)
    plane, drawn = (side, side), []
    given = margins(loss, np.linalg.norm(grid, axis=1))
    if given:
        without = (own - others).reshape(121, 121)
        look = {"colors": "0.5", "linestyles": "--", "linewidths": 1.2}
        drawn.append(ax.contour(*plane, without, (0,), **look))
        own = ops.convert_to_numpy(margin_logit(own, *given))
    ahead = (own - others).reshape(121, 121)
    drawn.append(ax.contourf(*plane, ahead, (0, np.inf), colors=[color], alpha=0.16))
    drawn.append(ax.contour(*plane, ahead, (0,), colors=[color], linewidths=1.6))
    rim = ax.add_patch(Circle((0, 0), REACH, fill=False, ec="0.8", lw=0.8))
    for contours in drawn:
        contours.set_clip_path(rim)
    return [*drawn, rim]


def margins(loss, lengths):
    """m1, m2, m3 that a loss gives to embeddings of these lengths, (N,); None if it has no margin.

    The loss as for `push`.
    """
    _, loss = _head_and_loss(loss)
    if isinstance(loss, MarginLoss):
        return loss.m1, loss.m2, loss.m3
    if isinstance(loss, adaptive.AdaptiveModel):
        return 1.0, *loss.margins_of(np.asarray(lengths, "float32"))
    return None
