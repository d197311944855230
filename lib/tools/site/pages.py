"""The pages that only the website has: the first one, the library, the solutions.

Their words are the README's and the docstrings'; what is written here is what joins them.
"""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ...files import Problem

HERE = Path(__file__).resolve().parent
# The modules whose docstrings are pages, and what those are called.
MODULES = {
    "losses": "Losses",
    "layers": "Heads",
    "models": "Models",
    "adaptive": "After ArcFace",
    "verification": "Verification",
    "evaluation": "The scoreboard",
    "folder": "Pictures from a folder",
    "gallery": "A gallery of the enrolled",
    "recognition": "Search and decide",
    "feasibility": "What a scale and a margin can reach",
}
ROW = (
    r"^\| *\[(?P<title>[^\]]+)\]\((?P<path>[^)]+)\) *"
    r"\| *(?P<about>[^|]+?) *\| *(?P<reading>[^|]+?) *\|"
)


class Readme:
    """Pieces of the README by the words that they begin with.

    Every method raises a Problem that names the piece, where the README has none.
    """

    def __init__(self, text):
        self.text = text

    def _piece(self, what, pattern):
        found = re.search(pattern, self.text, re.MULTILINE | re.DOTALL)
        if found is None:
            raise Problem(f"README.md: the website needs {what}, and it is not there.")
        return found[1].strip()

    def introduction(self):
        """The first paragraph."""
        return self._piece("a first paragraph below the title", r"\A# [^\n]*\n+(.*?)\n\n")

    def explanation(self):
        """The paragraph that says what the animation shows."""
        return self._piece(
            "a paragraph on *What sets the losses apart*", r"^(What sets the losses apart.*?)\n\n"
        )

    def section(self, heading):
        """What stands under a heading of the second level."""
        return self._piece(f"a section `## {heading}`", rf"^## {heading}\n(.*?)(?=^## |\Z)")

    def paragraph(self, words):
        """The paragraph that begins with **words**, or the list below them, without the words."""
        pattern = rf"^\*\*{words}\*\*:? *(.*?)(?=\n\n(?!- )|\Z)"
        return self._piece(f"a paragraph that begins with **{words}**", pattern)

    def picture(self, name):
        """A picture with its description."""
        return self._piece(f"the picture {name}", rf"(!\[[^\]]*\]\([^)]*{re.escape(name)}\))")

    def commands(self):
        """The first block of code under *Start*."""
        found = re.search(r"^```.*?^```", self.section("Start"), re.MULTILINE | re.DOTALL)
        if found is None:
            raise Problem("README.md: the website needs a block of commands under `## Start`.")
        return found[0]

    def lessons(self):
        """For each lesson: its title, path, what happens in it, and how long it takes to read."""
        rows = re.finditer(ROW, self.section("The lessons"), re.MULTILINE)
        lessons = [row.groupdict() for row in rows]
        if not lessons:
            raise Problem(
                "README.md: the website needs the table of lessons under `## The lessons`, with "
                "[title](path), what happens in it and the minutes of reading in the first columns."
            )
        return lessons


def texts(root):
    """The pages that only the site has, as sources by their path in it."""
    readme = Readme((root / "README.md").read_text(encoding="utf-8"))
    loader = Environment(
        loader=FileSystemLoader(HERE / "texts"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )

    def text(name):
        return loader.get_template(name).render(readme=readme, modules=MODULES)

    made = {name: text(name) for name in ("index.md", "library.md")}
    made["notebooks/solutions/index.md"] = text("solutions.md")
    made["figures_to_touch.md"] = (HERE / "figures_to_touch.md").read_text(encoding="utf-8")
    for module, title in MODULES.items():
        heading = f"{title}\n{'=' * len(title)}"
        made[f"lib/{module}.rst"] = f"{heading}\n\n.. automodule:: lib.{module}\n"
    return made
