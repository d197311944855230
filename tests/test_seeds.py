"""`make seeds` runs lessons with other seeds and lists what does not hold."""

from lib.tools import private_state, seeds

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

LESSON = {
    "setup": (
        f"import sys\nsys.path.insert(0, {str(seeds.render.ROOT)!r})\n"
        "from lib import course, training\nimport numpy as np"
    ),
    "train": "training.set_seed(0)\nfirst = np.random.random()",
    "claims": (
        "course.claim('is 0.5488', first, 0.5487, 0.5489)\n"
        "course.claim('below one', first, high=1)\n"
        "course.claim('never', 2, high=1)"
    ),
}


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    monkeypatch.setattr(private_state, "use", lambda: None)

    def store(**cells):
        book = new_notebook(cells=[new_code_cell(s, id=i) for i, s in (LESSON | cells).items()])
        path = tmp_path / "01_lesson.ipynb"
        nbformat.write(book, path)
        return path

    return store


def test_claims_that_fail_with_a_seed_are_listed_and_the_file_is_left_alone(lesson, capsys):
    path = lesson()
    before = path.read_bytes()
    assert seeds.main(["1", "--lessons", str(path)]) == 1
    said = capsys.readouterr().out
    assert "01_lesson.ipynb, seed 1: 2 claims fail" in said
    assert "claims: is 0.5488: measured 0.417, claimed between 0.5487 and 0.5489" in said
    assert "never: measured 2" in said
    assert "below one" not in said
    assert seeds.failed_claims(path, 0) == [("claims", "never: measured 2, claimed at most 1")]
    assert path.read_bytes() == before


def test_an_error_is_listed_and_a_lesson_that_trains_nothing_is_not_run(lesson):
    path = lesson(claims="1 / 0")
    assert seeds.failed_claims(path, 1) == [("stops", "ZeroDivisionError: division by zero")]
    assert seeds.failed_claims(lesson(train="first = 1", claims="1 / 0"), 1) == []


def test_a_name_that_is_no_notebook_is_named(lesson, capsys):
    assert seeds.main(["1", "--lessons", "nowhere.ipynb"]) == 2
    assert "nowhere.ipynb: there is no such notebook" in capsys.readouterr().err
