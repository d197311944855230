"""Which code do these numbers come from? A hash that changes when, and only when, that code does.

The hash follows names from a few root definitions through the modules of `lib` and covers every
syntax tree it reaches, without docstrings and without the methods that only show an object. A
comment, the layout of a line, how a table looks, or a function that is never named on the way
changes nothing, so expensive recordings stay valid for as long as they are.
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

LIB = Path(__file__).resolve().parents[1]


def fingerprint(roots, settings):
    """A short hash of `settings` and of all definitions in `lib` that `roots` reach.

    Args:
        roots: (module, name) pairs such as ("losses", "softmax_cross_entropy"); a module within a
            folder of `lib` is written with a dot, "records.recipes".
        settings: anything that `json` can write: what else decides the numbers.

    Raises:
        KeyError: if a root is not defined at the top level of its module.
    """
    for module, name in roots:
        if name not in _definitions(module):
            raise KeyError(f"lib/{module}.py has no top-level definition {name!r}.")
    reached, waiting = set(), list(roots)
    while waiting:
        definition = waiting.pop()
        if definition not in reached and definition[1] in _definitions(definition[0]):
            reached.add(definition)
            waiting.extend(_references(*definition))
    code = [_plain(_definitions(module)[name]) for module, name in sorted(reached)]
    text = json.dumps([settings, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(node):
    """A syntax tree as nested lists, the same on every Python: `ast.dump` changed in 3.12 and 3.13.

    Empty fields are left out, since newer versions add some.
    """
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
        return [type(node).__name__, *([name, _plain(value)] for name, value in fields)]
    if isinstance(node, list):
        return [_plain(part) for part in node]
    return repr(node)


@cache
def _syntax_tree(module):
    path = LIB.joinpath(*module.split(".")).with_suffix(".py")
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.body = [part for part in node.body if not _only_shows(part)]
    return tree


def _only_shows(part):
    """Whether a part of a definition is a docstring, or a method such as `_repr_html_`."""
    if isinstance(part, ast.FunctionDef):
        return part.name.startswith(("_repr_", "__repr__"))
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


@cache
def _definitions(module):
    """The functions, classes and constants at the top level of a module of `lib`, by name."""
    found = {}
    for node in _syntax_tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


@cache
def _imports(module):
    """What a module imports from `lib`: local name → (module, name); name is None for a module."""
    found = {}
    for node in _syntax_tree(module).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = module.split(".")[: -node.level]
            for alias in node.names:
                source = ".".join([*folder, node.module or alias.name])
                found[alias.asname or alias.name] = source, alias.name if node.module else None
    return found


def _references(module, name):
    """The definitions in `lib` that one definition names, as (module, name) pairs."""
    imports = _imports(module)
    for node in ast.walk(_definitions(module)[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source, member = imports.get(node.value.id, (None, ""))
            if member is None:
                yield source, node.attr
        elif isinstance(node, ast.Name):
            source, member = imports.get(node.id, (module, node.id))
            if member is not None:
                yield source, member
