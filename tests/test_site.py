"""`make site`: every page is there and small, links lead somewhere, nothing is fetched."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

from lib.files import Problem
from lib.tools.site import __main__ as command
from lib.tools.site import address, pages, staging
from lib.tools.site.figures import FIGURES

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


class Page(HTMLParser):
    """The links, addresses and anchors of a page, and its text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.sources, self.anchors, self.words = [], [], [], []
        self.in_code = False  # of a script or a style
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.in_code = tag in ("script", "style")
        if "id" in attributes:
            self.anchors.append(attributes["id"])
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif attributes.get("rel") not in ("canonical",):
            self.sources += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_data(self, data):
        if not self.in_code:
            self.words.append(data)


@pytest.fixture(scope="module")
def read(site):
    """The pages of the site by their path in it, read once."""
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


# --- what is built --------------------------------------------------------------------------------


def test_every_lesson_solution_and_guide_is_a_page_and_in_the_contents(read):
    books = [
        path.relative_to(ROOT).with_suffix(".html") for path in ROOT.glob("notebooks/**/*.ipynb")
    ]
    guides = [path.relative_to(ROOT).with_suffix(".html") for path in ROOT.glob("notebooks/*.md")]
    library = [Path("lib", name).with_suffix(".html") for name in pages.MODULES]
    wanted = {
        path.as_posix()
        for path in (
            *books,
            *guides,
            *library,
            Path("data/README.html"),
            Path("figures_to_touch.html"),
        )
    }
    assert wanted <= read.keys()
    assert wanted <= {urldefrag(link).url for link in read["index.html"].links}


def test_every_text_of_a_lesson_is_on_its_page(read):
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        shown = read[f"notebooks/{path.stem}.html"].text
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown" and not cell.id.startswith("navigation"):
                for heading in re.findall(r"^#+ ([\w ,:·]+)$", cell.source, re.MULTILINE):
                    assert heading in shown, f"{path.name}, cell {cell.id}: {heading}"
            for output in cell.get("outputs", ()):
                first = output.get("text", "").split("\n")[0]
                assert " ".join(first.split()) in shown, f"{path.name}, cell {cell.id}: {first}"


def test_the_first_page_has_what_the_readme_says_of_each_lesson(read):
    found = re.findall(r"^\| \[([^\]]+)\]\((notebooks/[^)]+)\) \| ([^|]+) \|", README, re.MULTILINE)
    assert len(found) == len(list((ROOT / "notebooks").glob("[0-9]*.ipynb")))
    for title, path, about in found:
        assert title in read["index.html"].text
        assert about[1:] in read["index.html"].text
        assert path.replace(".ipynb", ".html") in read["index.html"].links


def test_every_public_name_of_a_module_is_on_its_page_with_its_source(read):
    for module in pages.MODULES:
        code = (ROOT / "lib" / f"{module}.py").read_text(encoding="utf-8")
        page = read[f"lib/{module}.html"]
        names = re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", code, re.MULTILINE)
        assert names
        for name in names:
            assert f"lib.{module}.{name}" in page.anchors, name
            assert f"../_modules/lib/{module}.html#{name}" in page.links, name
        assert not re.search(r"\( ?\* ?args", page.text)  # Keras's own constructor


def test_results_are_those_of_their_page(read):
    text = (ROOT / "notebooks" / "results.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (?:softmax|ArcFace|CosFace)[^\n]* \|$", text, re.MULTILINE)
    numbers = re.findall(r"\d\.\d{3} ± \d\.\d{3}", " ".join(rows))
    assert len(numbers) > 50
    shown = read["notebooks/results.html"].text.replace("\N{NO-BREAK SPACE}", " ")
    assert all(number in shown for number in numbers)


def test_each_figure_to_touch_stands_in_its_lesson_with_its_still(site):
    for (lesson, cell), figure in FIGURES.items():
        text = (site / "notebooks" / f"{lesson}.html").read_text(encoding="utf-8")
        before, after = figure.around("STILL").split("STILL")
        around = f"{re.escape(before)}<img [^>]*>\\s*{re.escape(after)}"
        assert re.search(around, text), f"{lesson}, cell {cell}"


def test_pictures_have_their_descriptions_and_arrow_keys_stay_on_the_page(site):
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'alt="[^"]*_images/', text), path
    options = (site / "_static" / "documentation_options.js").read_text(encoding="utf-8")
    assert "NAVIGATION_WITH_KEYS: false" in options  # they move what is touched


# --- where links lead -----------------------------------------------------------------------------


def test_every_link_leads_to_a_page_and_an_anchor_of_the_site(site, read):
    for name, page in read.items():
        for link in page.links:
            if re.match(r"(https?|mailto):", link):
                continue
            path, fragment = urldefrag(link)
            target = (site / name).parent / unquote(path) if path else site / name
            target = target.resolve()
            assert target.is_file(), f"{name} links to {link}"
            anchors = read[target.relative_to(site).as_posix()].anchors if fragment else ()
            assert not fragment or unquote(fragment) in anchors, f"{name} links to {link}"


def test_no_anchor_is_there_twice(read):
    for name, page in read.items():
        assert len(page.anchors) == len(set(page.anchors)), name


def test_a_heading_has_the_anchor_that_jupyter_and_github_give_it():
    assert staging.anchor("What `p` does, and when") == "what-p-does-and-when"
    assert staging.anchor("Going-deeper") == staging.anchor("Going deeper") == "going-deeper"


def test_links_are_mended_by_one_rule():
    staged = ["notebooks/01_softmax.ipynb", "index.md", "lib/losses.rst", "data/README.md"]

    def mend(text, repository=None, path="notebooks/02_center_loss.ipynb"):
        return staging.Links(repository, staged).mend(text, path)

    assert mend("[a](01_softmax.ipynb#Going-deeper)") == "[a](01_softmax.ipynb#going-deeper)"
    assert mend("[a](../README.md#start)") == "[a](../index.md#start)"
    assert mend("[a](../lib/losses.py)") == "[a](../lib/losses.rst)"
    assert mend("[a](../data/README.md), [b](#Quiz)") == "[a](../data/README.md), [b](#quiz)"
    assert mend("[the *licence*](../LICENSE).") == "the *licence*."
    there = "https://github.com/A/b/blob/HEAD/LICENSE"
    assert mend("[the licence](../LICENSE).", "A/b") == f"[the licence]({there})."
    assert mend("OWNER/NAME", "A/b") == "A/b"
    assert mend("[a](https://example.org/x)") == "[a](https://example.org/x)"
    for code in ("`f[0](x)`", "```python\nf[0](x)\n```", "``a ` [b](c)``"):
        assert mend(code) == code
    with pytest.raises(Problem, match="links to nothing.md, which is not there"):
        mend("[a](nothing.md)")


# --- nothing from elsewhere, and not much of it ---------------------------------------------------


def test_pages_ask_for_nothing_beyond_their_folder(site, read):
    for name, page in read.items():
        for source in page.sources:
            assert not re.match(r"\w+:|//", source) or source.startswith("data:"), (name, source)
            path = (site / name).parent / unquote(urldefrag(source).url.partition("?")[0])
            assert path.exists(), f"{name} asks for {source}"
    for path in [*site.rglob("*.css"), *site.rglob("*.js"), *site.rglob("*.html")]:
        text = path.read_text(encoding="utf-8")
        foreign = r"@import|url\(['\"]?(https?:)?//|https?://[^\"')\s]*(cdn|mathjax|googleapis)"
        assert not re.search(foreign, text, re.I), path


def test_pages_are_small_and_so_is_the_whole(site):
    sizes = {path: path.stat().st_size for path in site.rglob("*") if path.is_file()}
    largest = max((size, path.name) for path, size in sizes.items() if path.suffix == ".html")
    assert largest[0] < 400_000, largest
    assert sum(sizes.values()) < 12_000_000


def test_no_path_of_this_computer_is_on_a_page(site):
    for path in site.rglob("*"):
        if path.suffix in (".html", ".js", ".css", "") and path.is_file():
            text = path.read_text(encoding="utf-8")
            assert str(ROOT) not in text, path
            assert f"{Path.home()}/" not in text, path


# --- the address ----------------------------------------------------------------------------------


def citation(folder, *lines):
    path = folder / "CITATION.cff"
    path.write_text("\n".join(["type: software", *lines, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ['"https://github.com/A/b-c"', "https://github.com/A/b-c.git"])
def test_the_address_is_the_citations_and_else_that_of_the_machine(tmp_path, form):
    named = citation(tmp_path, f"repository-code: {form}")
    assert address.repository(named, {"GITHUB_REPOSITORY": "x/y"}) == "A/b-c"
    unnamed = citation(tmp_path)
    assert address.repository(unnamed, {"GITHUB_REPOSITORY": "x/y"}) == "x/y"
    assert address.repository(unnamed, {}) is None


@pytest.mark.parametrize("form", ["", "A/b", "https://example.org/A/b", "https://github.com/A"])
def test_an_address_of_another_form_says_how_to_write_it(tmp_path, form):
    with pytest.raises(Problem, match=r'write it as "https://github.com/OWNER/NAME"'):
        address.repository(citation(tmp_path, f"repository-code: {form}"), {})


def test_each_lesson_opens_elsewhere_where_the_address_is_known(tmp_path):
    staging.stage(tmp_path, "A/b")
    forms = re.findall(
        r"`(https://[^`]*OWNER/NAME[^`]*ipynb)`", (ROOT / "notebooks" / "ways_in.md").read_text()
    )
    assert len(forms) == 2
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        text = (tmp_path / "notebooks" / path.name).read_text(encoding="utf-8")
        for form in forms:  # as the guide writes them
            link = re.sub(r"\d\d_\w+\.ipynb", path.name, form.replace("OWNER/NAME", "A/b"))
            assert link in text
    assert "OWNER/NAME" not in (tmp_path / "notebooks" / "ways_in.md").read_text(encoding="utf-8")


def test_each_lesson_says_how_it_opens_at_home(tmp_path):
    staging.stage(tmp_path, None)
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        text = (tmp_path / "notebooks" / path.name).read_text(encoding="utf-8")
        assert f"`make lab`, then `notebooks/{path.name}`" in text
        assert not re.search("mybinder|colab.research", text)


def test_solutions_are_shown_without_the_lines_that_mark_them(tmp_path):
    staging.stage(tmp_path, None)
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        shown = nbformat.read(tmp_path / path.relative_to(ROOT), as_version=4).cells
        shown = {cell.id: cell.source for cell in shown}
        code = {cell.id: cell.source for cell in cells if cell.cell_type == "code"}
        assert "# BEGIN SOLUTION\n" in "".join(code.values())
        for name, source in code.items():
            kept = [line for line in source.split("\n") if "SOLUTION" not in line]
            assert shown[name].split("\n") == kept, f"{path.name}, cell {name}"


# --- the command ----------------------------------------------------------------------------------


def test_a_folder_with_something_else_in_it_stays(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Problem, match="no website of this course. Delete it, or choose another"):
        command.main(["--output", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_what_sphinx_warns_of_stops_the_build_and_is_told(tmp_path):
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "index.md").write_text("# A page\n\n[no](#where)\n", encoding="utf-8")
    with pytest.raises(Problem, match=r"(?s)^index\.md:3: WARNING: .*'where'.*is as it was"):
        command.run_sphinx(tmp_path, "html")


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ("## The lessons", "a section `## The lessons`"),
        ("**Afterwards you can**", r"begins with \*\*Afterwards you can"),
        ("notebooks/images/fields.gif", "the picture fields.gif"),
    ],
)
def test_a_readme_without_what_the_site_takes_from_it_says_so(tmp_path, cut, told):
    (tmp_path / "README.md").write_text(README.replace(cut, "nothing"), encoding="utf-8")
    with pytest.raises(Problem, match=f"README.md: the website needs .*{told}"):
        pages.texts(tmp_path)
