"""What a margin costs: head and loss, forward and backward, against Dense and cross-entropy.

    python tests/bench.py             all tables of all backends that are installed
    python tests/bench.py --quick     fewer rounds, without the largest size
    python tests/bench.py --save      keep the tables in data/bench.json, for the README, in place
                                      of those of the same backend and device
    python tests/bench.py jax torch   these backends

Each backend has a process of its own, on the device that it chooses itself. On PyTorch, others'
losses take their turns, too (`bench_peers.py`).

All rows of a table take turns in one run, so that whatever else the machine does hits them alike.
A row's ratio is the median, with the quartiles, of the rounds' ratios to the first row, plain
softmax: a Dense layer without a bias, since the heads have none, and Keras's cross-entropy. The
second row is that layer with `softmax_cross_entropy` of `lib.losses`: where a ratio is below 1, it
shows how much of that is the cross-entropy's doing. Peak memory includes kernel and gradients: of
a process of its own above what it held before (on a CPU only Linux can tell), of an accelerator
what its allocator says, and on JAX what the compiled step has planned.
"""

import argparse
import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

BENCH_FILE = ROOT / "data" / "bench.json"
SIZES = ((256, 512, 10), (256, 512, 10_000), (128, 512, 100_000))  # batch, dimension, classes
ACCELERATOR_SIZES = tuple((256, 512, classes) for classes in (10, 10_000, 100_000, 1_000_000))
ROUNDS = {10: 300, 10_000: 40, 100_000: 15, 1_000_000: 15}
PLAIN, OURS = "Dense, no bias + cross-entropy", "Dense, no bias + softmax_cross_entropy"
KINDS = {  # of each backend, how a step is run
    "tensorflow": ("TensorFlow", "TensorFlow, XLA"),
    "jax": ("JAX, jit", "JAX, jit, with SGD and momentum"),
    "torch": ("PyTorch, eager",),
}
PACKAGES = ("tensorflow", "jax", "torch", "pytorch-metric-learning", "keras")
TARGETS = {(10_000, "TensorFlow"): 1.25, (10_000, "TensorFlow, XLA"): 1.12}
FLOAT = 4  # bytes


def floor(batch, dim, classes):
    """What a step cannot do without: (floating-point operations, bytes to and from memory).

    Three products of 2 B D C operations: the logits, the gradient in the embeddings, the gradient
    in the kernel. Kernel: read in two of them, its gradient written in one. Logits: written, and
    read again; their gradient: written, and read by two products. Embeddings: read in two, their
    gradient written. All in float32, each passing just once where caches are large enough.
    """
    operations = 3 * 2 * batch * dim * classes
    numbers = 3 * dim * classes + 5 * batch * classes + 3 * batch * dim
    return operations, FLOAT * numbers


# --- the parent: one process for each backend -----------------------------------------------------


def installed():
    return [backend for backend in KINDS if importlib.util.find_spec(backend)]


def child(backend, *arguments, **options):
    """Run this file in a process of its own with that backend."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, env=environment, text=True, check=True, **options)


def run_all(backends, quick, save):
    """Print the tables of each backend, and keep them for the README if asked to."""
    print(f"{os.cpu_count()} cores, load before the start {os.getloadavg()[0]:.1f}")
    print("(above 0.5 the machine was busy)", flush=True)
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for backend in backends:
            path = Path(folder) / f"{backend}.json"
            child(backend, "--tables", str(path), *(["--quick"] if quick else []))
            tables += json.loads(path.read_text(encoding="utf-8"))
    if save:
        old = json.loads(BENCH_FILE.read_text(encoding="utf-8")) if BENCH_FILE.exists() else []
        BENCH_FILE.write_text(json.dumps(merged(old, tables), indent=1) + "\n", encoding="utf-8")


def merged(old, new):
    """The tables of both, without the old ones of a kind and device that the new ones have."""
    measured = {(part["kind"], part["device"]) for part in new}
    return [part for part in old if (part["kind"], part["device"]) not in measured] + new


def versions():
    """Of the packages that have been imported, those that decide the numbers."""
    return {name: version(name) for name in PACKAGES if name.replace("-", "_") in sys.modules}


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


# --- in the process of one backend: steps ---------------------------------------------------------


def rows_of(kind):
    """Name of each row of a table → (head or None, loss); None is a peer's."""
    from lib.layers import CosineHead
    from lib.losses import (
        ArcFaceLoss,
        CosFaceLoss,
        NormFaceLoss,
        SphereFaceLoss,
        softmax_cross_entropy,
    )

    import keras

    def dense(classes, **arguments):
        return keras.layers.Dense(classes, use_bias=False, **arguments)

    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rows = {
        PLAIN: (dense, plain),
        OURS: (dense, lambda labels, logits: keras.ops.mean(softmax_cross_entropy(labels, logits))),
        "CosineHead + NormFace": (CosineHead, NormFaceLoss(16)),
        "CosineHead + CosFace": (CosineHead, CosFaceLoss(0.1, 16)),
        "CosineHead + ArcFace": (CosineHead, ArcFaceLoss(0.3, 16)),
        "CosineHead + SphereFace": (CosineHead, SphereFaceLoss(2, 16)),
    }
    if "momentum" in kind:
        return {name: rows[name] for name in (PLAIN, OURS, "CosineHead + ArcFace")}
    if kind.startswith("PyTorch"):
        import bench_peers

        rows |= dict.fromkeys(bench_peers.PEERS, (None, None))
    return rows


def training_step(name, kind, size, **head_arguments):
    """A function that runs forward and backward once, without an optimizer, and waits for it."""
    import numpy as np

    batch, dim, classes = size
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, dim)).astype("float32")
    y = rng.integers(0, classes, batch)
    build_head, loss = rows_of(kind)[name]
    head = None
    if build_head:
        head = build_head(classes, **head_arguments)
        head.build((None, dim))
    if kind.startswith("TensorFlow"):
        return _tensorflow_step(head, loss, x, y, compiled="XLA" in kind)
    if kind.startswith("JAX"):
        return _jax_step(head, loss, x, y, momentum="momentum" in kind)
    return _torch_step(name, head, loss, x, y, classes)


def _tensorflow_step(head, loss, x, y, compiled):
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it takes the many functions here for one traced again
    x, y = tf.constant(x), tf.constant(y)

    @tf.function(jit_compile=compiled)
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(y, head(x))
        gradients = tape.gradient(value, [x, *head.trainable_weights])
        return value, gradients, tf.reduce_sum(gradients[-1][..., 0])  # to wait for the last, too

    def run():
        value, _, last = step(x, y)
        return float(value), float(last)

    return run


def _jax_step(head, loss, x, y, momentum):
    """A step, which with momentum also changes the weights: XLA does both in the same pass."""
    import jax

    def value_of(x, weights, y):
        outputs, _ = head.stateless_call(weights, [], x)
        return loss(y, outputs)

    step = jax.value_and_grad(value_of, argnums=(0, 1))

    def step_with_momentum(x, state, y):
        value, (to_x, gradients) = step(x, [weight for weight, _ in state], y)
        velocities = [0.9 * v - 1e-3 * g for (_, v), g in zip(state, gradients, strict=True)]
        moved = [(w + v, v) for (w, _), v in zip(state, velocities, strict=True)]
        return value, (to_x, moved)

    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)
    state = [weight.value for weight in head.trainable_variables]
    compiled = jax.jit(step)
    if momentum:
        state = [(weight, jax.numpy.zeros_like(weight)) for weight in state]
        compiled = jax.jit(step_with_momentum, donate_argnums=1)
    compiled = compiled.lower(x, state, y).compile()

    def run():
        nonlocal state
        value, results = jax.block_until_ready(compiled(x, state, y))
        if momentum:
            state = results[1]
        return value, results

    run.plan = compiled.memory_analysis()
    return run


def _torch_step(name, head, loss, x, y, classes):
    import torch
    from keras import ops

    x = ops.convert_to_tensor(x).requires_grad_()  # on the device that Keras chose
    y = ops.convert_to_tensor(y)
    if head is None:
        import bench_peers

        value_of, weights = bench_peers.peer_step(name, x, y, classes)
    else:
        weights = [weight.value for weight in head.trainable_variables]

        def value_of(x, y):
            return loss(y, head(x))

    def run():
        value = value_of(x, y)
        gradients = torch.autograd.grad(value, [x, *weights])
        return float(value.detach()), float(gradients[-1][..., 0].sum())

    return run


# --- in the process of one backend: what is measured ----------------------------------------------


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


def rates():
    """(operations, bytes) a second of this device: of a product, and of reading an array once.

    The best of a few, since a floor is wanted; another program can still make them too small.
    """
    from keras import ops

    def seconds(function):
        return min(timings({"": lambda: float(function())}, 7)[""])  # `float` waits

    # so large that no cache holds it, and that the waiting does not count
    side, rows = (2**11, 2**13) if device() == "CPU" else (2**14, 2**17)
    square = ops.ones((side, side))
    product = seconds(lambda: ops.matmul(square, square)[0, 0])
    large = ops.ones((rows, 2**13))
    reading = seconds(lambda: ops.max(large))
    return 2 * side**3 / product, FLOAT * rows * 2**13 / reading


def device():
    """ "CPU", or the name of the accelerator that the backend uses."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        cards = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(cards[0]) if cards else {}
        return details.get("device_name", "GPU" if cards else "CPU")
    if backend == "jax":
        import jax

        return "CPU" if jax.default_backend() == "cpu" else jax.devices()[0].device_kind
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def accelerator_memory(what):
    """ "current" or "peak" MiB of the accelerator's memory; "current" starts the peak anew."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        found = tf.config.experimental.get_memory_info("GPU:0")[what]
        if what == "current":
            tf.config.experimental.reset_memory_stats("GPU:0")
        return found / 2**20
    import torch

    if what == "current":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    return torch.cuda.max_memory_allocated() / 2**20


def measure_memory(name, kind, size):
    """MiB that head, loss and step need at their peak, in this process."""
    on_cpu = device() == "CPU"
    gc.collect()
    before = memory_now("VmRSS") if on_cpu else accelerator_memory("current")
    run = training_step(name, kind, tuple(size), kernel_initializer="zeros")
    for _ in range(3):
        run()
    return (memory_now("VmHWM") if on_cpu else accelerator_memory("peak")) - before


def memory_now(field):
    """A field of the process's status in MiB: VmRSS is what it holds, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def peak_memory(name, kind, size, run):
    """MiB of a step at its peak; None if nobody can tell. On a CPU it takes a fresh process."""
    import keras

    if plan := getattr(run, "plan", None):
        parts = (plan.argument_size_in_bytes, plan.output_size_in_bytes, plan.temp_size_in_bytes)
        return sum(parts) / 2**20
    if device() != "CPU":
        return measure_memory(name, kind, size)
    if sys.platform != "linux":
        return None
    job = json.dumps([name, kind, size])
    done = child(keras.backend.backend(), "--memory", job, capture_output=True)
    return json.loads(done.stdout.splitlines()[-1])


def summary(seconds):
    """{name: (milliseconds, ratio, lower and upper quartile of the ratio)} of a table."""
    first = next(iter(seconds.values()))
    rows = {}
    for name, times in seconds.items():
        ratios = [t / b for t, b in zip(times, first, strict=True)]
        lower, middle, upper = statistics.quantiles(ratios, n=4, method="inclusive")
        rows[name] = [round(x, 3) for x in (1e3 * statistics.median(times), middle, lower, upper)]
    return rows


def print_rows(rows, memory=None, at_most=None):
    for name, (ms, ratio, lower, upper) in rows.items():
        line = f"  {name:40s}{ms:9.2f} ms   x {ratio:5.3f} ({lower:5.3f} to {upper:5.3f})"
        if memory and memory[name] is not None:
            line += f"{memory[name]:9.0f} MiB"
        if at_most and name.startswith("CosineHead") and "NormFace" not in name:
            line += f"   (at most {at_most})"
        print(line, flush=True)


def bench_steps(quick):
    """All tables of steps on this backend, as data/bench.json has them."""
    import keras

    tables, (speed, bandwidth) = [], rates()
    sizes = SIZES if device() == "CPU" else ACCELERATOR_SIZES
    for size in sizes[:2] if quick else sizes:
        batch, dim, classes = size
        operations, moved = floor(*size)
        print(f"\nB {batch}, D {dim}, C {classes:,}: a step takes at least", end=" ")
        print(f"{1e3 * operations / speed:.3g} ms for {operations / 1e9:.3g} GFLOP", end=" and ")
        print(f"{1e3 * moved / bandwidth:.3g} ms for {moved / 1e6:.3g} MB,")
        print(f"at {speed / 1e9:.4g} GFLOP/s and {bandwidth / 1e9:.3g} GB/s, as measured here")
        rounds = ROUNDS[classes] // (3 if quick else 1)
        for kind in KINDS[keras.backend.backend()]:
            print(f" {kind}, {rounds} rounds", flush=True)
            names = list(rows_of(kind))
            steps = {name: training_step(name, kind, size) for name in names}
            rows = summary(timings(steps, rounds))
            memory = dict.fromkeys(names)
            if classes >= 10_000 and not quick:
                memory = {name: peak_memory(name, kind, size, steps[name]) for name in names}
            print_rows(rows, memory, TARGETS.get((classes, kind)))
            rows = [[name, *rows[name], memory[name]] for name in names]
            about = {"kind": kind, "device": device(), "size": size, "versions": versions()}
            tables.append(about | {"rows": rows})
    return tables


def bench_fit(quick):
    """Whole epochs of `fit` on the course's backbone."""
    from lib.backbones import build_backbone
    from lib.layers import CosineHead
    from lib.losses import ArcFaceLoss

    import keras
    import numpy as np

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
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    steps = {
        "Dense, softmax": epoch(keras.layers.Dense(10), plain),
        "CosineHead, ArcFace": epoch(CosineHead(10), ArcFaceLoss(0.3, 16)),
    }
    seconds = timings(steps, rounds)
    print_rows(summary(seconds))
    for name, times in seconds.items():
        print(f"  {name:36s}{count / statistics.median(times):9.0f} images a second", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", help=f"of {', '.join(KINDS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller sizes")
    parser.add_argument("--save", action="store_true", help="keep the tables in data/bench.json")
    parser.add_argument("--tables", help=argparse.SUPPRESS)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if missing := set(asked.backends) - set(installed()):
        parser.error(f"not installed: {', '.join(sorted(missing))}")
    if not (asked.tables or asked.memory):
        run_all(asked.backends or installed(), asked.quick, asked.save)
        return
    import lib  # noqa: F401

    import keras

    if asked.memory:
        print(json.dumps(measure_memory(*json.loads(asked.memory))))
        return
    if keras.backend.backend() == "torch":
        import torch

        torch.set_float32_matmul_precision("high")  # on a GPU, as the other two do by themselves
    print(f"\n{keras.backend.backend()} {version(keras.backend.backend())}, ", end="")
    print(f"Keras {keras.__version__}, {device()}")
    tables = bench_steps(asked.quick)
    bench_fit(asked.quick)
    Path(asked.tables).write_text(json.dumps(tables), encoding="utf-8")


if __name__ == "__main__":
    main()
