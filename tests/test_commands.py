"""The scripts behind the Makefile: the environment, the lab, the lock."""

import ast
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lib.tools import bootstrap, lab, private_state
from tiny_wheels import lock_lines, write_wheel

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


# --- which Python ---------------------------------------------------------------------------------

LINUX = ("linux", "x86_64")


@pytest.mark.parametrize(
    ("version", "bits64", "system", "words"),
    [
        (bootstrap.OLDEST, True, LINUX, None),
        (bootstrap.NEWEST, True, LINUX, None),
        ((3, 10), True, LINUX, "3.10 is too old. Install Python 3.11 to 3.13"),
        ((3, 14), True, LINUX, "3.14 is too new"),
        ((3, 12), False, ("win32", "x86"), "Install a 64-bit Python"),
        ((3, 12), True, ("darwin", "x86_64"), "Linux container"),
    ],
)
def test_an_unfit_python_is_told_what_to_do(version, bits64, system, words):
    reason = bootstrap.unfit(version, bits64, system)
    assert reason is None if words is None else words in reason


def test_the_range_of_pythons_is_the_same_where_it_cannot_be_imported():
    def read(name):
        return re.sub(r"\n# ", " ", (ROOT / name).read_text(encoding="utf-8"))

    pythons = [f"3.{minor}" for minor in range(bootstrap.OLDEST[1], bootstrap.NEWEST[1] + 1)]
    for name in ("Makefile", "requirements.txt"):
        found = set(re.findall(r"Python (3\.\d+ to 3\.\d+)", read(name)))
        assert found == {bootstrap.RANGE}, name
    assert f'target-version = "py{pythons[0].replace(".", "")}"' in read("pyproject.toml")
    for name in ("test", "versions"):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
        (matrix,) = re.findall(r"^ +python: \[(.*)\]$", text, re.MULTILINE)
        assert re.findall(r"[\d.]+", matrix) == pythons
    assert f"Python {', '.join(pythons[:-1])} or {pythons[-1]}" in read("README.md")
    assert all(f"python{python}" in read("Makefile") for python in pythons)
    assert f"--python-version {pythons[0]} " in read("Makefile")


def old_pythons():
    """Pythons on this computer that are too old for the course."""
    folders = [Path("/usr/bin"), Path("/usr/local/bin"), *Path.home().glob(".pyenv/versions/*/bin")]
    paths = [folder / f"python3.{minor}" for folder in folders for minor in (6, 7, 8, 9, 10)]
    return [path for path in paths if path.exists()]


def start(python, *arguments, **variables):
    """Start the installer as the Makefile does."""
    return subprocess.run(
        [python, "-B", "-m", "lib.tools.bootstrap", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not old_pythons(), reason="no Python 3.6 to 3.10 on this computer")
def test_an_old_python_says_so_in_one_line(tmp_path):
    for python in old_pythons():
        answer = start(python, "--this-python", tmp_path / "venv")
        assert answer.returncode == 1
        assert "is too old. Install Python 3.11 to 3.13" in answer.stderr
        assert len(answer.stderr.splitlines()) == 1
        assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("name", ["__init__", "files", "tools/__init__", "tools/bootstrap"])
def test_what_starts_before_the_packages_can_be_read_by_an_old_python(name):
    text = (ROOT / "lib" / f"{name}.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 6))


@needs_make
def test_a_python_that_suits_is_found_behind_commands_that_fail(tmp_path):
    for name, text in (("python3.13", "exit 127"), ("python3.12", f'exec "{sys.executable}" "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    command = [shutil.which("make"), "--dry-run", "lab"]
    path = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True)
    assert 'python="python3.12"' in done.stdout


# --- the folder -----------------------------------------------------------------------------------


@pytest.fixture
def venv(tmp_path):
    """A folder that looks like an environment with a working Python."""
    folder = tmp_path / "environment"
    python = Path(bootstrap.venv_python(str(folder)))
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).parent}\n")
    return str(folder)


def test_ready_only_with_the_stamp_of_these_lists_and_this_python(venv, monkeypatch):
    assert not bootstrap.ready(venv, ["lessons"])
    bootstrap.write_stamp(venv, "installing", True, ["lessons"])
    assert not bootstrap.ready(venv, ["lessons"])
    bootstrap.write_stamp(venv, "ready", True, ["lessons"])
    assert bootstrap.ready(venv, ["lessons"], bootstrap.dotted(sys.version_info))
    assert not bootstrap.ready(venv, ["lessons"], "3.99")
    assert not bootstrap.ready(venv, ["lessons", "tests"])
    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "locked", lambda name: "another")
        assert not bootstrap.ready(venv, ["lessons"])
    os.remove(bootstrap.venv_python(venv))
    assert not bootstrap.ready(venv, ["lessons"])


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_damaged_stamp_counts_as_none(venv, text):
    Path(venv, bootstrap.STAMP).write_text(text)
    assert bootstrap.read_stamp(venv) == {}


def test_what_is_there_is_brought_up_to_date_and_one_made_by_hand_is_kept(venv):
    assert bootstrap.start_folder(venv) is False
    bootstrap.write_stamp(venv, "ready", True, ["lint"])
    assert bootstrap.start_folder(venv) is True
    assert os.path.exists(bootstrap.venv_python(venv))


def test_a_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("important")
    assert bootstrap.main(["--this-python", str(tmp_path)]) == 1
    assert "is not an environment of Python" in capsys.readouterr().err
    assert (tmp_path / "thesis.txt").read_text() == "important"


def test_a_path_goes_through_a_pipe_that_has_no_letter_for_it(tmp_path, monkeypatch):
    folder = tmp_path / "課程 \u2713"
    folder.mkdir()
    bootstrap.write_stamp(str(folder), "installing", True, ["lessons"])
    for step in ("with_uv", "with_pip"):
        monkeypatch.setattr(bootstrap, step, lambda *_: False)
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert bootstrap.main(["--this-python", str(folder)]) == 1
    pipe.flush()
    assert b"did not finish: starting again" in pipe.buffer.getvalue()


# --- installing, from tiny packages in place of a registry ----------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment with nothing but pip: making one takes seconds, copying it does not."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    bootstrap.make(str(folder))
    return folder


@pytest.fixture
def registry(tmp_path, monkeypatch, bare):
    """A folder of packages, beside locks that name them."""

    def make(venv):
        if not os.path.exists(bootstrap.venv_python(venv)):
            shutil.copytree(bare, venv, symlinks=True, dirs_exist_ok=True)

    monkeypatch.setattr(bootstrap, "make", make)
    for variable in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(variable)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (tmp_path / "tests").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    return wheels


def write_locks(wheels, uv):
    """Lessons get `one`, tests `two` and `ruff`; `uv` is the source of what stands for uv."""
    lines = {name: lock_lines(name, write_wheel(wheels, name)) for name in ("one", "two", "ruff")}
    lines["uv"] = lock_lines("uv", write_wheel(wheels, "uv", main=uv))
    (wheels.parent / "requirements.lock").write_text(lines["one"] + lines["uv"])
    (wheels.parent / "tests" / "requirements.lock").write_text(lines["ruff"] + lines["two"])


def compiled(venv):
    """Which of the packages are installed and compiled."""
    found = venv.rglob("site-packages/*/__pycache__/__init__*")
    return {path.parent.parent.name for path in found} & {"one", "two", "ruff"}


def real_uv():
    uv = pytest.importorskip("uv", reason="uv is not installed: pip installed this environment")
    return (
        f"import subprocess, sys\nsys.exit(subprocess.call([{uv.find_uv_bin()!r}, *sys.argv[1:]]))"
    )


def test_uv_installs_what_is_locked_compiles_it_and_adds_a_list(registry, capfd, monkeypatch):
    write_locks(registry, real_uv())
    venv = registry.parent / "venv"
    assert bootstrap.main(["--this-python", str(venv)]) == 0
    assert compiled(venv) == {"one"}
    assert bootstrap.main(["--this-python", str(venv), "lint"]) == 0
    assert compiled(venv) == {"one", "ruff"}
    assert "pip does the same" not in capfd.readouterr().out
    monkeypatch.setattr(bootstrap, "install", lambda *_: pytest.fail("installs again"))
    for lists in (["lessons"], ["lint"], ["lessons", "lint"]):
        assert bootstrap.main([str(venv), *lists]) == 0
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("reason", ["uv fails", "pip has a setting of its own", "there is no uv"])
def test_pip_does_the_same_where_uv_cannot(registry, capfd, monkeypatch, reason):
    write_locks(registry, "import sys; sys.exit('error: Failed to fetch: dns error')")
    if reason == "pip has a setting of its own":
        monkeypatch.setenv("PIP_TRUSTED_HOST", "localhost")
    if reason == "there is no uv":
        (registry / "uv-1.0-py3-none-any.whl").unlink()
    venv = registry.parent / "venv"
    assert bootstrap.main(["--this-python", str(venv), "lessons", "tests"]) == 0
    shown = capfd.readouterr()
    assert "pip does the same" in shown.out
    assert ("dns error" in shown.err) == (reason == "uv fails")
    assert compiled(venv) == {"one", "two", "ruff"}


def test_a_package_that_is_not_the_locked_one_is_refused_and_mended(registry, capfd):
    write_locks(registry, real_uv())
    package = registry / "one-1.0-py3-none-any.whl"
    right = package.read_bytes()
    package.write_bytes(right + b"more")
    venv = registry.parent / "venv"
    assert bootstrap.main(["--this-python", str(venv)]) == 1
    shown = capfd.readouterr().err
    assert "one==1.0" in shown  # uv's words
    assert "run the command again, or choose another folder" in shown.splitlines()[-1]
    assert not bootstrap.ready(str(venv), ["lessons"])
    package.write_bytes(right)
    assert bootstrap.main(["--this-python", str(venv)]) == 0
    assert "did not finish: starting again" in capfd.readouterr().out
    assert compiled(venv) == {"one"}


def test_a_list_that_cannot_be_added_leaves_what_works(registry, capfd):
    write_locks(registry, real_uv())
    venv = registry.parent / "venv"
    assert bootstrap.main(["--this-python", str(venv)]) == 0
    (registry / "two-1.0-py3-none-any.whl").unlink()
    assert bootstrap.main(["--this-python", str(venv), "tests"]) == 1
    assert "two==1.0" in capfd.readouterr().err
    assert bootstrap.ready(str(venv), ["lessons"])
    assert "one" in compiled(venv)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ("", {}),
        ("global.index-url='https://a/simple'", {"UV_DEFAULT_INDEX": "https://a/simple"}),
        ("global.index-url='a'\n:env:.index-url='b'", {"UV_DEFAULT_INDEX": "b"}),
        (":env:.extra-index-url='a\\nb'", {"UV_INDEX": "a b"}),
        ("install.find-links='a b'", {"UV_FIND_LINKS": "a,b"}),
        ("global.no-index='true'\nfreeze.index-url='x'", {"UV_OFFLINE": "true"}),
        ("global.cert='/x.pem'", {"SSL_CERT_FILE": "/x.pem"}),
        ("global.proxy='http://p'", None),
        ("install.trusted-host='h'", None),
    ],
)
def test_uv_is_told_what_pip_is_told_or_is_left_out(configuration, expected):
    assert bootstrap.uv_variables(configuration) == expected


# --- the lab --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "expected"), [(None, (8888, 50)), (9000, (9000, 0))])
def test_the_next_free_port_is_taken_but_a_wish_is_a_wish(port, expected):
    arguments = lab.server_arguments(port, True)
    wanted = "--ServerApp.port={}", "--ServerApp.port_retries={}"
    assert {text.format(n) for text, n in zip(wanted, expected, strict=True)} <= set(arguments)


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_number_that_is_no_port_is_an_error(port, capsys):
    with pytest.raises(SystemExit):
        lab.main([f"--port={port}"])
    assert "is not a port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "platform", "screen"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"BROWSER": "firefox"}, "linux", True),
        ({}, "darwin", True),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_where_there_is_a_screen(environment, platform, screen):
    assert lab.has_screen(environment, platform) is screen
    assert ("--no-browser" in lab.server_arguments(8888, screen)) is not screen


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no root on this system")
@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_root_is_allowed_where_needed_and_other_computers_never(monkeypatch, user, allowed):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    arguments = lab.server_arguments(8888, True)
    assert ("--allow-root" in arguments) is allowed
    assert "--ServerApp.ip=127.0.0.1" in arguments


def test_overrides_are_merged_into_what_is_there(tmp_path):
    path = tmp_path / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    path.parent.mkdir(parents=True)
    mine = {"theme": {"dark": True}, "@jupyterlab/apputils-extension:notification": {"other": 1}}
    path.write_text(json.dumps(mine))
    assert lab.write_overrides(tmp_path) == path
    settings = json.loads(path.read_text())
    assert settings["theme"] == {"dark": True}
    assert settings["@jupyterlab/apputils-extension:notification"]["other"] == 1
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    kernels = settings["@jupyterlab/apputils-extension:kernels-settings"]
    assert kernels == {"commsOverSubshells": "disabled"}
    before = path.stat().st_mtime_ns
    lab.write_overrides(tmp_path)
    assert path.stat().st_mtime_ns == before


def test_the_settings_are_settings_that_jupyterlab_has():
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    for plugin, values in lab.OVERRIDES.items():
        package, name = plugin.split(":")
        schema = json.loads((schemas / package / f"{name}.json").read_text(encoding="utf-8"))
        assert set(values) <= set(schema["properties"])
    themes = schemas / (lab.THEMES.removesuffix(".jupyterlab-settings") + ".json")
    schema = json.loads(themes.read_text(encoding="utf-8"))
    assert set(lab.LETTERS) <= set(schema["definitions"]["cssOverrides"]["properties"])


def test_large_letters_are_written_once_and_then_belong_to_the_teacher(tmp_path):
    lab.write_letters(tmp_path)
    assert json.loads((tmp_path / lab.THEMES).read_text()) == {"overrides": lab.LETTERS}
    (tmp_path / lab.THEMES).write_text("{}")
    lab.write_letters(tmp_path)
    assert (tmp_path / lab.THEMES).read_text() == "{}"


@pytest.mark.parametrize("projector", [True, False])
def test_the_workspace_opens_the_first_lesson_and_on_a_projector_folds_the_contents(projector):
    data = lab.workspace(projector=projector)["data"]
    layout = data["layout-restorer:data"]
    assert data[layout["main"]["current"]]["data"]["path"] == lab.FIRST
    assert (ROOT / lab.FIRST).exists()
    assert layout["left"]["collapsed"] is projector
    assert layout["left"]["current"] == (None if projector else lab.TABLE_OF_CONTENTS)


def test_private_state_sets_every_folder(tmp_path, monkeypatch):
    for variable in (*private_state.FOLDERS, "JUPYTER_PATH"):
        monkeypatch.setenv(variable, "/elsewhere")
    private_state.use(tmp_path)
    for variable in private_state.FOLDERS:
        assert tmp_path in Path(os.environ[variable]).parents
        assert Path(os.environ[variable]).is_dir()
    assert "JUPYTER_PATH" not in os.environ


# --- the locks ------------------------------------------------------------------------------------


def locked(name):
    """The packages of a lock: name to (version, number of hashes)."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--index-url|--find-links", text), "it names a registry"
    packages = {}
    for block in re.split(r"\n(?=[a-z])", text):
        found = re.match(r"([\w.-]+)==([\w.]+)", block)
        if found:
            assert found.group(1) not in packages, "one release of each package, for every system"
            packages[found.group(1)] = (found.group(2), block.count("--hash=sha256:"))
    return packages


def test_the_locks_have_every_requirement_in_its_range_with_hashes_and_agree():
    folders = ("", "lib/tools/site/", "tests/")
    locks = [locked(f"{folder}requirements.lock") for folder in folders]
    for packages, folder in zip(locks, folders, strict=True):
        lines = (ROOT / f"{folder}requirements.txt").read_text(encoding="utf-8").splitlines()
        requirements = [re.sub("#.*|^-r .*", "", line).strip() for line in lines]
        for requirement in map(Requirement, filter(None, requirements)):
            version, _ = packages[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), f"{requirement}: run make lock"
        assert all(hashes > 0 for _, hashes in packages.values())
    for one, other in itertools.combinations(locks, 2):
        both = one.keys() & other.keys()
        assert {n: one[n] for n in both} == {n: other[n] for n in both}, "run make lock"
    assert locks[1].keys() <= locks[2].keys(), "the tests build the website: run make lock"


# --- the Makefile ---------------------------------------------------------------------------------


def test_make_help_names_every_command():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    shown = re.findall(r"^## make ([\w-]+)", text, re.MULTILINE)
    assert {t for t in targets if not t.startswith(("help", "environment"))} == set(shown)


@needs_make
@pytest.mark.parametrize(
    ("goal", "lists"),
    [
        ("lab", "lessons"),
        ("test", "lessons tests"),
        ("lint", "lint"),
        ("grade", "lessons"),
        ("site", "lessons site"),
    ],
)
def test_each_command_asks_for_the_lists_that_it_needs(goal, lists):
    command = ["make", "--dry-run", goal, "PYTHON=python3", "VENV=/x"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    asked = re.search(r"lib\.tools\.bootstrap (.*)", done.stdout).group(1).split()
    assert asked == ["--this-python", '"/x"', *lists.split()]


@needs_make
def test_clean_deletes_only_what_this_project_made(tmp_path, venv):
    def clean(folder):
        command = ["make", "-f", ROOT / "Makefile", "clean", f"VENV={folder}"]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    root = tmp_path / "the course"
    made = ("lib/__pycache__", "build/site", "dist/usb")
    for name in (*made, "data/build", "mine/lib/__pycache__"):
        (root / name).mkdir(parents=True)
    (root / "mine" / "pyvenv.cfg").touch()
    assert "Left alone" in clean(venv)
    assert "Left alone" in clean("mine")
    assert not any((root / name).exists() for name in made)
    assert all((root / name).exists() for name in ("data/build", "mine/lib/__pycache__"))
    bootstrap.write_stamp(venv, "ready", True, ["lessons"])
    (root / "link").symlink_to(venv)
    clean("link")
    assert os.listdir(venv)
    clean(venv)
    assert not os.path.exists(venv)
    assert sorted(os.listdir(root)) == ["data", "lib", "mine"]


@pytest.mark.skipif(os.name == "nt", reason="makes a link")
def test_git_ignores_an_environment_that_is_a_link(tmp_path):
    shutil.copy(ROOT / ".gitignore", tmp_path)
    (tmp_path / ".venv").symlink_to(tmp_path / "elsewhere")
    for command in ("init -q", "add -A"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    shown = subprocess.run(["git", "ls-files"], cwd=tmp_path, capture_output=True, text=True)
    assert shown.stdout.split() == [".gitignore"]
