"""Run a command without any network: in a namespace of its own that has loopback and nothing else.

    python -m lib.tools.offline COMMAND …

Linux only, by its namespaces; needs no rights where a user may make one. What the command starts
has no network either, and an empty home of its own, so nothing comes from a cache.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of <sched.h>
SET_FLAGS, UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP of <linux/sockios.h>, <linux/if.h>
NOT_OURS = {".rustup"}  # pip asks rustc for its version, and rustup's launcher makes this folder


def leave_the_network():
    """Move this process into a new network namespace with loopback up.

    Raises:
        OSError: if the system does not allow it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    # root needs no user namespace; others get the right to bring loopback up from one
    kind = NEW_NETWORK if user == 0 else NEW_NETWORK | NEW_USER
    if libc.unshare(kind) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if user != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh", b"lo", UP))


def main(command):
    if not command:
        sys.exit("usage: python -m lib.tools.offline COMMAND …")
    if not sys.platform.startswith("linux"):
        sys.exit("Running without a network needs Linux: it is done with a network namespace.")
    try:
        leave_the_network()
    except OSError as error:
        sys.exit(
            f"This system does not let a program give up its network ({error.strerror}): in a "
            "container, allow it to make namespaces; elsewhere, switch the network off by hand."
        )
    home = tempfile.mkdtemp(prefix="empty-home-")
    caches = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "KERAS_HOME", "MPLCONFIGDIR")
    environment = {name: value for name, value in os.environ.items() if name not in caches}
    print(f"offline: loopback only, and an empty home: {' '.join(command)}", flush=True)
    try:
        done = subprocess.run(command, env=environment | {"HOME": home})
    finally:
        left = sorted({path.name for path in Path(home).iterdir()} - NOT_OURS)
        shutil.rmtree(home)
    if left:
        print(f"offline: the command left {', '.join(left)} in the home", file=sys.stderr)
    return done.returncode or bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
