import math

import lib  # noqa: F401
import loss_checks
import reference
from lib import losses
from lib.layers import CosineHead
from loss_cases import CASES, SCALES, assert_close_to_reference, loss_and_gradient, samples

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

pytestmark = pytest.mark.backends


@pytest.mark.parametrize("check", loss_checks.ALL_LOSS_CHECKS, ids=lambda check: check.__name__)
def test_losses(check):
    check(losses)


def test_there_are_a_hundred_thousand_samples():
    assert len(CASES) * len(SCALES) * len(samples(0)[0]) >= 100_000


def test_compiled_losses_match_the_reference():
    for number, name in enumerate(list(CASES)[::2]):
        build, margins = CASES[name]
        scale = SCALES[number % len(SCALES)]
        labels, cosines = samples(number)
        result = loss_and_gradient(build(losses, scale), labels, cosines, compiled=True)
        expected = reference.margin_loss(labels, cosines, *margins, scale=scale)
        assert_close_to_reference(*result, expected, scale)


def test_the_reference_has_the_gradient_of_its_own_values():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    cosines = rng.uniform(-0.99, 0.99, (200, 4))
    for _, margins in CASES.values():
        _, gradient = reference.margin_loss(labels, cosines, *margins, scale=8.0)
        numeric = reference.numeric_gradient(
            lambda c, m=margins: reference.margin_loss(labels, c, *m, scale=8.0)[0], cosines
        )
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.tensorflow
def test_trigonometry_is_for_the_target_alone():
    """O(batch) of it, and no second array of (batch, classes) beside the cosines to mask with."""
    import tensorflow as tf

    loss = losses.CombinedMarginLoss(1.5, 0.3, 0.1)

    @tf.function
    def step(labels, cosines):
        with tf.GradientTape() as tape:
            tape.watch(cosines)
            value = loss(labels, cosines)
        return value, tape.gradient(value, cosines)

    graph = step.get_concrete_function(
        tf.TensorSpec((8,), "int64"), tf.TensorSpec((8, 100), "float32")
    ).graph
    kinds = {}
    for operation in graph.get_operations():
        for output in operation.outputs:
            kinds.setdefault(operation.type, set()).add(len(output.shape))
    for kind in ("Atan2", "Sin", "Cos", "Floor", "Sqrt"):
        assert kinds[kind] == {1}, kind
    assert kinds["Exp"] == {2}  # the softmax's, once
    assert not {"OneHot", "Acos", "Equal"} & {kind for kind, ranks in kinds.items() if 2 in ranks}


@pytest.mark.tensorflow
def test_second_derivatives_too():
    """The closed-form gradients of head and loss can themselves be differentiated."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    labels, point = np.array([0, 1]), tf.constant(rng.standard_normal((2, 3)), "float32")
    head, loss = CosineHead(4), losses.ArcFaceLoss(0.3, 4.0)
    head.build((None, 3))
    unit = ops.normalize(head.kernel, axis=0)

    def plain(x):
        cosines = ops.matmul(ops.normalize(x, axis=-1), unit)
        is_target = ops.arange(4) == labels[:, None]
        logits = ops.where(is_target, losses.margin_logit(cosines, m2=0.3), cosines)
        return losses.softmax_cross_entropy(labels, 4.0 * logits)

    rows = []
    for function in (lambda x: loss.call(labels, head(x)), plain):
        with tf.GradientTape() as outer:
            outer.watch(point)
            with tf.GradientTape() as inner:
                inner.watch(point)
                value = function(point)
            slope = inner.gradient(value, point)[:, 0]
        rows.append(outer.gradient(slope, point).numpy())
    assert np.abs(rows[0]).max() > 0.1
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-4, atol=1e-5)


@st.composite
def allowed_margins(draw):
    """Any (m1, m2, m3) that a loss accepts."""
    m1 = draw(st.floats(0.51, 5))
    m2 = draw(st.floats(max(0.0, (1 - m1) * math.pi), math.pi / 2))
    m3 = draw(st.floats(0, 2))
    return m1, m2, m3


@given(allowed_margins())
def test_target_logit_falls_without_a_jump(margins):
    theta = np.linspace(0, np.pi, 3001)
    logit = ops.convert_to_numpy(losses.margin_logit(np.cos(theta).astype("float32"), *margins))
    steps = np.diff(logit)
    assert steps.max() <= 1e-6
    # |d psi / d theta| is m1 at most; the rest is the float32 of the cosine near the ends
    assert -steps.min() <= margins[0] * (np.pi / 3000 + 1e-3)


@given(allowed_margins())
def test_margin_logit_is_never_above_the_plain_one(margins):
    cosines = np.linspace(-1, 1, 3001, dtype="float32")
    logit = ops.convert_to_numpy(losses.margin_logit(cosines, *margins))
    assert np.all(logit <= cosines + 1e-6)


@given(allowed_margins(), st.floats(0, 1), st.sampled_from(range(3)), st.floats(1, 128))
def test_loss_grows_with_each_margin(margins, extra, which, scale):
    larger = list(margins)
    larger[which] = min(larger[which] + extra, (10, math.pi / 2, 2)[which])
    labels, cosines = samples(7, 60)
    small = losses.CombinedMarginLoss(*margins, scale).call(labels, cosines)
    large = losses.CombinedMarginLoss(*larger, scale).call(labels, cosines)
    slack = 2e-6 * np.abs(ops.convert_to_numpy(small)) + 1e-6 * scale
    assert np.all(ops.convert_to_numpy(large) >= ops.convert_to_numpy(small) - slack)


@given(allowed_margins(), st.floats(1, 128), st.integers(0, 2**31))
def test_order_of_classes_changes_nothing(margins, scale, seed):
    labels, cosines = samples(11, 60)
    order = np.random.default_rng(seed).permutation(cosines.shape[1])
    loss = losses.CombinedMarginLoss(*margins, scale)
    values, gradients = loss_and_gradient(loss, labels, cosines)
    # class j of the new order is class order[j] of the old
    again, turned = loss_and_gradient(loss, np.argsort(order)[labels], cosines[:, order])
    np.testing.assert_allclose(again, values, rtol=2e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(
        turned, gradients[:, order], rtol=1e-5, atol=1e-5 * np.abs(gradients).max()
    )


@given(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1),
    st.integers(0, 2),
)
def test_softmax_cross_entropy_of_any_logits(logits, label):
    logits = np.float32(logits)
    labels = np.full(len(logits), label)
    values = ops.convert_to_numpy(losses.softmax_cross_entropy(labels, logits))
    expected, _ = reference.cross_entropy(labels, logits)
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6)
    assert np.all(values >= 0)


def test_neighbouring_labels_beyond_float32_are_refused():
    """Keras hands labels to a loss as float32, where 2**24 + 1 is 2**24."""
    limit = 2**24
    cosines = np.zeros((1, limit + 2), "float32")
    with pytest.raises(ValueError, match=f"float32.*{limit}"):
        losses.NormFaceLoss(1.0)(np.array([limit + 1]), cosines)
    # called directly with integers there is no cast, and no neighbour is taken
    cosines[0, limit + 1] = 1.0
    value = losses.NormFaceLoss(30.0).call(np.array([limit + 1]), cosines)
    assert float(value[0]) < 1e-5


def test_a_low_precision_floatx_leaves_the_margin_losses_alone():
    labels, cosines = np.array([257]), np.zeros((1, 300), "float32")
    cosines[0, 257] = 0.5
    before = float(losses.ArcFaceLoss()(labels, cosines))
    keras.config.set_floatx("bfloat16")
    try:
        assert float(losses.ArcFaceLoss()(labels, cosines)) == before
        # a plain function is wrapped by Keras and gets its labels in bfloat16, where 257 is 256
        wrapped = keras.losses.get(losses.softmax_cross_entropy)
        with pytest.raises(ValueError, match="bfloat16.*256"):
            _wrapped_by_compile(wrapped)(labels, cosines)
    finally:
        keras.config.set_floatx("float32")


def _wrapped_by_compile(function):
    """What `compile` makes of a loss that is a plain function: a loss in the dtype floatx."""

    class Wrapped(keras.losses.Loss):
        def call(self, labels, values):
            return function(labels, values)

    return Wrapped()
