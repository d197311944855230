"""Embeddings belong to their outputs: nested models, own loops, labels, saving, on each backend."""

import functools
import gc
import math
import weakref

import lib  # noqa: F401
from lib.adaptive import AdaCosModel, AdaFaceModel, CurricularFaceModel, MagFaceModel
from lib.layers import CosineHead
from lib.losses import ArcFaceLoss, softmax_cross_entropy
from lib.models import (
    AnnealedSphereFace,
    CenterLossModel,
    FeatureScaleMarginModel,
    PartialFCModel,
)
from loss_cases import array, assert_refused

import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.backends

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 5)).astype("float32")
Y = np.array([0, 1, 2, 2, 2, 3] * 4)


def backbone():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)], name="backbone")


MODELS = {
    "center loss": lambda: (
        CenterLossModel(backbone(), keras.layers.Dense(4), weight=1.0),
        softmax_cross_entropy,
    ),
    "feature scale": lambda: (FeatureScaleMarginModel(backbone(), 4, m2=0.3), None),
    "annealed": lambda: (AnnealedSphereFace(backbone(), 4, training_steps=100), None),
    "partial FC": lambda: (
        PartialFCModel(backbone(), CosineHead(8), share=0.5, seed=1),
        ArcFaceLoss(0.3, 16),
    ),
    "AdaCos": lambda: (AdaCosModel(backbone(), CosineHead(4)), None),
    "CurricularFace": lambda: (CurricularFaceModel(backbone(), CosineHead(4), scale=16), None),
    "MagFace": lambda: (
        MagFaceModel(backbone(), CosineHead(4), lengths=(0.2, 9), scale=16),
        None,
    ),
    "AdaFace": lambda: (AdaFaceModel(backbone(), CosineHead(4), scale=16, start=None), None),
}


def build(name, learning_rate=0.0, **arguments):
    keras.utils.set_random_seed(0)
    model, loss = MODELS[name]()
    model.compile(keras.optimizers.SGD(learning_rate), loss=loss, **arguments)
    model.build((None, 5))
    return model


def state(model):
    """What training changes and no gradient: centres, lambda."""
    return [np.array(w.numpy()) for w in model.non_trainable_weights if "seed" not in w.path]


@pytest.mark.parametrize("name", MODELS)
def test_two_calls_before_one_loss_keep_their_own_embeddings(name):
    model = build(name)
    first, second = X[:12], X[12:] * 3
    alone = float(model.compute_loss(first, Y[:12], model(first), training=False))
    outputs = model(first)
    model(second)
    again = float(model.compute_loss(first, Y[:12], outputs, training=False))
    assert again == pytest.approx(alone, rel=1e-6)
    # and a second time
    assert float(model.compute_loss(first, Y[:12], outputs, training=False)) == again


@pytest.mark.parametrize("name", ["center loss", "annealed", "AdaCos", "CurricularFace", "AdaFace"])
def test_a_batch_moves_the_state_once_however_often_its_loss_is_asked_for(name):
    model, twin = build(name), build(name)
    twin.train_on_batch(X, Y)
    outputs = model(X, training=True)
    for _ in range(2):
        model.compute_loss(X, Y, outputs, training=True)
    for got, expected in zip(state(model), state(twin), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        assert np.abs(got).max() > 0


@pytest.mark.parametrize("name", MODELS)
def test_a_loss_of_its_own_loop_is_that_of_fit(name):
    model = build(name)
    expected = build(name).train_on_batch(X, Y)
    loss = model.compute_loss(X, Y, model(X, training=True), training=True)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_that_are_not_the_models_own_are_refused_in_training(name):
    model = build(name)
    with pytest.raises(ValueError, match=r"the tensor that the model returned.*model\(x, training"):
        model.compute_loss(X, Y, model(X, training=True) + 0, training=True)


def test_evaluation_can_do_without_them():
    model = build("center loss")
    expected = model.evaluate(X, Y, verbose=0)
    outputs = ops.convert_to_tensor(model.predict(X, verbose=0))
    loss = model.compute_loss(ops.convert_to_tensor(X), Y, outputs, training=False)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_trained_as_a_part_of_another_model_they_refuse(name):
    model, loss = MODELS[name]()
    outer = keras.Sequential([keras.layers.GaussianNoise(0.1), model])
    outer.compile("sgd", loss=loss or softmax_cross_entropy)
    with pytest.raises(Exception, match="another model is trained around it.*into its backbone"):
        outer.fit(X, Y, verbose=0)
    # for its predictions, or as a frozen part, it may be there
    outer = keras.Sequential([keras.layers.GaussianNoise(0.1), build(name)])
    assert len(outer.predict(X, verbose=0)) == 24
    outer.layers[-1].trainable = False
    top = keras.Sequential([outer, keras.layers.Dense(4)])
    top.compile("sgd", loss=softmax_cross_entropy)
    assert np.isfinite(top.fit(X, Y, verbose=0).history["loss"]).all()


@keras.saving.register_keras_serializable(package="tests")
class Asks(keras.Model):
    """A model that trains another by that one's own loss."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return self.inner.compute_loss(x, y, y_pred, sample_weight, training)


def test_an_outer_model_may_ask_for_their_loss():
    expected = build("feature scale").train_on_batch(X, Y)
    outer = Asks(build("feature scale"))
    outer.compile(keras.optimizers.SGD(0.0))
    if keras.backend.backend() == "jax":  # where nobody can say who asks
        with pytest.raises(ValueError, match="another model is trained around it"):
            outer.train_on_batch(X, Y)
    else:
        assert outer.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class Wraps(keras.layers.Layer):
    """A layer, no model, around a model."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, inputs, training=None):
        return self.inner(inputs, training=training)


@pytest.mark.parametrize("around", [Wraps, Asks])
def test_trained_within_something_between_they_refuse(around):
    outer = keras.Sequential([around(build("feature scale")), keras.layers.Dense(4)])
    outer.compile("sgd", loss=softmax_cross_entropy)
    with pytest.raises(ValueError, match="another model is trained around it"):
        outer.fit(X, Y, verbose=0)


def test_nothing_of_a_batch_stays():
    """Neither a graph's tensor in the model nor a batch in memory."""
    model = build("center loss")
    model.predict(X, verbose=0)
    model.fit(X, Y, verbose=0)
    outputs = model(X)
    gone = weakref.ref(outputs)
    del outputs
    gc.collect()
    assert gone() is None
    kept = [value for value in vars(model).values() if not isinstance(value, keras.Variable)]
    assert not any(ops.is_tensor(value) for value in kept)
    if keras.backend.backend() == "jax":
        from lib import models

        assert not models._BATCHES


def test_nor_does_it_where_the_head_does_nothing():
    model = CenterLossModel(backbone(), keras.layers.Identity())
    outputs = model(X)
    gone = weakref.ref(outputs)
    del outputs
    gc.collect()
    assert gone() is None


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("labels", "named"),
    [(np.eye(4)[Y], "argmax"), (np.eye(4)[Y[:1]], "argmax"), (Y[:, None, None], "one class index")],
    ids=["one-hot", "a batch of one", "three axes"],
)
def test_labels_of_another_form_are_refused_before_anything_else(name, labels, named):
    with pytest.raises(Exception, match=named):
        build(name).train_on_batch(X[: len(labels)], labels)
    if MODELS[name]()[1] is None:  # to the others Keras says something else
        with pytest.raises(Exception, match="labels are missing"):
            build(name).train_on_batch(X)


@pytest.mark.parametrize("name", MODELS)
def test_one_label_for_many_samples_is_refused(name):
    with pytest.raises(ValueError, match="got 1 labels for 24 samples"):
        build(name).train_on_batch(X, Y[:1])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("wrong", [0.5, 2 / 255, -1, 9])
def test_a_label_that_is_no_class_is_refused_and_spoils_nothing(name, wrong):
    model = build(name, learning_rate=0.1)
    labels = Y.astype("float32")
    labels[0] = wrong
    assert_refused(
        lambda: model.train_on_batch(X, labels),
        named=f"Label {wrong:.3g}.* of sample 0.*sample_weight 0",
        shown="label_is_no_class",
    )
    # so that nothing afterwards hints at the learning rate
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


# --- float types ----------------------------------------------------------------------------------


@functools.cache
def loss_in_float32(name):
    return build(name).evaluate(X, Y, verbose=0)


@pytest.mark.parametrize("floatx", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_any_floatx(name, floatx, tmp_path):
    expected = loss_in_float32(name)
    keras.config.set_floatx(floatx)
    try:
        model = build(name, learning_rate=0.01)
        rough = {"float16": 0.01, "bfloat16": 0.1, "float64": 1e-4}[floatx]
        assert float(model.evaluate(X, Y, verbose=0)) == pytest.approx(expected, rel=rough)
        assert math.isfinite(model.fit(X, Y, verbose=0).history["loss"][0])
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(array(loaded(X)), array(model(X)))
    finally:
        keras.config.set_floatx("float32")


# --- saving ---------------------------------------------------------------------------------------


def test_the_older_format_is_refused_when_saving(tmp_path):
    for name in ("model.h5", "model.hdf5"):
        with pytest.raises(ValueError, match="Save it as a .keras file"):
            build("center loss").save(tmp_path / name)
        assert not (tmp_path / name).exists()
