"""Start the processes on this computer, see that they live, and read what they wrote."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from .. import faces
from ..files import Problem, write_atomically

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0  # seconds without a sign of life
START = 300.0  # seconds until the first one, on a busy computer


class ProcessLost(Problem):
    """A process ended or fell silent; the text says which, and that the others were stopped."""


def prepare(task, processes, folder):
    """Write the task and its images to a folder, and remove what is of another one.

    Args: as for `Run`. On several computers this is done once, before the processes are started.

    Raises:
        ValueError: for a task that cannot be divided evenly.
    """
    task.check(processes)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    asked = {**vars(task), "processes": processes}
    marker = folder / "asked.json"
    another = not marker.exists() or json.loads(marker.read_text()) != asked
    if another:
        marker.unlink(missing_ok=True)  # first: what it stands for is not there any more
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    for pattern in ("beat_*", "process_*.json", "backbone.npz"):
        for path in folder.glob(pattern):
            path.unlink()
    task.write(folder / "task.json")
    if another:
        people = faces.people("train", task.people, task.images)
        np.save(folder / "labels.npy", people.labels)
        np.save(folder / "images.npy", people.images)
    write_atomically(marker, json.dumps(asked))  # last: what it stands for is there


class Run:
    """The processes of a training, started.

    Args:
        task: a `Task`.
        processes: how many.
        folder: for the data, the checkpoints and what comes out. Checkpoints of the same task and
            as many processes are gone on from; those of another are removed.
        collectives: whether to read what the compiled step sends, which takes a second compilation.
        patience: after how many seconds without a sign of life a process counts as lost, once there
            was one; for the first there are five minutes.
    """

    def __init__(self, task, processes, folder, collectives=False, patience=PATIENCE):
        self.task, self.folder, self.patience = task, Path(folder), patience
        prepare(task, processes, self.folder)
        address = f"127.0.0.1:{_free_port()}"
        self.started = time.time()
        self.processes = []
        for number in range(processes):
            command = [sys.executable, "-m", "lib.distributed.worker", str(self.folder.resolve())]
            command += ["--address", address, "--processes", str(processes)]
            command += ["--process", str(number)] + ["--collectives"] * collectives
            with open(self.folder / f"log_{number}.txt", "w") as log:
                self.processes.append(
                    subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=log, stderr=log)
                )

    def step(self):
        """How many steps every process has done."""
        return min(self._beat(number)[0] for number in range(len(self.processes)))

    def _beat(self, number):
        """The step of a process, and when it was last heard of; None before the first time."""
        try:
            path = self.folder / f"beat_{number}"
            return int(path.read_text() or 0), path.stat().st_mtime
        except (FileNotFoundError, ValueError):
            return 0, None

    def wait(self):
        """Wait for the end of all.

        Returns:
            What each process wrote, a list of dictionaries.

        Raises:
            ProcessLost: if one ended before its work, or did not answer; the others are stopped.
        """
        try:
            while any(process.poll() is None for process in self.processes):
                self._look()
                time.sleep(0.2)
            self._look()
        finally:
            self.stop()
        names = [f"process_{number}.json" for number in range(len(self.processes))]
        return [json.loads((self.folder / name).read_text()) for name in names]

    def _look(self):
        now, of = time.time(), f"of {len(self.processes)}"
        for number, process in enumerate(self.processes):
            step, heard = self._beat(number)
            patience = START if heard is None else self.patience
            silent = now - (heard or self.started)
            after = f"The others were stopped after step {self.step()}. Start it again: it goes on."
            if process.poll():
                raise ProcessLost(
                    f"process {number} {of} ended with {process.returncode} after step {step}; its "
                    f"last words are in {self.folder / f'log_{number}.txt'}. {after}"
                )
            if process.poll() is None and silent > patience:
                raise ProcessLost(
                    f"process {number} {of} does not answer since {silent:.0f} seconds, after "
                    f"step {step}. {after}"
                )

    def stop(self):
        """End all processes that still run."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            process.wait()

    def backbone(self):
        """The trained backbone, on whatever backend Keras has here."""
        from ..backbones import build_backbone

        backbone = build_backbone(self.task.dim)
        with np.load(self.folder / "backbone.npz") as parts:
            backbone.set_weights([parts[name] for name in parts.files])
        return backbone


def train(task, processes, folder, **options):
    """Start processes, wait for them, and return the `Run` and what each of them wrote."""
    run = Run(task, processes, folder, **options)
    return run, run.wait()


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _environment():
    """One device a process, on the processor."""
    return {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
