"""`make slides`: nothing is lost and nothing is fetched; a browser shows it in tests/browser."""

import base64
import html
import re
import xml.etree.ElementTree as xml
from html.parser import HTMLParser

from lib.files import Problem
from lib.tools import slides

import nbformat
import pytest

LESSONS = sorted(slides.LESSONS.glob("[0-9]*.ipynb"))
PNG = base64.b64encode(b"a picture").decode()
QUESTION = "<details><summary>Why {}?</summary>\n\nBecause **so**.\n\n</details>"


def markdown(source, cell_id="text", **metadata):
    return nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=metadata)


def code(source, cell_id, *outputs):
    return nbformat.v4.new_code_cell(source, id=cell_id, outputs=list(outputs))


def printed(text):
    return nbformat.v4.new_output("stream", text=text)


def shown(**data):
    data = {name.replace("_", "/"): value for name, value in data.items()}
    metadata = {"image/png": {"alt": "a red dot"}}
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def deck(*cells):
    """The slides of cells: for each its type, and what is on it with `>` before later steps."""
    found = []
    for cell in slides.slide_cells(nbformat.v4.new_notebook(cells=list(cells))):
        kind = cell.metadata["slideshow"]["slide_type"]
        text = cell.source or ", ".join(o.get("text") or min(o.data) for o in cell.outputs)
        if kind in ("slide", "subslide"):
            found.append([kind])
        found[-1].append("> " * (kind == "fragment") + text)
    return found


def text_of(source):
    """What a page says, as one line."""
    parser, words = HTMLParser(), []
    parser.handle_data = words.append
    parser.feed(re.sub(r"<(script|style)>.*?</\1>", "", source, flags=re.DOTALL))
    return " ".join(" ".join(words).split())


# --- Markdown -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\nb\n\n\nc", ["a\nb", "c"]),
        ("## H\ntext\n## I", ["## H", "text", "## I"]),
        ("text:\n```python\na\n\n# b\n```\n\nc", ["text:", "```python\na\n\n# b\n```", "c"]),
        ("$$\na\n\nb\n$$\n\nc", ["$$\na\n\nb\n$$", "c"]),
        ("a\n" + QUESTION + "\n\nb", ["a", QUESTION, "b"]),
    ],
)
def test_blocks_are_what_blank_lines_separate(source, expected):
    assert slides.BLOCK.findall(source) == expected


@pytest.mark.parametrize(
    ("tex", "spaces"),
    [(r"s\cos\theta_y", 2), (r"-\ln p", 1), (r"\cos(\theta)", 0), (r"e^{s \cos t}", 2), ("xy", 0)],
)
def test_the_name_of_a_function_keeps_its_distance(tex, spaces):
    formula = xml.fromstring(slides.mathml(tex))
    assert len(formula.findall(f".//{slides.MATHML}mspace")) == spaces
    assert formula.get("alttext") == tex


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_no_text_of_a_lesson_is_lost_and_every_formula_becomes_mathml(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "markdown":
            continue
        kept = "".join(slides.BLOCK.findall(cell.source))
        assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", cell.source)
        source = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.DOTALL)
        for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", source, re.DOTALL):
            root = xml.fromstring(slides.mathml(block or inline))
            assert root.get("alttext") == (block or inline).strip()
            assert "\\" not in "".join(root.itertext())


def test_links_between_lessons_lead_to_their_pages_and_others_become_text():
    renderer = slides.Renderer()
    assert renderer.link("one", "01_a.ipynb#Train") == '<a href="01_a.html">one</a>'
    assert 'href="https://example.org/"' in renderer.link("out", "https://example.org/")
    assert renderer.link("readme", "../README.md") == "readme"


# --- the rule -------------------------------------------------------------------------------------


def test_headings_start_slides_and_what_is_announced_stays():
    found = deck(markdown("# T\n\nfor\n\n## A\n\nsuch as:\n\n- one\n\nso\n\n### B\n\nend"))
    assert found == [
        ["slide", "# T", "for"],
        ["slide", "## A", "such as:\n\n- one", "so"],
        ["slide", "## B", "end"],
    ]


def test_a_picture_and_a_table_have_slides_of_their_own_with_the_code_below():
    found = deck(
        markdown("## A\n\ntext\n\n![a dot](a.png)\n\nafter"),
        code("x = 1", "define"),
        code("plot(x)", "plot", shown(image_png=PNG), printed("done")),
        code("show(x)", "show", shown(text_html="<table>")),
    )
    assert found == [
        ["slide", "## A", "text"],
        ["slide", "## A", "![a dot](a.png)"],
        ["slide", "## A", "after"],
        ["slide", "## A", "image/png"],
        ["subslide", "## A", "x = 1", "plot(x)", "> done"],
        ["slide", "## A", "text/html"],
        ["subslide", "## A", "show(x)"],
    ]


def test_code_follows_its_text_and_its_output_comes_one_step_later():
    source = [
        markdown("## A\n\ntext"),
        code("print(1)", "one", printed("1\n")),
        markdown("so", "end"),
    ]
    assert deck(*source) == [
        ["slide", "## A", "text", "print(1)", "> 1\n"],
        ["slide", "## A", "so"],
    ]


def test_an_answer_comes_one_step_after_its_question_and_the_quiz_has_one_a_slide():
    source = "## Quiz\n\nClick.\n\n" + QUESTION.format(1) + "\n\n" + QUESTION.format(2)
    answer = "> Because **so**."
    assert deck(markdown(source, "quiz")) == [
        ["slide", "## Quiz", "Why 1?", answer],
        ["slide", "## Quiz", "Why 2?", answer],
    ]


def test_what_nobody_wants_to_see_is_left_out():
    assert not deck(
        code("import lib", "setup", printed("1")),
        markdown("[next](01_x.ipynb)", "navigation"),
        code("checks.angle(a)", "check", printed("not started")),
        markdown("## Secret", slideshow={"slide_type": "skip"}),
    )


# --- the pages of the lessons ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=LESSONS[1::4], ids=lambda path: path.stem)
def pages(request):
    notebook = nbformat.read(request.param, as_version=4)
    folder = request.param.parent
    return notebook, slides.slide_page(notebook, folder), slides.handout_page(notebook, folder)


def pictures_of(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                yield output.metadata["image/png"]["alt"]
        yield from re.findall(r"!\[(.+?)\]\(", cell.source if cell.cell_type == "markdown" else "")


def test_every_picture_of_a_lesson_is_on_both_pages(pages):
    notebook, *both = pages
    for page in both:
        tags = [tag for tag in re.findall("<img [^>]*>", page) if 'src="data:' in tag]
        alts = [html.unescape(re.search('alt="(.*?)"', tag)[1]) for tag in tags]
        assert alts == list(pictures_of(notebook))


def test_nothing_is_fetched_and_no_formula_is_left_as_tex(pages):
    for page in pages[1:]:
        assert "MathJax" not in page
        page = re.sub(r"(<script>).*?(</script>)", r"\1\2", page, flags=re.DOTALL)
        assert not re.search(r"<(?:script|link|iframe)[^>]*(?:src|href)=", page)
        assert not re.search(r'(?:src|href)="(?!data:|\d\d_|https?://)', page)
        assert not re.search(r'<img[^>]*src="(?!data:)', page)
        assert not re.search(r"@import|url\((?!data:)", page)
        assert not re.search(r"\\\(|\$\$|\\frac", text_of(page))


def test_the_handout_has_the_questions_and_not_the_answers(pages):
    notebook, _, handout = pages
    convert = slides.MarkdownWithMath(slides.Renderer(escape=False)).render
    quiz = next(cell.source for cell in notebook.cells if cell.id == "quiz")
    for question, answer in re.findall(slides.exercises.UNFOLDING, quiz, flags=re.DOTALL):
        assert text_of(convert(question)) in text_of(handout)
        assert text_of(convert(answer)) not in text_of(handout)


# --- the command ----------------------------------------------------------------------------------


def test_slides_and_handouts_are_written(tmp_path):
    slides.main([str(LESSONS[0]), "--output", str(tmp_path)])
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")} == {
        "slides/00_start_here.html",
        "handouts/00_start_here.html",
    }


def test_what_cannot_be_read_or_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Problem, match="make slides OUT="):
        slides.main([str(LESSONS[0]), "--output", str(tmp_path / "file")])
    for name in ("file", "missing.ipynb"):
        with pytest.raises(Problem, match=f"{name} is not a lesson that can be read"):
            slides.main([str(tmp_path / name), "--output", str(tmp_path)])
