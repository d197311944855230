"""What runs by lib/tools/offline.py has loopback, an empty home, and nothing else."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = Path(__file__).resolve().parents[1] / "lib" / "tools" / "offline.py"


def offline(*command):
    return subprocess.run([sys.executable, OFFLINE, *command], capture_output=True, text=True)


needs_namespaces = pytest.mark.skipif(
    not sys.platform.startswith("linux") or offline("true").returncode != 0,
    reason="this system does not let a program give up its network",
)


@needs_namespaces
@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import socket; print([name for _, name in socket.if_nameindex()])", 0, "['lo']"),
        (
            "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)",
            1,
            "Network is unreachable",
        ),
        (
            "import socket; server = socket.create_server(('127.0.0.1', 0)); "
            "socket.create_connection(server.getsockname()); print('reached')",
            0,
            "reached",
        ),
        ("import pathlib; print(list(pathlib.Path.home().iterdir()))", 0, "[]"),
        ("import pathlib; (pathlib.Path.home() / 'x').touch()", 1, "left x in the home"),
        ("import pathlib; (pathlib.Path.home() / '.rustup').mkdir()", 0, ""),
        ("raise SystemExit(3)", 3, ""),
    ],
)
def test_a_command_has_loopback_and_an_empty_home(code, status, said):
    done = offline(sys.executable, "-c", code)
    assert done.returncode == status
    assert said in done.stdout + done.stderr


def test_without_a_command_it_says_how_to_use_it():
    assert "usage" in offline().stderr


def test_elsewhere_it_says_that_it_needs_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "fcntl", None)  # Windows has no such module
    monkeypatch.setattr(sys, "argv", ["offline", "true"])
    with pytest.raises(SystemExit, match="needs Linux"):
        runpy.run_path(str(OFFLINE), run_name="__main__")
