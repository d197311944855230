"""The website in a browser, as somebody reads it who has it in a folder.

From a folder, since that is the harder way: whatever is fetched there, or asked for by an address
that begins with a slash, fails. What works there works on a server too, where search also shows
excerpts: that is the one test with a server.
"""

import functools
import http.server
import os
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

import lab_page

import pytest
from axe_playwright_python.sync_playwright import Axe

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1400, "height": 1000}
BAD = ("serious", "critical")
IN_THE_DARK = {"runOnly": ["color-contrast"]}  # all that colours change
# Thousands of coloured words, which have their colours from one stylesheet, keep axe busy for
# minutes: on all pages but one they become plain, in code that is as large as before.
MAKE_CODE_PLAIN = """() => {
    for (const code of document.querySelectorAll(".highlight pre")) code.textContent += "";
    for (const formula of document.querySelectorAll("math")) formula.replaceChildren();
}"""
CODE = "_modules/lib/layers.html"
COLOURED = "notebooks/solutions/01_softmax.html"
# What sticks out of the page at its right side, but for what scrolls in itself. The theme cuts it
# off, so that the page as a whole does not scroll: it could not be read.
STICKING_OUT = """() => {
    const scrolls = part => part.tagName !== "ARTICLE"
        && (/auto|scroll/.test(getComputedStyle(part).overflowX) || scrolls(part.parentElement));
    const out = [...document.querySelectorAll("article *")]
        .filter(part => part.getBoundingClientRect().right > innerWidth + 1 && !scrolls(part))
        .map(part => part.outerHTML.slice(0, 100));
    const page = document.documentElement;
    return out.slice(0, 3).concat(page.scrollWidth > innerWidth ? ["the page scrolls"] : []);
}"""


@contextmanager
def watched(page, folder):
    """Collect what goes wrong on a page: errors, failed requests, requests beyond the folder."""
    wrong = []

    def look(request):
        address = urlparse(request.url)
        inside = address.scheme == "file" and unquote(address.path).startswith(f"{folder}/")
        if not inside and address.scheme not in ("data", "blob"):
            wrong.append(f"asks for {request.url}")

    handlers = {
        "console": lambda told: wrong.append(told.text) if told.type == "error" else None,
        "pageerror": lambda error: wrong.append(str(error)),
        "requestfailed": lambda request: wrong.append(f"failed: {request.url}"),
        "request": look,
    }
    for event, handler in handlers.items():
        page.on(event, handler)
    try:
        yield wrong
    finally:
        for event, handler in handlers.items():
            page.remove_listener(event, handler)


def accessibility(page, options=None):
    """What axe finds that is serious or critical, as lines."""
    options = {"resultTypes": ["violations"], "preload": False, **(options or {})}
    found = Axe().run(page, options=options)
    return [
        f"{rule['id']}: {node['html'][:160]}"
        for rule in found.response["violations"]
        if rule["impact"] in BAD
        for node in rule["nodes"][:3]
    ]


@pytest.fixture
def page(browser):
    """The browser's page; wide and light again afterwards."""
    yield browser
    browser.set_viewport_size(DESK)
    browser.emulate_media(color_scheme="light", reduced_motion="no-preference")
    browser.goto("about:blank")


def pages_of(site):
    """The pages of the site; of lessons those in turn, of the library's code one for all."""
    others = {Path(name).stem for name in {*lab_page.ALL_LESSONS} - {*lab_page.LESSONS}}
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return [
        name
        for name in names
        if name in (CODE, COLOURED)
        or not (name.startswith("_modules") or Path(name).stem in others)
    ]


def test_every_page_loads_quietly_fits_a_phone_and_can_be_read_by_all(page, site):
    problems = {}
    for name in pages_of(site):
        with watched(page, site) as wrong:
            page.emulate_media(color_scheme="light")
            page.set_viewport_size(DESK)
            page.goto((site / name).as_uri(), wait_until="load")
            page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            page.set_viewport_size(PHONE)
            found = [f"sticks out: {part}" for part in page.evaluate(STICKING_OUT)]
            if name != COLOURED:
                page.evaluate(MAKE_CODE_PLAIN)
            found += accessibility(page)
            page.emulate_media(color_scheme="dark")
            found += accessibility(page, IN_THE_DARK)
        if wrong or found:
            problems[name] = [*wrong, *found]
    report = [f"{name}: {line}" for name, lines in problems.items() for line in lines]
    assert not report, "\n".join(report)


def test_going_deeper_unfolds_and_a_link_into_it_opens_it(page, site):
    address = (site / "notebooks" / "03_modified_softmax.html").as_uri()
    page.goto(address)
    deeper = page.locator("section#going-deeper")
    inside = deeper.locator("section").first
    assert not inside.is_visible()
    deeper.locator("summary").first.click()
    assert inside.is_visible()
    anchor = inside.get_attribute("id")
    page.goto("about:blank")
    page.goto(f"{address}#{anchor}")
    assert inside.is_visible()
    in_view = "id => Math.abs(document.getElementById(id).getBoundingClientRect().top) < 300"
    page.wait_for_function(in_view, arg=anchor)
    page.goto("about:blank")
    page.goto(address)
    assert not inside.is_visible()
    page.locator(f".toc-tree a[href='#{anchor}']").click()
    assert inside.is_visible()


def test_folded_code_and_a_quiz_unfold(page, site):
    page.goto((site / "notebooks" / "03_modified_softmax.html").as_uri())
    for unfolds in ("details.hide", "section#quiz details"):
        first = page.locator(unfolds).first
        hidden = first.locator("> :not(summary)").first
        assert not hidden.is_visible()
        first.locator("> summary").click()
        assert hidden.is_visible()


def test_a_search_in_the_folder_finds_a_lesson(page, site):
    with watched(page, site) as wrong:
        page.goto((site / "index.html").as_uri())
        page.locator("input[name=q]").first.fill("annealing")
        page.keyboard.press("Enter")
        found = page.locator("#search-results a", has_text="Multiply the angle").first
        found.wait_for()
        found.click()
        page.wait_for_url("**/04_sphereface.html*")
    assert not wrong


def test_a_search_on_a_server_shows_where_the_word_stands(page, site):
    handler = functools.partial(QuietHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/search.html?q=annealing")
            page.locator("#search-results .context", has_text="annealing").first.wait_for()
        finally:
            page.goto("about:blank")
            server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_pictures_lie_on_a_light_sheet_in_the_dark(page, site):
    page.emulate_media(color_scheme="dark")
    page.goto((site / "notebooks" / "01_softmax.html").as_uri())
    look = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).paddingLeft]"
    ground, margin = page.locator("article img").first.evaluate(look)
    assert ground == "rgb(255, 255, 255)"
    assert margin != "0px"
    assert page.locator("body").evaluate("e => getComputedStyle(e).colorScheme") in (
        "dark",
        "normal",
    )


def test_an_animation_can_be_stopped_and_stands_still_where_that_is_asked_for(page, site):
    address = (site / "index.html").as_uri()
    page.goto(address)
    moving, still = page.locator("article img[src$='.gif']"), page.locator("article canvas")
    assert moving.is_visible()
    page.get_by_role("button", name="Stop").click()
    assert not moving.is_visible()
    assert still.is_visible()
    page.emulate_media(reduced_motion="reduce")
    page.goto(address)
    page.get_by_role("button", name="Play").wait_for()
    assert not moving.is_visible()
    assert still.get_attribute("aria-label") == moving.get_attribute("alt")


def test_a_page_that_misbehaves_is_noticed(page, site, tmp_path):
    """What the tests above look for, all on one page."""
    wide = "<div style='width: 900px'>wide</div><p style='color: #ccc'>pale</p><img src='no.png'>"
    script = "<script>fetch('https://example.org/x').catch(() => 0); missing()</script>"
    head = "<!doctype html><html lang='en'><title>t</title>"
    text = f"{head}<body><article>{wide}{script}</article></body>"
    (tmp_path / "bad.html").write_text(text)
    with watched(page, tmp_path) as wrong:
        page.goto((tmp_path / "bad.html").as_uri())
        page.wait_for_timeout(300)
    told = os.linesep.join(wrong)
    assert "asks for https://example.org/x" in told
    assert "missing is not defined" in told
    assert "failed: " in told
    assert {line.split(":")[0] for line in accessibility(page)} >= {"color-contrast", "image-alt"}
    page.set_viewport_size(PHONE)
    assert page.evaluate(STICKING_OUT)[-1] == "the page scrolls"
    page.goto((site / "index.html").as_uri())
    page.locator("article").evaluate(f"part => part.insertAdjacentHTML('beforeend', `{wide}`)")
    assert "wide" in " ".join(page.evaluate(STICKING_OUT))
