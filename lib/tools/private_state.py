"""Keep what Jupyter, IPython, matplotlib and Keras write out of the person's own folders.

A course must not change the settings of another project, nor be changed by them, and it has to run
where the home folder is missing or cannot be written to.
"""

import os
import sys
import tempfile
from pathlib import Path

FOLDERS = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "JUPYTERLAB_WORKSPACES_DIR": "jupyter/workspaces",
    "KERAS_HOME": "keras",  # a keras.json of another project may change the float type
    "MPLCONFIGDIR": "matplotlib",
}

# Each kernel would print that it talks to this same computer without encryption.
KERNEL_CONFIG = "c.IPKernelApp.log_level = 40\n"


def base_folder():
    """A folder in the virtual environment, or a temporary one if that cannot be written to."""
    if sys.prefix != sys.base_prefix:
        folder = Path(sys.prefix) / "course-state"
        try:
            folder.mkdir(exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
        except OSError:
            pass
    return Path(tempfile.mkdtemp(prefix="arcface-course-"))


def use(base=None):
    """Point every tool's state to folders below `base` (default: `base_folder()`); return it."""
    base = Path(base) if base else base_folder()
    for variable, name in FOLDERS.items():
        folder = base / name
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[variable] = str(folder)
    profile = base / FOLDERS["IPYTHONDIR"] / "profile_default"
    profile.mkdir(exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL_CONFIG, encoding="utf-8")
    for variable in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTERLAB_SETTINGS_DIR"):
        os.environ.pop(variable, None)
    return base
