"""The pictures draw what they are given, with labels, and a figure is made only once."""

from types import SimpleNamespace

import matplotlib

matplotlib.use("agg")

from lib import evaluation, palette, plots, verification
from lib.records import results

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def closed_figures():
    with plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def flower():
    """Three embeddings a class on ten rays, and the class weights that point along them."""
    labels = np.repeat(np.arange(10), 3)
    angles = 2 * np.pi * (labels + 0.05 * np.tile((-1, 0, 1), 10)) / 10
    embeddings = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return embeddings, labels, evaluation.class_centres(embeddings, labels).T


def test_the_same_name_gives_the_same_figure_cleared():
    first, ax = plots.new_figure("twice")
    ax.plot([0, 1])
    open_figures = plt.get_fignums()
    second, ax = plots.new_figure("twice")
    assert first is second
    assert not ax.lines
    assert plt.get_fignums() == open_figures


def test_a_figure_needs_a_description_and_carries_it(monkeypatch):
    shown = {}
    monkeypatch.setattr(plots, "display", lambda figure, metadata: shown.update(metadata))
    fig, _ = plots.new_figure("described")
    with pytest.raises(ValueError, match="describe the figure"):
        plots.show(fig, "a plot")
    plots.show(fig, "A line that falls from one to zero.")
    assert shown == {"image/png": {"alt": "A line that falls from one to zero."}}


def test_three_pictures_have_titles_and_axis_labels(flower):
    embeddings, labels, weights = flower
    fig = plots.three_pictures("three", embeddings, labels, weights.T, weights)
    assert len(fig.axes) == 3
    for ax in fig.axes:
        assert ax.get_title()
        assert ax.get_xlabel()
        assert ax.get_ylabel()
    fig.canvas.draw()


def test_three_pictures_in_space_are_a_cloud_a_sphere_and_a_histogram():
    rng = np.random.default_rng(0)
    labels, weights = np.arange(30) % 10, rng.normal(size=(3, 10))
    embeddings = 5 * weights.T[labels] + rng.normal(size=(30, 3))
    fig = plots.three_pictures("space", embeddings, labels, weights.T, weights)
    fig.canvas.draw()
    histogram, cloud, sphere = fig.axes  # the two of three dimensions were added last
    assert (cloud.get_title(), sphere.get_title()) == (
        "embeddings",
        "directions on the unit sphere",
    )
    for label in range(10):
        drawn = np.stack(cloud.collections[label]._offsets3d, axis=1)
        np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(embeddings[labels == label], 0))
    assert cloud.get_zlabel()
    assert sphere.get_zlabel()
    assert histogram.get_title() == "angles to the centres"
    lefts = [ax.get_position().x0 for ax in (cloud, sphere, histogram)]
    assert lefts == sorted(lefts)


def test_each_class_is_drawn_as_its_digit_and_lines_point_along_the_weights(flower):
    embeddings, labels, weights = flower
    _, ax = plots.new_figure("digits")
    plots.plot_embeddings(ax, embeddings, labels, weights)
    drawn = [np.asarray(points.get_offsets()) for points in ax.collections]
    assert len(drawn) == 10
    for label, points in enumerate(drawn):
        assert np.allclose(points, embeddings[labels == label])
    for line, weight in zip(ax.lines, weights.T, strict=False):
        tip = line.get_xydata()[1]
        assert np.allclose(tip / np.linalg.norm(tip), weight)


def test_a_petal_has_its_peak_at_the_class_direction(flower):
    embeddings, labels, _ = flower
    angles = np.arctan2(embeddings[:, 1], embeddings[:, 0])
    grid = np.linspace(-np.pi, np.pi, 1441)
    density = plots.circular_density(angles[labels == 2], grid)
    assert grid[density.argmax()] == pytest.approx(2 * np.pi * 2 / 10, abs=0.02)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=0.01)


def test_the_circle_also_takes_a_part_of_the_classes(flower):
    embeddings, labels, weights = flower
    _, ax = plots.new_figure("part")
    plots.plot_unit_circle(ax, embeddings[labels > 4], labels[labels > 4], weights[:, :3])
    assert {text.get_text() for text in ax.texts if text.get_text()} == set("01256789")


def test_the_histogram_counts_own_and_other_angles(flower):
    embeddings, labels, weights = flower
    _, ax = plots.new_figure("angles")
    plots.plot_angle_histogram(ax, embeddings, labels, weights.T)
    own, other = (patch.get_data() for patch in ax.patches)
    assert own.edges[:-1][own.values > 0].max() < 3  # at most 1.8 degrees from the centre
    assert other.edges[:-1][other.values > 0].min() >= 33  # the next ray is 36 degrees away


def test_losses_differ_in_what_strokes_follow_each_other_not_only_in_their_lengths():
    def strokes(dash):
        named = {"-": (0, ()), ":": (0, plt.rcParams["lines.dotted_pattern"])}
        lengths = named.get(dash, dash)[1][::2]
        kinds = ["dot" if x < 2 else "short" if x < 4 else "stroke" if x < 9 else "long"
                 for x in lengths]  # fmt: skip
        return tuple(sorted(kinds))

    kinds = [strokes(dash) for dash in palette.LOSS_DASHES.values()]
    assert len(set(kinds)) == len(palette.LOSS_COLORS) == 8


def test_the_nearest_other_is_one_angle_an_image(flower):
    """As a density: what is shown of both covers the same area, one, if all of it is shown."""
    embeddings, labels, weights = flower
    _, ax = plots.new_figure("nearest")
    plots.plot_own_and_nearest(ax, embeddings, labels, weights.T)
    own, nearest = (patch.get_data() for patch in ax.patches)
    assert own.edges[:-1][own.values > 0].max() < 3
    shown = nearest.edges[:-1][nearest.values > 0]
    assert 33 <= shown.min() <= shown.max() < 37  # the rays beyond the neighbours do not count
    for drawn in (own, nearest):
        assert (drawn.values * np.diff(drawn.edges)).sum() == pytest.approx(1)
    _, ax = plots.new_figure("cut")
    plots.plot_own_and_nearest(ax, embeddings, labels, weights.T, widest=20)
    assert not ax.patches[1].get_data().values.any()  # all of them are wider


def test_each_row_has_the_three_pictures_of_its_model(flower):
    embeddings, labels, weights = flower
    near = {"embeddings": embeddings, "labels": labels, "centres": weights.T, "weights": weights}
    wide = near | {"embeddings": embeddings + (1, 0), "weights": None}
    fig = plots.pictures_in_rows("rows", {"near": near, "wide": wide}, widest=40)
    fig.canvas.draw()
    assert [ax.get_title() for ax in fig.axes[::3]] == ["near", "wide"]
    for ax, parts in zip(fig.axes[::3], (near, wide), strict=True):
        drawn = np.concatenate([points.get_offsets() for points in ax.collections])
        np.testing.assert_allclose(drawn, parts["embeddings"])  # both are sorted by class
    assert len(fig.axes[0].lines) == len(fig.axes[3].lines) + 10  # ten directions of weights
    first, second = fig.axes[2], fig.axes[5]
    assert first.get_ylim() == second.get_ylim()
    assert first.get_xlim() == second.get_xlim() == (0, 40)
    highest = max(patch.get_data().values.max() for patch in (*first.patches, *second.patches))
    assert first.get_ylim()[1] > highest


def test_decision_regions_show_the_winning_class(flower):
    embeddings, labels, weights = flower
    head = keras.layers.Dense(10, use_bias=False)
    head.build((None, 2))
    head.set_weights([weights])
    _, ax = plots.new_figure("regions")
    plots.plot_decision_regions(ax, head, embeddings, labels, resolution=101)
    picture = ax.images[0].get_array()
    for label in (0, 3):
        x, y = (0.7 * weights[:, label] * 50 + 50).round().astype(int)
        expected = 0.35 * np.array(matplotlib.colors.to_rgb(plots.COLORS[label])) + 0.65
        assert np.allclose(picture[y, x], expected)


def test_images_are_tiled_row_by_row():
    _, ax = plots.new_figure("tiles")
    images = np.arange(6, dtype=float).reshape(6, 1, 1, 1) * np.ones((6, 28, 28, 1)) / 5
    plots.plot_images(ax, images, columns=3)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (60, 90)
    assert sheet[15, 75] == pytest.approx(2 / 5)
    assert sheet[45, 15] == pytest.approx(3 / 5)


def test_images_in_colour_keep_it_on_white():
    _, ax = plots.new_figure("colour tiles")
    images = np.zeros((3, 8, 8, 3)) + [0.2, 0.5, 0.9]
    plots.plot_images(ax, images, columns=2)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (20, 20, 3)
    assert np.allclose(sheet[15, 5], [0.2, 0.5, 0.9])
    assert np.allclose(sheet[15, 15], 1)
    assert np.allclose(sheet[0], 1)


def test_tsne_is_the_same_for_the_same_seed_and_separates_rays(flower):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 20)
    embeddings = 10 * np.eye(10)[labels] + rng.normal(size=(200, 10))
    layout = plots.tsne(embeddings, seed=1)
    assert np.array_equal(layout, plots.tsne(embeddings, seed=1))
    middles = np.array([layout[labels == c].mean(axis=0) for c in range(10)])
    nearest = np.linalg.norm(layout[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == labels).mean() == 1


def test_hovering_shows_the_image_of_the_point(flower):
    embeddings, labels, _ = flower
    images = np.random.default_rng(0).random((30, 28, 28, 1))
    fig, ax = plots.new_figure("hover")
    plots.plot_tsne(ax, embeddings, labels, images)
    fig.canvas.draw()
    (box,) = (a for a in ax.artists if isinstance(a, matplotlib.offsetbox.AnnotationBbox))

    def move_to(x, y):
        matplotlib.backend_bases.MouseEvent("motion_notify_event", fig.canvas, x, y)._process()

    move_to(*ax.transData.transform(embeddings[7]))
    assert box.get_visible()
    assert np.array_equal(box.offsetbox.get_data(), images[7].squeeze())
    move_to(*(ax.transData.transform(embeddings[7]) + 60))
    assert not box.get_visible()


def test_error_rates_cross_at_the_eer():
    """One of four is wrong on both sides between 0.6 and 0.7."""
    scores = np.array([0.9, 0.8, 0.7, 0.4, 0.6, 0.3, 0.2, 0.1])
    _, ax = plots.new_figure("errors")
    plots.plot_error_rates(ax, verification.split_scores(scores, np.arange(8) < 4))
    far, refused, crossing = ax.lines
    assert crossing.get_ydata()[0] == 0.25
    assert 0.6 <= crossing.get_xdata()[0] <= 0.7
    for line, part, wrong in ((far, scores[4:], 1), (refused, scores[:4], -1)):
        threshold, rate = line.get_xydata()[500]
        assert rate == np.mean(wrong * part >= wrong * threshold)


def test_loss_curves_name_each_training_and_count_the_epochs_of_the_longest():
    histories = {
        name: SimpleNamespace(history={"loss": losses})
        for name, losses in (("long", [2.0, 1.0, 0.5, 0.4]), ("short", [3.0, 1.0]))
    }
    _, ax = plots.new_figure("curves")
    plots.plot_loss_curves(ax, histories)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["long", "short"]
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 3, 4], [1, 2]]
    assert list(ax.get_xticks()) == [1, 2, 3, 4]


SEVEN = [f"number {i}" for i in range(7)]
RECORD = results.Record("title", {"0": {name: i for i, name in enumerate(SEVEN)}})
MANY_CURVES = {
    plots.plot_roc: ({name: ([0.1, 1], [i / 9, 1]) for i, name in enumerate(SEVEN)},),
    plots.plot_sweep: ({"a": RECORD}, {name: name for name in SEVEN}),
    plots.plot_ranges: (dict.fromkeys(SEVEN, RECORD), SEVEN[0], {name: [name] for name in SEVEN}),
    plots.plot_loss_curves: (
        {name: SimpleNamespace(history={"loss": [i, 0]}) for i, name in enumerate(SEVEN)},
    ),
}


@pytest.mark.parametrize("plot", MANY_CURVES, ids=lambda plot: plot.__name__)
def test_seven_curves_are_drawn_and_each_looks_different(plot):
    _, ax = plots.new_figure("seven")
    plot(ax, *MANY_CURVES[plot])
    named = [line for line in ax.lines if line.get_label() in SEVEN]
    assert [line.get_label() for line in named] == SEVEN
    looks = {(line.get_color(), line.get_linestyle(), line.get_marker()) for line in named}
    assert len(looks) == 7
    assert min(contrast_with_white(color) for color, *_ in looks) >= 3


def inside(regions, *point):
    """Whether a filled contour covers a point."""
    return regions.get_paths()[0].contains_point(point)


@pytest.mark.parametrize(("m", "angle", "content"), [(1, 29, True), (2, 29, False), (2, 19, True)])
def test_the_plane_of_angles_is_filled_where_m_times_the_angle_is_smaller(m, angle, content):
    _, ax = plots.new_figure("angles")
    plots.plot_angle_regions(ax, lambda angle: np.cos(m * angle), limit=60)
    first, second = ax.collections
    assert inside(first, angle, 40) == content
    assert inside(second, 40, angle) == content
    assert not inside(second, angle, 40)


@pytest.mark.parametrize(("other", "content"), [(0.68, True), (0.72, False), (0.85, False)])
def test_the_plane_of_cosines_leaves_a_strip_white(other, content):
    """With 0.1 subtracted, class 1 at a cosine of 0.8 is content with others up to 0.7."""
    _, ax = plots.new_figure("cosines")
    plots.plot_cosine_regions(ax, lambda angle: np.cos(angle) - 0.1, lowest=0.5)
    first, second = ax.collections
    assert inside(first, 0.8, other) == content
    assert inside(second, other, 0.8) == content
    assert not inside(second, 0.8, other)


def test_the_circle_is_filled_up_to_the_margin_on_both_sides_of_a_class():
    """At 36 degrees between two classes and m = 2, inwards up to 12 degrees, outwards up to 36."""
    _, ax = plots.new_figure("circle")
    plots.plot_margin_on_circle(ax, lambda angle: np.cos(2 * angle), (0, 36))
    first, second = ax.collections[:2]
    for degrees, content in ((-37, False), (-35, True), (11, True), (13, False)):
        point = 0.7 * np.cos(np.radians(degrees)), 0.7 * np.sin(np.radians(degrees))
        assert inside(first, *point) == content, degrees
    assert inside(second, 0.7 * np.cos(np.radians(25)), 0.7 * np.sin(np.radians(25)))
    assert ax.get_title()


def test_a_sweep_draws_each_seed_and_a_line_through_the_means():
    low, high = (
        results.Record("a", {str(i): {"eer": v, "other": -v} for i, v in enumerate(values)})
        for values in ([1.0, 2.0, 6.0], [4.0, 6.0])
    )
    _, ax = plots.new_figure("sweep")
    plots.plot_sweep(ax, {"0": low, "0.1": high}, {"eer": "by angle", "other": "by distance"})
    drawn = [list(line.get_ydata()) for line in ax.lines[:4]]
    assert drawn == [[3.0, 5.0], [1.0, 2.0, 6.0], [4.0, 6.0], [-3.0, -5.0]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "0.1"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["by angle", "by distance"]


def test_ranges_go_from_the_lowest_seed_to_the_highest_with_the_mean_on_them():
    first = results.Record("first", {"0": {"eer": 1.0}, "1": {"eer": 2.0}, "2": {"eer": 6.0}})
    second = results.Record("second", {"0": {"eer": 4.0}})
    _, ax = plots.new_figure("ranges")
    plots.plot_ranges(ax, {"a": first, "b": second}, "eer", {"one": ("a",), "two": ("b",)})
    line, seeds, mean = ax.lines[:3]
    assert list(line.get_xdata()) == [1.0, 6.0]
    assert list(seeds.get_xdata()) == [1.0, 2.0, 6.0]
    assert (list(mean.get_xdata()), list(mean.get_ydata())) == ([3.0], [0])
    assert list(ax.lines[5].get_ydata()) == [1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_ylim() == (1.5, -0.5)  # the first row is on top
    assert ax.lines[2].get_marker() != ax.lines[5].get_marker()
    assert ax.get_legend_handles_labels()[1] == ["one", "two"]


def test_pulls_on_arcs_start_at_the_images_and_are_drawn_to_one_scale():
    offsets = np.array([-10, 10, 20])
    sideways = np.stack([-np.sin(np.radians(offsets)), np.cos(np.radians(offsets))], axis=1)
    pulls = {"weak": -np.sign(offsets)[:, None] * sideways, "strong": -2 * sideways}
    _, ax = plots.new_figure("arcs")
    plots.plot_pulls_on_arcs(ax, pulls, offsets)
    weak, strong = (c for c in ax.collections if isinstance(c, matplotlib.quiver.Quiver))
    lengths = [np.hypot(arrows.U, arrows.V) for arrows in (weak, strong)]
    assert np.allclose(lengths[0], lengths[0][0])
    assert np.allclose(lengths[1], 2 * lengths[0])
    assert np.allclose(np.hypot(*strong.get_offsets().T), 1)
    # class 0 is at the top: what is 10 degrees to either side is pulled back to the middle
    assert np.allclose(weak.get_offsets()[:2, 0], -1.2 * np.sin(np.radians(offsets[:2])))
    assert weak.U[0] < 0 < weak.U[1]
    assert {"weak", "strong"} <= {text.get_text() for text in ax.texts}


def test_a_projector_gets_larger_figures_and_nobody_else_does(monkeypatch):
    monkeypatch.delenv("COURSE_PROJECTOR", raising=False)
    plots.use_course_style()
    usual = plt.rcParams["figure.dpi"]
    monkeypatch.setenv("COURSE_PROJECTOR", "1")
    plots.use_course_style()
    assert plt.rcParams["figure.dpi"] > 1.3 * usual
    monkeypatch.delenv("COURSE_PROJECTOR")
    plots.use_course_style()
    assert plt.rcParams["figure.dpi"] == usual == 82


def test_scores_of_pairs_are_counted_kind_by_kind():
    scores = np.array([0.99, 0.5, 0.501, -0.2, 0.1, 0.1, 0.1, 0.9, 1.0])
    pairs = verification.split_scores(scores, np.arange(9) < 3)
    for log in (False, True):
        _, ax = plots.new_figure(f"pairs {log}")
        plots.plot_pair_scores(ax, pairs, log)
        own, other = (patch.get_data() for patch in ax.patches)
        for stairs, part in ((own, scores[:3]), (other, scores[3:])):
            expected = np.histogram(part, stairs.edges)[0] / len(part)
            np.testing.assert_allclose(stairs.values, expected)
            assert stairs.values.sum() == pytest.approx(1)
        assert ax.get_yscale() == ("log" if log else "linear")
        assert ax.get_legend_handles_labels()[1] == ["genuine pairs", "impostor pairs"]


def test_every_loss_can_be_a_line_in_its_own_colour_and_dash():
    _, ax = plots.new_figure("losses")
    plots.plot_roc(ax, {loss: ([0.1, 1], [0.5, 1]) for loss in palette.LOSS_COLORS})
    assert [line.get_color() for line in ax.lines] == list(palette.LOSS_COLORS.values())
    for line, dash in zip(ax.lines, palette.LOSS_DASHES.values(), strict=True):
        like = plt.Line2D([], [], ls=dash, lw=line.get_linewidth())
        assert line._dash_pattern == like._dash_pattern


def test_a_roc_curve_has_a_logarithmic_axis_and_a_line_for_each_model():
    _, ax = plots.new_figure("roc")
    curves = {"one": ([1e-4, 1e-2, 1], [0.2, 0.5, 1]), "two": ([1e-4, 1], [0.4, 1])}
    plots.plot_roc(ax, curves)
    assert ax.get_xscale() == "log"
    for line, (name, (far, tar)) in zip(ax.lines, curves.items(), strict=True):
        assert line.get_label() == name
        np.testing.assert_array_equal(line.get_xydata(), np.stack([far, tar], axis=1))


def test_a_map_shows_every_image_at_its_point():
    rng = np.random.default_rng(0)
    points, images = rng.normal(size=(5, 2)), rng.random((5, 28, 28, 1))
    _, ax = plots.new_figure("map")
    plots.plot_image_map(ax, points, images, np.array([0, 1, 1, 2, 12]))
    boxes = [artist for artist in ax.artists if hasattr(artist, "xy")]
    np.testing.assert_array_equal([box.xy for box in boxes], points)
    shown = [box.offsetbox.get_data() for box in boxes]
    np.testing.assert_allclose(shown[0][..., 3], images[0, ..., 0])  # ink is what is not clear
    assert (shown[1][..., :3] == shown[2][..., :3]).all()
    assert (shown[0][..., :3] != shown[1][..., :3]).any()
    low, high = ax.get_xlim()
    assert low < points[:, 0].min() < points[:, 0].max() < high


def contrast_with_white(color):
    """The contrast ratio of WCAG 2.2, from 1 (white) to 21 (black)."""
    parts = np.array(matplotlib.colors.to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return 1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05)


def test_what_stands_alone_has_contrast_enough():
    """3 is what WCAG asks of graphics, 4.5 of text."""
    assert contrast_with_white(plots.INK) >= 4.5
    assert min(map(contrast_with_white, (plots.OWN, plots.OTHER))) >= 3
    assert min(map(contrast_with_white, plots.EDGES)) >= 4.5


def test_a_colour_that_is_too_pale_has_a_dark_edge_and_the_digit_as_its_marker(flower):
    embeddings, labels, weights = flower
    pale = {c for c in range(10) if contrast_with_white(plots.COLORS[c]) < 3}
    assert pale
    _, axes = plots.new_figure("pale", columns=2)
    plots.plot_embeddings(axes[0], embeddings, labels)
    plots.plot_unit_circle(axes[1], embeddings, labels, weights)
    for c in pale:
        edge = axes[0].collections[c].get_edgecolor()[0]
        assert np.allclose(edge[:3], plots.EDGES[c])
    assert {text.get_text() for text in axes[1].texts} >= set("0123456789")
    outlines = [line.get_color() for line in axes[1].lines]
    assert all(plots.EDGES[c] in outlines for c in pale)
