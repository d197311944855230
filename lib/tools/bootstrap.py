"""Make the course's virtual environment, or see that it is already there.

    python -m lib.tools.bootstrap [--this-python] [VENV]

Any Python from 3.6 on can start this file: where it does not suit, another one on the PATH that
does is looked for (not with --this-python). A file in the environment, the stamp, says what was
installed, so that a second call returns at once and an interrupted one is repaired. Whatever goes
wrong is reported in one line that says what to do.
"""

import argparse
import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOCK = os.path.join(ROOT, "requirements.lock")
STAMP = "course-environment.json"
LOG = "install.log"

OLDEST, NEWEST = (3, 11), (3, 13)
RANGE = "3.11 to 3.13"
# Measured on Linux; the downloads are on the disk until the installation ends.
INSTALLED_GB = 2.8
DOWNLOAD_GB = 0.8
NEEDED_GB = 3.6

# What pip prints, as a pattern, and what to say about it; the first that is found counts.
PIP_FAILURES = (
    (
        r"No space left on device|Errno 28|Errno 122|WinError 112",
        "the disk is full. Free about {needed} GB, or choose a folder on another disk: "
        "make ... VENV=/path/to/folder",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        "a downloaded package is not the one in requirements.lock. Run `pip cache purge`, then "
        "the command again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the package registry's certificate was not accepted. If your network has a proxy with "
        "a certificate of its own, name that certificate's file in PIP_CERT",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ProxyError"
        r"|ConnectionError|ReadTimeoutError|Network is unreachable|ConnectionResetError"
        r"|IncompleteRead|ProtocolError",
        "the package registry cannot be reached. Check the network connection (and the proxy, "
        "if there is one), then run the command again",
    ),
    (
        r"No matching distribution found for (?P<name>\S+)",
        "the registry has no release of {name} for this computer ({machine})",
    ),
    (
        r"Permission denied|Errno 13|Read-only file system|Errno 30",
        "the folder cannot be written to. Choose another one: make ... VENV=/path/to/folder",
    ),
)


class Problem(Exception):
    """Something the person has to mend; the text says how."""


def dotted(version):
    return "{}.{}".format(*version[:2])


def unfit(version=None, bits64=None, system=None):
    """Why a Python cannot run the course, or None. The defaults describe this Python."""
    version = tuple(version or sys.version_info)[:2]
    if bits64 is None:
        bits64 = sys.maxsize > 2**32
    if not OLDEST <= version <= NEWEST:
        age = "too old" if version < OLDEST else "too new: TensorFlow is not released for it yet"
        return (
            f"Python {dotted(version)} is {age}. Install Python {RANGE}, or name one: "
            "make ... PYTHON=/path/to/python3.12"
        )
    if not bits64:
        return f"this Python is a 32-bit program. Install a 64-bit Python {RANGE}"
    if (system or (sys.platform, platform.machine())) == ("darwin", "x86_64"):
        return (
            "TensorFlow has no release for Macs with an Intel processor. Use a Linux container "
            "(on Apple silicon: install a Python built for arm64)"
        )
    return None


def lacks_venv():
    """Why this Python cannot make environments, or None."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return (
            f"{sys.executable} has no venv module. On Debian or Ubuntu: sudo apt install "
            f"python{dotted(sys.version_info)}-venv; or name another Python: "
            "make ... PYTHON=/path/to/python3.12"
        )
    return None


def find_python():
    """The first command on the PATH that starts a Python which suits, or None.

    Each is really started: a version manager leaves commands behind that only print an error.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    probe = (
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1]); "
        "import bootstrap as b; sys.exit(bool(b.unfit() or b.lacks_venv()))"
    )
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        path = shutil.which(name)
        if path is None:
            continue
        answer = subprocess.call(
            [path, "-c", probe, here],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if answer == 0:
            return path
    return None


def venv_python(venv):
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(venv, *parts)


def lock_hash():
    with open(LOCK, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def read_stamp(venv):
    """The stamp as a dict; empty where there is none that can be read."""
    try:
        with open(os.path.join(venv, STAMP), encoding="utf-8") as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(venv, state, created):
    """Record what the folder is: `state` is "installing" or "ready"; `created`: made by us."""
    stamp = {
        "state": state,
        "created": created,
        "python": dotted(sys.version_info),
        "lock": lock_hash(),
    }
    path = os.path.join(venv, STAMP)
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(stamp, file, indent=1)
    os.replace(path + ".new", path)


def ready(venv, version=None):
    """Whether the environment holds what the lock says (and has the Python version, if given)."""
    stamp = read_stamp(venv)
    return (
        stamp.get("state") == "ready"
        and stamp.get("lock") == lock_hash()
        and (version is None or stamp.get("python") == version)
        and os.path.exists(venv_python(venv))
    )


def diagnose(output):
    """One line on why pip failed, or None where it is nothing known."""
    for pattern, advice in PIP_FAILURES:
        found = re.search(pattern, output)
        if found:
            name = found.groupdict().get("name", "")
            machine = (
                f"{platform.system()}, {platform.machine()}, Python {platform.python_version()}"
            )
            return advice.format(needed=round(NEEDED_GB), name=name, machine=machine)
    return None


def free_gb(path):
    """Free space where `path` is, or would be, in GB."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free / 1e9


def empty(folder):
    """Delete what is in a folder, not the folder itself: it may be a mount point."""
    for entry in os.listdir(folder):
        path = os.path.join(folder, entry)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.remove(path)


def installed_version(venv):
    """The version of the Python in an environment, such as "3.12"; None if it does not start."""
    command = [venv_python(venv), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def pip_environment(venv):
    """The variables to run pip with: no setting that would install somewhere else."""
    elsewhere = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH")
    variables = {name: value for name, value in os.environ.items() if name not in elsewhere}
    # pip unpacks in the temporary folder, which is often a small disk in memory
    temporary = os.path.join(venv, "tmp")
    variables.update(
        PIP_USER="0", PIP_NO_INPUT="1", TMPDIR=temporary, TEMP=temporary, TMP=temporary
    )
    return variables


def run_logged(command, venv):
    """Run a command; its output goes to the log and is returned with the exit status.

    On a terminal one line shows how far pip has got.
    """
    variables = pip_environment(venv)
    os.makedirs(variables["TMPDIR"], exist_ok=True)
    process = subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    )
    lines, collected = [], 0
    with open(os.path.join(venv, LOG), "a", encoding="utf-8") as log:
        for line in process.stdout:
            lines.append(line)
            with contextlib.suppress(OSError):  # a full disk is pip's to report
                log.write(line)
                log.flush()
            if not sys.stdout.isatty():
                continue
            if line.startswith("Collecting "):
                collected += 1
                name = re.split(r"[=<>! ]", line.split()[1])[0]
                sys.stdout.write(f"\r\033[K  {collected} packages found, now {name}")
            elif line.startswith("Installing collected"):
                sys.stdout.write("\r\033[K  unpacking")
            sys.stdout.flush()
    status = process.wait()
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    with contextlib.suppress(OSError):
        shutil.rmtree(variables["TMPDIR"])
    return status, "".join(lines)


def start_folder(venv):
    """Bring the folder to where packages can be installed into it; return whether it is ours."""
    stamp = read_stamp(venv)
    if os.path.isdir(venv) and os.listdir(venv):
        if stamp.get("created"):
            python = installed_version(venv)
            if stamp.get("state") == "ready" and python == dotted(sys.version_info):
                return True  # the lock has changed: bring it up to date
            if stamp.get("state") != "ready":
                print(f"The last installation in {venv} did not finish: starting again.")
            empty(venv)
        elif os.path.exists(os.path.join(venv, "pyvenv.cfg")):
            # Made by hand, as the README's plain lines do. Keep it, and install into it.
            if installed_version(venv) != dotted(sys.version_info):
                raise Problem(
                    f"{venv} is an environment of another Python, and not made by this command. "
                    "Delete it, or choose another folder: make ... VENV=/path/to/folder"
                )
            return False
        else:
            raise Problem(
                f"{venv} is there already and is not a virtual environment. Choose another "
                "folder: make ... VENV=/path/to/folder"
            )
    free = free_gb(venv)
    if free < NEEDED_GB:
        raise Problem(
            f"{venv} needs about {NEEDED_GB:.1f} GB and its disk has {free:.1f} GB free. Free "
            "some space, or choose a folder on another disk: make ... VENV=/path/to/folder"
        )
    os.makedirs(venv, exist_ok=True)
    return True


def install(venv):
    """Make the environment with this Python and install the lock into it."""
    began = time.time()
    created = start_folder(venv)
    version = dotted(sys.version_info)
    print(
        f"Installing the course's packages in {venv} (Python {version}). The first time this "
        f"loads about {DOWNLOAD_GB} GB,\ntakes {INSTALLED_GB} GB on the disk and one to ten "
        "minutes.",
        flush=True,
    )
    write_stamp(venv, "installing", created)
    log = os.path.join(venv, LOG)
    open(log, "w").close()
    commands = []
    if not os.path.exists(venv_python(venv)):
        commands.append([sys.executable, "-m", "venv", venv])
    options = ("--require-hashes", "--only-binary", ":all:", "--progress-bar", "off")
    commands.append(
        [venv_python(venv), "-m", "pip", "install", "--disable-pip-version-check"]
        + [*options, "--requirement", LOCK]
    )
    for command in commands:
        status, output = run_logged(command, venv)
        if status != 0:
            advice = diagnose(output)
            if advice and "disk is full" in advice and created:
                empty(venv)  # give the space back
                raise Problem(advice)
            if advice is None:
                advice = "the installation failed"
            raise Problem(f"{advice}. Everything pip said is in {log}")
    write_stamp(venv, "ready", created)
    print(f"Installed in {time.time() - began:.0f} seconds.", flush=True)


def prepare(venv, this_python):
    """Make `venv` ready; return the exit status."""
    if ready(venv, dotted(sys.version_info) if this_python else None):
        return 0
    reason = unfit() or lacks_venv()
    if reason and not this_python:
        other = find_python()
        if other:
            return subprocess.call([other, os.path.abspath(__file__), "--this-python", venv])
    if reason:
        raise Problem(reason)
    install(venv)
    return 0


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Make the course's virtual environment.")
    parser.add_argument("venv", nargs="?", default=".venv", help="its folder (default .venv)")
    parser.add_argument(
        "--this-python", action="store_true", help="use the Python that runs this, no other"
    )
    options = parser.parse_args(arguments)
    venv = os.path.abspath(os.path.expanduser(options.venv))
    try:
        return prepare(venv, options.this_python)
    except Problem as problem:
        message = str(problem)
    except OSError as error:
        message = f"{error.filename or venv}: {error.strerror}"
        if error.errno == errno.ENOSPC:
            message = diagnose("No space left on device")
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            message += ". Choose a folder that can be written to: make ... VENV=/path/to/folder"
    except KeyboardInterrupt:
        message = "stopped. The next run starts again from a clean folder"
    print(f"\nCannot install the course: {message}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
