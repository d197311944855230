"""Make the course's environment, or see that it is there.

    python -m lib.tools.bootstrap [--this-python] [VENV [LIST ...]]

Any Python from 3.6 on can start it, if only to read that it does not suit. A LIST is what has to be
there: lessons, site, tests or lint. A file in the environment, the stamp, says what was installed,
so that a second call returns at once and an interrupted one is repaired. uv installs; where it
cannot, pip does the same. With --this-python, an environment of another Python is made anew.
"""

import argparse
import ast
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

from ..files import Problem, write_atomically

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STAMP = "course-environment.json"

# The Pythons of the course. A test holds to this what cannot import it.
OLDEST, NEWEST = (3, 11), (3, 13)
RANGE = "{}.{} to {}.{}".format(*OLDEST + NEWEST)

# For each list: its lock, and the one package of it that is wanted, if not all.
LISTS = {
    "lessons": ("requirements.lock", None),
    "site": ("lib/tools/site/requirements.lock", None),
    "tests": ("tests/requirements.lock", None),
    "lint": ("tests/requirements.lock", "ruff"),
}

# Where packages come from, in pip's words, and the variable that tells uv the same.
SAME_IN_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "no-index": "UV_OFFLINE",
}
NOT_IN_UV = ("client-cert", "keyring-provider", "proxy", "trusted-host")

ELSEWHERE = "choose another folder: make ... VENV=/path/to/folder"
FAILED = (
    "what was started above has failed. Mend what it names, then run the command again, or "
    + ELSEWHERE
)


# --- which Python ---------------------------------------------------------------------------------


def dotted(version):
    return "{}.{}".format(*version[:2])


HERE = (sys.platform, platform.machine())


def unfit(version=None, bits64=sys.maxsize > 2**32, system=HERE):
    """Why a Python cannot run the course, or None. The defaults describe this Python."""
    version = tuple(version or sys.version_info)[:2]
    if not OLDEST <= version <= NEWEST:
        age = "too old" if version < OLDEST else "too new: TensorFlow is not released for it yet"
        return (
            f"Python {dotted(version)} is {age}. Install Python {RANGE}, or name one: "
            "make ... PYTHON=/path/to/python3.12"
        )
    if not bits64:
        return f"this Python is a 32-bit program. Install a 64-bit Python {RANGE}"
    if system == ("darwin", "x86_64"):
        return (
            "TensorFlow has no release for Macs with an Intel processor. Use a Linux container "
            "(on Apple silicon: install a Python built for arm64)"
        )
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        return (
            f"{sys.executable} has no venv module. On Debian or Ubuntu: sudo apt install "
            f"python{dotted(version)}-venv; or name another: make ... PYTHON=/path/to/python3.12"
        )
    return None


def venv_python(venv):
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(venv, *parts)


def installed_version(venv):
    """The version of the Python in an environment, such as "3.12"; None if it does not start."""
    command = [venv_python(venv), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


# --- the stamp and the folder ---------------------------------------------------------------------


def locked(name):
    """What is locked for a list, or for the one package of this name, as lines for pip."""
    file, package = LISTS.get(name, ("requirements.lock", name))
    with open(os.path.join(ROOT, file), encoding="utf-8") as lock:
        text = lock.read()
    return re.search(rf"^{package}==(.*\\\n)*.*\n", text, re.M).group() if package else text


def fingerprint(name):
    return hashlib.sha256(locked(name).encode("utf-8")).hexdigest()


def read_stamp(venv):
    """The stamp as a dict; empty where there is none that can be read."""
    try:
        with open(os.path.join(venv, STAMP), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv, state, created, lists):
    """Record what the folder is: `state` is "installing" or "ready"; `created`: made by us."""
    stamp = {"state": state, "created": created, "python": dotted(sys.version_info)}
    stamp["lists"] = {name: fingerprint(name) for name in lists}
    write_atomically(os.path.join(venv, STAMP), json.dumps(stamp, indent=1))


def ready(venv, lists, version=None):
    """Whether the environment holds what the locks say (and has the Python version, if given)."""
    stamp = read_stamp(venv)
    return (
        stamp.get("state") == "ready"
        and all(stamp.get("lists", {}).get(name) == fingerprint(name) for name in lists)
        and version in (None, stamp.get("python"))
        and os.path.exists(venv_python(venv))
    )


def start_folder(venv):
    """Bring the folder to where packages can be installed into it; return whether it is ours."""
    stamp, version = read_stamp(venv), dotted(sys.version_info)
    if stamp.get("created"):
        if stamp.get("state") == "ready" and installed_version(venv) == version:
            return True  # a list is missing or has changed: bring it up to date
        if stamp.get("state") != "ready":
            print(f"The last installation in {venv} did not finish: starting again.")
        empty(venv)
    elif os.path.isdir(venv) and os.listdir(venv):
        # One made by hand, as by the README's plain lines, is kept and installed into.
        if os.path.exists(os.path.join(venv, "pyvenv.cfg")) and installed_version(venv) == version:
            return False
        raise Problem(
            f"{venv} is there already, is not an environment of Python {version} and was not made "
            f"by this command. Delete it, or {ELSEWHERE}"
        )
    os.makedirs(venv, exist_ok=True)
    return True


def empty(folder, keep=()):
    """Delete what is in a folder, not the folder itself: it may be a mount point."""
    for entry in set(os.listdir(folder)) - set(keep):
        path = os.path.join(folder, entry)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


# --- installing -----------------------------------------------------------------------------------


def uv_variables(configuration):
    """What tells uv to take packages from where pip would; None where uv cannot do the same.

    `configuration` is what `pip config list` prints.
    """
    pip = {}
    for section in ("global", "install", ":env:"):  # the later ones win
        found = re.findall(rf"^{section}\.([\w-]+)=(.*)$", configuration, re.MULTILINE)
        pip.update((name, ast.literal_eval(value)) for name, value in found)
    if any(map(pip.get, NOT_IN_UV)):
        return None
    variables = {uv: " ".join(pip[name].split()) for name, uv in SAME_IN_UV.items() if name in pip}
    if "find-links" in pip:
        variables["UV_FIND_LINKS"] = ",".join(pip["find-links"].split())
    return variables


def run(command, venv, **more_variables):
    """Run a command, which shows its own progress and failures; return its exit status."""
    # what would install somewhere else
    elsewhere = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
    variables = {name: value for name, value in os.environ.items() if name not in elsewhere}
    # pip unpacks in the temporary folder, which is often a small disk in memory
    variables.update(PIP_USER="0", PIP_NO_INPUT="1", TMPDIR=os.path.join(venv, "tmp"))
    variables.update(more_variables)
    os.makedirs(variables["TMPDIR"], exist_ok=True)
    return subprocess.call(command, env=variables, stdin=subprocess.DEVNULL)


def requirements(venv, names):
    """The options by which pip and uv install the locked lists or packages of these names."""
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    options += [] if sys.stdout.isatty() else ["--quiet"]
    for name in names:
        file = os.path.join(venv, "tmp", name + ".txt")
        text = locked(name)
        if name in LISTS:  # without uv, which comes before them if it is to be had
            text = text.replace(locked("uv"), "")
        write_atomically(file, text)
        options.append("--requirement=" + file)
    return options


def make(venv):
    """Make an environment with nothing but pip, if there is none."""
    if not os.path.exists(venv_python(venv)) and run([sys.executable, "-m", "venv", venv], venv):
        raise Problem(FAILED)


def with_pip(venv, names):
    """Let pip install lists or packages; return whether it did."""
    make(venv)
    command = [venv_python(venv), "-m", "pip", "install", "--disable-pip-version-check"]
    return run([*command, *requirements(venv, names)], venv) == 0


def with_uv(venv, names):
    """Let pip install the locked uv and that one the rest; return whether it did."""
    make(venv)
    python = venv_python(venv)
    try:
        configuration = subprocess.check_output([python, "-m", "pip", "config", "list"])
    except subprocess.CalledProcessError:  # an environment without pip
        return False
    variables = uv_variables(configuration.decode(errors="replace"))
    if variables is None or not with_pip(venv, ["uv"]):
        return False
    command = [python, "-m", "uv", "pip", "install", "--python", python, "--compile-bytecode"]
    # among all indexes, as pip does it; the hashes say what may be taken
    command.append("--index-strategy=unsafe-best-match")
    return run([*command, *requirements(venv, names)], venv, **variables) == 0


def install(venv, lists):
    """Make the environment with this Python, and install what the lists lock."""
    began = time.time()
    lists = sorted({*lists, *read_stamp(venv).get("lists", {})} & set(LISTS))
    created = start_folder(venv)
    before = read_stamp(venv)  # of what works already, if anything does
    print(
        f"Installing in {venv} (Python {dotted(sys.version_info)}) for: {', '.join(lists)}. The "
        "first time this\ntakes one to ten minutes and, with the lessons, three GB of the disk.",
        flush=True,
    )
    write_stamp(venv, "installing", created, lists)
    done = with_uv(venv, lists)
    if not done:
        print("uv cannot do it here: pip does the same, more slowly.", flush=True)
        if created and before.get("state") != "ready":
            empty(venv, keep=(STAMP,))  # pip finds nothing half installed
        done = with_pip(venv, lists)
    shutil.rmtree(os.path.join(venv, "tmp"), ignore_errors=True)
    if not done:
        if before.get("state") == "ready":
            write_atomically(os.path.join(venv, STAMP), json.dumps(before, indent=1))
        raise Problem(FAILED)
    write_stamp(venv, "ready", created, lists)
    print(f"Installed in {time.time() - began:.0f} seconds.", flush=True)


# --- the command ----------------------------------------------------------------------------------


def prepare(venv, lists, this_python):
    """Make `venv` ready for the lists."""
    if ready(venv, lists, dotted(sys.version_info) if this_python else None):
        return
    unknown = set(lists) - set(LISTS)
    if unknown:
        raise Problem(f"there is no list {', '.join(unknown)}, but: {', '.join(LISTS)}")
    reason = unfit()
    if reason:
        raise Problem(reason)
    install(venv, lists)


def main(arguments=None):
    if hasattr(sys.stdout, "reconfigure"):  # not before Python 3.7
        sys.stdout.reconfigure(errors="replace")  # a path may have letters that a pipe lacks
    parser = argparse.ArgumentParser(description="Make the course's virtual environment.")
    option = parser.add_argument
    option("venv", nargs="?", default=".venv", help="its folder (default: .venv)")
    option("lists", nargs="*", default=["lessons"], help=f"of {', '.join(LISTS)}")
    option("--this-python", action="store_true", help="make one of another Python anew")
    options = parser.parse_args(arguments)
    venv = os.path.abspath(os.path.expanduser(options.venv))
    try:
        prepare(venv, options.lists, options.this_python)
        return 0
    except Problem as problem:
        message = str(problem)
    except OSError as error:
        message = f"{error.filename or venv}: {error.strerror}. Mend that, or {ELSEWHERE}"
    except KeyboardInterrupt:
        message = "stopped. The next run starts again from a clean folder"
    print(f"Cannot install the course: {message}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
