"""Chromium, or a browser of its kind, started without a window: handouts as PDF, and tests."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..files import Problem

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
)


def find_browser():
    """The path of Chromium or of one of its kind, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@functools.cache
def sandbox_options(browser):
    """No option where the browser's sandbox works, `--no-sandbox` where it cannot.

    That is as root on Linux, and in a container that forbids it: there the browser does not start.
    """
    if sys.platform != "linux":
        return ()
    if os.geteuid() != 0 and _run(browser, "--dump-dom", "about:blank").returncode == 0:
        return ()
    return ("--no-sandbox",)


def run_browser(browser, *arguments):
    """Run a browser without a window, and without touching the person's own; return its output."""
    done = _run(browser, *sandbox_options(browser), *arguments)
    done.check_returncode()
    return done.stdout


def print_pdf(browser, source, target):
    """Have a browser print a page.

    Raises:
        Problem: if it does not; with its last words.
    """
    options = "--no-pdf-header-footer", f"--print-to-pdf={target}"
    try:
        run_browser(browser, *options, source.as_uri())
    except (subprocess.SubprocessError, OSError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip()[-200:]
        raise Problem(f"{browser} could not print {source}: {words}") from None


def _run(browser, *arguments):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        variables = {n: v for n, v in os.environ.items() if not n.startswith("XDG_")}
        profile = f"--user-data-dir={Path(home, 'profile')}"
        return subprocess.run(
            [browser, "--headless=new", "--disable-gpu", profile, *arguments],
            env=variables | {"HOME": home},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=300,
        )
