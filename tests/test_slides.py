"""`make slides`: nothing is lost, nothing is fetched, and a browser can show it all."""

import base64
import hashlib
import html
import re
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from pathlib import Path

from lib.tools import slides

import nbformat
import pytest

LESSONS = sorted(slides.LESSONS.glob("[0-9]*.ipynb"))
PNG = base64.b64encode(b"a picture").decode()


def markdown(source, cell_id, **metadata):
    return nbformat.v4.new_markdown_cell(source, id=cell_id, metadata=metadata)


def code(source, cell_id, *outputs, **metadata):
    return nbformat.v4.new_code_cell(source, id=cell_id, outputs=list(outputs), metadata=metadata)


def printed(text):
    return nbformat.v4.new_output("stream", text=text)


def figure(alt="a red dot on white"):
    metadata = {"image/png": {"alt": alt}}
    return nbformat.v4.new_output("display_data", data={"image/png": PNG}, metadata=metadata)


def table():
    return nbformat.v4.new_output("display_data", data={"text/html": "<table><tr><td>7</table>"})


def deck(*cells):
    return slides.slides_of(nbformat.v4.new_notebook(cells=list(cells)), Path("."))


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
        ("a\n\nb", ["a", "b"]),
        ("a\nb\n\n\nc", ["a\nb", "c"]),
        ("## H\ntext", ["## H", "text"]),
        ("text\n## H", ["text", "## H"]),
        ("```python\na\n\n# b\n```\n\nc", ["```python\na\n\n# b\n```", "c"]),
        ("$$\na\n\nb\n$$\n\nc", ["$$\na\n\nb\n$$", "c"]),
        ("$$a$$\n\nb", ["$$a$$", "b"]),
        ("<details><summary>q</summary>\n\na\n\n</details>\n\nb",
         ["<details><summary>q</summary>\n\na\n\n</details>", "b"]),
    ],
)  # fmt: skip
def test_blocks_are_what_blank_lines_separate(source, expected):
    assert slides.blocks(source) == expected


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_blocks_lose_nothing_of_a_lesson(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            kept = "".join(slides.blocks(cell.source))
            assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", cell.source)


def formulas(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            source = re.sub(r"```.*?```|`[^`\n]*`", "", cell.source, flags=re.DOTALL)
            for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", source, re.DOTALL):
                yield block or inline


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_formula_becomes_mathml_without_a_command_left_over(path):
    for tex in formulas(path):
        root = xml.fromstring(slides.mathml(tex))
        assert root.get("alttext") == tex.strip()
        assert "\\" not in "".join(root.itertext()), tex


def test_links_between_lessons_lead_to_their_pages_and_others_become_text(tmp_path):
    convert = slides.make_markdown(tmp_path)
    assert '<a href="01_softmax.html">one</a>' in convert("[one](01_softmax.ipynb#Train)")
    assert '<a href="https://example.org/">out</a>' in convert("[out](https://example.org/)")
    assert convert("[readme](../README.md)") == "<p>readme</p>\n"


def test_a_picture_is_in_the_page(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    assert slides.make_markdown(tmp_path)("![a dot](a.png)") == (
        '<p><img src="data:image/png;base64,eA==" alt="a dot"></p>\n'
    )


# --- the rule -------------------------------------------------------------------------------------


def test_headings_start_slides_and_full_slides_go_on():
    paragraph = "word " * 60
    found = deck(markdown(f"## A\n\n{paragraph}\n\n{paragraph}\n\n### B\n\nend", "text"))
    assert [slide.heading for slide in found] == ["A", "A", "B"]


def test_a_picture_and_a_table_have_slides_of_their_own_with_the_code_below():
    found = deck(
        markdown("## A\n\ntext", "text"),
        code("x = 1", "define"),
        code("plot(x)", "plot", figure(), printed("done")),
        code("show(x)", "show", table()),
    )
    assert [slide.kind for slide in found] == ["", "picture", "code", "picture"]
    assert "a red dot on white" in found[1].parts[0]
    assert text_of(found[1].below) == "x = 1 plot ( x )"
    assert "done" in found[2].parts[0]
    assert "<td>7" in found[3].parts[0]


def test_a_picture_in_a_text_has_a_slide_of_its_own(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    cell = markdown("## A\n\nbefore\n\n![a dot](a.png)\n\nafter", "text")
    found = slides.slides_of(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert [slide.kind for slide in found] == ["", "picture", ""]


def test_code_follows_its_text_and_its_output_comes_one_step_later():
    (slide,) = deck(markdown("## A\n\ntext", "text"), code("print(1)", "one", printed("1\n")))
    assert slide.parts[-1] == '<div class="fragment"><pre class="output">1</pre></div>'


def test_an_answer_comes_one_step_after_its_question_and_the_quiz_has_one_a_slide():
    question = "<details><summary>Why {}?</summary>\n\nBecause **so**.\n\n</details>"
    found = deck(
        markdown("## Quiz\n\nClick.\n\n" + question.format(1) + "\n\n" + question.format(2), "quiz")
    )
    assert len(found) == 2
    for slide in found:
        assert "Click" not in text_of(slide.parts[0])
        before, _, after = slide.parts[0].partition('<div class="fragment answer">')
        assert "Why" in before
        assert "<strong>so</strong>" in after


def test_what_nobody_wants_to_see_is_left_out():
    skip = {"slideshow": {"slide_type": "skip"}}
    assert not deck(
        code("import lib", "setup", printed("1")),
        markdown("[next](01_x.ipynb)", "navigation"),
        code("checks.angle(a)", "check", printed("not started")),
        markdown("## Secret", "secret", **skip),
    )


# --- the pages of the lessons ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=LESSONS, ids=lambda path: path.stem)
def pages(request):
    notebook = nbformat.read(request.param, as_version=4)
    folder = request.param.parent
    return notebook, slides.slide_page(notebook, folder), slides.handout_page(notebook, folder)


def pictures_of(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if slides.is_picture(output):
                yield output.metadata["image/png"]["alt"]
        yield from re.findall(r"!\[(.+?)\]\(", cell.source if cell.cell_type == "markdown" else "")


def test_every_picture_of_a_lesson_is_on_both_pages(pages):
    notebook, deck_page, handout = pages
    for page in (deck_page, handout):
        alts = [html.unescape(alt) for alt in re.findall(r'<img src="data:[^>]*alt="(.*?)"', page)]
        assert alts == list(pictures_of(notebook))


def test_nothing_is_fetched_and_no_formula_is_left_as_tex(pages):
    for page in pages[1:]:
        page = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
        assert not re.search(r'(?:src|href)="(?!data:|\d\d_|https?://)', page)
        assert not re.search(r'<(?:img|script|link)[^>]*(?:src|href)="http', page)
        assert not re.search(r"@import|url\((?!data:)", page)
        assert not re.search(r"\\\(|\$\$|\\frac", text_of(page))


def test_the_handout_has_the_questions_and_not_the_answers(pages):
    notebook, _, handout = pages
    assert "<details" not in handout
    quiz = next(cell.source for cell in notebook.cells if cell.id == "quiz")
    for question, answer in re.findall(
        r"<summary>(.*?)</summary>(.*?)</details>", quiz, flags=re.DOTALL
    ):
        said = text_of(slides.make_markdown(Path("."))(question))
        assert re.sub(r"\s", "", said) in re.sub(r"\s", "", text_of(handout))
        assert answer.strip()[:50] not in handout


@pytest.mark.skipif(not slides.find_browser(), reason="no Chromium or Chrome on this computer")
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_in_a_browser_everything_fits_on_its_slide(path, tmp_path):
    page = tmp_path / "deck.html"
    page.write_text(
        slides.slide_page(nbformat.read(path, as_version=4), path.parent), encoding="utf-8"
    )
    shown = slides.run_browser(
        slides.find_browser(), "--virtual-time-budget=20000", "--dump-dom", page.as_uri()
    )
    assert 'data-fitted="yes"' in shown
    assert "data-overfull" not in shown.split("<script")[0]


def test_slides_and_handouts_are_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(slides, "find_browser", lambda: None)
    assert slides.main([str(LESSONS[0]), "--output", str(tmp_path)]) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")} == {
        "slides/00_start_here.html",
        "handouts/00_start_here.html",
    }
    assert "No PDF" in capsys.readouterr().out


def test_reveal_is_the_one_that_its_readme_names():
    readme = (slides.REVEAL / "README.md").read_text(encoding="utf-8")
    for name, digest in re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|$", readme, re.MULTILINE):
        assert hashlib.sha256((slides.REVEAL / name).read_bytes()).hexdigest() == digest
    assert readme.count("reveal.js |") == 1


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit, match="make slides OUT="):
        slides.main(["--output", str(tmp_path / "file")])
