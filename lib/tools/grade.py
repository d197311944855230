"""Run the self-checks over a folder of handed-in notebooks and print who solved what.

    python -m lib.tools.grade FOLDER [--csv FILE] [--timeout SECONDS] [--jobs N]

The folder may hold notebooks of several lessons, in any subfolders, under any names: a lesson is
recognised by its self-checks. Nothing is written into it.

For each notebook a Jupyter kernel runs the notebook of solutions with its exercise cells replaced
by the student's cells, in the student's order. Cells of the lesson itself, known by their id or
text, run only where an answer uses a name that they define, and scratch cells where they share a
name with an answer. The self-checks are those of *this* copy of the course, called where the
student has them and again at the end: to pass once is to pass. An exception ends its cell; what
hangs or brings Python down is noted, and the notebook runs again without it. Each kernel has a
folder and a process group of its own, but that is no sandbox: answers run with your rights.
"""

import argparse
import builtins
import contextlib
import csv
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lib.files import Problem, write_atomically

import nbformat
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

# `%pip install` in an answer must not change the environment of the one who grades.
ENVIRONMENT = {"COURSE_MODE": "lesson", "PIP_NO_INDEX": "1", "PIP_DRY_RUN": "1"}

# A kernel's first cell: it finds the course's lib, an answer that wants all of the memory fails
# instead of the computer, and `exit()` ends its cell only.
FIRST = """\
import sys
sys.path.insert(0, {root!r})
get_ipython().ask_exit = sys.exit
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
    del resource
except (ImportError, ValueError, OSError):
    pass
del sys"""


# --- what the course asks, and what was handed in -------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """What a lesson asks: the title and the call of each self-check, by its function's name."""

    number: str
    titles: dict
    calls: dict
    setup: str  # what its solutions begin with
    own: frozenset  # ids and sources of its code cells, exercises left out


def read_course():
    """The lessons that have solutions, by number."""
    lessons = {}
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        given = nbformat.read(path.parents[1] / path.name, 4)
        code = [cell.source for cell in code_of(nbformat.read(path, 4).cells)]
        calls = {check_name(source): source for source in code if check_name(source)}
        checks = _checks(path.name[:2]).read_text(encoding="utf-8")
        titles = {name: title for title, name in re.findall(r'check\("(.*)"\)\ndef (\w+)', checks)}
        own = [cell for cell in code_of(given.cells) if not exercises.is_exercise(cell)]
        known = {cell.id for cell in own} | {cell.source.strip() for cell in own}
        lessons[path.name[:2]] = Lesson(path.name[:2], titles, calls, code[0], frozenset(known))
    return lessons


def _checks(number):
    return ROOT / "lib" / "checks" / f"lesson_{number}.py"


def check_name(source):
    """The name of the self-check that a cell calls, or None if it calls none."""
    found = re.fullmatch(r"checks\.(\w+)\(.*\)", source.strip(), re.DOTALL)
    return found.group(1) if found else None


def code_of(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def notebooks_in(folder):
    """The notebooks below a folder, without hidden files and what JupyterLab keeps aside."""
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__")) for part in parts):
            yield path


def read_cells(path):
    """The cells of a handed-in notebook, of any version, valid or not: type, source and id.

    Raises:
        Problem: if the file cannot be read as a notebook.
    """
    try:
        return [read_cell(**cell) for cell in json.loads(path.read_bytes())["cells"]]
    except OSError as error:
        raise Problem(f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem("is damaged, or not a notebook") from None


def read_cell(cell_type, source, id="", **_):
    text = "".join(source).encode(errors="replace").decode()  # half a character stops a kernel
    return nbformat.NotebookNode(cell_type=cell_type, source=text, id=id)


def recognise(cells, lessons):
    """The lesson that handed-in cells belong to: most of its self-checks, or else its title.

    Raises:
        Problem: if they have neither.
    """
    present = {check_name(cell.source) for cell in code_of(cells)}
    heading = next((cell.source for cell in cells if cell.cell_type == "markdown"), "")
    titled = re.match(r"# (\d+) ·", heading)

    def likeness(lesson):
        same_title = titled is not None and int(titled[1]) == int(lesson.number)
        return len(present & set(lesson.calls)), same_title

    best = max(lessons.values(), key=likeness)
    if likeness(best) == (0, False):
        raise Problem("is none of the lessons: no self-check of the course is in it")
    return best


# --- the notebook that is run ---------------------------------------------------------------------


def assemble(cells, lesson):
    """The course's setup, what is needed of the student's cells, and the self-checks.

    The metadata say what a cell is: {"setup": true}, {"answer": true} or {"check": its name}.
    """
    code = code_of(cells)
    needed = needed_cells(code, lesson)
    last_call = {check_name(cell.source): place for place, cell in enumerate(code)}
    book = new_notebook()
    for source in (FIRST.format(root=str(ROOT), memory=MEMORY), lesson.setup):
        book.cells.append(new_code_cell(source, metadata={"setup": True}))
    for place, cell in enumerate(code):
        if place in needed:
            book.cells.append(new_code_cell(cell.source, metadata={"answer": True}))
        book.cells += [_call(name, lesson) for name in lesson.calls if last_call.get(name) == place]
    book.cells += [_call(name, lesson) for name in lesson.calls]
    return book


def _call(name, lesson):
    """A cell that calls a self-check as the file has it, whatever an answer did to `checks`."""
    read = f'__import__("runpy").run_path({str(_checks(lesson.number))!r})[{name!r}]'
    source = lesson.calls[name].strip().replace(f"checks.{name}", read, 1)
    return new_code_cell(source, metadata={"check": name})


def needed_cells(code, lesson):
    """The places of the cells to run: the student's that answers hang on, the lesson's they use."""
    given = names_of(lesson.setup)[1] | set(dir(builtins)) | {"display", "get_ipython"}
    wanted = set().union(*(names_of(call)[0] for call in lesson.calls.values())) - given
    found = [names_of(cell.source) for cell in code]
    places = [p for p, cell in enumerate(code) if check_name(cell.source) not in lesson.calls]
    lessons = {p for p in places if {code[p].id, code[p].source.strip()} & lesson.own}
    needed, linked, before = set(), set(wanted), None
    while before != needed:
        before = set(needed)
        for place in set(places) - lessons - needed:
            own = set().union(*found[place]) - given
            # A cell without names may do anything, such as set an option; `_` is any cell's.
            if not own or own & linked or "_" in linked:
                needed.add(place)
                linked |= own
    for place in reversed(places):
        used, bound = found[place]
        if place in needed or (place in lessons and bound & wanted):
            needed.add(place)
            wanted = (wanted - bound) | (used - given)
    return needed


def names_of(source):
    """The names that a cell uses and defines; the results of other cells, such as `_3`, are `_`."""
    used, bound = exercises.names_in(source)
    return {"_" if re.fullmatch(r"_+\d*|Out", name) else name for name in used}, set(bound)


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
        cells = read_cells(path)
        lesson = recognise(cells, lessons)
        number = lesson.number
        verdicts = run(assemble(cells, lesson), lesson, timeout)
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
        for setup in book.cells[:2]:
            if _failed(setup):
                cell, reason = setup, _failed(setup)
        if cell is None:
            return verdicts_of(book, lesson)
        if "setup" in cell.metadata:
            raise Problem(f"could not be started: {reason}")
        check = cell.metadata.get("check")
        for other in book.cells:
            if other is cell or (check and other.metadata.get("check") == check):
                other.metadata.update(broken=reason, tags=["skip-execution"])


class _Client(NotebookClient):
    """Keeps the results of cells only: what an answer prints may have no end."""

    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] == "execute_result":
            super().output(outs, msg, display_id, cell_index)


def execute(book, timeout):
    """Run a notebook in a fresh kernel, and keep its reply to each cell in the cell's metadata.

    Returns the cell at which it stopped and why, or (None, "") if it came to the end.
    """
    current, process = book.cells[0], None

    def starts(cell, cell_index):
        nonlocal current, process
        current, process = cell, client.km.provisioner.process

    def executed(cell, cell_index, execute_reply):
        cell.metadata.reply = execute_reply["content"]

    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        inside = Path(folder, "notebooks", "solutions")  # of a course that holds nothing else
        inside.mkdir(parents=True)
        client = _Client(
            book,
            kernel_name="python3",
            allow_errors=True,
            shutdown_kernel="immediate",
            startup_timeout=START_TIMEOUT,
            iopub_timeout=30,  # seconds for the results to arrive, on a machine with much to do
            timeout_func=lambda cell: START_TIMEOUT if "setup" in cell.metadata else timeout,
            on_cell_start=starts,
            on_cell_executed=executed,
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
            status = process.wait()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            return current, f"brought Python down ({how})"
        finally:
            # The kernel has ended; this ends what it had started (Windows has no such groups).
            with contextlib.suppress(AttributeError, ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)


def verdicts_of(book, lesson):
    """The (state, message) of each self-check of an executed notebook, by name."""
    verdicts, complaints, complaint = {}, {}, ""
    for cell in book.cells:
        name = cell.metadata.get("check")
        if name is None:
            failed = _failed(cell) and f"the cell stops with {_failed(cell)}"
            complaint = cell.metadata.get("broken") or failed or complaint
            continue
        if name not in complaints:
            complaints[name], complaint = complaint, ""
        if verdicts.get(name, [None])[0] != PASSED:
            state, message = _verdict(cell, lesson.titles[name], complaints[name])
            verdicts[name] = state, plain(message)
    return verdicts


def _verdict(cell, title, complaint):
    """What a self-check says; `complaint` is why a cell before it stopped."""
    if "broken" in cell.metadata:
        return WRONG, cell.metadata.broken
    if cell.metadata.reply.get("ename") == "NameError":
        missing = f"{cell.metadata.reply['evalue']}: its cell is missing, or is not Python"
        return WRONG, complaint or missing
    if _failed(cell):  # what no self-check catches, such as SystemExit
        return WRONG, f"your code stopped with {_failed(cell)}"
    shown = "".join(output.data["text/plain"] for output in cell.outputs[-1:])
    state = next((state for state, mark in MARKS.items() if shown.startswith(mark)), WRONG)
    # What could not be read as Python changed nothing: then the hint says more.
    if state != PASSED and complaint and not re.search("(Syntax|Indentation|Tab)Error", complaint):
        return WRONG, complaint
    return state, shown.partition(f"{title}: ")[2] or "its self-check showed nothing"


def _failed(cell):
    """The exception that ended a cell, or an empty text."""
    reply = cell.metadata.get("reply", {"status": "ok"})
    if reply["status"] == "ok":
        return ""
    return f"{reply['ename']}: {reply['evalue'][:1000]}" if reply["evalue"] else reply["ename"]


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
    store(target)
    return where, target


def store(target, content=None):
    """Write the table, or without one what is in its place already."""
    try:
        before = target.read_bytes() if content is None and target.is_file() else ""
        write_atomically(target, before if content is None else content)
    except OSError as error:
        raise Problem(
            f"Cannot write {target}: {error.strerror}. Name another file: CSV=…"
        ) from None


def grade_all(paths, folder, lessons, options):
    """The rows of all notebooks; on Ctrl-C, of those that are graded by then."""
    rows, done = [], 0
    with ThreadPoolExecutor(options.jobs or max(1, (os.cpu_count() or 2) // 2)) as pool:
        try:
            for own in pool.map(lambda path: grade(path, folder, lessons, options.timeout), paths):
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
    parser.add_argument("--jobs", type=int, help="notebooks at a time (default: half the cores)")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", SyntaxWarning)  # what Python finds odd in an answer
    try:
        folder, target = checked(options.folder, options.csv)
        private_state.use()
        lessons = read_course()
        rows = grade_all(list(notebooks_in(folder)), folder, lessons, options)
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
