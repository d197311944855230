"""Turn lessons into slides and handouts: one HTML file each, which needs no network.

    python -m lib.tools.slides [--output FOLDER] [NOTEBOOK ...]

Slides, for each lesson of `notebooks/`, by a simple rule:

- A heading starts a slide; a long section goes on over several, each under its heading.
- A picture or a table has a slide of its own; its code is the slide below (the arrow down).
- Other code follows its text, and what it printed comes one step later: time to guess.
- An answer that unfolds in the notebook comes one step after its question.
- Left out: imports, links to the neighbours, self-checks, and cells with `"slideshow":
  {"slide_type": "skip"}` in their metadata.

A handout has the texts, formulas, pictures and exercises of a lesson for printing, without code,
and the quiz without its answers. Where a Chromium is installed, it is made a PDF as well.

Formulas become MathML, which browsers draw themselves; reveal.js lies in lib/tools/reveal.
"""

import argparse
import base64
import html
import mimetypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import mistune
import nbformat
from latex2mathml.converter import convert
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from . import exercises, navigation

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "notebooks"
REVEAL = Path(__file__).resolve().parent / "reveal"
OUTPUT = ROOT / "build"
QUIZ = "quiz"  # the id of the cell with the questions
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)

# The height of a slide and of what can stand on it, in lines of text; tried out by looking.
TEXT_HEIGHT, FULL_HEIGHT = 10, 13
WORDS_A_LINE, CODE_LINE, FORMULA, ROW, GAP = 11, 0.72, 2, 0.9, 0.5

STYLE = HtmlFormatter(style="xcode", nowrap=True)


# --- Markdown to HTML -----------------------------------------------------------------------------


def mathml(tex, display="inline"):
    """A formula as MathML; the TeX stays with it for readers who listen."""
    text = convert(tex.strip(), display=display)
    return text.replace("<math ", f'<math alttext="{html.escape(tex.strip(), quote=True)}" ', 1)


class Renderer(mistune.HTMLRenderer):
    """HTML whose pictures are in it, whose code is coloured and whose formulas are MathML."""

    def __init__(self, folder):
        super().__init__(escape=False)
        self.folder = folder

    def image(self, text, url, title=None):
        return f'<img src="{embedded(self.folder / url)}" alt="{html.escape(text, quote=True)}">'

    def link(self, text, url, title=None):
        """A link to a lesson leads to the page of that lesson; other files are not beside it."""
        if re.match(r"[a-z]+:", url):
            return f'<a href="{html.escape(url, quote=True)}">{text}</a>'
        lesson = re.match(r"(\d\d_\w+)\.ipynb", url)
        return f'<a href="{lesson.group(1)}.html">{text}</a>' if lesson else text

    def block_code(self, code, info=None):
        return block_code(code, info)


def make_markdown(folder):
    """A function from Markdown to HTML; `folder` is where its pictures are."""
    renderer = Renderer(folder)
    markdown = mistune.create_markdown(renderer=renderer, plugins=["table", "math"])
    # in place of what the plugin for formulas has put there
    renderer.register("inline_math", lambda _, tex: mathml(tex))
    renderer.register("block_math", lambda _, tex: f'<p class="formula">{mathml(tex, "block")}</p>')
    return markdown


def block_code(code, info=None):
    if info == "python":
        return f'<pre class="code">{highlight(code, PythonLexer(), STYLE).rstrip()}</pre>\n'
    return f"<pre>{html.escape(code)}</pre>\n"


def embedded(path):
    """A picture as an address that holds it."""
    kind = mimetypes.guess_type(path)[0]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def blocks(source):
    """Markdown in blocks: what blank lines separate, fences and unfolding answers kept whole."""
    found, lines, until = [], [], None
    for line in source.split("\n"):
        if until is None and not line.strip():
            found, lines = [*found, "\n".join(lines)] if lines else found, []
            continue
        if until is None and re.match(r"#+ ", line) and lines:
            found, lines = [*found, "\n".join(lines)], []
        lines.append(line)
        if until is None:
            until = next((end for begin, end in FENCES if line.startswith(begin)), None)
            if until and line.count(until) > (until == line[: len(until)]):
                until = None
        elif line.rstrip().endswith(until):
            until = None
        if until is None and re.match(r"#+ ", line):
            found, lines = [*found, "\n".join(lines)], []
    return [*found, "\n".join(lines)] if lines else found


FENCES = (("```", "```"), ("<details", "</details>"), ("$$", "$$"))


def height(block):
    """How high a block of Markdown is on a slide, in lines of text."""
    unfolding = re.fullmatch(exercises.UNFOLDING, block.strip(), re.DOTALL)
    if unfolding:
        return 1 + sum(map(height, blocks(unfolding[2])))
    if block.startswith("```"):
        return (block.count("\n") - 1) * CODE_LINE + GAP
    rows = len(re.findall(r"^\|", block, re.MULTILINE))
    text = re.sub(r"^\|.*$|\$\$.*?\$\$", " ", block, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\$[^$\n]+\$", " formula ", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>", " ", text)
    items = len(re.findall(r"^(?:[-*]|\d+\.) ", block, re.MULTILINE))
    lines = len(re.findall(r"\w+", text)) / WORDS_A_LINE + items / 2
    return lines + block.count("$$") // 2 * FORMULA + rows * ROW + GAP


# --- slides ---------------------------------------------------------------------------------------


@dataclass
class Slide:
    """One slide: its heading, its HTML, and the HTML of the slide below it, if any."""

    heading: str
    parts: list = field(default_factory=list)
    below: str = ""
    kind: str = ""
    height: float = 0

    def add(self, part, height=0):
        self.parts.append(part)
        self.height += height


def is_shown(cell):
    """Whether a cell has a place in slides and handouts."""
    if cell.metadata.get("slideshow", {}).get("slide_type") == "skip":
        return False
    if cell.id in (navigation.TOP, navigation.END, "setup"):
        return False
    return not (cell.cell_type == "code" and re.match(r"checks\.\w+\(", cell.source))


def slides_of(notebook, folder):
    """The slides of a lesson, in order."""
    markdown, slides = make_markdown(folder), [Slide("")]
    waiting = []  # sources without output, which go with those of the next cell
    for cell in filter(is_shown, notebook.cells):
        if cell.cell_type == "markdown":
            _add_code(slides, waiting, [])
            waiting = []
            _add_text(slides, cell, markdown)
            continue
        waiting.append(cell.source)
        texts, shown = outputs_of(cell, markdown)
        if shown:
            below = "\n".join(block_code(source, "python") for source in waiting)
            slides.append(Slide(slides[-1].heading, shown, below, kind="picture"))
            slides += [Slide(slides[-1].heading, texts, kind="code")] if texts else []
            waiting = []
        elif texts or exercises.is_exercise(cell):
            _add_code(slides, waiting, texts)
            waiting = []
    _add_code(slides, waiting, [])
    return [slide for slide in slides if slide.parts or slide.kind == "title"]


def _add_code(slides, sources, outputs):
    """Add code and, one step later, what the last of it printed: below its text if it fits."""
    for number, source in enumerate(sources, 1):
        printed = outputs if number == len(sources) else []
        lines = sum(text.count("\n") + 1 for text in (source, *printed))
        needed = lines * CODE_LINE + (1 + len(printed)) * GAP
        last = slides[-1]
        if last.kind in ("title", "picture") or last.height + needed > FULL_HEIGHT:
            slides.append(last := Slide(last.heading))
        last.add(block_code(source, "python"), needed)
        for text in printed:
            last.add(f'<div class="fragment">{text}</div>')
        last.kind = "code"


def _add_text(slides, cell, markdown):
    """Add a markdown cell: a new slide at each heading, and when one is full."""
    before = ""
    for block in blocks(cell.source):
        last, before_it, before = slides[-1], before, block
        title = re.match(r"(#+) +(.*)", block)
        if title:
            heading = markdown(title.group(2)).strip().removeprefix("<p>").removesuffix("</p>")
            slides.append(Slide(heading, kind="title" if len(title.group(1)) == 1 else ""))
            continue
        if cell.id == QUIZ and not block.startswith("<details"):
            continue  # how to unfold an answer
        if re.fullmatch(r"!\[[^\]]*\]\([^)]*\)", block.strip()):
            slides.append(Slide(last.heading, [markdown(block)], kind="picture"))
            continue
        belongs = block.startswith(("$$", "<details")) or before_it.endswith(":")
        full = last.height + height(block) > (FULL_HEIGHT + 2 if belongs else TEXT_HEIGHT)
        another = cell.id == QUIZ and last.parts
        if another or last.kind in ("code", "picture") or (full and not last.kind):
            slides.append(last := Slide(last.heading))
        last.add(_unfolding(block, markdown) or markdown(block), height(block))


def _unfolding(block, markdown):
    """A question and, one step later, its answer; empty for any other block."""
    found = re.fullmatch(exercises.UNFOLDING, block.strip(), re.DOTALL)
    if not found:
        return ""
    question, answer = found.groups()
    return f'{markdown(question)}<div class="fragment answer">{markdown(answer.strip())}</div>'


def is_picture(output):
    return "image/png" in output.get("data", {})


def picture(output):
    alt = output.metadata.get("image/png", {}).get("alt", "")
    source = "data:image/png;base64," + output.data["image/png"].replace("\n", "")
    return f'<img src="{source}" alt="{html.escape(alt, quote=True)}">'


def outputs_of(cell, markdown):
    """What a cell printed, and the pictures and tables that it showed, as HTML."""
    texts, shown = [], []
    for output in cell.outputs:
        data = output.get("data", {})
        if is_picture(output):
            shown.append(picture(output))
        elif "text/html" in data:
            shown.append(data["text/html"])
        elif "text/markdown" in data:
            shown.append(markdown(data["text/markdown"]))
        else:
            text = output.get("text") or data.get("text/plain", "")
            texts.append(f'<pre class="output">{html.escape(text.rstrip())}</pre>')
    return texts, shown


def section(slide):
    level = "h1" if slide.kind == "title" else "h2"
    body = "\n".join(slide.parts)
    shown = f'<section class="{slide.kind}"><{level}>{slide.heading}</{level}>\n{body}</section>'
    if not slide.below:
        return shown
    code = f'<section class="code"><h2>{slide.heading}</h2>\n{slide.below}</section>'
    return f"<section>{shown}\n{code}</section>"


# --- pages ----------------------------------------------------------------------------------------

SLIDE_CSS = """
.reveal { font: 32px/1.35 "Segoe UI", "Noto Sans", "DejaVu Sans", system-ui, sans-serif;
  color: #222; background: #fff; }
.reveal .slides { text-align: left; }
.reveal .slides section { padding: 0; height: 100%; box-sizing: border-box; }
.reveal .slides section .fragment { transition: none; }  /* else its size is measured too late */
.reveal h1 { font-size: 2em; line-height: 1.15; margin: 0.4em 0; }
.reveal h2 { font-size: 1.15em; margin: 0 0 0.5em; color: #1f5c99; }
.reveal p, .reveal ul, .reveal ol { margin: 0 0 0.55em; }
.reveal li { margin-bottom: 0.3em; }
.reveal img { display: block; margin: 0 auto; max-width: 100%; object-fit: contain; }
.reveal section.picture img { width: 100%; max-height: 590px; }
.reveal section.picture table { font-size: 0.65em; width: 100%; }
.reveal section.picture td { white-space: nowrap; }
.reveal pre { font: 0.72em/1.35 "DejaVu Sans Mono", Consolas, Menlo, monospace; margin: 0 0 0.6em;
  white-space: pre-wrap; }
.reveal pre.code { background: #f4f4f4; padding: 0.5em 0.7em; border-radius: 4px; }
.reveal pre.output { border-left: 4px solid #1f5c99; padding-left: 0.7em; }
.reveal code { font-family: "DejaVu Sans Mono", Consolas, Menlo, monospace; font-size: 0.9em; }
.reveal table { border-collapse: collapse; font-size: 0.72em; margin: 0 0 0.6em; }
.reveal th, .reveal td { border-bottom: 1px solid #bbb; padding: 0.2em 0.6em; text-align: left; }
.reveal caption { caption-side: bottom; text-align: left; font-size: 0.9em; color: #555; }
.reveal .answer { border-left: 4px solid #1f5c99; padding-left: 0.7em; }
.reveal .formula { text-align: center; }
.reveal a { color: #1f5c99; }
.reveal .slide-number { font-size: 16px; color: #555; background: none; left: 8px;
  right: auto; }
"""

# A slide that is too full gets smaller letters, down to a half.
FIT = """
const deck = new Reveal({width: 1280, height: 720, margin: 0.04, center: false, hash: true,
  slideNumber: "c/t", transition: "none", controlsTutorial: false});
function fit(slide) {
  const over = () =>
    slide.scrollHeight > slide.clientHeight + 4 || slide.scrollWidth > slide.clientWidth + 4;
  for (let percent = 100; percent >= 50 && over(); percent -= 5)
    slide.style.fontSize = percent + "%";
  if (over()) slide.dataset.overfull = "yes";
}
deck.initialize().then(() => document.fonts.ready).then(() => {
  for (const slide of document.querySelectorAll(".slides section:not(.stack)")) {
    const hidden = slide.style.display, stack = slide.parentElement.closest("section");
    if (stack) stack.style.display = "block";
    slide.style.display = "block";
    fit(slide);
    slide.style.display = hidden;
    if (stack) stack.style.display = "";
  }
  deck.layout();
  document.body.dataset.fitted = "yes";
});
"""

PRINT_CSS = """
@page { size: A4; margin: 18mm 20mm; }
body { font: 11pt/1.45 "Segoe UI", "Noto Sans", "DejaVu Sans", system-ui, sans-serif; color: #222;
  max-width: 46em; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.7em; } h2 { font-size: 1.25em; margin-top: 1.6em; } h3 { font-size: 1.05em; }
h1, h2, h3 { line-height: 1.2; break-after: avoid; }
img { max-width: 100%; display: block; margin: 0.8em auto; }
img, pre, table, .formula { break-inside: avoid; }
pre { font: 9pt/1.35 "DejaVu Sans Mono", Consolas, Menlo, monospace; background: #f4f4f4;
  padding: 0.6em; white-space: pre-wrap; }
table { border-collapse: collapse; font-size: 9pt; margin: 0.8em 0; }
th, td { border-bottom: 1px solid #bbb; padding: 0.2em 0.5em; text-align: left; }
caption { caption-side: bottom; text-align: left; font-size: 0.9em; color: #555; }
.formula { text-align: center; } .room { height: 7em; border-bottom: 1px solid #bbb; }
a { color: inherit; }
@media print { body { max-width: none; margin: 0; padding: 0; } }
"""


def page(title, head, body):
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def slide_page(notebook, folder):
    """The slides of a lesson as one page."""
    css = (REVEAL / "reveal.css").read_text(encoding="utf-8")
    script = (REVEAL / "reveal.js").read_text(encoding="utf-8")
    head = f"<style>\n{css}\n{SLIDE_CSS}\n{STYLE.get_style_defs('.code')}\n</style>"
    sections = "\n".join(map(section, slides_of(notebook, folder)))
    body = (
        f'<div class="reveal"><div class="slides">\n{sections}\n</div></div>\n'
        f"<script>\n{script}\n</script>\n<script>{FIT}</script>"
    )
    return page(navigation.title(notebook), head, body)


def handout_page(notebook, folder):
    """The handout of a lesson as one page."""
    markdown, parts = make_markdown(folder), []
    for cell in filter(is_shown, notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(markdown(without_answers(cell)))
            continue
        parts += outputs_of(cell, markdown)[1]
        if exercises.is_exercise(cell):
            parts.append(block_code(cell.source, "python") + '<div class="room"></div>')
    head = f"<style>{PRINT_CSS}\n{STYLE.get_style_defs('.code')}</style>"
    return page(navigation.title(notebook), head, "\n".join(parts))


def without_answers(cell):
    """The text of a cell without the answers that unfold; the questions of the quiz stay."""
    if cell.id != QUIZ:
        return re.sub(exercises.UNFOLDING, "", cell.source, flags=re.DOTALL)
    found = re.findall(exercises.UNFOLDING, cell.source, flags=re.DOTALL)
    return "\n\n".join([cell.source.split("\n")[0], *(question for question, _ in found)])


def find_browser():
    """The path of Chromium or of one of its kind, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def run_browser(browser, *arguments):
    """Run a browser without a window, and without touching the person's own; return its output."""
    command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        variables = {n: v for n, v in os.environ.items() if not n.startswith("XDG_")}
        return subprocess.run(
            [*command, f"--user-data-dir={Path(home, 'profile')}", *arguments],
            env=variables | {"HOME": home},
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout


def print_pdf(browser, source, target):
    """Have a browser print a page."""
    run_browser(browser, "--no-pdf-header-footer", f"--print-to-pdf={target}", source.as_uri())


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Make slides and handouts of the lessons.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all lessons")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: build")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted(LESSONS.glob("[0-9]*.ipynb"))
    browser = find_browser()
    for kind, make in (("slides", slide_page), ("handouts", handout_page)):
        folder = options.output.resolve() / kind
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sys.exit(
                f"{folder} cannot be made: {error.strerror}. Choose another folder: "
                "make slides OUT=/path/to/folder."
            )
        for path in paths:
            notebook = nbformat.read(path, as_version=4)
            target = folder / f"{path.stem}.html"
            target.write_text(make(notebook, path.parent), encoding="utf-8")
            if kind == "handouts" and browser:
                print_pdf(browser, target, target.with_suffix(".pdf"))
        print(f"{len(paths)} {kind} in {folder}")
    if not browser:
        print("No PDF of the handouts: that takes Chromium or Chrome. Print the pages instead.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
