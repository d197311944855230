"""The ladder: at neutral margins each loss is its parent, in value and in gradient."""

import lib  # noqa: F401
import reference
from lib import losses
from lib.layers import CosineHead, ModifiedSoftmaxHead
from loss_cases import GRADIENT_BOUND, array, loss_and_gradient, samples, value_and_gradient

import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.backends

SCALES = (1.0, 16.0, 64.0)
# Through the trigonometry, not past it: so small that nothing but rounding is left of it.
NEXT_TO_ONE = float(np.nextafter(1.0, 2.0))

RUNGS = {
    "combined (m, 0, 0) = SphereFace": lambda s: (
        losses.CombinedMarginLoss(1.7, 0, 0, s),
        losses.SphereFaceLoss(1.7, s),
    ),
    "combined (4, 0, 0) = SphereFace": lambda s: (
        losses.CombinedMarginLoss(4, 0, 0, s),
        losses.SphereFaceLoss(4, s),
    ),
    "combined (1, m, 0) = ArcFace": lambda s: (
        losses.CombinedMarginLoss(1, 0.5, 0, s),
        losses.ArcFaceLoss(0.5, s),
    ),
    "combined (1, 0, m) = CosFace": lambda s: (
        losses.CombinedMarginLoss(1, 0, 0.35, s),
        losses.CosFaceLoss(0.35, s),
    ),
    "combined (1, 0, 0) = NormFace": lambda s: (
        losses.CombinedMarginLoss(1, 0, 0, s),
        losses.NormFaceLoss(s),
    ),
    "SphereFace 1 = NormFace": lambda s: (losses.SphereFaceLoss(1, s), losses.NormFaceLoss(s)),
    "CosFace 0 = NormFace": lambda s: (losses.CosFaceLoss(0, s), losses.NormFaceLoss(s)),
    "ArcFace 0 = NormFace": lambda s: (losses.ArcFaceLoss(0, s), losses.NormFaceLoss(s)),
    "ArcFace next to 0 = NormFace": lambda s: (
        losses.ArcFaceLoss(1e-30, s),
        losses.NormFaceLoss(s),
    ),
    "SphereFace next to 1 = NormFace": lambda s: (
        losses.SphereFaceLoss(NEXT_TO_ONE, s),
        losses.NormFaceLoss(s),
    ),
    "combined next to (1, 0, m) = CosFace": lambda s: (
        losses.CombinedMarginLoss(1, 1e-30, 0.35, s),
        losses.CosFaceLoss(0.35, s),
    ),
}


def assert_same(child, parent, scale, bound=1e-6):
    # float32 logits of size s are themselves rounded by 6e-8 s
    np.testing.assert_allclose(child[0], parent[0], rtol=1e-6, atol=max(bound, 6e-8 * scale))
    np.testing.assert_allclose(child[1] / scale, parent[1] / scale, atol=bound)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("scale", SCALES)
def test_neutral_margin_is_the_parent(rung, scale):
    child, parent = RUNGS[rung](scale)
    labels, cosines = samples(1)
    assert_same(
        loss_and_gradient(child, labels, cosines),
        loss_and_gradient(parent, labels, cosines),
        scale,
        # where angles are float32, going through one costs digits
        bound=GRADIENT_BOUND if "next to" in rung and GRADIENT_BOUND > 1e-5 else 1e-6,
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "cross_entropy",
    [
        losses.softmax_cross_entropy,
        lambda y, z: keras.ops.sparse_categorical_crossentropy(y, z, from_logits=True),
    ],
    ids=["ours", "Keras's"],
)
def test_normface_is_cross_entropy_on_scaled_cosines(scale, cross_entropy):
    labels, cosines = samples(2)
    plain = value_and_gradient(lambda c: cross_entropy(labels, scale * c), cosines)
    assert_same(loss_and_gradient(losses.NormFaceLoss(scale), labels, cosines), plain, scale)


def test_cross_entropy_is_kerass():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 9, 500), (8 * rng.standard_normal((500, 9))).astype("float32")
    ours = value_and_gradient(lambda z: losses.softmax_cross_entropy(labels, z), logits)
    theirs = value_and_gradient(
        lambda z: ops.sparse_categorical_crossentropy(labels, z, from_logits=True), logits
    )
    assert_same(ours, theirs, 1.0)


def test_modified_softmax_head_is_dense_without_bias_on_normalised_weights():
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((50, 8)).astype("float32")
    kernel = rng.standard_normal((8, 6)).astype("float32")
    head, dense = ModifiedSoftmaxHead(6), keras.layers.Dense(6, use_bias=False)
    head.build((None, 8))
    dense.build((None, 8))
    head.kernel.assign(kernel)
    dense.kernel.assign(kernel / np.linalg.norm(kernel, axis=0))
    labels = rng.integers(0, 6, 50)
    ours, theirs = (
        value_and_gradient(
            lambda x, layer=layer: losses.softmax_cross_entropy(labels, layer(x)), embeddings
        )
        for layer in (head, dense)
    )
    assert_same(ours, theirs, 1.0)


def test_cosine_head_is_modified_softmax_head_on_unit_embeddings():
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((50, 8)).astype("float32")
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosine, modified = CosineHead(6), ModifiedSoftmaxHead(6)
    for head in (cosine, modified):
        head.build((None, 8))
    modified.kernel.assign(cosine.kernel)
    np.testing.assert_allclose(array(cosine(embeddings)), array(modified(embeddings)), atol=1e-6)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_psi_of_whole_m_is_the_chebyshev_form(m):
    """SphereFace's code never computes an angle: cos(m theta) is a polynomial in cos(theta)."""
    cosines = np.linspace(-1, 1, 2001)
    chebyshev = np.polynomial.chebyshev.Chebyshev.basis(m)(cosines)
    k = sum((cosines <= np.cos(i * np.pi / m)).astype(int) for i in range(1, m + 1))
    k = np.minimum(k, m - 1)  # the paper's k ends at m - 1
    expected = (-1.0) ** k * chebyshev - 2 * k
    got = array(losses.margin_logit(cosines.astype("float32"), m1=m))
    # float32 cosines next to +-1 are off by 6e-8, where the slope reaches m**2
    np.testing.assert_allclose(got, expected, atol=1e-6 + 6e-8 * m**2)
    np.testing.assert_allclose(reference.margin_logit(cosines, m1=m), expected, atol=1e-12)
