"""Install the course from this folder, without a network.

    python install.py [FOLDER]

Copies the course to FOLDER (default: from-softmax-to-arcface in the home) and installs the packages
there. Lies beside course/ and wheels/ in what `make bundle` makes. Any Python from 3.6 on can start
it; one that suits is looked for.
"""

import os
import pathlib
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "from-softmax-to-arcface"


def copy_course(source, target):
    """Copy a folder; notebooks that are there already stay as they are: somebody worked in them."""
    for folder, _, names in os.walk(source):
        there = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(there, exist_ok=True)
        for name in names:
            new = os.path.join(there, name)
            if not (name.endswith(".ipynb") and os.path.exists(new)):
                shutil.copyfile(os.path.join(folder, name), new)


def main(arguments, here=HERE):
    """Install; return None, or what went wrong."""
    target = os.path.abspath(arguments[0] if arguments else os.path.expanduser("~/" + NAME))
    course, wheels = os.path.join(here, "course"), os.path.join(here, "wheels")
    if not (os.path.isdir(course) and os.path.isdir(wheels)):
        return f"{here} lacks course or wheels: copy the whole folder of the bundle."
    ours = os.path.exists(os.path.join(target, "lib", "tools", "bootstrap.py"))
    if os.path.isdir(target) and os.listdir(target) and not ours:
        return f"{target} is there already and is something else: name another folder."
    copy_course(course, target)
    # pip looks at nothing but the wheels of this folder
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("PIP_")}
    folders = [folder.as_uri() for folder in sorted(pathlib.Path(wheels).iterdir())]  # no spaces
    environment.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=" ".join(folders))
    environment.update(PIP_CONFIG_FILE=os.devnull)
    command = [sys.executable, "-m", "lib.tools.bootstrap"]
    if subprocess.call(command, cwd=target, env=environment):
        targets = ", ".join(sorted(os.listdir(wheels)))
        return f"This folder has packages for: {targets}. Is it that system and that Python?"
    python = os.path.join(".venv", "Scripts" if os.name == "nt" else "bin", "python")
    print(f'Open the course:\n\n  cd "{target}"\n  {python} -m lib.tools.lab\n')
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
