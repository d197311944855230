"""Run the tests with the oldest or the newest releases that requirements.txt allows.

    python -m lib.tools.versions {oldest,newest} [FOLDER]

Makes an environment in FOLDER (a temporary one without it, deleted at the end) with the Python that
runs this, installs there what uv resolves, shows the releases and runs the whole of the tests.
"""

import argparse
import subprocess
import sys
import tempfile

from . import bootstrap

RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}


def install(python, packages):
    """Install the oldest or the newest releases of what requirements.txt names."""
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
    uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    options = ["--resolution", RESOLUTIONS[packages], "--upgrade", "-r", "requirements.txt"]
    subprocess.run([*uv, *options], cwd=bootstrap.ROOT, check=True)


def run(packages, folder, tests):
    """Make the environment in a folder and run the tests in it; return pytest's exit status."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = bootstrap.venv_python(folder)
    install(python, packages)
    report = "from lib.course import environment_report; print(environment_report())"
    subprocess.run([python, "-c", report], cwd=bootstrap.ROOT, check=True)
    command = [python, "-B", "-m", "pytest", "--nbmake", "--nbmake-timeout=900", *tests]
    return subprocess.run(command, cwd=bootstrap.ROOT).returncode


def main():
    parser = argparse.ArgumentParser(description="Run the tests with other releases.")
    parser.add_argument("packages", choices=RESOLUTIONS)
    parser.add_argument("folder", nargs="?", help="where to keep the environment")
    parser.add_argument("--tests", nargs="*", default=["tests", "notebooks"])
    options = parser.parse_args()
    if bootstrap.unfit():
        raise SystemExit(f"Cannot make the environment: {bootstrap.unfit()}.")
    if options.folder:
        return run(options.packages, options.folder, options.tests)
    with tempfile.TemporaryDirectory() as folder:
        return run(options.packages, folder, options.tests)


if __name__ == "__main__":
    sys.exit(main())
