"""The address of the course's repository, set in one place: `repository-code` in CITATION.cff."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from ...files import Problem

ROOT = Path(__file__).resolve().parents[3]
CITATION = ROOT / "CITATION.cff"
FORM = r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?"


def repository(citation=CITATION, variables=os.environ):
    """OWNER/NAME of the repository on GitHub, or None where it is not known.

    It is what CITATION.cff says; where that says nothing, what GitHub's own machines say of
    themselves.

    Raises:
        Problem: if CITATION.cff names something else than a repository on GitHub.
    """
    found = re.search(r"^repository-code:(.*)$", citation.read_text(encoding="utf-8"), re.M)
    if found is None:
        return variables.get("GITHUB_REPOSITORY") or None
    address = found[1].strip().strip("\"'")
    match = re.fullmatch(FORM, address)
    if match is None:
        raise Problem(
            f"{citation.name}: repository-code is {address or 'empty'}; write it as "
            '"https://github.com/OWNER/NAME".'
        )
    return match[1]


def file(name, path):
    """Where a file or folder of the repository `name` is shown on GitHub."""
    return f"https://github.com/{name}/blob/HEAD/{quote(path)}"


def colab(name, path):
    """Where a notebook of the repository `name` opens in Colab."""
    return f"https://colab.research.google.com/github/{name}/blob/HEAD/{quote(path)}"


def binder(name, path):
    """Where a notebook of the repository `name` opens in Binder."""
    return f"https://mybinder.org/v2/gh/{name}/HEAD?urlpath=lab/tree/{quote(path)}"
