"""One JupyterLab and one browser for all browser tests; without a browser they are skipped."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import lab_page

MISSING = lab_page.what_is_missing()


def pytest_collection_modifyitems(config, items):
    if MISSING and os.environ.get("CI"):
        raise pytest.UsageError(f"the browser tests cannot run: {MISSING}")
    for item in items:
        if MISSING and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=MISSING))


MEASURED = []


@pytest.fixture
def measured():
    """Lines that are shown at the end as a table of milliseconds from a key to the picture."""
    return MEASURED


def pytest_terminal_summary(terminalreporter):
    if MEASURED:
        lines = ["milliseconds from key to picture: least, median, most", *MEASURED]
        terminalreporter.write_line("\n".join(lines))
    if MISSING:
        terminalreporter.write_line(f"The browser tests were skipped: {MISSING}")


@pytest.fixture(scope="session")
def work(tmp_path_factory):
    """The folder that JupyterLab shows: copies of the notebooks, without outputs."""
    folder = tmp_path_factory.mktemp("browser") / "work"
    folder.mkdir()
    lab_page.lay_out(folder)
    return folder


@pytest.fixture(scope="session")
def server(work):
    with lab_page.start_server(work) as address_and_token:
        yield address_and_token


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")),
            executable_path=lab_page.find_browser(),
            args=list(lab_page.CHROMIUM_OPTIONS),
            viewport={"width": 1400, "height": 1000},
        )
        yield context.pages[0]
        context.close()


@pytest.fixture
def lab(browser, server):
    return lab_page.LabPage(browser, server)
