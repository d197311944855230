"""One of the processes: it joins the others, trains its part, and writes what it saw.

    python -m lib.distributed.worker FOLDER --address HOST:PORT --processes 4 --process 0

`FOLDER/task.json` has the task. The process with number 0 listens at the address; the others call
it. All write to FOLDER, which on several computers is a shared one.
"""

import argparse
import hashlib
import json
import os
import statistics
import threading
import time
from pathlib import Path

from ..files import write_atomically
from .task import Task
from .traffic import read_collectives

AXIS = "devices"


def divide(layout_key, processes):
    """Let Keras divide what is built from here on: the batch, and the columns of the head."""
    import keras

    devices = keras.distribution.list_devices()
    if len(devices) != processes:
        raise ValueError(
            f"{processes} processes have {len(devices)} devices: each must see one of its own, by "
            "CUDA_VISIBLE_DEVICES on GPUs."
        )
    mesh = keras.distribution.DeviceMesh((len(devices),), [AXIS], devices)
    layout = keras.distribution.LayoutMap(mesh)
    layout[layout_key] = (None, AXIS)  # (dim, classes): the columns are divided
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(
            layout_map=layout, batch_dim_name=AXIS, auto_shard_dataset=False
        )
    )


def build(task, processes=1):
    """The model, compiled, with its optimizer's memory."""
    import keras

    from ..backbones import build_backbone
    from ..layers import CosineHead
    from ..losses import ArcFaceLoss
    from ..models import PartialFCModel

    keras.utils.set_random_seed(task.seed)
    backbone, head = build_backbone(task.dim), CosineHead(task.people, name="head")
    if task.share < 1:
        model = PartialFCModel(backbone, head, task.share, task.seed, task.groups or processes)
    else:
        model = keras.Sequential([backbone, head])
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, task.steps)
    loss = ArcFaceLoss(task.margin, task.scale)
    model.compile(keras.optimizers.Adam(schedule), loss=loss)
    model.build((None, 28, 28, 1))
    model.optimizer.build(model.trainable_variables)
    return model


def batches(task, images, labels, processes, process, start=0):
    """This process's part of each batch from a step on, a `keras.utils.PyDataset`.

    The order depends on seed and step alone, so that a run which goes on sees what it would have
    seen, and any number of processes sees the same batches.
    """
    import keras
    import numpy as np

    per_pass, part = len(labels) // task.batch, task.batch // processes

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return task.steps - start

        def __getitem__(self, index):
            done, place = divmod(start + index, per_pass)
            order = np.random.default_rng((task.seed, done)).permutation(len(labels))
            first = place * task.batch + process * part
            mine = order[first : first + part]
            return np.asarray(images[mine]), labels[mine]

    return Batches()


class Beat:
    """Writes the step to a file twice a second, so that others see that this process is alive."""

    def __init__(self, path, step=0):
        self.path, self.step = path, step
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while not self.ended.is_set():
            write_atomically(self.path, str(self.step))
            self.ended.wait(0.5)


def collectives(model, batch):
    """What the compiled step sends: a list of (operation, shape, bytes of its result)."""
    import jax

    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    text = jax.jit(model.train_step).lower(state, batch).compile().as_text()
    return read_collectives(text)


def work(folder, address, processes, process, look=False):
    """Join, train, and write `process_N.json`; process 0 also writes the backbone's weights."""
    beat = Beat(folder / f"beat_{process}")  # before the imports, which may take a while
    import keras
    import numpy as np

    task = Task.read(folder / "task.json")
    prepared = json.loads((folder / "asked.json").read_text())["processes"]
    if processes != prepared:
        raise ValueError(f"{folder} was prepared for {prepared} processes, not for {processes}.")
    if processes > 1:
        keras.distribution.initialize(address, processes, process)
    divide(task.layout, processes)
    model = build(task, processes)
    images, labels = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("images", "labels")
    )

    checkpoints = folder / "checkpoints"
    saver = keras.callbacks.OrbaxCheckpoint(
        str(checkpoints), save_freq=task.every, max_to_keep=2, save_on_background=False
    )
    if any(item.name.isdigit() for item in checkpoints.glob("*")):
        model.load_weights(str(checkpoints))
    start = beat.step = int(model.optimizer.iterations)
    data = batches(task, images, np.asarray(labels), processes, process, start)

    ended = []

    def now(*_, **__):
        ended.append(time.perf_counter())

    def step(batch, logs=None):
        beat.step += 1

    watch = keras.callbacks.LambdaCallback(
        on_train_begin=now, on_epoch_end=now, on_train_batch_end=step
    )
    losses = []
    if start < task.steps:  # a run at its end is only looked at
        epochs, first = task.steps // task.every, start // task.every
        history = model.fit(data, steps_per_epoch=task.every, initial_epoch=first, epochs=epochs,
                            shuffle=False, verbose=0, callbacks=[watch, saver])  # fmt: skip
        losses = history.history["loss"]

    seconds = np.diff(ended)[1:] / task.every  # the first part compiles
    kernel = model.layers[-1].kernel.value
    held = np.asarray(kernel.addressable_shards[0].data)
    seen = {
        "process": process,
        "started_at": start,
        "loss": [float(value) for value in losses],
        "seconds_a_step": statistics.median(seconds) if len(seconds) else None,
        "kernel": list(kernel.shape),
        "held": list(held.shape),
        "held_sha1": hashlib.sha1(held.tobytes()).hexdigest(),
    }
    if look:
        seen["collectives"] = collectives(model, _first_batch(data, task))
    write_atomically(folder / f"process_{process}.json", json.dumps(seen, indent=1) + "\n")
    if process == 0:
        weights = model.layers[0].weights
        parts = [np.asarray(weight.value.addressable_shards[0].data) for weight in weights]
        np.savez(folder / "backbone.npz", *parts)
    beat.ended.set()


def _first_batch(data, task):
    """A batch of all processes, as `fit` hands it to the step."""
    import jax
    import keras

    layout = keras.distribution.distribution().get_data_layout
    return tuple(
        jax.make_array_from_process_local_data(
            layout((task.batch, *part.shape[1:])).backend_layout, part
        )
        for part in data[0]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--address", default="127.0.0.1:12355", help="of process 0: HOST:PORT")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--process", type=int, default=0, help="the number of this one, from 0")
    parser.add_argument("--collectives", action="store_true", help="write what a step sends")
    asked = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"  # before Keras is imported, which reads it once
    work(asked.folder.resolve(), asked.address, asked.processes, asked.process, asked.collectives)


if __name__ == "__main__":
    main()
