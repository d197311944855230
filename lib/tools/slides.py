"""Turn lessons into slides and handouts: one HTML file each, which needs no network.

    python -m lib.tools.slides [--output FOLDER] [NOTEBOOK ...]

Slides, for each lesson of `notebooks/`, by a simple rule:

- A heading starts a slide; what does not fit goes on over several, each under its heading: the page
  measures it in the browser.
- A picture or a table has a slide of its own; its code is the slide below (the arrow down).
- Other code follows its text, and what it printed comes one step later: time to guess.
- An answer that unfolds in the notebook comes one step after its question.
- Left out: imports, links to the neighbours, self-checks, and cells with `"slideshow":
  {"slide_type": "skip"}` in their metadata.

A handout has the texts, formulas, pictures and exercises of a lesson for printing, without code,
and the quiz without its answers.

nbconvert makes the pages, by the templates in lib/tools/pages, in the type and colours of look.css
there, which are the website's too; formulas become MathML, which browsers draw themselves;
reveal.js is the one in the package sphinx-revealjs.
"""

import argparse
import re
import sys
import xml.etree.ElementTree as xml
from importlib.metadata import distribution
from pathlib import Path

import nbformat
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat.v4 import new_code_cell, new_markdown_cell
from traitlets.config import Config

from ..files import Problem, write_atomically
from . import exercises, navigation

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "notebooks"
PAGES = Path(__file__).resolve().parent / "pages"
OUTPUT = ROOT / "build"
REVEAL = distribution("sphinx-revealjs").locate_file("sphinx_revealjs/_static/revealjs/dist")
MATHML = "{http://www.w3.org/1998/Math/MathML}"
xml.register_namespace("", MATHML.strip("{}"))
DISPLAYS = ("image/png", "text/html", "text/markdown")  # a picture, a table; the rest is printed

# A block of Markdown: an unfolding answer, code, a formula, a heading, or up to an empty line.
BLOCK = re.compile(
    r"<details.*?</details>|^```.*?^```|^\$\$.*?\$\$|^#+ [^\n]*"
    r"|^[ \t]*\S.*?(?=\n\s*\n|\n(?:<details|```|\$\$|#+ )|\Z)",
    re.DOTALL | re.MULTILINE,
)

# --- pages ----------------------------------------------------------------------------------------


def mathml(tex, display="inline"):
    """A formula as MathML; the TeX stays with it for readers who listen."""
    formula = xml.fromstring(convert(tex.strip(), display=display))
    formula.set("alttext", tex.strip())
    for row in list(formula.iter()):
        if row.tag.rpartition("}")[2] in ("math", "mrow", "mstyle", "mtd"):
            give_functions_room(row)
    return xml.tostring(formula, encoding="unicode")


def give_functions_room(row):
    """Put a thin space between cos, ln and the like and what stands beside them, as TeX does."""
    parts = list(row)
    for left, right in reversed(list(zip(parts, parts[1:], strict=False))):
        kinds = [part.tag.rpartition("}")[2] for part in (left, right)]
        names = [len(part.text or "") > 1 for part in (left, right)]
        named = [kind == "mi" and long for kind, long in zip(kinds, names, strict=True)]
        if any(named) and not {"mo", "mspace"} & set(kinds):
            row.insert(parts.index(right), xml.Element(f"{MATHML}mspace", width="0.17em"))


class Renderer(IPythonRenderer):
    """HTML whose formulas are MathML and whose links lead to other pages of this kind."""

    def inline_math(self, body):
        return mathml(body)

    def block_math(self, body):
        return mathml(body, "block")

    def link(self, text, url, title=None):
        """A link to a lesson leads to the page of that lesson; other files are not beside it."""
        if re.match(r"[a-z]+:", url):
            return super().link(text, url, title)
        lesson = re.match(r"(\d\d_\w+)\.ipynb", url)
        return f'<a href="{lesson.group(1)}.html">{text}</a>' if lesson else text


def export(name, notebook, cells, folder, **resources):
    """Cells of a notebook as one page.

    Args:
        name: of the template in `PAGES`.
        notebook: where title and language are from.
        cells: what the page shows.
        folder: where the notebook's pictures are.
        **resources: what else the template needs.
    """
    for number, cell in enumerate(cells):
        cell.id = f"part-{number}"
    renderer = Renderer(
        escape=False, embed_images=True, exclude_anchor_links=True, path=str(folder)
    )
    exporter = HTMLExporter(
        Config(
            CSSHTMLHeaderPreprocessor={"style": "xcode"},
            NbConvertBase={"display_data_priority": [*DISPLAYS, "text/plain"]},
        ),
        template_name="reveal" if name == "slides" else "lab",
        template_file=str(PAGES / f"{name}.html.j2"),
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        filters={"markdown2html": MarkdownWithMath(renderer).render},
    )
    resources["title"] = navigation.title(notebook)
    resources["look_css"] = (PAGES / "look.css").read_text(encoding="utf-8")
    shown = nbformat.v4.new_notebook(metadata=notebook.metadata, cells=cells)
    return exporter.from_notebook_node(shown, resources)[0]


def slide_page(notebook, folder):
    """The slides of a lesson as one page."""
    css, script = (
        (REVEAL / name).read_text(encoding="utf-8") for name in ("reveal.css", "reveal.js")
    )
    cells = slide_cells(notebook)
    return export("slides", notebook, cells, folder, reveal_css=css, reveal_js=script)


def handout_page(notebook, folder):
    """The handout of a lesson as one page."""
    return export("handout", notebook, handout_cells(notebook), folder)


# --- cells ----------------------------------------------------------------------------------------


def is_shown(cell):
    """Whether a cell has a place in slides and handouts."""
    if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
        return False
    if cell.id in (navigation.TOP, navigation.END, "setup"):
        return False
    return not (cell.cell_type == "code" and re.match(r"checks\.\w+\(", cell.source))


def is_display(output):
    """Whether an output is a picture or a table."""
    return any(kind in output.get("data", {}) for kind in DISPLAYS)


def outputs(found):
    """A cell that shows outputs and no code."""
    hidden = {"transient": {"remove_source": True}}
    return new_code_cell(outputs=list(found), metadata=hidden)


class Deck:
    """Cells with nbconvert's slide types, filled from the first slide to the last."""

    def __init__(self):
        self.cells, self.heading = [], ""
        self.full = True  # whether what comes next needs a slide of its own

    def add(self, cell):
        """Add a cell to the last slide, or to a new one if that is full."""
        if self.full:
            self.start()
        self._put(cell)

    def add_step(self, cell):
        """Add a cell to the last slide that comes one step later, and nothing behind it."""
        self._put(cell, "fragment")
        self.full = True

    def add_alone(self, cells, kind="slide"):
        """Add a slide that has nothing else on it."""
        self.start(kind)
        for cell in cells:
            self._put(cell)
        self.full = True

    def start(self, kind="slide"):
        """Start a slide under the heading of this section."""
        self._put(new_markdown_cell(self.heading), kind)
        self.heading, self.full = re.sub("^# ", "## ", self.heading), False

    def _put(self, cell, kind="-"):
        cell.metadata["slideshow"] = {"slide_type": kind}
        self.cells.append(cell)


def slide_cells(notebook):
    """The slides of a lesson as cells with explicit slide types."""
    deck, waiting = Deck(), []  # sources without output go with those of the next cell
    for cell in filter(is_shown, notebook.cells):
        if cell.cell_type == "markdown":
            add_code(deck, waiting)
            add_text(deck, cell)
            continue
        waiting.append(cell.source)
        shown = list(filter(is_display, cell.outputs))
        printed = [output for output in cell.outputs if not is_display(output)]
        if shown:
            deck.add_alone([outputs(shown)])
            deck.add_alone(map(new_code_cell, waiting), kind="subslide")
            waiting.clear()
        if printed or exercises.is_exercise(cell):
            add_code(deck, waiting, printed)
    add_code(deck, waiting)
    return deck.cells


def add_code(deck, sources, printed=()):
    """Move code to a deck and add, one step later, what it printed."""
    while sources:
        deck.add(new_code_cell(sources.pop(0)))
    if printed:
        deck.add_step(outputs(printed))


def add_text(deck, cell):
    """Add a cell of Markdown to a deck, block by block."""
    before = ""
    for block in map(str.strip, BLOCK.findall(cell.source)):
        unfolding = re.fullmatch(exercises.UNFOLDING, block, re.DOTALL)
        if re.match("#+ ", block):
            deck.heading, deck.full = re.sub("^##+", "##", block), True
        elif unfolding:
            question, answer = unfolding.groups()
            deck.add(new_markdown_cell(question))
            deck.add_step(new_markdown_cell(answer.strip(), metadata={"tags": ["answer"]}))
        elif re.fullmatch(r"!\[[^\]]*\]\([^)]*\)", block):
            deck.add_alone([new_markdown_cell(block)])
        elif before.endswith(":") and not deck.full:
            deck.cells[-1].source += "\n\n" + block  # what is announced stays with its text
        elif cell.id != navigation.QUIZ:  # there it says how to unfold an answer
            deck.add(new_markdown_cell(block))
        before = block


def handout_cells(notebook):
    """The cells of a lesson's handout."""
    cells = []
    for cell in filter(is_shown, notebook.cells):
        if cell.cell_type == "markdown":
            cells.append(new_markdown_cell(without_answers(cell)))
            continue
        cells.append(outputs(filter(is_display, cell.outputs)))
        if exercises.is_exercise(cell):
            cells += [new_code_cell(cell.source), new_markdown_cell('<div class="room"></div>')]
    return cells


def without_answers(cell):
    """The text of a cell without the answers that unfold; the questions of the quiz stay."""
    if cell.id != navigation.QUIZ:
        return re.sub(exercises.UNFOLDING, "", cell.source, flags=re.DOTALL)
    found = re.findall(exercises.UNFOLDING, cell.source, flags=re.DOTALL)
    return "\n\n".join([cell.source.split("\n")[0], *(question for question, _ in found)])


# --- the command ----------------------------------------------------------------------------------


def write(make_page, path, target):
    """Write a page of the lesson at `path` to `target`."""
    try:
        page = make_page(nbformat.read(path, as_version=4), path.resolve().parent)
    except (OSError, ValueError) as error:
        raise Problem(f"{path} is not a lesson that can be read: {error}") from None
    try:
        write_atomically(target, page)
    except OSError as error:
        raise Problem(
            f"{target} cannot be written: {error.strerror}. Choose another folder: "
            "make slides OUT=/path/to/folder."
        ) from None


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Make slides and handouts of the lessons.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: build")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(LESSONS.glob("[0-9]*.ipynb"))
    for kind, make_page in (("slides", slide_page), ("handouts", handout_page)):
        folder = options.output.resolve() / kind
        for path in paths:
            write(make_page, path, folder / f"{path.stem}.html")
        print(f"{len(paths)} {kind} in {folder}")


if __name__ == "__main__":
    try:
        main()
    except Problem as problem:
        sys.exit(str(problem))
