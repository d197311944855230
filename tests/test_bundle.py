"""`make bundle` in its parts: which files, which packages for which system, and the installer.

That the whole bundle installs and the lessons run without a network is tried by hand, for it moves
gigabytes: the teacher's guide says how.
"""

import base64
import hashlib
import json
import os
import subprocess
import zipfile
from pathlib import Path

from lib.tools import bootstrap, bundle, install

import pytest

LOCK = Path(bootstrap.LOCK).read_text(encoding="utf-8")
TARGETS = [f"{name}-{version}" for name in bundle.PLATFORMS for version in ("3.11", "3.13")]


# --- which packages -------------------------------------------------------------------------------


def names(requirements):
    return {line.split("==")[0] for line in requirements.splitlines() if line[:1].isalpha()}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_gets_the_course_and_every_line_a_hash(target):
    requirements = bundle.requirements_for(LOCK, *bundle.parse_target(target))
    assert {"tensorflow", "keras", "jupyterlab", "ipympl"} <= names(requirements)
    for block in requirements.replace(" \\\n", " ").splitlines():
        assert "--hash=sha256:" in block
        assert ";" not in block


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
    found = [
        names(bundle.requirements_for(LOCK, *bundle.parse_target(target)))
        for target in (wanted, not_wanted)
    ]
    assert [package in some for some in found] == [True, False]


def test_this_computer_gets_what_its_own_pip_would_take():
    from packaging.markers import Marker, default_environment

    name, version = bundle.parse_target(bundle.this_target())
    environment = bundle.PLATFORMS[name].markers
    here = default_environment()
    assert {key: here[key] for key in environment} == environment
    assert version == here["python_version"]
    assert Marker("python_full_version >= '3.11'").evaluate()


@pytest.mark.parametrize("text", ["windows", "amiga-3.12", "windows-3.10", "linux-3", "", "-3.12"])
def test_a_wrong_target_is_explained(text):
    with pytest.raises(bundle.Problem, match=r"such as windows-3\.12"):
        bundle.parse_target(text)


# --- a tiny index in place of a registry ----------------------------------------------------------


def wheel(folder, name, tag):
    """Write an empty but valid wheel; return its hash."""
    path = folder / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = [
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
        f",{len(text)}"
        for file, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder with a package for all, one for Windows alone, and one with a build for each."""
    folder = tmp_path / "index"
    folder.mkdir()
    everywhere = wheel(folder, "everywhere", "py3-none-any")
    windows = wheel(folder, "forwindows", "py3-none-any")
    tags = ("cp312-cp312-win_amd64", "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-musllinux")
    built = " ".join(f"--hash=sha256:{wheel(folder, 'built', tag)}" for tag in tags)
    for variable in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    lock = (
        f"everywhere==1.0 \\\n    --hash=sha256:{everywhere}\n    # via lib\n"
        f"forwindows==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{windows}\n"
        f"built==1.0 \\\n    {built}\n"
    )
    return folder, lock


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "windows-3.12",
            {
                "everywhere-1.0-py3-none-any.whl",
                "forwindows-1.0-py3-none-any.whl",
                "built-1.0-cp312-cp312-win_amd64.whl",
            },
        ),
        (
            "linux-3.12",
            {"everywhere-1.0-py3-none-any.whl", "built-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"},
        ),
    ],
)
def test_the_wheels_of_a_platform_are_fetched(index, tmp_path, target, expected):
    folder, lock = index
    name, version = bundle.parse_target(target)
    requirements = bundle.requirements_for(lock, name, version)
    options = ("--no-index", f"--find-links={folder}")
    bundle.download(requirements, name, version, tmp_path / "wheels", options)
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == expected


def test_a_package_that_a_platform_does_not_have_is_named(index, tmp_path):
    folder, lock = index
    requirements = bundle.requirements_for(lock, "macos", "3.12")
    with pytest.raises(bundle.Problem, match="no release of built==1.0"):
        bundle.download(
            requirements, "macos", "3.12", tmp_path, ("--no-index", f"--find-links={folder}")
        )


def test_a_wheel_that_was_changed_is_refused(index, tmp_path):
    folder, lock = index
    wheel(folder, "everywhere", "py3-none-any")
    (folder / "everywhere-1.0-py3-none-any.whl").open("ab").write(b"more")
    requirements = bundle.requirements_for(lock, "linux", "3.12")
    with pytest.raises(bundle.Problem, match="not the one in requirements.lock"):
        bundle.download(
            requirements, "linux", "3.12", tmp_path, ("--no-index", f"--find-links={folder}")
        )


# --- which files ----------------------------------------------------------------------------------


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


def test_a_bundle_holds_what_git_tracks_and_replaces_an_older_one(checkout, tmp_path):
    target = tmp_path / "usb" / "course"
    target.mkdir(parents=True)
    (target / "old.txt").touch()
    assert bundle.copy_course(checkout, target) == 1
    files = [path.relative_to(target) for path in target.rglob("*") if path.is_file()]
    assert files == [Path("notebooks", "ä b.ipynb")]


def test_outside_of_a_checkout_there_is_no_bundle(tmp_path):
    with pytest.raises(bundle.Problem, match="not a git checkout"):
        bundle.tracked_files(tmp_path)


def test_a_second_run_adds_a_platform(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "ROOT", checkout)
    fetched = []
    monkeypatch.setattr(bundle, "download", lambda *arguments: fetched.append(arguments[1:3]))
    usb = tmp_path / "usb"
    bundle.bundle(["windows-3.12"], usb)
    assert bundle.bundle(["macos-3.13"], usb) == ["macos-3.13", "windows-3.12"]
    assert fetched == [("windows", "3.12"), ("macos", "3.13")]
    readme = (usb / "README.txt").read_text(encoding="utf-8")
    assert "macos-3.13, windows-3.12" in readme
    assert "Python 3.12 or 3.13" in readme


# --- the installer --------------------------------------------------------------------------------


@pytest.fixture
def usb(tmp_path, monkeypatch):
    """A bundle whose bootstrap only writes down what it is started with."""
    folder = tmp_path / "usb"
    tools = folder / "course" / "lib" / "tools"
    tools.mkdir(parents=True)
    (tools / "bootstrap.py").write_text(
        "import json, os, sys\n"
        "pip = {k: v for k, v in os.environ.items() if k.startswith('PIP')}\n"
        "json.dump([sys.argv[1], pip], open('seen.json', 'w'))\n"
        "sys.exit(int(os.environ.get('FAIL', 0)))\n"
    )
    (folder / "course" / "notebooks").mkdir()
    (folder / "course" / "notebooks" / "00.ipynb").write_text("new")
    (folder / "course" / "README.md").write_text("new")
    (folder / "wheels").mkdir()
    (folder / "contents.json").write_text('{"targets": ["linux-3.12"]}')
    monkeypatch.setattr(install, "HERE", str(folder))
    monkeypatch.setattr(install, "COURSE", str(folder / "course"))
    monkeypatch.setattr(install, "WHEELS", str(folder / "wheels"))
    monkeypatch.chdir(tmp_path)
    return folder


def test_the_installer_takes_packages_from_the_stick_and_from_nowhere_else(
    usb, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PIP_INDEX_URL", "https://example.org")
    home = tmp_path / "mine"
    assert install.main([str(home)]) is None
    venv, pip = json.loads((tmp_path / "seen.json").read_text())
    assert Path(venv) == home / ".venv"
    assert pip == {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(usb / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    assert "lab.py" in capsys.readouterr().out


def test_installing_again_keeps_notebooks_and_renews_the_rest(usb, tmp_path):
    home = tmp_path / "mine"
    install.main([str(home)])
    for name in ("notebooks/00.ipynb", "README.md"):
        (home / name).write_text("changed")
    assert install.main([str(home)]) is None
    assert (home / "notebooks" / "00.ipynb").read_text() == "changed"
    assert (home / "README.md").read_text() == "new"


def test_what_goes_wrong_is_explained(usb, tmp_path, monkeypatch):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").touch()
    assert "something else" in install.main([str(tmp_path / "thesis")])
    monkeypatch.setenv("FAIL", "1")
    assert "packages for: linux-3.12" in install.main([str(tmp_path / "mine")])
    (usb / "wheels").rmdir()
    assert "copy the whole folder" in install.main([str(tmp_path / "mine")])


def test_the_installer_is_python_that_an_old_one_can_read():
    import ast

    ast.parse(bundle.INSTALLER.read_text(encoding="utf-8"), feature_version=(3, 6))
    assert Path(install.__file__).resolve() == bundle.INSTALLER
