"""Copy the exercises of a notebook of solutions into its lesson, with the solutions cut out.

notebooks/solutions/NN_name.ipynb is where exercises are written. Its cells with the tag `exercise`
replace the run of cells with that tag in notebooks/NN_name.ipynb (or follow the lesson's cell with
the id `exercises`, the first time). In code, the lines from `# BEGIN SOLUTION` to `# END SOLUTION`
become `raise NotImplementedError("your turn")` inside a function, and `name = ...` for each name
that they assign elsewhere.
"""

import ast
import copy

from IPython.core.inputtransformer2 import TransformerManager

TAG = "exercise"
ANCHOR = "exercises"
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
# In a text, what is seen at first and what unfolds: a question and its answer.
UNFOLDING = r"<details>\s*<summary>(.*?)</summary>(.*?)</details>"


def is_exercise(cell):
    return TAG in cell.metadata.get("tags", [])


def python_of(source):
    """The Python that IPython makes of a cell: of magics calls, without prompts and indents."""
    return TransformerManager().transform_cell(source)


def cut(source):
    """The source of a code cell with each marked solution replaced by a stub.

    Raises:
        ValueError: if the markers do not pair up, or the code between or around them is not Python.
    """
    lines = source.split("\n")
    kept, begin = [], None
    for number, line in enumerate(lines):
        text = line.strip()
        if text == BEGIN:
            if begin is not None:
                raise ValueError(f"line {number + 1}: a second `{BEGIN}` before `{END}`")
            begin = number
        elif text == END:
            if begin is None:
                raise ValueError(f"line {number + 1}: `{END}` without `{BEGIN}`")
            indent = line[: len(line) - len(line.lstrip())]
            kept += [indent + stub for stub in _stub(lines, begin, number)]
            begin = None
        elif BEGIN in line or END in line:
            raise ValueError(f"line {number + 1}: a marker has to stand on a line of its own")
        elif begin is None:
            kept.append(line)
    if begin is not None:
        raise ValueError(f"line {begin + 1}: `{BEGIN}` without `{END}`")
    return "\n".join(kept)


def _stub(lines, begin, end):
    """The lines that stand for the solution between two marker lines (numbered from 0)."""
    code = [line if not line.lstrip().startswith(("%", "!")) else "" for line in lines]
    try:
        tree = ast.parse("\n".join(code))
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: not Python: {error.msg}") from None
    first, last = begin + 1, end + 1  # the markers, in the numbering of ast
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, functions) and node.lineno < first and last <= _end(node, lines):
            return ['raise NotImplementedError("your turn")']
    names = {}
    for node in _outside_functions(tree):
        if first < getattr(node, "lineno", 0) < last:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
            elif isinstance(node, (*functions, ast.ClassDef)):
                names[node.name] = None
    if not names:
        return ["...  # your turn"]
    return [f"{name} = ..." for name in names]


def _end(function, lines):
    """The last line of a function, comments that belong to its body included."""
    end = function.end_lineno
    while end < len(lines):
        text = lines[end]
        indent = len(text) - len(text.lstrip())
        if text.strip() and indent <= function.col_offset:
            break
        end += 1
    return end


def _outside_functions(node):
    """The nodes below `node` in the order of the source, those inside a scope of its own left out.

    A function or class itself is among them: its name is assigned where it stands.
    """
    scopes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    scopes += (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, scopes):
            yield from _outside_functions(child)


def stubs(solution):
    """The exercise cells of a notebook of solutions as the lesson has them, without outputs."""
    cells = []
    for cell in filter(is_exercise, solution.cells):
        cell = copy.deepcopy(cell)
        if cell.cell_type == "code":
            try:
                cell.source = cut(cell.source)
            except ValueError as error:
                raise ValueError(f"cell {cell.id}, {error}") from None
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
    return cells


def sync(lesson, solution):
    """Bring the exercise cells of a lesson in line with its solutions; return whether it changed.

    A code cell whose id and source are the same keeps its outputs.

    Raises:
        ValueError: if there is no place for them in the lesson, or `cut` finds something wrong.
    """
    wanted = stubs(solution)
    places = [i for i, cell in enumerate(lesson.cells) if is_exercise(cell)]
    if places:
        start, stop = places[0], places[-1] + 1
        if len(places) != stop - start:
            raise ValueError("its exercise cells do not stand together: move them next to another")
    else:
        anchors = [i for i, cell in enumerate(lesson.cells) if cell.id == ANCHOR]
        if not anchors:
            raise ValueError(
                f"it has no cell with the id `{ANCHOR}` (nor a cell with the tag `{TAG}`) to put "
                "the exercises behind"
            )
        start = stop = anchors[0] + 1
    present = {cell.id: cell for cell in lesson.cells[start:stop]}
    cells = []
    for cell in wanted:
        old = present.get(cell.id)
        unchanged = old is not None and _same(old, cell)
        cells.append(old if unchanged else cell)
    changed = [cell.id for cell in cells] != [cell.id for cell in lesson.cells[start:stop]]
    changed = changed or any(cell is not present[cell.id] for cell in cells)
    lesson.cells[start:stop] = cells
    return changed


def _same(one, other):
    kinds = one.cell_type == other.cell_type and one.metadata == other.metadata
    return kinds and one.source == other.source
