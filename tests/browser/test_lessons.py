"""Every notebook in the browser: it runs, its figures are live, what can be touched answers."""

import re

import lab_page

import pytest

NOTEBOOKS = [lab_page.NOTEBOOKS / name for name in lab_page.LESSONS]
NOTEBOOKS += [
    path for name in lab_page.LESSONS if (path := lab_page.NOTEBOOKS / "solutions" / name).exists()
]
LIVE_FIGURE = "application/vnd.jupyter.widget-view+json"


def is_interactive(cell):
    """Whether a cell makes a figure of `lib.interactive` with a slider in it."""
    return cell["type"] == "code" and re.search(r"\binteractive\.[A-Z]\w+\(", cell["source"])


def watch(lab, index, enough=5):
    """The first different frames that a cell's figure shows while the notebook runs.

    No more than enough: each look takes time from the training.
    """
    frames = set()
    while len(frames) < enough and lab.is_running():
        lab.show_cell(index)
        if lab.figure(index).locator(lab_page.CANVAS).count():
            frames.add(lab.pixels(index).tobytes())
        lab.page.wait_for_timeout(120)
    return frames


def touch(lab, index):
    """Move the first slider of a cell's figure, and see the picture change."""
    lab.show_cell(index)
    lab.wait_drawn(index)
    before = lab.wait_settled(index)
    handle = lab.cell(index).locator(".noUi-handle").first
    handle.focus()
    at_its_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
    lab.page.keyboard.press("ArrowLeft" if at_its_end else "ArrowRight")
    lab.wait_changed(before, index, share=0)


@pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=[str(path.relative_to(lab_page.NOTEBOOKS)) for path in NOTEBOOKS]
)
def test_notebook_runs_and_its_figures_are_live(lab, path):
    lab.open(str(path.relative_to(lab_page.ROOT)))
    sources = lab.cells()
    training = [i for i, cell in enumerate(sources) if "LiveTraining(" in cell["source"]]
    lab.start()
    if training:
        frames = watch(lab, training[0])
        assert len(frames) >= 5, f"live training showed {len(frames)} different frames"
    cells = lab.finish(timeout=1200)
    complaints = lab_page.problems(cells)
    assert not complaints, "\n".join(complaints)

    lab.unfold()
    for index, cell in enumerate(cells):
        count = sum(LIVE_FIGURE in output.get("data", {}) for output in cell["outputs"])
        for number in range(count):
            lab.show_cell(index)
            lab.wait_drawn(index, number)
        if count and is_interactive(cell):
            touch(lab, index)
    lab.screenshot("-".join(path.relative_to(lab_page.NOTEBOOKS).with_suffix("").parts))
    assert "Traceback (most recent call last)" not in lab.page.locator("body").inner_text()
