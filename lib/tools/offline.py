"""Run a command without any network: in a namespace that has loopback only, with an empty home.

    python -m lib.tools.offline COMMAND …

Linux only, by util-linux's `unshare`. What the command starts has no network either, and nothing
comes from a cache of the home. What it leaves in the home is a failure.
"""

import os
import shutil
import subprocess
import sys
import tempfile

# Brings loopback up (SIOCSIFFLAGS with IFF_UP), since not every system has `ip`, and goes on as
# the command.
WITH_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
NOT_OURS = {".rustup"}  # pip asks rustc for its version, and rustup's launcher makes this folder


def main(command):
    if not command:
        sys.exit("usage: python -m lib.tools.offline COMMAND …")
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        sys.exit("Running without a network needs Linux and its command unshare (util-linux).")
    # root needs no namespace of users; others are root in one, which changes no file's owner
    unshare = ["unshare", "--net"] + ([] if os.getuid() == 0 else ["--map-root-user"])
    probe = subprocess.run([*unshare, "true"], stderr=subprocess.PIPE, text=True)
    if probe.returncode:
        sys.exit(
            f"This system does not let a program give up its network ({probe.stderr.strip()}): in "
            "a container, allow it to make namespaces; elsewhere, switch the network off by hand."
        )
    print(f"offline: loopback only, and an empty home: {' '.join(command)}", flush=True)
    elsewhere = ("XDG_", "KERAS_HOME", "MPLCONFIGDIR")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(elsewhere)}
    with tempfile.TemporaryDirectory(prefix="empty-home-") as home:
        environment["HOME"] = home
        done = subprocess.run(
            [*unshare, sys.executable, "-c", WITH_LOOPBACK, *command], env=environment
        )
        left = sorted(set(os.listdir(home)) - NOT_OURS)
    if left:
        print(f"offline: the command left {', '.join(left)} in the home", file=sys.stderr)
    return done.returncode or bool(left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
