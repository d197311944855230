"""The line of links to the previous lesson, the contents and the next one.

It is generated: a markdown cell `navigation` behind the title cell, and `navigation-end` as the
last cell, so that the title stays the first thing in a notebook.
"""

import re
from pathlib import Path

from lib.files import Problem

import nbformat

QUIZ = "quiz"  # the id of the cell with the questions whose answers unfold
TOP, END = "navigation", "navigation-end"
CONTENTS = "[Contents](00_start_here.ipynb#Contents)"


def title(notebook):
    """The text of a notebook's first heading of level 1, such as "1 · Put digits on a plane"."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for text in texts:
        found = re.search(r"^# +(.+?) *$", text, re.MULTILINE)
        if found:
            return found[1]
    raise Problem("it has no title: its first cell has to begin with `# N · Title`")


def lesson_titles(folder):
    """The titles of the lessons in a folder, by file name."""
    titles = {}
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        try:
            titles[path.name] = title(nbformat.read(path, as_version=4))
        except Exception as error:  # nbformat has many kinds for a file that is no notebook
            raise Problem(f"{path.name}: {str(error).splitlines()[0]}") from None
    return titles


def line(name, titles):
    """The links of the lesson `name`; `titles` maps the file name of each lesson to its title."""
    names = sorted(titles)
    place = names.index(name)
    label = {other: re.sub(r"([\[\]])", r"\\\1", text) for other, text in titles.items()}
    before = [f"[← {label[other]}]({other})" for other in names[:place][-1:]]
    after = [f"[{label[other]} →]({other})" for other in names[place + 1 :][:1]]
    return " | ".join([*before, CONTENTS, *after])


def update(notebook, text):
    """Put the line into its two cells, made where they are missing; return whether it changed."""
    before = [(cell.id, cell.source) for cell in notebook.cells]
    lesson = [cell for cell in notebook.cells if cell.id not in (TOP, END)]
    top, end = (nbformat.v4.new_markdown_cell(text, id=cell_id) for cell_id in (TOP, END))
    notebook.cells = [lesson[0], top, *lesson[1:], end]
    return before != [(cell.id, cell.source) for cell in notebook.cells]
