"""A model with these losses lives like any Keras model: fit, evaluate, predict, save, load."""

import os
import subprocess
import sys
from pathlib import Path

import lib  # noqa: F401
import reference
from lib.adaptive import (
    AdaCosModel,
    AdaFaceModel,
    CurricularFaceModel,
    ElasticFaceModel,
    MagFaceModel,
)
from lib.layers import CosineHead, ModifiedSoftmaxHead, SubCenterHead
from lib.losses import (
    ArcFaceLoss,
    CombinedMarginLoss,
    CosFaceLoss,
    MVSoftmaxLoss,
    NormFaceLoss,
    SphereFaceLoss,
    softmax_cross_entropy,
)
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

pytestmark = pytest.mark.backends

RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parents[1]
X = RNG.standard_normal((40, 6)).astype("float32")
Y = RNG.integers(0, 4, 40)


def backbone():
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3),
        ],
        name="backbone",
    )


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """The plainest subclass: two layers and a call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embed = keras.layers.Dense(3)
        self.head = CosineHead(4)

    def call(self, inputs):
        return self.head(self.embed(inputs))


def sequential():
    return keras.Sequential([backbone(), CosineHead(4)])


def functional():
    inputs = keras.Input((6,))
    return keras.Model(inputs, CosineHead(4)(backbone()(inputs)))


def compiled(model, loss=None):
    # an optimizer with a state to be saved, whose step is compiled in half of Adam's time
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    return model


MODELS = {
    "softmax": lambda: compiled(
        keras.Sequential([backbone(), keras.layers.Dense(4)]), softmax_cross_entropy
    ),
    "modified softmax": lambda: compiled(
        keras.Sequential([backbone(), ModifiedSoftmaxHead(4)]), softmax_cross_entropy
    ),
    "normface": lambda: compiled(sequential(), NormFaceLoss(16)),
    "sphereface": lambda: compiled(sequential(), SphereFaceLoss(2, 16)),
    "cosface": lambda: compiled(functional(), CosFaceLoss(0.1, 16)),
    "arcface": lambda: compiled(functional(), ArcFaceLoss(0.3, 16)),
    "combined": lambda: compiled(Subclassed(), CombinedMarginLoss(0.9, 0.4, 0.15, 16)),
    "center loss": lambda: compiled(
        CenterLossModel(backbone(), keras.layers.Dense(4), 0.1), softmax_cross_entropy
    ),
    "center loss on ArcFace": lambda: compiled(
        CenterLossModel(backbone(), CosineHead(4), 0.1), ArcFaceLoss(0.3, 16)
    ),
    "feature scale": lambda: compiled(FeatureScaleMarginModel(backbone(), 4, m2=0.3)),
    "annealed sphereface": lambda: compiled(AnnealedSphereFace(backbone(), 4, 100)),
    "sub-centres": lambda: compiled(
        keras.Sequential([backbone(), SubCenterHead(4, centers=2)]), ArcFaceLoss(0.3, 16)
    ),
    # its draws are not saved: with all classes drawn, it goes on as its copy does
    "partial FC": lambda: compiled(
        PartialFCModel(backbone(), CosineHead(4), share=1), ArcFaceLoss(0.3, 16)
    ),
    "MV-Softmax": lambda: compiled(sequential(), MVSoftmaxLoss(0.2, scale=16)),
    "straight through": lambda: compiled(sequential(), ArcFaceLoss(0.3, 16, straight_through=True)),
    "AdaCos": lambda: compiled(AdaCosModel(backbone(), CosineHead(4))),
    "CurricularFace": lambda: compiled(CurricularFaceModel(backbone(), CosineHead(4), scale=16)),
    "MagFace": lambda: compiled(
        MagFaceModel(backbone(), CosineHead(4), lengths=(0.2, 5), scale=16)
    ),
    "AdaFace on sub-centres": lambda: compiled(
        AdaFaceModel(backbone(), SubCenterHead(4, centers=2), scale=16, start=None)
    ),
    # nor are these draws
    "ElasticFace": lambda: compiled(
        ElasticFaceModel(backbone(), CosineHead(4), std=0, scale=16, plus=True)
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_lives(name, tmp_path):
    model = MODELS[name]()
    by_16, by_8 = ({"batch_size": size, "verbose": 0} for size in (16, 8))
    history = model.fit(X, Y, epochs=2, **by_16).history  # the last batch is smaller
    assert np.isfinite(history["loss"]).all()
    _, accuracy = model.evaluate(X, Y, **by_8)  # of one size: JAX compiles for each
    outputs = model.predict(X, **by_8)
    assert outputs.shape == (40, 4)
    assert accuracy == pytest.approx((outputs.argmax(axis=1) == Y).mean())

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(array(loaded(X)), outputs, atol=1e-5)
    # the whole state came along: both go on training alike
    for weight, twin in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(twin.numpy(), weight.numpy())
    again = [one.fit(X[:16], Y[:16], **by_16).history for one in (model, loaded)]
    assert again[1] == {key: pytest.approx(value, rel=1e-5) for key, value in again[0].items()}

    model.save_weights(tmp_path / "all.weights.h5")
    if name != "combined":  # Keras clones no subclass without a config
        clone = keras.models.clone_model(model)
        clone.build((None, 6))
        clone.load_weights(tmp_path / "all.weights.h5")
        np.testing.assert_array_equal(array(clone(X)), array(model(X)))

    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert "(None" in text or name == "combined"  # a plain subclass shows its last batch
    assert "?" not in text


LOAD_ELSEWHERE = """
import sys
import lib, lib.losses, lib.layers, lib.models
import keras, numpy as np
x, y = np.load("data.npz").values()
for path in sys.argv[1:]:
    print(keras.models.load_model(path).evaluate(x, y, verbose=0)[0])
"""


def test_another_process_loads_them_with_nothing_registered_by_hand(tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    expected = []
    for name in ("arcface", "center loss"):
        model = MODELS[name]()
        expected.append(model.evaluate(X, Y, verbose=0)[0])
        model.save(tmp_path / f"{name}.keras")
    done = subprocess.run(
        [sys.executable, "-c", LOAD_ELSEWHERE, "arcface.keras", "center loss.keras"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=True,
    )
    np.testing.assert_allclose(np.float64(done.stdout.split()), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("uint8", (40, 1)), ("int32", (40,)), ("int64", (40, 1))]
)
def test_labels_of_any_integer_type_and_shape(dtype, shape):
    labels = Y.astype(dtype).reshape(shape)
    model = MODELS["arcface"]()  # a fresh one: Keras fixes what "accuracy" means on first labels
    loss, accuracy = model.evaluate(X, labels, verbose=0)
    cosines = model.predict(X, verbose=0)
    assert accuracy == pytest.approx((cosines.argmax(axis=1) == Y).mean())
    expected = reference.margin_loss(Y, cosines, 1, 0.3, 0, scale=16)[0].mean()
    assert loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["arcface", "center loss", "feature scale"])
def test_a_batch_of_one_and_weights(name):
    model = MODELS[name]()
    # 33 in batches of 16 leaves a batch of one
    history = model.fit(X[:33], Y[:33], batch_size=16, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    weights = np.float32([0.0, 0.5, 2.0])
    one_by_one = [model.evaluate(X[i : i + 1], Y[i : i + 1], verbose=0)[0] for i in range(3)]
    weighted = model.evaluate(X[:3], Y[:3], sample_weight=weights, verbose=0)[0]
    assert weighted == pytest.approx(np.mean(weights * one_by_one), rel=1e-4)
    model.fit(X, Y, class_weight={0: 1.0, 1: 0.0, 2: 2.0, 3: 0.5}, verbose=0)
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_keeps_head_and_loss_in_float32(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        model = MODELS["arcface"]()
        assert np.isfinite(model.fit(X, Y, batch_size=16, verbose=0).history["loss"]).all()
        outputs = model(X)
        assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(array(loaded(X)), array(outputs))
        model = MODELS["center loss"]()
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()
        assert model.centers.dtype == "float32"
        model = MODELS["annealed sphereface"]()
        assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("wrong", [-1, 4])
@pytest.mark.parametrize("name", ["arcface", "softmax", "center loss", "feature scale"])
def test_a_label_out_of_range_stops_fit_with_its_value(name, wrong):
    labels = Y.copy()
    labels[7] = wrong
    assert_refused(
        lambda: MODELS[name]().fit(X, labels, verbose=0).history["loss"][0],
        named=rf"Label {wrong}(\.0)? of sample",
        shown=rf"(?s)indices.* = {wrong} is not in \[0, 4\).*label_is_no_class",
    )


@pytest.mark.tensorflow
def test_run_eagerly_the_errors_name_the_sample():
    labels, x = Y.copy(), X.copy()
    labels[7], x[3, 2] = 4, np.nan
    embed = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    model = keras.Sequential([embed, CosineHead(4)])
    model.compile("sgd", loss=ArcFaceLoss(), run_eagerly=True)
    with pytest.raises(ValueError, match=r"Label 4\.0 of sample 7 is no class"):
        model.train_on_batch(X, labels)
    with pytest.raises(ValueError, match="embedding of sample 3 is NaN or infinite"):
        model.train_on_batch(x, Y)


def test_nan_embeddings_and_logits_for_cosines_stop_fit_by_name():
    x = X.copy()
    x[3, 2] = np.nan
    # no ReLU in between, which TensorFlow lets turn NaN into 0
    for head in (CosineHead(4), ModifiedSoftmaxHead(4)):
        model = keras.Sequential([keras.layers.Dense(3), head])
        model.compile("sgd", loss=softmax_cross_entropy)
        assert_refused(
            lambda model=model: model.fit(x, Y, verbose=0).history["loss"][0],
            named="embedding of sample",
            shown="embedding_is_nan_or_infinite",
        )
    dense = compiled(keras.Sequential([keras.layers.Dense(4)]), ArcFaceLoss())
    assert_refused(
        lambda: dense.fit(100 * X, Y, verbose=0).history["loss"][0],
        named="The target cosine of sample",
        shown="target_is_no_cosine",
    )
