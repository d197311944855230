"""Open JupyterLab on the first lesson, with the table of contents beside it.

    python -m lib.tools.lab [--port PORT] [--projector]

Run it with the Python of the course's environment. The server listens on this computer alone and
asks for a token.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from ..files import write_atomically
from . import private_state

ROOT = Path(__file__).resolve().parents[2]
FIRST = "notebooks/00_start_here.ipynb"
WORKSPACE = "course"
TABLE_OF_CONTENTS = "@jupyterlab/toc:plugin"
USUAL_PORT = 8888

# Widget callbacks in threads of their own blank live figures (jupyterlab#19719, ipympl#610); and
# a class without a network needs no news.
OVERRIDES = {
    "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "disabled"},
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "doNotDisturbMode": False,
        "fetchNews": "false",
    },
}

# What --projector adds: letters that can be read from the last row. JupyterLab takes these only
# from a person's own settings, so a projector has a folder of settings of its own.
LETTERS = {"code-font-size": "18px", "content-font-size1": "20px"}
THEMES = "@jupyterlab/apputils-extension/themes.jupyterlab-settings"


def has_screen(environment=os.environ, platform=sys.platform):
    """Whether a browser can be opened where this runs."""
    return platform != "linux" or any(
        map(environment.get, ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"))
    )


def write_overrides(prefix=sys.prefix):
    """Put the course's settings into the environment's overrides; return their file.

    Other entries of the file stay as they are. A file that is up to date is not written.
    """
    path = Path(prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    merged = {name: {**settings.get(name, {}), **OVERRIDES[name]} for name in OVERRIDES}
    if settings | merged != settings:
        write_atomically(path, json.dumps(settings | merged, indent=2) + "\n")
    return path


def write_letters(folder):
    """Put large letters into a folder of settings; one where somebody changed them is left."""
    path = Path(folder) / THEMES
    if not path.exists():
        write_atomically(path, json.dumps({"overrides": LETTERS}, indent=2) + "\n")


def workspace(notebook=FIRST, projector=False):
    """JupyterLab's layout: the notebook in the middle, its table of contents on the left.

    On a projector the table of contents is folded away, for the figures are wider.
    """
    document = f"notebook:{notebook}"
    dock = {"type": "tab-area", "currentIndex": 0, "widgets": [document]}
    left = {
        "collapsed": projector,
        "visible": True,
        "current": None if projector else TABLE_OF_CONTENTS,
        "widgets": ["filebrowser", "running-sessions", TABLE_OF_CONTENTS],
    }
    layout = {
        "main": {"dock": dock, "current": document},
        "left": left,
        "right": {"collapsed": True, "visible": True, "widgets": []},
        "relativeSizes": [0.22, 0.78, 0],
    }
    data = {"layout-restorer:data": layout}
    data[document] = {"data": {"path": notebook, "factory": "Notebook"}}
    return {"metadata": {"id": WORKSPACE}, "data": data}


def server_arguments(port, screen):
    """What JupyterLab is started with: it takes this port, or if it is None the first free one."""
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port or USUAL_PORT}",
        f"--ServerApp.port_retries={0 if port else 50}",
        f"--ServerApp.root_dir={ROOT}",
        f"--FileContentsManager.preferred_dir={ROOT / 'notebooks'}",
        f"--LabApp.default_url=/lab/workspaces/{WORKSPACE}",
        # Browsers in a sandbox cannot read the file that Jupyter would otherwise have them open.
        "--ServerApp.use_redirect_file=False",
        "--ServerApp.answer_yes=True",  # Ctrl-C stops it without asking
        "--Application.log_level=ERROR",
        "--LabApp.extension_manager=readonly",  # nothing to look up on a network
    ]
    if not screen:
        arguments.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")
    return arguments


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Open the course in JupyterLab.")
    parser.add_argument("--port", type=int, help=f"default: the first free from {USUAL_PORT} on")
    parser.add_argument("--projector", action="store_true", help="larger letters and figures")
    options = parser.parse_args(arguments)
    if options.port is not None and not 0 < options.port < 65536:
        parser.error(f"PORT={options.port} is not a port: choose one from 1024 to 65535")
    sys.stdout.reconfigure(errors="replace")  # a path may have letters that a pipe lacks
    if not (ROOT / FIRST).exists():
        raise SystemExit(f"{FIRST} is missing: this is not a complete copy of the course.")
    # The kernels inherit these variables, and JupyterLab reads some when it is imported.
    state = private_state.use()
    os.environ["COURSE_PROJECTOR"] = "1" if options.projector else ""
    try:
        write_overrides()
        if options.projector:
            os.environ["JUPYTERLAB_SETTINGS_DIR"] = str(state / "projector")
            write_letters(state / "projector")
    except (OSError, ValueError) as error:
        print(f"Note: JupyterLab starts without the course's settings ({error}).")
    try:
        from jupyterlab.labapp import LabApp
        from jupyterlab_server.workspaces_handler import WorkspacesManager
    except ImportError:
        raise SystemExit(
            f"JupyterLab is not installed in {sys.prefix}. Run `make lab`, or first: "
            f"{sys.executable} -m pip install -r requirements.lock"
        ) from None
    screen = has_screen()
    layouts = WorkspacesManager(os.environ["JUPYTERLAB_WORKSPACES_DIR"])
    layouts.save(WORKSPACE, json.dumps(workspace(projector=options.projector)))
    print("Starting JupyterLab. Ctrl-C in this window stops it.")
    if not screen:
        print(
            "Open the address below in a browser on this computer. From another computer, first "
            "run there, with the port of the address: ssh -L PORT:127.0.0.1:PORT THIS_COMPUTER"
        )
    sys.stdout.flush()
    LabApp.launch_instance(server_arguments(options.port, screen))


if __name__ == "__main__":
    main()
