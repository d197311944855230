"""Execute notebooks in lesson mode and store their cleaned outputs in place.

    python -m lib.tools.render [NOTEBOOK ...]

Without names, every lesson. A lesson and its solutions, which have one name in two folders, are
rendered together: the exercises are copied into the lesson with the solutions cut out. A notebook
is replaced only when all of that has worked. The links of all lessons to their neighbours are
brought up to date; they need no execution.
"""

import argparse
import base64
import copy
import io
import os
import sys
from pathlib import Path

from lib.files import Problem, write_atomically

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from PIL import Image

from . import exercises, navigation, private_state

ROOT = Path(__file__).resolve().parents[2]
LESSONS = ROOT / "notebooks"
SOLUTIONS = LESSONS / "solutions"
CELL_TIMEOUT = 1200  # seconds
COLOURS = 256

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_TEXT = "[interactive controls: run this cell]"
TEXTS = ("text/html", "text/markdown", "text/latex", "text/plain")
CELL_METADATA = ("tags", "jupyter", "slideshow", "jp-MarkdownHeadingCollapsed")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}


def shown(path):
    """A path as a person would type it."""
    path = Path(path).resolve()
    return path.relative_to(ROOT) if ROOT in path.parents else path


# --- clean outputs --------------------------------------------------------------------------------


def shrink(png):
    """A base64 PNG with a palette of at most 256 colours, on white; base64 again."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode != "P":
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "P" or len(image.getcolors()) > COLOURS:
        image = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    file = io.BytesIO()
    image.save(file, "png", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def clean_output(output):
    """The output as it is stored, or None if it is not."""
    if output.output_type == "stream":
        if output.name == "stderr":
            print(f"  dropped from stderr: {output.text.strip()[:100]}")
        return output if output.name == "stdout" and output.text.strip() else None
    if output.output_type == "error":
        return output
    data, metadata = output.data, {}
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt")
        metadata = {"image/png": {"alt": alt}} if alt else {}
        data = {"image/png": shrink(data["image/png"]), "text/plain": alt or "[figure]"}
    elif WIDGET in data:
        data = {"text/plain": WIDGET_TEXT}
    else:
        data = {kind: data[kind] for kind in TEXTS if kind in data}
    output.data, output.metadata = nbformat.from_dict(data), nbformat.from_dict(metadata)
    return output if data else None


def clean(notebook):
    """Keep of an executed notebook what belongs into the repository, in place."""
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        kept = {key: value for key, value in cell.metadata.items() if key in CELL_METADATA}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in map(clean_output, cell.outputs) if output]
        CoalesceStreamsPreprocessor().preprocess_cell(cell, {}, 0)


# --- execute and store ----------------------------------------------------------------------------


def execute(notebook, folder):
    """Run a notebook from top to bottom in a fresh kernel whose folder is `folder`."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        store_widget_state=False,
        shutdown_kernel="immediate",  # a kernel that is asked to stop may print a traceback
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise Problem(str(error)) from None


def render(path, titles, run):
    """Bring a notebook up to date and store it; `run` says whether its cells are run for that."""
    notebook = nbformat.read(path, as_version=4)
    before = copy.deepcopy(notebook)
    if path.parent == LESSONS:
        solutions = SOLUTIONS / path.name
        if run and solutions.exists():
            exercises.sync(notebook, nbformat.read(solutions, as_version=4))
        navigation.update(notebook, navigation.line(path.name, titles))
    if run:
        print(f"{shown(path)} ...", flush=True)
        execute(notebook, path.parent)
        clean(notebook)
    if notebook != before:
        nbformat.validate(notebook)
        write_atomically(path, nbformat.writes(notebook) + "\n")
        print(f"{shown(path)} is stored", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Execute notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    named = {path.name for path in parser.parse_args(arguments).notebooks}
    private_state.use()
    os.environ["COURSE_MODE"] = "lesson"
    os.environ.pop("COURSE_PROJECTOR", None)
    path = LESSONS
    try:
        titles = navigation.lesson_titles(LESSONS)
        if not named <= set(titles):
            raise Problem(f"has no lesson {', '.join(sorted(named - set(titles)))}")
        for name in titles:
            run = not named or name in named
            for path in (SOLUTIONS / name, LESSONS / name) if run else (LESSONS / name,):
                if path.exists():
                    render(path, titles, run)
    except (Problem, OSError, ValueError) as problem:
        print(f"{shown(path)}: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
