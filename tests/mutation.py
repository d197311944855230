"""Do the tests of the losses notice a mistake? Make one at a time, and look.

Each mutant is the source of `lib/losses.py` (or of the arithmetic in `lib/layers.py`) with one
change: another operator, comparison, sign, constant, function, axis, margin or precision. It is
compiled in memory, nothing is written, and the checks of `loss_checks.py` run on it until one
fails. The mutants that no check can tell from the original stand in `SURVIVORS`, with the reason.

    python tests/mutation.py          every mutant, with what killed it
"""

import ast
import copy
import logging
import sys
import time
import types
import warnings
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import lib  # noqa: E402, F401
import loss_checks as checks  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.USub: ast.UAdd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
FUNCTIONS = {
    "sin": "cos",
    "cos": "sin",
    "floor": "ceil",
    "max": "min",
    "maximum": "minimum",
    "exp": "exp2",
    "log": "log2",
    "sum": "mean",
    "sigmoid": "tanh",
    "softplus": "relu",
    "square": "abs",
    "rsqrt": "sqrt",
    "logical_and": "logical_or",
    "ones_like": "zeros_like",
    "pi": "tau",
    "radians": "degrees",
}
NAMES = {"m1": "m2", "m2": "m3", "m3": "m1", "labels": "logits", "margin": "scale"}
WORDS = {"float32": "float16", "int32": "int8", "scale": "margin", "m1": "m2", "m2": "m3"}

# Mutants that behave like the original, and why.
_SINE = "ops.sqrt(ops.maximum((1.0 - cosine) * (1.0 + cosine), _SMALLEST_SINE ** {}))"
_SHIFT = "index = ops.where(index {}, index - values.shape[-1], index)"
_FLOOR = "inverse = ops.rsqrt(ops.maximum(squared, _SMALLEST_LENGTH ** {}))"
_ZERO = "return ops.where(squared {} _SMALLEST_LENGTH ** 2, 0.0, inverse)"
_BY_BACKEND = "_ANGLE_DTYPE = 'float64' if keras.backend.backend() == 'tensorflow' else '{}'"
SURVIVORS = {
    f"module: {_BY_BACKEND.format('float32')}  ->  {_BY_BACKEND.format('float16')}": (
        "the choice for other backends; the tests on JAX notice it"
    ),
    "_margin_logit: if m1 == 1.0 and m2 == 0.0:  ->  if m2 == 1.0 and m2 == 0.0:": (
        "goes through the angle even without a margin on it: slower, but the same number"
    ),
    f"_sine: return {_SINE.format(2)}  ->  return {_SINE.format(3)}": (
        "any floor far below the sine of the last float32 before 1 does the same"
    ),
    "_is_cosine: valid = ops.abs(target) <= _LARGEST_COSINE  ->  "
    "valid = ops.abs(target) < _LARGEST_COSINE": "the limit itself is arbitrary",
    f"_pick: {_SHIFT.format('< 0')}  ->  {_SHIFT.format('<= 0')}": (
        "label 0 becomes -C, which counts from the end: class 0 again"
    ),
    f"_pick: {_SHIFT.format('< 0')}  ->  {_SHIFT.format('< 1')}": "the same",
    f"_inverse_length: {_FLOOR.format(2)}  ->  {_FLOOR.format(3)}": (
        "shorter vectors get 0 in the next line anyway; the floor only keeps out 1 / 0"
    ),
    f"_inverse_length: {_ZERO.format('<=')}  ->  {_ZERO.format('<')}": (
        "the limit itself is arbitrary"
    ),
}

# The cheapest first; most mutants fall to one of the first three.
LOSS_CHECKS = [
    checks.check_psi,
    partial(
        checks.check_values_and_gradients,
        names=("combined 1.5 .3 .1", "cosface 0.35", "sphereface 4"),
        scales=(1.0, 30.0, 128.0),
        batch=300,
    ),
    partial(
        checks.check_edges,
        names=("arcface 0.5", "cosface 0.35", "sphereface 4"),
        scales=(1.0, 128.0),
    ),
    checks.check_arguments,
    checks.check_defaults_and_configs,
    checks.check_softmax_cross_entropy,
    checks.check_labels,
    checks.check_wide_labels,
    checks.check_targets,
    checks.check_margin_logit,
    checks.check_reduction_and_weights,
    checks.check_graph_labels,
    checks.check_values_and_gradients,
    checks.check_edges,
    checks.check_poison,
]
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


def mutable(tree):
    """Places to change, with the function or class they are in: code, but no text of errors."""
    places = []

    def visit(node, inside, statement):
        if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            inside = f"{inside}.{node.name}".lstrip(".")
            node.decorator_list, decorators = [], node.decorator_list
        elif isinstance(node, ast.stmt):
            statement = node
        places.append((node, inside, statement))
        for child in ast.iter_child_nodes(node):
            visit(child, inside, statement)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.decorator_list = decorators

    for child in tree.body:
        visit(child, "", None)
    return places


def mutants(source, only=None):
    """Yield (description, module source as a tree) for every change to the source."""
    original = ast.parse(source.replace('"softmax_to_arcface"', '"mutant"'))
    seen = {}
    for number, (node, inside, _) in enumerate(mutable(original)):
        if only is not None and not inside.startswith(only):
            continue
        for field, value in changes(node):
            tree = copy.deepcopy(original)
            changed, _, its_statement = mutable(tree)[number]
            before = ast.unparse(its_statement or changed).splitlines()[0]
            setattr(changed, field, value)
            after = ast.unparse(its_statement or changed).splitlines()[0]
            if before == after:  # in a later line of a compound statement
                before, after = ast.unparse(node), ast.unparse(changed)
            description = f"{inside or 'module'}: {before}  ->  {after}"
            seen[description] = seen.get(description, 0) + 1
            if seen[description] > 1:
                description += f"  (number {seen[description]})"
            yield description, ast.fix_missing_locations(tree)


def killer(tree, its_checks):
    """The name of the first check that fails on the mutant, or None if it survives."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # what it says of code without a file
    module = types.ModuleType("mutant")
    try:
        exec(compile(tree, "mutant", "exec"), module.__dict__)
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


def jobs():
    """Every mutant with the checks that are to find it."""
    for path, its_checks, only in (
        ("lib/losses.py", LOSS_CHECKS, None),
        ("lib/layers.py", LAYER_CHECKS, ("_inverse_length", "_times_unit_columns")),
    ):
        source = (ROOT / path).read_text(encoding="utf-8")
        for name, tree in mutants(source, only):
            yield name, tree, its_checks


if __name__ == "__main__":
    started = time.perf_counter()
    results = {}
    for name, tree, its_checks in jobs():
        results[name] = killer(tree, its_checks)
        print(f"{results[name] or 'SURVIVES':32s} {name}", flush=True)
    survivors = {name for name, killed_by in results.items() if killed_by is None}
    seconds = time.perf_counter() - started
    print(f"{len(results)} mutants, {len(results) - len(survivors)} killed, {seconds:.0f} s")
    print("survive without a reason:", *sorted(survivors - set(SURVIVORS)), sep="\n  ")
    print("listed but killed or no longer made:", *sorted(set(SURVIVORS) - survivors), sep="\n  ")
    sys.exit(survivors != set(SURVIVORS))
