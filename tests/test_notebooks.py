"""What every stored notebook keeps: outputs complete and clean, pictures described, links right.

A rule is a function from a `Book` to complaints; the end of the file applies each to each notebook.
"""

import ast
import base64
import builtins
import copy
import functools
import io
import re
from dataclasses import dataclass
from pathlib import Path

from lib.tools import exercises, navigation, render

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS, README = ROOT / "notebooks", ROOT / "README.md"

MAX_BYTES = 520_000
MAX_OUTPUT_LINES = 60
MIN_ALT = 10  # characters
OPENING = ("what you will do", "what you will learn", "what you need")
COSTS = (
    r"(\d+) minutes of reading; on two cores (\d+) seconds of computing and ([\d.]+) GB of memory"
)
MOST_SECONDS = {"08": 150, "09": 100, "10": 90, "11": 90}  # 60 elsewhere
QUESTIONS = 5

# Methods of axes that draw, and the arguments that tell one drawing from another without colour.
DRAWING = "plot scatter bar barh hist stairs step fill_between errorbar semilogx semilogy loglog"
CUES = {None, "ls", "linestyle", "marker", "hatch", "histtype"}  # None: `**look`
STYLE_NAMES = ("style", "line", "marker")


@dataclass(frozen=True)
class Book:
    """A notebook and the file it is in."""

    path: Path
    notebook: nbformat.NotebookNode

    @classmethod
    @functools.cache
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


def parsed(cell):
    """The code of a cell as Python, its magics turned into calls as IPython does it."""
    return ast.parse(TransformerManager().transform_cell(cell.source))


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
    folders = "home|Users|root|tmp|usr|var|opt|mnt|work"
    local = re.compile(rf"(?<![\w./:~-])/(?:{folders})/|\b[A-Z]:\\+\w")
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
        if "plots.show(" in cell.source:
            tree = parsed(cell)
            calls = [node for node in ast.walk(tree) if is_drawing(node)]
            if calls:
                yield cell, tree, calls


def is_drawing(node):
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return is_method and node.func.attr in DRAWING.split()


def axes_labelled(book):
    """The functions of lib.plots label their axes; what a cell draws itself it has to label."""
    for cell, _, _ in drawn(book):
        by_lib = re.search(r"plots\.(plot_|pictures_in_rows)|set_axis_off", cell.source)
        vertical = "ylabel" in cell.source or "title" in cell.source
        if not by_lib and not ("xlabel" in cell.source and vertical):
            yield f"cell {cell.id} draws into axes that say not what they show: set xlabel, ylabel"


def cue_beyond_colour(book):
    """Of several things with a label, all but one are told apart by more than their colour."""
    for cell, tree, calls in drawn(book):
        plain = [call for call in calls if "label" in words(call) and not has_cue(call)]
        loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
        repeated = any(call in plain for loop in loops for call in ast.walk(loop))
        if repeated or len(plain) > 1:
            yield f"cell {cell.id} tells lines apart by their colour alone: add a style or marker"


def words(call):
    return {word.arg for word in call.keywords}  # None: a dictionary of looks


def has_cue(call):
    """Whether a drawing call has a line style, a marker or a hatch."""
    formats = [arg.value for arg in call.args if isinstance(arg, ast.Constant)]
    names = {node.id for arg in call.args for node in ast.walk(arg) if isinstance(node, ast.Name)}
    styled = any(isinstance(text, str) for text in formats) or names & set(STYLE_NAMES)
    return bool(styled or words(call) & CUES)


def small(book):
    size = book.path.stat().st_size
    if size >= MAX_BYTES:
        yield f"is {size / 1000:.0f} kB; the limit is {MAX_BYTES // 1000} kB"


def title(book):
    first = [heading for heading in headings(book) if heading[0] == 1]
    if len(first) != 1 or first[0][2] != book.notebook.cells[0].id:
        yield "needs exactly one heading of level 1, in its first cell"
        return
    if not re.fullmatch(rf"{int(book.number)} · \w+ .+", first[0][1]):
        yield f"has the title {first[0][1]!r}; it should be like '{int(book.number)} · Put ...'"


def heading_order(book):
    last = 0
    for level, text, cell_id in headings(book):
        if level > last + 1:
            yield f"cell {cell_id}: {text!r} has level {level} right below level {last}"
        last = level


def imports_in_setup(book):
    if all(cell.id != "setup" for cell in book.code):
        yield "has no code cell with the id `setup`"
    for cell in book.code:
        nodes = ast.walk(parsed(cell))
        if cell.id != "setup" and any(isinstance(n, ast.Import | ast.ImportFrom) for n in nodes):
            yield f"cell {cell.id} imports: all imports go to the cell with the id `setup`"


def opening(book):
    cells = [cell for cell in book.markdown if cell.id != navigation.TOP][:3]
    text = "\n".join(cell.source for cell in cells).lower()
    for phrase in OPENING:
        if phrase not in text:
            yield f"does not say {phrase!r} in its first cells"


def costs(book):
    """Time and memory are stated, the same in the README, and little enough."""
    found = re.search(COSTS, book.notebook.cells[0].source)
    if not found:
        yield f"does not say its time in its first cell: {COSTS}"
        return
    minutes, seconds, memory = found.groups()
    row = f"| {minutes} min | {seconds} s | {memory} GB |"
    rows = [line for line in README.read_text("utf-8").splitlines() if book.path.name in line]
    if not rows or not rows[0].endswith(row):
        yield f"has another time, or another memory, in the README's table: not {row}"
    if int(seconds) > MOST_SECONDS.get(book.number, 60):
        yield f"computes for {seconds} seconds"


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
    solution = Book.read(book.path.parent / "solutions" / book.path.name)
    if exercises.sync(copy.deepcopy(book.notebook), solution.notebook):
        yield "does not have the exercises of its solutions: run `make render`"


def claims(book):
    """What a lesson says is measured: claims, each of which held when the notebook was stored."""
    made = sum("course.claim(" in cell.source for cell in book.code)
    held = sum(text_of(output).startswith("✓ ") for _, output in book.outputs())
    if not made or not held:
        yield f"claims nothing that was measured: {made} cells with a claim, {held} with a ✓"


def quiz(book):
    """Questions whose answers unfold; without the blank lines their Markdown would not be read."""
    cells = [cell for cell in book.markdown if cell.id == navigation.QUIZ]
    if not cells or not cells[0].source.startswith("## Quiz\n"):
        yield f"has no markdown cell with the id `{navigation.QUIZ}` that begins with `## Quiz`"
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


def answers_use_what_is_there(book):
    """Code in an answer that unfolds is Python, and its names are those of the lesson."""
    known = {word for cell in book.code for word in re.findall(r"\w+", cell.source)}
    known |= set(dir(builtins))
    for cell in book.markdown:
        for _, answer in re.findall(exercises.UNFOLDING, cell.source, flags=re.DOTALL):
            code = "\n".join(re.findall(r"```python\n(.*?)```", answer, flags=re.DOTALL))
            nodes = list(ast.walk(ast.parse(code)))
            names = [node for node in nodes if isinstance(node, ast.Name)]
            own = {name.id for name in names if isinstance(name.ctx, ast.Store)}
            own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
            own |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.alias)}
            missing = {name.id for name in names} - own - known
            if missing:
                yield f"cell {cell.id} has an answer with names that nothing defines: {missing}"


def solved(book):
    if not book.code or "require_all_passed()" not in book.code[-1].source:
        yield "does not call course.require_all_passed() in its last code cell"


# --- the anatomy of a lesson ----------------------------------------------------------------------

CORE_CELLS, CORE_WORDS, CORE_CLAIMS = 40, 1600, 8
LARGER = {"08": (48, 2000, 10)}  # the one on which all others rest
CLAIM = re.compile(r"^[✓○] .*: \S+ \(", re.MULTILINE)
WITHOUT_TRAINING = ("00",)


def core(book):
    """The cells from the title to the exercises."""
    cells = book.notebook.cells
    return cells[: [cell.id for cell in cells].index("exercises")]


def is_folded(cell):
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def code_in_view(book):
    return [cell for cell in core(book) if cell.cell_type == "code" and not is_folded(cell)]


def prose(cells):
    """What is there to read, without tables and alternative texts."""
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    return re.sub(r"^\|.*$|(?<=!\[).*?(?=\])", "", "\n".join(texts), flags=re.MULTILINE)


def short(book):
    cells, words, claims = LARGER.get(book.number, (CORE_CELLS, CORE_WORDS, CORE_CLAIMS))
    if len(core(book)) > cells:
        yield f"has {len(core(book))} cells before its exercises, more than {cells}"
    count = len(prose(core(book)).split())
    if count > words:
        yield f"has {count} words before its exercises, more than {words}"
    said = [text_of(output) for cell in code_in_view(book) for output in cell.outputs]
    count = sum(len(CLAIM.findall(text)) for text in said)
    if count > claims:
        yield f"has {count} claims in view before its exercises, more than {claims}"


def plots_are_folded(book):
    for cell in book.code:
        before, shows, _ = cell.source.partition("plots.show(")
        drawn = before.count("\n")
        if shows and drawn > 4 and not is_folded(cell):
            yield f"cell {cell.id} shows {drawn} lines that draw: fold it (source_hidden)"


def guards_are_folded(book):
    for cell in book.code:
        if "guard" in cell.metadata.get("tags", ()) and not is_folded(cell):
            yield f"cell {cell.id} guards the course and is in view"


def figures_to_touch_are_introduced(book):
    """Text stands above one, or another one. Below a still, what is said of that seems its text."""
    cells = core(book)
    live = [cell.source.startswith("interactive.") for cell in cells]
    for place, cell in enumerate(cells):
        if live[place] and cells[place - 1].cell_type == "code" and not live[place - 1]:
            yield f"cell {cell.id} is a figure to touch right below code, and no text introduces it"


def has_its_parts(book):
    """The map; where it trains, how; the field and the running table, up to the table of all."""
    code = "\n".join(cell.source for cell in core(book) if cell.cell_type == "code")
    wanted = {"method_map(": "map"}
    if "01" <= book.number <= "07":
        wanted |= {"plot_field(": "field", "recorded_faces(": "table of faces never seen"}
        wanted |= {"course.agrees(": "line that says that the box opened is lib's"}
    for call, name in wanted.items():
        if call not in code:
            yield f"has no {name} before its exercises"
    trains = re.compile(r"\.fit\(|\btraining\.train\(")
    shown = any(trains.search(cell.source) for cell in code_in_view(book))
    if not shown and book.number not in WITHOUT_TRAINING:
        yield "does not show how it trains"


def goes_deeper_last(book):
    """What a first reader can do without is behind everything else, folded away."""
    found = [text for level, text, _ in headings(book) if level == 2]
    if "Going deeper" not in found:
        return
    if found[-1] != "Going deeper":
        yield f"goes on behind Going deeper with {found[-1]}"
    cell = next(cell for cell in book.markdown if cell.id == "deeper")
    if not cell.metadata.get("jp-MarkdownHeadingCollapsed"):
        yield "has Going deeper unfolded"


ANATOMY = (short, plots_are_folded, guards_are_folded, figures_to_touch_are_introduced)
ANATOMY += (has_its_parts, goes_deeper_last)


# --- all rules ------------------------------------------------------------------------------------

ANY = (valid, executed, no_errors, quiet, no_local_paths, images, small)
ANY += (imports_in_setup, links_lead_somewhere, finished)
# Solutions are not among those with ordered headings: their exercises have the lesson's levels.
LESSON = (*ANY, title, heading_order, opening, costs, navigable, quiz, claims, exercises_in_sync)
LESSON += (axes_labelled, cue_beyond_colour, answers_use_what_is_there)
SOLUTIONS = (*ANY, solved)


# --- the notebooks --------------------------------------------------------------------------------

LESSON_FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLUTION_FILES = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
CASES = [
    pytest.param(path, rule, id=f"{path.relative_to(NOTEBOOKS)}-{rule.__name__}")
    for paths, rules in ((LESSON_FILES, LESSON), (SOLUTION_FILES, SOLUTIONS))
    for path in paths
    for rule in rules
]
CASES += [
    pytest.param(path, rule, id=f"{path.name}-{rule.__name__}")
    for path in LESSON_FILES
    for rule in ANATOMY
]


def test_the_lessons_are_numbered_from_0_on_and_each_has_its_solutions():
    assert [path.name[:3] for path in LESSON_FILES] == [f"{n:02}_" for n in range(12)]
    assert [path.name for path in SOLUTION_FILES] == [path.name for path in LESSON_FILES]


def test_the_contents_list_every_lesson():
    cells = Book.read(NOTEBOOKS / "00_start_here.ipynb").notebook.cells
    contents = next(cell.source for cell in cells if cell.id == "contents")
    linked = re.findall(r"^\| \[\d+ · [^]]+\]\((\S+)\)", contents, re.MULTILINE)
    assert linked == [path.name for path in LESSON_FILES[1:]]


def test_the_first_trained_picture_needs_one_training():
    """So a reader sees it within half a minute."""
    cells = Book.read(NOTEBOOKS / "01_softmax.ipynb").notebook.cells
    first = [cell.id for cell in cells].index("pictures")
    assert any("image/png" in output.get("data", {}) for output in cells[first].outputs)
    code = "\n".join(cell.source for cell in cells[:first] if cell.cell_type == "code")
    assert len(re.findall(r"\btrain\(|\.fit\(", code)) == 1


@pytest.mark.parametrize(("path", "rule"), CASES)
def test_notebook(path, rule):
    complaints = [f"{path.name} {complaint}" for complaint in rule(Book.read(path))]
    assert not complaints, "\n".join(complaints)


def test_the_anatomy_finds_what_is_too_much_and_what_is_missing():
    """Each rule is broken once by a lesson that is made for it."""
    new = nbformat.v4
    picture = "\n".join([*(f"ax.plot({n})" for n in range(5)), "plots.show(fig, 'five lines')"])
    claims = "".join(f"✓ this is larger: {n} (at least 0)\n" for n in range(9))
    said = new.new_code_cell("claims", outputs=[new.new_output("stream", text=claims)])
    guard = new.new_code_cell("guarded", metadata={"tags": ["guard"]})
    cells = [new.new_markdown_cell("word " * 1601 + "\n| only a table |")]
    cells += [said, new.new_code_cell(picture), guard]
    cells += [new.new_code_cell("interactive.FieldExplorer()") for _ in range(2)]
    cells += [new.new_code_cell("pass") for _ in range(35)]
    cells += [new.new_markdown_cell("## Exercises", id="exercises")]
    cells += [new.new_markdown_cell("## Going deeper", id="deeper"), new.new_markdown_cell("## On")]
    book = Book(NOTEBOOKS / "01_broken.ipynb", new.new_notebook(cells=cells))
    found = "\n".join(complaint for rule in ANATOMY for complaint in rule(book))
    expected = ("41 cells", "1601 words", "9 claims", "shows 5 lines", "is in view", "no map")
    expected += ("no field", "no table", "no line", "how it trains", "behind", "unfolded")
    for complaint in expected:
        assert complaint in found, complaint
    assert found.count("no text introduces it") == 1  # the second stands below the first
    for cell in cells:
        cell.metadata["jupyter"] = {"source_hidden": True}
    assert not [*plots_are_folded(book), *guards_are_folded(book)]
    assert "9 claims" not in "".join(short(book))
