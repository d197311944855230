"""Lay out the sources of the website: notebooks, guides and the pages that only it has.

They stand at the same places as in the checkout, so that links between them stay as they are. What
is changed on the way, in copies: links that lead to a file without a page, the line of links to the
neighbours, the lines that mark a solution, and what the notebook format says by metadata and Sphinx
by tags.
"""

import os
import re
import shutil
from pathlib import Path

import nbformat

from ...files import Problem, write_atomically
from .. import exercises, navigation
from . import address, pages
from .address import ROOT

GUIDES = ("results", "teachers_guide", "troubleshooting", "several_machines", "ways_in")
TEXTS = (
    *(f"notebooks/{name}.md" for name in GUIDES),
    *("data/README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
)
# What has no page of its own under its name stands on another one.
INSTEAD = {
    "README.md": "index.md",
    "notebooks/solutions": "notebooks/solutions/index.md",
    **{f"lib/{name}.py": f"lib/{name}.rst" for name in pages.MODULES},
}
FOLDED = "hide-input"  # myst-nb's tag for what `source_hidden` is in JupyterLab
DEEPER = "jp-MarkdownHeadingCollapsed"

# Code, which may look like a link; and links.
CODE = r"^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<ticks>`+).+?(?P=ticks)"
LINK = rf"(?P<code>{CODE})|\]\((?P<target>[^()\s]+)\)"


# --- links ----------------------------------------------------------------------------------------


def anchor(text):
    """A heading's anchor, as GitHub has it: `What p does` and `What-p-does` are what-p-does."""
    return re.sub(r"[^\w-]", "", text.strip().lower().replace(" ", "-"))


class Links:
    """The links of texts as the website has them.

    Args:
        repository: OWNER/NAME on GitHub, where files without a page are shown; or None.
        staged: the paths of all sources of the site, as in the checkout.
    """

    def __init__(self, repository, staged):
        self.repository, self.staged = repository, set(staged)

    def mend(self, text, path):
        """The Markdown `text` of the file `path` of the checkout, with the links of the site."""

        def link(found):
            return found[0] if found["code"] else self._link(found["target"], path)

        text = re.sub(LINK, link, text, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"\[([^\[\]]*)\]\(\)", r"\1", text)  # there is nowhere to lead to
        text = text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
        return text.replace("OWNER/NAME", self.repository) if self.repository else text

    def _link(self, target, path):
        """The end of a link, `](…)`; empty where the file is shown nowhere."""
        place, _, fragment = target.partition("#")
        fragment = f"#{anchor(fragment)}" if fragment else ""
        if re.match(r"[a-z]+:", target):
            return f"]({target})"
        if not place:
            return f"]({fragment})"
        here = os.path.dirname(path)
        meant = os.path.normpath(os.path.join(here, place))
        page = INSTEAD.get(meant, meant)
        if page in self.staged:
            return f"]({os.path.relpath(page, here or '.')}{fragment})"
        if not (ROOT / meant).exists():
            raise Problem(f"{path} links to {target}, which is not there.")
        return f"]({address.file(self.repository, meant)})" if self.repository else "]()"


# --- notebooks ------------------------------------------------------------------------------------


def ways_in(path, repository):
    """The line that opens a lesson: in JupyterLab and, where the address is known, elsewhere."""
    line = (
        f"{{.ways-in}}\n**Open this lesson** in JupyterLab: `make lab`, then `{path}` "
        "([how](../index.md#start))."
    )
    if repository is None:
        return line
    return line + (
        f" Or [in Colab]({address.colab(repository, path)}), after "
        f"[one cell](ways_in.md#colab), or [in Binder]({address.binder(repository, path)})."
    )


def notebook(path, links):
    """A notebook of the checkout as the site reads it."""
    name = path.relative_to(ROOT).as_posix()
    try:
        book = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise Problem(f"{name} is not a notebook that can be read: {error}") from None
    is_lesson = path.parent.name == "notebooks"
    book.cells = [cell for cell in book.cells if cell.id != navigation.END]
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = links.mend(cell.source, name)
            if not is_lesson:  # its exercises stand right below the title
                cell.source = re.sub("^###", "##", cell.source)
            if cell.metadata.get(DEEPER):
                cell.source = "{.folded}\n" + cell.source
        else:
            cell.source = exercises.MARKER_LINE.sub("", cell.source).rstrip("\n")
        if cell.id == navigation.TOP:
            cell.source = ways_in(name, links.repository) if is_lesson else ""
        # the imports stand before anything that is worth reading
        if cell.id == "setup" or cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), FOLDED]
        for output in cell.get("outputs", ()):
            described = output.get("metadata", {}).get("image/png", {}).get("alt")
            if described:  # myst-nb takes it from the cell
                cell.metadata["mystnb"] = {"image": {"alt": described}}
        cell.metadata["cell"] = [path.stem if is_lesson else "", cell.id]  # for the figures
    return nbformat.writes(book)


# --- all of it ------------------------------------------------------------------------------------


def stage(folder, repository):
    """Write the sources of the site into `folder`.

    Raises:
        Problem: if a notebook cannot be read, or a link leads nowhere.
    """
    folder = Path(folder)
    notebooks = sorted((ROOT / "notebooks").rglob("*.ipynb"))
    notebooks = [path for path in notebooks if ".ipynb_checkpoints" not in path.parts]
    made = pages.texts(ROOT)
    images = [path.relative_to(ROOT) for path in (ROOT / "notebooks" / "images").iterdir()]
    named = [path.relative_to(ROOT).as_posix() for path in notebooks]
    links = Links(repository, [*named, *TEXTS, *made, *map(Path.as_posix, images)])
    for path, name in zip(notebooks, named, strict=True):
        write_atomically(folder / name, notebook(path, links))
    for name in TEXTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        write_atomically(folder / name, links.mend(text, name))
    for name, text in made.items():
        write_atomically(folder / name, links.mend(text, name) if name.endswith(".md") else text)
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
