"""The line of links to the previous lesson, the contents and the next one.

It is generated: a markdown cell `navigation` behind the title cell, and `navigation-end` as the
last cell, so that the title stays the first thing in a notebook.
"""

import re
from pathlib import Path

import nbformat

TOP, END = "navigation", "navigation-end"
CONTENTS = "00_start_here.ipynb#Contents"


def title(notebook):
    """The text of a notebook's first heading of level 1, such as "1 · Put digits on a plane"."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.search(r"^# +(.+?) *$", cell.source, re.MULTILINE)
            if found:
                return found.group(1)
    raise ValueError("it has no title: its first cell has to begin with `# N · Title`")


def line(name, titles):
    """The links of the lesson `name`; `titles` maps the file name of each lesson to its title."""
    names = sorted(titles)
    place = names.index(name)
    links = []
    if place > 0:
        links.append(f"[← {_label(titles[names[place - 1]])}]({names[place - 1]})")
    links.append(f"[Contents]({CONTENTS})")
    if place + 1 < len(names):
        links.append(f"[{_label(titles[names[place + 1]])} →]({names[place + 1]})")
    return " | ".join(links)


def _label(text):
    return re.sub(r"([\[\]])", r"\\\1", text)


def update(notebook, text):
    """Put the line into its two cells, made where they are missing; return whether it changed."""
    before = [(cell.id, cell.source) for cell in notebook.cells]
    lesson = [cell for cell in notebook.cells if cell.id not in (TOP, END)]
    top, end = (nbformat.v4.new_markdown_cell(text, id=cell_id) for cell_id in (TOP, END))
    notebook.cells = [lesson[0], top, *lesson[1:], end]
    return before != [(cell.id, cell.source) for cell in notebook.cells]


def lesson_titles(folder):
    """The titles of the lessons in a folder, by file name."""
    titles = {}
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        try:
            titles[path.name] = title(nbformat.read(path, as_version=4))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    return titles
