"""`make grade`: every row is right, and a bad notebook costs only its own row."""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from lib.tools import grade
from tiny_wheels import write_wheel

import nbformat
import pytest

SETUP = "import sys\nsys.path.insert(0, '../..')\nfrom lib.checks import lesson_01 as checks"
CHECKS = """
def self_check(title):
    def decorate(examine):
        def check(*answers):
            try:
                if any(answer is ... for answer in answers):
                    raise NotImplementedError
                right = examine(*answers)
            except NotImplementedError:
                return Verdict("○", title, "write it")
            except Exception as error:
                return Verdict("✗", title, f"your code stopped with {error!r}")
            return Verdict("✓" if right else "✗", title, "2 is wanted")
        return check
    return decorate

class Verdict(tuple):
    def __new__(cls, *parts):
        return tuple.__new__(cls, parts)

    def __repr__(self):
        return "{} {}: {}".format(*self)

@self_check("1.1 a number")
def number(two):
    return two == 2

@self_check("1.2 a function")
def function(double):
    return double(1) == 2
"""
# Answers that end with two = 2, or not, and what a cell of its own, or several, gets for it.
WAYS = [
    ("two = 2", "passed", ""),
    ("two = ...", "not started", "write it"),
    ("two = 3", "wrong", "2 is wanted"),
    ("two = 2\n1 / 0", "passed", ""),
    ("two = 1 / 0", "wrong", "the cell stops with ZeroDivisionError"),
    ("two = 2 2", "wrong", "the cell stops with SyntaxError"),
    ("raise SystemExit\ntwo = 2", "wrong", "the cell stops with SystemExit"),
    ("two = int(input())", "wrong", "the cell stops with StdinNotImplementedError"),
    ("two = 2\nprint('x' * 10**7)", "passed", ""),
    ("checks.way_1 = print", "wrong", "'two' is not defined: its cell is missing"),
    (["two = 2", "checks = np = 0"], "passed", ""),
    (["two = 2", "exit()"], "passed", ""),
    (["two = 3", "a note to the teacher"], "wrong", "2 is wanted"),
    # cells that work together, in their order
    (["def f():\n    return g()", "def g():\n    return 2", "two = f()"], "passed", ""),
    (["two = [0]", "two[0] = 2", "(two,) = two"], "passed", ""),
    (["v = []", "v.append(2)", "two = v[0]"], "passed", ""),
    (["d = {}", "d['x'] = 2", "two = d['x']"], "passed", ""),
    (["w = [1]", "def grow():\n    w.append(1)", "grow()", "two = len(w)"], "passed", ""),
    (["two = 1", "two += 1"], "passed", ""),
    (["def set_it():\n    global two\n    two = 2", "set_it()"], "passed", ""),
    # what Jupyter understands
    ("%matplotlib inline\ntwo = 2", "passed", ""),
    ("%time two = 2", "passed", ""),
    ("%%time\ntwo = 2", "passed", ""),
    ("two = 2\nlen?", "passed", ""),
    ("a = !echo 2\ntwo = int(a[0])", "passed", ""),
    ("    two = 1\n    two += 1", "passed", ""),
    (">>> two = 1\n>>> two += 1", "passed", ""),
    ("import asyncio\ntwo = await asyncio.sleep(0, 2)", "passed", ""),
    (["1 + 1", "two = _"], "passed", ""),
    ("two = (5\n    % 3)", "passed", ""),
    # what the lesson's own cells define
    ("two = 2 * units[0]", "passed", ""),
    ("two = round(math.sqrt(4))", "passed", ""),
]
ANSWERS = {"number": "two = 2", "function": "def double(x):\n    return 2 * x"}
STUBS = {"number": "two = ...", "function": "def double(x):\n    raise NotImplementedError"}
CALLS = {"number": "checks.number(two)", "function": "checks.function(double)"}
LESSON = ["import math\nvalue = 1", "unit = value", "model = 1 / 0", "units = [unit]"]


def notebook(*cells, title="# 1 · Double a number"):
    code = [nbformat.v4.new_code_cell(source) for source in cells]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title), *code])


def answered(*before, **answers):
    """A notebook with the right answers, but for those that are given."""
    answers = ANSWERS | answers
    return notebook(SETUP, *before, *(s for name in CALLS for s in (answers[name], CALLS[name])))


def every_way():
    """A notebook of lesson 2, which has an exercise for each of the ways."""
    cells = [SETUP.replace("lesson_01", "lesson_02"), *LESSON]
    for number, (answer, _, _) in enumerate(WAYS, 1):
        answer = [answer] if isinstance(answer, str) else answer
        cells += [source.replace("two", f"two_{number}") for source in answer]
        cells.append(f"checks.way_{number}(two_{number})")
    return notebook(*cells, title="# 2 · In every way")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A course of two lessons whose library is quick to import."""
    root = tmp_path_factory.mktemp("course")
    (root / "lib" / "checks").mkdir(parents=True)
    (root / "notebooks" / "solutions").mkdir(parents=True)
    ways = "\n".join(
        f'@self_check("2.{number} two")\ndef way_{number}(two):\n    return two == 2\n'
        for number in range(1, len(WAYS) + 1)
    )
    shared = CHECKS[: CHECKS.index("@self_check")]
    for number, checks, book in (1, CHECKS, answered(*LESSON)), (2, shared + ways, every_way()):
        path = root / "lib" / "checks" / f"lesson_0{number}.py"
        path.write_text(checks, encoding="utf-8")
        nbformat.write(book, root / "notebooks" / "solutions" / f"0{number}_x.ipynb")
        for cell in book.cells[2 + len(LESSON) :]:
            cell.metadata.tags = ["exercise"]
        nbformat.write(book, root / "notebooks" / f"0{number}_x.ipynb")
    return root


@pytest.fixture
def course(root, tmp_path, monkeypatch):
    """Grades by that course; what it returns is the folder for what is handed in."""
    monkeypatch.setattr(grade, "ROOT", root)
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()
    return handed_in


def graded(folder, name="ada.ipynb", timeout=30):
    return grade.grade(folder / name, folder, grade.read_course(), timeout)


def states(rows):
    return [row.state for row in rows]


@pytest.fixture(scope="module")
def verdicts_on_every_way(root, tmp_path_factory):
    """All of them in one notebook: none may spoil another."""
    folder = tmp_path_factory.mktemp("handed in")
    nbformat.write(every_way(), folder / "ada.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grade, "ROOT", root)
        return graded(folder)


@pytest.mark.parametrize("number", range(1, len(WAYS) + 1), ids=lambda n: str(WAYS[n - 1][0]))
def test_an_answer_gets_what_it_gets_in_jupyter(verdicts_on_every_way, number):
    _, state, words = WAYS[number - 1]
    found = verdicts_on_every_way[number - 1]
    assert found.state == state, found
    assert words in found.message.replace(f"two_{number}", "two")


@pytest.mark.parametrize(
    ("book", "expected", "words"),
    [
        (answered(**STUBS), ["not started", "not started"], "write it"),
        (answered(function="def double(x):\n    exit()"), ["passed", "wrong"], "SystemExit"),
        (notebook(SETUP, "two = 2", "checks.number(two)"), ["passed", "wrong"], "is missing"),
        (notebook("checks.number(two)", "two = 2"), ["passed", "wrong"], "is missing"),
        (notebook("two = 2\nchecks.number(two)"), ["passed", "wrong"], "is missing"),
        (answered(function="two = 3\n" + ANSWERS["function"]), ["passed", "passed"], ""),
    ],
)
def test_a_notebook_is_graded(course, book, expected, words):
    nbformat.write(book, course / "ada.ipynb")
    rows = graded(course)
    assert [(row.lesson, row.exercise[:3]) for row in rows] == [("01", "1.1"), ("01", "1.2")]
    assert states(rows) == expected, rows
    assert any(words in row.message for row in rows)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"number": "two = 2\nwhile True:\n    print(two)"}, "more than 5 seconds"),
        ({"number": "import os\nos._exit(3)\ntwo = 2"}, "brought Python down (exit status 3)"),
        ({"number": "import ctypes\ntwo = ctypes.string_at(0)"}, "brought Python down"),
        ({"function": "def double(x):\n    while True:\n        pass"}, "more than 5 seconds"),
    ],
)
def test_what_hangs_or_crashes_costs_one_exercise(course, answers, words):
    nbformat.write(answered(**answers), course / "ada.ipynb")
    rows = graded(course, timeout=5)
    assert sorted(states(rows)) == ["passed", "wrong"]
    assert any(words in row.message for row in rows)


@pytest.mark.skipif(os.name == "nt", reason="looks for a process as Linux does")
@pytest.mark.parametrize("end", ["", "import os\nos._exit(1)\n"])
def test_what_an_answer_started_is_ended(course, tmp_path, end):
    pid = tmp_path / "pid"
    source = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n{end}two = 2"
    )
    nbformat.write(answered(number=source), course / "ada.ipynb")
    assert states(graded(course)) == ["wrong" if end else "passed", "passed"]
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid.read_text()}/cmdline").exists() and time.monotonic() < deadline:
        if "Z" in Path(f"/proc/{pid.read_text()}/stat").read_text().split()[2]:
            break  # ended, and waits for its parent to look
        time.sleep(0.05)
    assert time.monotonic() < deadline


def answers_run(book):
    """The student's cells that are run of a notebook of lesson 1, and its self-checks as names."""
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    run = grade.assemble(cells, grade.read_course()["01"]).cells[2:]
    return [cell.metadata.get("check", cell.source) for cell in run]


AT_THE_END = ["number", "function"]


def test_the_students_cells_are_run_and_of_the_lesson_what_they_use(course):
    scratch = "import os\nos._exit(1)", "y = 7"
    book = answered(*LESSON, *scratch, function="def double(y):\n    x = one(y)\n    return 2 * x")
    answer = book.cells[-2].source
    assert answers_run(book) == [*scratch, "two = 2", "number", answer, "function", *AT_THE_END]
    book.cells[-2].source = answer = "units[0]\ndef double(y):\n    y = value"
    expected = [LESSON[0], LESSON[1], LESSON[3], *scratch, "two = 2", "number", answer]
    assert answers_run(book) == [*expected, "function", *AT_THE_END]


def test_a_lessons_cell_is_known_by_its_id_or_its_text(course, root):
    lesson = nbformat.read(root / "notebooks" / "01_x.ipynb", as_version=4)
    assert [cell.source for cell in lesson.cells[2:6]] == LESSON
    lesson.cells[3].source += "\n# changed by the student"
    lesson.cells[4].id = "of-another-editor"
    expected = [ANSWERS["number"], "number", ANSWERS["function"], "function", *AT_THE_END]
    assert answers_run(lesson) == expected


@pytest.mark.parametrize(
    ("source", "used", "bound"),
    [
        ("a += 1", {"a"}, {"a"}),
        ("a = 1\nprint(a)", {"print"}, {"a"}),
        ("def f(x):\n    y = x + g\n    return y", {"g"}, {"f"}),
        ("import a.b as c, d.e", set(), {"c", "d"}),
        ("{a: a + c for a in b}", {"b", "c"}, set()),
        ("def f():\n    return [g(x) for x in h]", {"g", "h"}, {"f"}),
        ("return a", set(), set()),
    ],
)
def test_names_that_code_uses_and_defines(source, used, bound):
    assert grade.names_of(source) == (used, bound)


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '{"cells": {"a": 1}}', '{"cells": [1]}', "[" * 10**5, "\0\xff"]
)
def test_a_damaged_file_costs_its_own_row(course, text):
    (course / "ada.ipynb").write_text(text, encoding="latin-1")
    (row,) = graded(course)
    assert row.state == "not graded"
    assert "damaged" in row.message


def test_a_notebook_of_something_else_is_named(course):
    nbformat.write(notebook("print(1)", title="# Shopping"), course / "ada.ipynb")
    assert "none of the lessons" in graded(course)[0].message


def test_hidden_files_are_not_graded(course):
    for name in (".ipynb_checkpoints/a.ipynb", "__MACOSX/a.ipynb", "._a.ipynb", "sub/a.ipynb"):
        (course / name).parent.mkdir(exist_ok=True)
        (course / name).touch()
    assert [path.parent.name for path in grade.notebooks_in(course)] == ["sub"]


def test_the_table_the_file_and_nothing_written_into_the_folder(course, tmp_path, capsys):
    (course / "a group").mkdir()
    nbformat.write(answered(), course / "a group" / "ada (2).ipynb")
    nbformat.write(answered(number="two = 3\nopen('x', 'w')"), course / "bob.ipynb")
    (course / "eve.ipynb").write_text("{")
    before = {path: path.read_bytes() for path in course.rglob("*.ipynb")}
    target = tmp_path / "grades.csv"
    assert grade.main([str(course), "--csv", str(target)]) == 0
    assert {path: path.read_bytes() for path in course.rglob("*") if path.is_file()} == before
    shown = capsys.readouterr().out
    assert f"{Path('a group', 'ada (2).ipynb')}   ✓    ✓   2 of 2" in shown
    assert "bob.ipynb               ✗    ✓   1 of 2" in shown
    assert "bob.ipynb, 1.1: 2 is wanted" in shown
    assert "eve.ipynb: is damaged" in shown
    found = [(line["notebook"], line["state"]) for line in lines_of(target)]
    assert [state for _, state in found] == ["passed", "passed", "wrong", "passed", "not graded"]


def lines_of(target):
    with target.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_asked_wrongly_is_explained_before_anything_is_graded(
    course, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(grade, "grade_all", None)
    (tmp_path / "file").write_text("")
    assert grade.main([]) == 1
    assert grade.main([str(tmp_path / "nowhere")]) == 1
    assert grade.main([str(course)]) == 1
    (course / "ada.ipynb").write_text("{")
    assert grade.main([str(course), "--csv", str(course / "x.csv")]) == 1
    assert grade.main([str(course), "--csv", str(tmp_path)]) == 1
    assert grade.main([str(course), "--csv", str(tmp_path / "file" / "grades.csv")]) == 1
    errors = capsys.readouterr().err
    for words in ("DIR=folder", "There is no notebook", "must not go into the folder"):
        assert words in errors
    assert errors.count("Cannot write") == 2


def test_the_table_is_written_before_anything_is_printed(course, tmp_path, monkeypatch):
    (course / "ada.ipynb").write_text("{")
    target = tmp_path / "grades.csv"
    target.write_text("of last year")

    def broken_pipe(*_):
        raise BrokenPipeError

    monkeypatch.setattr(grade, "show", broken_pipe)
    with pytest.raises(BrokenPipeError):
        grade.main([str(course), "--csv", str(target)])
    assert lines_of(target)[0]["notebook"] == "ada.ipynb"


def test_what_is_graded_when_somebody_stops_it_is_kept(course, tmp_path, monkeypatch, capsys):
    def interrupted(path, *_):
        if path.name == "bob.ipynb":
            raise KeyboardInterrupt
        return [grade.Row(path.name, "", "", "not graded", "is damaged")]

    monkeypatch.setattr(grade, "grade", interrupted)
    for name in ("ada.ipynb", "bob.ipynb", "eve.ipynb"):
        (course / name).write_text("{")
    target = tmp_path / "grades.csv"
    assert grade.main([str(course), "--csv", str(target)]) == 0
    assert [line["notebook"] for line in lines_of(target)] == ["ada.ipynb"]
    assert "1 of 3 are graded" in capsys.readouterr().err


def test_a_screen_without_the_marks_gets_others(course, tmp_path):
    (course / "Zoë θ.ipynb").write_text("{", encoding="utf-8")
    target = tmp_path / "grades.csv"
    done = subprocess.run(
        [sys.executable, "-m", "lib.tools.grade", str(course), "--csv", str(target)],
        cwd=Path(grade.__file__).parents[2],
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=True,
    )
    assert "+ passed   x wrong   o not started" in done.stdout.decode("cp1252")
    assert "Zoë ?.ipynb: is damaged" in done.stdout.decode("cp1252")
    assert lines_of(target)[0]["notebook"] == "Zoë θ.ipynb"


def test_a_message_is_one_short_line_without_control_characters():
    assert grade.plain("a\nb\t\x1b[31mc") == "a b [31mc"
    assert len(grade.plain("x" * 10**6)) == grade.MESSAGE


def test_the_lessons_and_their_solutions_are_recognised_and_need_no_other_cells():
    lessons = grade.read_course()
    for number, lesson in lessons.items():
        titles = [lesson.titles[name] for name in lesson.calls]
        assert titles == sorted(titles)
        assert all(title.startswith(f"{int(number)}.") for title in titles)
        (path,) = (grade.ROOT / "notebooks").glob(f"{number}_*.ipynb")
        for notebook_path in (path, path.parent / "solutions" / path.name):
            cells = grade.read_code(notebook_path)
            assert grade.recognise(cells, lessons) == lesson
            run = grade.assemble(cells, lesson).cells
            assert sum("check" in cell.metadata for cell in run) == 2 * len(lesson.calls)
            answers = [cell.source for cell in run if not cell.metadata]
            assert len(answers) <= len(lesson.calls) + 2, answers


def test_a_solved_notebook_passes_the_courses_own_checks(tmp_path):
    """The only test here that pays for importing the library."""
    lesson = nbformat.read(grade.ROOT / "notebooks" / "01_softmax.ipynb", as_version=4)
    path = grade.ROOT / "notebooks" / "solutions" / "01_softmax.ipynb"
    sources = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    for cell in lesson.cells:
        if cell.id.startswith("exercise-"):
            cell.source = sources[cell.id]
        if cell.id == "exercise-first-loss":
            cell.source = "first_loss = 0.1"
    nbformat.write(lesson, tmp_path / "ada.ipynb")
    rows = graded(tmp_path, timeout=60)
    (wrong,) = [row for row in rows if row.state != "passed"]
    assert len(rows) > 1
    assert "0.1 is the probability" in wrong.message


def test_the_kernel_is_this_python_in_lesson_mode_and_an_answer_installs_nothing(course, tmp_path):
    write_wheel(tmp_path, "brought_along")
    target, wheel = tmp_path / "target", tmp_path / "brought_along-1.0-py3-none-any.whl"
    number = f"import sys, os\ntwo = 2 * (sys.executable == {sys.executable!r})\n"
    number += f"%pip install --no-deps --target {str(target)!r} {str(wheel)!r}"
    function = "assert os.environ['COURSE_MODE'] == 'lesson'\n" + ANSWERS["function"]
    raw = json.loads(nbformat.writes(answered(*LESSON, number=number, function=function)))
    raw["nbformat_minor"] = 0
    for cell in raw["cells"]:  # as some editors leave it
        del cell["id"]
        cell["source"] = "".join(cell["source"]) + "\ud800" * (cell["source"] == ["model = 1 / 0"])
    (course / "ada.ipynb").write_text(json.dumps(raw))
    assert states(graded(course)) == ["passed", "passed"]
    assert not list(target.rglob("brought_along*"))
