"""A notebook in a real JupyterLab, in a real browser, as a person would use it.

`start_server` starts JupyterLab on copies of notebooks, `LabPage` opens one of them, runs it, and
touches its figures.

With LESSONS=3 in the environment the tests take only three lessons, with their solutions, slides
and pages of the website, and others the next day.
"""

import base64
import datetime
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from lib.tools import lab, private_state

import nbformat
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
SCREENSHOTS = ROOT / "build" / "browser"


def in_turn(lessons, count, day):
    """At most `count` of the lessons; each is among them every few days."""
    groups = -(-len(lessons) // count)
    return lessons[day % groups :: groups]


ALL_LESSONS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
LESSONS = in_turn(
    ALL_LESSONS,
    int(os.environ.get("LESSONS") or len(ALL_LESSONS)),
    datetime.date.today().toordinal(),
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_OPTIONS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIGURE = ".jupyter-matplotlib"
CANVAS = ".jupyter-matplotlib-canvas-div canvas"
MOST_COLOURS_OF_A_BLANK = 20


def find_browser():
    """The path of Chromium or of one of its kind, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def what_is_missing():
    """One line that says what is not installed and how to get it, or None."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no Playwright: `make test-browser` installs it"
    if find_browser() is None:
        return (
            "no Chromium on the PATH: `apt-get install chromium` (Debian), or Chrome from its maker"
        )
    return None


# --- the server -----------------------------------------------------------------------------------


def without_outputs(path):
    """A notebook as if nobody had run it: stored counts would look like finished cells."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def lay_out(folder):
    """Copies of all notebooks in a folder where they find `lib` and `data`."""
    for name in ("lib", "data"):
        (folder / name).symlink_to(ROOT / name)
    for path in (*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("solutions/*.ipynb")):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(without_outputs(path), copy)
    (folder / "notebooks" / "images").symlink_to(NOTEBOOKS / "images")


def write_settings(folder):
    """The settings that `make lab` gives to JupyterLab, as those of this user."""
    for plugin, values in lab.OVERRIDES.items():
        package, name = plugin.split(":")
        path = folder / package / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


@contextmanager
def start_server(folder):
    """JupyterLab on `folder`; yields its address and token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    before = dict(os.environ)
    state = private_state.use(folder.parent / "state")
    write_settings(state / "settings")
    environment = os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(state / "settings")}
    os.environ.clear()
    os.environ.update(before)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        *(f"--ServerApp.root_dir={folder}", "--LabApp.extension_manager=readonly"),
        "--expose-app-in-browser",
    ]
    log = folder.parent / "jupyterlab.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{address}/api/status?token={token}"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        yield address, token
    finally:
        server.terminate()
        server.wait(30)


def _answers(address):
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


# --- a notebook in it -----------------------------------------------------------------------------

READY = """() => {
    const panel = window.jupyterapp?.shell.currentWidget;
    return panel?.content?.model?.cells?.length
        && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""

RESTART_AND_RUN_ALL = """() => {
    window.finished = false;
    window.jupyterapp.commands.execute('notebook:restart-run-all')
        .finally(() => { window.finished = true; });
    return 0;
}"""

CELLS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells].map(cell => ({
    type: cell.type,
    source: cell.sharedModel.getSource(),
    count: cell.executionCount ?? null,
    outputs: cell.outputs ? cell.outputs.toJSON() : [],
}))"""

# Remember when a canvas first looks different from now, to the browser's next frame.
WATCH = """(canvas) => {
    const sum = () => {
        const context = canvas.getContext('2d', {willReadFrequently: true});
        const data = new Uint32Array(
            context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
        let hash = 0;
        for (let i = 0; i < data.length; i += 3) hash = (hash * 31 + data[i]) | 0;
        return hash;
    };
    const before = sum();
    window.changedAt = null;
    window.startedAt = null;
    document.addEventListener(
        'keydown', () => { window.startedAt = performance.now(); }, {once: true, capture: true});
    const look = () => {
        if (window.startedAt !== null && sum() !== before) window.changedAt = performance.now();
        else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    return 0;
}"""


class LabPage:
    """One notebook, opened in the browser."""

    def __init__(self, page, server):
        self.page, (self.address, self.token) = page, server

    def open(self, name):
        """Open a notebook, by its path from the server's root, with a kernel of its own."""
        self.end_kernels()
        self.page.goto(f"{self.address}/lab/tree/{name}?token={self.token}&reset")
        self.wait_until_ready()
        return self

    def reload(self):
        """Reload the page, as a person does who presses F5; the kernel stays."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload()
        self.wait_until_ready()

    def wait_until_ready(self):
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
        self.page.wait_for_function(READY, timeout=90_000)

    def end_kernels(self):
        """Kernels outlive the page that started them."""
        for session in json.loads(self._api("/api/sessions")):
            self._api(f"/api/sessions/{session['id']}", "DELETE")

    def _api(self, path, method="GET"):
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.address + path, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()

    # running

    def start(self):
        """Restart Kernel and Run All Cells; returns at once, `finish` waits for the end."""
        self.page.evaluate(RESTART_AND_RUN_ALL)
        self.page.locator(".jp-Dialog button.jp-mod-accept").click()

    def is_running(self):
        return not self.page.evaluate("() => window.finished")

    def finish(self, timeout=600):
        """Wait for the last cell; return all cells."""
        self.page.wait_for_function("() => window.finished", timeout=timeout * 1000)
        return self.cells()

    def run(self, name, timeout=600):
        """Open, run, and fail if anything in it failed; return all cells."""
        self.open(name).start()
        cells = self.finish(timeout)
        complaints = problems(cells)
        assert not complaints, "\n".join(complaints)
        return cells

    def cells(self):
        return self.page.evaluate(CELLS)

    # looking

    def unfold(self):
        """Open what is folded under a heading: its cells are run, but not drawn."""
        self.page.evaluate(
            "() => window.jupyterapp.commands.execute('notebook:expand-all-headings')"
        )

    def show_cell(self, index):
        """Scroll to a cell: JupyterLab draws only what is near the screen."""
        self.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.scrollToItem(i, 'start')"
            ".catch(() => 0)",  # another scroll came in between
            index,
        )

    def figure(self, index, number=0):
        """The figure of a cell."""
        return self.cell(index).locator(FIGURE).nth(number)

    def cell(self, index):
        return self.page.locator(f".jp-Notebook [data-windowed-list-index='{index}']")

    def pixels(self, index, number=0):
        """What the canvas of a cell's figure shows, (height, width, 4): not a screenshot, which
        would also have the toolbar that appears under the pointer."""
        canvas = self.figure(index, number).locator(CANVAS).first
        address = canvas.evaluate("canvas => canvas.toDataURL('image/png')")
        image = Image.open(io.BytesIO(base64.b64decode(address.split(",")[1])))
        return np.asarray(image.convert("RGBA")).astype(int)

    def wait_drawn(self, index, number=0, timeout=20):
        """Wait until a cell's figure is there and not blank."""
        self.figure(index, number).locator(CANVAS).first.wait_for(timeout=timeout * 1000)
        self.until(lambda: not is_blank(self.pixels(index, number)), timeout, "figure stays blank")

    def wait_changed(self, before, index, number=0, timeout=20, share=0.0005):
        """Wait until a cell's figure looks different; return how it looks then."""
        self.until(
            lambda: difference(before, self.pixels(index, number)) > share,
            timeout,
            "figure does not change",
        )
        return self.pixels(index, number)

    def wait_settled(self, index, number=0, quiet=0.4, timeout=20):
        """Wait until a cell's figure has stopped changing; return how it looks then."""
        last, since, deadline = None, time.monotonic(), time.monotonic() + timeout
        while time.monotonic() < deadline:
            now = self.pixels(index, number)
            if last is None or difference(last, now) > 0:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > quiet:
                return now
            self.page.wait_for_timeout(80)
        raise AssertionError("figure does not come to rest")

    def until(self, holds, timeout, message):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if holds():
                return
            self.page.wait_for_timeout(60)
        raise AssertionError(f"{message}, in {timeout} s")

    # touching

    def handle(self, index, slider):
        """The handle of a cell's slider, by the start of its description."""
        row = self.cell(index).locator(".widget-slider").filter(has_text=slider)
        return row.locator(".noUi-handle").first

    def press(self, index, slider, key="ArrowRight", times=1):
        """Move a slider by keyboard."""
        self.handle(index, slider).focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def milliseconds_to_picture(self, index, slider, key="ArrowRight", number=0):
        """From the key that moves a slider to the first different picture."""
        self.handle(index, slider).focus()
        self.figure(index, number).locator(CANVAS).first.evaluate(WATCH)
        self.page.keyboard.press(key)
        self.page.wait_for_function("() => window.changedAt !== null", timeout=20_000)
        return self.page.evaluate("() => window.changedAt - window.startedAt")

    def drag(self, index, start, end, number=0):
        """Drag in a cell's figure, from one place to another in parts of its width and height."""
        box = self.figure(index, number).locator(CANVAS).first.bounding_box()
        places = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)
        ]
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down()
        mouse.move(*places[1], steps=8)
        mouse.up()
        mouse.move(2, 2)

    def screenshot(self, name):
        """Keep the whole notebook as one tall picture in build/browser/."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        box = scroller.bounding_box()
        parts, top = [], 0
        while True:
            scroller.evaluate("(element, top) => { element.scrollTop = top; }", top)
            self.page.wait_for_timeout(250)
            reached = scroller.evaluate("element => element.scrollTop")
            parts.append((reached, self.page.screenshot(clip=box)))
            total = scroller.evaluate("element => element.scrollHeight")
            if reached + box["height"] >= total - 2 or reached < top or len(parts) > 80:
                break
            top = reached + box["height"] - 20
        sheet = Image.new("RGB", (int(box["width"]), int(parts[-1][0] + box["height"])), "white")
        for reached, png in parts:
            sheet.paste(Image.open(io.BytesIO(png)), (0, int(reached)))
        sheet.save(SCREENSHOTS / f"{name}.png")


def problems(cells):
    """What went wrong in a notebook that has run: errors, tracebacks, cells that did not run."""
    found = []
    for index, cell in enumerate(cells):
        if cell["type"] != "code":
            continue
        if cell["count"] is None and cell["source"].strip():
            found.append(f"cell {index} did not run: {cell['source'][:60]!r}")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"cell {index}: {output['ename']}: {output['evalue']}")
            text = json.dumps(output.get("text", "")) + json.dumps(
                {k: v for k, v in output.get("data", {}).items() if k.startswith("text/")}
            )
            if "Traceback (most recent call last)" in text:
                found.append(f"cell {index} shows a traceback")
            if output.get("name") == "stderr":
                found.append(f"cell {index} writes to stderr: {text[:200]}")
    return found


def difference(first, second):
    """The share of pixels that look different."""
    if first.shape != second.shape:
        return 1.0
    return float((np.abs(first - second).max(axis=-1) > 30).mean())


def is_blank(pixels):
    colours = np.unique(pixels[..., :3].reshape(-1, 3), axis=0)
    return len(colours) <= MOST_COLOURS_OF_A_BLANK
