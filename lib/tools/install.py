"""Install the course from this folder, without a network.

    python install.py [FOLDER]

Copies the course to FOLDER (default: from-softmax-to-arcface in the home) and installs the packages
there. Lies beside course/ and wheels/ in what `make bundle` makes. Any Python from 3.6 on can start
it; one that suits is looked for.
"""

import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
COURSE, WHEELS = os.path.join(HERE, "course"), os.path.join(HERE, "wheels")
NAME = "from-softmax-to-arcface"


def copy_missing(source, target):
    """Copy a folder; notebooks that are there already stay as they are: somebody worked in them."""
    for folder, _, names in os.walk(source):
        there = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(there, exist_ok=True)
        for name in names:
            new = os.path.join(there, name)
            if not (name.endswith(".ipynb") and os.path.exists(new)):
                shutil.copyfile(os.path.join(folder, name), new)


def only_from_here(variables):
    """The variables for a pip that looks at nothing but the wheels of this folder."""
    kept = {name: value for name, value in variables.items() if not name.startswith("PIP_")}
    kept.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=WHEELS, PIP_CONFIG_FILE=os.devnull)
    return kept


def how_to_open(target):
    windows = os.name == "nt"
    python = os.path.join(".venv", "Scripts" if windows else "bin", "python")
    lab = " ".join([python, os.path.join("lib", "tools", "lab.py")])
    return f'Open the course:\n\n  cd "{target}"\n  {lab}\n'


def main(arguments):
    target = os.path.abspath(arguments[0] if arguments else os.path.expanduser("~/" + NAME))
    for folder in (COURSE, WHEELS):
        if not os.path.isdir(folder):
            return f"{folder} is missing: copy the whole folder of the bundle."
    ours = os.path.exists(os.path.join(target, "lib", "tools", "bootstrap.py"))
    if os.path.isdir(target) and os.listdir(target) and not ours:
        return f"{target} is there already and is something else: name another folder."
    print(f"Copying the course to {target}")
    copy_missing(COURSE, target)
    bootstrap = os.path.join(target, "lib", "tools", "bootstrap.py")
    command = [sys.executable, bootstrap, os.path.join(target, ".venv")]
    status = subprocess.call(command, env=only_from_here(os.environ))
    if status:
        with open(os.path.join(HERE, "contents.json")) as file:
            targets = ", ".join(json.load(file)["targets"])
        return f"This folder has packages for: {targets}. Is it that system and that Python?"
    print(how_to_open(target))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
