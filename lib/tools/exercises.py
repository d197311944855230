"""Copy the exercises of a notebook of solutions into its lesson, with the solutions cut out.

notebooks/solutions/NN_name.ipynb is where exercises are written. Its cells with the tag `exercise`
stand in notebooks/NN_name.ipynb behind the cell with the id `exercises`. In code, the lines from
`# BEGIN SOLUTION` to `# END SOLUTION` become `raise NotImplementedError("your turn")` inside a
function, and `name = ...` for each name that they assign elsewhere.
"""

import ast
import copy
import dis
import re
import textwrap
import types

from lib.files import Problem

from IPython.core.inputtransformer2 import TransformerManager

TAG = "exercise"
ANCHOR = "exercises"
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
SOLUTION = re.compile(rf"^( *){BEGIN}\n(.*?)^ *{END}$", re.MULTILINE | re.DOTALL)
# In a text, what is seen at first and what unfolds: a question and its answer.
UNFOLDING = r"<details>\s*<summary>(.*?)</summary>(.*?)</details>"

# The instructions that look a global name up, or set it from within a function.
LOOKS_UP = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL")


def is_exercise(cell):
    return TAG in cell.metadata.get("tags", [])


# --- the code of a cell ---------------------------------------------------------------------------


def python_of(source):
    """The Python that IPython makes of a cell: of magics calls, without prompts and indents."""
    return TransformerManager().transform_cell(source)


def names_in(source):
    """The global names that a cell uses before it defines them, and those that it defines.

    They are the keys of two dictionaries, in their order; there are none where the cell is not
    Python. In a cell with magics, each word counts as used.
    """
    try:
        code = compile(python_of(source), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (SyntaxError, ValueError, RuntimeError, MemoryError):
        return {}, {}
    used, bound = _globals_of(code)
    if "get_ipython" in used:
        used |= dict.fromkeys(re.findall(r"\w+", source))
    return used, bound


def _globals_of(code):
    # From instructions and not from `symtable`: that of Python 3.13 counts the variables of a
    # comprehension.
    used, bound = {}, {}
    for step in dis.get_instructions(code):
        if step.opname == "STORE_NAME":
            bound[step.argval] = None
        elif step.opname in LOOKS_UP and step.argval not in bound:
            used[step.argval] = None
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            # By the time that a function is called, the cell has defined its names.
            known = bound if code.co_name == "<module>" else {}
            used |= {name: None for name in _globals_of(inner)[0] if name not in known}
    return used, bound


# --- from solutions to exercises ------------------------------------------------------------------


def cut(source):
    """The source of a code cell with each marked solution replaced by a stub.

    Raises:
        Problem: if the markers do not pair up, or the code is not Python.
    """
    try:
        tree = ast.parse(python_of(source))
    except SyntaxError as error:
        raise Problem(f"line {error.lineno}: not Python: {error.msg}") from None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    bodies = "".join(found[2] for found in SOLUTION.finditer(source))
    if any(marker in bodies + SOLUTION.sub("", source) for marker in (BEGIN, END)):
        raise Problem(f"`{BEGIN}` and `{END}` have to take turns, each on a line of its own")

    def stub(found):
        first = source.count("\n", 0, found.start()) + 2
        if any(function.lineno < first <= function.end_lineno for function in functions):
            return f'{found[1]}raise NotImplementedError("your turn")'
        _, bound = names_in(textwrap.dedent(found[2]))
        lines = [f"{name} = ..." for name in bound] or ["...  # your turn"]
        return textwrap.indent("\n".join(lines), found[1])

    return SOLUTION.sub(stub, source)


def stubs(solution):
    """The exercise cells of a notebook of solutions as the lesson has them, without outputs."""
    cells = copy.deepcopy([cell for cell in solution.cells if is_exercise(cell)])
    for cell in cells:
        if cell.cell_type == "code":
            try:
                cell.source = cut(cell.source)
            except Problem as problem:
                raise Problem(f"exercises: cell {cell.id}, {problem}") from None
            cell.outputs, cell.execution_count = [], None
    return cells


def sync(lesson, solution):
    """Bring the exercise cells of a lesson in line with its solutions; return whether it changed.

    A cell that is still the same keeps its outputs.

    Raises:
        Problem: if there is no place for them in the lesson, or `cut` finds something wrong.
    """
    before = lesson.cells
    rest = [cell for cell in before if not is_exercise(cell)]
    place = next((i for i, cell in enumerate(rest, 1) if cell.id == ANCHOR), None)
    if place is None:
        raise Problem(f"exercises: it has no cell with the id `{ANCHOR}` to put them behind")
    present = {cell.id: cell for cell in before}
    cells = [_known(cell, present.get(cell.id)) for cell in stubs(solution)]
    lesson.cells = rest[:place] + cells + rest[place:]
    return lesson.cells != before


def _known(cell, old):
    """The cell that the lesson has already, with its outputs, if it is still the same."""
    keys = ("cell_type", "metadata", "source")
    return old if old and all(old[key] == cell[key] for key in keys) else cell
