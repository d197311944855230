"""What the tests of losses share: all losses with their margins, samples, gradients by backend."""

import contextlib
from unittest import mock

import lib  # noqa: F401  (silences TensorFlow before keras imports it)

import keras
import numpy as np
import pytest
from keras import ops

# GPUs with TF32 round the factors of a float32 product to 10 bits, which costs cosines 3e-4: the
# bounds of these tests are for products in full.
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(False)
elif keras.backend.backend() == "jax":
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")

SCALES = (1.0, 4.0, 16.0, 30.0, 64.0, 128.0)

# Each named loss with margins from neutral to large: a name, how to build it, and its (m1, m2, m3).
CASES = {
    "normface": (lambda losses, s: losses.NormFaceLoss(s), (1, 0, 0)),
    "sphereface 1.35": (lambda losses, s: losses.SphereFaceLoss(1.35, s), (1.35, 0, 0)),
    "sphereface 2": (lambda losses, s: losses.SphereFaceLoss(2, s), (2, 0, 0)),
    "sphereface 3": (lambda losses, s: losses.SphereFaceLoss(3, s), (3, 0, 0)),
    "sphereface 4": (lambda losses, s: losses.SphereFaceLoss(4, s), (4, 0, 0)),
    "cosface 0.1": (lambda losses, s: losses.CosFaceLoss(0.1, s), (1, 0, 0.1)),
    "cosface 0.35": (lambda losses, s: losses.CosFaceLoss(0.35, s), (1, 0, 0.35)),
    "arcface 0.2": (lambda losses, s: losses.ArcFaceLoss(0.2, s), (1, 0.2, 0)),
    "arcface 0.5": (lambda losses, s: losses.ArcFaceLoss(0.5, s), (1, 0.5, 0)),
    "arcface 1": (lambda losses, s: losses.ArcFaceLoss(1, s), (1, 1, 0)),
    "arcface 1.5": (lambda losses, s: losses.ArcFaceLoss(1.5, s), (1, 1.5, 0)),
    "combined 1 .3 .2": (
        lambda losses, s: losses.CombinedMarginLoss(1, 0.3, 0.2, s),
        (1, 0.3, 0.2),
    ),
    "combined .9 .4 .15": (
        lambda losses, s: losses.CombinedMarginLoss(0.9, 0.4, 0.15, s),
        (0.9, 0.4, 0.15),
    ),
    "combined 1.5 .3 .1": (
        lambda losses, s: losses.CombinedMarginLoss(1.5, 0.3, 0.1, s),
        (1.5, 0.3, 0.1),
    ),
}

# float32 angles, as on JAX, cost digits at large scales and near theta = pi.
GRADIENT_BOUND = 1e-5 if keras.backend.backend() == "tensorflow" else 2e-4

JUST_INSIDE = np.nextafter(np.float32(1), np.float32(0))


def samples(seed, batch=1500):
    """Labels and float32 cosines as training meets them, from a bad start to a nearly solved task.

    The classes number 2 to 30. In a third of the rows the target's cosine lies near 1 or -1, down
    to 1e-6 from it, in a third the other classes are far away, so that almost nothing is lost.
    """
    rng = np.random.default_rng(seed)
    classes = int(rng.choice([2, 3, 10, 30]))
    labels = rng.integers(0, classes, batch)
    cosines = rng.uniform(-1, 1, (batch, classes))
    kind = rng.integers(0, 3, batch)
    edge = rng.choice([-1, 1], batch) * (1 - 10 ** rng.uniform(-6, 0, batch))
    rows = np.arange(batch)
    cosines[kind == 1] = rng.uniform(-1, 0.2, (int((kind == 1).sum()), classes))
    cosines[rows, labels] = np.where(kind == 2, edge, cosines[rows, labels])
    return labels, np.clip(cosines, -1 + 1e-6, 1 - 1e-6).astype("float32")


def edge_samples(classes=5):
    """Target cosines at, one step inside and one step beyond +-1, with all kinds of others."""
    ends = np.float32([1, JUST_INSIDE, 1 - 1e-6, np.nextafter(np.float32(1), np.float32(2))])
    rng = np.random.default_rng(0)
    target = np.tile(np.concatenate([ends, -ends]), 20)
    labels = rng.integers(0, classes, len(target))
    cosines = rng.uniform(-1, 1, (len(target), classes)).astype("float32")
    cosines[::5] = 1.0
    cosines[1::5] = -1.0
    cosines[np.arange(len(target)), labels] = target
    return labels, cosines


@contextlib.contextmanager
def on_a_cpu():
    """Where a bad value is named: what is on another device nobody waits for."""
    with keras.device("cpu:0"):
        yield


def assert_refused(train, named, shown):
    """A training step on what is no label or no embedding: each backend refuses it as it can.

    Args:
        train: runs the step and returns its loss.
        named: what the error says that sees the value, on PyTorch.
        shown: what TensorFlow's shows, which has compiled the step. JAX cannot stop, and PyTorch
            does not on another device than a CPU: NaN.
    """
    backend = keras.backend.backend()
    if backend == "jax" or (backend == "torch" and "cpu" not in str(ops.zeros(1).device)):
        assert np.isnan(train())
    else:
        with pytest.raises(Exception, match=shown if backend == "tensorflow" else named):
            train()


def array(tensor):
    """As a NumPy array, also where PyTorch follows its gradient."""
    return ops.convert_to_numpy(tensor)


def hidden_values():
    """Where no tensor gives its values to whoever asks, as on a device that nobody waits for."""
    return mock.patch.object(ops, "convert_to_numpy", side_effect=RuntimeError("not here"))


def value_and_gradient(function, point, compiled=False):
    """function(point) of shape (B,) and the gradient of its sum in point, as NumPy arrays.

    Compiled: by XLA, where no value can be looked at. On PyTorch there is no XLA, but there are
    devices that nobody waits for.
    """
    point = ops.convert_to_tensor(point)
    if keras.backend.backend() == "jax":

        def both(x):
            values, pull = jax.vjp(function, x)
            return values, pull(ops.ones_like(values))[0]

        result = (jax.jit(both) if compiled else both)(point)
    elif keras.backend.backend() == "torch":
        point = point.detach().clone().requires_grad_()
        with hidden_values() if compiled else contextlib.nullcontext():
            values = function(point)
        values.sum().backward()
        result = values, point.grad
    else:

        def both(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                values = function(x)
            return values, tape.gradient(values, x)

        result = (tf.function(both, jit_compile=True) if compiled else both)(point)
    return tuple(array(part) for part in result)


def loss_and_gradient(loss, labels, cosines, compiled=False):
    """A Keras loss's value for each sample, and the gradient of each in its row of cosines."""
    return value_and_gradient(lambda x: loss.call(labels, x), cosines, compiled)


def assert_close_to_reference(values, gradients, expected, scale):
    """The bounds that every loss keeps, whatever its margins and scale."""
    losses, slopes = expected
    error = np.abs(values - losses) / (1e-5 * np.abs(losses) + 2e-7 * scale)
    assert error.max() <= 1, f"value off by {error.max():.2f} times the bound"
    largest = np.abs(slopes).max(axis=1, keepdims=True)
    # below 1e-30 float32 has no room for relative accuracy
    error = np.abs(gradients - slopes) / (GRADIENT_BOUND * largest + 1e-30)
    assert error.max() <= 1, f"gradient off by {error.max():.2f} times the bound"
