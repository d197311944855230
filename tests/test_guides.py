"""The teacher's guide and the troubleshooting page: answers work, links lead somewhere."""

import contextlib
import io
import re
from pathlib import Path

import navigation

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PAGES = ("troubleshooting.md", "teachers_guide.md")


def anchor(heading):
    """The name that a heading has in a link, as GitHub and JupyterLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def sections(name):
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    return re.split(r"^(?=## )", text, flags=re.MULTILINE)


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    headings = {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, place = target.partition("#")
        if re.match(r"https?:", target):
            continue
        assert (NOTEBOOKS / file).exists(), target
        assert file or place in headings, target


@pytest.mark.parametrize("name", PAGES)
def test_one_title_and_headings_in_order(name):
    text = re.sub(r"^```.*?^```", "", (NOTEBOOKS / name).read_text("utf-8"), flags=re.M | re.S)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


def test_every_answer_does_what_it_says(monkeypatch):
    """The blocks of the troubleshooting page, in order, print what their `#>` lines say."""
    monkeypatch.setenv("COURSE_MODE", "lesson")
    scope, run = {}, 0
    for section in sections("troubleshooting.md"):
        for block in blocks(section):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(block, scope)
            expected = re.findall(r"^#> (.*)$", block, re.MULTILINE)
            assert expected, "a block without what it prints proves nothing"
            assert printed.getvalue().splitlines() == expected
            run += 1
    assert run >= 10


def test_the_questions_of_the_table_are_those_of_the_page():
    first, *rest = sections("troubleshooting.md")
    places = re.findall(r"\[\d+\]\(#(.*?)\)", first)
    assert places == [anchor(section.splitlines()[0].removeprefix("## ")) for section in rest]


def test_the_guide_knows_every_lesson():
    text = (NOTEBOOKS / "teachers_guide.md").read_text(encoding="utf-8")
    for name, title in navigation.lesson_titles(NOTEBOOKS).items():
        assert f"[{title}]({name})" in text, f"the guide has no section on {name}"


def test_the_minutes_of_each_lesson_of_the_guide_add_up():
    """A lesson's heading says the minutes; so do the rows of its table."""
    found = 0
    for section in sections("teachers_guide.md"):
        for part in re.split(r"^(?=### )", section, flags=re.MULTILINE)[1:]:
            total = re.search(r"^### .*, (\d+) minutes$", part.splitlines()[0])
            rows = [int(m) for m in re.findall(r"^\| (\d+) \|", part, flags=re.MULTILINE)]
            if total:
                found += 1
                assert sum(rows) == int(total.group(1)), part.splitlines()[0]
    assert found >= 9
