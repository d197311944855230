"""The website's figures: where they stand in the lessons, and the data that the script reads."""

import json
import re
from pathlib import Path

from lib import verification
from lib.data import load_digits
from lib.diagrams import FIELDS
from lib.files import Problem
from lib.interactive import TrainingRecord
from lib.palette import LOSS_COLORS, LOSS_DASHES
from lib.scene import PRESETS
from lib.tools.site import figures

import nbformat
import numpy as np
import pytest

ROOT = Path(figures.__file__).resolve().parents[3]
SITE = Path(figures.__file__).parent
SCRIPT = (SITE / "static" / "figures.js").read_text(encoding="utf-8")
NAMES = {"explorer", "field", "circle", "playback", "threshold", "feasibility"}
KNOWN = {
    "preset": PRESETS,
    "loss": FIELDS,
    "record": figures.RECORDS,
    "scores": figures.SCORES,
    "model": ("softmax", "ArcFace"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return figures.write_data(tmp_path_factory.mktemp("site") / "figures")


def content_of(path):
    text = path.read_text(encoding="utf-8")
    name, content = re.fullmatch(
        r"\(window\.marginFiguresData \?\?= \{\}\)\[(.+?)\] = (.+);\n", text
    ).groups()
    assert json.loads(name) == path.stem
    return json.loads(content)


def options_on_the_page():
    """What the page with all six figures asks for: (name, options) of each."""
    page = (SITE / "figures_to_touch.md").read_text(encoding="utf-8")
    for tag in re.findall(r'<div class="figure-to-touch"[^>]*>', page):
        options = dict(re.findall(r'data-([\w-]+)="([^"]*)"', tag))
        yield options.pop("figure"), options


@pytest.mark.parametrize("lesson", sorted({lesson for lesson, _ in figures.FIGURES}))
def test_a_figure_stands_where_the_lesson_has_a_picture(lesson):
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    cells = {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}
    for cell in (cell for other, cell in figures.FIGURES if other == lesson):
        pictures = [o for o in cells[cell].outputs if "image/png" in o.get("data", {})]
        assert len(pictures) == 1, cell


def test_every_lesson_with_a_live_field_or_explorer_has_it_on_the_website():
    kinds = {"FieldExplorer": "field", "MarginExplorer": "explorer", "CirclePlayground": "circle",
             "ThresholdSlider": "threshold"}  # fmt: skip
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            for kind, name in kinds.items():
                if f"interactive.{kind}(" in cell.source and cell.cell_type == "code":
                    assert figures.FIGURES[path.stem, cell.id].name == name


def test_what_is_asked_for_exists():
    everything = [(figure.name, figure.options) for figure in figures.FIGURES.values()]
    everything += options_on_the_page()
    for name, options in everything:
        assert name in NAMES
        for key, value in options.items():
            assert value in KNOWN.get(key, (value,)), f"{key}: {value}"
            assert re.search(rf"options\.{key}\b|options\[margin\]", SCRIPT), key
    assert {name for name, _ in options_on_the_page()} == NAMES


def test_a_still_is_wrapped_with_its_options():
    figure = figures.FigureToTouch("explorer", {"preset": 'a "b" & c'})
    wrapped = figure.around("<img>")
    assert 'class="figure-to-touch" data-figure="explorer"' in wrapped
    assert 'data-preset="a &quot;b&quot; &amp; c"' in wrapped
    assert wrapped.endswith("\n<img>\n</div>")
    below = figures.FigureToTouch("circle", {"classes": 4}, below=True)
    assert below.around("<img>").startswith("<img>\n<div ")
    assert below.around("<img>").endswith('data-classes="4"></div>')


def test_the_script_asks_nobody_and_has_the_six_figures():
    addresses = set(re.findall(r"https?://[^\"'` ]+", SCRIPT))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bfetch\(|XMLHttpRequest|\beval\(|innerHTML", SCRIPT)
    table = re.search(r"^const figures = \{(.+?)\};", SCRIPT, re.MULTILINE)[1]
    assert set(re.findall(r"\w+", table.replace("feasible", ""))) == NAMES


def test_the_data_are_small_and_the_same_each_time(written, tmp_path):
    again = figures.write_data(tmp_path)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
    names = {path.stem for path in written}
    assert names == {"course", *(f"playback_{r}" for r in figures.RECORDS),
                     *(f"scores_{s}" for s in figures.SCORES)}  # fmt: skip
    for path in written:
        most = 80_000 if path.stem.startswith("playback") else 30_000
        assert 1000 < path.stat().st_size < most


def test_colours_and_dashes_are_those_of_the_course(written):
    course = content_of(written[0])
    assert set(course["losses"]) == set(FIELDS) == set(course["fields"])
    looks = {(look["color"], tuple(look["dash"])) for look in course["losses"].values()}
    assert len(looks) == len(FIELDS)
    assert course["losses"]["NormFace"]["dash"] == []
    assert course["losses"]["combined"]["dash"] == list(LOSS_DASHES["combined"][1])
    assert course["losses"]["ArcFace"]["color"] == LOSS_COLORS["ArcFace"]
    assert course["presets"]["ArcFace, m 0.5"] == [1.0, 0.5, 0.0, 64]


@pytest.mark.parametrize("name", figures.RECORDS)
def test_a_training_is_kept_to_a_two_thousandth_of_the_plane(written, name):
    kept = content_of(next(path for path in written if path.stem == f"playback_{name}"))
    record = TrainingRecord.load(name)
    value = {letter: number for number, letter in enumerate(figures.LETTERS)}
    for text, reach, points in zip(kept["points"], kept["reaches"], record.embeddings, strict=True):
        pairs = zip(text[::2], text[1::2], strict=True)
        found = np.array([64 * value[a] + value[b] for a, b in pairs]) / 4095 * 2 - 1
        np.testing.assert_allclose(found * reach, points.ravel(), atol=reach / 2000)
    assert kept["labels"] == "".join(map(str, record.labels))
    np.testing.assert_allclose(kept["scores"], record.scores, atol=1e-4)
    np.testing.assert_allclose(
        np.tan(kept["directions"][-1]), record.weights[-1][1] / record.weights[-1][0], rtol=0.05
    )


def test_pairs_are_counted_as_lib_counts_them(written):
    kept = content_of(next(path for path in written if path.stem == "scores_pixels"))
    digits = load_digits("lesson", copies=0)
    scores = verification.score_pairs(digits.x_test.reshape(1000, -1), digits.y_test)
    counts = kept["models"]["pixels"]
    for place in (0, 40, 90, len(counts["genuine"]) - 1):
        threshold = (counts["first"] + place) / counts["perUnit"]
        assert counts["genuine"][place] == np.count_nonzero(scores.genuine >= threshold)
        assert counts["impostor"][place] == np.count_nonzero(scores.impostor >= threshold)
    assert counts["genuine"][0] == len(scores.genuine)
    assert counts["impostor"][0] == len(scores.impostor)
    assert counts["eer"] == pytest.approx(verification.equal_error_rate(scores), abs=1e-6)


def test_the_kept_counts_of_faces_are_those_of_the_kept_backbones(tmp_path):
    """Up to a few pairs, since other machines round cosines at a threshold another way."""
    path = tmp_path / "face_scores.json"
    figures.record_face_scores(path)
    fresh, kept = (json.loads(p.read_text(encoding="utf-8")) for p in (path, figures.FACE_SCORES))
    assert fresh.keys() == kept.keys()
    for loss in fresh:
        assert kept[loss]["first"] == fresh[loss]["first"]
        for kind in ("genuine", "impostor"):
            ours, theirs = (np.array(counts[loss][kind]) for counts in (fresh, kept))
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=5)
        assert kept[loss]["eer"] == pytest.approx(fresh[loss]["eer"], abs=1e-5)


def test_counts_that_are_missing_say_how_to_make_them(monkeypatch, tmp_path):
    monkeypatch.setattr(figures, "FACE_SCORES", tmp_path / "face_scores.json")
    with pytest.raises(Problem, match=r"python -m lib\.tools\.site\.figures"):
        figures.scores_data("faces")
