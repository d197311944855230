"""`make render`: exercises without their solutions, links, readable ids, clean outputs."""

import base64
import copy
import io
import re

from lib.files import Problem
from lib.tools import exercises, navigation, private_state, render

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image


def markdown(source, cell_id, **metadata):
    return nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=metadata)


def code(source, cell_id, outputs=(), **metadata):
    return nbformat.v4.new_code_cell(source, id=cell_id, outputs=list(outputs), metadata=metadata)


def book(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


# --- exercises ------------------------------------------------------------------------------------

YOUR_TURN = 'raise NotImplementedError("your turn")'


def solution(*lines, indent=""):
    return "\n".join(indent + line for line in (exercises.BEGIN, *lines, exercises.END))


@pytest.mark.parametrize(
    ("source", "stub"),
    [
        ("x = 1", "x = 1"),
        (
            "def f(x):\n" + solution("y = x", "return y", indent="    "),
            f"def f(x):\n    {YOUR_TURN}",
        ),
        (
            'def f(x):\n    """Halve."""\n' + solution("return x", indent="    ") + "\n\nf",
            f'def f(x):\n    """Halve."""\n    {YOUR_TURN}\n\nf',
        ),
        (
            "class A:\n    def f(self):\n" + solution("pass", indent="        "),
            f"class A:\n    def f(self):\n        {YOUR_TURN}",
        ),
        (
            "def f(x):\n    if x:\n" + solution("return 1", indent="        ") + "\n    return 0",
            f"def f(x):\n    if x:\n        {YOUR_TURN}\n    return 0",
        ),
        (solution("a = 1", "b, c = 2, 3", "a = 5"), "a = ...\nb = ...\nc = ..."),
        (solution("total = sum(v for v in values)"), "total = ..."),
        (solution("f = lambda x: x"), "f = ..."),
        (solution("x == 1"), "...  # your turn"),
        (solution("print(1)"), "...  # your turn"),
        (
            "with open(p) as f:\n" + solution("x = 1", indent="    "),
            "with open(p) as f:\n    x = ...",
        ),
        (solution("x = 1") + "\nz = 0\n" + solution("y = 1"), "x = ...\nz = 0\ny = ..."),
        (
            "def f(x):\n    return x\n\n\n" + solution("x = 1"),
            "def f(x):\n    return x\n\n\nx = ...",
        ),
    ],
)
def test_cut(source, stub):
    assert exercises.cut(source) == stub


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (exercises.BEGIN, "take turns"),
        (exercises.END, "take turns"),
        (f"{exercises.BEGIN}\n{exercises.BEGIN}\n{exercises.END}", "take turns"),
        (f"x = 1  {exercises.BEGIN}", "line of its own"),
        (solution("x = = 1"), "not Python"),
    ],
)
def test_wrong_markers_are_explained(source, words):
    with pytest.raises(Problem, match=words):
        exercises.cut(source)


@given(st.lists(st.sampled_from(["secret = 1", "if secret:\n    secret2 = 2", "secret()"])))
def test_nothing_of_a_solution_is_left_but_names(statements):
    stub = exercises.cut("before = 0\n" + solution(*statements) + "\nafter = 0")
    assert re.fullmatch(
        r"before = 0\n((secret2? = \.\.\.\n)+|\.\.\.  # your turn\n)after = 0", stub
    )


EXERCISE = {"tags": ["exercise"]}


def solutions_book():
    return book(
        markdown("# Solutions", "title"),
        markdown("Halve it.", "half-text", **EXERCISE),
        code("def half(x):\n" + solution("return x / 2", indent="    "), "half", **EXERCISE),
        code(
            "check(half)", "half-check", [nbformat.v4.new_output("stream", text="ok")], **EXERCISE
        ),
    )


def lesson_book():
    return book(
        markdown("# 1", "title"), markdown("## Exercises", exercises.ANCHOR), markdown("x", "end")
    )


def ids(notebook):
    return [cell.id for cell in notebook.cells]


def test_exercises_come_behind_the_anchor_and_then_stay_in_sync():
    lesson = lesson_book()
    assert exercises.sync(lesson, solutions_book())
    assert ids(lesson) == ["title", "exercises", "half-text", "half", "half-check", "end"]
    assert lesson.cells[3].source == f"def half(x):\n    {YOUR_TURN}"
    assert lesson.cells[4].outputs == []
    again = copy.deepcopy(lesson)
    assert not exercises.sync(lesson, solutions_book())
    assert lesson == again


def test_exercises_follow_the_solutions_to_the_one_place_for_them():
    lesson, changed = lesson_book(), solutions_book()
    exercises.sync(lesson, changed)
    changed.cells[1:3] = [changed.cells[2]]
    lesson.cells.insert(3, markdown("between", "between"))
    assert exercises.sync(lesson, changed)
    assert ids(lesson) == ["title", "exercises", "half", "half-check", "between", "end"]


def test_a_lesson_without_a_place_for_exercises_is_an_error():
    with pytest.raises(Problem, match="no cell with the id `exercises`"):
        exercises.sync(book(markdown("# 1", "title")), solutions_book())


# --- navigation -----------------------------------------------------------------------------------

TITLES = {
    "00_start_here.ipynb": "0 · Start here",
    "01_softmax.ipynb": "1 · Put [digits] on a plane",
    "02_center_loss.ipynb": "2 · Pull",
}


def test_links_to_the_neighbours():
    contents = "[Contents](00_start_here.ipynb#Contents)"
    escaped = r"1 · Put \[digits\] on a plane"
    assert [navigation.line(name, TITLES) for name in TITLES] == [
        f"{contents} | [{escaped} →](01_softmax.ipynb)",
        "[← 0 · Start here](00_start_here.ipynb)"
        f" | {contents} | [2 · Pull →](02_center_loss.ipynb)",
        f"[← {escaped}](01_softmax.ipynb) | {contents}",
    ]


def test_links_are_put_behind_the_title_and_at_the_end_once():
    notebook = book(markdown("# 1 · Put", "title"), markdown("x", "x"))
    assert navigation.update(notebook, "old")
    assert navigation.update(notebook, "new")
    assert not navigation.update(notebook, "new")
    assert ids(notebook) == ["title", "navigation", "x", "navigation-end"]
    assert [notebook.cells[i].source for i in (1, 3)] == ["new", "new"]


def test_titles_come_from_the_notebooks(tmp_path):
    nbformat.write(book(markdown("# 1 · Put it \n\ntext", "a")), tmp_path / "01_softmax.ipynb")
    nbformat.write(book(markdown("# Scratch", "a")), tmp_path / "scratch.ipynb")
    assert navigation.lesson_titles(tmp_path) == {"01_softmax.ipynb": "1 · Put it"}
    nbformat.write(book(markdown("## No title", "a")), tmp_path / "02_x.ipynb")
    with pytest.raises(Problem, match=r"02_x\.ipynb: it has no title"):
        navigation.lesson_titles(tmp_path)


# --- render ---------------------------------------------------------------------------------------


def png(image):
    file = io.BytesIO()
    image.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def opened(data):
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_shrunk_images_have_a_small_palette_and_look_alike():
    image = Image.linear_gradient("L").convert("RGB")
    small = opened(render.shrink(png(image)))
    assert small.mode == "P"
    assert len(small.getcolors()) <= render.COLOURS
    original, shrunk = image.tobytes(), small.convert("RGB").tobytes()
    assert max(abs(a - b) for a, b in zip(original, shrunk, strict=True)) <= 16


def test_what_is_transparent_becomes_white_and_shrinking_again_changes_nothing():
    once = render.shrink(png(Image.new("RGBA", (3, 3))))
    assert opened(once).convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    once = render.shrink(png(Image.linear_gradient("L").convert("RGB")))
    assert render.shrink(once) == once


def test_outputs_are_cleaned():
    new = nbformat.v4.new_output
    picture = {"image/png": png(Image.new("RGB", (2, 2))), "image/svg+xml": "<svg/>"}
    alt = {"image/png": {"alt": "a square", "width": 2}, "needs_background": "light"}
    cell = code(
        "x",
        "cell",
        [
            new("stream", name="stdout", text="1 %\r2 %"),
            new("stream", name="stderr", text="warning"),
            new("stream", name="stdout", text="\ndone\n"),
            new("display_data", data={**picture, render.WIDGET: {"model_id": "1"}}, metadata=alt),
            new("display_data", data={render.WIDGET: {"model_id": "1"}, "text/plain": "VBox(1)"}),
            new("display_data", data={"application/javascript": "1"}),
            new("execute_result", data={"text/plain": "7"}, execution_count=12),
        ],
        tags=["exercise"],
        execution={"iopub.status.busy": "now"},
    )
    notebook = book(markdown("# x", "title", vscode={}), cell)
    notebook.metadata.widgets = {"state": 1}
    render.clean(notebook)
    nbformat.validate(notebook)
    assert notebook.metadata == render.METADATA
    assert notebook.cells[0].metadata == {}
    assert cell.metadata == {"tags": ["exercise"]}
    text, image, widget, _ = cell.outputs
    assert text.text == "2 %\ndone\n"
    assert set(image.data) == {"image/png", "text/plain"}
    assert image.metadata == {"image/png": {"alt": "a square"}}
    assert widget.data == {"text/plain": render.WIDGET_TEXT}


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson, for render.main to work on."""
    lessons = tmp_path / "notebooks"
    (lessons / "solutions").mkdir(parents=True)
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr(render, "LESSONS", lessons)
    monkeypatch.setattr(render, "SOLUTIONS", lessons / "solutions")
    monkeypatch.setattr(private_state, "use", lambda: None)
    return lessons


def test_render_executes_and_stores_lessons_with_their_exercises(course, capsys):
    lesson = lesson_book()
    lesson.cells.insert(1, code("import os\nprint(os.getcwd().rpartition(os.sep)[2])", "1f0c9a2b"))
    nbformat.write(lesson, course / "01_softmax.ipynb")
    solutions = solutions_book()
    solutions.cells.insert(0, code("check = print", "setup"))
    solutions.cells[-1].source = "print('half')"
    nbformat.write(solutions, course / "solutions" / "01_softmax.ipynb")

    assert render.main([]) == 0
    stored = nbformat.read(course / "01_softmax.ipynb", as_version=4)
    assert stored.cells[2].outputs[0].text == "notebooks\n"
    assert [cell.execution_count for cell in stored.cells if cell.cell_type == "code"] == [1, 2, 3]
    assert stored.cells[-1].id == navigation.END
    assert YOUR_TURN in stored.cells[5].source
    assert capsys.readouterr().out.count("is stored") == 2

    before = {path: path.read_bytes() for path in course.rglob("*.ipynb")}
    assert render.main([str(course / "01_softmax.ipynb")]) == 0
    assert before == {path: path.read_bytes() for path in course.rglob("*.ipynb")}


def test_render_names_the_cell_that_failed_and_keeps_the_file(course, capsys):
    path = course / "01_softmax.ipynb"
    nbformat.write(book(markdown("# 1 · Put", "title"), code("1 / 0", "divide")), path)
    before = path.read_bytes()
    assert render.main([str(path)]) == 1
    error = capsys.readouterr().err
    assert "01_softmax.ipynb: An error occurred while executing the following cell" in error
    assert "division by zero" in error
    assert path.read_bytes() == before


def test_a_file_that_is_no_notebook_and_a_name_that_is_no_lesson_are_named(course, capsys):
    assert render.main([str(course / "01_softmax.ipynb")]) == 1
    assert "notebooks: has no lesson 01_softmax.ipynb" in capsys.readouterr().err
    (course / "01_softmax.ipynb").write_text("{")
    assert render.main([]) == 1
    assert "01_softmax.ipynb: Notebook does not appear to be JSON" in capsys.readouterr().err
    nbformat.write(lesson_book(), course / "01_softmax.ipynb")
    (course / "solutions" / "01_softmax.ipynb").write_text("{")
    assert render.main([]) == 1
    assert "does not appear to be JSON" in capsys.readouterr().err


def test_a_new_lesson_is_linked_from_its_neighbour_without_running_that(course):
    first, second = course / "00_start_here.ipynb", course / "01_softmax.ipynb"
    nbformat.write(book(markdown("# 0 · Start", "title"), code("1 / 0", "never-run")), first)
    nbformat.write(book(markdown("# 1 · Put", "title"), code("1", "run")), second)
    assert render.main([str(second)]) == 0
    stored = nbformat.read(first, as_version=4)
    assert "[1 · Put →](01_softmax.ipynb)" in stored.cells[1].source
    assert stored.cells[2].outputs == []


def test_a_lesson_and_its_solutions_are_rendered_together(course):
    lesson, solutions = course / "01_softmax.ipynb", course / "solutions" / "01_softmax.ipynb"
    nbformat.write(lesson_book(), lesson)
    nbformat.write(book(code("print('it')", "1f0c9a2b", **EXERCISE)), solutions)
    assert render.main([str(solutions)]) == 0
    for path in (lesson, solutions):
        (cell,) = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert (cell.id, cell.outputs[0].text) == ("1f0c9a2b", "it\n")
