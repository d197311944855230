"""Copy the exercises of a notebook of solutions into its lesson, with the solutions cut out.

notebooks/solutions/NN_name.ipynb is where exercises are written. Its cells with the tag `exercise`
stand in notebooks/NN_name.ipynb behind the cell with the id `exercises`. In code, the lines from
`# BEGIN SOLUTION` to `# END SOLUTION` become `raise NotImplementedError("your turn")` inside a
function, and `name = ...` for each name that their first column assigns elsewhere.
"""

import ast
import copy
import re
import textwrap

from lib.files import Problem

TAG = "exercise"
ANCHOR = "exercises"
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
SOLUTION = re.compile(rf"^( *){BEGIN}\n(.*?)^ *{END}$", re.MULTILINE | re.DOTALL)
MARKER_LINE = re.compile(rf"^ *(?:{BEGIN}|{END})\n?", re.MULTILINE)
# In a text, what is seen at first and what unfolds: a question and its answer.
UNFOLDING = r"<details>\s*<summary>(.*?)</summary>(.*?)</details>"


def is_exercise(cell):
    return TAG in cell.metadata.get("tags", [])


# --- from solutions to exercises ------------------------------------------------------------------


def cut(source):
    """The source of a code cell with each marked solution replaced by a stub.

    Raises:
        Problem: if the markers do not pair up, or the code is not Python.
    """
    try:
        tree = ast.parse(source)
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
        names = re.findall(r"^([\w, ]+) = ", textwrap.dedent(found[2]), re.MULTILINE)
        lines = [f"{name} = ..." for name in re.findall(r"\w+", ", ".join(names))]
        lines = list(dict.fromkeys(lines)) or ["...  # your turn"]
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

    Raises:
        Problem: if there is no place for them in the lesson, or `cut` finds something wrong.
    """
    before = _without_outputs(lesson)
    rest = [cell for cell in lesson.cells if not is_exercise(cell)]
    place = next((i for i, cell in enumerate(rest, 1) if cell.id == ANCHOR), None)
    if place is None:
        raise Problem(f"exercises: it has no cell with the id `{ANCHOR}` to put them behind")
    lesson.cells = rest[:place] + stubs(solution) + rest[place:]
    return _without_outputs(lesson) != before


def _without_outputs(notebook):
    return [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in notebook.cells]
