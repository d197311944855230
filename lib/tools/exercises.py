"""Copy the exercises of a notebook of solutions into its lesson, with the solutions cut out.

notebooks/solutions/NN_name.ipynb is where exercises are written. Its cells with the tag `exercise`
replace the run of cells with that tag in notebooks/NN_name.ipynb (or follow the lesson's cell with
the id `exercises`, the first time). In code, the lines from `# BEGIN SOLUTION` to `# END SOLUTION`
become `raise NotImplementedError("your turn")` inside a function, and `name = ...` for each name
that they assign elsewhere.
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
        Problem: if the markers do not pair up, or the code between or around them is not Python.
    """
    lines = source.split("\n")
    kept, begin = [], None
    for number, line in enumerate(lines):
        text = line.strip()
        if text == BEGIN:
            if begin is not None:
                raise Problem(f"line {number + 1}: a second `{BEGIN}` before `{END}`")
            begin = number
        elif text == END:
            if begin is None:
                raise Problem(f"line {number + 1}: `{END}` without `{BEGIN}`")
            kept += [line.replace(END, stub) for stub in _stub(lines, begin, number)]
            begin = None
        elif BEGIN in line or END in line:
            raise Problem(f"line {number + 1}: a marker has to stand on a line of its own")
        elif begin is None:
            kept.append(line)
    if begin is not None:
        raise Problem(f"line {begin + 1}: `{BEGIN}` without `{END}`")
    return "\n".join(kept)


def _stub(lines, begin, end):
    """The lines that stand for the solution between two marker lines (numbered from 0)."""
    marked = list(lines)
    for number in (begin, end):  # as statements, they show where in the code they stand
        marked[number] = re.sub("#.*", repr(BEGIN), lines[number])
    try:
        tree = ast.parse(python_of("\n".join(marked)))
    except SyntaxError as error:
        raise Problem(f"line {error.lineno}: not Python: {error.msg}") from None
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    inside = [ast.walk(node) for node in ast.walk(tree) if isinstance(node, functions)]
    if any(getattr(node, "value", None) == BEGIN for nodes in inside for node in nodes):
        return ['raise NotImplementedError("your turn")']
    _, bound = names_in(textwrap.dedent("\n".join(lines[begin + 1 : end])))
    return [f"{name} = ..." for name in bound] or ["...  # your turn"]


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

    A code cell whose id and source are the same keeps its outputs.

    Raises:
        Problem: if there is no place for them in the lesson, or `cut` finds something wrong.
    """
    places = [i for i, cell in enumerate(lesson.cells) if is_exercise(cell)]
    anchors = [i + 1 for i, cell in enumerate(lesson.cells) if cell.id == ANCHOR]
    if not places and not anchors:
        raise Problem(
            f"exercises: it has no cell with the id `{ANCHOR}` (nor a cell with the tag `{TAG}`) "
            "to put them behind"
        )
    start, stop = (places[0], places[-1] + 1) if places else (anchors[0], anchors[0])
    if len(places) != stop - start:
        raise Problem("exercises: they do not stand together: move each next to another")
    before = lesson.cells[start:stop]
    present = {cell.id: cell for cell in before}
    cells = [_known(cell, present.get(cell.id)) for cell in stubs(solution)]
    lesson.cells[start:stop] = cells
    return cells != before


def _known(cell, old):
    """The cell that the lesson has already, with its outputs, if it is still the same."""
    keys = ("cell_type", "metadata", "source")
    return old if old and all(old[key] == cell[key] for key in keys) else cell
