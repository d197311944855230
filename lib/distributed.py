"""One training step on several devices, and the same step on one: are they equal?

The devices are virtual: parts of this computer's processor that TensorFlow or JAX treats like
cards of their own. So nothing gets faster, but everything that could go wrong between devices can
go wrong here, too.

`one_step` runs this file in a process of its own, because a process has one backend and decides
about its devices once. `python -m lib.distributed record` writes data/distributed.json, which is
shown where JAX is missing.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD_FILE = ROOT / "data" / "distributed.json"

# What the lesson asks for: the kind, the devices, and a layout key with a slip of the pen.
RECORDED = (
    ("replicas", 2),
    ("shards", 2),
    ("shards", 8),
    ("shards", 8, ".*head/weights"),
)

# Divisible by 2, 4 and 8: each device holds as many classes as any other.
CLASSES, DIM, BATCH = 1000, 16, 64


def one_step(kind, devices, layout_key=".*head/kernel"):
    """Take a step on several virtual devices and on one, and compare.

    Args:
        kind: "replicas", the whole model on each device and the batch divided
            (`tf.distribute.MirroredStrategy`); or "shards", the classes divided
            (`keras.distribution.ModelParallel` on JAX).
        devices: how many.
        layout_key: for "shards", a pattern for the path of the variable that is divided.

    Returns:
        A dictionary: "difference", the largest between any two weights after the step; "moved",
        how far the step moved a weight at most; "kernel", the shape of the class weights;
        "kernel_held" and "momentum_held", the shapes of those and of the optimizer's memory of
        them that the first device holds.

    Raises:
        ModuleNotFoundError: for "shards" if JAX is not installed; the message says what to do.
        RuntimeError: if the process fails; with its last words.
    """
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    if kind == "shards":
        if importlib.util.find_spec("jax") is None:
            raise ModuleNotFoundError(
                "JAX is not installed, which divides the classes (`pip install -r "
                "tests/requirements-jax.txt` brings it)."
            )
        environment["KERAS_BACKEND"] = "jax"
        environment["JAX_PLATFORMS"] = "cpu"
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    arguments = [kind, f"--devices={devices}", f"--layout-key={layout_key}"]
    done = subprocess.run(
        [sys.executable, "-m", "lib.distributed", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the step on {devices} devices failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def steps(*asked):
    """`one_step` for each tuple of arguments, two at a time; without JAX those of the record.

    Returns:
        A list of what `one_step` returns, in the same order. Where a step could not be taken
        because JAX is missing, a line says so and the recorded step of `RECORDED` is in its place.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(lambda arguments: _step_or_record(*arguments), asked))


def _step_or_record(*arguments):
    try:
        return one_step(*arguments)
    except ModuleNotFoundError as error:
        print(f"{error} Shown is the recorded step on {arguments[1]} devices.")
        recorded = json.loads(RECORD_FILE.read_text(encoding="utf-8"))
        return recorded[_name(arguments)]


def _name(arguments):
    return " ".join(map(str, arguments))


def record(path=RECORD_FILE):
    """Take all steps of `RECORDED` and write what they gave."""
    found = {_name(arguments): one_step(*arguments) for arguments in RECORDED}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


# --- in the process of its own --------------------------------------------------------------------


def _trained(take_the_step):
    """A small model with class weights, before and after one step of ArcFace with momentum."""
    import keras
    import numpy as np

    from .layers import CosineHead
    from .losses import ArcFaceLoss

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 32)).astype("float32")
    y = rng.integers(0, CLASSES, BATCH)
    backbone = keras.Sequential([keras.Input((32,)), keras.layers.Dense(DIM)], name="backbone")
    model = keras.Sequential([backbone, CosineHead(CLASSES, name="head")])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss=ArcFaceLoss(0.3, 16))
    before = [np.asarray(weight) for weight in model.weights]
    if take_the_step:
        model.fit(x, y, batch_size=BATCH, verbose=0)
    return model, before


def _compare(several):
    """`one_step`'s numbers, for a model that was trained on several devices."""
    import numpy as np

    alone, before = _trained(True)
    pairs = list(zip(several.weights, alone.weights, before, strict=True))
    kernel, momentum = several.layers[-1].kernel, _momentum_of_kernel(several)
    return {
        "difference": max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b, _ in pairs),
        "moved": max(float(np.abs(np.asarray(b) - c).max()) for _, b, c in pairs),
        "kernel": list(kernel.shape),
        "kernel_held": _held(kernel),
        "momentum_held": _held(momentum),
    }


def _momentum_of_kernel(model):
    return next(v for v in model.optimizer.variables if v.path.endswith("head_kernel_momentum"))


def _held(variable):
    """The shape of what the first device holds of a variable."""
    import keras

    if keras.backend.backend() == "jax":
        return list(variable.value.addressable_shards[0].data.shape)
    return list(variable.value.values[0].shape)  # of a mirrored variable, the first copy


def _on_replicas(devices):
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * devices
    tf.config.set_logical_device_configuration(cpu, parts)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(devices)])
    with strategy.scope():
        model, _ = _trained(True)
    return model


def _on_shards(devices, layout_key):
    import keras

    mesh = keras.distribution.DeviceMesh(
        (1, devices), ["batch", "classes"], keras.distribution.list_devices("cpu")
    )
    layout = keras.distribution.LayoutMap(mesh)
    layout[layout_key] = (None, "classes")  # (dim, classes): the columns are divided
    parallel = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    keras.distribution.set_distribution(parallel)
    model, _ = _trained(True)
    keras.distribution.set_distribution(None)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("replicas", "shards", "record"))
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--layout-key")
    asked = parser.parse_args()
    if asked.kind == "record":
        return record()
    if asked.kind == "replicas":
        model = _on_replicas(asked.devices)
    else:
        model = _on_shards(asked.devices, asked.layout_key)
    print(json.dumps(_compare(model)))


if __name__ == "__main__":
    main()
