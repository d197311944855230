"""What must hold for the losses after ArcFace, as functions of the module `lib.adaptive`.

`test_adaptive.py` runs them on it, `mutation.py` on copies with one deliberate mistake each.
"""

import math
import warnings

import lib  # noqa: F401
import reference
from lib import losses
from lib.layers import CosineHead
from loss_cases import array, value_and_gradient

import keras
import numpy as np
import pytest
from keras import ops

DIM, CLASSES = 5, 7
MAGFACE = {"margins": (0.3, 0.6), "lengths": (1.0, 4.0), "weight": 3.0}

# The model, its arguments, its state, and what the reference gives for (labels, cosines, lengths).
CASES = {
    "AdaCos": (
        "AdaCosModel",
        {},
        {"scale": 5.0},
        lambda y, c, a: reference.margin_loss(y, c, scale=5.0)[0],
    ),
    "CurricularFace": (
        "CurricularFaceModel",
        {"scale": 16.0},
        {"t": 0.4},
        lambda y, c, a: reference.curricular(y, c, 0.4, 0.5, 16.0),
    ),
    "CurricularFace, early": (
        "CurricularFaceModel",
        {"margin": 0.3, "scale": 30.0},
        {"t": -0.1},
        lambda y, c, a: reference.curricular(y, c, -0.1, 0.3, 30.0),
    ),
    "MagFace": (
        "MagFaceModel",
        {**MAGFACE, "scale": 16.0},
        {},
        lambda y, c, a: reference.magface(y, c, a, (0.3, 0.6), (1.0, 4.0), 3.0, 16.0),
    ),
    "AdaFace": (
        "AdaFaceModel",
        {"scale": 16.0},
        {"mean": 2.5, "std": 0.9},
        lambda y, c, a: reference.adaface(y, c, a, 2.5, 0.9, 0.4, 0.333, 16.0),
    ),
    "AdaFace, to its ends": (
        "AdaFaceModel",
        {"margin": 0.3, "h": 2.0, "scale": 30.0},
        {"mean": 2.0, "std": 0.5},
        lambda y, c, a: reference.adaface(y, c, a, 2.0, 0.5, 0.3, 2.0, 30.0),
    ),
    "AdaFace, other sign": (
        "AdaFaceModel",
        {"h": -0.5, "scale": 8.0},
        {"mean": 2.5, "std": 0.9},
        lambda y, c, a: reference.adaface(y, c, a, 2.5, 0.9, 0.4, -0.5, 8.0),
    ),
    "ElasticFace": (
        "ElasticFaceModel",
        {"scale": 16.0},
        {},
        lambda y, c, a: reference.margin_loss(y, c, 1, 0.5, 0, 16.0)[0],
    ),
    "ElasticFace, cosine": (
        "ElasticFaceModel",
        {"scale": 16.0, "margin": 0.35, "kind": "cosface"},
        {},
        lambda y, c, a: reference.margin_loss(y, c, 1, 0, 0.35, 16.0)[0],
    ),
}


def build(module, name, classes=CLASSES, **arguments):
    """A model whose inputs are the embeddings themselves."""
    backbone = keras.Sequential([keras.Input((DIM,)), keras.layers.Identity()])
    model = getattr(module, name)(backbone, CosineHead(classes), **arguments)
    model.build((None, DIM))
    model.compile("sgd")
    return model


def case(module, name):
    kind, arguments, state, expected = CASES[name]
    model = build(module, kind, **arguments)
    for weight, value in state.items():
        getattr(model, weight).assign(value)
    return model, expected


def samples(seed, batch=300):
    """Labels, cosines and lengths, none of them next to where a derivative jumps."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, batch)
    cosines = rng.uniform(-0.995, 0.995, (batch, CLASSES))
    rows = np.arange(batch)
    easy = rng.random(batch) < 0.5
    cosines[rows, labels] = np.where(easy, rng.uniform(0.5, 0.995, batch), cosines[rows, labels])
    return labels, cosines.astype("float32"), rng.uniform(0.5, 6.0, batch).astype("float32")


def check_values_and_gradients(module, names=tuple(CASES)):
    """Against float64 and its finite differences, in the cosines and in the lengths."""
    for number, name in enumerate(names):
        model, expected = case(module, name)
        labels, cosines, lengths = samples(number)
        exact = cosines.astype("float64"), lengths.astype("float64")
        values, slopes = value_and_gradient(
            lambda c, m=model, y=labels, a=lengths: m.loss_values(y, c, a, False), cosines
        )
        np.testing.assert_allclose(values, expected(labels, *exact), rtol=1e-5, atol=1e-5)
        numeric = reference.numeric_gradient(
            lambda c, y=labels, a=exact[1], f=expected: f(y, c, a), exact[0]
        )
        scale = np.abs(numeric).max(axis=1, keepdims=True)
        error = np.abs(slopes - numeric) / (scale + 1e-3)
        # a difference is off where a rival passes the target within it
        assert np.quantile(error, 0.999) < 1e-3, name
        assert np.median(error) < 1e-6, name
        if name != "MagFace":
            continue
        _, of_lengths = value_and_gradient(
            lambda a, m=model, y=labels, c=cosines: m.loss_values(y, c, a, False), lengths
        )
        numeric = reference.numeric_gradient(
            lambda a, y=labels, c=exact[0], f=expected: f(y, c, a[:, 0]), exact[1][:, None]
        )[:, 0]
        np.testing.assert_allclose(of_lengths, numeric, rtol=1e-4, atol=1e-4)
        outside = (lengths < 1) | (lengths > 4)
        assert np.all(of_lengths[outside] == 0)
        assert np.any(of_lengths > 0)
        assert np.any(of_lengths < 0)


def check_lengths_are_constants(module):
    """AdaFace's quality pulls no length."""
    model, _ = case(module, "AdaFace")
    labels, cosines, _ = samples(1, 40)
    embeddings = np.random.default_rng(1).standard_normal((40, DIM)).astype("float32")

    def loss(x):
        lengths = ops.sqrt(ops.sum(ops.square(x), axis=-1))
        return model.loss_values(labels, cosines, lengths, False) + 0.0 * lengths

    _, gradient = value_and_gradient(loss, embeddings)
    np.testing.assert_array_equal(gradient, 0.0)


def check_whole_models(module):
    """The gradient in the embeddings, through cosines and length together."""
    rng = np.random.default_rng(2)
    embeddings = (2 * rng.standard_normal((30, DIM))).astype("float32")
    embeddings = embeddings[np.abs(np.linalg.norm(embeddings, axis=1) - 4) > 0.05]
    labels = rng.integers(0, CLASSES, len(embeddings))
    for name in ("MagFace", "AdaFace", "CurricularFace"):
        model, expected = case(module, name)
        kernel = array(model.head.kernel)

        def by_reference(x, expected=expected, kernel=kernel, fixed=name != "MagFace"):
            # AdaFace's length is a constant
            lengths = np.linalg.norm(embeddings if fixed else x, axis=1)
            return expected(labels, reference.cosine_head(x, kernel), lengths)

        def loss(x, model=model):
            outputs = model(x)
            return model.compute_loss(x, labels, outputs, training=False)[None]

        value, gradient = value_and_gradient(loss, embeddings)
        exact = embeddings.astype("float64")
        np.testing.assert_allclose(value[0], by_reference(exact).mean(), rtol=1e-5)
        numeric = reference.numeric_gradient(by_reference, exact) / len(labels)
        np.testing.assert_allclose(gradient, numeric, rtol=2e-3, atol=2e-4 * np.abs(numeric).max())


def train_on(model, embeddings, labels, weights=None):
    outputs = model(embeddings, training=True)
    loss = model.compute_loss(embeddings, labels, outputs, weights, training=True)
    return array(outputs), float(array(loss))


def check_states(module):
    """Each state after three batches, by its rule; a weight of 0 leaves a sample out."""
    rng = np.random.default_rng(3)
    adacos = build(module, "AdaCosModel")
    curricular = build(module, "CurricularFaceModel", momentum=0.1)
    adaface = build(module, "AdaFaceModel", momentum=0.2)
    first = build(module, "AdaFaceModel", momentum=0.2, start=None)
    scale, t, (mean, std), known = module.adacos_scale(CLASSES), 0.0, (20.0, 100.0), None
    assert scale == pytest.approx(math.sqrt(2) * math.log(6))
    assert array(adacos.scale) == pytest.approx(scale)
    for batch in (9, 16, 25):
        x = (1 + 2 * rng.standard_normal((batch, DIM))).astype("float32")
        y = rng.integers(0, CLASSES, batch)
        kept = np.ones(batch, "float32")
        kept[rng.integers(0, batch, 2)] = 0
        some = kept > 0
        lengths = np.linalg.norm(x, axis=1)[some]

        cosines, loss = train_on(adacos, x, y, kept)
        scale = max(1.0, reference.adacos_step(scale, y[some], cosines[some]))
        assert array(adacos.scale) == pytest.approx(scale, rel=1e-4)
        by_new = reference.margin_loss(y, cosines, scale=scale)[0]  # used at once
        assert loss == pytest.approx((by_new * kept).mean(), rel=1e-4)

        cosines, loss = train_on(curricular, x, y, kept)
        t = 0.9 * t + 0.1 * reference.own(y, cosines)[some].mean()
        assert array(curricular.t) == pytest.approx(t, rel=1e-4)
        by_new = reference.curricular(y, cosines, t, 0.5, 64.0)
        assert loss == pytest.approx((by_new * kept).mean(), rel=1e-4)

        cosines, loss = train_on(adaface, x, y, kept)
        mean = 0.8 * mean + 0.2 * lengths.mean()
        std = 0.8 * std + 0.2 * lengths.std(ddof=1)
        assert array(adaface.mean) == pytest.approx(mean, rel=1e-5)
        assert array(adaface.std) == pytest.approx(std, rel=1e-5)
        all_lengths = np.linalg.norm(x, axis=1)
        by_new = reference.adaface(y, cosines, all_lengths, mean, std, 0.4, 0.333, 64.0)
        assert loss == pytest.approx((by_new * kept).mean(), rel=1e-4)

        train_on(first, x, y, kept)
        of_batch = np.array([lengths.mean(), lengths.std(ddof=1)])
        known = of_batch if known is None else 0.8 * known + 0.2 * of_batch
        np.testing.assert_allclose([array(first.mean), array(first.std)], known, rtol=1e-5)


def check_weights(module):
    """Whatever the weights add up to, a weight of 2 counts twice; what is no number does not."""
    rng = np.random.default_rng(9)
    cosines = rng.uniform(-0.9, 0.9, (12, CLASSES)).astype("float32")
    index, lengths = rng.integers(0, CLASSES, 12), rng.uniform(1, 5, 12).astype("float32")
    weights = rng.uniform(0.1, 2, 12).astype("float32")
    target = reference.own(index, cosines)
    mean = np.average(lengths, weights=weights)
    effective = weights.sum() ** 2 / (weights**2).sum()
    variance = np.average((lengths - mean) ** 2, weights=weights) * effective / (effective - 1)
    order = np.argsort(-target)  # of angles, ascending
    reached = np.cumsum(weights[order])
    median = np.arccos(target[order][np.argmax(reached >= reached[-1] / 2)])
    scale = module.adacos_scale(CLASSES)
    others = np.exp(scale * cosines.astype("float64"))
    others[np.arange(12), index] = 0
    scale = np.log(np.average(others.sum(axis=1), weights=weights)) / np.cos(min(median, np.pi / 4))
    for factor in (1.0, 0.05):
        adacos, curricular = build(module, "AdaCosModel"), build(module, "CurricularFaceModel")
        adaface = build(module, "AdaFaceModel", start=None)
        for model in (adacos, curricular, adaface):
            model.update(cosines, index, factor * weights, lengths)
        assert array(adacos.scale) == pytest.approx(scale, rel=1e-4)
        assert array(curricular.t) == pytest.approx(
            0.01 * np.average(target, weights=weights), rel=1e-4
        )
        np.testing.assert_allclose(array(adaface.mean), mean, rtol=1e-5)
        np.testing.assert_allclose(array(adaface.std), variance**0.5, rtol=1e-4)
        for bad in (np.nan, np.inf):
            # a length beyond 100 counts as 100, so only NaN is none
            unmoved = (adacos, adaface) if np.isnan(bad) else (adacos,)
            before = [array(model.non_trainable_weights[0]) for model in unmoved]
            wrong, some = np.append(lengths, bad), np.append(factor * weights, 0)
            more = (
                np.append(cosines, np.full((1, CLASSES), bad, "float32"), axis=0),
                np.append(index, 0),
            )
            fresh = build(module, "AdaFaceModel", start=None)
            fresh.update(more[0], more[1], np.float32(some), np.float32(wrong))
            np.testing.assert_allclose(array(fresh.mean), mean, rtol=1e-5)
            for model in unmoved:  # and where it counts, the batch is passed over
                model.update(more[0], more[1], np.float32(some + 1), np.float32(wrong))
            after = [array(model.non_trainable_weights[0]) for model in unmoved]
            assert after == before


def check_states_stay(module):
    """Evaluation changes no state, nor does a batch of one AdaFace's, nor what does not count."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((12, DIM)).astype("float32")
    y = rng.integers(0, CLASSES, 12)
    for name in ("AdaCosModel", "CurricularFaceModel", "AdaFaceModel"):
        model = build(module, name)
        before = [array(weight) for weight in model.non_trainable_weights]
        outputs = model(x)
        model.compute_loss(x, y, outputs, training=False)
        train_on(model, x, y, np.zeros(12, "float32"))
        if name == "AdaFaceModel":
            train_on(model, x[:1], y[:1])
        model.trainable = False
        train_on(model, x, y)
        model.trainable = True
        for weight, value in zip(model.non_trainable_weights, before, strict=True):
            np.testing.assert_array_equal(array(weight), value)
        outputs = model(x, training=True)
        model.compute_loss(x, y, outputs, training=True)
        after = [array(weight) for weight in model.non_trainable_weights]
        assert all(new != old for new, old in zip(after, before, strict=True))
        model.compute_loss(x, y, outputs, training=True)  # a batch moves it once
        assert [array(weight) for weight in model.non_trainable_weights] == after
    unseen = build(module, "AdaFaceModel", start=None)
    np.testing.assert_array_equal(array(unseen.quality(np.float32([0.1, 5, 90]))), 0.0)


def check_quality(module):
    model = build(module, "AdaFaceModel", h=0.5)
    model.mean.assign(10.0)
    model.std.assign(2.0 - 1e-3)
    lengths = np.float32([10, 11, 8, 15, 1, 1000])
    np.testing.assert_allclose(array(model.quality(lengths)), [0, 0.25, -0.5, 1, -1, 1], atol=1e-6)
    model.mean.assign(200.0)  # what is longer than 100 counts as 100
    model.std.assign(1000.0 - 1e-3)
    np.testing.assert_allclose(array(model.quality(np.float32([1e4, 0]))), [-0.05, -0.1], atol=1e-6)


def check_adacos_ends(module):
    """Its lower end, what cannot overflow, and two classes."""
    model = build(module, "AdaCosModel", classes=3)
    model.head.kernel.assign(np.eye(DIM, 3) - 1 / 3 * (np.arange(DIM) < 3)[:, None])
    x = np.float32(array(model.head.kernel).T)
    for _ in range(20):
        train_on(model, x, np.arange(3))
    assert array(model.scale) == 1.0
    model.scale.assign(2000.0)
    assert np.isfinite(train_on(model, x[[1, 2, 0]], np.arange(3))[1])
    assert array(model.scale) > 1000
    with pytest.raises(ValueError, match="at least 3, got 2.*NormFaceLoss"):
        build(module, "AdaCosModel", classes=2)
    for wrong in (2, 0, 10.5, math.nan, math.inf, "10"):
        with pytest.raises(ValueError, match="num_classes must be a whole number of at least 3"):
            module.adacos_scale(wrong)
    assert module.adacos_scale(10.0) == module.adacos_scale(np.int64(10)) == 2**0.5 * math.log(9)


def check_elastic_draws(module):
    """Mean and spread of the draws, the order of "plus", and that the released one has none."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, CLASSES, 4000)
    cosines = rng.uniform(-0.9, 0.9, (4000, CLASSES)).astype("float32")
    target = cosines[np.arange(4000), labels]
    drawn = {}
    for plus in (False, True, "as released"):
        model = build(
            module, "ElasticFaceModel", kind="cosface", margin=0.35, scale=1.0, plus=plus, seed=1
        )
        # at s = 1 the loss tells the margin: log(1 + r exp(m))
        values = array(model.loss_values(labels, cosines, None, True))
        plain = reference.margin_loss(labels, cosines, scale=1.0)[0]
        drawn[plus] = np.log(np.expm1(values.astype("float64")) / np.expm1(plain))
        assert drawn[plus].mean() == pytest.approx(0.35, abs=0.004)
        assert drawn[plus].std() == pytest.approx(0.05, rel=0.05)
    assert np.corrcoef(target, drawn[True])[0, 1] < -0.95
    assert abs(np.corrcoef(target, drawn["as released"])[0, 1]) < 0.06
    assert abs(np.corrcoef(target, drawn[False])[0, 1]) < 0.06
    arc = build(module, "ElasticFaceModel", std=0.3, scale=1.0, seed=1)
    values = [array(arc.loss_values(labels, cosines, None, True)) for _ in range(2)]
    assert np.abs(values[0] - values[1]).max() > 0.05  # anew each time
    twin = build(module, "ElasticFaceModel", std=0.3, scale=1.0, seed=1)
    np.testing.assert_array_equal(array(twin.loss_values(labels, cosines, None, True)), values[0])


def check_magface_weight(module):
    """Its least weight by the condition that it stands for; the default; the warning below."""
    model = build(module, "MagFaceModel")
    assert model.least_weight == pytest.approx(22.59, abs=0.005)
    assert model.weight == pytest.approx(1.5 * model.least_weight)
    # at l the sum of what is added and the steepest fall of the margin is flat
    (lower, upper), (short, long) = model.margins, model.lengths
    steepest = 64 * (upper - lower) / (long - short)
    assert model.least_weight * (1 / short**2 - 1 / long**2) == pytest.approx(steepest)
    with pytest.warns(UserWarning, match=r"weight is 20, and below 22\.59"):
        build(module, "MagFaceModel", weight=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(module, "MagFaceModel", weight=model.least_weight)
        build(module, "MagFaceModel", margins=(0.5, 0.5), weight=0)


def check_momentum(module):
    """A momentum that is most likely the old value's weight: a warning says what to pass."""
    for name in ("CurricularFaceModel", "AdaFaceModel"):
        with pytest.warns(UserWarning, match=r"momentum is 0\.99.* pass 0\.01\."):
            build(module, name, momentum=0.99)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for momentum in (0.01, 0.5, 1):
                build(module, name, momentum=momentum)


def rungs(module):
    """What each is at neutral settings: (model, the state, lengths, its parent)."""
    labels, cosines, _ = samples(6)
    count = len(labels)
    at = np.full(count, 1.0, "float32")
    easy = cosines.copy()  # nobody passes the target
    easy[np.arange(count), labels] = 0.99
    easy = np.where(easy > 0.3, 0.3, easy)
    easy[np.arange(count), labels] = 0.99
    m = 0.4
    return {
        "AdaFace, h 0 = CosFace": (
            build(module, "AdaFaceModel", h=0.0, scale=16.0), {}, cosines, 7 * at,
            losses.CosFaceLoss(m, 16.0),
        ),
        "AdaFace, short = ArcFace": (
            build(module, "AdaFaceModel", scale=16.0), {"mean": 50.0, "std": 1.0}, cosines, at,
            losses.ArcFaceLoss(m, 16.0),
        ),
        "MagFace, equal margins = ArcFace": (
            build(module, "MagFaceModel", margins=(m, m), lengths=(1, 9), weight=0, scale=16.0),
            {}, cosines, 3 * at, losses.ArcFaceLoss(m, 16.0),
        ),
        "CurricularFace, no rival = ArcFace": (
            build(module, "CurricularFaceModel", margin=m, scale=16.0), {"t": 0.3}, easy, at,
            losses.ArcFaceLoss(m, 16.0),
        ),
        "AdaCos, fixed = NormFace": (
            build(module, "AdaCosModel"), {}, cosines, at,
            losses.NormFaceLoss(module.adacos_scale(CLASSES)),
        ),
        "ElasticFace, std 0 = ArcFace": (
            build(module, "ElasticFaceModel", std=0.0, margin=m, scale=16.0), {}, cosines, at,
            losses.ArcFaceLoss(m, 16.0),
        ),
    }  # fmt: skip


def check_rungs(module):
    for name, (model, state, cosines, lengths, parent) in rungs(module).items():
        for weight, value in state.items():
            getattr(model, weight).assign(value)
        labels = samples(6)[0]
        training = name.startswith("Elastic")  # where it draws
        ours = value_and_gradient(
            lambda c, m=model, a=lengths, t=training, y=labels: m.loss_values(y, c, a, t), cosines
        )
        theirs = value_and_gradient(lambda c, p=parent, y=labels: p.call(y, c), cosines)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(ours[1] / 16, theirs[1] / 16, atol=1e-6, err_msg=name)


def check_the_mirror(module):
    """A long embedding: cos(theta - m) - 2 m, and nothing is left to gain within m."""
    model = build(module, "AdaFaceModel", scale=16.0)
    model.mean.assign(1.0)
    model.std.assign(0.1)
    angles = np.linspace(0.01, 3.1, 200)
    cosines = np.tile(np.cos(angles)[:, None], (1, CLASSES)).astype("float32")
    cosines[:, 1:] = 0.0
    labels, lengths = np.zeros(200, int), np.full(200, 9.0, "float32")
    values, slopes = value_and_gradient(
        lambda c: model.loss_values(labels, c, lengths, False), cosines
    )
    logits = 16 * (np.cos(np.maximum(angles - 0.4, 0)) - 0.8)
    np.testing.assert_allclose(values, np.log1p(6 * np.exp(-logits)), rtol=1e-4, atol=1e-6)
    assert np.all(slopes[angles < 0.39, 0] == 0)
    assert np.all(slopes[(angles > 0.45) & (angles < 3), 0] < 0)


def check_edges(module):
    """At and beyond cosines of +-1: finite in value and gradient."""
    ends = np.float32([1, -1, 1.0000001, -1.0000001, np.nextafter(np.float32(1), np.float32(0))])
    cosines = np.tile(ends[:, None], (1, CLASSES))
    labels = np.arange(len(ends)) % CLASSES
    lengths = np.float32([0, 1e-6, 1, 200, 3])
    for name in CASES:
        model, _ = case(module, name)
        for training in (False, True):
            values, slopes = value_and_gradient(
                lambda c, m=model, t=training: m.loss_values(labels, c, lengths, t), cosines
            )
            assert np.isfinite(values).all(), name
            assert np.isfinite(slopes).all(), name
    model, _ = case(module, "MagFace")  # an embedding of zeros
    x = np.zeros((2, DIM), "float32")
    _, gradient = value_and_gradient(
        lambda e: model.compute_loss(e, np.array([0, 1]), model(e), training=False)[None], x
    )
    assert np.isfinite(gradient).all()


def check_arguments(module):
    with pytest.raises(ValueError, match="backbone is a MagFaceModel, whose own loss would be"):
        module.AdaFaceModel(build(module, "MagFaceModel"), CosineHead(CLASSES))
    refused = [
        ("CurricularFaceModel", {"margin": 28.6}, "degrees"),
        ("CurricularFaceModel", {"momentum": 0}, r"momentum.*\(0, 1\].*0\.01"),
        ("CurricularFaceModel", {"momentum": 1.01}, r"momentum.*\(0, 1\]"),
        ("CurricularFaceModel", {"momentum": "0.1"}, "momentum must be a number"),
        ("CurricularFaceModel", {"scale": 0}, "scale.*positive"),
        ("AdaFaceModel", {"margin": 1.1}, r"margin.*\[0, 1\]"),
        ("AdaFaceModel", {"margin": -0.1}, r"margin.*\[0, 1\]"),
        ("AdaFaceModel", {"margin": math.nan}, r"margin.*\[0, 1\]"),
        ("AdaFaceModel", {"h": math.inf}, "h must be finite"),
        ("AdaFaceModel", {"scale": -1}, "scale.*positive"),
        ("AdaFaceModel", {"momentum": -1}, "momentum"),
        ("AdaFaceModel", {"start": 20}, "start are two numbers"),
        ("AdaFaceModel", {"start": (-1, 1)}, "mean >= 0"),
        ("AdaFaceModel", {"start": (1, 0)}, "std > 0"),
        ("AdaFaceModel", {"start": (1, math.inf)}, "std > 0"),
        ("AdaFaceModel", {"start": (math.inf, 1)}, "mean >= 0"),
        ("MagFaceModel", {"margins": (0.8, 0.45)}, "lower, upper"),
        ("MagFaceModel", {"margins": (0.45, 28.6)}, "degrees"),
        ("MagFaceModel", {"margins": 0.5}, "margins are two numbers"),
        ("MagFaceModel", {"lengths": (0, 10)}, "0 < l < u"),
        ("MagFaceModel", {"lengths": (10, 10)}, "0 < l < u"),
        ("MagFaceModel", {"lengths": (10, math.inf)}, "0 < l < u"),
        ("MagFaceModel", {"weight": -1}, "weight must be finite"),
        ("MagFaceModel", {"weight": math.inf}, "weight must be finite"),
        ("MagFaceModel", {"scale": 0}, "scale.*positive"),
        ("ElasticFaceModel", {"kind": "sphereface"}, "kind"),
        ("ElasticFaceModel", {"plus": "sorted"}, "plus"),
        ("ElasticFaceModel", {"std": -0.1}, "std"),
        ("ElasticFaceModel", {"std": math.inf}, "std"),
        ("ElasticFaceModel", {"margin": 28.6}, "degrees"),
        ("ElasticFaceModel", {"margin": 2.5, "kind": "cosface"}, r"\[0, 2\]"),
        ("ElasticFaceModel", {"scale": 0}, "scale.*positive"),
    ]
    for name, arguments, message in refused:
        with pytest.raises(ValueError, match=message):
            build(module, name, **arguments)
    for name, arguments in (
        ("CurricularFaceModel", {"margin": 0, "momentum": 1}),
        ("AdaFaceModel", {"margin": 0}),
        ("AdaFaceModel", {"margin": 1, "start": (0, 1)}),
        ("MagFaceModel", {"margins": (0, 0), "weight": 0}),
        ("ElasticFaceModel", {"margin": 1.5, "kind": "cosface", "std": 0}),
    ):
        build(module, name, **arguments)
    defaults = {
        "CurricularFaceModel": {"margin": 0.5, "scale": 64, "momentum": 0.01},
        "MagFaceModel": {"margins": (0.45, 0.8), "lengths": (10, 110), "scale": 64},
        "AdaFaceModel": {
            "margin": 0.4, "h": 0.333, "scale": 64, "momentum": 0.01, "start": (20, 100),
        },
        "ElasticFaceModel": {
            "margin": 0.5, "std": 0.05, "scale": 64, "kind": "arcface", "plus": False, "seed": None,
        },
    }  # fmt: skip
    for name, expected in defaults.items():
        model = build(module, name)
        config = model.get_config()
        assert {key: config[key] for key in expected} == expected
        assert type(model).from_config(config).get_config() == config
    model = build(module, "AdaFaceModel")
    model.compile("sgd", loss=losses.ArcFaceLoss())
    with pytest.raises(ValueError, match="AdaFaceModel brings its own loss"):
        train_on(model, np.ones((2, DIM), "float32"), np.array([0, 1]))


ALL_CHECKS = [
    check_values_and_gradients,
    check_states,
    check_weights,
    check_states_stay,
    check_quality,
    check_rungs,
    check_the_mirror,
    check_adacos_ends,
    check_elastic_draws,
    check_magface_weight,
    check_momentum,
    check_lengths_are_constants,
    check_whole_models,
    check_edges,
    check_arguments,
]
