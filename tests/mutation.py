"""Do the tests of the losses notice a mistake? Make one at a time, and look.

Each mutant is the source of `lib/losses.py` (or of the arithmetic in `lib/layers.py`) with one
change: another operator, comparison, sign, constant, function, axis, margin or precision. It is
compiled in memory, nothing is written, and the checks of `loss_checks.py` run on it until one
fails. The mutants that no check can tell from the original stand in `SURVIVORS`, with the reason.

    python tests/mutation.py          every mutant, with what killed it
"""

import ast
import collections
import logging
import sys
import types
import warnings
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import adaptive_checks  # noqa: E402
import lib  # noqa: E402, F401
import loss_checks as checks  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

OPERATORS = {ast.Pow: ast.Mult, ast.USub: ast.UAdd, ast.Eq: ast.NotEq}
for one, other in (
    (ast.Add, ast.Sub),
    (ast.Mult, ast.Div),
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Is, ast.IsNot),
    (ast.And, ast.Or),
):
    OPERATORS |= {one: other, other: one}
FUNCTION_PAIRS = """
sin:cos cos:sin floor:ceil max:min maximum:minimum exp:exp2 log:log2 sum:mean sigmoid:tanh
softplus:relu square:abs rsqrt:sqrt logical_and:logical_or ones_like:zeros_like pi:tau
radians:degrees
"""
FUNCTIONS = dict(pair.split(":") for pair in FUNCTION_PAIRS.split())
NAMES = {"m1": "m2", "m2": "m3", "m3": "m1", "labels": "logits", "margin": "scale"}
WORDS = {"float32": "float16", "int32": "int8", "scale": "margin", "m1": "m2", "m2": "m3"}

# What stands under a condition on one of these only another backend than TensorFlow runs, whose
# tests notice it.
OF_OTHERS = ("'jax'", "'torch'", "on_torch")

# Mutants that behave like the original, and why.
SURVIVORS = {
    "module: 'float64' if keras.backend.backend() == 'tensorflow' else 'float32'  ->  "
    "'float64' if keras.backend.backend() == 'tensorflow' else 'float16'": (
        "the choice for other backends; the tests on JAX notice it"
    ),
    "_margin_logit: _SMALLEST_SINE ** 2  ->  _SMALLEST_SINE ** 3": (
        "any floor far below the sine of the last float32 before 1 does the same"
    ),
    "_is_cosine: ops.abs(target) <= _LARGEST_COSINE  ->  ops.abs(target) < _LARGEST_COSINE": (
        "the limit itself is arbitrary"
    ),
    "_is_cosine: abs(values) <= _LARGEST_COSINE  ->  abs(values) < _LARGEST_COSINE": "the same",
    "_inverse_root: _SMALLEST_LENGTH ** 2  ->  _SMALLEST_LENGTH ** 3": (
        "shorter vectors get 0 in the next line anyway; the floor only keeps out 1 / 0"
    ),
    "_inverse_root: squared <= _SMALLEST_LENGTH ** 2  ->  squared < _SMALLEST_LENGTH ** 2": (
        "the limit itself is arbitrary"
    ),
}

# First some that are cheap, to which most mutants fall, then all that there are.
LOSS_CHECKS = [
    checks.check_psi,
    partial(
        checks.check_values_and_gradients, names=("combined 1.5 .3 .1", "sphereface 4"), batch=300
    ),
    partial(checks.check_edges, names=("arcface 0.5", "cosface 0.35")),
    *checks.ALL_LOSS_CHECKS,
]
ADAPTIVE_CHECKS = adaptive_checks.ALL_CHECKS
LAYER_CHECKS = [checks.check_heads, checks.check_head_edges]


def changes(node):
    """Pairs of a field of this node and another value for it."""
    if isinstance(node, ast.UnaryOp) and ast.unparse(node) == "-1":
        return  # the last of two axes is axis 1 as well; another number is tried below
    if isinstance(node, ast.BinOp | ast.UnaryOp | ast.BoolOp) and type(node.op) in OPERATORS:
        yield "op", OPERATORS[type(node.op)]()
    if isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        yield "ops", [OPERATORS[type(node.ops[0])](), *node.ops[1:]]
    if isinstance(node, ast.Constant):
        if type(node.value) in (int, float):
            yield "value", node.value + 1
            if node.value > 1.5:
                yield "value", node.value / 2
        elif node.value in WORDS:
            yield "value", WORDS[node.value]
    if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
        yield "attr", FUNCTIONS[node.attr]
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield "id", NAMES[node.id]
    if isinstance(node, ast.keyword) and node.arg in ("m1", "m2", "m3"):
        yield "arg", NAMES[node.arg]
    if isinstance(node, ast.If):
        yield "test", ast.UnaryOp(ast.Not(), node.test)
    if isinstance(node, ast.Call) and len(node.args) > 1:
        first, second, *rest = node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr == "where":
            yield "args", [first, rest[0], second]
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "arctan2":
            yield "args", [second, first]


def places(node, inside="", parent=None):
    """Each node to change, with the function or class it is in and its parent: no error texts."""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if is_docstring or isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inside = f"{inside}.{node.name}".lstrip(".")
    if isinstance(node, ast.If | ast.IfExp):
        test = ast.unparse(node.test)
        if any(word in test for word in OF_OTHERS):
            otherwise = node.orelse if isinstance(node, ast.If) else [node.orelse]
            for child in otherwise:
                yield from places(child, inside, node)
            return
    yield node, inside or "module", parent
    for child in ast.iter_child_nodes(node):
        if child not in getattr(node, "decorator_list", ()):
            yield from places(child, inside, node)


def mutants(path, only=()):
    """Yield the description and the code of each change to a file, or to some functions of it."""
    source = (ROOT / path).read_text(encoding="utf-8")
    tree = ast.parse(source.replace('"softmax_to_arcface"', '"mutant"'))
    all_places, seen = list(places(tree)), collections.Counter()
    if missing := set(only) - {inside for _, inside, _ in all_places}:
        sys.exit(f"{path} has no {', '.join(missing)} any more: name here what took its place")
    for node, inside, parent in all_places:
        if only and not inside.startswith(only):
            continue
        shown = parent if isinstance(node, ast.Name | ast.Constant | ast.Attribute) else node
        for field, value in list(changes(node)):
            before, kept = ast.unparse(shown).splitlines()[0], getattr(node, field)
            setattr(node, field, value)
            description = f"{inside}: {before}  ->  {ast.unparse(shown).splitlines()[0]}"
            seen[description] += 1
            if seen[description] > 1:
                description += f"  (number {seen[description]})"
            yield description, compile(ast.fix_missing_locations(tree), "mutant", "exec")
            setattr(node, field, kept)


def killer(code, its_checks):
    """The name of the first check that fails on the code of a module; None if it survives."""
    module = types.ModuleType("mutant")
    module.__package__ = "lib"
    try:
        exec(code, module.__dict__)
    except Exception:
        return "import"
    for check in its_checks:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(module)
        except (Exception, pytest.fail.Exception):
            return getattr(check, "func", check).__name__
    return None


def main():
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # what it says of code without a file
    killed_by = {}
    for path, its_checks, only in (
        ("lib/losses.py", LOSS_CHECKS, ()),
        ("lib/layers.py", LAYER_CHECKS, ("_inverse_root", "times_unit_columns")),
        ("lib/adaptive.py", ADAPTIVE_CHECKS, ()),
    ):
        original = (ROOT / path).read_text(encoding="utf-8").replace("softmax_to_", "original_")
        if found := killer(original, its_checks):
            sys.exit(f"{path} itself fails {found}: mend that first")
        for name, code in mutants(path, only):
            killed_by[name] = killer(code, its_checks)
            print(f"{killed_by[name] or 'SURVIVES':32s} {name}", flush=True)
    survivors = {name for name, check in killed_by.items() if check is None}
    print(f"{len(killed_by)} mutants, {len(survivors)} survive")
    print("survive without a reason:", *sorted(survivors - set(SURVIVORS)), sep="\n  ")
    print("listed but killed or no longer made:", *sorted(set(SURVIVORS) - survivors), sep="\n  ")
    return survivors != set(SURVIVORS)


if __name__ == "__main__":
    sys.exit(main())
