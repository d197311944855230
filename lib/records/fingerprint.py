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

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


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
        module, name = definition = waiting.pop()
        if definition not in reached and name in _definitions(module):
            reached.add(definition)
            waiting.extend(_references(*definition))
    code = [_code(*definition) for definition in sorted(reached)]
    text = json.dumps([settings, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _code(module, name):
    return _plain(_definitions(module)[name])


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
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | _FUNCTIONS):
            node.body = [part for part in node.body if not _decides_nothing(part)]
    return tree


def _decides_nothing(part):
    """Whether it is a docstring, a method that only shows, or what runs in a command alone."""
    if isinstance(part, _FUNCTIONS):
        return part.name.startswith(("_repr_", "__repr__"))
    if isinstance(part, ast.If):
        return ast.unparse(part.test) == "__name__ == '__main__'"
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


@cache
def _definitions(module):
    """Name → the statements at the top level of a module of `lib` that make it what it is."""
    found = {}
    for statement in _syntax_tree(module).body:
        for name in _defined(statement):
            found.setdefault(name, []).append(statement)
    return found


def _defined(statement):
    """The names that one top-level statement binds, or whose object it changes.

    However it does so: as a function or a class, by `=`, `+=`, an annotation, a tuple, a loop, in a
    branch, by `TABLE["x"] = …`, or in a call for its effect such as `TABLE.update(…)`.
    """
    names, waiting = set(), [statement]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef | _FUNCTIONS):
            names.add(node.name)
            continue  # what is inside binds names of its own
        if isinstance(node, ast.Expr):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        elif isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
            names.add(_owner(node))
        elif isinstance(node, ast.comprehension):  # and so does this
            node = ast.Tuple([node.iter, *node.ifs], ast.Load())
        waiting.extend(ast.iter_child_nodes(node))
    return names - {None}


def _owner(target):
    """The name at the start of `name`, `name.attribute` or `name["key"]`; None without one."""
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return getattr(target, "id", None)


@cache
def _imports(module):
    """What a module imports from `lib`: local name → (module, name); name is None for a module."""
    found = {}
    for node in ast.walk(_syntax_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.level:
            folder = module.split(".")[: -node.level]
            for alias in node.names:
                source = ".".join([*folder, node.module or alias.name])
                found[alias.asname or alias.name] = source, alias.name if node.module else None
    return found


@cache
def _references(module, name):
    """The definitions in `lib` that one definition names, as (module, name) pairs."""
    imports, found = _imports(module), set()
    for node in (part for statement in _definitions(module)[name] for part in ast.walk(statement)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            source, member = imports.get(node.value.id, (None, ""))
            if member is None:
                found.add((source, node.attr))
        elif isinstance(node, ast.Name):
            source, member = imports.get(node.id, (module, node.id))
            if member is not None:
                found.add((source, member))
    return found
