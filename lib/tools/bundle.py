"""Pack the course and its packages for machines without a network: one folder, for a USB stick.

    python -m lib.tools.bundle [--output FOLDER] [PLATFORM-PYTHON ...]

for example `windows-3.12 macos-3.13`; without names, for this computer and this Python. The folder
gets

    course/         the files of the repository
    wheels/TARGET/  every package of requirements.lock, for each of the named targets
    install.py      copies the course to the computer and installs it, without a network
    README.txt      what to do with it

A second run adds what is missing.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.markers import Marker

from ..files import Problem, write_atomically
from . import bootstrap

ROOT = Path(bootstrap.ROOT)
INSTALLER = Path(__file__).resolve().parent / "install.py"


MANYLINUX = [f"manylinux_2_{minor}" for minor in range(34, 4, -1)] + ["manylinux2014"]

# A system as the markers of the lock know it, its machine, and pip's tags for its wheels.
PLATFORMS = {
    "linux": ("linux", "Linux", "posix", "x86_64", [f"{tag}_x86_64" for tag in MANYLINUX]),
    "linux-arm": ("linux", "Linux", "posix", "aarch64", [f"{tag}_aarch64" for tag in MANYLINUX]),
    "windows": ("win32", "Windows", "nt", "AMD64", ["win_amd64"]),
    "macos": ("darwin", "Darwin", "posix", "arm64", ["macosx_14_0_arm64"]),
}
PYTHONS = [f"3.{minor}" for minor in range(bootstrap.OLDEST[1], bootstrap.NEWEST[1] + 1)]


def parse_target(text):
    """The platform's name and the Python of a target such as "windows-3.12".

    Raises:
        Problem: if it is none.
    """
    name, _, version = text.rpartition("-")
    if name not in PLATFORMS or version not in PYTHONS:
        raise Problem(
            f"{text} is not a target: take one of {', '.join(PLATFORMS)}, a hyphen and a Python "
            f"from {bootstrap.RANGE}, such as windows-3.12"
        )
    return name, version


def this_target():
    """The target that is this computer with this Python."""
    for name, (system, _, _, machine, _) in PLATFORMS.items():
        if (system, machine) == bootstrap.HERE:
            return f"{name}-{bootstrap.dotted(sys.version_info)}"
    raise Problem(f"this computer {bootstrap.HERE} is none of {', '.join(PLATFORMS)}")


def copy_course(root, target):
    """Copy the files that git tracks; what an older bundle had in their place goes.

    Raises:
        Problem: if this is no checkout.
    """
    try:
        command = ["git", "ls-files", "-z"]
        answer = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Problem(f"{root} is not a git checkout: a bundle holds what git tracks") from None
    shutil.rmtree(target, ignore_errors=True)
    for name in set(filter(None, answer.decode().split("\0"))):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)


def requirements_for(lock, name, version):
    """The lock as one platform and Python need it: those packages, without markers.

    pip would evaluate the markers for the computer that it runs on.
    """
    system, long_name, os_name, machine, _ = PLATFORMS[name]
    environment = {
        "sys_platform": system,
        "platform_system": long_name,
        "os_name": os_name,
        "platform_machine": machine,
        "python_version": version,
        "python_full_version": f"{version}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
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
        Problem: if pip fails, which says itself why.
    """
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--quiet"]
    command += [f"--platform={tag}" for tag in PLATFORMS[name][-1]]
    command += [f"--python-version={version}", "--implementation=cp", "--abi=abi3", "--abi=none"]
    command += [f"--abi=cp{version.replace('.', '')}", f"--dest={folder}"]
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "requirements.txt")
        file.write_text(requirements, encoding="utf-8")
        command.append(f"--requirement={file}")
        status = subprocess.call([*command, *options])
    if status:
        raise Problem(f"pip could not fetch the packages for {name}-{version}, see above")


README = """\
From softmax to ArcFace, for computers without a network: {targets}

1. Install Python {versions}, if it is not there. (Python itself is not in this folder: put its
   installer on the stick as well.)
2. Run install.py with it; on Linux and macOS: python3 install.py, on Windows: py install.py
   It copies the course into your home and installs the packages there, 3 GB, one to ten minutes.
3. It says how to open the course. The stick is not needed any more.

Run it again to repair or to finish an installation: notebooks that are there already are kept.
"""


def bundle(targets, folder):
    """Make or complete the folder; return the targets that it serves."""
    lock = bootstrap.locked("lessons")
    parsed = [parse_target(target) for target in targets]
    copy_course(ROOT, folder / "course")
    shutil.copyfile(INSTALLER, folder / "install.py")
    wheels = folder / "wheels"
    for (name, version), target in zip(parsed, targets, strict=True):
        print(f"packages for {target} ...", flush=True)
        download(requirements_for(lock, name, version), name, version, wheels / target)
    served = sorted({path.parent.name for path in wheels.glob("*/*.whl")})
    versions = " or ".join(sorted({target.rpartition("-")[2] for target in served}))
    write_atomically(
        folder / "README.txt", README.format(targets=", ".join(served), versions=versions)
    )
    return served


def main(arguments=None):
    sys.stdout.reconfigure(errors="replace")  # a path may have letters that a pipe lacks
    parser = argparse.ArgumentParser(description="Pack the course for machines without a network.")
    parser.add_argument("targets", nargs="*", help="such as windows-3.12; default: this computer")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "usb", help="its folder")
    options = parser.parse_args(arguments)
    try:
        served = bundle(options.targets or [this_target()], options.output)
    except (Problem, OSError) as problem:
        print(f"No bundle: {problem}.", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in options.output.rglob("*")) / 1e9
    print(f"{options.output}: {size:.1f} GB, for {', '.join(served)}. Copy it to a USB stick.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
