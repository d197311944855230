"""The same models on another backend, by XLA, and on two replicas: each in its own process."""

import os
import subprocess
import sys
from pathlib import Path

import lib  # noqa: F401

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(arguments, folder, **environment):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """The weights and losses of a few steps on TensorFlow and one device."""
    folder = tmp_path_factory.mktemp("one_device")
    run(["-c", TRAIN, "one"], folder, KERAS_BACKEND="tensorflow")
    return np.load(folder / "one.npz")


@pytest.mark.backends
def test_the_models_train_alike(one_device, tmp_path):
    """On the backend of this run as on TensorFlow, in values, centres and lambda."""
    run(["-c", TRAIN, "here"], tmp_path)
    here = np.load(tmp_path / "here.npz")
    for name in one_device.files:
        np.testing.assert_allclose(here[name], one_device[name], atol=1e-4, err_msg=name)


def test_a_step_on_two_replicas_is_a_step_on_one_device(one_device, tmp_path):
    run(["-c", TRAIN, "two", "mirrored"], tmp_path)
    two = np.load(tmp_path / "two.npz")
    assert np.abs(one_device["center_loss/centers"]).max() > 0.1
    for name in one_device.files:
        np.testing.assert_allclose(two[name], one_device[name], atol=1e-5, err_msg=name)


def test_compiled_by_xla_the_models_train_alike(one_device, tmp_path):
    """In a fresh process: where operations were made deterministic, Keras leaves XLA out."""
    run(["-c", TRAIN, "xla", "bad labels"], tmp_path)
    by_xla = np.load(tmp_path / "xla.npz")
    for name in one_device.files:
        np.testing.assert_allclose(by_xla[name], one_device[name], atol=1e-5, err_msg=name)
    # Nothing can stop there, as a label that is no class stops what is compiled without XLA:
    # so this also shows that XLA was there.
    bad = [name for name in by_xla.files if "bad label" in name]
    assert len(bad) == 20
    for name in bad:
        assert np.isnan(by_xla[name]).all(), name


TRAIN = """
import contextlib, sys
import lib, keras, numpy as np
from lib.adaptive import (
    AdaCosModel, AdaFaceModel, CurricularFaceModel, ElasticFaceModel, MagFaceModel
)
from lib.layers import CosineHead
from lib.losses import ArcFaceLoss, softmax_cross_entropy
from lib.models import (
    AnnealedSphereFace, CenterLossModel, FeatureScaleMarginModel, PartialFCModel
)

tensorflow = keras.backend.backend() == "tensorflow"
xla = "xla" in sys.argv
scope = contextlib.nullcontext
if "mirrored" in sys.argv:
    import tensorflow as tf
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    scope = strategy.scope

rng = np.random.default_rng(0)
x = rng.standard_normal((16, 6)).astype("float32")
# the first replica gets the first half: some classes are on one replica only, one is on both
y = np.array([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 2, 2, 3, 3, 3, 3])
weights = rng.uniform(0, 2, 16).astype("float32")

def backbone():
    # its penalty counts once, however many replicas there are
    dense = keras.layers.Dense(
        3,
        kernel_initializer=keras.initializers.Constant(kernel),
        kernel_regularizer=keras.regularizers.L2(0.05),
    )
    return keras.Sequential([keras.Input((6,)), dense])

kernel = rng.standard_normal((6, 3)).astype("float32")
head_kernel = rng.standard_normal((3, 4)).astype("float32")
initializer = keras.initializers.Constant(head_kernel)
builders = {
    "arcface": lambda: (
        keras.Sequential([backbone(), CosineHead(4, initializer)]), ArcFaceLoss(0.3, 8)
    ),
    "center_loss": lambda: (
        CenterLossModel(backbone(), keras.layers.Dense(4, kernel_initializer=initializer), 0.5),
        softmax_cross_entropy,
    ),
    "feature_scale": lambda: (FeatureScaleMarginModel(backbone(), 4, m2=0.3), None),
    "annealed": lambda: (AnnealedSphereFace(backbone(), 4, 10), None),
    "partial_fc": lambda: (
        PartialFCModel(backbone(), CosineHead(4, initializer), share=1), ArcFaceLoss(0.3, 8)
    ),
    "adacos": lambda: (AdaCosModel(backbone(), CosineHead(4, initializer)), None),
    "curricular": lambda: (
        CurricularFaceModel(backbone(), CosineHead(4, initializer), 0.3, 8, momentum=0.5), None
    ),
    "magface": lambda: (
        MagFaceModel(backbone(), CosineHead(4, initializer), lengths=(1, 6), scale=8), None
    ),
    "adaface": lambda: (
        AdaFaceModel(backbone(), CosineHead(4, initializer), scale=8, momentum=0.5, start=None),
        None,
    ),
    # each backend draws its own
    "elastic": lambda: (
        ElasticFaceModel(backbone(), CosineHead(4, initializer), 0.3, std=0, scale=8), None
    ),
}
values = {}
for name, build in builders.items():
    with scope():
        model, loss = build()
        jit = xla if tensorflow else "auto"
        model.compile(keras.optimizers.SGD(0.1), loss=loss, jit_compile=jit)
        assert not tensorflow or model.jit_compile is xla
        model.build((None, 6))
        model.layers[-1].kernel.assign(head_kernel)
    # one step with weights, then one without
    for sample_weight in (weights, None):
        history = model.fit(x, y, batch_size=16, sample_weight=sample_weight, verbose=0).history
        values[f"{name}/loss {sample_weight is None}"] = history["loss"]
    for weight in model.weights:
        values[f"{name}/{weight.path.split('/')[-1]}"] = weight.numpy()
    evaluated = model.evaluate(x, y, batch_size=16, verbose=0)
    values[f"{name}/evaluated"] = evaluated
    if "bad labels" in sys.argv:
        for label in (-1, 4):
            loss = model.evaluate(x[:1], np.array([label]), verbose=0)
            values[f"{name}/bad label {label}"] = [loss, model.train_on_batch(x[:1], [label])]
np.savez(sys.argv[1] + ".npz", **values)
"""
