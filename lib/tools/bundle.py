"""Pack the course and its packages for machines without a network: one folder, for a USB stick.

    python -m lib.tools.bundle [--output FOLDER] [PLATFORM-PYTHON ...]

for example `windows-3.12 macos-3.13`; without names, for this computer and this Python. The folder
gets

    course/     the files of the repository
    wheels/     every package of requirements.lock for each of the named platforms
    install.py  copies the course to the computer and installs it, without a network
    README.txt  what to do with it

A second run adds what is missing. Which package a platform needs is decided by the markers in the
lock, evaluated for that platform: pip would evaluate them for the computer that it runs on.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from . import bootstrap

ROOT = Path(bootstrap.ROOT)
OUTPUT = ROOT / "dist" / "usb"
INSTALLER = Path(__file__).resolve().parent / "install.py"
CONTENTS = "contents.json"


class Problem(Exception):
    """Why there is no bundle; the text says what to do."""


@dataclass(frozen=True)
class Platform:
    """A system as pip's tags and as the markers of the lock know it."""

    tags: tuple
    markers: dict


def linux(machine):
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(34, 4, -1)]
    markers = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    tags += [f"manylinux2014_{machine}", f"linux_{machine}"]
    return Platform(tuple(tags), markers | {"platform_machine": machine})


PLATFORMS = {
    "linux": linux("x86_64"),
    "linux-arm": linux("aarch64"),
    "windows": Platform(
        ("win_amd64",),
        {
            "sys_platform": "win32",
            "platform_system": "Windows",
            "os_name": "nt",
            "platform_machine": "AMD64",
        },
    ),
    "macos": Platform(
        ("macosx_14_0_arm64",),
        {
            "sys_platform": "darwin",
            "platform_system": "Darwin",
            "os_name": "posix",
            "platform_machine": "arm64",
        },
    ),
}


def parse_target(text):
    """The platform's name and the Python of a target such as "windows-3.12".

    Raises:
        Problem: if it is none.
    """
    name, _, version = text.rpartition("-")
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    fits = len(numbers) == 2 and bootstrap.OLDEST <= numbers <= bootstrap.NEWEST
    if name not in PLATFORMS or not fits:
        raise Problem(
            f"{text} is not a target: take one of {', '.join(PLATFORMS)}, a hyphen and a Python "
            f"from {bootstrap.RANGE}, such as windows-3.12"
        )
    return name, version


def this_target():
    """The target that is this computer with this Python."""
    here = {name for name in PLATFORMS if PLATFORMS[name].markers["sys_platform"] == sys.platform}
    machine = os.uname().machine if hasattr(os, "uname") else "AMD64"
    for name in sorted(here):
        if PLATFORMS[name].markers["platform_machine"] == machine:
            return f"{name}-{bootstrap.dotted(sys.version_info)}"
    raise Problem(f"this computer ({sys.platform}, {machine}) is none of {', '.join(PLATFORMS)}")


# --- what goes into it ----------------------------------------------------------------------------


def tracked_files(root):
    """The files that git knows, as paths below `root`.

    Raises:
        Problem: if this is no checkout.
    """
    try:
        answer = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Problem(f"{root} is not a git checkout: a bundle holds what git tracks") from None
    names = sorted(set(filter(None, answer.decode().split("\0"))))
    return [Path(name) for name in names if (root / name).is_file()]


def copy_course(root, target):
    """Copy the tracked files; what an older bundle had in their place goes."""
    files = tracked_files(root)
    if target.exists():
        shutil.rmtree(target)
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / file, target / file)
    return len(files)


def requirements_for(lock, name, version):
    """The lock as one platform and Python need it: those packages, without markers."""
    environment = PLATFORMS[name].markers | {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    kept = []
    for block in re.split(r"\n(?=[a-zA-Z])", lock):
        found = re.match(r"([\w.-]+==[^\s;\\]+)\s*(?:;([^\\]+))?", block)
        if found and (not found[2] or Marker(found[2].strip()).evaluate(environment)):
            kept.append(" \\\n    ".join([found[1], *re.findall(r"--hash=\S+", block)]))
    return "\n".join(kept) + "\n"


def download(requirements, name, version, folder, options=()):
    """Fetch the wheels of pinned requirements for a platform.

    Raises:
        Problem: if pip fails; its last lines are in the text.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tags = [f"--platform={tag}" for tag in PLATFORMS[name].tags]
    number = version.replace(".", "")
    tags += [f"--python-version={version}", "--implementation=cp", f"--abi=cp{number}"]
    tags += ["--abi=abi3", "--abi=none"]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "requirements.txt")
        file.write_text(requirements, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"]
        command += [f"--find-links={folder}", f"--dest={folder}", f"--requirement={file}"]
        done = subprocess.run([*command, *tags, *options], capture_output=True, text=True)
    if done.returncode:
        output = done.stdout + done.stderr
        advice = bootstrap.diagnose(output) or "pip failed"
        raise Problem(f"{advice}. Its last words, for {name}-{version}:\n{output[-800:]}")


README = """\
From softmax to ArcFace, for computers without a network

This folder holds the course and all packages that it needs, for: {targets}.
On each computer:

1. Install Python {versions}, if it is not there. (Python itself is not in this folder: put its
   installer on the stick as well.)
2. Run install.py with it. It copies the course into a new folder in your home and installs the
   packages there: 3 GB, two to ten minutes.

     Linux, macOS:   python3 install.py
     Windows:        py install.py

3. It says how to open the course. The stick is not needed any more.

Run it again to repair or to finish an installation: notebooks that are there already are kept.
"""


def write_papers(folder, targets):
    """The installer, the README and the list of targets."""
    shutil.copyfile(INSTALLER, folder / "install.py")
    versions = " or ".join(sorted({target.rpartition("-")[2] for target in targets}))
    text = README.format(targets=", ".join(targets), versions=versions)
    (folder / "README.txt").write_text(text, encoding="utf-8")
    (folder / CONTENTS).write_text(json.dumps({"targets": targets}, indent=1), encoding="utf-8")


def bundle(targets, folder):
    """Make or complete the folder; return the targets that it serves."""
    lock = Path(bootstrap.LOCK).read_text(encoding="utf-8")
    parsed = [parse_target(target) for target in targets]
    count = copy_course(ROOT, folder / "course")
    print(f"{count} files of the course")
    before = folder / CONTENTS
    served = json.loads(before.read_text(encoding="utf-8"))["targets"] if before.exists() else []
    for (name, version), target in zip(parsed, targets, strict=True):
        print(f"packages for {target} ...", flush=True)
        download(requirements_for(lock, name, version), name, version, folder / "wheels")
        served = sorted({*served, target})
        write_papers(folder, served)
    return served


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Pack the course for machines without a network.")
    parser.add_argument("targets", nargs="*", help="such as windows-3.12; default: this computer")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: dist/usb")
    options = parser.parse_args(arguments)
    try:
        served = bundle(options.targets or [this_target()], options.output)
    except (Problem, OSError) as problem:
        print(f"No bundle: {problem}.", file=sys.stderr)
        return 1
    files = [path for path in options.output.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e9
    print(f"{options.output}: {size:.1f} GB, for {', '.join(served)}. Copy it to a USB stick.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
