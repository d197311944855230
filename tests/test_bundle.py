"""`make bundle` in its parts: which files, which packages for which system, and the installer.

That the whole bundle installs and the lessons run without a network is tried by hand, for it moves
gigabytes: the teacher's guide says how.
"""

import ast
import json
import os
import subprocess
from pathlib import Path

from lib.tools import bootstrap, bundle, install
from tiny_wheels import lock_lines, write_wheel

import pytest

TARGETS = [f"{name}-{version}" for name in bundle.PLATFORMS for version in ("3.11", "3.13")]


# --- which packages -------------------------------------------------------------------------------


def needed(target):
    """The lines of the lock that a target needs."""
    text = bundle.requirements_for(bootstrap.locked("lessons"), *bundle.parse_target(target))
    return text.replace(" \\\n", " ").splitlines()


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gets_the_course_and_every_line_a_hash(target):
    lines = needed(target)
    assert {"tensorflow", "keras", "jupyterlab", "uv"} <= {line.split("==")[0] for line in lines}
    assert all("--hash=sha256:" in line and ";" not in line for line in lines)


@pytest.mark.parametrize(
    ("package", "wanted", "not_wanted"),
    [
        ("appnope", "macos-3.12", "linux-3.12"),
        ("colorama", "windows-3.12", "macos-3.12"),
        ("pywinpty", "windows-3.11", "linux-arm-3.11"),
        ("pexpect", "linux-3.13", "windows-3.13"),
        ("overrides", "linux-3.11", "linux-3.12"),
    ],
)
def test_markers_are_those_of_the_target_not_of_this_computer(package, wanted, not_wanted):
    found = [{line.split("==")[0] for line in needed(target)} for target in (wanted, not_wanted)]
    assert [package in some for some in found] == [True, False]


@pytest.mark.parametrize("text", ["windows", "amiga-3.12", "windows-3.10", "linux-3", "", "-3.12"])
def test_a_wrong_target_is_explained(text):
    with pytest.raises(bundle.Problem, match=r"such as windows-3\.12"):
        bundle.parse_target(text)


def test_this_computer_is_a_target():
    assert bundle.parse_target(bundle.this_target())[1] == bootstrap.dotted(bundle.sys.version_info)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Options for a folder with a package for all, one for Windows, one with a build for each."""
    folder = tmp_path / "index"
    folder.mkdir()
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    tags = ("cp312-cp312-win_amd64", "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-musllinux")
    lock = lock_lines("everywhere", write_wheel(folder, "everywhere"))
    lock += lock_lines(
        "forwindows", write_wheel(folder, "forwindows"), marker=" ; sys_platform == 'win32'"
    )
    lock += lock_lines("built", *(write_wheel(folder, "built", tag) for tag in tags))
    return ("--no-index", f"--find-links={folder}"), lock


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "windows",
            {
                "everywhere-1.0-py3-none-any.whl",
                "forwindows-1.0-py3-none-any.whl",
                "built-1.0-cp312-cp312-win_amd64.whl",
            },
        ),
        (
            "linux",
            {"everywhere-1.0-py3-none-any.whl", "built-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"},
        ),
    ],
)
def test_the_wheels_of_a_platform_are_fetched(index, tmp_path, name, expected):
    options, lock = index
    wanted = bundle.requirements_for(lock, name, "3.12")
    bundle.download(wanted, name, "3.12", tmp_path / "wheels", options)
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == expected


def test_what_cannot_be_fetched_is_explained(index, tmp_path, capfd):
    options, lock = index
    wanted = bundle.requirements_for(lock, "macos", "3.12")
    with pytest.raises(bundle.Problem, match="packages for macos-3.12, see above"):
        bundle.download(wanted, "macos", "3.12", tmp_path / "wheels", options)
    assert "No matching distribution found for built==1.0" in capfd.readouterr().err
    (tmp_path / "index" / "everywhere-1.0-py3-none-any.whl").open("ab").write(b"more")
    wanted = bundle.requirements_for(lock, "linux", "3.12")
    with pytest.raises(bundle.Problem, match="packages for linux-3.12, see above"):
        bundle.download(wanted, "linux", "3.12", tmp_path / "wheels", options)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err


# --- the folder -----------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "notebooks").mkdir(parents=True)
    (root / "notebooks" / "ä b.ipynb").write_text("{}")
    (root / "secret.txt").write_text("not tracked")
    (root / "gone.txt").write_text("")
    for command in (["init", "-q"], ["add", "notebooks", "gone.txt"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    (root / "gone.txt").unlink()
    return root


def test_a_bundle_holds_what_git_tracks_and_a_second_run_adds_a_platform(
    checkout, tmp_path, monkeypatch
):
    def fetch(requirements, name, version, folder):
        folder.mkdir(parents=True)
        (folder / "some.whl").touch()

    monkeypatch.setattr(bundle, "ROOT", checkout)
    monkeypatch.setattr(bundle, "download", fetch)
    usb = tmp_path / "usb"
    (usb / "course").mkdir(parents=True)
    (usb / "course" / "old.txt").touch()
    bundle.bundle(["windows-3.12"], usb)
    assert bundle.bundle(["macos-3.13"], usb) == ["macos-3.13", "windows-3.12"]
    files = [path.relative_to(usb) for path in (usb / "course").rglob("*") if path.is_file()]
    assert files == [Path("course", "notebooks", "ä b.ipynb")]
    readme = (usb / "README.txt").read_text(encoding="utf-8")
    assert "macos-3.13, windows-3.12" in readme
    assert "Python 3.12 or 3.13" in readme


def test_outside_of_a_checkout_there_is_no_bundle(tmp_path):
    with pytest.raises(bundle.Problem, match="not a git checkout"):
        bundle.copy_course(tmp_path, tmp_path / "usb")


# --- the installer --------------------------------------------------------------------------------


@pytest.fixture
def usb(tmp_path, monkeypatch):
    """A bundle whose bootstrap only writes down what it is started with."""
    folder = tmp_path / "USB stick"
    tools = folder / "course" / "lib" / "tools"
    tools.mkdir(parents=True)
    (tools / "bootstrap.py").write_text(
        "import json, os, sys\n"
        "pip = {k: v for k, v in os.environ.items() if k.startswith('PIP')}\n"
        "json.dump(pip, open('seen.json', 'w'))\n"
        "sys.exit(int(os.environ.get('FAIL', 0)))\n"
    )
    (folder / "course" / "notebooks").mkdir()
    (folder / "course" / "notebooks" / "00.ipynb").write_text("new")
    (folder / "course" / "README.md").write_text("new")
    (folder / "wheels" / "linux-3.12").mkdir(parents=True)
    return folder


def test_the_installer_takes_packages_from_the_stick_and_from_nowhere_else(
    usb, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org")
    assert install.main([str(tmp_path / "mine")], str(usb)) is None
    assert json.loads((tmp_path / "mine" / "seen.json").read_text()) == {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": (usb / "wheels" / "linux-3.12").as_uri(),  # pip splits at spaces
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert "-m lib.tools.lab" in capsys.readouterr().out


def test_installing_again_keeps_notebooks_and_renews_the_rest(usb, tmp_path):
    home = tmp_path / "mine"
    install.main([str(home)], str(usb))
    for name in ("notebooks/00.ipynb", "README.md"):
        (home / name).write_text("changed")
    assert install.main([str(home)], str(usb)) is None
    assert (home / "notebooks" / "00.ipynb").read_text() == "changed"
    assert (home / "README.md").read_text() == "new"


def test_what_goes_wrong_is_explained(usb, tmp_path, monkeypatch):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").touch()
    assert "something else" in install.main([str(tmp_path / "thesis")], str(usb))
    monkeypatch.setenv("FAIL", "1")
    assert "packages for: linux-3.12" in install.main([str(tmp_path / "mine")], str(usb))
    assert "copy the whole folder" in install.main([str(tmp_path / "mine")], str(tmp_path))


def test_the_installer_is_python_that_an_old_one_can_read():
    ast.parse(bundle.INSTALLER.read_text(encoding="utf-8"), feature_version=(3, 6))
