"""`make repeat` sees every change but that of a time, and fails where a lesson does not repeat."""

import os
from pathlib import Path

from lib.tools import repeat

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output


def notebook(*outputs, tags=()):
    cell = new_code_cell("1", id="a-cell", metadata={"tags": list(tags)}, outputs=list(outputs))
    return new_notebook(cells=[cell])


def printed_notebook(text, tags=()):
    return notebook(new_output("stream", text=text), tags=tags)


def printed(text, tags=()):
    return repeat.results(printed_notebook(text, tags))


def drawn(png):
    data = {"image/png": png, "text/plain": "[figure]"}
    return repeat.results(notebook(new_output("display_data", data=data)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (printed("accuracy 0.9431"), printed("accuracy 0.9432")),
        (drawn("AAAA"), drawn("AAAB")),
        (printed("one"), drawn("AAAA")),
        (printed("difference: 1e-05"), printed("difference: 2e-05")),
        (printed("mistakes: 0 (at most 10)"), printed("mistakes: 1 (at most 10)")),
        (printed("EER 0.05 · 3.1 s"), printed("EER 0.06 · 3.1 s")),
    ],
)
def test_a_change_in_a_digit_or_a_pixel_is_seen(first, second):
    assert repeat.differences(first, first) == []
    assert repeat.differences(first, second) == ["a-cell"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("accuracy 0.94 · 3.1 s", "accuracy 0.94 · 12.9 s"),
        ("a step takes 31 ms", "a step takes 29 ms"),
        ("difference: 2.384e-07 (at most 1e-06)", "difference: 1.192e-07 (at most 1e-06)"),
        ("difference: 0 (at most 1e-05)", "difference: 1.192e-07 (at most 1e-05)"),
    ],
)
def test_a_time_or_a_rounding_error_may_change(first, second):
    assert repeat.differences(printed(first), printed(second)) == []


def test_a_cell_that_measures_times_is_left_out():
    assert printed("ratio 1.3", tags=["timed"]) == {}


def test_the_code_in_an_answer_is_run_and_the_code_of_a_task_is_not():
    task = "Repair it:\n\n```python\nbroken(\n```\n\n"
    answer = "<details><summary>Answer</summary>\n\nSo:\n\n```python\nx = 1\n```\n\n</details>"
    cells = [new_markdown_cell(task + answer, id="open"), new_code_cell("y = 2", id="last")]
    found = repeat.with_answers(new_notebook(cells=cells)).cells
    assert [(cell.id, cell.source) for cell in found[1:]] == [
        ("last", "y = 2"),
        ("open-answer-1", "x = 1\n"),
    ]


def test_the_kernel_is_started_with_the_variables_and_they_are_as_before_afterwards(monkeypatch):
    monkeypatch.setenv("KEPT", "old")
    monkeypatch.setattr(repeat.render, "read", lambda path: printed_notebook("0.5"))
    inside = []

    def execute(notebook, folder):
        inside.append((os.environ["KEPT"], os.environ["ADDED"]))

    monkeypatch.setattr(repeat.render, "execute", execute)
    shown, _ = repeat.run(Path("lesson.ipynb"), {"KEPT": "new", "ADDED": "1"})
    assert shown == {"a-cell": ["0.5"]}
    assert inside == [("new", "1")]
    assert os.environ["KEPT"] == "old"
    assert "ADDED" not in os.environ


def test_what_does_not_repeat_or_fails_is_counted_and_named(monkeypatch, tmp_path, capsys):
    path = tmp_path / "lesson.ipynb"
    values = iter(["0.1", "0.2"])

    def run(path, environment):
        if "TF_XLA_FLAGS" in environment:
            raise repeat.render.Problem("cell scores failed: a claim does not hold")
        return printed(next(values, "0.1")), 1.0

    monkeypatch.setattr(repeat, "run", run)
    assert repeat.check(path) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "again: NOT THE SAME in a-cell" in lines[1]
    assert "oneDNN off: the same" in lines[3]
    assert "XLA: cell scores failed" in lines[4]
