"""What runs by lib/tools/offline.py has loopback, an empty home, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = Path(__file__).resolve().parents[1] / "lib" / "tools" / "offline.py"


def offline(*command):
    return subprocess.run(
        [sys.executable, OFFLINE, *command], capture_output=True, text=True, check=False
    )


needs_namespaces = pytest.mark.skipif(
    not sys.platform.startswith("linux") or offline("true").returncode != 0,
    reason="this system does not let a program give up its network",
)


@needs_namespaces
def test_only_loopback_is_left():
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert "['lo']" in offline(sys.executable, "-c", code).stdout


@needs_namespaces
def test_an_address_elsewhere_cannot_be_reached():
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = offline(sys.executable, "-c", code)
    assert done.returncode == 1
    assert "Network is unreachable" in done.stderr


@needs_namespaces
def test_loopback_works():
    code = (
        "import socket; server = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(server.getsockname()); print('reached')"
    )
    assert "reached" in offline(sys.executable, "-c", code).stdout


@needs_namespaces
def test_the_home_is_empty_and_what_is_left_there_is_a_failure():
    code = "import pathlib; assert not list(pathlib.Path.home().iterdir())"
    assert offline(sys.executable, "-c", code).returncode == 0
    done = offline(sys.executable, "-c", code + "; (pathlib.Path.home() / 'left').touch()")
    assert done.returncode == 1
    assert "left left in the home" in done.stderr
    code = "import pathlib; (pathlib.Path.home() / '.rustup').mkdir()"
    assert offline(sys.executable, "-c", code).returncode == 0


@needs_namespaces
def test_the_result_of_the_command_is_passed_on():
    assert offline(sys.executable, "-c", "raise SystemExit(3)").returncode == 3


def test_without_a_command_it_says_how_to_use_it():
    assert "usage" in offline().stderr
