"""Very many classes: what the head costs, on paper and measured.

`python -m lib.many_classes` records what lesson 9 shows. It measures one training step from ten to
a million classes, each in a process of its own, and writes data/head_cost.json: about three minutes
and 5 GB at most. Seconds are those that the processor's cores were at work, added up, so that other
programs disturb them little. It asks the system for the peak memory of a process, which works on
Linux only. How several processes share the classes is in `lib.distributed`.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .files import write_atomically

ROOT = Path(__file__).resolve().parent.parent
COST_FILE = ROOT / "data" / "head_cost.json"

DIM, BATCH = 128, 128
CLASSES = (10, 100, 1_000, 10_000, 100_000, 300_000, 1_000_000)
SHARES = (1.0, 0.1)
FLOAT = 4  # bytes


# --- on paper -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HeadMemory:
    """Bytes that one device needs for its part of the head; from `head_memory`.

    weights: its columns of the class weights.
    logits: its columns of the whole batch's logits.
    """

    weights: float
    logits: float

    @property
    def total(self):
        """Weights, gradient and momentum; logits and their gradient."""
        return 3 * self.weights + 2 * self.logits


def head_memory(num_classes, dim, batch, devices=1, share=1.0):
    """The memory model of Partial FC (An et al., 2020): 4 d C / k and 4 N k C r / k bytes.

    Args:
        num_classes: C, divided evenly over the devices.
        dim: d, of the embedding.
        batch: N, images on *each* device.
        devices: k.
        share: r, of the classes that a step uses; it saves logits, no weights.

    Returns:
        A `HeadMemory` for one device.
    """
    _check_plan(num_classes, dim, batch, devices, share)
    columns = num_classes / devices
    return HeadMemory(
        weights=FLOAT * dim * columns, logits=FLOAT * batch * devices * columns * share
    )


def head_traffic(num_classes, dim, batch, devices, sharded):
    """Bytes that each device sends in a step for the head alone, by ring algorithms.

    With the classes on every device the gradient of all class weights has to be added up, in two
    rounds of (k - 1) / k of it. With the classes divided no class weight travels: the embeddings
    of all devices go to each and their gradients come back, and of the softmax the maximum and the
    sum, two numbers an image.

    Args:
        num_classes, dim, batch, devices: as for `head_memory`.
        sharded: whether the classes are divided over the devices.
    """
    _check_plan(num_classes, dim, batch, devices, 1.0)
    others = devices - 1
    if not sharded:
        return 2 * others / devices * FLOAT * dim * num_classes
    embeddings = 2 * others * FLOAT * dim * batch
    softmax = 2 * 2 * others * FLOAT * batch
    return embeddings + softmax


def fewest_devices(num_classes, dim, batch, memory, share=1.0):
    """How many devices it takes until the head fits into `memory` bytes of each.

    Raises:
        ValueError: if it never does: the logits of one device, 4 N C r bytes, do not shrink with
            the number of devices, because each brings its own images along.
    """
    _check_plan(num_classes, dim, batch, 1, share)
    floor = 2 * FLOAT * batch * num_classes * share
    if not floor < memory:
        raise ValueError(
            f"no number of devices is enough: the logits and their gradient alone take "
            f"{floor / 1e9:.1f} GB on each. Lower the batch on a device, or the share of classes."
        )
    return math.ceil(3 * FLOAT * dim * num_classes / (memory - floor))


def _check_plan(num_classes, dim, batch, devices, share):
    sizes = {"num_classes": num_classes, "dim": dim, "batch": batch, "devices": devices}
    for name, size in sizes.items():
        if not 1 <= size < math.inf:
            raise ValueError(f"{name} must be a number of at least 1, got {size}.")
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1], got {share}; 0.1 is a tenth of the classes.")


# --- measured -------------------------------------------------------------------------------------


def step_seconds(num_classes, share=1.0, rounds=5):
    """Processor seconds of one training step of the head: forward, backward and update.

    Embeddings of `BATCH` images in `DIM` dimensions, ArcFace, SGD with momentum; compiled, and
    waited for. The first two steps, which compile, do not count.

    Returns:
        For each of `rounds` steps the seconds that all cores worked on it, added up.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    from .layers import CosineHead
    from .losses import ArcFaceLoss
    from .models import PartialFCModel

    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((BATCH, DIM)).astype("float32"))
    y = tf.constant(rng.integers(0, num_classes, BATCH))
    nothing = keras.Sequential([keras.Input((DIM,)), keras.layers.Identity()], name="backbone")
    model = PartialFCModel(nothing, CosineHead(num_classes), share, seed=0)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=ArcFaceLoss(0.3, 16))
    seconds = []
    for _ in range(rounds + 2):
        started = time.process_time()
        model.train_on_batch(x, y)  # returns the loss, so it has waited
        seconds.append(time.process_time() - started)
    return seconds[2:]


def shares_for(num_classes):
    """The shares worth measuring: with few classes a tenth would hold fewer than the batch has."""
    return [share for share in SHARES if share == 1 or share * num_classes >= BATCH]


def _measure_here(num_classes, share):
    step_seconds(CLASSES[0], rounds=1)  # what the imports and the first step take does not count
    before = _process_memory("VmRSS")
    seconds = step_seconds(num_classes, share, rounds=5 if num_classes > 100_000 else 15)
    return {
        "classes": num_classes,
        "share": share,
        "seconds": round(statistics.median(seconds), 5),
        "bytes": _process_memory("VmHWM") - before,
    }


def _process_memory(field):
    """Bytes from the process's status: VmRSS is what it holds, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024


def record_costs(path=COST_FILE):
    """Measure every number of classes and share, and write them."""
    rows = []
    for num_classes in CLASSES:
        for share in shares_for(num_classes):
            asked = ["--cost", str(num_classes), str(share)]
            command = [sys.executable, "-m", "lib.many_classes", *asked]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    versions = {name: metadata.version(name) for name in ("tensorflow", "keras")}
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    result = {"batch": BATCH, "dim": DIM, "machine": machine, "versions": versions, "rows": rows}
    write_atomically(path, json.dumps(result, indent=1) + "\n")


def recorded_costs(share, path=COST_FILE):
    """The recorded rows of one share, in the order of their classes."""
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    found = [row for row in rows if row["share"] == share]
    if not found:
        raise KeyError(f"no step with a share of {share} is recorded; there are {SHARES}.")
    return found


# --- several copies -------------------------------------------------------------------------------


def replicas_step(devices=2, classes=1000, dim=16, batch=64):
    """Take a step of ArcFace on several virtual devices by `tf.distribute`, and on one.

    `MirroredStrategy` copies the whole model to each device and divides the batch. The devices are
    parts of this computer's processor, so nothing gets faster. They have to be set up before
    TensorFlow has run anything, so the step has a process of its own.

    Returns:
        A dictionary: "difference", the largest between any two weights after the step; "moved",
        how far the step moved a weight at most; "kernel", the shape of the class weights;
        "held", what the first device holds of them.

    Raises:
        RuntimeError: if the process fails; with its last words.
    """
    asked = map(str, (devices, classes, dim, batch))
    done = subprocess.run(
        [sys.executable, "-m", "lib.many_classes", "--step", *asked],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the step on {devices} devices failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _step_here(devices, classes, dim, batch):
    import keras
    import numpy as np
    import tensorflow as tf

    from .layers import CosineHead
    from .losses import ArcFaceLoss

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(cpu, parts)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, 32)).astype("float32")
    y = rng.integers(0, classes, batch)

    def trained():
        keras.utils.set_random_seed(0)
        backbone = keras.Sequential([keras.Input((32,)), keras.layers.Dense(dim)], name="backbone")
        model = keras.Sequential([backbone, CosineHead(classes, name="head")])
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=ArcFaceLoss(0.3, 16))
        before = [np.array(weight) for weight in model.weights]
        model.fit(x, y, batch_size=batch, verbose=0)
        return model, before

    with tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(devices)]).scope():
        several, _ = trained()
    alone, before = trained()
    pairs = list(zip(several.weights, alone.weights, before, strict=True))
    kernel = several.layers[-1].kernel
    return {
        "difference": max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b, _ in pairs),
        "moved": max(float(np.abs(np.asarray(b) - c).max()) for _, b, c in pairs),
        "kernel": list(kernel.shape),
        "held": list(kernel.value.values[0].shape),  # of a mirrored variable, the first copy
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cost", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--step", nargs=4, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.cost:
        print(json.dumps(_measure_here(int(asked.cost[0]), float(asked.cost[1]))))
    elif asked.step:
        print(json.dumps(_step_here(*asked.step)))
    else:
        record_costs()


if __name__ == "__main__":
    main()
