"""The pages beside the lessons: answers work, links lead somewhere, other ways in are sound."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from lib.tools import bootstrap, lab, navigation

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PAGES = ("troubleshooting.md", "teachers_guide.md", "ways_in.md")


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


# --- ways in --------------------------------------------------------------------------------------


def test_the_dev_container_is_json_and_runs_what_is_there():
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    program, script, *options = settings["postCreateCommand"].split()
    assert program == "python"
    assert (ROOT / script).exists()
    assert options == ["--this-python", ".venv"]
    version = re.search(r"python:(\d)\.(\d+)", settings["image"]).groups()
    assert bootstrap.unfit(tuple(map(int, version)), True, ("linux", "x86_64")) is None
    assert settings["forwardPorts"] == [lab.USUAL_PORT]


def test_binder_installs_the_lock_and_writes_the_settings(tmp_path):
    folder = ROOT / ".binder"
    version = (folder / "runtime.txt").read_text().strip().removeprefix("python-")
    assert bootstrap.unfit(tuple(map(int, version.split("."))), True, ("linux", "x86_64")) is None
    (line,) = re.findall(r"^-r (.*)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    assert (folder / line).resolve() == Path(bootstrap.LOCK)
    script = (folder / "postBuild").read_text()
    if (ROOT / ".git").exists():  # a copy from a USB stick may have lost it
        assert os.access(folder / "postBuild", os.X_OK)
    (code,) = re.findall(r'^python -c "(.*)"$', script, re.MULTILINE)
    code = code.replace("lab.write_overrides()", "print(lab.write_overrides(sys.argv[1]))")
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "commsOverSubshells" in Path(done.stdout.strip()).read_text()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this copy has no history to fetch from")
def test_the_cell_for_colab_fetches_the_course_and_can_be_run_twice(tmp_path):
    (cell,) = blocks((NOTEBOOKS / "ways_in.md").read_text(encoding="utf-8"))
    address = "https://github.com/OWNER/NAME"
    assert address in cell
    cell = cell.replace(address, ROOT.as_uri())
    code = cell + cell + "assert os.path.exists('../lib/course.py'), os.getcwd()\nprint('there')\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "there\n", done.stderr
