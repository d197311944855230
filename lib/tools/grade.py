"""Run the self-checks over a folder of handed-in notebooks and print who solved what.

    python -m lib.tools.grade FOLDER [--csv FILE] [--timeout SECONDS]

The folder may hold notebooks of several lessons, in any subfolders, under any names: a lesson is
recognised by its self-checks. Nothing is written into it.

For each notebook a Jupyter kernel runs the notebook of solutions with its exercise cells replaced
by the student's cells, in the student's order. Cells of the lesson itself, known by their id or
text, run only where they define a name that one of those uses. The self-checks are those of *this*
copy of the course, called where the student has them and again at the end: to pass once is to pass.
An exception ends its cell; what hangs or brings Python down is noted, and the notebook runs again
without it. Each kernel has a folder and a process group of its own, but that is no sandbox: answers
run with your rights.
"""

import argparse
import ast
import contextlib
import csv
import dis
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lib.files import Problem, write_atomically

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

from . import exercises, private_state

ROOT = Path(__file__).resolve().parents[2]

TIMEOUT = 60  # seconds for one cell of an answer or one self-check
START_TIMEOUT = 180  # seconds for the imports
MEMORY = 8 * 2**30  # bytes of address space for one notebook, where the system can limit it
MESSAGE = 160  # characters shown of what went wrong

PASSED, WRONG, NOT_STARTED, NOT_GRADED = "passed", "wrong", "not started", "not graded"
MARKS = {PASSED: "✓", WRONG: "✗", NOT_STARTED: "○"}
PLAIN_MARKS = {PASSED: "+", WRONG: "x", NOT_STARTED: "o"}  # where those cannot be printed

LOOKS_UP = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")  # instructions of Python

# `%pip install` in an answer must not change the environment of the one who grades.
ENVIRONMENT = {"COURSE_MODE": "lesson", "PIP_NO_INDEX": "1", "PIP_DRY_RUN": "1"}

# A kernel's first cell: it finds the course's lib, what an answer prints or draws is dropped for it
# may have no end, `exit()` ends its cell only, and an answer that wants all of the memory fails
# instead of the computer.
FIRST = """\
import os, sys
sys.path.insert(0, {root!r})
sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")
get_ipython().display_pub.publish = lambda *_, **__: None
get_ipython().ask_exit = sys.exit
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
    del resource
except (ImportError, ValueError, OSError):
    pass
del os, sys"""


# --- what the course asks, and what was handed in -------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """What a lesson asks: the title and the call of each self-check, by its function's name."""

    number: str
    titles: dict
    calls: dict
    setup: str  # what its solutions begin with
    own: frozenset  # ids and sources of its cells, exercises left out


def read_course():
    """The lessons that have solutions, by number."""
    lessons = {}
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        given = nbformat.read(path.parents[1] / path.name, 4)
        code = [cell.source for cell in read_code(path)]
        calls = {check_name(source): source for source in code if check_name(source)}
        checks = _checks(path.name[:2]).read_text(encoding="utf-8")
        titles = {name: title for title, name in re.findall(r'check\("(.*)"\)\ndef (\w+)', checks)}
        own = [cell for cell in given.cells if not exercises.is_exercise(cell)]
        known = {cell.id for cell in own} | {cell.source.strip() for cell in own}
        lessons[path.name[:2]] = Lesson(path.name[:2], titles, calls, code[0], frozenset(known))
    return lessons


def _checks(number):
    return ROOT / "lib" / "checks" / f"lesson_{number}.py"


def check_name(source):
    """The name of the self-check that a cell calls, or None if it calls none."""
    found = re.fullmatch(r"checks\.(\w+)\(.*\)", source.strip(), re.DOTALL)
    return found.group(1) if found else None


def notebooks_in(folder):
    """The notebooks below a folder, without hidden files and what JupyterLab keeps aside."""
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__")) for part in parts):
            yield path


def read_code(path):
    """The code cells of a handed-in notebook, of any version, valid or not: source and id.

    Raises:
        Problem: if the file cannot be read as a notebook.
    """
    try:
        cells = [read_cell(**cell) for cell in json.loads(path.read_bytes())["cells"]]
    except OSError as error:
        raise Problem(f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem("is damaged, or not a notebook") from None
    return [cell for cell in cells if cell.cell_type == "code"]


def read_cell(cell_type, source, id="", **_):
    text = "".join(source).encode(errors="replace").decode()  # half a character stops a kernel
    return nbformat.NotebookNode(cell_type=cell_type, source=text, id=id)


def recognise(cells, lessons):
    """The lesson that code cells belong to: whose self-checks they import, or call most.

    Raises:
        Problem: if they do neither.
    """
    code = "\n".join(cell.source for cell in cells)
    called = set(re.findall(r"\bchecks\.(\w+)\(", code))

    def likeness(lesson):
        imported = f"import lesson_{lesson.number} as checks" in code
        return imported, len(called & set(lesson.calls))

    best = max(lessons.values(), key=likeness)
    if not any(likeness(best)):
        raise Problem("is none of the lessons: no self-check of the course is in it")
    return best


# --- the notebook that is run ---------------------------------------------------------------------


def assemble(code, lesson):
    """The course's setup, the student's cells with those that they need, and the self-checks.

    The metadata say what a cell is: {"setup": true}, {"check": its name}, or nothing.
    """
    book = new_notebook()
    for source in (FIRST.format(root=str(ROOT), memory=MEMORY), lesson.setup):
        book.cells.append(new_code_cell(source, metadata={"setup": True}))
    needed = needed_cells(code, lesson)
    for place, cell in enumerate(code):
        name = check_name(cell.source)
        if name in lesson.calls:
            book.cells.append(_call(name, lesson))
        elif place in needed:
            book.cells.append(new_code_cell(cell.source))
    book.cells += [_call(name, lesson) for name in lesson.calls]
    return book


def _call(name, lesson):
    """A cell that calls a self-check as the file has it, whatever an answer did to `checks`."""
    read = f'__import__("runpy").run_path({str(_checks(lesson.number))!r})[{name!r}]'
    source = lesson.calls[name].strip().replace(f"checks.{name}", read, 1)
    return new_code_cell(source, metadata={"check": name})


def needed_cells(code, lesson):
    """The places of the cells to run: all of the student's, and the lesson's that those use."""
    _, given = names_of(lesson.setup)
    wanted = set().union(*(names_of(call)[0] for call in lesson.calls.values())) - given
    needed = set()
    for place, cell in reversed(list(enumerate(code))):
        used, bound = names_of(cell.source)
        students = cell.id not in lesson.own and cell.source.strip() not in lesson.own
        if students or bound & wanted:
            needed.add(place)
            wanted = (wanted - bound) | (used - given)
    return needed


def names_of(source):
    """The global names that a cell uses before it defines them, and those that it defines."""
    try:
        python = TransformerManager().transform_cell(source)  # of magics calls
        parts = [compile(python, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)]
    except (SyntaxError, ValueError, RuntimeError, MemoryError):
        return set(), set()
    used, bound = set(), set()
    for part in parts:  # the cell, then the functions and classes in it
        parts += [inner for inner in part.co_consts if isinstance(inner, types.CodeType)]
        for step in dis.get_instructions(part):
            if step.opname == "STORE_NAME" and part is parts[0]:
                bound.add(step.argval)
            elif step.opname in LOOKS_UP and step.argval not in bound:
                used.add(step.argval)
    if "get_ipython" in used:
        used.update(re.findall(r"\w+", source))  # the code may be an argument of a magic
    return used, bound


# --- running it -----------------------------------------------------------------------------------


class Row(NamedTuple):
    """The verdict on one exercise, or on a notebook that could not be graded."""

    notebook: str
    lesson: str
    exercise: str  # the title of its self-check
    state: str
    message: str


def grade(path, folder, lessons, timeout=TIMEOUT):
    """The rows of one notebook; whatever is wrong with it ends up in them."""
    name, number = plain(str(path.relative_to(folder))), ""
    try:
        code = read_code(path)
        lesson = recognise(code, lessons)
        number = lesson.number
        verdicts = run(assemble(code, lesson), lesson, timeout)
        return [Row(name, number, lesson.titles[n], *verdicts[n]) for n in lesson.calls]
    except Problem as problem:
        message = str(problem)
    except Exception as error:  # a notebook can be strange in ways that nobody has thought of
        message = f"cannot be graded: {type(error).__name__}: {error}"
    return [Row(name, number, "", NOT_GRADED, plain(message))]


def run(book, lesson, timeout):
    """The verdict of each self-check, by name; what hangs or ends Python is left out and noted."""
    while True:
        cell, reason = execute(book, timeout)
        reason = next(filter(None, map(_failed, book.cells[:2])), reason)
        if reason and (cell is None or "setup" in cell.metadata):
            raise Problem(f"could not be started: {reason}")
        if cell is None:
            return verdicts_of(book, lesson)
        check = cell.metadata.get("check")
        for other in book.cells:
            if other is cell or (check and other.metadata.get("check") == check):
                other.metadata.update(broken=reason, tags=["skip-execution"])


def execute(book, timeout):
    """Run a notebook in a fresh kernel.

    Returns the cell at which it stopped and why, or (None, "") if it came to the end.
    """
    current, process = book.cells[0], None

    def starts(cell, cell_index):
        nonlocal current, process
        current, process = cell, client.km.provisioner.process

    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        inside = Path(folder, "notebooks", "solutions")  # of a course that holds nothing else
        inside.mkdir(parents=True)
        client = NotebookClient(
            book,
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            startup_timeout=START_TIMEOUT,
            iopub_timeout=30,  # seconds for the results to arrive, on a machine with much to do
            timeout_func=lambda cell: START_TIMEOUT if "setup" in cell.metadata else timeout,
            on_cell_start=starts,
            resources={"metadata": {"path": str(inside)}},
        )
        client.log.setLevel(logging.CRITICAL)
        nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        try:
            client.execute(env=os.environ | ENVIRONMENT, **nowhere)
            return None, ""
        except CellTimeoutError:
            limit = START_TIMEOUT if "setup" in current.metadata else timeout
            return current, f"took more than {limit:g} seconds and was stopped"
        except DeadKernelError:
            return current, f"brought Python down (exit status {process.wait()})"
        finally:
            # The kernel has ended; this ends what it had started (Windows has no such groups).
            with contextlib.suppress(AttributeError, ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def verdicts_of(book, lesson):
    """The (state, message) of each self-check of an executed notebook, by name."""
    verdicts, complaint = {}, ""
    for cell in book.cells:
        name = cell.metadata.get("check")
        if name is None:
            failed = _failed(cell) and f"the cell stops with {_failed(cell)}"
            complaint = cell.metadata.get("broken") or failed or complaint
            continue
        state, message = _verdict(cell, lesson.titles[name], complaint)
        if state == PASSED or verdicts.get(name, [NOT_STARTED])[0] == NOT_STARTED:
            verdicts[name] = state, plain(message)
        complaint = ""
    return verdicts


def _verdict(cell, title, complaint):
    """What a self-check says; `complaint` is why a cell before it stopped."""
    if "broken" in cell.metadata:
        return WRONG, cell.metadata.broken
    failed = _failed(cell)
    if failed.startswith("NameError"):
        return WRONG, complaint or f"{failed[11:]}: its cell is missing, or is not Python"
    if failed:  # what no self-check catches, such as SystemExit
        return WRONG, f"your code stopped with {failed}"
    shown = "".join(output.data["text/plain"] for output in cell.outputs[-1:])
    state = next((state for state, mark in MARKS.items() if shown.startswith(mark)), WRONG)
    return state, shown.partition(f"{title}: ")[2] or "its self-check showed nothing"


def _failed(cell):
    """The exception that ended a cell, or an empty text."""
    errors = [output for output in cell.outputs if output.output_type == "error"]
    return ": ".join([errors[0].ename, *filter(None, [errors[0].evalue[:1000]])]) if errors else ""


def plain(text):
    """A message on one line, without control characters, and not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"


# --- the table ------------------------------------------------------------------------------------


def show(rows):
    """Print a table for each lesson, and a hint for each wrong answer."""
    marks = printable_marks()
    graded = [row for row in rows if row.exercise]
    width = max([len("notebook"), *(len(row.notebook) for row in graded)])
    for lesson in sorted({row.lesson for row in graded}):
        of_lesson = [row for row in graded if row.lesson == lesson]
        numbers = list(dict.fromkeys(row.exercise.split()[0] for row in of_lesson))
        print(f"\nLesson {int(lesson)}\n{'notebook':<{width}}  {'  '.join(numbers)}  solved")
        for start in range(0, len(of_lesson), len(numbers)):
            own = of_lesson[start : start + len(numbers)]
            shown = [f"{marks[row.state]:^{len(n)}}" for row, n in zip(own, numbers, strict=True)]
            solved = sum(row.state == PASSED for row in own)
            print(f"{own[0].notebook:<{width}}  {'  '.join(shown)}  {solved} of {len(own)}")
    print()
    for row in rows:
        if row.state in (WRONG, NOT_GRADED):
            print(f"{', '.join([row.notebook, *row.exercise.split()[:1]])}: {row.message}")
    print("\n" + "   ".join(f"{mark} {state}" for state, mark in marks.items()))


def printable_marks():
    """The marks, or plain ones where the screen lacks them; `?` stands for other letters there."""
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding)
        return MARKS
    except UnicodeEncodeError:
        sys.stdout.reconfigure(errors="replace")
        return PLAIN_MARKS


def csv_text(rows):
    """One line for each notebook and exercise, for a spreadsheet."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows([Row._fields, *rows])
    return "\ufeff" + file.getvalue()  # by that mark Excel knows UTF-8


def checked(folder, target):
    """The folder with the notebooks and the file for the table, None for none, as paths.

    Raises:
        Problem: if one of them will not do.
    """
    where = Path(folder).expanduser().resolve()
    if not folder or not where.is_dir():
        raise Problem("Name the folder with the notebooks: make grade DIR=folder")
    if not any(notebooks_in(where)):
        raise Problem(f"There is no notebook in {where}.")
    if not target:
        return where, None
    target = Path(target).expanduser().resolve()
    if where in target.parents:
        raise Problem("The table must not go into the folder with the notebooks: CSV=…")
    # Now, and not when all is graded, it shows whether that file can be written.
    store(target, target.read_bytes() if target.is_file() else "")
    return where, target


def store(target, content):
    """Write the table."""
    try:
        write_atomically(target, content)
    except OSError as error:
        raise Problem(
            f"Cannot write {target}: {error.strerror}. Name another file: CSV=…"
        ) from None


def grade_all(paths, folder, lessons, timeout):
    """The rows of all notebooks; on Ctrl-C, of those that are graded by then."""
    rows, done = [], 0
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        try:
            for own in pool.map(lambda path: grade(path, folder, lessons, timeout), paths):
                rows += own
                done += 1
                if sys.stdout.isatty():
                    print(f"\r\033[K{done} of {len(paths)} graded", end="", flush=True)
        except KeyboardInterrupt:
            print(f"\nStopping, {done} of {len(paths)} are graded", file=sys.stderr)
    return rows


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Grade a folder of handed-in notebooks.")
    parser.add_argument("folder", nargs="?", default="", help="where the notebooks are")
    parser.add_argument("--csv", default="", help="also write the results to this file")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for one cell")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", SyntaxWarning)  # what Python finds odd in an answer
    try:
        folder, target = checked(options.folder, options.csv)
        private_state.use()
        lessons = read_course()
        rows = grade_all(list(notebooks_in(folder)), folder, lessons, options.timeout)
        if target:
            store(target, csv_text(rows))
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    show(rows)
    if target:
        print(f"Written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
