"""What Sphinx does here that it does not do by itself.

- Formulas are MathML, which browsers draw without a script; pictures have their size.
- A section that a notebook folds is folded.
- The picture of a cell named in `figures.FIGURES` is marked, so that figures.js finds it.
- Docstrings are plain text with indented formulas.
"""

import re
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.util import inspect

from ..slides import mathml
from .figures import FIGURES

FOLDED = "folded"
SECTION = r"(Args|Attributes|Returns|Raises|Yields):"  # of a docstring; its lines are indented
# Code and *emphasis*; and what reStructuredText would take for markup besides.
MARKUP = r"(?P<meant>`[^`]*`|(?<!\S)\*\w[\w ]*\*(?=\W|$))|[*|]|(?<=\w)_(?!\w)"


def raw(text):
    return nodes.raw("", text, format="html")


# --- formulas -------------------------------------------------------------------------------------


def inline_formula(writer, node):
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block_formula(writer, node):
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


# --- pictures -------------------------------------------------------------------------------------


def sized_picture(writer, node):
    """A picture with its size, so that nothing moves when it arrives."""
    path = Path(writer.builder.srcdir, node["uri"])
    type(writer).visit_image(writer, node)
    if path.suffix in (".png", ".gif"):
        with Image.open(path) as picture:
            width, height = picture.size
        size = f'<img width="{width}" height="{height}" '
        writer.body[-1] = writer.body[-1].replace("<img ", size, 1)


def nothing_more(writer, node):
    """An <img> has no end."""


# --- notebooks ------------------------------------------------------------------------------------


def fold_sections(app, doctree, docname):
    """Let a section unfold under its heading."""
    for section in list(doctree.findall(nodes.section)):
        if FOLDED in section["classes"]:
            title, *rest = section.children
            opening, middle = raw('<details class="folded"><summary>'), raw("</summary>")
            section.children = []
            section.extend([opening, title, middle, *rest, raw("</details>")])


def mark_figures(app, doctree, docname):
    """Wrap the stills of figures to touch."""
    for cell in doctree.findall(nodes.container):
        figure = FIGURES.get(tuple(cell.get("cell_metadata", {}).get("cell", ())))
        still = figure and next(cell.findall(nodes.image), None)
        if still:
            before, after = figure.around("STILL").split("STILL")
            place = still.parent.index(still)
            still.parent[place : place + 1] = [raw(before), still, raw(after)]


def give_captions_a_level(app, pagename, templatename, context, doctree):
    """A caption of the contents is a heading; readers who listen are told of which level."""
    tree = context.get("furo_navigation_tree", "")
    level = 'role="heading" aria-level="2"'
    context["furo_navigation_tree"] = tree.replace('role="heading"', level)


# --- docstrings -----------------------------------------------------------------------------------


def escaped(found):
    return found[0] if found["meant"] else "\\" + found[0]


def plain_docstring(app, what, name, thing, options, lines):
    """Make plain text fit for reStructuredText: indented formulas are blocks, stars are stars."""
    text, in_section, in_block = [], False, False
    for line in lines:
        indented = line.startswith("    ")
        if line and not indented:
            in_section, in_block = bool(re.fullmatch(SECTION, line)), False
        elif indented and not in_section and not in_block and text and not text[-1]:
            text += ["::", ""]
            in_block = True
        text.append(line if in_block else re.sub(MARKUP, escaped, line))
    lines[:] = text


def constructor(app, what, name, thing, options, signature, returned):
    """What a class is made with: Keras's own `__new__` hides it."""
    # a class that is written in C, which a module imports, has no module at its __init__
    if what == "class" and getattr(thing.__init__, "__module__", "").startswith("lib."):
        made_with = inspect.signature(thing.__init__, bound_method=True)
        return inspect.stringify_signature(made_with), returned
    return None


def setup(app):
    app.add_html_math_renderer("mathml", (inline_formula, None), (block_formula, None))
    app.add_node(nodes.image, override=True, html=(sized_picture, nothing_more))
    app.connect("doctree-resolved", fold_sections)
    app.connect("doctree-resolved", mark_figures)
    app.connect("html-page-context", give_captions_a_level, priority=600)  # after the theme
    app.connect("autodoc-process-docstring", plain_docstring, priority=400)
    app.connect("autodoc-process-signature", constructor)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
