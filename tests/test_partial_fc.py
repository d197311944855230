"""Partial FC: the batch's own classes are always there, and at share 1 it is the full step."""

import subprocess
import sys
from pathlib import Path

import lib  # noqa: F401
import reference
from lib.layers import CosineHead
from lib.losses import ArcFaceLoss, CombinedMarginLoss, CosFaceLoss, SphereFaceLoss
from lib.models import PartialFCModel
from loss_cases import assert_refused

import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.backends

CLASSES = 50
RNG = np.random.default_rng(0)
X = RNG.standard_normal((16, 6)).astype("float32")
Y = RNG.integers(0, CLASSES, 16)
DIFFERENT = len(np.unique(Y))

ARCFACE, COMBINED = ArcFaceLoss(0.3, 16), CombinedMarginLoss(0.9, 0.4, 0.15, 16)


def build(share, loss=None, optimizer=None, full=False, **arguments):
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense(4)
    backbone = keras.Sequential([keras.Input((6,)), dense], name="backbone")
    head = CosineHead(CLASSES, name="head")
    if full:
        model = keras.Sequential([backbone, head])
    else:
        model = PartialFCModel(backbone, head, share, **arguments)
    loss = loss or ARCFACE
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss=loss)
    model.build((None, 6))
    return model


def kernel_of(model):
    return np.array(model.layers[-1].kernel.numpy())  # a copy: PyTorch's changes with it


def touched(model, before):
    return np.flatnonzero(np.any(kernel_of(model) != before, axis=0))


@pytest.mark.parametrize("loss", [SphereFaceLoss(2, 16), COMBINED], ids=["SphereFace", "combined"])
def test_share_one_is_the_full_step(loss):
    full, partial = build(1, loss, full=True), build(1, loss)
    losses = [model.fit(X, Y, epochs=3, verbose=0).history["loss"] for model in (full, partial)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    for weight, twin in zip(full.weights, partial.weights, strict=True):
        np.testing.assert_allclose(twin.numpy(), weight.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (ARCFACE, Y),
        (CosFaceLoss(0.2, 16), Y[:, None]),
        (COMBINED, Y.astype("float32")),
    ],
    ids=["ArcFace", "CosFace, (B, 1)", "combined, float32"],
)
def test_the_loss_is_that_of_the_drawn_columns(loss, labels):
    """The step's loss, against float64 cosines of the columns that it moved."""
    model = build(0.6, loss)
    before, embeddings = kernel_of(model), model.backbone.predict(X, verbose=0)
    value = model.train_on_batch(X, labels)
    columns = touched(model, before)
    assert len(columns) == model.num_sampled == 30
    cosines = reference.cosine_head(embeddings, before[:, columns])
    places = np.searchsorted(columns, Y)
    rows = np.arange(len(Y))
    target = reference.margin_logit(cosines[rows, places], loss.m1, loss.m2, loss.m3)
    logits = loss.scale * cosines
    logits[rows, places] = loss.scale * target
    assert value == pytest.approx(reference.cross_entropy(places, logits)[0].mean(), rel=1e-5)


def test_only_drawn_columns_have_a_gradient_and_the_batchs_own_always_do():
    model = build(0.4)
    counts = np.zeros(CLASSES)
    for _ in range(200):
        before = kernel_of(model)
        model.train_on_batch(X, Y)
        columns = touched(model, before)
        assert len(columns) == 20
        assert set(Y) <= set(columns)
        counts[columns] += 1
    others = np.delete(counts, np.unique(Y)) / 200
    expected = (20 - DIFFERENT) / (CLASSES - DIFFERENT)
    # every other class has its turn: four standard deviations of 200 draws
    assert np.abs(others - expected).max() < 4 * np.sqrt(expected * (1 - expected) / 200)


def test_draws_repeat_with_the_seed_and_change_from_step_to_step():
    def run(**arguments):
        model = build(0.5, **arguments)
        first = kernel_of(model)
        model.train_on_batch(X, Y)
        second = kernel_of(model)
        columns = [touched(model, first)]
        model.train_on_batch(X, Y)
        columns.append(touched(model, second))
        return columns, model.get_weights()

    (columns, weights), (again, twins) = run(), run()
    for weight, twin in zip(weights, twins, strict=True):
        np.testing.assert_array_equal(weight, twin)
    assert not np.array_equal(columns[0], columns[1])
    np.testing.assert_array_equal(columns[0], again[0])
    other, _ = run(seed=7)
    assert not np.array_equal(columns[0], other[0])


def test_outside_training_all_classes_are_there():
    model, full = build(0.4), build(1, full=True)
    assert model.predict(X, verbose=0).shape == (16, CLASSES)
    np.testing.assert_array_equal(model.predict(X, verbose=0), full.predict(X, verbose=0))
    expected = pytest.approx(full.evaluate(X, Y, verbose=0), rel=1e-6)
    assert model.evaluate(X, Y, verbose=0) == expected


def test_training_accuracy_is_that_of_all_classes():
    model = build(0.4)
    model.compile(keras.optimizers.SGD(0.0), loss=ARCFACE, metrics=["accuracy"])
    accuracy = model.fit(X, Y, batch_size=16, verbose=0).history["accuracy"][0]
    assert accuracy == pytest.approx((model.predict(X, verbose=0).argmax(axis=1) == Y).mean())


def test_share_and_seed_are_saved(tmp_path):
    build(0.4, seed=3).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is PartialFCModel
    assert (loaded.share, loaded.seed, loaded.num_sampled) == (0.4, 3, 20)
    assert np.isfinite(loaded.train_on_batch(X, Y))


def test_sample_weights_and_a_smaller_last_batch():
    model = build(0.4, optimizer=keras.optimizers.SGD(0.0))
    model.head.trainable = False
    history = model.fit(X, Y, batch_size=6, sample_weight=np.zeros(16), verbose=0).history
    assert history["loss"] == [0.0]


@pytest.mark.parametrize(
    ("share", "columns"), [(1, 50), (0.5, 25), (0.1, 5), (0.06, 3), (0.051, 3), (0.001, 2)]
)
def test_how_many_columns_a_share_is(share, columns):
    assert build(share).num_sampled == columns


@pytest.mark.parametrize("label", [-1, 50])
def test_a_label_that_is_no_class_is_refused(label):
    labels = np.append(Y[:-1], label)
    assert_refused(
        lambda: build(0.5).train_on_batch(X, labels),
        named=f"Label {label} of sample 15",
        shown=rf"(?s)= {label} is not in \[0, 50\).*label_is_no_class",
    )


def test_a_batch_with_more_images_than_the_share_has_columns_takes_a_column_for_each():
    model = build(0.1)
    before = kernel_of(model)
    assert model.num_sampled == 5
    assert np.isfinite(model.train_on_batch(X, Y))
    columns = touched(model, before)
    assert set(Y) <= set(columns)
    assert len(columns) == len(X)
    model = build(0.1)  # with fewer classes than images the others are drawn
    before = kernel_of(model)
    model.fit(X, Y[np.arange(16) % 5], batch_size=16, verbose=0)
    assert len(touched(model, before)) == len(X)


@pytest.mark.parametrize("groups", [2, 5])
def test_each_group_draws_its_share_from_its_own_columns(groups):
    model = build(0.4, groups=groups, optimizer=keras.optimizers.SGD(1.0))
    few, labels = X[:6], Y[:6]
    counts, start = np.zeros(CLASSES), model.get_weights()
    for _ in range(60):
        model.set_weights(start)  # or far columns would soon move by less than a float can tell
        before, embeddings = kernel_of(model), model.backbone.predict(few, verbose=0)
        value = model.train_on_batch(few, labels)
        columns = touched(model, before)
        assert set(labels) <= set(columns)
        counts_in = np.bincount(columns // (CLASSES // groups))
        np.testing.assert_array_equal(counts_in, max(20 // groups, len(few)))
        counts[columns] += 1
    assert (counts > 0).all()
    cosines = reference.cosine_head(embeddings, before[:, columns])
    places = np.searchsorted(columns, labels)
    rows = np.arange(len(labels))
    logits = 16 * cosines
    logits[rows, places] = 16 * reference.margin_logit(cosines[rows, places], 1, 0.3, 0)
    assert value == pytest.approx(reference.cross_entropy(places, logits)[0].mean(), rel=1e-4)


def test_groups_that_do_not_divide_the_classes_are_refused():
    with pytest.raises(ValueError, match="50 classes do not divide evenly into 3"):
        build(0.4, groups=3)


def test_a_bad_embedding_is_refused():
    bad = X.copy()
    bad[3] = np.nan
    assert_refused(
        lambda: build(0.5).train_on_batch(bad, Y),
        named="embedding of sample 3",
        shown="embedding_is_nan_or_infinite",
    )


@pytest.mark.tensorflow
def test_run_eagerly_the_errors_name_the_sample():
    bad = X.copy()
    bad[3] = np.nan
    for share, x, labels, named in (
        (0.5, X, np.append(Y[:-1], 50), r"Label 50(\.0)? of sample 15"),
        (0.5, bad, Y, "embedding of sample 3"),
    ):
        model = build(share)
        model.compile("sgd", loss=ArcFaceLoss(0.3, 16), run_eagerly=True)
        with pytest.raises(ValueError, match=named):
            model.train_on_batch(x, labels)


def test_labels_that_float32_cannot_tell_apart_are_refused():
    """The check is on all classes, not on the few that were drawn."""
    model = build(0.5)
    labels = ops.convert_to_tensor(Y.astype("float16"))
    wide = ops.zeros((16, 3000))
    with pytest.raises(ValueError, match="float16, which is exact up to 2048"):
        model._sampled(ops.zeros((16, 4)), labels, wide)


@pytest.mark.tensorflow
def test_replicas_share_a_draw_and_add_their_own_classes():
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", ON_REPLICAS], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    losses, columns, moved = done.stdout.split("|")
    assert all(np.isfinite(float(loss)) for loss in losses.split())
    first, second = range(0, 8), range(8, 16)  # the classes of the two halves of the batch
    moved = {int(column) for column in moved.split()}
    assert moved.issuperset([*first, *second])
    # both draw 30, eight of them their own; the other 22 come from the same lots
    assert int(columns) == 30
    assert 30 <= len(moved) <= 30 + 8 + 8


ON_REPLICAS = """
import lib, keras, numpy as np, tensorflow as tf
from lib.layers import CosineHead
from lib.losses import ArcFaceLoss
from lib.models import PartialFCModel

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    keras.utils.set_random_seed(0)
    backbone = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model = PartialFCModel(backbone, CosineHead(100), share=0.3)
    model.compile(keras.optimizers.SGD(0.1), loss=ArcFaceLoss(0.3, 16))
    model.build((None, 6))
before = np.asarray(model.head.kernel.value)
x = np.random.default_rng(0).standard_normal((16, 6)).astype("float32")
history = model.fit(x, np.arange(16), batch_size=16, verbose=0).history
moved = np.flatnonzero(np.any(np.asarray(model.head.kernel.value) != before, axis=0))
print(*history["loss"], "|", model.num_sampled, "|", *moved)
"""
