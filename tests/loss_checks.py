"""What must hold for a loss library and its heads, as functions of the module.

`test_losses.py` and `test_layers.py` run them on `lib`; `mutation.py` runs them on copies with one
deliberate mistake each, and every such copy must fail one of them.
"""

import math
import warnings

import lib  # noqa: F401
import reference
from loss_cases import (
    CASES,
    GRADIENT_BOUND,
    JUST_INSIDE,
    SCALES,
    array,
    assert_close_to_reference,
    edge_samples,
    loss_and_gradient,
    on_a_cpu,
    samples,
    value_and_gradient,
)

import keras
import numpy as np
import pytest
from keras import ops

LABEL_DTYPES = ("uint8", "int8", "uint16", "int32", "int64", "float32")


def check_values_and_gradients(losses, names=tuple(CASES), scales=SCALES, batch=1500):
    for number, name in enumerate(names):
        build, margins = CASES[name]
        for scale in scales:
            labels, cosines = samples(1000 * number + int(scale), batch)
            result = loss_and_gradient(build(losses, scale), labels, cosines)
            expected = reference.margin_loss(labels, cosines, *margins, scale=scale)
            assert_close_to_reference(*result, expected, scale)


def check_edges(losses, names=tuple(CASES), scales=(1.0, 64.0, 128.0)):
    """At c = +-1 and around: the value keeps its bound, the gradient is finite and never inward."""
    labels, cosines = edge_samples()
    rows = np.arange(len(labels))
    for name in names:
        build, margins = CASES[name]
        for scale in scales:
            values, gradients = loss_and_gradient(build(losses, scale), labels, cosines)
            losses_expected, _ = reference.margin_loss(labels, cosines, *margins, scale=scale)
            # beyond 1 the plain cosine is taken as it is
            beyond = np.maximum(np.abs(cosines).max(axis=1) - 1, 0)
            bound = 1e-5 * np.abs(losses_expected) + (2e-7 + beyond) * scale
            assert np.all(np.abs(values - losses_expected) <= bound), name
            assert np.isfinite(gradients).all()
            # a larger target cosine never costs more, whatever is left of the slope at the ends
            assert np.all(gradients[rows, labels] <= 0)
            at_end = np.abs(cosines[rows, labels]) >= 1
            if margins[:2] == (1, 0):  # no angle is taken: the slope is 1 everywhere
                _, slopes = reference.cross_entropy(
                    labels, _shifted(cosines, labels, margins[2]) * scale
                )
                np.testing.assert_allclose(gradients, scale * slopes, atol=GRADIENT_BOUND * scale)
            else:
                assert np.all(gradients[rows, labels][at_end] == 0)
            # one step inside, the slope is there: not flattened by a coarse clip
            inside = (cosines[rows, labels] == JUST_INSIDE) & (values > 1e-3)
            assert np.all(gradients[rows, labels][inside] < 0)


def _shifted(cosines, labels, m3):
    cosines = cosines.astype("float64")
    cosines[np.arange(len(labels)), labels] -= m3
    return cosines


def check_margin_logit(losses):
    same = array(losses.margin_logit(np.float32([0.3])))
    np.testing.assert_array_equal(same, np.float32([0.3]))
    for _, margins in CASES.values():
        cosines = samples(5, 500)[1]
        values, slopes = value_and_gradient(
            lambda c, m=margins: losses.margin_logit(c, *m), cosines
        )
        np.testing.assert_allclose(
            values, reference.margin_logit(cosines, *margins), rtol=1e-5, atol=1e-6
        )
        expected = reference.margin_slope(cosines, *margins[:2])
        np.testing.assert_allclose(slopes, expected, rtol=2e-4, atol=1e-3)
    ends = np.float32([1, -1, 1.0000001, -1.0000001])
    values, slopes = value_and_gradient(lambda c: losses.margin_logit(c, 1.0, 0.5), ends)
    np.testing.assert_allclose(values, reference.margin_logit(ends, 1, 0.5), atol=1e-6)
    assert np.isfinite(slopes).all()
    assert array(losses.margin_logit(np.float16([0.5]))).dtype == "float32"


def check_psi(losses):
    angles = np.linspace(0, 8 * np.pi, 4001, dtype="float32")
    values = array(losses.psi(angles))
    np.testing.assert_allclose(values, reference.psi(angles), atol=2e-5)
    assert np.all(np.diff(values) <= 1e-5)  # falls
    assert np.abs(np.diff(values)).max() < 0.01  # without a jump


def check_softmax_cross_entropy(losses):
    rng = np.random.default_rng(0)
    for spread in (0.1, 5.0, 200.0, 2000.0):
        labels = rng.integers(0, 7, 300)
        logits = (spread * rng.standard_normal((300, 7))).astype("float32")
        values, gradients = value_and_gradient(
            lambda z, y=labels: losses.softmax_cross_entropy(y, z), logits
        )
        expected, slopes = reference.cross_entropy(labels, logits)
        np.testing.assert_allclose(values, expected, rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(gradients, slopes, atol=5e-6)
    # the same to the last bit after a shift, and from float16 without overflow
    whole = rng.integers(-9, 9, (300, 7)).astype("float32")
    np.testing.assert_array_equal(
        array(losses.softmax_cross_entropy(labels, whole)),
        array(losses.softmax_cross_entropy(labels, whole - 4096)),
    )
    half = array(losses.softmax_cross_entropy(np.array([0, 1]), np.float16([[6e4, 0], [6e4, 0]])))
    np.testing.assert_array_equal(half, np.float32([0, np.float16(6e4)]))
    assert half.dtype == "float32"


@on_a_cpu()
def check_labels(losses):
    """Any integer dtype, (B,) or (B, 1), a batch of one; refused: everything that is no class."""
    labels = np.array([2, 0, 1])
    points = np.float32([[0.3, -0.2, 0.9], [0.1, 0.5, -0.7], [-0.4, 0.2, 0.6]])
    for function in (losses.softmax_cross_entropy, losses.ArcFaceLoss(0.3, 8.0).call):
        expected = array(function(labels, points))
        for dtype in LABEL_DTYPES:
            for shape in ((3,), (3, 1)):
                got = function(labels.astype(dtype).reshape(shape), points)
                np.testing.assert_array_equal(array(got), expected)
        for shape in ((1,), (1, 1)):
            one = array(function(labels[:1].reshape(shape), points[:1]))
            assert one.shape == (1,)
            np.testing.assert_allclose(one, expected[:1], rtol=1e-6)
        for wrong in (-1, 3, 300, -3, 0.5, math.nan):
            with pytest.raises(ValueError, match=rf"Label {wrong}[. ].*sample 1 .*0 to 2"):
                function(np.array([0, wrong, 1], np.float32), points)
        with pytest.raises(ValueError, match="Label -1 of sample 0"):
            function(np.array([-1, 0, 1]), points)
        with pytest.raises(ValueError, match="argmax"):
            function(np.eye(3), points)
        with pytest.raises(ValueError, match="labels are missing"):
            function(None, points)
        with pytest.raises(ValueError, match=r"\(batch,\) or \(batch, 1\)"):
            function(np.zeros((3, 1, 1)), points)
        for count in (0, 1, 2):
            with pytest.raises(ValueError, match=f"got {count} labels for 3 samples"):
                function(labels[:count], points)
        for bad in (points[0], points[None], points[:, :1]):
            with pytest.raises(ValueError, match="at least two classes"):
                function(labels, bad)


def check_unknown_batches(losses):
    """Labels are counted only against a batch whose size is known."""
    losses.softmax_cross_entropy(np.array([0, 1]), keras.KerasTensor((None, 3)))
    losses.softmax_cross_entropy(keras.KerasTensor((None,), "int32"), keras.KerasTensor((2, 3)))


def check_wide_labels(losses):
    """Labels in a float type that is too coarse for the classes are refused, not rounded."""
    for dtype, limit in (("bfloat16", 2**8), ("float16", 2**11)):
        label = ops.cast(np.array([limit]), dtype)
        exact = np.zeros((1, limit + 1), "float32")  # labels up to the limit itself
        for function in (losses.softmax_cross_entropy, losses.CosFaceLoss(0.1, 4.0).call):
            exact[0, limit] = 0.9
            assert array(function(label, exact)) < array(function(0 * label, exact))
            with pytest.raises(ValueError, match=f"{dtype}.*{limit}.*{limit + 2} classes"):
                function(label, np.zeros((1, limit + 2), "float32"))
    # the float32 in which Keras hands over all labels; only shapes, to save 64 MiB
    label = np.float32([3])
    losses.softmax_cross_entropy(label, keras.KerasTensor((1, 2**24 + 1)))
    with pytest.raises(ValueError, match="float32.*16777216"):
        losses.softmax_cross_entropy(label, keras.KerasTensor((1, 2**24 + 2)))


@on_a_cpu()
def check_targets(losses):
    """Numbers that are no cosines are refused by name."""
    loss = losses.CosFaceLoss(0.1, 4.0)
    for wrong in (1.02, -1.5, 40.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"cosine of sample 1 is .*CosineHead"):
            loss.call(np.array([0, 1]), np.float32([[0.5, 0.5], [0.5, wrong]]))
    # what a bfloat16 head may return for two parallel vectors
    assert np.isfinite(array(loss.call(np.array([0]), np.float32([[1.0078125, 0.5]])))).all()


def check_arguments(losses):
    """Each bad argument is refused with its remedy; what the papers use is not."""
    refused = [
        (lambda: losses.ArcFaceLoss(28.6), r"degrees.*0\.4992"),
        (lambda: losses.ArcFaceLoss(1.5709), "degrees"),
        (lambda: losses.CombinedMarginLoss(1, 3, 0), "degrees"),
        (lambda: losses.ArcFaceLoss(-0.1), r"bonus.*m2 >= 0\.0000"),
        (lambda: losses.ArcFaceLoss(math.nan), "m2"),
        (lambda: losses.SphereFaceLoss(0), "m1.*positive"),
        (lambda: losses.SphereFaceLoss(-2), "m1.*positive"),
        (lambda: losses.SphereFaceLoss(math.inf), "m1.*positive"),
        (lambda: losses.SphereFaceLoss(0.9), r"m2 >= 0\.3142"),
        (lambda: losses.CombinedMarginLoss(0.9, 0.31, 0), r"m2 >= 0\.3142"),
        (lambda: losses.CosFaceLoss(-0.1), r"m3.*\[0, 2\]"),
        (lambda: losses.CosFaceLoss(2.5), r"m3.*\[0, 2\]"),
        (lambda: losses.CosFaceLoss(35), r"m3.*\[0, 2\].*0\.35"),
        (lambda: losses.CosFaceLoss(math.nan), "m3"),
        (lambda: losses.SphereFaceLoss("2"), "m1 must be a number"),
        (lambda: losses.ArcFaceLoss("0.5"), "m2 must be a number"),
        (lambda: losses.CosFaceLoss("0.35"), "m3 must be a number"),
        (lambda: losses.NormFaceLoss("16"), "scale must be a number"),
    ] + [
        (lambda s=scale: losses.NormFaceLoss(s), "scale.*positive")
        for scale in (0, -1, math.nan, math.inf)
    ]
    for build, message in refused:
        with pytest.raises(ValueError, match=message):
            build()
    for m1, m2, m3 in ((0.9, 0.4, 0.15), (1, 0.3, 0.2), (1, math.pi / 2, 0), (1, 0, 2), (1, 0, 0)):
        loss = losses.CombinedMarginLoss(m1, m2, m3)
        assert (loss.m1, loss.m2, loss.m3) == (m1, m2, m3)
    assert losses.CombinedMarginLoss(0.5, math.pi / 2, 0).m1 == 0.5
    assert losses.SphereFaceLoss(1).m1 == 1


def check_defaults_and_configs(losses):
    """The defaults of the contract; a config builds the same loss again."""
    expected = {
        losses.MarginLoss(): (1, 0, 0, 64),
        losses.NormFaceLoss(30): (1, 0, 0, 30),
        losses.SphereFaceLoss(): (4, 0, 0, 64),
        losses.CosFaceLoss(): (1, 0, 0.35, 64),
        losses.ArcFaceLoss(): (1, 0.5, 0, 64),
        losses.CombinedMarginLoss(0.9, 0.4, 0.15): (0.9, 0.4, 0.15, 64),
    }
    assert len({loss.name for loss in expected}) == 6
    for loss, numbers in expected.items():
        assert (loss.m1, loss.m2, loss.m3, loss.scale) == numbers
        other = type(loss).from_config({**loss.get_config(), "scale": 7.0, "reduction": "sum"})
        assert (other.m1, other.m2, other.m3, other.scale) == (*numbers[:3], 7)
        assert other.reduction == "sum"
        assert other.get_config() == {**loss.get_config(), "scale": 7.0, "reduction": "sum"}
        assert keras.losses.deserialize(keras.losses.serialize(loss)).get_config() == (
            loss.get_config()
        )
        assert loss.dtype == "float32"
    assert keras.saving.get_registered_name(losses.ArcFaceLoss).endswith(">ArcFaceLoss")
    assert keras.saving.get_registered_name(losses.softmax_cross_entropy).endswith(
        ">softmax_cross_entropy"
    )


def check_reduction_and_weights(losses):
    labels, cosines = samples(3, 40)
    each = array(losses.ArcFaceLoss(0.3, 8.0).call(labels, cosines))
    weights = np.linspace(0, 2, 40).astype("float32")
    for reduction, expected in (
        ("sum_over_batch_size", (each * weights).mean()),
        ("sum", (each * weights).sum()),
        (None, each * weights),
    ):
        loss = losses.ArcFaceLoss(0.3, 8.0, reduction=reduction)
        np.testing.assert_allclose(array(loss(labels, cosines, weights)), expected, rtol=1e-5)
    loss = losses.ArcFaceLoss(0.3, 8.0)
    _, gradient = value_and_gradient(lambda c: loss(labels, c, weights)[None], cosines)
    _, of_each = loss_and_gradient(loss, labels, cosines)
    np.testing.assert_allclose(gradient, of_each * weights[:, None] / 40, rtol=1e-5, atol=1e-7)
    # Keras casts to floatx; a head in lower precision costs its own digits but no more
    low = losses.ArcFaceLoss(0.3, 8.0)(labels, ops.cast(cosines, "bfloat16"))
    assert keras.backend.standardize_dtype(low.dtype) == "float32"
    np.testing.assert_allclose(array(low), each.mean(), rtol=0.02)


def check_label_smoothing(losses, names=tuple(CASES)[::3], share=0.1):
    """The cross-entropy with a target of which a share lies evenly on all classes."""
    for number, name in enumerate(names):
        build, (m1, m2, m3) = CASES[name]
        labels, cosines = samples(number, 300)
        rows, target = np.arange(len(labels)), cosines[np.arange(len(labels)), labels]
        logits = 16 * cosines.astype("float64")
        logits[rows, labels] = 16 * reference.margin_logit(target, m1, m2, m3)
        wanted = np.full(logits.shape, share / logits.shape[1])
        wanted[rows, labels] += 1 - share
        log_sum_exp = np.log(np.exp(logits - 99).sum(axis=1)) + 99
        slopes = 16 * (reference.softmax(logits) - wanted)
        slopes[rows, labels] *= reference.margin_slope(target, m1, m2)
        plain = build(losses, 16.0)
        loss = type(plain).from_config({**plain.get_config(), "label_smoothing": share})
        assert loss.get_config()["label_smoothing"] == share
        values, gradients = loss_and_gradient(loss, labels, cosines)
        expected = log_sum_exp - (wanted * logits).sum(axis=1)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=5e-6 * 16)
        bound = 10 * GRADIENT_BOUND * np.abs(slopes).max(axis=1, keepdims=True)
        assert np.all(np.abs(gradients - slopes) <= bound), name
        _, threefold = value_and_gradient(
            lambda c, y=labels, loss=loss: 3.0 * loss.call(y, c), cosines
        )
        np.testing.assert_allclose(threefold, 3 * gradients, rtol=1e-5, atol=1e-5)
    for wrong in (-0.1, 1, 10, math.nan):
        with pytest.raises(ValueError, match=r"label_smoothing.*\[0, 1\).*0\.1 is common"):
            losses.ArcFaceLoss(label_smoothing=wrong)


def check_margins_by_sample(losses):
    """A margin for each sample, negative ones too, and the gradient in m2."""
    rng = np.random.default_rng(8)
    labels, cosines = samples(8, 400)
    rows, count = np.arange(len(labels)), len(labels)
    m1, m3 = rng.uniform(1, 3, count), rng.uniform(0, 0.4, count)
    m2 = rng.uniform(-0.5, 0.8, count).astype("float32")
    for smoothing in (0.0, 0.2):

        def loss(cosines, m2, smoothing=smoothing):
            margins = np.float32(m1), m2, np.float32(m3)
            return losses.margin_cross_entropy(labels, cosines, *margins, 16.0, smoothing)

        values, gradients = value_and_gradient(lambda c, loss=loss: loss(c, m2), cosines)
        _, of_margin = value_and_gradient(lambda m, loss=loss: loss(cosines, m), m2)
        target = cosines[rows, labels].astype("float64")
        angle = m1 * np.arccos(target) + m2
        logits = 16 * cosines.astype("float64")
        logits[rows, labels] = 16 * (reference.psi(np.maximum(angle, 0)) - m3)
        plain, slopes = reference.cross_entropy(labels, logits)
        expected = plain + smoothing * (logits[rows, labels] - logits.mean(axis=1))
        np.testing.assert_allclose(values, expected, rtol=2e-5, atol=1e-4)
        slopes -= smoothing / logits.shape[1]
        slopes[rows, labels] += smoothing
        slopes *= 16
        fall = np.where(angle > 0, np.abs(np.sin(angle)), 0)
        expected = -slopes[rows, labels] * fall
        np.testing.assert_allclose(of_margin, expected, rtol=1e-3, atol=2e-4)
        slopes[rows, labels] *= m1 * fall / np.sin(np.arccos(target))
        bound = 20 * GRADIENT_BOUND * np.abs(slopes).max(axis=1, keepdims=True) + 1e-6
        assert np.all(np.abs(gradients - slopes) <= bound)
    for wrong in ({"scale": np.ones(count, "float32")}, {"m2": np.ones((count, 1), "float32")}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a number or of shape"):
            losses.margin_cross_entropy(labels, cosines, **wrong)
    # a tensor of one margin is that margin
    same = losses.margin_cross_entropy(labels, cosines, m2=np.full(count, 0.3, "float32"))
    np.testing.assert_allclose(
        array(same), array(losses.ArcFaceLoss(0.3).call(labels, cosines)), rtol=1e-5, atol=1e-5
    )


def check_straight_through(losses):
    """The same loss; a gradient that passes the margin by."""
    labels, cosines = samples(9, 400)
    rows = np.arange(len(labels))
    for loss, margins in (
        (losses.ArcFaceLoss(0.5, 16.0, straight_through=True), (1, 0.5, 0)),
        (losses.SphereFaceLoss(2, 16.0, straight_through=True), (2, 0, 0)),
        (losses.CombinedMarginLoss(0.9, 0.4, 0.15, 16.0, straight_through=True), (0.9, 0.4, 0.15)),
        (losses.MarginLoss(1, 0.3, 0.2, 16.0, straight_through=True), (1, 0.3, 0.2)),
    ):
        values, gradients = loss_and_gradient(loss, labels, cosines)
        logits = 16 * cosines.astype("float64")
        logits[rows, labels] = 16 * reference.margin_logit(cosines[rows, labels], *margins)
        expected, slopes = reference.cross_entropy(labels, logits)
        np.testing.assert_allclose(values, expected, rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(gradients, 16 * slopes, rtol=1e-3, atol=1e-3)
        again = type(loss).from_config(loss.get_config())
        assert again.straight_through is True
        assert (
            not type(loss)
            .from_config({**loss.get_config(), "straight_through": False})
            .straight_through
        )
    m2 = np.full(len(labels), 0.5, "float32")
    _, of_margin = value_and_gradient(
        lambda m: losses.margin_cross_entropy(labels, cosines, m2=m, detached=True), m2
    )
    np.testing.assert_array_equal(of_margin, 0.0)


def check_mv_softmax(losses):
    labels, cosines = samples(10, 400)
    cosines = np.clip(cosines, -0.99, 0.99)
    exact, rows = cosines.astype("float64"), np.arange(len(labels))
    for t, m2, m3 in ((0.2, 0, 0.35), (0.5, 0.5, 0), (0.1, 0.2, 0.1)):
        loss = losses.MVSoftmaxLoss(t, m2, m3, 16.0)
        values, gradients = loss_and_gradient(loss, labels, cosines)

        def expected(c, t=t, m2=m2, m3=m3):
            return reference.mv_softmax(labels, c, t, m2, m3, 16.0)

        np.testing.assert_allclose(values, expected(exact), rtol=2e-5, atol=1e-5)
        numeric = reference.numeric_gradient(expected, exact)
        error = np.abs(gradients - numeric) / (np.abs(numeric).max(axis=1, keepdims=True) + 1e-3)
        # a difference is off where a rival passes the target within it
        assert np.quantile(error, 0.999) < 1e-3
        # label smoothing looks at the logits that there are
        target = reference.margin_logit(exact[rows, labels], 1, m2, m3)
        hard = exact > target[:, None]
        logits = 16 * np.where(hard, (t + 1) * exact + t, exact)
        logits[rows, labels] = 16 * target
        smooth = losses.MVSoftmaxLoss(t, m2, m3, 16.0, label_smoothing=0.3)
        away = logits[rows, labels] - logits.mean(axis=1)
        got = array(smooth.call(labels, cosines))
        np.testing.assert_allclose(got, values + 0.3 * away, rtol=1e-4, atol=1e-4)
    plain = loss_and_gradient(losses.CosFaceLoss(0.35, 16.0), labels, cosines)
    same = loss_and_gradient(losses.MVSoftmaxLoss(0, 0, 0.35, 16.0), labels, cosines)
    for one, other in zip(same, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    loss = losses.MVSoftmaxLoss()
    assert (loss.t, loss.m1, loss.m2, loss.m3, loss.scale) == (0.2, 1, 0, 0.35, 32)
    assert losses.MVSoftmaxLoss.from_config(loss.get_config()).get_config() == loss.get_config()
    for wrong in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"t raises hard rivals.*0\.2"):
            losses.MVSoftmaxLoss(wrong)


def check_poison(losses):
    """In compiled code that nothing can stop, a wrong label or cosine gives NaN, and only there."""
    labels = np.float32([-1, 1, 2, 0, 0.5, 0, math.nan, 1])
    points = np.tile(np.float32([[0.3, -0.2], [0.1, 0.5]]), (4, 1))
    wrong = [True, False] * 4
    for function in (losses.softmax_cross_entropy, losses.ArcFaceLoss(0.3, 8.0).call):
        values, _ = value_and_gradient(
            lambda z, f=function: f(_hidden(labels, z), z), points, compiled=True
        )
        np.testing.assert_array_equal(np.isnan(values), wrong)
    loss, right = losses.ArcFaceLoss(0.3, 8.0), np.ones(8)
    points[::2] *= 15  # no cosines
    values, _ = value_and_gradient(lambda z: loss.call(right, z), points, compiled=True)
    np.testing.assert_array_equal(np.isnan(values), wrong)


def check_graph_labels(losses):
    """Compiled by TensorFlow for a CPU, a wrong label or cosine stops the program by name."""
    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    points = np.zeros((3, 2), "float32")
    for function in (losses.softmax_cross_entropy, losses.ArcFaceLoss(0.3, 8.0).call):
        graph = tf.function(function).get_concrete_function(
            tf.TensorSpec((None,), "float32"), tf.TensorSpec((None, 2), "float32")
        )
        assert np.isfinite(graph(tf.constant([0.0, 1.0, 1.0]), tf.constant(points))).all()
        for wrong in (-1, 2, -2, 7):
            shown = rf"= {wrong} is not in \[0, 2\)(?s:.)*label_is_no_class"
            with pytest.raises(tf.errors.InvalidArgumentError, match=shown):
                graph(tf.constant([0.0, wrong, 1.0]), tf.constant(points))
        for wrong in (0.5, 1.5):
            with pytest.raises(tf.errors.InvalidArgumentError, match="label_is_no_class"):
                graph(tf.constant([0.0, wrong, 1.0]), tf.constant(points))
    with pytest.raises(tf.errors.InvalidArgumentError, match="target_is_no_cosine"):
        graph(tf.constant([0.0, 1.0, 1.0]), tf.constant(points + 2))


def _hidden(labels, point):
    """The labels as a value of the function being compiled, which no check can look into."""
    return ops.add(labels, 0.0 * ops.max(point, axis=1))


ALL_LOSS_CHECKS = [
    check_psi,
    check_margin_logit,
    check_values_and_gradients,
    check_edges,
    check_softmax_cross_entropy,
    check_labels,
    check_unknown_batches,
    check_wide_labels,
    check_targets,
    check_arguments,
    check_defaults_and_configs,
    check_reduction_and_weights,
    check_label_smoothing,
    check_margins_by_sample,
    check_straight_through,
    check_mv_softmax,
    check_graph_labels,
    check_poison,
]


def check_heads(layers, batch=64, dim=12, classes=7):
    """Both heads against float64, their gradients against finite differences."""
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((batch, dim)).astype("float32")
    kernel = rng.standard_normal((dim, classes)) * rng.uniform(0.1, 10, classes)
    pull = rng.standard_normal((batch, classes))
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    for head, expected in (
        (layers.CosineHead(classes), reference.cosine_head),
        (
            layers.ModifiedSoftmaxHead(classes),
            lambda x, w: reference.cosine_head(x, w) * np.linalg.norm(x, axis=1)[:, None],
        ),
    ):
        head.build((None, dim))
        head.kernel.assign(kernel)
        weights = head.kernel.numpy()
        np.testing.assert_allclose(
            array(head(embeddings)), expected(embeddings, weights), atol=1e-6 * lengths.max()
        )

        def of_embeddings(x, head=head):
            return ops.sum(ops.multiply(head(x), pull.astype("float32")), axis=-1)

        def of_kernel(w, head=head):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = [(head.kernel, w)]
                with keras.StatelessScope(state_mapping=state):
                    pulled = ops.multiply(head(embeddings), pull.astype("float32"))
                    return ops.reshape(ops.sum(pulled), (1,))

        got = value_and_gradient(of_embeddings, embeddings)[1]
        want = reference.numeric_gradient(
            lambda x, f=expected, w=weights: (f(x, w) * pull).sum(axis=1),
            embeddings.astype("float64"),
        )
        np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())
        got = value_and_gradient(of_kernel, weights)[1]
        flat = weights.astype("float64").reshape(1, -1)
        want = reference.numeric_gradient(
            lambda w, f=expected: np.array([(f(embeddings, w.reshape(dim, -1)) * pull).sum()]), flat
        )
        np.testing.assert_allclose(got, want.reshape(dim, -1), atol=2e-5 * np.abs(want).max())


def check_head_edges(layers):
    """Zero vectors, tiny and huge lengths."""
    head = layers.CosineHead(3)
    head.build((None, 4))
    kernel = np.ones((4, 3), "float32")
    kernel[:, 1] = 0
    head.kernel.assign(kernel)
    embeddings = np.zeros((5, 4), "float32")
    embeddings[1] = [1, 2, 3, 4]
    embeddings[2:, 0] = [1e-11, 1e18, 1e-13]  # the last is as good as zero
    values, gradient = value_and_gradient(lambda x: ops.sum(head(x), axis=-1), embeddings)
    np.testing.assert_allclose(values, [0, 10 / np.sqrt(30), 1, 1, 0], rtol=1e-5)
    assert np.isfinite(gradient).all()
    assert np.all(gradient[0] == 0)
