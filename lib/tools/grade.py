"""Run the self-checks over a folder of handed-in notebooks and print who solved what.

    python -m lib.tools.grade FOLDER [--csv FILE] [--timeout SECONDS] [--jobs N]

The folder may hold notebooks of several lessons, in any subfolders, under any names: a lesson is
recognised by its self-checks. Nothing is written into it.

What runs is the students' answers, and of the cells before them those that they need, against the
self-checks and the library of *this* copy of the course. Each notebook gets a process, a folder of
its own and a time limit for every answer, so that one that hangs, crashes or floods the screen
costs nobody else anything. That is no sandbox: the answers run with your rights, as they would if
you opened the notebooks.
"""

import argparse
import ast
import builtins
import contextlib
import csv
import dis
import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "notebooks"
SOLUTIONS = LESSONS / "solutions"
CHECKS = ROOT / "lib" / "checks"

TIMEOUT = 60  # seconds for one answer or one self-check
START_TIMEOUT = 180  # seconds for the imports
MEMORY = 8 * 2**30  # bytes of address space for one notebook, where the system can limit it
LARGEST = 50e6  # bytes of a file that is still read
MESSAGE = 160  # characters shown of what went wrong

PASSED, WRONG, NOT_STARTED = "passed", "wrong", "not started"
MARKS = {PASSED: "✓", WRONG: "✗", NOT_STARTED: "○"}


class Problem(Exception):
    """What stops the grading of a notebook, or of all; the text says what to do."""


# --- what the course asks -------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One self-check: its function, its call as the lesson has it, its title."""

    name: str
    call: str
    title: str

    @property
    def number(self):
        return self.title.split()[0]


@dataclass(frozen=True)
class Lesson:
    """The exercises of a lesson: its self-checks, and the code that its solutions begin with."""

    number: str
    checks: tuple
    setup: str


def check_name(source):
    """The name of the self-check that a cell calls, or None if it calls none."""
    found = re.fullmatch(r"checks\.(\w+)\(.*\)", source.strip(), re.DOTALL)
    return found.group(1) if found else None


def read_course():
    """The lessons that have solutions, by number."""
    lessons = {}
    for path in sorted(SOLUTIONS.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = [source_of(cell) for cell in cells if cell["cell_type"] == "code"]
        titles = check_titles(CHECKS / f"lesson_{path.name[:2]}.py")
        calls = {check_name(source): source for source in code if check_name(source)}
        checks = [Check(name, call, titles[name]) for name, call in calls.items()]
        lessons[path.name[:2]] = Lesson(path.name[:2], tuple(checks), python_of(code[0]))
    return lessons


def check_titles(path):
    """The title of each self-check in a module, without importing it."""
    titles = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for decorator in getattr(node, "decorator_list", []):
            if isinstance(decorator, ast.Call) and decorator.func.id == "self_check":
                titles[node.name] = decorator.args[0].value
    return titles


# --- what was handed in ---------------------------------------------------------------------------


def source_of(cell):
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def python_of(source):
    """The source of a code cell; where it is not Python, without the lines meant for IPython."""
    if _statements(source):
        return source
    kept = ("" if line.lstrip()[:1] in ("%", "!") else line for line in source.split("\n"))
    return "\n".join(kept)


def notebooks_in(folder):
    """The notebooks below a folder, without hidden files and what JupyterLab keeps aside."""
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__")) for part in parts):
            yield path


def read_cells(path):
    """The (type, source) of each cell of a handed-in notebook.

    Raises:
        Problem: if the file cannot be read as a notebook.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise Problem(f"the file has {path.stat().st_size / 1e6:.0f} MB: clear its outputs")
        cells = json.loads(path.read_bytes())["cells"]
        return [(cell["cell_type"], source_of(cell)) for cell in cells]
    except OSError as error:
        raise Problem(f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem("is damaged, or not a notebook") from None


def recognise(cells, lessons):
    """The lesson that handed-in cells belong to: most of its self-checks, or else its title.

    Raises:
        Problem: if they have neither.
    """
    present = {check_name(source) for kind, source in cells if kind == "code"}
    heading = next((source for kind, source in cells if kind == "markdown"), "")
    titled = re.match(r"# (\d+) ·", heading)

    def likeness(lesson):
        shared = len(present & {check.name for check in lesson.checks})
        return shared, bool(titled) and int(titled.group(1)) == int(lesson.number)

    best = max(lessons.values(), key=likeness)
    if likeness(best) == (0, False):
        raise Problem("is none of the lessons: no self-check of the course is in it")
    return best


def steps_of(cells, lesson):
    """What to run of a handed-in notebook, in its order: ("run", code) or ("check", name).

    First the course's own setup. Then, of the student's cells, only those that a self-check needs:
    the last before it that defines what it is called with, the last before that one that defines
    what it uses, and so on. The self-checks are the course's.
    """
    code = [python_of(source) for kind, source in cells if kind == "code"]
    provided = bound_names(lesson.setup) | set(dir(builtins)) | {"display"}
    needed, places = set(), {}
    for check in lesson.checks:
        calls = [i for i, source in enumerate(code) if check_name(source) == check.name]
        place = calls[-1] if calls else len(code)
        wanted = used_names(check.call) - provided
        if not wanted <= set().union(*map(bound_names, code[:place])):
            place = len(code)  # the answer stands below its self-check
        places.setdefault(place, []).append(("check", check.name))
        needed |= _slice(code[:place], wanted, provided)
    steps = [("run", lesson.setup)]
    for number in range(len(code) + 1):
        steps += [("run", code[number])] if number in needed else []
        steps += places.get(number, [])
    return steps


def _slice(code, wanted, provided):
    """The numbers of the cells that define the wanted names, and of those which they need."""
    needed = set()
    for number in reversed(range(len(code))):
        bound = bound_names(code[number])
        if bound & wanted:
            needed.add(number)
            wanted = (wanted - bound) | (used_names(code[number]) - provided)
    return needed


# From instructions and not from `symtable`: that of Python 3.13 counts a comprehension's variable.


def used_names(source):
    """The global names that code reads before it defines them; empty where it is not Python."""
    used, bound = set(), set()
    for code in _statements(source):
        used |= _global_reads(code) - bound
        bound |= _stored(code)
    return used


def bound_names(source):
    """The global names that code defines; empty where it is not Python."""
    return set().union(*map(_stored, _statements(source)))


def _global_reads(code):
    """The global names that code looks up, functions and classes inside it included."""
    looks_up = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
    reads = {i.argval for i in dis.get_instructions(code) if i.opname in looks_up}
    if code.co_name != "<module>":
        reads -= _stored(code)  # the attributes of a class
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return reads.union(*map(_global_reads, inner))


def _stored(code):
    return {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"}


def _statements(source):
    """The compiled statements of a cell, each alone: what follows a `raise` counts, too."""
    try:
        return [
            compile(ast.unparse(statement), "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            for statement in ast.parse(source).body
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


# --- running it -----------------------------------------------------------------------------------


@dataclass
class Row:
    """The outcome of one notebook: a (state, message) for each self-check, or what is wrong."""

    file: str
    lesson: str = ""
    verdicts: dict = field(default_factory=dict)
    problem: str = ""

    @property
    def passed(self):
        return sum(state == PASSED for state, _ in self.verdicts.values())


def grade(path, folder, lessons, timeout=TIMEOUT):
    """Grade one notebook; whatever is wrong with it ends up in its row."""
    row = Row(plain(str(path.relative_to(folder))))
    try:
        cells = read_cells(path)
        lesson = recognise(cells, lessons)
        row.lesson = lesson.number
        row.verdicts = run(steps_of(cells, lesson), lesson, timeout)
    except Problem as problem:
        row.problem = str(problem)
    except Exception as error:  # a notebook can be strange in ways that nobody has thought of
        row.problem = plain(f"cannot be graded: {described(error)}")
    return row


def run(steps, lesson, timeout):
    """The verdict of each self-check, by name.

    A step that hangs or brings Python down is noted as the answer's fault, and the rest runs again
    without it.
    """
    broken, verdicts = {}, {}
    plan = {"root": str(ROOT), "lesson": lesson.number, "steps": steps, "broken": broken}
    plan["calls"] = {check.name: check.call for check in lesson.checks}
    while True:
        stopped_at, reason = _attempt(plan, verdicts, timeout)
        if stopped_at is None:
            return verdicts
        if stopped_at < 0:
            raise Problem(f"could not be started: {reason}")
        broken[stopped_at] = reason
        kind, name = steps[stopped_at]
        if kind == "check":
            verdicts[name] = (WRONG, reason)


def _attempt(plan, verdicts, timeout):
    """Run the steps in a process of their own; return the step it stopped at, if any, and why.

    Step −1 is the start, before the first answer.
    """
    with tempfile.TemporaryDirectory(prefix="grade-", ignore_cleanup_errors=True) as folder:
        plan_file = Path(folder, "plan.json")
        plan_file.write_text(json.dumps(plan), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, __file__, "--worker", str(plan_file)],
            cwd=folder,
            env=os.environ | {"COURSE_MODE": "lesson", "MPLBACKEND": "agg"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        events = queue.Queue()
        threading.Thread(target=_listen, args=(process, events), daemon=True).start()
        try:
            return _follow(process, events, verdicts, timeout)
        finally:
            _stop(process)


def _listen(process, events):
    for line in process.stdout:
        events.put(line)
    events.put(None)


def _follow(process, events, verdicts, timeout):
    step = -1
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            line = events.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            limit = START_TIMEOUT if step < 0 else timeout
            return step, f"took more than {limit:g} seconds and was stopped"
        if line is None:
            status = process.wait()
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            return step, f"brought Python down ({how})"
        try:
            event = json.loads(line)
        except ValueError:
            return step, "wrote into what only the grading writes to"
        if event["event"] == "end":
            return None, ""
        if event["event"] == "step":
            step, deadline = event["number"], time.monotonic() + timeout
        else:
            verdicts[event["name"]] = (event["state"], plain(event["message"]))


def _stop(process):
    """End a process and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    process.stdout.close()


def plain(text):
    """A message on one line, without control characters, and not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MESSAGE else text[: MESSAGE - 1] + "…"


# --- the process of one notebook ------------------------------------------------------------------


def work(plan_file):
    """Run the steps of a plan and report each verdict, a line of JSON, to what was stdout."""
    plan = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    report = _keep_stdout_to_ourselves()
    _limit_memory()
    sys.path[0] = plan["root"]  # the course's lib, whatever else is called so

    import importlib
    from types import SimpleNamespace

    from IPython.display import display

    module = importlib.import_module(f"lib.checks.lesson_{plan['lesson']}")
    checks = SimpleNamespace(**{name: getattr(module, name) for name in plan["calls"]})
    scope, complaint = {"__name__": "__main__", "display": display}, ""
    for number, (kind, text) in enumerate(plan["steps"]):
        broken = plan["broken"].get(str(number))
        if kind == "run":
            if not broken:
                report(event="step", number=number)
            complaint = broken or _execute(text, scope) or complaint
        elif broken:
            complaint = ""
        else:
            report(event="step", number=number)
            state, message = _judge(plan["calls"][text], scope | {"checks": checks}, complaint)
            report(event="verdict", name=text, state=state, message=message)
            complaint = ""
    report(event="end")
    os._exit(0)  # without waiting for threads that an answer may have left


def _keep_stdout_to_ourselves():
    """Send everything that is printed nowhere; return the function that still gets through."""
    channel = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)

    def report(**event):
        os.write(channel, (json.dumps(event) + "\n").encode())

    return report


def _limit_memory():
    """Make an answer that wants all of the memory fail, instead of the whole computer."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _execute(source, scope):
    """Run a cell; return why it stopped, or an empty text."""
    try:
        exec(compile(source, "answer", "exec"), scope)
    except BaseException as error:  # a student's SystemExit, too, ends the cell and not the grading
        return f"the cell stops with {described(error)}"
    return ""


def described(error):
    return f"{type(error).__name__}: {str(error)[:1000]}" if str(error) else type(error).__name__


def _judge(call, scope, complaint):
    """The state and message of a self-check; `complaint` is why a cell before it stopped."""
    try:
        verdict = eval(call, scope)
    except NameError as error:
        return WRONG, complaint or f"{error}: its cell is missing, or is not Python"
    except BaseException as error:  # an answer that ends Python, where it is called
        return WRONG, f"your code stopped with {described(error)}"
    if verdict.state != PASSED and complaint:
        return WRONG, complaint
    return verdict.state, verdict.message


# --- the table ------------------------------------------------------------------------------------


def table(rows, lesson):
    """The lines of one lesson's table, and below it a hint for each wrong answer."""
    width = max(len("notebook"), *(len(row.file) for row in rows))
    numbers = [check.number for check in lesson.checks]
    yield f"{'notebook':<{width}}  {'  '.join(numbers)}  solved"
    for row in rows:
        cells = [MARKS[row.verdicts[c.name][0]] if row.verdicts else "–" for c in lesson.checks]
        marks = "  ".join(f"{m:^{len(n)}}" for m, n in zip(cells, numbers, strict=True))
        yield f"{row.file:<{width}}  {marks}  {row.passed} of {len(numbers)}"
    for row in rows:
        if row.problem:
            yield f"  {row.file}: {row.problem}"
        for check in lesson.checks:
            state, message = row.verdicts.get(check.name, ("", ""))
            if state == WRONG:
                yield f"  {row.file}, {check.number}: {message}"


def show(rows, lessons):
    for number, lesson in lessons.items():
        own = [row for row in rows if row.lesson == number]
        if own:
            print(f"\nLesson {int(number)}")
            print("\n".join(table(own, lesson)))
    unknown = [row for row in rows if not row.lesson]
    if unknown:
        print("\nNot graded")
        for row in unknown:
            print(f"  {row.file}: {row.problem}")
    print("\n✓ passed   ✗ wrong   ○ not started")


def write_csv(path, rows, lessons):
    """One line for each notebook and exercise, for a spreadsheet."""
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("notebook", "lesson", "exercise", "state", "message"))
        for row in rows:
            if not row.verdicts:
                writer.writerow((row.file, row.lesson, "", "not graded", row.problem))
            for check in lessons[row.lesson].checks if row.verdicts else ():
                writer.writerow((row.file, row.lesson, check.title, *row.verdicts[check.name]))


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Grade a folder of handed-in notebooks.")
    parser.add_argument("folder", nargs="?", default="", help="where the notebooks are")
    parser.add_argument("--csv", default="", help="also write the results to this file")
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds for one answer")
    parser.add_argument("--jobs", type=int, help="notebooks at a time (default: half the cores)")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        return work(options.worker)

    import private_state

    folder = Path(options.folder).expanduser().resolve()
    if not options.folder or not folder.is_dir():
        print("Name the folder with the notebooks: make grade DIR=folder", file=sys.stderr)
        return 1
    target = Path(options.csv).expanduser().resolve() if options.csv else None
    if target and folder in target.parents:
        print("The table must not go into the folder with the notebooks: CSV=…", file=sys.stderr)
        return 1
    paths = list(notebooks_in(folder))
    if not paths:
        print(f"There is no notebook in {folder}.", file=sys.stderr)
        return 1
    private_state.use()
    lessons = read_course()
    jobs = options.jobs or max(1, (os.cpu_count() or 2) // 2)
    rows = []
    with ThreadPoolExecutor(jobs) as pool:
        for row in pool.map(lambda path: grade(path, folder, lessons, options.timeout), paths):
            rows.append(row)
            if sys.stdout.isatty():
                print(f"\r\033[K{len(rows)} of {len(paths)} graded", end="", flush=True)
    show(rows, lessons)
    if target:
        write_csv(target, rows, lessons)
        print(f"Written to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
