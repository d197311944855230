"""The pages beside the lessons: answers work, what they name is there, other ways in are sound."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import loss_cases
import loss_checks
import test_ladder
from lib import losses
from lib.layers import CosineHead
from lib.tools import bootstrap, lab, navigation

import keras
import nbformat
import pytest
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(NOTEBOOKS.glob("*.md")), ROOT / "data" / "README.md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

# What a page names in one of these has to be there.
FOLDERS = ("notebooks", "lib", "data", "tests", ".ci", ".github", ".binder", ".devcontainer")
MADE_LATER = ("data/mnist.npz",)


def read(path):
    return path.read_text(encoding="utf-8")


def anchor(heading):
    """The name that a heading has in a link, as GitHub and JupyterLab make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def headings(page):
    """(level, text) of each heading, code blocks left out."""
    text = re.sub(r"^```.*?^```", "", read(page), flags=re.MULTILINE | re.DOTALL)
    return [(len(marks), name) for marks, name in re.findall(r"^(#+) (.*)$", text, re.MULTILINE)]


def sections(name):
    return re.split(r"^(?=## )", read(NOTEBOOKS / name), flags=re.MULTILINE)


def blocks(text):
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def python(code, **options):
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", **options
    )


# --- what the pages name --------------------------------------------------------------------------


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        file, _, place = target.partition("#")
        if re.match(r"https?:", target):
            continue
        there = page.parent / file if file else page
        assert there.exists(), target
        if place and there.suffix == ".md":
            assert place in {anchor(text) for _, text in headings(there)}, target


@each_page
def test_one_title_and_headings_in_order(page):
    levels = [level for level, _ in headings(page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))


@each_page
def test_paths_and_modules_that_are_named_exist(page):
    folders = "|".join(map(re.escape, FOLDERS))
    for name in re.findall(rf"(?<![\w/.-])(?:{folders})/[\w./-]*\w", read(page)):
        assert (ROOT / name).exists() or name in MADE_LATER, name
    for name in re.findall(r"-m (lib\.[\w.]*\w)", read(page).replace("lib.tools.NAME", "")):
        path = ROOT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


@each_page
def test_commands_that_are_named_are_in_the_makefile(page):
    makefile, text = read(ROOT / "Makefile"), read(page)
    for name in re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name
    for name in re.findall(r"(?:`|^)make [^`#\n]*?([A-Z]+)=", text, re.MULTILINE):
        assert re.search(rf"^{name} \?=", makefile, re.MULTILINE), name


def test_every_command_of_make_help_is_told_of_in_a_page():
    text = "".join(map(read, PAGES))
    for name in re.findall(r"^## make ([a-z-]+)", read(ROOT / "Makefile"), re.MULTILINE):
        assert re.search(rf"make {name}\b", text) or name == "clean", name


def test_the_readme_states_the_time_of_all_lessons():
    text = read(ROOT / "README.md")
    rows = re.findall(r"\| (\d+) min \| (\d+) s \|", text)
    minutes, seconds = (sum(map(int, column)) for column in zip(*rows, strict=True))
    assert "takes** six hours to read, ten minutes to compute" in text
    assert 5.75 * 60 <= minutes < 6.25 * 60
    assert 9.5 * 60 < seconds <= 10.5 * 60


# --- papers ---------------------------------------------------------------------------------------


def test_the_papers_are_read_by_their_readers():
    """Valid YAML with what GitHub, pre-commit and reference managers ask for."""
    citation = yaml.safe_load(read(ROOT / "CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert f"Copyright (c) 2026 {citation['authors'][0]['name']}" in read(ROOT / "LICENSE")
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(read(path))
        assert path.name == "config.yml" or {"name", "description", "body"} <= set(form)
    (repo,) = yaml.safe_load(read(ROOT / ".pre-commit-config.yaml"))["repos"]
    assert [hook["entry"] for hook in repo["hooks"]] == ["make lint"]


def test_actions_are_named_by_the_hash_of_a_commit():
    uses = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in re.findall(r"uses: (.*)", read(path))
    ]
    assert len(uses) >= 5
    assert [u for u in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+(\.\d+)+", u)] == []


def test_the_loss_in_ten_lines_is_a_loss(monkeypatch):
    """The blocks of CONTRIBUTING: the class, its line of tests, its rung of the ladder."""
    section = re.search(r"^## Add a loss\n.*?^## ", read(ROOT / "CONTRIBUTING.md"), re.M | re.S)[0]
    source, case, rung = blocks(section)
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    scope = vars(losses).copy()  # as if it stood in that module
    exec(source, scope)
    new = scope["TwofoldLoss"]
    monkeypatch.setattr(losses, "TwofoldLoss", new, raising=False)
    (name,) = added = eval(f"{{{case}}}")
    monkeypatch.setitem(loss_cases.CASES, name, added[name])
    loss_checks.check_values_and_gradients(losses, [name], batch=300)
    loss_checks.check_edges(losses, [name])
    ((name, both),) = eval(f"{{{rung}}}", {"losses": losses}).items()
    monkeypatch.setitem(test_ladder.RUNGS, name, both)
    test_ladder.test_neutral_margin_is_the_parent(name, 16.0)
    again = keras.losses.deserialize(
        keras.losses.serialize(new(0.3, 8.0, reduction="sum", label_smoothing=0.1))
    )
    assert (again.margin, again.m2, again.m3, again.scale) == (0.3, 0.3, 0.3, 8.0)
    assert (again.reduction, again.label_smoothing, again.name) == ("sum", 0.1, "twofold")


# --- troubleshooting ------------------------------------------------------------------------------


def test_every_answer_does_what_it_says(monkeypatch):
    """The blocks of the troubleshooting page, in order, print what their `#>` lines say."""
    monkeypatch.setenv("COURSE_MODE", "lesson")
    scope, run = {}, 0
    for section in sections("troubleshooting.md"):
        scope = scope if "(Continues the model" in section else {}
        for block in blocks(section):
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(block, scope)
            expected = re.findall(r"^#> (.*)$", block, re.MULTILINE)
            assert expected, "a block without what it prints proves nothing"
            assert printed.getvalue().splitlines() == expected
            run += 1
    assert run >= 13


def test_the_questions_of_the_table_are_those_of_the_page():
    first, *rest = sections("troubleshooting.md")
    places = re.findall(r"\[\d+\]\(#(.*?)\)", first)
    assert places == [anchor(section.splitlines()[0].removeprefix("## ")) for section in rest]


# What a Python without ipympl is like: no module, no entry point, no version.
WITHOUT_IPYMPL = """
import importlib.metadata, sys
sys.modules["ipympl"] = None
discover = importlib.metadata.Distribution.discover.__func__
importlib.metadata.Distribution.discover = classmethod(
    lambda cls, **name: (found for found in discover(cls, **name) if found.name != "ipympl")
)
"""
FIRST_CELL = "import sys\nsys.path.insert(0, '..')\nfrom lib import course"


def without_ipympl(folder):
    magic = "InteractiveShell.instance().run_line_magic('matplotlib', 'widget')"
    shell = "from IPython.core.interactiveshell import InteractiveShell\n"
    return python(WITHOUT_IPYMPL + shell + magic, cwd=folder)


def elsewhere(folder):
    (folder / "notebooks").mkdir()
    return python(FIRST_CELL, cwd=folder / "notebooks")


def beside_another_lib(folder):
    (folder / "lib").mkdir()
    return elsewhere(folder)


def not_imported(folder):
    keras.Sequential([keras.Input((4,)), CosineHead(3)]).save(folder / "it.keras")
    return python("import keras\nkeras.models.load_model('it.keras')", cwd=folder)


MESSAGES = {
    "'widget' is not a recognised GUI loop or backend name": without_ipympl,
    "No module named 'lib'": elsewhere,
    "cannot import name 'course' from 'lib'": beside_another_lib,
    "Could not locate class 'CosineHead'": not_imported,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_quoted_is_the_one_that_comes(message, tmp_path):
    done = MESSAGES[message](tmp_path)
    assert done.returncode
    assert message in done.stderr


def test_every_quoted_message_is_brought_about():
    text = read(NOTEBOOKS / "troubleshooting.md")
    quoted = re.findall(r"says ((?:`[^`]+`(?: or )?)+)", text)
    assert set(re.findall("`([^`]+)`", "".join(quoted))) == set(MESSAGES)


def pictures(book):
    """The ids of the cells that show a picture."""
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    return [cell.id for cell in code for out in cell.outputs if "image/png" in out.get("data", {})]


def test_a_lesson_runs_with_still_pictures_where_ipympl_is_missing(tmp_path, monkeypatch):
    """As in Colab or VS Code: `%matplotlib inline` in place of `%matplotlib widget`."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_IPYMPL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    book = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    setup = next(cell for cell in book.cells if cell.id == "setup")
    assert "%matplotlib widget" in setup.source
    setup.source = setup.source.replace("%matplotlib widget", "%matplotlib inline")
    stored = pictures(book)
    NotebookClient(book, timeout=300, resources={"metadata": {"path": NOTEBOOKS}}).execute()
    assert pictures(book) == stored
    assert "ipympl is missing" in nbformat.writes(book)


# --- the teacher's guide --------------------------------------------------------------------------


def test_the_guide_knows_every_lesson():
    text = read(NOTEBOOKS / "teachers_guide.md")
    for name, title in navigation.lesson_titles(NOTEBOOKS).items():
        assert f"[{title}]({name})" in text, f"the guide has no section on {name}"


def test_the_minutes_of_each_lesson_of_the_guide_add_up():
    """A lesson's heading says the minutes; so do the rows of its table."""
    parts = re.split(r"^(?=###? )", read(NOTEBOOKS / "teachers_guide.md"), flags=re.MULTILINE)
    totals = {part: re.search(r"^### .*, (\d+) minutes$", part.splitlines()[0]) for part in parts}
    lessons = {part: int(total[1]) for part, total in totals.items() if total}
    assert len(lessons) == len(navigation.lesson_titles(NOTEBOOKS))
    for part, minutes in lessons.items():
        rows = [int(m) for m in re.findall(r"^\| (\d+) \|", part, flags=re.MULTILINE)]
        assert sum(rows) == minutes, part.splitlines()[0]


def test_the_plans_for_one_day_go_on_where_they_stopped():
    """A row begins when the one before it ends."""
    plans = sections("teachers_guide.md")
    for name in ("Ninety minutes", "A day"):
        (plan,) = [part for part in plans if part.startswith(f"## {name}\n")]
        rows = re.findall(r"^\| (\d+):(\d\d) \| (\d+) \|", plan, flags=re.MULTILINE)
        begins, lasts = zip(*((60 * int(h) + int(m), int(n)) for h, m, n in rows), strict=True)
        assert len(rows) > 5
        assert [b + n for b, n in zip(begins[:-1], lasts[:-1], strict=True)] == [*begins[1:]], name


# --- ways in --------------------------------------------------------------------------------------


def test_the_dev_container_is_json_and_runs_what_is_there():
    text = read(ROOT / ".devcontainer" / "devcontainer.json")
    settings = json.loads(re.sub(r"^//.*$", "", text, flags=re.MULTILINE))
    assert settings["postCreateCommand"] == f"python -m {bootstrap.__name__} --this-python .venv"
    version = re.search(r"python:(\d)\.(\d+)", settings["image"]).groups()
    assert bootstrap.unfit(tuple(map(int, version)), True, ("linux", "x86_64")) is None
    assert settings["forwardPorts"] == [lab.USUAL_PORT]


def test_binder_installs_the_lock_and_writes_the_settings(tmp_path):
    folder = ROOT / ".binder"
    version = read(folder / "runtime.txt").strip().removeprefix("python-")
    assert bootstrap.unfit(tuple(map(int, version.split("."))), True, ("linux", "x86_64")) is None
    (line,) = re.findall(r"^-r (.*)$", read(folder / "requirements.txt"), re.MULTILINE)
    assert (folder / line).resolve() == ROOT / "requirements.lock"
    if (ROOT / ".git").exists() and os.name != "nt":  # a copy from a USB stick may have lost it
        assert os.access(folder / "postBuild", os.X_OK)
    (code,) = re.findall(r'^python -c "(.*)"$', read(folder / "postBuild"), re.MULTILINE)
    code = code.replace("write_overrides()", f"write_overrides({str(tmp_path)!r})")
    assert python(code, cwd=ROOT).stderr == ""
    (settings,) = tmp_path.rglob("overrides.json")
    assert "commsOverSubshells" in read(settings)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this copy has no history to fetch from")
def test_the_cell_for_colab_fetches_the_course_and_can_be_run_twice(tmp_path):
    (cell,) = blocks(read(NOTEBOOKS / "ways_in.md"))
    address = "https://github.com/OWNER/NAME"
    assert address in cell
    cell = cell.replace(address, ROOT.as_uri())
    done = python(
        cell + cell + "assert os.path.exists('../lib/course.py'), os.getcwd()\nprint('there')\n",
        cwd=tmp_path,
    )
    assert done.stdout == "there\n", done.stderr
