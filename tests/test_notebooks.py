"""The rules that every notebook keeps as a file: house style and stored outputs.

A rule is a function from a `Book` to complaints. The first half of this file has the rules, the
second half applies them to each notebook, and then to a small good notebook that is spoiled in one
way after the other, so that each rule is seen to catch something.
"""

import ast
import base64
import copy
import io
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from lib.files import Problem
from lib.tools import budgets, exercises, navigation, render

import nbformat
import pytest
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

MAX_BYTES = 400_000
MAX_CELL_LINES, MAX_MEDIAN_LINES = 25, 8
MAX_OUTPUT_LINES = 60
MIN_ALT = 10  # characters
# Words of prose in a lesson. The first is a welcome, the second has less to derive than the rest.
WORDS = {"00": (600, 2500), "01": (1200, 2500)}
USUAL_WORDS = (1500, 2500)
OPENING = ("what you will do", "what you will learn", "what you need")
CLOSING = ("What you saw", "Further reading")  # of every lesson but the welcome
EXERCISES = (3, 5)  # from the lesson 02 on
QUESTIONS = 5

# Methods of axes that draw, and the arguments that tell one drawing from another without colour.
DRAWING = "plot scatter bar barh hist stairs step fill_between errorbar semilogx semilogy loglog"
CUES = {None, "ls", "linestyle", "marker", "hatch", "histtype"}  # None: `**look`
STYLE_NAMES = ("style", "line", "marker")

# A title begins with one of these: it says what the reader does. A new verb is added here.
VERBS = """
    Add Aim Bend Bound Break Build Catch Choose Combine Compare Cross Cut Draw Drop Find Fit Fix
    Give Grow Hold Keep Learn Leave Let Make Map Measure Meet Move Multiply Open Pack Place Press
    Pull Push Put Read Scale See Separate Set Shape Shift Shrink Split Spread Start Stretch
    Subtract Take Tell Test Tighten Train Turn Verify Widen
"""


@dataclass(frozen=True)
class Book:
    """A notebook and the file it is in."""

    path: Path
    notebook: nbformat.NotebookNode

    @classmethod
    def read(cls, path):
        return cls(path, nbformat.read(path, as_version=4))

    @property
    def number(self):
        return self.path.name[:2]

    @property
    def code(self):
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def markdown(self):
        return [cell for cell in self.notebook.cells if cell.cell_type == "markdown"]

    def outputs(self):
        for cell in self.code:
            for output in cell.outputs:
                yield cell, output


# --- the rules ------------------------------------------------------------------------------------


def text_of(output):
    """Everything in an output that is text."""
    if output.output_type == "stream":
        return output.text
    data = output.get("data", {})
    return "\n".join(value for kind, value in data.items() if kind.startswith("text/"))


def headings(book):
    """(level, text, cell id) of each heading, code blocks left out."""
    for cell in book.markdown:
        prose = re.sub(r"^```.*?^```", "", cell.source, flags=re.MULTILINE | re.DOTALL)
        for marks, text in re.findall(r"^(#+) +(.*)$", prose, flags=re.MULTILINE):
            yield len(marks), text.strip(), cell.id


def valid(book):
    try:
        nbformat.validate(book.notebook)
    except nbformat.ValidationError as error:
        yield f"is not a valid notebook: {str(error).splitlines()[0]}"
    version = book.notebook.nbformat, book.notebook.nbformat_minor
    if version != (4, 5):
        yield f"has the notebook format {version}, not (4, 5)"
    if "widgets" in book.notebook.metadata:
        yield "stores the state of widgets in metadata.widgets"
    elif book.notebook.metadata != render.METADATA:
        yield "has metadata that would change from computer to computer"
    for cell in book.notebook.cells:
        extra = set(cell.metadata) - set(render.CELL_METADATA)
        if extra:
            yield f"cell {cell.id} has metadata that is not kept: {sorted(extra)}"
        if not cell.get("source", "").strip():
            yield f"cell {cell.id} is empty"


def executed(book):
    counts = [cell.execution_count for cell in book.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"was not executed from top to bottom: its counts are {counts}"


def no_errors(book):
    for cell, output in book.outputs():
        if output.output_type == "error":
            yield f"cell {cell.id} failed: {output.ename}: {output.evalue}"
        if output.get("name") == "stderr":
            yield f"cell {cell.id} stores stderr: {output.text[:60]!r}"


def quiet(book):
    for cell, output in book.outputs():
        text = text_of(output)
        if re.search(r"[\r\b\x1b]", text):
            yield f"cell {cell.id} stores control characters (a progress bar?)"
        if re.search(r"━━|ms/step|\d+%\|", text):
            yield f"cell {cell.id} stores a progress bar: fit with verbose=0"
        if text.count("\n") > MAX_OUTPUT_LINES:
            yield f"cell {cell.id} prints more than {MAX_OUTPUT_LINES} lines"
        if re.search(r"\bat 0x[0-9a-f]{6,}", text):
            yield f"cell {cell.id} prints a memory address, which changes in every run"


def no_local_paths(book):
    local = re.compile(r"(?<![\w./:~-])/(?:home|Users|root|tmp|usr|var|opt|mnt|work)/|\b[A-Z]:\\\w")
    for cell in book.notebook.cells:
        texts = [cell.source, *map(text_of, cell.get("outputs", []))]
        for found in filter(None, map(local.search, texts)):
            yield f"cell {cell.id} has a path of one computer: {found.group()}..."


def images(book):
    for cell, output in book.outputs():
        data = output.get("data", {})
        other = [kind for kind in data if kind not in (*render.TEXTS, "image/png")]
        if other:
            yield f"cell {cell.id} stores {other}: only image/png and text are kept"
        if "image/png" not in data:
            continue
        image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
        if image.mode != "P" or len(image.getcolors()) > render.COLOURS:
            yield f"cell {cell.id} has an image without a palette of {render.COLOURS} colours"
        alt = output.metadata.get("image/png", {}).get("alt", "")
        if len(alt.strip()) < MIN_ALT:
            yield f"cell {cell.id} has an image without alt text (metadata image/png.alt): {alt!r}"
    for cell in book.markdown:
        if cell.get("attachments"):
            yield f"cell {cell.id} has an attachment: keep the image in notebooks/images/"
        alts = re.findall(r"!\[(.*?)\]\(", cell.source)
        for tag in re.findall(r"<img\b[^>]*>", cell.source):
            found = re.search(r"""\balt=["'](.*?)["']""", tag)
            alts.append(found.group(1) if found else "")
        for alt in alts:
            if len(alt.strip()) < MIN_ALT:
                yield f"cell {cell.id} shows an image without alt text: {alt!r}"


def drawn(book):
    """The cells that show a figure: the cell, its parsed code, its calls that draw into axes."""
    for cell in book.code:
        if "plots.show(" not in cell.source:
            continue
        tree = ast.parse(exercises.python_of(cell.source))
        calls = [node for node in ast.walk(tree) if is_drawing(node)]
        if calls:
            yield cell, tree, calls


def is_drawing(node):
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return is_method and node.func.attr in DRAWING.split()


def axes_labelled(book):
    """The functions of lib.plots label their axes; what a cell draws itself it has to label."""
    for cell, _, _ in drawn(book):
        by_lib = "plots.plot_" in cell.source or "set_axis_off" in cell.source
        vertical = "ylabel" in cell.source or "title" in cell.source
        if not by_lib and not ("xlabel" in cell.source and vertical):
            yield f"cell {cell.id} draws into axes that say not what they show: set xlabel, ylabel"


def cue_beyond_colour(book):
    """Of several things with a label, all but one are told apart by more than their colour."""
    for cell, tree, calls in drawn(book):
        labelled = [call for call in calls if any(word.arg == "label" for word in call.keywords)]
        plain = [call for call in labelled if not has_cue(call)]
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
        repeated = {call for loop in loops for call in ast.walk(loop)} & set(plain)
        if repeated or len(plain) > 1:
            yield f"cell {cell.id} tells lines apart by their colour alone: add a style or marker"


def has_cue(call):
    """Whether a drawing call has a line style, a marker or a hatch."""
    words = {word.arg for word in call.keywords}  # None: a dictionary of looks
    formats = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    names = [node.id for arg in call.args for node in ast.walk(arg) if isinstance(node, ast.Name)]
    styled = any(isinstance(text, str) for text in formats) or set(names) & set(STYLE_NAMES)
    return bool(styled or words & CUES)


def small(book):
    size = book.path.stat().st_size
    if size >= MAX_BYTES:
        yield f"is {size / 1000:.0f} kB; the limit is {MAX_BYTES // 1000} kB"


def readable_ids(book):
    ids = [cell.get("id") for cell in book.notebook.cells]
    for cell_id in ids:
        if not render.is_readable(cell_id):
            yield f"the cell id {cell_id!r} is not readable"
    for cell_id in sorted({cell_id for cell_id in ids if ids.count(cell_id) > 1}):
        yield f"the cell id {cell_id!r} is there more than once"


def title(book):
    first = [heading for heading in headings(book) if heading[0] == 1]
    if len(first) != 1 or first[0][2] != book.notebook.cells[0].id:
        yield "needs exactly one heading of level 1, in its first cell"
        return
    found = re.fullmatch(r"(\d+) · (\w+) .+", first[0][1])
    if not found or int(found.group(1)) != int(book.number):
        yield f"has the title {first[0][1]!r}; it should be like '{int(book.number)} · Put ...'"
    elif found.group(2) not in VERBS.split():
        yield f"has a title that begins with {found.group(2)!r}: if that is a verb, add it to VERBS"


def heading_order(book):
    last = 0
    for level, text, cell_id in headings(book):
        if level > last + 1:
            yield f"cell {cell_id}: {text!r} has level {level} right below level {last}"
        last = level


def imports_in_setup(book):
    for cell in book.code:
        try:
            tree = ast.parse(exercises.python_of(cell.source))
        except SyntaxError as error:
            yield f"cell {cell.id} is not Python: {error.msg}"
            continue
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        if imports and cell.id != "setup":
            yield f"cell {cell.id} imports: all imports go to the cell with the id `setup`"
        if not imports and cell.id == "setup":
            yield "its cell `setup` imports nothing"
    if all(cell.id != "setup" for cell in book.code):
        yield "has no code cell with the id `setup`"


def short_cells(book):
    lengths = [len(cell.source.splitlines()) for cell in book.code]
    for cell, length in zip(book.code, lengths, strict=True):
        if length > MAX_CELL_LINES:
            yield f"cell {cell.id} has {length} lines; the limit is {MAX_CELL_LINES}"
    if lengths and statistics.median(lengths) > MAX_MEDIAN_LINES:
        yield f"has code cells of {statistics.median(lengths)} lines in the median"


def length(book):
    low, high = WORDS.get(book.number, USUAL_WORDS)
    words = budgets.count_words(book.notebook)
    if not low <= words <= high:
        yield f"has {words} words of prose, not {low} to {high}"


def opening(book):
    cells = [cell for cell in book.markdown if cell.id != navigation.TOP][:3]
    text = "\n".join(cell.source for cell in cells).lower()
    for phrase in OPENING:
        if phrase not in text:
            yield f"does not say {phrase!r} in its first cells"
    if not re.search(r"\bminutes?\b", text) or not re.search(r"\bseconds?\b", text):
        yield "does not say in its first cells the minutes of reading and the seconds to run it"


def closing(book):
    if book.number == "00":
        return
    titles = [text for _, text, _ in headings(book)]
    for wanted in CLOSING:
        if wanted not in titles:
            yield f"has no section {wanted!r}"


def navigable(book):
    titles = navigation.lesson_titles(book.path.parent)
    again = copy.deepcopy(book.notebook)
    if navigation.update(again, navigation.line(book.path.name, titles)):
        yield "has links to its neighbours that are missing, misplaced or old: run `make render`"


def links_lead_somewhere(book):
    for cell in book.markdown:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.DOTALL)  # code has no links
        targets = re.findall(r"\]\(([^)\s]+)[^)]*\)", text)
        targets += re.findall(r"""\b(?:src|href)=["']([^"']+)""", text)
        for target in targets:
            file = target.split("#")[0]
            if re.match(r"[a-z]+:", target) or not file:
                continue
            if not (book.path.parent / file).exists():
                yield f"cell {cell.id} links to {file}, which does not exist"


def exercises_in_sync(book):
    cells = [cell for cell in book.notebook.cells if exercises.is_exercise(cell)]
    path = book.path.parent / "solutions" / book.path.name
    if not path.exists():
        if cells:
            yield f"has exercises without {path.relative_to(path.parents[2])}"
        return
    try:
        changed = exercises.sync(copy.deepcopy(book.notebook), Book.read(path).notebook)
    except Problem as error:
        yield f"cannot take its exercises from the solutions: {error}"
        return
    if changed:
        yield "does not have the exercises of its solutions: run `make render`"


def enough_exercises(book):
    cells = [cell for cell in book.markdown if exercises.is_exercise(cell)]
    count = sum(len(re.findall(r"^#+ ", cell.source, re.MULTILINE)) for cell in cells)
    low, high = EXERCISES
    if book.number >= "02" and not low <= count <= high:
        yield f"has {count} exercises (headings in cells with their tag), not {low} to {high}"


def quiz(book):
    """Questions whose answers unfold; without the blank lines their Markdown would not be read."""
    cells = [cell for cell in book.markdown if cell.id == budgets.QUIZ]
    if not cells or not cells[0].source.startswith("## Quiz\n"):
        yield f"has no markdown cell with the id `{budgets.QUIZ}` that begins with `## Quiz`"
        return
    source = cells[0].source
    pattern = r"^<details><summary>([^\n]+)</summary>\n\n((?:(?!</?details>).)+?)\n\n</details>$"
    found = re.findall(pattern, source, flags=re.MULTILINE | re.DOTALL)
    if len(found) != QUESTIONS or source.count("<details") != QUESTIONS:
        yield f"has {len(found)} questions with an answer that unfolds, not {QUESTIONS}"
    for question, answer in found:
        if "?" not in question and ":" not in question:
            yield f"asks nothing in its quiz: {question[:40]!r}"
        if len(answer.split()) < 10:
            yield f"gives no reason in its quiz: {answer[:40]!r}"


def finished(book):
    """No text that was to be written later, and something behind all that unfolds."""
    for cell in book.notebook.cells:
        for mark in re.findall(r"\b(?:PLACEHOLDER|TODO|FIXME|TBD)\b|(?i:lorem ipsum)", cell.source):
            yield f"cell {cell.id} is not finished: {mark}"
        for answer in re.findall(r"</summary>(.*?)</details>", cell.source, flags=re.DOTALL):
            if len(answer.split()) < 10:
                yield f"cell {cell.id} unfolds to next to nothing: {answer.strip()[:40]!r}"


def solutions_stay_out(book):
    for cell in book.notebook.cells:
        if exercises.BEGIN in cell.source or exercises.END in cell.source:
            yield f"cell {cell.id} shows the marker of a solution"


def solved(book):
    if not book.code or "require_all_passed()" not in book.code[-1].source:
        yield "does not call course.require_all_passed() in its last code cell"


def markers_pair_up(book):
    try:
        exercises.stubs(book.notebook)
    except Problem as error:
        yield str(error)


ANY = (valid, executed, no_errors, quiet, no_local_paths, images, small, readable_ids)
ANY += (imports_in_setup, short_cells, links_lead_somewhere, finished)
# Solutions are not among those with ordered headings: their exercises have the lesson's levels.
LESSON = (
    *ANY,
    title,
    heading_order,
    axes_labelled,
    cue_beyond_colour,
    length,
    opening,
    closing,
    navigable,
)
LESSON += (exercises_in_sync, enough_exercises, quiz, solutions_stay_out)
SOLUTIONS = (*ANY, solved, markers_pair_up)


# --- the notebooks --------------------------------------------------------------------------------

LESSON_FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLUTION_FILES = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
CASES = [
    pytest.param(path, rule, id=f"{path.relative_to(NOTEBOOKS)}-{rule.__name__}")
    for paths, rules in ((LESSON_FILES, LESSON), (SOLUTION_FILES, SOLUTIONS))
    for path in paths
    for rule in rules
]


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "01_softmax.ipynb"])
def test_the_first_lessons_are_there(name):
    assert NOTEBOOKS / name in LESSON_FILES


def test_each_lesson_has_a_number_of_its_own():
    numbers = [path.name[:3] for path in LESSON_FILES]
    assert all(re.fullmatch(r"\d\d_", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)


def test_solutions_belong_to_lessons():
    assert {path.name for path in SOLUTION_FILES} <= {path.name for path in LESSON_FILES}


@pytest.mark.parametrize(("path", "rule"), CASES)
def test_notebook(path, rule):
    complaints = [f"{path.name} {complaint}" for complaint in rule(Book.read(path))]
    assert not complaints, "\n".join(complaints)


# --- the rules themselves -------------------------------------------------------------------------


def palette_png(mode="P"):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), "white").convert(mode).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def a_picture():
    return nbformat.v4.new_output(
        "display_data",
        data={"image/png": palette_png(), "text/plain": "[figure]"},
        metadata={"image/png": {"alt": "ten clusters of points"}},
    )


QUESTION = (
    "<details><summary>Is it so? (a) Yes. (b) No.</summary>\n\n**(b)** "
    + "For a reason that takes ten words or more to tell.\n\n</details>\n\n"
)


def good_lesson():
    """A lesson 02 that keeps every rule, as long as its solutions lie beside it."""
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    intro = (
        "# 2 · Pull points to their centre\n\n*What you will do*: x. *What you will learn*: x. "
        "*What you need*: x. 10 minutes of reading, 60 seconds to run."
    )
    prose = "## Idea\n\n" + "word " * 1600 + "\n\n![ten clusters of points](images/clusters.gif)"
    cells = [
        markdown(intro, id="title"),
        code("%matplotlib widget\nimport math", id="setup"),
        markdown(prose, id="idea"),
        code("math.pi", id="idea-2", outputs=[a_picture()]),
        markdown("## Exercises", id="exercises"),
        *exercises.stubs(good_solutions()),
        markdown("## Quiz\n\n" + 5 * QUESTION, id="quiz"),
        markdown("## What you saw\n\nMuch.", id="what-you-saw"),
        markdown("## Further reading\n\n[A page](https://example.org/home/x).", id="reading"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(render.METADATA))
    return numbered(notebook)


def good_solutions():
    markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    tagged = {"tags": ["exercise"]}
    solution = "def half(x):\n    # BEGIN SOLUTION\n    return x / 2\n    # END SOLUTION"
    cells = [markdown("# Solutions of 2", id="title"), code("import math", id="setup")]
    for number in (1, 2, 3):
        text = f"## Exercise {number}\n\nHalve it."
        cells.append(markdown(text, id=f"exercise-{number}", metadata=tagged))
        cells.append(code(solution, id=f"exercise-{number}-code", metadata=tagged))
    cells.append(code("course.require_all_passed()", id="all-passed"))
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(render.METADATA))
    return numbered(notebook)


def numbered(notebook):
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    for number, cell in enumerate(code, 1):
        cell.execution_count = number
    return notebook


@pytest.fixture
def shelf(tmp_path):
    """Store a notebook among the files it needs and return it as a Book."""
    folder = tmp_path / "notebooks"
    (folder / "solutions").mkdir(parents=True)
    (folder / "images").mkdir()
    (folder / "images" / "clusters.gif").touch()
    first = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 0 · Start here")])
    nbformat.write(first, folder / "00_start_here.ipynb")
    nbformat.write(good_solutions(), folder / "solutions" / "02_pull.ipynb")

    def store(notebook, name="02_pull.ipynb"):
        path = folder / name
        path.write_text(nbformat.writes(notebook), encoding="utf-8")
        return Book(path, notebook)

    return store


@pytest.fixture
def lesson(shelf):
    notebook = good_lesson()
    book = shelf(notebook)
    navigation.update(
        notebook, navigation.line(book.path.name, navigation.lesson_titles(book.path.parent))
    )
    return shelf(notebook)


@pytest.mark.parametrize("rule", LESSON)
def test_a_good_lesson_passes(lesson, rule):
    assert list(rule(lesson)) == []


@pytest.mark.parametrize("rule", SOLUTIONS)
def test_good_solutions_pass(shelf, rule):
    assert list(rule(shelf(good_solutions(), "solutions/02_pull.ipynb"))) == []


def cell_of(notebook, cell_id):
    return next(cell for cell in notebook.cells if cell.id == cell_id)


def spoil_source(cell_id, source):
    return lambda notebook: cell_of(notebook, cell_id).update(source=source)


def spoil_text(cell_id, old, new):
    def spoil(notebook):
        cell = cell_of(notebook, cell_id)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return spoil


def spoil_output(output_type, **fields):
    output = nbformat.v4.new_output(output_type, **fields)
    return lambda notebook: cell_of(notebook, "idea-2").outputs.append(output)


def spoil_picture(**data):
    def spoil(notebook):
        output = cell_of(notebook, "idea-2").outputs[0]
        output.data.update(data.get("data", {}))
        output.metadata = data.get("metadata", output.metadata)

    return spoil


def printed(text):
    return spoil_output("stream", name="stdout", text=text)


TWO_LINES = (
    "ax.plot(x, y, label='a')\nax.plot(x, z, color='red', label='b')\n"
    "ax.set(xlabel='x', ylabel='y')\nplots.show(fig, alt)"
)
LINES_IN_A_LOOP = (
    "for name in names:\n    ax.plot(x, y[name], color=colors[name], label=name)\n"
    "ax.set(xlabel='x', ylabel='y')\nplots.show(fig, alt)"
)

SPOILED = [
    (valid, lambda notebook: notebook.cells[0].pop("source")),
    (valid, lambda notebook: notebook.update(nbformat_minor=4)),
    (valid, lambda notebook: notebook.metadata.update(widgets={})),
    (valid, lambda notebook: notebook.metadata.language_info.update(version="3.11.7")),
    (valid, lambda notebook: notebook.cells[1].metadata.update(execution={})),
    (valid, spoil_source("reading", " \n")),
    (executed, lambda notebook: cell_of(notebook, "setup").update(execution_count=7)),
    (executed, lambda notebook: cell_of(notebook, "idea-2").update(execution_count=None)),
    (no_errors, spoil_output("error", ename="ValueError", evalue="no", traceback=[])),
    (no_errors, spoil_output("stream", name="stderr", text="warning")),
    (quiet, printed("1 %\r2 %")),
    (quiet, printed("\x1b[1mbold\x1b[0m")),
    (quiet, printed("10/10 ━━━━━━━━━━ 0s 3ms/step")),
    (quiet, printed("line\n" * 61)),
    (quiet, printed("<Model object at 0x7f12ab34cd56>")),
    (no_local_paths, printed("saved to /home/ada/course/x.png")),
    (no_local_paths, printed("saved to C:\\Users\\ada")),
    (no_local_paths, spoil_source("idea-2", "open('/tmp/x')")),
    (images, spoil_picture(data={"image/png": palette_png("RGB")})),
    (images, spoil_picture(data={"image/svg+xml": "<svg/>"})),
    (images, spoil_picture(data={render.WIDGET: {"model_id": "1"}})),
    (images, spoil_picture(metadata={})),
    (images, spoil_picture(metadata={"image/png": {"alt": "plot"}})),
    (images, spoil_text("idea", "![ten clusters of points]", "![]")),
    (images, spoil_source("reading", "<img src='images/clusters.gif'>")),
    (small, printed("x" * 400_000)),
    (readable_ids, lambda notebook: notebook.cells[3].update(id="1f0c9a2b")),
    (readable_ids, lambda notebook: notebook.cells[3].update(id="title")),
    (title, spoil_source("reading", "# 2 · Pull again")),
    (title, lambda notebook: notebook.cells.insert(0, notebook.cells.pop(1))),
    (title, spoil_text("title", "2 · Pull", "3 · Pull")),
    (title, spoil_text("title", "2 · Pull", "2. Pull")),
    (title, spoil_text("title", "2 · Pull points", "2 · The points")),
    (heading_order, spoil_text("idea", "## Idea", "### Idea")),
    (axes_labelled, spoil_source("idea-2", "ax.plot(x, y)\nplots.show(fig, alt)")),
    (axes_labelled, spoil_source("idea-2", "ax.plot(x)\nax.set(ylabel='y')\nplots.show(fig, alt)")),
    (cue_beyond_colour, spoil_source("idea-2", TWO_LINES)),
    (cue_beyond_colour, spoil_source("idea-2", LINES_IN_A_LOOP)),
    (imports_in_setup, spoil_source("idea-2", "import os")),
    (imports_in_setup, spoil_source("idea-2", "def f():\n    from os import path")),
    (imports_in_setup, spoil_source("idea-2", "f(")),
    (imports_in_setup, spoil_source("setup", "%matplotlib widget")),
    (imports_in_setup, lambda notebook: cell_of(notebook, "setup").update(id="imports")),
    (short_cells, spoil_source("idea-2", "x = 1\n" * 26)),
    (short_cells, lambda notebook: [c.update(source="x\n" * 9) for c in notebook.cells]),
    (length, spoil_text("idea", "word " * 1600, "word " * 1200)),
    (length, spoil_text("idea", "word " * 1600, "word " * 2600)),
    (opening, spoil_text("title", "What you need", "Requirements")),
    (opening, spoil_text("title", "minutes", "pages")),
    (opening, spoil_text("title", "seconds", "ages")),
    (closing, spoil_text("what-you-saw", "What you saw", "The end")),
    (navigable, lambda notebook: notebook.cells.pop(1)),
    (navigable, lambda notebook: notebook.cells.pop()),
    (navigable, spoil_text("navigation", "Start here", "Begin")),
    (links_lead_somewhere, spoil_source("reading", "[next](03_missing.ipynb)")),
    (links_lead_somewhere, spoil_text("idea", "clusters.gif", "missing.gif")),
    (exercises_in_sync, spoil_source("exercise-1-code", "def half(x):\n    return x / 2")),
    (exercises_in_sync, lambda notebook: notebook.cells.remove(cell_of(notebook, "exercise-2"))),
    (enough_exercises, spoil_text("exercise-1", "## Exercise 1", "Task")),
    (quiz, lambda notebook: notebook.cells.remove(cell_of(notebook, "quiz"))),
    (quiz, spoil_source("quiz", "## Quiz\n\n" + 4 * QUESTION)),
    (quiz, spoil_text("quiz", "</summary>\n\n", "</summary>\n")),
    (quiz, spoil_text("quiz", "Is it so? ", "")),
    (quiz, spoil_text("quiz", "For a reason that takes ten words or more to tell.", "Why not?")),
    (finished, spoil_source("reading", "PLACEHOLDER")),
    (finished, spoil_source("idea-2", "math.pi  # TODO")),
    (
        finished,
        spoil_text("quiz", "For a reason that takes ten words or more to tell.", "Why not?"),
    ),
    (solutions_stay_out, spoil_source("exercise-1-code", "# BEGIN SOLUTION")),
]


@pytest.mark.parametrize(
    ("rule", "spoil"), [pytest.param(*case, id=case[0].__name__) for case in SPOILED]
)
def test_a_rule_catches_what_breaks_it(shelf, lesson, rule, spoil):
    notebook = copy.deepcopy(lesson.notebook)
    spoil(notebook)
    assert list(rule(shelf(notebook) if rule is small else Book(lesson.path, notebook)))


SPOILED_SOLUTIONS = [
    (solved, spoil_source("all-passed", "print('done')")),
    (markers_pair_up, spoil_text("exercise-1-code", "    # END SOLUTION", "")),
]


@pytest.mark.parametrize(("rule", "spoil"), SPOILED_SOLUTIONS)
def test_a_rule_for_solutions_catches_what_breaks_it(shelf, rule, spoil):
    notebook = good_solutions()
    spoil(notebook)
    assert list(rule(shelf(notebook, "solutions/02_pull.ipynb")))


def test_every_rule_is_seen_to_catch_something():
    assert {rule for rule, _ in SPOILED + SPOILED_SOLUTIONS} == {*LESSON, *SOLUTIONS}


def test_exercises_without_solutions_are_found(lesson):
    (lesson.path.parent / "solutions" / lesson.path.name).unlink()
    assert list(exercises_in_sync(lesson))
