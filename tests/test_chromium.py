"""How the browser is started: with its sandbox, wherever that works."""

import subprocess
from types import SimpleNamespace

from lib.tools import chromium
from tests.browser import lab_page

import pytest


@pytest.fixture
def started(monkeypatch):
    """A stand-in for the browser: `works` without `--no-sandbox` or not, `calls` remembers."""
    fake = SimpleNamespace(works=True, user=1000, calls=[])

    def run(command, **options):
        fake.calls.append(command)
        code = 0 if fake.works or "--no-sandbox" in command else 1
        return subprocess.CompletedProcess(command, code, stdout="<html>", stderr="")

    monkeypatch.setattr(chromium.subprocess, "run", run)
    monkeypatch.setattr(chromium.os, "geteuid", lambda: fake.user, raising=False)
    monkeypatch.setattr(chromium.sys, "platform", "linux")
    chromium.sandbox_options.cache_clear()
    yield fake
    chromium.sandbox_options.cache_clear()


@pytest.mark.parametrize(
    ("platform", "user", "works", "expected"),
    [
        ("linux", 1000, True, ()),
        ("linux", 0, True, ("--no-sandbox",)),
        ("linux", 1000, False, ("--no-sandbox",)),  # a container that forbids it
        ("darwin", 0, True, ()),
        ("win32", 1000, True, ()),
    ],
)
def test_the_sandbox_is_off_only_where_the_browser_cannot_start_with_it(
    started, monkeypatch, platform, user, works, expected
):
    monkeypatch.setattr(chromium.sys, "platform", platform)
    started.user, started.works = user, works
    assert chromium.sandbox_options("chromium") == expected
    assert chromium.run_browser("chromium", "--dump-dom", "about:blank") == "<html>"
    assert ("--no-sandbox" in started.calls[-1]) == bool(expected)


def test_the_browser_of_the_tests_is_started_in_the_same_way(started):
    options = lab_page.launch_options("chromium")
    assert "--no-sandbox" not in options["args"]
    assert options["chromium_sandbox"]  # without it Playwright itself switches the sandbox off
    chromium.sandbox_options.cache_clear()
    started.user = 0
    options = lab_page.launch_options("chromium")
    assert "--no-sandbox" in options["args"]
    assert not options["chromium_sandbox"]


def test_the_persons_own_browser_is_not_touched(started):
    chromium.run_browser("chromium", "about:blank")
    assert any(option.startswith("--user-data-dir=") for option in started.calls[-1])


def test_a_browser_that_fails_is_an_error(started, monkeypatch):
    failing = subprocess.CompletedProcess([], 1, stdout="", stderr="no display")
    monkeypatch.setattr(chromium.subprocess, "run", lambda *args, **options: failing)
    with pytest.raises(subprocess.CalledProcessError):
        chromium.run_browser("chromium", "about:blank")
