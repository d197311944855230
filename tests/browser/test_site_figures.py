"""The website's figures in the browser: their formulas against `lib`, and each touched by hand."""

import shutil
from pathlib import Path

from lib import diagrams
from lib import feasibility as fits
from lib.interactive import curves
from lib.tools.site import figures

import numpy as np
import pytest
from matplotlib.path import Path as Outline

STATIC = Path(figures.__file__).parent / "static"
MARGINS = [
    (1, 0, 0),
    (2, 0, 0),
    (4, 0, 0),
    (1, 0.5, 0),
    (1, 0, 0.35),
    (1, 0.3, 0.2),
    (0.9, 0.4, 0.15),
]
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script defer src="figures.js"></script>
<style>
body {{ margin: 0; font: 16px/1.5 sans-serif; }}
main {{ max-width: 46rem; margin: auto; padding: 0 1rem; }}
</style></head>
<body data-theme="auto"><main>{}<p style="height: 60rem">The page goes on.</p></main></body></html>
"""
STILL = (
    '<p><img alt="a still picture" width="300" height="200" src="data:image/svg+xml,'
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 3 2'/%3E\"></p>"
)

# Each figure: its options, and a slider of it; a point to drag and how far, or none.
CASES = {
    "explorer": ({"preset": "ArcFace, m 0.5"}, "m₂", ("angle of the image", (60, 0))),
    "field": ({"loss": "ArcFace"}, "sample’s length", ("the sample", (40, 60))),
    "circle": ({"loss": "CosFace", "angle": 20}, "scale s", ("the image", (-60, -60))),
    "playback": ({"record": "arcface-2d"}, "time", None),
    "threshold": ({"scores": "faces"}, "threshold", ("threshold", (60, 0))),
    "feasibility": ({"classes": 10, "dim": 2, "m3": 0.1}, "m₃", None),
}
DRAGGED = [name for name, (_, _, point) in CASES.items() if point]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder as the site has it: the script, its style, and the data."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("figures.js", "figures.css"):
        shutil.copy(STATIC / name, folder)
    figures.write_data(folder / "figures")
    return folder


@pytest.fixture
def page(browser):
    """A page of its own, on which nothing may go wrong."""
    page, wrong = browser.context.new_page(), []
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    page.close()
    assert not wrong


def show(page, site, name, options=None, ready=True):
    """Open a page with one figure; return what is around it."""
    figure = figures.FigureToTouch(name, CASES[name][0] if options is None else options)
    path = site / f"{name}.html"
    path.write_text(PAGE.format(figure.around(STILL)), encoding="utf-8")
    page.goto(path.as_uri())
    host = page.locator(".figure-to-touch")
    if ready:
        page.locator(".figure-to-touch[data-ready=true]").wait_for()
    return host


def slider(host, label):
    return host.locator("label.ftt-slider", has_text=label).locator("input")


def point_of(host, label):
    """What can be dragged, by how its name begins."""
    return host.locator(f".ftt-handle[aria-label^='{label}']")


def says(host):
    return host.locator(".ftt-says").inner_text()


def looks(page, host):
    """What is drawn now, text apart: shapes, and the pixels of a canvas."""
    return page.evaluate(
        """host => [...host.querySelectorAll('svg *')].map(e => e.getAttribute('d')
           + e.getAttribute('transform')).join() + [...host.querySelectorAll('canvas')]
           .map(c => c.toDataURL()).join()""",
        host.element_handle(),
    )


# --- formulas -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compute(browser, site):
    """Call a formula of the script with each row of arguments."""
    page = browser.context.new_page()
    show(page, site, "explorer")
    rows_of = "([name, rows]) => rows.map(row => window.marginFigures.formulas[name](...row))"
    yield lambda name, rows: page.evaluate(rows_of, [name, rows])
    page.close()


@pytest.fixture(scope="module")
def plane():
    return figures.course_data()["plane"]


def named(margins, **more):
    return dict(zip(("m1", "m2", "m3"), map(float, margins), strict=True)) | more


@pytest.mark.parametrize("margins", MARGINS, ids=str)
def test_one_angle(compute, margins):
    theta = np.linspace(0, np.pi, 181)
    rows = [[t, named(margins)] for t in theta.tolist()]
    same = {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(
        compute("targetCosine", rows), curves.target_cosine(theta, *margins), **same
    )
    np.testing.assert_allclose(compute("slope", rows), curves.pull(theta, *margins), **same)
    np.testing.assert_allclose(compute("border", rows), curves.border(theta, *margins), rtol=1e-7)
    for scale, others in ((1, 9), (16, 4), (64, 9)):
        found = compute("probability", [[*row, scale, others] for row in rows])
        expected = curves.probability(theta, *margins, scale, others)
        np.testing.assert_allclose(found, expected, **same)


def test_other_code_past_pi(browser, site, page):
    show(page, site, "explorer")
    theta, m = np.linspace(2.7, np.pi, 50), 0.5
    for rule in curves.PAST_PI:
        call = "([rule, thetas, m]) => thetas.map(t => marginFigures.formulas.PAST_PI[rule](t, m))"
        cosine, slope = np.transpose(page.evaluate(call, [rule, theta.tolist(), m]))
        np.testing.assert_allclose(cosine, curves.PAST_PI[rule](theta, m), rtol=1e-12)
        np.testing.assert_allclose(slope, curves.pull_elsewhere(theta, m, rule), atol=1e-12)


@pytest.mark.parametrize("margins", MARGINS, ids=str)
def test_an_image_on_the_circle(compute, margins):
    rng = np.random.default_rng(0)
    images, weights = rng.uniform(-4, 4, 60), rng.uniform(-4, 4, (60, 5))
    for scale in (1, 16, 64):
        rows = [
            [i, w, 0, named(margins), scale]
            for i, w in zip(images.tolist(), weights.tolist(), strict=True)
        ]
        setting = dict(zip(("m1", "m2", "m3"), margins, strict=True)) | {"scale": scale}
        both = list(zip(images, weights, strict=True))
        logits = [curves.logits_on_circle(i, w, 0, **setting) for i, w in both]
        push = [curves.push_on_circle(i, w, 0, **setting) for i, w in both]
        np.testing.assert_allclose(compute("logitsOnCircle", rows), logits, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(compute("pushOnCircle", rows), push, rtol=1e-7, atol=1e-9)
        shares = [curves.softmax(z) for z in logits]
        np.testing.assert_allclose(
            compute("softmax", [[z.tolist()] for z in logits]), shares, rtol=1e-9, atol=1e-15
        )


@pytest.mark.parametrize("margins", MARGINS[:-1], ids=str)
def test_borders_on_the_circle(compute, margins):
    """Just inside a border lib calls an image content, just outside it does not."""
    rng = np.random.default_rng(1)
    own, others = rng.uniform(-3, 3, 40), rng.uniform(-3, 3, (40, 4))
    rows = [[o, w, named(margins)] for o, w in zip(own.tolist(), others.tolist(), strict=True)]
    found = 0
    for o, w, edges in zip(own, others, compute("contentEdges", rows), strict=True):
        if edges is None:
            assert not curves.content_on_circle(np.array([o]), o, w, *margins)
            continue
        found += 1
        inside, outside = (o + np.array(edges) * share for share in (1 - 1e-6, 1 + 1e-6))
        assert curves.content_on_circle(inside, o, w, *margins).all()
        assert not curves.content_on_circle(outside, o, w, *margins).any()
    assert found > 5


POINTS = np.random.default_rng(2).uniform(-9, 9, (80, 2))


@pytest.mark.parametrize("loss", diagrams.FIELDS)
def test_the_field_is_that_of_lib(compute, plane, loss):
    """Against lib's own gradient, as precise as its float32 is."""
    margins = {
        "SphereFace": (2, 0, 0),
        "CosFace": (1, 0, 0.35),
        "ArcFace": (1, 0.5, 0),
        "combined": (1, 0.3, 0.2),
    }
    setting = named(margins.get(loss, (1, 0, 0)), scale=8, weight=0.1)
    found = compute("lossAndPush", [[loss, point, setting, plane] for point in POINTS.tolist()])
    losses, pushes = diagrams.loss_and_push(loss, POINTS)
    np.testing.assert_allclose([f["loss"] for f in found], losses, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose([f["push"] for f in found], pushes, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("loss", ["softmax", "center loss", "modified softmax"])
def test_the_field_of_logits_in_float64(compute, plane, loss):
    """−∂L/∂x = W_y − Σ p_j W_j, as lesson 1 has it, and the spring of lesson 2."""
    free = loss != "modified softmax"
    weights = diagrams.WEIGHTS * (diagrams.LENGTHS if free else 1)
    logits = POINTS @ weights + (diagrams.BIASES if free else 0)
    expected = weights[:, 0] - np.array([curves.softmax(z) for z in logits]) @ weights.T
    weight = 0.3 if loss == "center loss" else 0
    expected -= weight * (POINTS - diagrams.CENTRE)
    setting = named((1, 0, 0), scale=8, weight=weight)
    found = compute("lossAndPush", [[loss, point, setting, plane] for point in POINTS.tolist()])
    np.testing.assert_allclose([f["push"] for f in found], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("margins", MARGINS[:-1], ids=str)
def test_the_field_of_margins_in_float64(compute, plane, margins):
    setting = named(margins, scale=16, weight=0)
    found = compute(
        "lossAndPush", [["ArcFace", point, setting, plane] for point in POINTS.tolist()]
    )
    for (x, y), one in zip(POINTS, found, strict=True):
        way, length = np.arctan2(y, x), np.hypot(x, y)
        along = curves.push_on_circle(way, diagrams.DIRECTIONS, 0, *margins, 16) / length
        expected = along * np.array([-np.sin(way), np.cos(way)])
        np.testing.assert_allclose(one["push"], expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("loss", diagrams.FIELDS)
def test_the_region_is_where_lib_is_content(compute, plane, loss):
    margins = {
        "SphereFace": (2, 0, 0),
        "CosFace": (1, 0, 0.35),
        "ArcFace": (1, 0.5, 0),
        "combined": (1, 0.3, 0.2),
    }
    outline = compute("region", [[loss, named(margins.get(loss, (1, 0, 0))), plane]])[0]
    points = np.random.default_rng(3).uniform(-6.5, 6.5, (2000, 2))
    ahead = ahead_of_rivals(loss, points, margins.get(loss, (1, 0, 0)))
    clear = np.abs(ahead) > 1e-3
    inside = Outline(outline).contains_points(points)
    np.testing.assert_array_equal(inside[clear], ahead[clear] > 0)
    assert 50 < inside.sum() < 1500


def ahead_of_rivals(loss, points, margins):
    """How far the target's logit, margin included, lies above the largest other."""
    if loss in ("softmax", "center loss", "modified softmax"):
        free = loss != "modified softmax"
        logits = points @ (diagrams.WEIGHTS * (diagrams.LENGTHS if free else 1))
        logits = logits + (diagrams.BIASES if free else 0)
        return logits[:, 0] - logits[:, 1:].max(axis=1)
    ways = np.arctan2(points[:, 1], points[:, 0])
    logits = [curves.logits_on_circle(w, diagrams.DIRECTIONS, 0, *margins, 1) for w in ways]
    return np.array([z[0] - z[1:].max() for z in logits])


# simplex, circle (a large one, too), both ends of each axis, and what is known by bounds only
SIZES = [(2, 2), (10, 2), (11, 2), (100_000, 2), (3, 2), (10, 64), (8, 4), (6, 4), (10, 3)]
SIZES += [(1000, 8), (10_000, 512), (1_000_000, 512)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_what_fits(compute, size):
    for scale in (1, 16, 64, 100):
        for m2, m3 in ((0, 0), (0, 0.1), (0.5, 0), (0.3, 0.2), (1.5, 1.4)):
            found = compute("feasibility", [[*size, scale, named((1, m2, m3))]])[0]
            expected = fits.feasibility(*size, scale, m2=m2, m3=m3)
            pairs = {
                "angleLow": expected.angle_low,
                "angleHigh": expected.angle_high,
                "angleNeeded": expected.angle_needed,
                "highestProbability": expected.highest_probability,
                "lossFloor": expected.loss_floor,
            }
            for key, value in pairs.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-7, err_msg=key)
            assert found["attainable"] is expected.attainable
            assert found["exact"] is expected.exact


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("probability", [0.55, 0.9, 0.99])
def test_the_scales_for_a_probability(compute, size, probability):
    if size != (100_000, 2):  # lib sums its 100,000 others one by one, and bisects
        best = compute("smallestScale", [[probability, *size]])[0]
        np.testing.assert_allclose(best, fits.smallest_scale(probability, *size), rtol=1e-9)
    bound = compute("smallestScale", [[probability, size[0]]])[0]
    np.testing.assert_allclose(bound, fits.smallest_scale(probability, size[0]), rtol=1e-12)
    random = compute("randomScale", [[probability, *size]])[0]
    np.testing.assert_allclose(random, fits.random_scale(probability, *size), rtol=1e-7)
    back = compute("randomProbability", [[*size, random]])[0]
    np.testing.assert_allclose(back, probability, rtol=1e-7)


@pytest.mark.parametrize("size", [size for size in SIZES if size != (100_000, 2)], ids=str)
def test_the_largest_margins(compute, size):
    """Up to the first lib says that a margin fits, beyond the second that it does not."""
    found = compute("largestMargins", [list(size)])[0]
    for margin, (surely, most) in found.items():
        assert fits.feasibility(*size, 16, **{margin: surely * (1 - 1e-6)}).attainable is True
        if most >= {"m2": np.pi / 2, "m3": 2}[margin] - 1e-9:  # lib takes no larger one
            continue
        assert fits.feasibility(*size, 16, **{margin: most * (1 + 1e-6)}).attainable is False


@pytest.mark.parametrize("name", ["pixels", "faces"])
def test_the_rates_of_pairs(compute, name):
    """At each threshold of the data exactly those that lib counts."""
    models = {"pixels": figures.pixel_scores, "faces": figures.face_scores}[name]()
    for model, counts in figures.scores_data(name)["models"].items():
        steps = range(counts["first"] - 2, counts["perUnit"] + 1)
        found = compute("rates", [[counts, step] for step in steps])
        thresholds = np.array(steps) / counts["perUnit"]
        np.testing.assert_allclose(
            [f["far"] for f in found], models[model].far(thresholds), rtol=1e-12
        )
        np.testing.assert_allclose(
            [f["tar"] for f in found], models[model].tar(thresholds), rtol=1e-12
        )


# --- touched --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_the_still_gives_way_and_a_slider_moves_the_figure(page, site, name):
    host = show(page, site, name)
    assert not host.locator("img").is_visible()
    before, text = looks(page, host), says(host)
    control = slider(host, CASES[name][1])
    control.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert looks(page, host) != before
    assert says(host) != text
    assert control.get_attribute("aria-valuetext")
    words = control.evaluate("input => [...input.labels].map(label => label.textContent)")
    assert len(words) == 1
    assert words[0].startswith(CASES[name][1])


@pytest.mark.parametrize("name", DRAGGED)
def test_a_point_is_dragged_with_the_mouse(page, site, name):
    host = show(page, site, name)
    label, by = CASES[name][2]
    before, text = looks(page, host), says(host)
    x, y = middle_of(point_of(host, label))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by[0] / 2, y + by[1] / 2)
    page.mouse.move(x + by[0], y + by[1])
    page.mouse.up()
    moved = looks(page, host)
    assert moved != before
    assert says(host) != text
    page.mouse.move(x, y)  # let go: it stays
    assert looks(page, host) == moved


def middle_of(point):
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("name", DRAGGED)
def test_a_point_is_moved_with_the_arrow_keys(page, site, name):
    host = show(page, site, name)
    point = point_of(host, CASES[name][2][0])
    before, value = looks(page, host), point.get_attribute("aria-valuetext")
    point.focus()
    page.keyboard.press("Shift+ArrowRight")
    assert point.get_attribute("aria-valuetext") != value
    page.keyboard.press("Shift+ArrowLeft")
    assert point.get_attribute("aria-valuetext") == value
    page.keyboard.press("ArrowDown")
    assert looks(page, host) != before


@pytest.mark.parametrize("name", DRAGGED)
def test_a_finger_drags_the_point_and_scrolls_beside_it(page, site, name):
    page.set_viewport_size({"width": 360, "height": 640})
    host = show(page, site, name)
    label, by = CASES[name][2]
    point = point_of(host, label)
    x, y = middle_of(point)
    before, scrolled = says(host), page.evaluate("scrollY")
    finger(page, (x, y), (x + by[0] / 2, y + by[1] / 2 - 90))  # as one scrolls down
    assert says(host) != before
    page.wait_for_timeout(300)
    assert page.evaluate("scrollY") == scrolled
    box = host.locator(".ftt-says").bounding_box()
    text = says(host)
    finger(page, (180, box["y"] + 5), (180, box["y"] - 145))
    page.wait_for_function("before => scrollY > before + 50", arg=scrolled)
    assert says(host) == text


def finger(page, start, end):
    """Touch, move in steps, and let go, as a touchscreen would."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    for kind, share in (("touchStart", 0), *(("touchMove", step / 8) for step in range(1, 9))):
        x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_light_and_dark(page, site, name, scheme):
    page.emulate_media(color_scheme=scheme)
    host = show(page, site, name)
    for theme in ("auto", scheme):
        page.evaluate("theme => { document.body.dataset.theme = theme; }", theme)
        ground = brightness(page, host.locator(".ftt"), "backgroundColor")
        assert (ground < 0.1) == (scheme == "dark")
        for words, color in (
            (".ftt-says", "color"),
            (".ftt-key, .ftt-note", "color"),
            ("svg text", "fill"),
        ):
            found = host.locator(words)
            for number in range(min(found.count(), 3)):
                ink = brightness(page, found.nth(number), color)
                contrast = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
                assert contrast >= 4.5, f"{words}: {contrast:.1f}"


def brightness(page, element, what):
    """Relative luminance of a colour, as WCAG 2 defines it."""
    return page.evaluate(
        """([element, what]) => {
          const parts = getComputedStyle(element)[what].match(/[0-9.]+/g).slice(0, 3).map(Number);
          const [r, g, b] = parts.map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b; }""",
        [element.first.element_handle(), what],
    )


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_wider_than_a_phone(page, site, name):
    page.set_viewport_size({"width": 360, "height": 640})
    host = show(page, site, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    over = page.evaluate(
        """host => [...host.querySelectorAll('.ftt, .ftt *:not(svg *)')].filter(e => e.offsetParent
           && e.getBoundingClientRect().right > 360.5).map(e => e.className || e.tagName)""",
        host.element_handle(),
    )
    assert over == []
    small = page.evaluate(
        """host => Math.min(...[...host.querySelectorAll('svg text')].filter(e => e.textContent)
           .map(e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().a))""",
        host.element_handle(),
    )
    assert small >= 10


@pytest.mark.parametrize("name", CASES)
def test_without_scripts_the_still_stays(page, site, name):
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    host = show(page, site, name, ready=False)
    assert host.locator("img").is_visible()
    assert host.locator(".ftt").count() == 0
    assert slider(host, CASES[name][1]).count() == 0


def test_without_its_data_the_still_stays(browser, site):
    page = browser.context.new_page()
    lost = []
    page.on("pageerror", lambda error: lost.append(str(error)))
    host = show(page, site, "playback", {"record": "nothing"}, ready=False)
    page.wait_for_function("document.querySelector('.figure-to-touch').dataset.ready === 'loading'")
    page.wait_for_timeout(500)
    assert host.locator("img").is_visible()
    assert "lib.tools.site.figures writes it" in lost[0]
    page.close()


# --- what each says -------------------------------------------------------------------------------


def test_the_explorer_takes_presets_and_shows_other_losses(page, site):
    host = show(page, site, "explorer")
    assert "counts as one at 89° without a margin" in says(host)  # 60° and 0.5 radians
    host.get_by_label("preset").select_option("SphereFace, m 4")
    assert slider(host, "m₁").input_value() == "4"
    slider(host, "m₃").focus()
    page.keyboard.press("ArrowRight")
    assert host.get_by_label("preset").input_value() == "your own"
    lines = host.locator(".ftt-key li").count()
    host.get_by_label("all losses").check()
    assert host.locator(".ftt-key li").count() == lines + 5
    slider(host, "m₁").fill("0.5")
    assert "lib refuses" in says(host)


def test_the_explorer_compares_no_number_with_itself(page, site):
    host = show(page, site, "explorer")
    assert "not 1.00" in says(host)
    for angle, words in (("20", "is 1.00 either way"), ("180", "is 0.00 either way")):
        slider(host, "angle θ").fill(angle)
        assert words in says(host)


def test_the_field_says_what_lib_computes(page, site):
    host = show(page, site, "field", {"loss": "softmax", "angle": 40, "length": 6.5})
    for loss in diagrams.FIELDS:
        host.locator("select").select_option(loss)
        turn = np.radians(40)
        sample = 6.5 * np.array([[-np.sin(turn), np.cos(turn)]])
        value = diagrams.loss_and_push(loss, sample)[0][0]
        assert f"the loss of {loss} is {value:.2f}" in says(host)


def test_the_circle_has_a_row_for_each_class(page, site):
    host = show(page, site, "circle")
    slider(host, "classes").fill("7")
    rows = host.locator("tbody tr")
    assert rows.count() == 7
    total = sum(float(row.locator("td").last.inner_text()) for row in rows.all())
    assert total == pytest.approx(1, abs=0.05)
    point = point_of(host, "class weight 3")
    point.focus()
    before = rows.nth(3).inner_text()
    page.keyboard.press("Shift+ArrowUp")
    assert rows.nth(3).inner_text() != before


def test_a_training_is_played_paused_and_played_again(page, site):
    host = show(page, site, "playback")
    time = slider(host, "time")
    time.fill("1")
    host.get_by_role("button", name="Play").click()
    page.wait_for_function("e => e.value > 1.3", arg=time.element_handle())
    host.get_by_role("button", name="Pause").click()
    stopped, drawn = time.input_value(), looks(page, host)
    page.wait_for_timeout(300)
    assert time.input_value() == stopped
    assert looks(page, host) == drawn
    time.fill("6")
    host.get_by_role("button", name="Play").click()  # from the end it begins anew
    page.wait_for_function("e => e.value < 3", arg=time.element_handle())


def test_who_wants_no_motion_sees_one_moment_after_the_other(page, site):
    page.emulate_media(reduced_motion="reduce")
    host = show(page, site, "playback")
    epochs = figures.playback_data("arcface-2d")["epochs"]
    host.get_by_role("button", name="Play").click()
    seen = page.evaluate(
        """input => new Promise(done => { const seen = new Set(); const look = () => {
             seen.add(Number(input.value));
             seen.size > 5 ? done([...seen]) : requestAnimationFrame(look); }; look(); })""",
        slider(host, "time").element_handle(),
    )
    for value in seen:
        assert min(abs(value - epoch) for epoch in epochs) < 0.006


def test_the_threshold_says_what_lib_counts(page, site):
    host = show(page, site, "threshold", {"scores": "pixels", "threshold": 0.5})
    scores = figures.pixel_scores()["pixels"]
    accepted = round(scores.far(0.5) * len(scores.impostor))
    assert f"({accepted:,} of {len(scores.impostor):,})" in says(host)
    assert host.get_by_label("model").count() == 0


def test_the_calculator_says_what_fits(page, site):
    host = show(page, site, "feasibility")
    assert "36.0°: it fits." in says(host)
    slider(host, "m₃").fill("0.2")  # beyond 1 − cos 36° = 0.191
    assert "it does not fit." in says(host)
    assert "0.191" in host.locator(".ftt-facts").inner_text()
    slider(host, "dimensions").focus()
    page.keyboard.press("ArrowRight")
    assert "in 3 dimensions" in says(host)


def test_the_calculator_writes_no_endless_numbers(page, site):
    host = show(page, site, "feasibility", {"classes": 10_000_000, "dim": 2})
    scales = "over a million; over a million in random directions"
    assert scales in host.locator(".ftt-facts").inner_text()
