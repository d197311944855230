"""`make repeat` sees every change but that of a time, and fails where a lesson does not repeat."""

import io
import os
import sys

from lib.tools import render, repeat

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


def printed(text, tags=()):
    cell = new_code_cell("1", id="a-cell", metadata={"tags": list(tags)})
    cell.outputs = [new_output("stream", text=text)]
    return repeat.results(new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("accuracy 0.9431", "accuracy 0.9432"),
        ("difference: 1e-05", "difference: 2e-05"),
        ("mistakes: 0 (at most 10)", "mistakes: 1 (at most 10)"),
        ("EER 0.05 · 3.1 s", "EER 0.06 · 3.1 s"),
        ("CosFace 0.932, s 16, 2-D", "CosFace 0.933, s 16, 2-D"),
        ("CosFace 0.2 s 16", "CosFace 0.3 s 16"),
        ("2, s = length", "3, s = length"),
    ],
)
def test_a_change_in_a_digit_is_seen(first, second):
    assert printed(first) != printed(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("accuracy 0.94 · 3.1 s", "accuracy 0.94 · 12.9 s"),
        ("1,200 seconds (median)", "1,100 seconds (median)"),
        ("a step takes 31 ms", "a step takes 29 ms"),
        ("difference: 2.384e-07 (at most 1e-06)", "difference: 1.192e-07 (at most 1e-06)"),
        ("difference: 0 (at most 1e-05)", "difference: 1.192e-07 (at most 1e-05)"),
    ],
)
def test_a_time_or_a_rounding_error_may_change(first, second):
    assert printed(first) == printed(second)


def test_a_cell_that_measures_times_is_left_out():
    assert printed("ratio 1.3", tags=["timed"]) == {}


def lesson(code, folder):
    """A notebook that prints or draws by this code, and has an answer with code in it."""
    text = (
        "Repair it:\n\n```python\nbroken(\n```\n\n"
        "<details><summary>Answer</summary>\n\n```python\nprint(value)\n```\n\n</details>"
    )
    cells = [new_markdown_cell(text, id="open"), new_code_cell(code, id="a-cell")]
    notebook = new_notebook(cells=cells, metadata=render.METADATA)
    nbformat.write(notebook, folder / "lesson.ipynb")
    return folder / "lesson.ipynb"


PICTURE = """\
import os
from IPython.display import display
from PIL import Image
value = os.environ.get("VALUE", "0")
image = Image.new("RGB", (20, 20))
image.putpixel((1, 2), (0, int(value), 0))
display(image)"""


def test_a_change_in_a_pixel_or_an_answer_is_seen_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(repeat, "CONDITIONS", {"again": {}, "other": {"VALUE": "9"}})
    path = lesson(PICTURE, tmp_path)
    assert repeat.failures(path) == 0  # digits may differ under other arithmetic
    _, again, other = capsys.readouterr().out.splitlines()
    assert again.endswith("again: all claims hold, the same")
    assert other.endswith("other: all claims hold, not the same in a-cell, open-answer-1")
    assert "VALUE" not in os.environ
    monkeypatch.setattr(repeat, "CONDITIONS", {"again": {"VALUE": "9"}})
    assert repeat.failures(path) == 1


def test_a_claim_that_fails_is_shown_by_a_pipe_of_few_letters_too(tmp_path, monkeypatch):
    path = lesson("value = 0; raise AssertionError('✓ ψ of 90°')", tmp_path)
    monkeypatch.setattr(repeat, "CONDITIONS", {})
    monkeypatch.setattr(sys, "argv", ["repeat", str(path)])
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", pipe)
    with pytest.raises(SystemExit, match="1 runs failed"):
        repeat.main()
    assert "? ? of 90°".encode("cp1252") in pipe.buffer.getvalue()
