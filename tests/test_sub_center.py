"""Sub-centres: the nearest of a class's directions, and nothing but a cosine head with one."""

import lib  # noqa: F401
import reference
from lib.layers import CosineHead, SubCenterHead
from lib.losses import ArcFaceLoss

import keras
import numpy as np
import pytest

X = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")


def test_the_nearest_direction_counts():
    head = SubCenterHead(4, centers=3)
    outputs = np.asarray(head(X))
    kernel = head.weights[0].numpy()
    expected = reference.cosine_head(X, kernel).reshape(12, 4, 3)
    np.testing.assert_allclose(outputs, expected.max(axis=2), atol=1e-6)
    np.testing.assert_allclose(np.asarray(head.all_cosines(X)), expected, atol=1e-6)


def test_one_direction_is_a_cosine_head():
    head, plain = SubCenterHead(4, centers=1), CosineHead(4)
    head.build((None, 3))
    plain.build((None, 3))
    plain.kernel.assign(head.weights[0])
    np.testing.assert_array_equal(head(X), plain(X))


def test_only_the_nearest_direction_learns():
    head = SubCenterHead(2, centers=3)
    model = keras.Sequential([keras.Input((3,)), head])
    model.compile(keras.optimizers.SGD(0.1), loss=ArcFaceLoss(0.3, 8))
    before = head.weights[0].numpy()
    near = np.asarray(head.all_cosines(X[:1]))[0].argmax(axis=1)
    model.train_on_batch(X[:1], np.array([0]))
    moved = np.any(head.weights[0].numpy() != before, axis=0).reshape(2, 3)
    np.testing.assert_array_equal(moved, np.arange(3) == near[:, None])


def test_it_lives_in_a_model(tmp_path):
    model = keras.Sequential([keras.Input((3,)), SubCenterHead(4, centers=2, name="head")])
    model.compile("adam", loss=ArcFaceLoss(0.3, 16), metrics=["accuracy"])
    model.fit(X, np.arange(12) % 4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.layers[-1].centers == 2
    assert loaded.layers[-1].compute_output_shape((None, 3)) == (None, 4)


@pytest.mark.parametrize(("classes", "centers"), [(1, 3), (4, 0)])
def test_bad_arguments_are_refused(classes, centers):
    with pytest.raises(ValueError, match="3 centers a class"):
        SubCenterHead(classes, centers)
