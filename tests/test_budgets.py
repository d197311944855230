"""What a lesson states about its cost is what was measured, and a lesson that needs more fails."""

import sys
import textwrap
import time

import measured_notebooks
from lib.tools import budgets

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytest_plugins = "pytester"

LESSONS = sorted(budgets.LESSONS.glob("[0-9][0-9]_*.ipynb"))
MEASURED = {"seconds": 31.0, "megabytes": 1210, "calibration": 0.2}


# --- what stands in the repository ----------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_states_what_was_measured(path):
    entry = budgets.read_budgets()[path.stem]
    notebook = nbformat.read(path, as_version=4)
    assert not budgets.state(notebook, entry), "run `python -m lib.tools.budgets`"


def test_the_readme_states_what_was_measured():
    measured = budgets.read_budgets()
    costs = {
        path.name: budgets.table_cells(nbformat.read(path, as_version=4), measured[path.stem])
        for path in LESSONS
    }
    text = budgets.README.read_text(encoding="utf-8")
    assert budgets.with_costs(text, costs) == text, "run `python -m lib.tools.budgets`"
    assert all(f"(notebooks/{name})" in text for name in costs)


def test_no_lesson_takes_longer_than_it_may():
    limits = {"00": 15, "01": 50, "08": 150, "09": 100}
    entries = budgets.read_budgets()
    # as if the machine had been as fast each time as it was at its fastest
    fastest = min(entry["calibration"] for entry in entries.values())
    for name, entry in entries.items():
        if not name.startswith("solutions/"):
            seconds = entry["seconds"] * fastest / entry["calibration"]
            assert seconds <= limits.get(name[:2], 60), name


def test_the_solutions_take_a_minute_in_all():
    entries = budgets.read_budgets().items()
    assert sum(entry["seconds"] for name, entry in entries if name.startswith("solutions/")) <= 60


# --- reading --------------------------------------------------------------------------------------


def lesson(words=900, formulas=10, pictures=10, lines=200):
    figure = new_output("display_data", {"image/png": ""})
    return new_notebook(
        cells=[
            new_markdown_cell("# 1 · Title\n\n**Time:** soon."),
            new_markdown_cell("word " * (words - 2 - formulas) + "\n$$x$$\n" * formulas),
            new_code_cell("x\n" * lines, outputs=[figure] * pictures),
        ]
    )


def test_minutes_of_reading_by_hand():
    # 900 words are 5 minutes, ten formulas and ten pictures 5 each, 200 lines 10
    assert budgets.reading_minutes(lesson()) == 25
    assert budgets.reading_minutes(lesson(words=910)) == 30


def test_code_addresses_and_the_quiz_are_no_words():
    source = "two [words](http://no.such.word) $formula$\n```\nno words\n```\n"
    quiz = new_markdown_cell("no words", id=budgets.QUIZ)
    assert budgets.count_words(new_notebook(cells=[new_markdown_cell(source), quiz])) == 3


# --- budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"seconds": 79.9}, None),  # 35 s are stated, and 10 s are for the start
        ({"seconds": 80.1}, "took 80 s; it states 35 s"),
        ({"seconds": 149.0, "calibration": 0.4}, None),
        ({"seconds": 151.0, "calibration": 0.4}, "2.00 times as slow, twice that + 10 s is 150"),
        ({"seconds": 79.9, "calibration": 0.1}, None),
        ({"megabytes": 2599}, None),  # 1.3 GB are stated
        ({"megabytes": 2601}, "needed 2.6 GB; it states 1.3 GB"),
    ],
)
def test_a_complaint_beyond_twice_what_is_stated(change, expected):
    complaint = budgets.complaint("05_new", MEASURED | change, {"05_new": MEASURED})
    assert (complaint is None) if expected is None else (expected in complaint)


def test_a_notebook_that_was_never_measured_says_how_to():
    assert "make budgets" in budgets.complaint("05_new", MEASURED, {})


def test_the_texts_say_it():
    notebook = lesson()
    assert budgets.state(notebook, MEASURED)
    assert notebook.cells[0].source == (
        "# 1 · Title\n\n**Time:** 25 minutes of reading; on two cores 35 seconds of computing and "
        "1.3 GB of memory."
    )
    assert not budgets.state(notebook, MEASURED)
    row = "| [1 · Title](notebooks/01_new.ipynb) | what it is | | *soon* |"
    text = f"before\n{row}\nafter"
    assert budgets.with_costs(text, {"01_new.ipynb": ["25 min", "35 s", "1.3 GB"]}) == (
        "before\n| [1 · Title](notebooks/01_new.ipynb) | what it is | 25 min | 35 s | 1.3 GB |\n"
        "after"
    )


def test_a_title_without_a_line_for_it_is_an_error():
    with pytest.raises(ValueError, match="Time:"):
        budgets.state(new_notebook(cells=[new_markdown_cell("# 1 · Title")]), MEASURED)


# --- measuring ------------------------------------------------------------------------------------


def test_memory_is_that_of_the_processes_that_were_started():
    import subprocess

    code = "import time; data = bytearray(300_000_000); time.sleep(1)"
    with budgets.PeakMemory() as memory:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert 300 <= memory.megabytes <= 400


def test_calibration_is_slower_where_each_step_is(monkeypatch):
    monkeypatch.setattr(budgets, "_calibration_step", lambda: time.sleep(0.001))
    fast = budgets.calibrate(repeats=3, steps=3)
    monkeypatch.setattr(budgets, "_calibration_step", lambda: time.sleep(0.02))
    assert budgets.calibrate(repeats=3, steps=3) > 3 * fast


@pytest.mark.parametrize(
    ("stated", "failed", "message"),
    [
        ({"seconds": 5, "megabytes": 900, "calibration": 1e9}, 1, "states 5 s"),
        ({"seconds": 30, "megabytes": 1, "calibration": 1e-9}, 1, "states 0.1 GB"),
        ({"seconds": 30, "megabytes": 900, "calibration": 1e-9}, 0, ""),
    ],
)
def test_a_notebook_beyond_its_budget_fails_the_run(pytester, monkeypatch, stated, failed, message):
    source = textwrap.dedent("""\
        data = bytearray(250_000_000)
        import time
        time.sleep(0.5)
    """)
    notebook = new_notebook(cells=[new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(notebook, pytester.path / "small.ipynb")
    monkeypatch.setattr(budgets, "read_budgets", lambda: {"small": stated})
    monkeypatch.setattr(budgets, "_calibration_step", lambda: time.sleep(0.001))
    monkeypatch.setattr(budgets, "START", -9.9)  # a tenth of a second is left where 5 s are stated
    plugins = [measured_notebooks.MeasuredNotebooks()]
    result = pytester.inline_run("--nbmake", "small.ipynb", plugins=plugins)
    result.assertoutcome(passed=1 - failed, failed=failed)
    if failed:
        assert message in str(result.getfailures()[0].longrepr)
