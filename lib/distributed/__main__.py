"""`python -m lib.distributed PROCESSES`: train, and say what came out."""

import argparse
import sys
from pathlib import Path

from ..files import Problem
from .launcher import ROOT, prepare, train
from .record import tar
from .task import Task
from .traffic import sent


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="make distributed", description=__doc__)
    parser.add_argument("processes", type=int)
    parser.add_argument("--steps", type=int, default=Task.steps)
    parser.add_argument("--people", type=int, default=Task.people)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "distributed")
    parser.add_argument("--share", type=float, default=Task.share, help="Partial FC below 1")
    parser.add_argument("--prepare", action="store_true", help="only write the folder")
    asked = parser.parse_args(arguments)
    try:
        task = Task(people=asked.people, steps=asked.steps, share=asked.share)
        if asked.prepare:
            prepare(task, asked.processes, asked.folder)
            return 0
        run, seen = train(task, asked.processes, asked.folder, collectives=True)
    except (Problem, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 1
    report(run, seen)
    return 0


def report(run, seen):
    """Print loss, time, what each process holds, what travels, and what strangers are worth."""
    first, task = seen[0], run.task
    if first["started_at"]:
        print(f"went on from the checkpoint of step {first['started_at']}")
    for part, loss in enumerate(first["loss"], first["started_at"] // task.every + 1):
        print(f"step {part * task.every:5}: loss {loss:.4f}")
    if first["seconds_a_step"]:
        print(f"{1000 * first['seconds_a_step']:.0f} ms a step, the median")
    held = ", ".join(f"process {one['process']} {one['held']}" for one in seen)
    print(f"class weights {first['kernel']}: {held}")
    if first["collectives"]:
        parts = sent(first["collectives"], task, len(seen))
        of = ", ".join(f"{size / 1000:,.1f} kB {what}" for what, size in parts.items() if size)
        print(f"each process sends in a step: {of}")
    print(f"TAR at FAR 0.001 of 500 people never seen: {tar(run):.3f}")


if __name__ == "__main__":
    sys.exit(main())
