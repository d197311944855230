"""What a margin costs: head and loss, forward and backward, against Dense and cross-entropy.

    python tests/bench.py             all tables, about five minutes on two cores
    python tests/bench.py --quick     fewer rounds, without the largest size
    python tests/bench.py --save      keep the tables in data/bench.json, for the README

Where PyTorch is installed, the same steps on it take their turns, too; their ratios are to plain
softmax on PyTorch.

All rows of a table take turns in one run, so that whatever else the machine does hits them alike;
the ratio is the median of the rounds' ratios to the first row. Peak memory is that of a process of
its own, kernel and gradients included, above what it held before; only Linux can tell.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import bench_torch  # noqa: E402
import lib  # noqa: E402, F401
from lib.backbones import build_backbone  # noqa: E402
from lib.layers import CosineHead  # noqa: E402
from lib.losses import ArcFaceLoss, CosFaceLoss, NormFaceLoss, SphereFaceLoss  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.get_logger().setLevel("ERROR")  # it takes the many functions below for one traced again

BENCH_FILE = ROOT / "data" / "bench.json"
SIZES = ((256, 512, 10), (256, 512, 10_000), (128, 512, 100_000))  # batch, dimension, classes
PLAIN = "Dense + cross-entropy"
TORCH_ROWS = bench_torch.NAMES  # the first of them is plain softmax
TARGETS = {(10_000, False): 1.25, (10_000, True): 1.12}


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


ROWS = {
    PLAIN: (keras.layers.Dense, cross_entropy),
    "CosineHead + NormFace": (CosineHead, lambda: NormFaceLoss(16)),
    "CosineHead + CosFace": (CosineHead, lambda: CosFaceLoss(0.1, 16)),
    "CosineHead + ArcFace": (CosineHead, lambda: ArcFaceLoss(0.3, 16)),
    "CosineHead + SphereFace": (CosineHead, lambda: SphereFaceLoss(2, 16)),
}


def training_step(name, size, compiled, **head_arguments):
    """A function that runs forward and backward once, without an optimizer, and waits for it."""
    batch, dim, classes = size
    head_type, build_loss = ROWS[name]
    head, loss = head_type(classes, **head_arguments), build_loss()
    head.build((None, dim))
    rng = np.random.default_rng(0)
    embeddings = tf.constant(rng.standard_normal((batch, dim)).astype("float32"))
    labels = tf.constant(rng.integers(0, classes, batch))

    @tf.function(jit_compile=compiled)
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(y, head(x))
        return value, tape.gradient(value, [x, *head.trainable_weights])

    def run():
        value, gradients = step(embeddings, labels)
        return float(value), float(gradients[-1][..., 0].numpy().sum())

    return run


def timings(steps, rounds):
    """Seconds of each step in each round, every round in another order."""
    for run in steps.values():
        run()
        run()
    seconds = {name: [] for name in steps}
    names = list(steps)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            started = time.perf_counter()
            steps[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def peak_memory(name, size, compiled):
    """MiB that head, loss and step need at their peak, measured in a fresh process."""
    job = json.dumps([name, size, compiled])
    done = subprocess.run(
        [sys.executable, __file__, "--memory", job], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def measure_memory(name, size, compiled):
    before = memory_now("VmRSS")
    run = training_step(name, tuple(size), compiled, kernel_initializer="zeros")
    for _ in range(3):
        run()
    return memory_now("VmHWM") - before


def memory_now(field):
    """A field of the process's status in MiB: VmRSS is what it holds, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def ratio_table(seconds, size=None, compiled=None, memory=None):
    """Print a row for each step; return (name, milliseconds, ratio to its kind's plain row)."""
    rows = []
    for name, times in seconds.items():
        plain = next(iter(seconds)) if name not in TORCH_ROWS else TORCH_ROWS[0]
        ratio = statistics.median(t / b for t, b in zip(times, seconds[plain], strict=True))
        line = f"  {name:32s}{1e3 * statistics.median(times):9.2f} ms   x {ratio:5.3f}"
        if memory and name in memory:
            line += f"{memory[name]:9.0f} MiB"
        target = TARGETS.get((size[2] if size else None, compiled))
        if target and name in ROWS and name not in (PLAIN, "CosineHead + NormFace"):
            line += f"   (at most {target})"
        print(line, flush=True)
        rows.append([name, round(1e3 * statistics.median(times), 3), round(ratio, 3)])
    return rows


def bench_steps(quick):
    """All tables of steps, as [batch, dim, classes, compiled, rows]."""
    tables = []
    for size in SIZES[:2] if quick else SIZES:
        rounds = {10: 300, 10_000: 40, 100_000: 15}[size[2]] // (3 if quick else 1)
        for compiled in (False, True):
            kind = "compiled by XLA" if compiled else "uncompiled"
            print(f"\nB {size[0]}, D {size[1]}, C {size[2]:,}, {kind}, {rounds} rounds")
            steps = {name: training_step(name, size, compiled) for name in ROWS}
            if not compiled:
                steps |= bench_torch.training_steps(size)
            seconds = timings(steps, rounds)
            del steps
            known = {}
            if size[2] >= 10_000 and not quick and sys.platform == "linux":
                known = {name: peak_memory(name, size, compiled) for name in ROWS}
            tables.append([*size, compiled, ratio_table(seconds, size, compiled, known)])
    return tables


def bench_fit(quick):
    """Whole epochs of `fit` on the course's backbone."""
    rng = np.random.default_rng(0)
    count = 2560 if quick else 6400
    images = rng.uniform(0, 1, (count, 28, 28, 1)).astype("float32")
    labels = rng.integers(0, 10, count)

    def epoch(head, loss):
        model = keras.Sequential([build_backbone(embedding_dim=32), head])
        model.compile("adam", loss=loss, metrics=["accuracy"])
        return lambda: model.fit(images, labels, batch_size=128, verbose=0)

    rounds = 5 if quick else 15
    print(f"\nfit on the course's backbone, {count:,} images an epoch, {rounds} rounds")
    steps = {
        "Dense, softmax": epoch(keras.layers.Dense(10), cross_entropy()),
        "CosineHead, ArcFace": epoch(CosineHead(10), ArcFaceLoss(0.3, 16)),
    }
    seconds = timings(steps, rounds)
    ratio_table(seconds)
    for name, times in seconds.items():
        print(f"  {name:26s}{count / statistics.median(times):9.0f} images a second")


def save(tables):
    """Keep the tables for the README, with the releases they were measured with."""
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__} | bench_torch.versions()
    kept = {"cores": os.cpu_count(), "versions": versions, "tables": tables}
    BENCH_FILE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--save", action="store_true", help="keep the tables in data/bench.json")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(measure_memory(*json.loads(arguments.memory)))
    else:
        load = os.getloadavg()[0]
        print(f"TensorFlow {tf.__version__}, Keras {keras.__version__}, {os.cpu_count()} cores,")
        print(f"load before the start {load:.1f} (above 0.5 the machine was busy)")
        tables = bench_steps(arguments.quick)
        bench_fit(arguments.quick)
        if arguments.save:
            save(tables)
