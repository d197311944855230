"""Record what lesson 9 shows of several processes: `python -m lib.distributed.record`.

Trains the task by one, two and four processes, with all classes and with Partial FC, ends one
process in the middle and starts that run again, and writes data/distributed.json. About a quarter
of an hour on two cores, which all the processes share.
"""

import json
import os
import platform
import signal
import tempfile
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from ..files import write_atomically
from .launcher import ROOT, ProcessLost, Run, train
from .task import Task
from .traffic import sent

PATH = ROOT / "data" / "distributed.json"
PROCESSES = (1, 2, 4)
# The same columns for any number of processes: each of four groups draws from its own.
TASKS = {"all": Task(), "partial": Task(share=0.1, groups=4)}


def recorded():
    """The record: "all" and "partial" with a run for each number of processes, and "lost"."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def seen_of(run, seen):
    """What is kept of a run."""
    first = seen[0]
    return {
        "loss": [round(loss, 4) for loss in first["loss"]],
        "ms_a_step": round(1000 * first["seconds_a_step"], 1),
        "kernel": first["kernel"],
        "held": [one["held"] for one in seen],
        "sent": sent(first["collectives"], run.task, len(seen)),
        "tar": round(tar(run), 4),
    }


def tar(run):
    """TAR at FAR 0.001 of 500 people whom the training has not seen."""
    from .. import evaluation, faces

    unseen = faces.people("test", 500, 10)
    embeddings = evaluation.embed(run.backbone(), unseen.images)
    return evaluation.open_set_scores(embeddings, unseen.labels)["tar_1e-3"]


def lose_one(task, processes, folder, undisturbed):
    """End the last process in the middle, start the run again, and compare with an undisturbed."""
    run = Run(task, processes, folder)
    while run.step() <= task.steps // 2:
        time.sleep(0.1)
    run.processes[-1].send_signal(signal.SIGKILL)
    try:
        run.wait()
    except ProcessLost as lost:
        said = str(lost).replace(str(folder), "FOLDER")
    _, seen = train(task, processes, folder)
    same = [
        one["held_sha1"] == other["held_sha1"] for one, other in zip(seen, undisturbed, strict=True)
    ]
    return {"said": said, "went_on_from": seen[0]["started_at"], "same_bits": all(same)}


def slip(folder):
    """What two processes hold where the layout's key matches no variable."""
    run, seen = train(Task(people=1000, steps=20, layout=".*head/weights"), 2, folder)
    return {
        "kernel": seen[0]["kernel"],
        "held": [one["held"] for one in seen],
        "loss": [round(loss, 4) for loss in seen[0]["loss"]],
    }


def record():
    """Train all, and write the file when everything is there."""
    versions = {name: metadata.version(name) for name in ("keras", "jax", "orbax-checkpoint")}
    result = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": versions,
        "task": asdict(Task()),
    }
    seen = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, task in TASKS.items():
            result[name] = {}
            for processes in PROCESSES:
                where = Path(folder) / "run"
                run, seen[name, processes] = train(task, processes, where, collectives=True)
                result[name][str(processes)] = seen_of(run, seen[name, processes])
                print(name, processes, result[name][str(processes)], flush=True)
        lost = lose_one(TASKS["all"], 2, Path(folder) / "lost", seen["all", 2])
        result |= {"lost": lost, "slipped": slip(Path(folder) / "slip")}
    write_atomically(PATH, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    record()
