"""The well-known mistakes, each seen to fail, and `lib` on the same numbers seen not to."""

import math

import lib  # noqa: F401
import reference
from lib.layers import CosineHead
from lib.losses import (
    ArcFaceLoss,
    CombinedMarginLoss,
    CosFaceLoss,
    MarginLoss,
    NormFaceLoss,
    SphereFaceLoss,
    margin_logit,
    psi,
    softmax_cross_entropy,
)
from lib.models import AnnealedSphereFace, CenterLossModel, FeatureScaleMarginModel
from loss_cases import value_and_gradient

import keras
import numpy as np
import pytest
from keras import ops

THETA = np.linspace(0, np.pi, 2001, dtype="float32")


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


# lesson 01


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 88.7), ("float16", 11.1)])
def test_exp_without_subtracting_the_maximum(dtype, limit):
    for logit, overflows in ((limit - 0.1, False), (limit + 0.1, True)):
        logits = np.array([[logit, 0.0]], dtype)
        with np.errstate(all="ignore"):
            exps = np.exp(logits)
            naive = -np.log(exps / exps.sum(axis=1, keepdims=True))[:, 0]
        assert np.isfinite(naive).all() == (not overflows)
        assert numpy(softmax_cross_entropy(np.array([0]), logits))[0] == pytest.approx(0, abs=1e-4)


def test_clipping_the_softmax_loses_the_gradient_of_the_worst_samples():
    def clipped(logits):
        return -ops.log(ops.clip(ops.softmax(logits), 1e-10, 1.0))[:, 0]

    for gap, learns in ((20.0, True), (24.0, False)):
        logits = np.float32([[0.0, gap]])
        assert np.any(value_and_gradient(clipped, logits)[1] != 0) == learns
        ours = value_and_gradient(lambda z: softmax_cross_entropy(np.array([0]), z), logits)
        np.testing.assert_allclose(ours[0], [gap], rtol=1e-6)
        np.testing.assert_allclose(ours[1], [[-1, 1]], atol=1e-6)


def test_squeezing_the_labels_of_a_batch_of_one():
    labels = np.array([[1]])
    assert ops.squeeze(labels).shape == ()  # no batch is left
    for loss in (softmax_cross_entropy, ArcFaceLoss().call):
        assert tuple(loss(labels, np.float32([[0.1, 0.2]])).shape) == (1,)


# lesson 02


def center_model(dim=8, **arguments):
    keras.utils.set_random_seed(0)
    embed = keras.Sequential([keras.Input((dim,)), keras.layers.Identity()])
    model = CenterLossModel(embed, keras.layers.Dense(2), **arguments)
    model.compile(keras.optimizers.SGD(0.0), loss=softmax_cross_entropy)
    model.build((None, dim))
    return model


def test_center_loss_as_a_mean_over_dimensions():
    x = np.random.default_rng(0).standard_normal((10, 8)).astype("float32")
    y = np.zeros(10, int)
    with_centers, without = (center_model(weight=w).evaluate(x, y, verbose=0) for w in (1.0, 0.0))
    paper = 0.5 * (x**2).sum(axis=1).mean()
    wrong = (x**2).mean()
    assert wrong == pytest.approx(paper * 2 / 8)
    assert with_centers - without == pytest.approx(paper, rel=1e-4)


def test_center_update_without_the_denominator_diverges():
    x, y = np.ones((32, 8), "float32"), np.zeros(32, int)
    wrong = np.zeros(8)
    model = center_model(alpha=0.1)
    distances = []
    for _ in range(10):
        wrong -= 0.1 * (wrong - x).sum(axis=0)  # the step's factor is 1 - 0.1 * 32
        model.train_on_batch(x, y)
        distances.append(np.abs(model.centers.numpy()[0] - 1).max())
    assert np.abs(wrong - 1).max() == pytest.approx(2.2**10, rel=1e-6)
    assert np.all(np.diff(distances) < 0)
    assert distances[-1] == pytest.approx((1 - 0.1 * 32 / 33) ** 10, rel=1e-4)


def test_centers_updated_inside_the_loss_move_while_evaluating():
    centers = keras.Variable(np.zeros((2, 8), "float32"), trainable=False)

    class MovingLoss(keras.losses.Loss):
        def call(self, labels, x):
            labels = ops.cast(labels, "int32")
            away = x - ops.take(centers, labels, axis=0)
            centers.assign_add(0.1 * ops.segment_sum(away, labels, 2))
            return 0.5 * ops.sum(away**2, axis=-1)

    x, y = np.ones((4, 8), "float32"), np.array([0, 1, 0, 1])
    identity = keras.Sequential([keras.Input((8,)), keras.layers.Identity()])
    identity.compile(loss=MovingLoss())
    identity.evaluate(x, y, verbose=0)
    assert np.abs(centers.numpy()).max() > 0
    model = center_model()
    model.evaluate(x, y, verbose=0)
    assert np.abs(model.centers.numpy()).max() == 0
    model.train_on_batch(x, y)
    assert np.abs(model.centers.numpy()).max() > 0


def test_centers_as_a_raw_variable_are_not_saved(tmp_path):
    import tensorflow as tf

    class RawCenters(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.centers = tf.Variable(tf.zeros((2, 8)))

        def call(self, x):
            return x

    raw = keras.Sequential([keras.Input((8,)), RawCenters()])
    assert raw.weights == []
    model = center_model()
    assert any(weight is model.centers for weight in model.non_trainable_weights)
    model.centers.assign(np.full((2, 8), 3.0))
    model.save_weights(tmp_path / "all.weights.h5")
    again = center_model()
    again.load_weights(tmp_path / "all.weights.h5")
    assert np.all(again.centers.numpy() == 3)


# lesson 03


def test_norm_without_an_axis_couples_the_samples():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 16)).astype("float32")
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    wrong = x / np.linalg.norm(x)
    assert np.linalg.norm(x) == pytest.approx(8.0, rel=1e-5)  # sqrt(64) times too large
    doubled = np.concatenate([x, x])
    assert not np.allclose((doubled / np.linalg.norm(doubled))[:64], wrong, rtol=0.1)
    head = CosineHead(5)
    np.testing.assert_allclose(head(doubled)[:64], head(x), atol=1e-6)
    np.testing.assert_allclose(head(x), reference.cosine_head(x, head.kernel.numpy()), atol=1e-6)


def test_cosine_without_dividing_by_the_norms():
    logits = np.float32([[3.0, -2.0], [0.5, 1.5]])
    assert np.isnan(numpy(ops.arccos(logits))).any()
    with pytest.raises(ValueError, match="CosineHead"):
        ArcFaceLoss().call(np.array([0, 1]), logits)


# lesson 04


def test_minus_one_to_the_k():
    angles = np.linspace(0, 4 * np.pi, 400)
    k = np.floor(angles / np.pi)
    precedence = -(1**k) * np.cos(angles) - 2 * k  # what -1**k means
    assert np.diff(precedence).max() > 0.01
    with np.errstate(invalid="ignore"):
        unfloored = (-1.0) ** (angles / np.pi) * np.cos(angles)
    assert np.isnan(unfloored).any()
    assert np.diff(numpy(psi(angles.astype("float32")))).max() <= 1e-5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a: np.cos(a) * np.cos(np.pi * (a / np.pi)) - 2 * a / np.pi,  # k not floored
        lambda a: np.cos(reference.psi(a)),  # psi taken for an angle
    ],
    ids=["k not floored", "psi inside another cos"],
)
def test_a_wrong_psi_rises(wrong):
    angles = 4 * THETA
    assert np.diff(wrong(angles)).max() > 1e-4
    assert np.diff(numpy(margin_logit(np.cos(THETA), m1=4.0))).max() <= 1e-6


def test_psi_on_the_other_classes_pushes_away():
    """Then a class that is far away counts as much too far, and coming nearer costs nothing."""
    labels, cosines = np.array([0]), np.float32([[0.2, 0.6, -0.3]])

    def everywhere(c):
        return ops.sparse_categorical_crossentropy(
            labels, 8.0 * margin_logit(c, m1=4.0), from_logits=True
        )

    wrong, _ = value_and_gradient(everywhere, cosines)
    right, gradient = value_and_gradient(lambda c: SphereFaceLoss(4, 8.0).call(labels, c), cosines)
    assert right[0] > wrong[0] + 5  # the wrong one hides that class 1 is nearer
    assert gradient[0, 1] > 1
    none = SphereFaceLoss(1, 8.0).call(labels, cosines)
    assert right[0] > float(none[0])


def test_clipping_the_cosine_as_if_it_were_the_angle():
    def wrong(cosine):
        return ops.cos(ops.arccos(ops.clip(cosine, 0.0, math.pi)) + 0.5)

    beyond_90_degrees = np.float32([-0.9, -0.5, -0.1])
    assert np.all(value_and_gradient(wrong, beyond_90_degrees)[1] == 0)
    ours = value_and_gradient(lambda c: margin_logit(c, m2=0.5), beyond_90_degrees)[1]
    assert np.all(ours > 0.1)


def test_no_annealing_at_m_4_does_not_leave_the_start():
    """At the start all angles are near 90 degrees: psi(4 theta) is flat there, and far below."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 16)).astype("float32")
    y = (x[:, :8].argmax(axis=1)).astype(int)

    def accuracy(**lambdas):
        keras.utils.set_random_seed(0)
        embed = keras.Sequential([keras.Input((16,)), keras.layers.Dense(8)])
        model = AnnealedSphereFace(embed, 8, 120, **lambdas)
        model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], steps_per_execution=20)
        # 120 steps, each on all 200 samples
        model.fit(np.tile(x, (120, 1)), np.tile(y, 120), batch_size=200, shuffle=False, verbose=0)
        return (model.predict(x, verbose=0).argmax(axis=1) == y).mean()

    with_annealing, without = accuracy(), accuracy(first=1e-6, last=0.0)
    assert with_annealing > 0.8
    assert without < 0.6


# lesson 05


def test_margin_not_multiplied_by_the_scale():
    c = np.float32([[0.5, 0.1]])
    wrong = 30.0 * c[0, 0] - 0.35
    right = 30.0 * margin_logit(c[0, 0], m3=0.35)
    assert (30.0 * c[0, 0] - wrong) / 30 == pytest.approx(0.0117, abs=1e-4)
    assert c[0, 0] - float(right) / 30 == pytest.approx(0.35, abs=1e-6)
    loss = CosFaceLoss(0.35, 30.0).call(np.array([0]), c)
    expected, _ = reference.cross_entropy(np.array([0]), [[30 * (0.5 - 0.35), 3.0]])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_margin_too_large_for_the_circle():
    """Ten classes evenly on a circle, each embedding on its own: nothing is left to improve."""
    angles = 2 * np.pi * np.arange(10) / 10
    cosines = np.cos(angles[:, None] - angles[None]).astype("float32")
    floors = {m: float(CosFaceLoss(m)(np.arange(10), cosines)) for m in (0.35, 0.1)}
    assert floors[0.35] == pytest.approx(10.87, abs=0.005)
    assert floors[0.1] < 0.01  # below 1 - cos(36 degrees) = 0.191 the loss can vanish


def test_embedding_length_as_scale_lets_the_network_shrink_it():
    """A hard sample under a subtracted margin: with |x| as the scale, shorter is cheaper."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 4)).astype("float32") * 5
    head = CosineHead(3)
    worst = int(numpy(head(x)).argmin())
    lengths = np.float32([0.5, 1.0, 2.0])[:, None]
    historical = FeatureScaleMarginModel(
        keras.Sequential([keras.Input((4,)), keras.layers.Identity()]), 3, m3=0.35
    )
    historical.compile("sgd")
    historical.build((None, 4))
    historical.head.kernel.assign(head.kernel.numpy())
    label = np.array([worst])
    costs = [historical.evaluate(k * x, label, verbose=0) for k in lengths]
    assert costs[0] < costs[1] < costs[2]
    ours = CosFaceLoss(0.35, 16.0).call(np.full(3, worst), head(lengths * x))
    np.testing.assert_allclose(ours, ours[0], rtol=1e-5)


# lesson 06


def test_degrees_taken_for_radians():
    wrong = np.cos(THETA + 3.0)
    assert (np.diff(wrong) > 0).mean() == pytest.approx(0.95, abs=0.01)
    with pytest.raises(ValueError, match="degrees"):
        ArcFaceLoss(margin=3)
    assert np.all(np.diff(numpy(margin_logit(np.cos(THETA), m2=math.radians(3)))) <= 1e-6)


def test_margin_on_every_class_cancels():
    labels, cosines = np.array([0, 1]), np.float32([[0.5, 0.1, 0.3], [0.2, 0.4, 0.6]])
    plain = softmax_cross_entropy(labels, 16 * cosines)
    np.testing.assert_allclose(
        softmax_cross_entropy(labels, 16 * (cosines + 0.5)), plain, rtol=1e-5
    )
    assert np.all(numpy(ArcFaceLoss(0.5, 16.0).call(labels, cosines)) > numpy(plain) + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: ops.cos(ops.arccos(c) + 0.5),
        lambda c: c * math.cos(0.5) - ops.sqrt(1.0 - c * c) * math.sin(0.5),
    ],
    ids=["arccos", "addition theorem"],
)
def test_no_nan_at_the_ends(wrong):
    ends = np.float32([1.0, 1.0000001, -1.0])
    values, gradients = value_and_gradient(wrong, ends)
    assert not np.isfinite(values).all() or not np.isfinite(gradients).all()
    values, gradients = value_and_gradient(lambda c: margin_logit(c, m2=0.5), ends)
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()
    cosines = np.stack([ends, -0.5 * np.ones_like(ends)], axis=1)
    loss = ArcFaceLoss(0.5, 64.0)
    for result in value_and_gradient(lambda c: loss.call(np.zeros(3, int), c), cosines):
        assert np.isfinite(result).all()


def test_float32_self_cosines_exceed_one():
    """So the ends are no rare accident: a share of perfectly aligned samples lies beyond them."""
    x = np.random.default_rng(0).standard_normal((2000, 128)).astype("float32")
    head = CosineHead(2000)
    head.build((None, 128))
    head.kernel.assign(x.T)
    cosines = numpy(head(x))
    share = (np.diagonal(cosines) > 1).mean()
    assert 0.02 < share < 0.6
    loss = ArcFaceLoss(0.5, 64.0)
    _, gradient = value_and_gradient(lambda e: loss.call(np.arange(2000), head(e)), x)
    assert np.isfinite(gradient).all()


def test_the_gradient_in_the_embedding_stays_bounded_where_that_in_the_cosine_diverges():
    """Its norm is sin(theta + m) / |x|; with a detached margin it fades as sin(theta) does."""
    theta = 0.01
    x = np.float32([[2 * math.cos(theta), 2 * math.sin(theta)]])
    head = CosineHead(2)
    head.build((None, 2))
    head.kernel.assign([[1.0, 0.0], [0.0, 1.0]])
    _, gradient = value_and_gradient(lambda e: margin_logit(head(e)[:, 0], m2=0.5), x)
    assert np.linalg.norm(gradient) == pytest.approx(math.sin(theta + 0.5) / 2, rel=1e-4)

    def detached(e):
        cosine = head(e)[:, 0]
        return cosine + ops.stop_gradient(margin_logit(cosine, m2=0.5) - cosine)

    _, gradient = value_and_gradient(detached, x)
    assert np.linalg.norm(gradient) == pytest.approx(math.sin(theta) / 2, rel=1e-4)


def test_not_selecting_the_labels_term():
    labels, cosines = np.array([0, 2]), np.float32([[0.5, 0.1, 0.3], [0.2, 0.4, 0.6]])
    log_p = ops.log_softmax(16.0 * cosines)
    wrong = -ops.sum(log_p, axis=-1)
    right = NormFaceLoss(16.0).call(labels, cosines)
    # it does not even look at the label
    assert np.all(numpy(wrong) > numpy(right) + 1)
    np.testing.assert_allclose(right, -numpy(log_p)[[0, 1], labels], rtol=1e-4)


def test_accuracy_from_margin_logits_reads_too_low():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 2000)
    cosines = rng.normal(0, 0.15, (2000, 10)).astype("float32")
    rows = np.arange(2000)
    cosines[rows, labels] += 0.5
    cosines = np.clip(cosines, -1, 1)
    with_margin = cosines.copy()
    with_margin[rows, labels] = margin_logit(cosines[rows, labels], m2=0.5)
    wrong = (with_margin.argmax(axis=1) == labels).mean()
    right = (cosines.argmax(axis=1) == labels).mean()
    assert right > wrong + 0.3
    model = keras.Sequential([keras.Input((10,)), keras.layers.Identity()])
    model.compile(loss=ArcFaceLoss(), metrics=["accuracy"])
    assert model.evaluate(cosines, labels, verbose=0)[1] == pytest.approx(right)


# lesson 07


def test_no_loss_is_a_copy_of_another():
    labels, cosines = np.array([0, 1]), np.float32([[0.5, 0.1, 0.3], [0.2, 0.4, 0.6]])
    losses = (
        NormFaceLoss(64),
        SphereFaceLoss(),
        CosFaceLoss(),
        ArcFaceLoss(),
        CombinedMarginLoss(1, 0.3, 0.2),
        CombinedMarginLoss(0.9, 0.4, 0.15),
        MarginLoss(1.35),
    )
    values = sorted(float(loss(labels, cosines)) for loss in losses)
    assert np.diff(values).min() > 0.01
