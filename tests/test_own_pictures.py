"""Lesson 11 says: change three lines, and it recognises the people in a folder of yours."""

import re
from pathlib import Path

from lib import faces

import matplotlib.pyplot as plt
import nbformat
import pytest
from PIL import Image

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "11_recogniser.ipynb"
NEEDED = ("setup", "folder", "people", "closest", "closest-picture", "threshold", "gallery")
MARK = "  # ← yours"


def cells():
    notebook = nbformat.read(LESSON, as_version=4)
    return {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}


@pytest.fixture
def folder(tmp_path):
    """Pictures unlike the lesson's: other people, of another size, as JPEG, with a border."""
    drawn = faces.people("test", count=6, images=3, seed=9)
    large = faces.portraits(drawn.traits[drawn.labels], drawn.nuisances, size=160)
    for number, (label, pixels) in enumerate(zip(drawn.labels, large, strict=True)):
        wide = Image.new("RGB", (240, 160), "white")
        wide.paste(Image.fromarray((255 * pixels).round().astype("uint8")), (40, 0))
        name, picture = f"Person {label}", number % 3
        if picture == 2:
            place = tmp_path / "who came" / f"{name}.jpg"
        elif label < 4:  # the last two are strangers
            place = tmp_path / "mine" / name / f"{picture}.jpg"
        else:
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        wide.save(place, quality=95)
    return tmp_path


def test_three_lines_are_marked():
    marked = [line for source in cells().values() for line in source.splitlines() if MARK in line]
    assert [line.split(" = ")[0] for line in marked] == ["PEOPLE", "DOOR", "CONSENT"]


def test_with_three_lines_changed_it_answers_about_ones_own_pictures(folder, capsys, monkeypatch):
    monkeypatch.chdir(LESSON.parent)
    sources = cells()
    changed = {
        "PEOPLE": f"Path({str(folder / 'mine')!r})",
        "DOOR": f"Path({str(folder / 'who came')!r})",
        "CONSENT": "'each in writing, on 2026-05-01, for the door'",
    }
    for name, value in changed.items():
        sources["folder"], count = re.subn(
            rf"^{name} = .*{MARK}.*$", f"{name} = {value}", sources["folder"], flags=re.MULTILINE
        )
        assert count == 1
    code = [re.sub(r"^%.*$", "", sources[name], flags=re.MULTILINE) for name in NEEDED]
    space = {"drawn": folder}  # where the gallery is kept
    try:
        exec("\n".join(code), space)
    finally:
        plt.close("all")
    said = capsys.readouterr().out
    assert "8 pictures of 4 people" in said
    assert "each in writing" in said
    answers = dict(re.findall(r"^(Person \d) +→ (.+)$", said, re.MULTILINE))
    assert set(answers) == {f"Person {label}" for label in range(6)}
    assert all(answers[name] == name for name in list(answers)[:4])
    assert answers["Person 4"] == answers["Person 5"] == "nobody"
