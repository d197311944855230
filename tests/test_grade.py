"""`make grade`: every row is right, and a bad notebook costs only its own row."""

import csv
import json
import os
import sys
import time
from pathlib import Path

from lib.tools import grade

import nbformat
import pytest

SETUP = "import sys\nsys.path.insert(0, '../..')\nfrom lib.checks import lesson_01 as checks"
CHECKS = """
from types import SimpleNamespace

def self_check(title):
    def decorate(examine):
        def check(*answers):
            if any(answer is ... for answer in answers):
                return SimpleNamespace(state="not started", message="write it")
            right = examine(*answers)
            return SimpleNamespace(state="passed" if right else "wrong", message="2 is wanted")
        return check
    return decorate

@self_check("1.1 a number")
def number(two):
    return two == 2

@self_check("1.2 a function")
def function(double):
    return double(1) == 2
"""
ANSWERS = {"number": "two = 2", "function": "def double(x):\n    return 2 * x"}


def notebook(*cells, title="# 1 · Double a number"):
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title), *code])


def answered(*before, **answers):
    """A notebook with the right answers, but for those that are given."""
    answers = ANSWERS | answers
    calls = ("checks.number(two)", "checks.function(double)")
    return notebook(SETUP, *before, answers["number"], calls[0], answers["function"], calls[1])


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one lesson whose library is quick to import; what it returns is handed in."""
    root = tmp_path / "course"
    for folder in ("lib/checks", "notebooks/solutions"):
        (root / folder).mkdir(parents=True)
    (root / "lib" / "checks" / "lesson_01.py").write_text(CHECKS)
    nbformat.write(answered(), root / "notebooks" / "solutions" / "01_double.ipynb")
    monkeypatch.setattr(grade, "ROOT", root)
    monkeypatch.setattr(grade, "SOLUTIONS", root / "notebooks" / "solutions")
    monkeypatch.setattr(grade, "CHECKS", root / "lib" / "checks")
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    return handed_in


def graded(folder, name="ada.ipynb", timeout=30):
    return grade.grade(folder / name, folder, grade.read_course(), timeout)


def states(row):
    return [row.verdicts[name][0] for name in ("number", "function")]


def messages(row):
    return [row.verdicts[name][1] for name in ("number", "function")]


@pytest.mark.parametrize(
    ("book", "expected", "words"),
    [
        (answered(), ["passed", "passed"], ""),
        (answered(number="two = ..."), ["not started", "passed"], "write it"),
        (answered(number="two = 3"), ["wrong", "passed"], "2 is wanted"),
        (answered(number="two = 2\n1 / 0"), ["passed", "passed"], ""),
        (answered(number="two = 1 / 0"), ["wrong", "passed"], "ZeroDivisionError"),
        (answered(number="two = 2 2"), ["wrong", "passed"], "its cell is missing"),
        (answered(number="%matplotlib widget\ntwo = 2"), ["passed", "passed"], ""),
        (answered(number="two = (5\n    % 3)"), ["passed", "passed"], ""),
        (answered(number="raise SystemExit\ntwo = 2"), ["wrong", "passed"], "SystemExit"),
        (answered(number="two = int(input())"), ["wrong", "passed"], "EOFError"),
        (answered(number="print('x' * 10**8)\ntwo = 2"), ["passed", "passed"], ""),
        (answered(number="checks.number = print\ntwo = 3"), ["wrong", "passed"], "2 is wanted"),
        (answered("def one():\n    return 1", number="two = 2 * one()"), ["passed", "passed"], ""),
        (notebook(SETUP, "two = 2", "checks.number(two)"), ["passed", "wrong"], "is missing"),
        (notebook("checks.number(two)", "two = 2"), ["passed", "wrong"], "is missing"),
        (notebook("two = 2\nchecks.number(two)"), ["passed", "wrong"], "is missing"),
    ],
)
def test_a_notebook_is_graded(course, book, expected, words):
    nbformat.write(book, course / "ada.ipynb")
    row = graded(course)
    assert (row.lesson, row.problem) == ("01", "")
    assert states(row) == expected
    assert any(words in message for message in messages(row))


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"number": "two = 2\nwhile True:\n    print(two)"}, "more than 3 seconds"),
        ({"number": "import os\nos._exit(3)\ntwo = 2"}, "brought Python down (exit status 3)"),
        ({"number": "import ctypes\ntwo = ctypes.string_at(0)"}, "brought Python down"),
        ({"function": "def double(x):\n    while True:\n        pass"}, "more than 3 seconds"),
    ],
)
def test_what_hangs_or_crashes_costs_one_exercise(course, answers, words):
    nbformat.write(answered(**answers), course / "ada.ipynb")
    row = graded(course, timeout=3)
    assert sorted(states(row)) == ["passed", "wrong"]
    assert any(words in message for message in messages(row))


@pytest.mark.skipif(os.name == "nt", reason="looks for a process as Linux does")
def test_what_an_answer_started_is_ended(course, tmp_path):
    pid = tmp_path / "pid"
    source = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\ntwo = 2"
    )
    nbformat.write(answered(number=source), course / "ada.ipynb")
    assert states(graded(course)) == ["passed", "passed"]
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid.read_text()}/cmdline").exists() and time.monotonic() < deadline:
        if "Z" in Path(f"/proc/{pid.read_text()}/stat").read_text().split()[2]:
            break  # ended, and waits for its parent to look
        time.sleep(0.05)
    assert time.monotonic() < deadline


def test_only_the_cells_that_an_answer_needs_are_run(course):
    earlier = "import os\nos._exit(1)", "def one(x):\n    return x", "y = 7"
    book = answered(*earlier, function="def double(y):\n    x = one(y)\n    return 2 * x")
    nbformat.write(book, course / "ada.ipynb")
    cells = grade.read_cells(course / "ada.ipynb")
    steps = grade.steps_of(cells, grade.read_course()["01"])
    assert [text for kind, text in steps if kind == "run"] == [
        SETUP,
        earlier[1],
        "two = 2",
        book.cells[-2].source,
    ]
    assert states(graded(course)) == ["passed", "passed"]


@pytest.mark.parametrize(
    ("source", "used", "bound"),
    [
        ("a = b", {"b"}, {"a"}),
        ("a = 1\nb = a", set(), {"a", "b"}),
        ("a = a + 1", {"a"}, {"a"}),
        ("a += 1", {"a"}, {"a"}),
        ("def f(x):\n    y = x + g\n    return y", {"g"}, {"f"}),
        ("[a for a in b]", {"b"}, set()),
        ("import a.b as c, d.e", set(), {"c", "d"}),
        ("class A:\n    def f(self):\n        return B", {"B"}, {"A"}),
        ("f = lambda x: x * y", {"y"}, {"f"}),
        ("{a: a + c for a in b}", {"b", "c"}, set()),
        ("[a for a in a]", {"a"}, set()),
        ("class A:\n    x = 1\n    y = x + z", {"z"}, {"A"}),
        ("def f():\n    return [g(x) for x in h]", {"g", "h"}, {"f"}),
        ("return a", set(), set()),
        ("no python", set(), set()),
    ],
)
def test_names_that_code_uses_and_defines(source, used, bound):
    assert grade.used_names(source) - {"__module__", "__qualname__", "__name__"} == used
    assert grade.bound_names(source) == bound


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"cells": {"a": 1}}', '{"cells": [1]}', "[" * 10**5, "\0\xff"]
)
def test_a_damaged_file_costs_its_own_row(course, text):
    (course / "ada.ipynb").write_text(text, encoding="latin-1")
    row = graded(course)
    assert "damaged" in row.problem
    assert row.verdicts == {}


def test_a_notebook_of_something_else_is_named(course):
    nbformat.write(notebook("print(1)", title="# Shopping"), course / "ada.ipynb")
    assert "none of the lessons" in graded(course).problem


def test_hidden_files_are_not_graded(course):
    for name in (".ipynb_checkpoints/a.ipynb", "__MACOSX/a.ipynb", "._a.ipynb", "sub/a.ipynb"):
        (course / name).parent.mkdir(exist_ok=True)
        (course / name).touch()
    assert [path.parent.name for path in grade.notebooks_in(course)] == ["sub"]


def test_the_table_the_file_and_nothing_written_into_the_folder(course, tmp_path, capsys):
    nbformat.write(answered(), course / "ada.ipynb")
    nbformat.write(answered(number="two = 3\nopen('x', 'w')"), course / "bob.ipynb")
    (course / "eve.ipynb").write_text("{")
    before = {path: path.read_bytes() for path in course.rglob("*")}
    target = tmp_path / "grades.csv"
    assert grade.main([str(course), "--csv", str(target), "--jobs", "2"]) == 0
    assert {path: path.read_bytes() for path in course.rglob("*")} == before
    shown = capsys.readouterr().out
    assert "ada.ipynb   ✓    ✓   2 of 2" in shown
    assert "bob.ipynb   ✗    ✓   1 of 2" in shown
    assert "bob.ipynb, 1.1: 2 is wanted" in shown
    assert "eve.ipynb: is damaged" in shown
    with target.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["state"] for line in lines] == [
        "passed",
        "passed",
        "wrong",
        "passed",
        "not graded",
    ]


def test_what_is_asked_wrongly_is_explained(course, tmp_path, capsys):
    assert grade.main([]) == 1
    assert grade.main([str(tmp_path / "nowhere")]) == 1
    assert grade.main([str(course)]) == 1
    assert grade.main([str(course), "--csv", str(course / "x.csv")]) == 1
    errors = capsys.readouterr().err
    for words in ("DIR=folder", "There is no notebook", "must not go into the folder"):
        assert words in errors


def test_a_message_is_one_short_line_without_control_characters():
    assert grade.plain("a\nb\t\x1b[31mc") == "a b [31mc"
    assert len(grade.plain("x" * 10**6)) == grade.MESSAGE


def test_every_self_check_of_the_course_is_known_by_its_number():
    for number, lesson in grade.read_course().items():
        assert [c.number for c in lesson.checks] == sorted(c.number for c in lesson.checks)
        assert all(check.number.startswith(f"{int(number)}.") for check in lesson.checks)


def test_the_lessons_and_their_solutions_are_recognised_and_need_no_other_cells():
    lessons = grade.read_course()
    for number, lesson in lessons.items():
        (path,) = grade.LESSONS.glob(f"{number}_*.ipynb")
        for notebook_path in (path, grade.SOLUTIONS / path.name):
            cells = grade.read_cells(notebook_path)
            assert grade.recognise(cells, lessons) == lesson
            kinds = [kind for kind, _ in grade.steps_of(cells, lesson)]
            assert kinds.count("check") == len(lesson.checks)
            assert kinds.count("run") <= 2 * len(lesson.checks) + 1


def test_a_solved_notebook_passes_the_courses_own_checks(tmp_path):
    """The only test here that pays for importing the library."""
    lesson = nbformat.read(grade.LESSONS / "01_softmax.ipynb", as_version=4)
    solved = nbformat.read(grade.SOLUTIONS / "01_softmax.ipynb", as_version=4)
    sources = {cell.id: cell.source for cell in solved.cells}
    for cell in lesson.cells:
        if cell.id.startswith("exercise-"):
            cell.source = sources[cell.id]
        if cell.id == "exercise-first-loss":
            cell.source = "first_loss = 0.1"
    nbformat.write(lesson, tmp_path / "ada.ipynb")
    row = graded(tmp_path, timeout=60)
    passed = {name: state == "passed" for name, (state, _) in row.verdicts.items()}
    assert passed.pop("first_loss") is False
    assert "probability" in row.verdicts["first_loss"][1]
    assert passed
    assert all(passed.values())


def test_editors_that_drop_ids_and_tags_do_no_harm(course):
    raw = json.loads(nbformat.writes(answered()))
    raw["nbformat_minor"] = 0
    for cell in raw["cells"]:
        del cell["id"]
    (course / "ada.ipynb").write_text(json.dumps(raw))
    assert states(graded(course)) == ["passed", "passed"]


def test_the_worker_is_this_python(course):
    nbformat.write(
        answered(
            number="import sys\ntwo = 2 if sys.executable == " + repr(sys.executable) + " else 0"
        ),
        course / "ada.ipynb",
    )
    assert states(graded(course)) == ["passed", "passed"]
