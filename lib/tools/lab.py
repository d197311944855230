"""Open JupyterLab on the first lesson, with the table of contents beside it.

    python -m lib.tools.lab [--port PORT] [--projector]

Run it with the Python of the course's environment. The server listens on this computer alone and
asks for a token.
"""

import argparse
import json
import os
import socket
import sys
from pathlib import Path

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
# from a person's own settings.
PROJECTOR = {"code-font-size": "18px", "content-font-size1": "20px"}
THEMES = "lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"


def is_free(port):
    """Whether a server can listen on the port of this computer."""
    with socket.socket() as probe:
        if os.name != "nt":  # there it would allow a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose_port(wanted=None):
    """The wanted port, or the first free one from the usual on; raises SystemExit with advice."""
    if wanted is not None:
        if not 1 <= wanted <= 65535:
            raise SystemExit(f"PORT={wanted} is not a port: choose one from 1024 to 65535.")
        if not is_free(wanted):
            raise SystemExit(
                f"Port {wanted} is in use or not allowed. Choose another, or leave PORT out."
            )
        return wanted
    for port in range(USUAL_PORT, USUAL_PORT + 50):
        if is_free(port):
            return port
    raise SystemExit(
        f"Ports {USUAL_PORT} to {USUAL_PORT + 49} are all in use: name a free one, PORT=..."
    )


def has_screen(environment=os.environ, platform=sys.platform):
    """Whether a browser can be opened where this runs."""
    if environment.get("BROWSER"):
        return True
    if environment.get("SSH_CONNECTION") and not environment.get("DISPLAY"):
        return False
    if platform in ("win32", "darwin"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def write_overrides(prefix=sys.prefix):
    """Merge the course's settings into the environment's overrides; return their file.

    Other entries of the file stay as they are. A file that is up to date is not written.
    """
    path = Path(prefix) / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    merged = {**settings}
    for plugin, values in OVERRIDES.items():
        merged[plugin] = {**settings.get(plugin, {}), **values}
    if merged != settings:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")
    return path


def set_letters(projector, config):
    """Switch large letters on or off in the settings below `config`; others stay as they are."""
    import json5  # of JupyterLab, whose settings may have comments

    path = Path(config) / THEMES
    settings = json5.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    letters = {**settings.pop("overrides", {})}
    for name, value in PROJECTOR.items():
        if projector:
            letters[name] = value
        elif letters.get(name) == value:
            del letters[name]
    settings |= {"overrides": letters} if letters else {}
    if settings or path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return settings


def workspace(notebook=FIRST, projector=False):
    """JupyterLab's layout: the notebook in the middle, its table of contents on the left.

    On a projector the table of contents is folded away, for the figures are wider.
    """
    document = f"notebook:{notebook}"
    return {
        "metadata": {"id": WORKSPACE},
        "data": {
            "layout-restorer:data": {
                "main": {
                    "dock": {"type": "tab-area", "currentIndex": 0, "widgets": [document]},
                    "current": document,
                },
                "left": {
                    "collapsed": projector,
                    "visible": True,
                    "current": None if projector else TABLE_OF_CONTENTS,
                    "widgets": ["filebrowser", "running-sessions", TABLE_OF_CONTENTS],
                },
                "right": {"collapsed": True, "visible": True, "widgets": []},
                "relativeSizes": [0.22, 0.78, 0],
            },
            document: {"data": {"path": notebook, "factory": "Notebook"}},
        },
    }


def server_arguments(port, screen):
    """What JupyterLab is started with."""
    arguments = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
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

    # The kernels inherit it; lib.plots reads it.
    os.environ["COURSE_PROJECTOR"] = "1" if options.projector else ""
    # JupyterLab reads these variables when it is imported
    private_state.use()
    try:
        from jupyterlab.labapp import LabApp
        from jupyterlab_server.workspaces_handler import WorkspacesManager
    except ImportError:
        raise SystemExit(
            f"JupyterLab is not installed in {sys.prefix}. Run `make lab`, or first: "
            f"{sys.executable} -m pip install -r requirements.lock"
        ) from None
    if not (ROOT / FIRST).exists():
        raise SystemExit(f"{FIRST} is missing: this is not a complete copy of the course.")

    port, screen = choose_port(options.port), has_screen()
    try:
        write_overrides()
        set_letters(options.projector, os.environ["JUPYTER_CONFIG_DIR"])
    except (OSError, ValueError) as error:
        print(f"Note: JupyterLab starts without the course's settings ({error}).")
    layouts = WorkspacesManager(os.environ["JUPYTERLAB_WORKSPACES_DIR"])
    layouts.save(WORKSPACE, json.dumps(workspace(projector=options.projector)))

    print(f"Starting JupyterLab on port {port}. Ctrl-C in this window stops it.")
    if not screen:
        print(
            "Open the address below in a browser on this computer. From another computer, first "
            f"run there: ssh -L {port}:127.0.0.1:{port} THIS_COMPUTER"
        )
    sys.stdout.flush()
    LabApp.launch_instance(server_arguments(port, screen))


if __name__ == "__main__":
    main()
