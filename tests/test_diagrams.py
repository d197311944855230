"""The map fits its words and lights what it should; the field's arrows are the loss's gradient."""

import itertools
import re
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import reference
from lib import diagrams, plots
from lib.losses import (
    ArcFaceLoss,
    CombinedMarginLoss,
    CosFaceLoss,
    MarginLoss,
    NormFaceLoss,
    SphereFaceLoss,
    margin_logit,
    softmax_cross_entropy,
)
from lib.models import CenterLossModel
from lib.tools import pictures

import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NORMALISED = ("NormFace", "SphereFace", "CosFace", "ArcFace", "combined")
MARGINS = dict(zip(NORMALISED, [(1, 0, 0), (2, 0, 0), (1, 0, 0.35), (1, 0.5, 0), (1, 0.3, 0.2)],
                   strict=True))  # fmt: skip
POINTS = np.random.default_rng(0).uniform(-8, 8, (200, 2))
# On the axis of the target a float32 cosine has lost the angle, which ArcFace's slope multiplies.
POINTS = POINTS[np.abs(POINTS[:, 0]) > 0.1 * np.linalg.norm(POINTS, axis=1)]
each_loss = pytest.mark.parametrize("loss", diagrams.FIELDS)


@pytest.fixture(autouse=True)
def closed_figures():
    with plt.rc_context():
        plots.use_course_style()
        yield
    plt.close("all")


# --- the map --------------------------------------------------------------------------------------


@pytest.fixture(params=diagrams.MAP)
def lesson(request):
    return request.param


def drawn(lesson):
    """The figure, and its boxes and texts with the room that each takes, in pixels."""
    fig = plots.method_map(lesson)
    assert fig.get_label() == "method map"
    fig.canvas.draw()
    (ax,) = fig.axes
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    return fig, *(
        [(artist, artist.get_window_extent()) for artist in artists]
        for artists in (boxes, ax.texts)
    )


def test_a_map_lights_what_its_lesson_is_about_and_dashes_what_it_skips(lesson):
    _, boxes, texts = drawn(lesson)
    stop = diagrams.MAP[lesson]
    assert set(stop.lit) | set(stop.skipped) <= set(diagrams.STEPS) | set(diagrams.BELOW)
    keys = [*diagrams.STEPS, *diagrams.BELOW]
    for key, (box, _) in zip(keys, boxes, strict=True):
        assert (to_hex(box.get_facecolor()) == diagrams.LIT) == (key in stop.lit)
        assert (box.get_linestyle() == "--") == (key in stop.skipped)
    assert texts[-1][0].get_text() == stop.formula


def test_on_a_map_no_word_is_small_or_leaves_its_box(lesson):
    fig, boxes, texts = drawn(lesson)
    assert min(text.get_fontsize() for text, _ in texts) >= 9
    places = [extent for _, extent in boxes]
    for first, second in itertools.combinations(places, 2):
        assert not first.overlaps(second)
    *words, (_, formula) = texts
    for word, extent in words:
        inside = [p for p in places if p.x0 + 1 < extent.x0 and extent.x1 < p.x1 - 1
                  and p.y0 < extent.y0 and extent.y1 < p.y1]  # fmt: skip
        assert len(inside) == 1, word.get_text()
    assert not any(formula.overlaps(place) for place in places)
    assert fig.bbox.x0 < formula.x0 < formula.x1 < fig.bbox.x1
    assert fig.bbox.y0 < formula.y0


def test_on_a_map_every_arrow_goes_from_box_to_box(lesson):
    fig, boxes, _ = drawn(lesson)
    (ax,) = fig.axes
    places = [extent.transformed(ax.transData.inverted()) for _, extent in boxes]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) >= len(boxes) - 1
    for arrow in arrows:
        ends = arrow._path_original.vertices[[0, -1]]
        for x, y in ends:
            touched = [place.padded(0.02).contains(x, y) for place in places]
            assert sum(touched) == 1


def test_every_lesson_has_its_map_as_its_first_picture():
    files = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    assert len(files) == len(diagrams.MAP)
    for path, number in zip(files, diagrams.MAP, strict=True):
        cells = nbformat.read(path, as_version=4).cells
        first = next(cell for cell in cells if "plots." in cell.source and cell.id != "setup")
        assert f"plots.method_map({number})" in first.source, path.name
        others = re.findall(r'new_figure\(\s*"(.*?)"', "".join(cell.source for cell in cells))
        assert not {"method map", "all fields"} & set(others), "it would be drawn over"


# --- the field ------------------------------------------------------------------------------------


def logits_of(loss, points):
    """Logits without a margin, in float64."""
    if loss in ("softmax", "center loss"):
        return points @ (diagrams.WEIGHTS * diagrams.LENGTHS) + diagrams.BIASES
    return points @ diagrams.WEIGHTS


def values(loss, points):
    """The loss of each embedding of class 0, by the formulas of `reference`, in float64."""
    labels, logits = np.zeros(len(points), dtype=int), logits_of(loss, points)
    if loss in NORMALISED:
        cosines = logits / np.linalg.norm(points, axis=1, keepdims=True)
        return reference.margin_loss(labels, cosines, *MARGINS[loss], diagrams.SCALE)[0]
    value = reference.cross_entropy(labels, logits)[0]
    if loss == "center loss":
        value += diagrams.CENTRE_WEIGHT / 2 * ((points - diagrams.CENTRE) ** 2).sum(axis=1)
    return value


@each_loss
def test_the_push_is_how_the_loss_falls(loss):
    """Against finite differences of losses that do not come from lib."""
    steps = 1e-5 * np.eye(2)
    falls = [(values(loss, POINTS - step) - values(loss, POINTS + step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(
        diagrams.push(loss, POINTS), np.transpose(falls), atol=1e-5, rtol=1e-5
    )


def test_the_push_of_center_loss_is_that_of_its_model():
    unchanged = keras.Sequential([keras.Input((2,)), keras.layers.Activation("linear")])
    model = CenterLossModel(unchanged, keras.layers.Dense(5), diagrams.CENTRE_WEIGHT)
    model.compile(keras.optimizers.SGD(0.0), loss=softmax_cross_entropy)
    model.build((None, 2))
    model.head.set_weights([diagrams.WEIGHTS * diagrams.LENGTHS, diagrams.BIASES])
    model.centers.assign(np.tile(diagrams.CENTRE, (5, 1)))
    x, labels = tf.constant(POINTS, dtype="float32"), np.zeros(len(POINTS), dtype=int)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = model.compute_loss(x, labels, model(x), training=False)
    expected = -len(POINTS) * tape.gradient(loss, x)
    np.testing.assert_allclose(diagrams.push("center loss", POINTS), expected, atol=1e-5)


# 1.5 s K l^2 u^2 / (u^2 - l^2), with K the slope of the margin
MAGFACE_WEIGHT = 1.5 * diagrams.SCALE * (0.8 / 6.5) * 2.5**2 * 9**2 / (9**2 - 2.5**2)
ZEROS = np.zeros(len(POINTS), dtype=int)
LATER = {
    "CurricularFace": lambda c, lengths: reference.curricular(ZEROS, c, 0.8, 0.5, diagrams.SCALE),
    "MagFace": lambda c, lengths: reference.magface(
        ZEROS, c, lengths, (0.1, 0.9), (2.5, 9.0), MAGFACE_WEIGHT, diagrams.SCALE
    ),
    "AdaFace": lambda c, lengths: reference.adaface(
        ZEROS, c, lengths, 5.5, 2.0, 0.35, 0.7, diagrams.SCALE
    ),
}


@pytest.mark.parametrize("loss", LATER)
def test_the_push_of_what_came_after_is_how_the_loss_falls(loss):
    """As above; AdaFace's quality is a constant, so there the length keeps its place."""
    lengths = np.linalg.norm(POINTS, axis=1)

    def at(points):
        own = np.linalg.norm(points, axis=1)
        cosines = points @ diagrams.WEIGHTS / own[:, None]
        found = LATER[loss](cosines, lengths if loss == "AdaFace" else own)
        return found[0] if isinstance(found, tuple) else found

    steps = 1e-5 * np.eye(2)
    falls = np.transpose([(at(POINTS - step) - at(POINTS + step)) / 2e-5 for step in steps])
    # across the ends of a clipped length or of a hard rival there is a kink
    smooth = np.abs(lengths[:, None] - [2.5, 9.0]).min(axis=1) > 1e-3
    pushes = diagrams.push(loss, POINTS)
    np.testing.assert_allclose(pushes[smooth], falls[smooth], atol=2e-4, rtol=1e-4)
    along = (pushes * POINTS).sum(axis=1) / lengths
    assert (np.abs(along).max() > 0.1) == (loss == "MagFace"), "only MagFace pushes along x"


def test_the_regions_of_what_came_after_follow_the_length():
    """What lesson 10 says of its picture: MagFace's narrows outwards, AdaFace's is a leaf."""

    def width(loss, length):
        turned = np.radians(np.linspace(-90, 90, 721))
        points = length * np.stack([np.sin(turned), np.cos(turned)], axis=1)
        cosines = points @ diagrams.WEIGHTS / length
        margins = diagrams.margins(loss, np.full(721, length))
        own = np.asarray(margin_logit(cosines[:, 0], *margins))
        return np.mean(own > cosines[:, 1:].max(axis=1))

    magface, adaface = ([width(loss, r) for r in (3, 6, 9)] for loss in ("MagFace", "AdaFace"))
    assert magface[0] > magface[1] > magface[2] > 0
    assert adaface[0] > adaface[1] > adaface[2] == 0
    assert width("CurricularFace", 3) == width("CurricularFace", 9)


@each_loss
def test_only_a_loss_that_sees_the_length_pushes_along_it(loss):
    outwards = POINTS / np.linalg.norm(POINTS, axis=1, keepdims=True)
    along = np.abs((diagrams.push(loss, POINTS) * outwards).sum(axis=1)).max()
    assert along < 1e-5 if loss in NORMALISED else along > 1


@pytest.mark.parametrize(
    "loss",
    [SphereFaceLoss(1, 8), CosFaceLoss(0, 8), ArcFaceLoss(0, 8), CombinedMarginLoss(1, 0, 0, 8)],
    ids=lambda loss: loss.name,
)
def test_with_a_neutral_margin_a_field_is_that_of_normface(loss):
    np.testing.assert_array_equal(diagrams.push(loss, POINTS), diagrams.push("NormFace", POINTS))
    assert np.abs(diagrams.push("ArcFace", POINTS) - diagrams.push("NormFace", POINTS)).max() > 1


def test_a_loss_of_its_own_setting_gives_its_own_field():
    same = diagrams.push(NormFaceLoss(diagrams.SCALE), POINTS)
    np.testing.assert_array_equal(same, diagrams.push("NormFace", POINTS))
    _, ax = plots.new_figure("own")
    plots.plot_field(ax, NormFaceLoss(4, name="mine"))
    assert ax.get_title() == "mine"
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_the_fields_words_say_what_is_so():
    """What lesson 7 says of its picture."""
    upwards = np.array([[0, r] for r in (1, 2, 4, 8)], dtype=float)  # on the own class weight
    softmax, modified = (diagrams.push(name, upwards) for name in ("softmax", "modified softmax"))
    for field in (softmax, modified):
        assert (field[:, 1] > 0).all(), "longer, always"
        assert (np.diff(field[:, 1]) < 0).all(), "and ever less so"
        assert field[-1, 1] < 0.05
    spring = diagrams.push("center loss", np.array([[0.0, 60.0], [0.0, 114.0]]))
    np.testing.assert_allclose(spring, [[0, -5.4], [0, -10.8]], atol=1e-3)
    angle = np.radians(90 + 30)  # on the right side of the border, which is at 36 degrees
    inside = 6 * np.array([[np.cos(angle), np.sin(angle)]])
    pushes = {name: np.linalg.norm(diagrams.push(name, inside)) for name in NORMALISED}
    assert all(pushes[name] > 1.5 * pushes["NormFace"] for name in NORMALISED[1:])


def test_all_fields_are_drawn_each_in_its_colour_with_the_arrows_of_its_push():
    fig = plots.all_fields()
    fig.canvas.draw()
    assert [ax.get_title() for ax in fig.axes] == list(diagrams.FIELDS)
    colors = set()
    for ax, loss in zip(fig.axes, diagrams.FIELDS, strict=True):
        (arrows,) = (c for c in ax.collections if isinstance(c, matplotlib.quiver.Quiver))
        expected = diagrams.push(loss, np.asarray(arrows.get_offsets()))
        np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), expected, atol=1e-6)
        assert arrows.scale == 1 / diagrams.ARROW
        colors.add(to_hex(arrows.get_facecolor()[0]))
    assert len(colors) == len(diagrams.FIELDS)


@pytest.mark.parametrize(("loss", "border"), [("NormFace", 36.0), ("SphereFace", 24.0),
                                              ("ArcFace", 36 - np.degrees(0.25))])  # fmt: skip
def test_the_filled_region_ends_where_the_loss_is_ln_2_against_one_rival(loss, border):
    """At 72 degrees between classes: θ = 72° - θ, 2 θ = 72° - θ, θ + m = 72° - θ."""
    _, ax = plots.new_figure("border")
    plots.plot_field(ax, loss)
    (filled,) = (c for c in ax.collections if getattr(c, "filled", False))
    for degrees, content in ((border - 1.5, True), (border + 1.5, False)):
        angle = np.radians(90 + degrees)
        point = 6 * np.cos(angle), 6 * np.sin(angle)
        assert filled.get_paths()[0].contains_point(point) == content


def test_the_animation_shows_each_field_and_ends_each_with_the_settings_of_its_still():
    stages = {loss: setting(1.0) for _, loss, setting in pictures.FIELD_STAGES}
    assert list(stages) == list(diagrams.FIELDS)
    for loss, setting in stages.items():
        if isinstance(setting, tuple):
            setting = MarginLoss(*setting, scale=diagrams.SCALE)
        pushes = (diagrams.push(shown, diagrams.FIELD_POINTS) for shown in (loss, setting))
        np.testing.assert_array_equal(*pushes)
    animation = Image.open(pictures.IMAGES / "fields.gif")
    growing = sum(setting(0.0) != setting(1.0) for _, _, setting in pictures.FIELD_STAGES)
    assert animation.n_frames == len(stages) + 6 * growing


def test_lesson_7_says_little_about_the_fields():
    cells = nbformat.read(NOTEBOOKS / "07_combined_margins.ipynb", as_version=4).cells
    text = next(cell.source for cell in cells if cell.id == "fields-text")
    assert len(re.findall(r"\S+", text)) <= 60


@pytest.mark.parametrize("devices", [3, 4, 5])
def test_a_divided_head_has_a_column_for_each_device_and_lights_what_travels(devices):
    fig = plots.divided_head(devices)
    fig.canvas.draw()
    (ax,) = fig.axes
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    colors = [to_hex(box.get_facecolor()) for box in boxes]
    assert colors.count(diagrams.LIT) == 3
    assert colors.count(diagrams.STAYS) == 2 * devices
    assert colors.count("#ffffff") == 3 * devices
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    places = [box.get_window_extent() for box in boxes]
    for first, second in itertools.combinations(places, 2):
        assert not first.overlaps(second)
    names = []
    for text in ax.texts:
        assert text.get_fontsize() >= 9
        words, room = text.get_text(), text.get_window_extent()
        if words.startswith("device"):
            names.append(words)
            assert fig.bbox.y0 < room.y0
            assert not any(room.overlaps(place) for place in places)
        else:
            (box,) = [place for place in places if place.overlaps(room)]
            assert box.x0 < room.x0 < room.x1 < box.x1, words
            assert box.y0 < room.y0 < room.y1 < box.y1, words
        assert not any(room.overlaps(arrow.get_window_extent()) for arrow in arrows), words
    assert names == [f"device {number + 1}" for number in range(devices)]


def test_in_a_divided_head_gradients_go_down_to_their_sums_and_all_else_up():
    (ax,) = plots.divided_head(4).axes
    boxes = [patch.get_bbox() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    ways = {diagrams.INK: 0, diagrams.BACK: 0}
    for arrow in (patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)):
        (x, start), (_, end) = arrow._path_original.vertices[[0, -1]]
        color = to_hex(arrow.get_edgecolor())
        assert (end > start) == (color == diagrams.INK)
        ways[color] += 1
        for y in (start, end):  # each end is on the edge of one box, and no box is between
            assert sum(box.padded(0.01).contains(x, y) for box in boxes) == 1
        assert not any(box.contains(x, (start + end) / 2) for box in boxes)
    assert ways == {diagrams.INK: 4 * 6, diagrams.BACK: 4 * 6}


@pytest.mark.parametrize("devices", [2, 6, 2.5, "four"])
def test_a_divided_head_of_another_number_is_refused(devices):
    with pytest.raises(ValueError, match="devices"):
        plots.divided_head(devices)
