"""The models with a loss of their own: against the papers' formulas, one step at a time."""

import math

import lib  # noqa: F401
import reference
from lib import losses
from lib.adaptive import AdaFaceModel, CurricularFaceModel, ElasticFaceModel, MagFaceModel
from lib.backbones import build_backbone, build_demo_2d_backbone, build_demo_20d_backbone
from lib.feasibility import feasibility
from lib.layers import CosineHead, ModifiedSoftmaxHead, SubCenterHead
from lib.losses import softmax_cross_entropy
from lib.models import (
    AnnealedSphereFace,
    CenterLossModel,
    FeatureScaleMarginModel,
    PartialFCModel,
)

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backends

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 5)).astype("float32")
Y = np.array([0, 1, 2, 2, 2, 3] * 4)


def backbone(dim=3):
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(dim)], name="backbone")


def fixed_backbone():
    """Embeddings that training leaves alone."""
    model = backbone()
    model.trainable = False
    return model


def center_model(**arguments):
    model = CenterLossModel(fixed_backbone(), keras.layers.Dense(4), **arguments)
    model.compile(keras.optimizers.SGD(0.0), loss=softmax_cross_entropy)
    return model


def test_center_loss_is_half_the_squared_distance():
    model = center_model(weight=0.25)
    model.build((None, 5))
    centers = RNG.standard_normal((4, 3)).astype("float32")
    model.centers.assign(centers)
    embeddings = model.backbone.predict(X, verbose=0)
    softmax_part = reference.cross_entropy(Y, model.predict(X, verbose=0))[0].mean()
    center_part = 0.5 * ((embeddings - centers[Y]) ** 2).sum(axis=1).mean()
    expected = softmax_part + 0.25 * center_part
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)
    weights = np.linspace(0, 2, 24)
    each = reference.cross_entropy(Y, model.predict(X, verbose=0))[0]
    each = each + 0.125 * ((embeddings - centers[Y]) ** 2).sum(axis=1)
    got = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    assert got == pytest.approx((weights * each).mean(), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 0.0])
@pytest.mark.parametrize("labels", [Y, Y[:, None]], ids=["(B,)", "(B, 1)"])
def test_centers_move_by_the_papers_rule(alpha, labels):
    model = center_model(alpha=alpha)
    model.build((None, 5))
    before = RNG.standard_normal((4, 3)).astype("float32")
    model.centers.assign(before)
    embeddings = model.backbone.predict(X, verbose=0)
    model.evaluate(X, labels, verbose=0)
    np.testing.assert_array_equal(model.centers.numpy(), before)
    model.fit(X, labels, batch_size=24, verbose=0)
    expected = reference.center_step(before, embeddings, Y, alpha)
    np.testing.assert_allclose(model.centers.numpy(), expected, atol=1e-6)
    # two batches: the second starts from the first's centres
    model.centers.assign(before)
    model.fit(X, labels, batch_size=12, shuffle=False, verbose=0)
    half = reference.center_step(before, embeddings[:12], Y[:12], alpha)
    expected = reference.center_step(half, embeddings[12:], Y[12:], alpha)
    np.testing.assert_allclose(model.centers.numpy(), expected, atol=1e-6)


def test_a_sample_of_weight_zero_moves_no_center():
    model = center_model()
    weights = (Y != 2).astype("float32") * 1.5
    embeddings = model.backbone.predict(X, verbose=0)
    model.fit(X, Y, sample_weight=weights, batch_size=24, verbose=0)
    expected = reference.center_step(np.zeros((4, 3)), embeddings, Y, weights=weights)
    np.testing.assert_allclose(model.centers.numpy(), expected, atol=1e-6)
    assert np.all(model.centers.numpy()[2] == 0)


def test_center_loss_pulls_the_embeddings_with_the_papers_gradient():
    """Eq. 3: x - c for each sample, so SGD moves a bias by the mean of it."""
    model = CenterLossModel(backbone(), keras.layers.Dense(4, kernel_initializer="zeros"), 1.0)
    model.compile(keras.optimizers.SGD(1.0), loss=softmax_cross_entropy)
    model.build((None, 5))
    embeddings = model.backbone.predict(X, verbose=0)
    model.fit(X, Y, batch_size=24, verbose=0)
    # a head of zeros passes no gradient down, and the centres start at zero
    bias = model.backbone.layers[-1].bias.numpy()
    np.testing.assert_allclose(bias, -embeddings.mean(axis=0), atol=1e-5)


def test_centers_are_saved_but_not_trained():
    model = center_model()
    model.fit(X, Y, verbose=0)
    assert model.centers.path in [weight.path for weight in model.non_trainable_weights]
    assert model.centers.path not in [weight.path for weight in model.trainable_weights]


MARGINS = {"SphereFace": (4, 0, 0), "CosFace": (1, 0, 0.35), "ArcFace": (1, 0.5, 0)}


def expected_feature_scale_loss(model, target_cosine):
    embeddings = model.backbone.predict(X, verbose=0)
    lengths = np.linalg.norm(embeddings.astype("float64"), axis=1, keepdims=True)
    cosines = reference.cosine_head(embeddings, model.head.kernel.numpy())
    logits = lengths * cosines
    np.testing.assert_allclose(model.predict(X, verbose=0), logits, atol=1e-5)
    rows = np.arange(len(Y))
    logits[rows, Y] = lengths[:, 0] * target_cosine(cosines[rows, Y])
    return reference.cross_entropy(Y, logits)[0]


@pytest.mark.parametrize("margins", MARGINS.values(), ids=MARGINS)
def test_feature_scale_models_match_the_reference(margins):
    model = FeatureScaleMarginModel(backbone(), 4, *margins)
    model.compile("sgd", metrics=["accuracy"])
    model.build((None, 5))
    each = expected_feature_scale_loss(model, lambda c: reference.margin_logit(c, *margins))
    loss, accuracy = model.evaluate(X, Y, verbose=0)
    assert loss == pytest.approx(each.mean(), rel=1e-5)
    # the accuracy is that of the plain logits
    assert accuracy == pytest.approx((model.predict(X, verbose=0).argmax(axis=1) == Y).mean())
    weights = np.linspace(0, 2, 24)
    loss, _ = model.evaluate(X, Y[:, None], sample_weight=weights, verbose=0)
    assert loss == pytest.approx((weights * each).mean(), rel=1e-5)


def test_feature_scale_without_a_margin_is_modified_softmax():
    model = FeatureScaleMarginModel(backbone(), 4)
    model.compile("sgd")
    model.build((None, 5))
    plain = reference.cross_entropy(Y, model.predict(X, verbose=0))[0].mean()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain, rel=1e-5)


def test_feature_scale_survives_a_zero_embedding():
    model = FeatureScaleMarginModel(backbone(), 4, m2=0.5)
    model.compile(keras.optimizers.SGD(0.1))
    x = X.copy()
    x[0] = 0  # with the bias at its initial zero this is the zero embedding
    history = model.fit(x, Y, batch_size=24, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert all(np.isfinite(weight.numpy()).all() for weight in model.weights)


def test_a_regularizer_of_the_backbone_counts():
    regular = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))]
    )
    model = FeatureScaleMarginModel(regular, 4)
    model.compile("sgd")
    kernel = regular.layers[-1].kernel.numpy()
    model.build((None, 5))
    plain = reference.cross_entropy(Y, model.predict(X, verbose=0))[0].mean()
    expected = plain + 0.1 * (kernel**2).sum()
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-5)


def test_annealing_follows_the_released_schedule():
    """lambda = max(5, 1000 / (1 + 0.12 iteration)) of 28,000 iterations, here in 1,000 steps."""
    model = AnnealedSphereFace(fixed_backbone(), 4, training_steps=1000)
    model.compile(keras.optimizers.SGD(0.0))
    model.build((None, 5))
    assert model.annealing.numpy() == 1000
    for steps in (1, 2, 10, 40, 60, 80):
        model.annealing.assign(1000)
        model.fit(X[:steps], Y[:steps], batch_size=1, verbose=0, epochs=-(-steps // 24))
        taken = model.optimizer.iterations.numpy()
        model.optimizer.iterations.assign(0)
        expected = max(5, 1000 / (1 + 0.12 * 28 * taken))
        assert model.annealing.numpy() == pytest.approx(expected, rel=1e-4)
    assert model.annealing.numpy() == 5
    model.evaluate(X, Y, verbose=0)
    assert model.annealing.numpy() == 5


@pytest.mark.parametrize("now", [1000.0, 5.0, 0.0])
def test_annealed_loss_matches_the_reference(now):
    model = AnnealedSphereFace(backbone(), 4, training_steps=100, margin=4)
    model.compile("sgd")
    model.build((None, 5))
    model.annealing.assign(now)
    each = expected_feature_scale_loss(
        model, lambda c: (now * c + reference.margin_logit(c, m1=4)) / (1 + now)
    )
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(each.mean(), rel=1e-5)
    assert model.annealing.numpy() == now


NEVER = (math.nan, math.inf, -math.inf, -1, "2", None, [1.0, 2.0])  # whatever the argument
MARGIN = {"margin": "margin|m[123]"}  # the second is the name under which `MarginLoss` knows it


def constructors():
    """Each with arguments that it takes, and the numbers among them."""
    embed, sizes = backbone(), {"backbone": backbone(), "num_classes": 4}
    parts = {"backbone": embed, "head": CosineHead(4)}
    margins = {"m1": 1, "m2": 0.2, "m3": 0.1}
    return [
        (losses.MarginLoss, {**margins, "scale": 16}),
        (losses.NormFaceLoss, {"scale": 16}),
        (losses.SphereFaceLoss, {"margin": 4, "scale": 16}),
        (losses.CosFaceLoss, {"margin": 0.1, "scale": 16}),
        (losses.ArcFaceLoss, {"margin": 0.1, "scale": 16}),
        (losses.CombinedMarginLoss, {**margins, "scale": 16}),
        (CosineHead, {"num_classes": 4}),
        (ModifiedSoftmaxHead, {"num_classes": 4}),
        (SubCenterHead, {"num_classes": 4, "centers": 3}),
        (CenterLossModel, {"backbone": embed, "head": CosineHead(4), "weight": 1, "alpha": 0.5}),
        (FeatureScaleMarginModel, {**sizes, **margins}),
        (
            AnnealedSphereFace,
            {**sizes, "training_steps": 9, "margin": 4, "first": 9, "last": 5, "decay": 0.1},
        ),
        (PartialFCModel, {"backbone": embed, "head": CosineHead(4), "share": 0.1}),
        (losses.MVSoftmaxLoss, {"t": 0.2, "m2": 0.1, "m3": 0.2, "scale": 16}),
        (CurricularFaceModel, {**parts, "margin": 0.5, "scale": 16, "momentum": 0.1}),
        (MagFaceModel, {**parts, "scale": 64}),
        (AdaFaceModel, {**parts, "margin": 0.4, "scale": 16, "momentum": 0.1}),
        (ElasticFaceModel, {**parts, "margin": 0.4, "std": 0.1, "scale": 16}),
        (build_backbone, {"embedding_dim": 2}),
        (build_demo_2d_backbone, {"embedding_dim": 2}),
        (build_demo_20d_backbone, {"embedding_dim": 20}),
        (feasibility, {"num_classes": 4, "dim": 2, "scale": 16, **margins}),
    ]


@pytest.mark.parametrize(
    ("build", "good"), constructors(), ids=lambda part: getattr(part, "__name__", "")
)
def test_what_no_argument_can_be_is_refused_by_its_name(build, good):
    build(**good)
    for name in good.keys() - {"backbone", "head"}:
        whole = name in ("num_classes", "centers", "training_steps", "embedding_dim", "dim")
        for bad in (*NEVER, 0, 10.5) if whole else NEVER:
            with pytest.raises(ValueError, match=MARGIN.get(name, name)):
                build(**{**good, name: bad})


def test_bad_arguments_are_refused_with_the_remedy():
    head = keras.layers.Dense(4)
    refused = [
        (lambda: CosineHead(1), "at least 2, got 1"),
        (lambda: SubCenterHead(4, 0), "3 centers a class"),
        (lambda: CenterLossModel("a network", head), "backbone must be a Keras model"),
        (lambda: CenterLossModel(backbone(), 4), "head must be a Keras model or layer, got 4"),
        (lambda: CenterLossModel(backbone(), head, weight=-1), r"weight.*0\.003"),
        (lambda: CenterLossModel(backbone(), head, alpha=1.5), r"alpha.*0\.5"),
        (lambda: FeatureScaleMarginModel(backbone(), 4, m2=30), "degrees"),
        (lambda: AnnealedSphereFace(backbone(), 4, 0), "training_steps.*epochs"),
        (lambda: AnnealedSphereFace(backbone(), 4, 10, margin=0.5), "m2 >="),
        (lambda: AnnealedSphereFace(backbone(), 4, 10, first=1, last=2), "lambda must fall"),
        (lambda: AnnealedSphereFace(backbone(), 4, 10, first=0, last=0), "no annealing.*m1=4"),
        (lambda: PartialFCModel(backbone(), head), "CosineHead, got Dense"),
        *(
            (lambda r=share: PartialFCModel(backbone(), CosineHead(4), r), "per cent divide by 100")
            for share in (0, 1.1, 10)
        ),
    ]
    for build, message in refused:
        with pytest.raises(ValueError, match=message):
            build()
    assert CosineHead(10.0).num_classes == 10  # what `max() + 1` of float labels gives
    for model in (FeatureScaleMarginModel(backbone(), 4), AnnealedSphereFace(backbone(), 4, 10)):
        model.compile("sgd", loss=losses.CosFaceLoss())
        with pytest.raises(ValueError, match="brings its own loss"):
            model.fit(X, Y, verbose=0)
