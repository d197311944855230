"""The interactive figures: their numbers against `lib.losses`, and that use leaks nothing."""

import base64
import gc
import io
import re
from types import SimpleNamespace
from unittest import mock

from lib import data, diagrams, evaluation, faces, interactive, training, verification
from lib.feasibility import feasibility, largest_angle
from lib.interactive import curves, explorer, room
from lib.losses import MarginLoss, margin_logit, psi

import ipywidgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from matplotlib.backend_bases import MouseEvent
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore:Passing unrecognized arguments to super.Toolbar")

MARGINS = [(1, 0, 0), (2, 0, 0), (4, 0, 0), (1, 0.5, 0), (1, 0, 0.35), (1, 0.3, 0.2)]
MARGINS += [(0.9, 0.4, 0.15), (1.35, 0.2, 0.1)]
THETA = np.linspace(0.002, np.pi - 0.002, 1501)
LIVE = "module://ipympl.backend_nbagg"


# --- the numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("margins", MARGINS)
def test_target_and_pull_are_those_of_the_losses(margins):
    cosines = tf.constant(np.cos(THETA))
    with tf.GradientTape() as tape:
        tape.watch(cosines)
        logits = margin_logit(cosines, *margins)
    pull = np.asarray(tape.gradient(logits, cosines)) * np.sin(THETA)
    ours = curves.target_cosine(THETA, *margins)
    assert np.allclose(ours, logits, atol=2e-6)
    assert np.allclose(ours, psi(margins[0] * THETA + margins[1]) - margins[2], atol=1e-12)
    assert np.allclose(curves.pull(THETA, *margins), pull, atol=1e-5)


@pytest.mark.parametrize("margins", MARGINS)
def test_probability_is_that_of_the_loss(margins):
    cosines = np.concatenate([np.cos(THETA)[:, None], np.zeros((len(THETA), 9))], axis=1)
    loss = MarginLoss(*margins, scale=16, reduction=None)(np.zeros(len(THETA)), cosines)
    assert np.allclose(curves.probability(THETA, *margins, scale=16), np.exp(-loss), atol=1e-6)


def test_probability_does_not_overflow():
    extreme = curves.probability(np.array([0.0, np.pi]), m1=4, scale=128)
    assert np.array_equal(extreme, [1, 0])


@pytest.mark.parametrize("rule", curves.PAST_PI)
def test_other_code_agrees_up_to_pi_and_its_pull_is_minus_its_slope(rule):
    theta = np.linspace(0, np.pi, 20_001)
    other = curves.target_cosine_elsewhere(theta, 0.5, 0.1, rule)
    below = theta + 0.5 <= np.pi
    assert np.allclose(other[below], curves.target_cosine(theta, 1, 0.5, 0.1)[below])
    middles = (theta[1:] + theta[:-1]) / 2
    smooth = np.abs(middles + 0.5 - np.pi) > 1e-3
    slope = -np.diff(other) / np.diff(theta)
    pull = curves.pull_elsewhere(middles, 0.5, rule)
    assert np.allclose(slope[smooth], pull[smooth], atol=1e-4)


def test_what_other_code_does_beyond_pi():
    theta = np.linspace(np.pi - 0.5 + 1e-9, np.pi, 1001)
    wraps, drops, mirrors = (
        curves.target_cosine_elsewhere(theta, 0.5, rule=rule) for rule in curves.PAST_PI
    )
    assert np.all(np.diff(wraps) > 0)
    assert drops[0] - -1 == pytest.approx(-0.117, abs=5e-4)  # where the cosine has come to −1
    assert np.allclose(mirrors, curves.target_cosine(theta, 1, 0.5))


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        ((1, 0, 0), lambda theta: theta),
        ((2, 0, 0), lambda theta: 2 * theta),
        ((1, 0.3, 0), lambda theta: theta + 0.3),
        ((1, 0, 0.2), lambda theta: np.arccos(np.maximum(np.cos(theta) - 0.2, -1))),
    ],
)
def test_borders_in_closed_form(margins, expected):
    theta = np.linspace(0, 1.2, 201)
    assert np.allclose(curves.border(theta, *margins), expected(theta))


def test_no_angle_is_enough_where_the_target_falls_below_minus_one():
    assert np.isnan(curves.border(np.pi, 1, 0, 0.2))
    assert np.isnan(curves.border(2.0, 2, 0, 0))


@pytest.mark.parametrize(
    ("margins", "gap"), [((1, 0, 0), 0), ((1, 0.3, 0), 0.3), ((2, 0, 0), 1 / 3), ((4, 0, 0), 0.6)]
)
def test_the_gap_between_two_classes_on_the_circle(margins, gap):
    """ArcFace's gap is its margin; SphereFace's is (m − 1)/(m + 1) of the angle, here 1 radian."""
    around = np.linspace(0, 1, 100_001)
    first = curves.content_on_circle(around, 0.0, np.array([1.0]), *margins)
    second = curves.content_on_circle(around, 1.0, np.array([0.0]), *margins)
    assert np.mean(~first & ~second) == pytest.approx(gap, abs=1e-4)


@pytest.mark.parametrize("margins", MARGINS)
@pytest.mark.parametrize("sample", [0.1, 0.7, 2.0, 4.0, 6.0])
def test_the_push_is_minus_the_gradient_of_the_loss(margins, sample):
    weights = np.array([0.0, 1.2, 2.4, 4.5])
    angle = tf.constant(sample, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch(angle)
        cosines = tf.cos(angle - weights)[None]
        loss = MarginLoss(*margins, scale=4)(np.array([0]), cosines)
    setting = dict(zip(("m1", "m2", "m3"), margins, strict=True), scale=4)
    logits = curves.logits_on_circle(sample, weights, 0, **setting)
    assert -np.log(curves.softmax(logits)[0]) == pytest.approx(float(loss), rel=1e-5)
    push = curves.push_on_circle(sample, weights, 0, **setting)
    assert push == pytest.approx(-float(tape.gradient(loss, angle)), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("count", [2, 3, 4, 6, 7, 12, 25, 40])
def test_points_spread_on_the_sphere_nearly_as_far_as_they_can(count):
    points = room.spread_on_sphere(count)
    assert np.allclose(np.linalg.norm(points, axis=1), 1)
    low, high = largest_angle(count, 3)
    found = room.smallest_angle(points)
    assert low - 0.02 <= found <= high + 1e-6
    assert found > 0.8 * high


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.3])
def test_most_classes_are_those_that_are_feasible(margin):
    needed = feasibility(2, 2, 16, m3=margin).angle_needed
    most = room.most_classes(2, needed)
    assert feasibility(most, 2, 16, m3=margin).attainable
    assert not feasibility(most + 1, 2, 16, m3=margin).attainable


def test_content_reaches_half_the_way_less_half_of_arcfaces_margin():
    assert room.content_radius(1.0, 0.0, 0.0) == pytest.approx(0.5, abs=1e-3)
    assert room.content_radius(1.0, 0.4, 0.0) == pytest.approx(0.3, abs=1e-3)
    assert room.content_radius(0.3, 0.4, 0.0) is None


# --- the figures ----------------------------------------------------------------------------------


@pytest.fixture
def live():
    """Figures that one can touch; without this fixture they are stills."""
    with plt.rc_context():
        plt.switch_backend(LIVE)
        yield
        plt.close("all")
        interactive.panel._open_panels.clear()
    plt.switch_backend("agg")


def small_record(dim=2, moments=5):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 10
    record = interactive.TrainingRecord(labels)
    for moment in range(moments):
        record.epochs.append(moment / 2)
        record.embeddings.append(rng.normal(size=(60, dim)))
        record.weights.append(rng.normal(size=(dim, 10)))
        record.scores.append(tuple(rng.random(5)))
    return record


def sphere():
    rng = np.random.default_rng(0)
    return interactive.Sphere(
        rng.normal(size=(60, 3)), np.arange(60) % 10, rng.normal(size=(3, 10))
    )


def scatter():
    rng = np.random.default_rng(0)
    images = rng.random((60, 28, 28, 1))
    return interactive.Scatter(rng.normal(size=(60, 2)), np.arange(60) % 10, images)


def threshold_slider():
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0.6, 0.15, 300), rng.normal(0.1, 0.15, 5000)]).clip(-1, 1)
    pairs = verification.split_scores(scores, np.arange(5300) < 300)
    return interactive.ThresholdSlider(pairs)


def same_or_not(**more):
    pictures = np.random.default_rng(0).random((4, 2, 8, 8, 3))
    cosines, same = np.array([0.9, 0.7, 0.5, 0.1]), [True, False, True, False]
    return interactive.SameOrNot(pictures, cosines, same, columns=2, **more)


def door():
    rng = np.random.default_rng(0)
    people = faces.people("test", count=40, images=3, size=8)
    centres = rng.normal(size=(40, 6))[people.labels]
    return interactive.Door(centres + 0.7 * rng.normal(size=(120, 6)), people, size=10)


FIGURES = {
    "margins": (interactive.MarginExplorer, "m2", (0.1, 0.7)),
    "borders": (interactive.DecisionBoundaries, "m3", (0.1, 0.3)),
    "circle": (lambda: interactive.CirclePlayground(5, m2=0.2), "direction", (30, 100)),
    "room": (interactive.RoomForClasses, "classes", (8, 14)),
    "sphere": (sphere, "around", (20, 70)),
    "scatter": (scatter, "point", (3, 44)),
    "playback": (lambda: interactive.Playback(small_record()), "moment", (1, 3)),
    "playback, 3-D": (lambda: interactive.Playback(small_record(3)), "moment", (0, 2)),
    "threshold": (threshold_slider, "threshold", (0.2, 0.5)),
    "field": (interactive.FieldExplorer, "m2", (0.2, 0.7)),
    "field, center": (lambda: interactive.FieldExplorer("center loss"), "weight", (0.0, 0.3)),
    "pairs": (same_or_not, "threshold", (0.4, 0.8)),
    "door": (door, "threshold", (0.5, 0.95)),
    "door, gallery": (door, "size", (10, 20)),
}


def picture(panel):
    return np.asarray(Image.open(io.BytesIO(panel.still())))


def checked_bundle(panel):
    """What a notebook gets of a panel: a PNG and its description, whatever else there is."""
    bundle, metadata = panel._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(bundle.pop("image/png")))).width > 400
    assert bundle.pop("text/plain") == metadata["image/png"]["alt"]
    assert len(panel.alt.split()) > 10
    return bundle


def test_pairs_are_called_the_same_from_the_threshold_on_and_mistakes_are_counted():
    panel = same_or_not(threshold=0.7)
    said = [words.get_text() for words in panel.words]
    assert said == ["0.90  same", "0.70  same  ✗", "0.50  not the same  ✗", "0.10  not the same"]
    assert panel.title.get_text() == (
        "at threshold 0.70: 2 called the same, 1 wrongly; 1 not recognised"
    )
    with pytest.raises(ValueError, match="same: expected 2 truth values"):
        interactive.SameOrNot(np.zeros((2, 2, 8, 8, 3)), np.zeros(2), [True])
    panel.close()


def test_the_button_at_the_door_lets_others_come(live):
    panel = door()
    before = panel.verdicts(), picture(panel)
    button = panel.box.children[1].children[-1]
    assert button.description == "next visitors"
    button.click()
    assert panel.group == 1
    assert (picture(panel) != before[1]).mean() > 0.05
    panel.group = -1
    button.click()
    assert panel.verdicts() == before[0]


@pytest.mark.parametrize("name", FIGURES)
def test_without_ipympl_a_figure_is_a_still_with_its_description(name):
    panel = FIGURES[name][0]()
    assert checked_bundle(panel) == {}
    panel.close()


def alive():
    """What a figure may leave behind: figures, widgets, and the callbacks of the last figure."""
    gc.collect()
    figures = [plt.figure(number) for number in plt.get_fignums()]
    callbacks = sum(
        len(handlers)
        for figure in figures
        for handlers in figure._canvas_callbacks.callbacks.values()
    )
    artists = sum(len(figure.findobj()) for figure in figures)
    return len(figures), len(ipywidgets.widgets.widget._instances), callbacks, artists


@pytest.mark.parametrize("name", FIGURES)
def test_a_live_figure_follows_its_control_and_moves_and_runs_leave_nothing_behind(
    live, name, monkeypatch
):
    make, control, values = FIGURES[name]
    panel = make()
    assert list(checked_bundle(panel)) == ["application/vnd.jupyter.widget-view+json"]
    assert panel.fig.canvas.syncing_data_url is False  # it is drawn while the kernel is busy
    assert panel.fig.canvas.header_visible is False
    for widget in panel.controls.values():
        if isinstance(widget, ipywidgets.IntSlider | ipywidgets.FloatSlider):
            assert re.fullmatch(r".+ \(.+\)", widget.description), "a slider says its unit"

    pictures = []
    for value in (*values, values[0]):
        panel.controls[control].value = value
        pictures.append(picture(panel))
    assert (pictures[0] != pictures[1]).any()
    assert np.array_equal(pictures[0], pictures[2]), "it depends on the controls alone"

    monkeypatch.setattr(panel.fig.canvas, "draw_idle", lambda: None)  # the last move is drawn
    before = alive()
    objects = len(gc.get_objects())
    for step in range(101):  # and back to where it was
        panel.controls[control].value = values[step % 2]
    panel.fig.canvas.draw()
    assert alive() == before
    assert len(gc.get_objects()) - objects < 500  # five for each move would be a leak

    make()
    once = alive()
    panel = make()
    assert alive() == once
    panel.close()
    assert alive()[0] == 0


def test_a_preset_sets_all_margins_and_a_margin_ends_the_preset(live):
    panel = interactive.MarginExplorer("NormFace")
    panel.controls["preset"].value = "combined (0.9, 0.4, 0.15)"
    assert panel.margins() == (0.9, 0.4, 0.15)
    assert panel.value("s") == 64
    panel.controls["m2"].value = 0.2
    assert panel.value("preset") == explorer.OWN_SETTING
    assert "lib refuses" in panel.setting.get_text()
    with pytest.raises(ValueError, match="m2 >= "):
        MarginLoss(*panel.margins())
    panel.controls["m2"].value = 0.4
    assert "lib refuses" not in panel.setting.get_text()


def test_the_explorer_starts_at_the_slope_and_says_what_the_margin_does():
    panel = interactive.MarginExplorer("CosFace, m 0.35")
    degrees = panel.value("angle")
    theta = np.radians(degrees)
    chance = 1 / (1 + 9 * np.exp(-64 * (np.cos(theta) - 0.35)))
    assert 0.2 < chance < 0.8
    said = [ax.get_title() for ax in panel.axes]
    cosine = np.cos(theta)
    assert said[0] == f"at {degrees}° a cosine of {cosine - 0.35:.2f}, not {cosine:.2f}"
    assert said[1] == f"at {degrees}° it falls by {np.sin(theta):.2f}, not {np.sin(theta):.2f}"
    assert said[2] == f"at {degrees}° p is {chance:.2f}, not 1.00"
    thin = panel.plain.get_ydata()
    panel.controls["s"].value = 16
    assert not np.allclose(panel.plain.get_ydata(), thin)
    panel.close()


def test_borders_show_two_or_three_losses_with_the_sliders_that_they_have():
    panel = interactive.DecisionBoundaries(("SphereFace", "combined"), m1=3.0)
    assert list(panel.controls) == ["m1", "m2", "m3", "apart"]
    assert [ax.get_title() for ax in panel.axes[0]] == ["SphereFace, m 3", "combined"]
    assert panel.margins("SphereFace") == (3.0, 0.0, 0.0)
    panel = interactive.DecisionBoundaries(("no margin", "ArcFace"))
    assert list(panel.controls) == ["m2", "apart"]
    panel.close()
    for losses in ("CosFace", ("CosFace",), tuple(interactive.boundaries.MARGINS)):
        with pytest.raises(ValueError, match="losses: expected two or three of no margin"):
            interactive.DecisionBoundaries(losses)
    with pytest.raises(ValueError, match="losses: expected one of no margin"):
        interactive.DecisionBoundaries(("CosFace", "softmax"))


@pytest.mark.parametrize(("scale", "image"), [(1, 25), (16, 25), (64, 40), (16, 200)])
def test_the_push_has_a_shaft_and_turns_by_a_share_of_the_scale(scale, image):
    panel = interactive.CirclePlayground(5, scale=scale, image=image)
    weights = np.radians(72 * np.arange(5))
    push = curves.push_on_circle(np.radians(image), weights, 0, scale=scale)
    shaft, head = panel.push
    tip = head.get_xy()[1]
    turned = curves.turn_to(np.radians(image), np.arctan2(tip[1], tip[0]))
    assert turned == pytest.approx(interactive.circle.TURN * push / scale)
    shaft_turn = curves.turn_to(np.radians(image), np.arctan2(*shaft.get_xydata()[-1][::-1]))
    assert 0.3 * abs(turned) < abs(shaft_turn) < abs(turned)
    assert f"{abs(push):.2f} per radian, {abs(push) / scale:.2f} s" in panel.axes[1].get_title()
    assert panel.unit.get_text() == f"a push of s = {scale}"
    panel.close()


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(ValueError, match="ArcFace, m 0.5"):
        interactive.MarginExplorer("ArcFace")


def test_every_preset_is_a_loss():
    for m1, m2, m3, scale in explorer.PRESETS.values():
        MarginLoss(m1, m2, m3, scale)


def mouse(panel, kind, point):
    x, y = panel.axes[0].transData.transform(point)
    button = None if kind == "motion_notify_event" else 1
    MouseEvent(kind, panel.fig.canvas, x, y, button)._process()


def drag(panel, start, end):
    mouse(panel, "button_press_event", start)
    mouse(panel, "motion_notify_event", end)
    mouse(panel, "button_release_event", end)


def on_circle(degrees):
    return np.cos(np.radians(degrees)), np.sin(np.radians(degrees))


@pytest.mark.parametrize("loss", diagrams.FIELDS)
def test_the_field_says_how_the_sample_is_pushed(loss):
    """The titles and the curves are the difference quotient of a float64 loss, at the sample."""
    panel = interactive.FieldExplorer(loss, angle=-50, length=5.0)
    at = np.radians(90 - 50)
    sample = 5.0 * np.array([np.cos(at), np.sin(at)])
    steps = 1e-3 * np.array([sample / 5, (-np.sin(at), np.cos(at))])  # outward, towards the own
    losses = [field_loss(loss, sample + sign * step) for step in steps for sign in (1, -1)]
    outward, towards = ((losses[k + 1] - losses[k]) / 2e-3 for k in (0, 2))
    said = panel.axes[1].get_title().replace("−", "-")
    numbers = [float(number) for number in re.findall(r"-?\d+\.\d\d", said)]
    assert numbers == pytest.approx([towards, outward], abs=0.011)
    assert panel.axes[0].get_title() == f"loss {field_loss(loss, sample):.2f}"
    nearest = abs(interactive.field.AROUND + 50).argmin()
    assert panel.lines["towards"][0].get_ydata()[nearest] == pytest.approx(towards, abs=0.1)
    if panel.plain is not None:
        assert not np.allclose(
            panel.lines["plain"][0].get_ydata(), panel.lines["towards"][0].get_ydata()
        )
    panel.close()


def field_loss(name, x):
    """The loss of an embedding of class 0, in float64, of the settings that the fields show."""
    free = name in ("softmax", "center loss")
    weights = diagrams.WEIGHTS * (diagrams.LENGTHS if free else 1)
    logits = x @ weights + (diagrams.BIASES if free else 0)
    if name not in ("softmax", "center loss", "modified softmax"):
        m1, m2, m3 = {"SphereFace": (2, 0, 0), "CosFace": (1, 0, 0.35), "ArcFace": (1, 0.5, 0),
                      "combined": (1, 0.3, 0.2)}.get(name, (1, 0, 0))  # fmt: skip
        cosines = logits / np.linalg.norm(x)
        cosines[0] = curves.target_cosine(np.arccos(cosines[0]), m1, m2, m3)
        logits = 8 * cosines
    pulled = 0.05 * np.sum((x - diagrams.CENTRE) ** 2) if name == "center loss" else 0
    return np.logaddexp.reduce(logits) - logits[0] + pulled


def test_the_sample_is_dragged_over_the_field_and_its_arrow_keeps_its_unit(live):
    panel = interactive.FieldExplorer("NormFace", angle=30, length=6.0)
    start, end = 6 * np.array((-0.5, np.sqrt(0.75))), np.array((4.0, 0.0))
    drag(panel, start, end)
    assert (panel.value("angle"), panel.value("length")) == (-90, 4.0)
    drag(panel, (-5, -5), (-1, -1))  # nothing there to grab
    assert panel.value("angle") == -90
    assert panel.key.text.get_text() == "2"
    arrow = np.hypot(panel.push.U, panel.push.V)
    panel.controls["s"].value = 16
    assert panel.key.text.get_text() == "4"
    assert np.hypot(panel.push.U, panel.push.V) < 1.5 * arrow
    panel.controls["angle"].value = 0  # on the class weight there is no side
    assert np.isfinite(panel.place.get_ydata()).all()


def test_a_field_of_no_loss_lists_the_losses():
    with pytest.raises(ValueError, match="loss: expected one of softmax"):
        interactive.FieldExplorer("ArcFace, m 0.5")


def test_the_image_and_the_weights_are_dragged_along_the_circle(live):
    panel = interactive.CirclePlayground(5, image=25)
    drag(panel, on_circle(25), on_circle(50))
    assert panel.value("what") == "the image"
    assert panel.value("direction") == 50
    drag(panel, on_circle(72), on_circle(100))
    assert panel.value("what") == 1
    assert panel.directions[1] == pytest.approx(np.radians(100))
    assert panel.directions["the image"] == pytest.approx(np.radians(50))
    drag(panel, (0.1, 0.1), on_circle(10))  # nothing there to grab
    assert panel.value("direction") == 100


def test_the_keyboard_moves_what_is_chosen(live):
    panel = interactive.CirclePlayground(3)
    panel.controls["what"].value = 2
    assert panel.value("direction") == 240
    panel.controls["direction"].value = 300
    assert panel.directions[2] == pytest.approx(np.radians(300))
    assert panel.directions["the image"] == pytest.approx(np.radians(25))


def test_the_verdict_is_that_of_feasibility_asked_once_for_each_number_of_classes(
    live, monkeypatch
):
    asked, built = [], []
    monkeypatch.setattr(
        room, "feasibility", lambda *a, **k: asked.append(a) or feasibility(*a, **k)
    )
    monkeypatch.setattr(keras.losses.Loss, "__init__", lambda *a, **k: built.append(a))
    panel = interactive.RoomForClasses(classes=10, m3=0.1)
    assert panel.axes[0].get_title() == "10 classes fit"
    asked.clear()
    panel.controls["classes"].value = 12
    assert len(asked) == 0
    panel.controls["classes"].value = 10
    panel.controls["m3"].value = 0.35  # the curve has one point for each number of classes
    assert panel.axes[0].get_title() == "10 classes do NOT fit"
    floor = feasibility(10, 2, 16, m3=0.35).loss_floor
    assert panel.floor_dot.get_ydata()[0] == pytest.approx(floor)
    assert len(asked) == len(room.COUNTS) == 39
    assert built == []


def test_the_sphere_stays_upright_and_the_sliders_follow_the_mouse(live):
    panel = sphere()
    assert plt.rcParams["axes3d.mouserotationstyle"] == "azel"
    panel.axes.view_init(elev=33, azim=200)
    MouseEvent("button_release_event", panel.fig.canvas, 5, 5, 1)._process()
    assert (panel.value("around"), panel.value("up")) == (-160, 33)
    assert panel.axes.roll == 0


def test_the_sphere_shows_the_last_moment_of_a_training(live):
    record = small_record(dim=3)
    panel = interactive.Sphere(record)
    unit = record.embeddings[-1] / np.linalg.norm(record.embeddings[-1], axis=1, keepdims=True)
    drawn = np.concatenate([np.array(c._offsets3d).T for c in panel.axes.collections[1:11]])
    assert np.allclose(np.sort(drawn, axis=0), np.sort(unit, axis=0))


def test_the_pointer_shows_its_digit_and_the_slider_zooms_to_it(live):
    panel = scatter()
    panel.fig.canvas.draw()
    x, y = panel.axes.transData.transform(panel.points[7])
    MouseEvent("motion_notify_event", panel.fig.canvas, x, y)._process()
    assert panel.value("point") == 7
    assert np.array_equal(panel.picture.get_data(), panel.images[7].squeeze())
    panel.controls["zoom"].value = 5.0
    assert np.mean(panel.axes.get_xlim()) == pytest.approx(panel.points[7, 0])
    panel.controls["digit"].value = 3
    assert [c.get_visible() for c in panel.axes.collections].count(True) == 1


# --- training -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def some_digits():
    digits = data.load_digits("lesson", copies=0)
    few = slice(None, None, 9)  # the test digits come in rounds of ten
    parts = {name: getattr(digits, name)[few] for name in vars(digits) if name != "name"}
    return data.Digits(name="lesson", **parts)


def trained(digits, callbacks=()):
    """A warm-up and a training of 18 steps an epoch.

    Normalised, as the course's backbone is: to watch must not change the moving statistics.
    """
    training.set_seed(0)
    layers = [keras.layers.Dense(8), keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    backbone = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *layers])
    recipe = {"batch_size": 25, "verbose": False, "callbacks": callbacks}
    head = training.warm_up(backbone, digits, epochs=1, **recipe)
    model = keras.Sequential([backbone, head])
    training.train(model, digits, MarginLoss(m2=0.2, scale=16), epochs=2, **recipe)
    return model


@pytest.fixture(scope="module")
def watched(some_digits):
    """A training and what watched it, with all that was shown meanwhile."""
    shown = []

    class Handle:
        def update(self, panel):
            shown.append(("update", panel.value("moment")))

    def display(panel, display_id):
        shown.append(("display", panel.value("moment")))
        return Handle()

    live = interactive.LiveTraining(some_digits)
    recorder = interactive.Recorder(some_digits, count=50, steps=(0, 10, 20, 30))
    with mock.patch.object(interactive.live, "display", display):
        model = trained(some_digits, [live, recorder])
    return SimpleNamespace(model=model, live=live, recorder=recorder, shown=shown)


def test_a_training_that_is_watched_gives_the_same_weights(some_digits, watched):
    plain = trained(some_digits)
    for ours, theirs in zip(watched.model.get_weights(), plain.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_a_training_is_recorded_at_each_epoch_or_step(some_digits, watched):
    live, recorder, model = watched.live, watched.recorder, watched.model
    assert live.record.epochs == [0, 1, 2, 3]  # the warm-up counts
    assert np.array_equal(
        live.record.embeddings[-1], evaluation.embed(model.layers[0], some_digits.x_test)
    )
    board = evaluation.evaluate_model(model, some_digits)
    assert live.record.scores[-1] == pytest.approx(tuple(vars(board).values()))
    assert np.array_equal(live.record.weights[-1], model.layers[-1].kernel)
    # a callback is told every ten steps and at the end of an epoch, here of 18
    assert recorder.record.epochs == [0, 10 / 18, 1 + 10 / 18, 2]
    assert recorder.record.embeddings[-1].shape == (50, 2)


def test_the_picture_of_a_training_is_shown_once_and_ends_with_the_last_state(watched):
    assert watched.shown[0] == ("display", 0)
    assert watched.shown[-1] == ("update", 3)
    assert {kind for kind, _ in watched.shown[1:]} == {"update"}
    assert {moment for _, moment in watched.shown} == {0, 1, 2, 3}
    assert watched.live.panel.value("moment") == 3


def test_a_record_is_the_same_after_saving(tmp_path):
    record = small_record()
    record.save("x", tmp_path)
    again = interactive.TrainingRecord.load("x", tmp_path)
    assert np.array_equal(again.labels, record.labels)
    assert again.epochs == record.epochs
    assert np.allclose(again.embeddings, record.embeddings, rtol=1e-3, atol=1e-4)
    assert np.allclose(again.scores, record.scores)
    with pytest.raises(FileNotFoundError, match="Recorded are: x"):
        interactive.TrainingRecord.load("y", tmp_path)


def test_only_what_can_be_drawn_is_played_back():
    with pytest.raises(ValueError, match="embedding_dim=2 or 3"):
        interactive.Playback(small_record(dim=20))


def test_the_threshold_says_what_it_accepts(live):
    panel = threshold_slider()
    panel.controls["threshold"].value = 0.4
    far, tar = float(panel.scores.far(0.4)), float(panel.scores.tar(0.4))
    assert 0 < far < 0.05 < 0.8 < tar < 1
    assert panel.axes[0].get_title() == f"TAR {tar:.3f}, FAR {far:.2g}"
    assert panel.axes[1].get_title() == f"{np.sum(panel.scores.impostor >= 0.4)} impostors accepted"
    assert panel.point.get_data()[0][0] == far
    assert panel.line.get_xdata()[0] == 0.4
