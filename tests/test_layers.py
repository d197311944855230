"""The heads: cosines whatever the lengths, in float32 everywhere, and sub-centres upon them."""

import lib  # noqa: F401
import loss_checks
import reference
from lib import layers
from lib.layers import CosineHead, ModifiedSoftmaxHead, SubCenterHead
from lib.losses import ArcFaceLoss
from loss_cases import array, on_a_cpu, value_and_gradient

import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.backends

HEADS = (CosineHead, ModifiedSoftmaxHead)


@pytest.mark.parametrize("check", [loss_checks.check_heads, loss_checks.check_head_edges])
def test_heads(check):
    check(layers)


def test_zero_vectors_have_logit_zero_also_without_a_cosine():
    """`check_head_edges` has the same of the cosines."""
    head = ModifiedSoftmaxHead(3)
    head.build((None, 4))
    kernel = np.ones((4, 3), "float32")
    kernel[:, 1] = 0
    head.kernel.assign(kernel)
    embeddings = np.float32([[0, 0, 0, 0], [1, 2, 3, 4]])
    values, gradient = value_and_gradient(lambda x: ops.sum(head(x), axis=-1), embeddings)
    outputs = array(head(embeddings))
    assert np.all(outputs[0] == 0)
    assert np.all(outputs[:, 1] == 0)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("length", [1e-6, 1e-3, 1.0, 1e6, 1e15])
def test_cosines_do_not_depend_on_lengths(length):
    rng = np.random.default_rng(0)
    head = CosineHead(5)
    embeddings = rng.standard_normal((20, 6)).astype("float32")
    expected = array(head(embeddings))
    head.kernel.assign(head.kernel.numpy() * np.float32(length))
    np.testing.assert_allclose(array(head(embeddings * np.float32(length))), expected, atol=1e-6)
    assert np.abs(expected).max() <= 1 + 1e-6


def test_the_gradient_in_an_embedding_does_not_change_its_length():
    """So a margin on cosines cannot be bought by shrinking the embedding."""
    embeddings = np.random.default_rng(0).standard_normal((20, 6)).astype("float32")
    head = CosineHead(5)
    _, gradient = value_and_gradient(lambda x: ops.sum(head(x) ** 2, axis=-1), embeddings)
    assert np.abs((gradient * embeddings).sum(axis=1)).max() < 1e-5


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("head_type", HEADS)
def test_heads_stay_in_float32_under_mixed_precision(policy, head_type):
    keras.config.set_dtype_policy(policy)
    try:
        head = head_type(3)
        low = ops.cast(np.ones((2, 4), "float32"), policy.removeprefix("mixed_"))
        outputs = head(low)
        assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
        assert keras.backend.standardize_dtype(head.kernel.dtype) == "float32"
        symbolic = head(keras.Input((4,)))
        assert symbolic.dtype == "float32"
        # a float16 square of 300 would be infinite
        assert np.isfinite(array(head(low * 300))).all()
    finally:
        keras.config.set_dtype_policy("float32")


def test_sub_centres_are_made_again_from_their_config():
    again = keras.layers.deserialize(keras.layers.serialize(SubCenterHead(4, centers=2)))
    assert (again.num_classes, again.centers) == (4, 2)
    assert again.compute_output_shape((None, 3)) == (None, 4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "mixed_float16"])
@pytest.mark.parametrize("head_type", [*HEADS, SubCenterHead])
def test_a_head_of_any_dtype_computes_in_float32(dtype, head_type):
    embeddings = np.random.default_rng(0).standard_normal((20, 6)).astype("float32")
    embeddings = ops.convert_to_tensor(embeddings)  # Keras rounds a NumPy array on its way in
    head = head_type(5, dtype=dtype)
    outputs = head(embeddings)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    (kernel,) = head.weights
    stored = "float32" if dtype == "mixed_float16" else dtype
    assert keras.backend.standardize_dtype(kernel.dtype) == stored
    expected = head_type(5)
    expected.build((None, 6))
    expected.weights[0].assign(ops.cast(kernel.value, "float32"))
    np.testing.assert_array_equal(array(outputs), array(expected(embeddings)))
    again = keras.layers.deserialize(keras.layers.serialize(head))
    assert again.dtype_policy.name == dtype


def test_a_regularizer_of_the_kernel_counts_and_changes_no_cosine():
    head = CosineHead(5, kernel_regularizer=keras.regularizers.L2(0.1))
    embeddings = np.random.default_rng(0).standard_normal((20, 6)).astype("float32")
    model = keras.Sequential([keras.Input((6,)), head])
    labels = np.arange(20) % 5
    kernel = np.array(head.kernel.numpy(), "float64")
    model.compile(keras.optimizers.SGD(0.1), loss=ArcFaceLoss(0.3, 8))
    plain = reference.margin_loss(
        labels, reference.cosine_head(embeddings, kernel), m2=0.3, scale=8
    )
    expected = plain[0].mean() + 0.1 * (kernel**2).sum()
    assert model.evaluate(embeddings, labels, verbose=0) == pytest.approx(expected, rel=1e-5)
    again = keras.layers.deserialize(keras.layers.serialize(head))
    assert float(again.kernel_regularizer.l2) == pytest.approx(0.1)


@pytest.mark.parametrize("head_type", HEADS)
def test_a_head_is_made_again_from_its_config(head_type):
    head = head_type(3, kernel_initializer="he_normal", name="own")
    config = head.get_config()
    assert config["num_classes"] == 3
    again = keras.layers.deserialize(keras.layers.serialize(head))
    assert type(again) is head_type
    assert again.get_config() == config
    assert head.compute_output_shape((None, 8)) == (None, 3)
    assert head(keras.Input((8,))).shape == (None, 3)
    head(np.zeros((2, 8), "float32"))
    assert [weight.name for weight in head.weights] == ["kernel"]
    assert tuple(head.kernel.shape) == (8, 3)


def test_a_dense_kernel_carries_over():
    dense, head = keras.layers.Dense(4, use_bias=False), CosineHead(4)
    embeddings = np.random.default_rng(0).standard_normal((9, 3)).astype("float32")
    logits = array(dense(embeddings))
    head.build((None, 3))
    head.kernel.assign(dense.kernel)
    kernel = dense.kernel.numpy()
    lengths = np.linalg.norm(embeddings, axis=1)[:, None] * np.linalg.norm(kernel, axis=0)
    np.testing.assert_allclose(array(head(embeddings)), logits / lengths, atol=1e-6)


@pytest.mark.parametrize("head_type", HEADS)
@on_a_cpu()
def test_bad_inputs_are_refused(head_type):
    head = head_type(3)
    for shape in ((None, None), (None, 4, 4), (None,)):
        with pytest.raises(ValueError, match="known dim.*Flatten"):
            head.build(shape)
    good = np.ones((3, 4), "float32")
    for wrong in (np.nan, np.inf, -np.inf, 1e30):
        bad = good.copy()
        bad[1, 2] = wrong
        with pytest.raises(ValueError, match="embedding of sample 1 is NaN or infinite"):
            head_type(3)(bad)


@pytest.mark.parametrize("head_type", [*HEADS, SubCenterHead])
def test_compiled_where_nothing_can_stop_a_bad_embedding_gives_nan_in_its_row(head_type):
    head = head_type(3)
    head.build((None, 4))
    bad = np.ones((3, 4), "float32")
    bad[1, 2] = 1e30
    values, _ = value_and_gradient(lambda x: ops.sum(head(x), axis=-1), bad, compiled=True)
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])


# --- sub-centres ----------------------------------------------------------------------------------

FEW = np.random.default_rng(0).standard_normal((12, 3)).astype("float32")


def test_the_nearest_direction_counts():
    head = SubCenterHead(4, centers=3)
    outputs = array(head(FEW))
    kernel = head.weights[0].numpy()
    expected = reference.cosine_head(FEW, kernel).reshape(12, 4, 3)
    np.testing.assert_allclose(outputs, expected.max(axis=2), atol=1e-6)
    np.testing.assert_allclose(array(head.all_cosines(FEW)), expected, atol=1e-6)


def test_one_direction_is_a_cosine_head():
    head, plain = SubCenterHead(4, centers=1), CosineHead(4)
    head.build((None, 3))
    plain.build((None, 3))
    plain.kernel.assign(head.weights[0])
    np.testing.assert_array_equal(array(head(FEW)), array(plain(FEW)))


def test_only_the_nearest_direction_learns():
    head = SubCenterHead(2, centers=3)
    model = keras.Sequential([keras.Input((3,)), head])
    model.compile(keras.optimizers.SGD(0.1), loss=ArcFaceLoss(0.3, 8))
    before = head.weights[0].numpy()
    near = array(head.all_cosines(FEW[:1]))[0].argmax(axis=1)
    model.train_on_batch(FEW[:1], np.array([0]))
    moved = np.any(head.weights[0].numpy() != before, axis=0).reshape(2, 3)
    np.testing.assert_array_equal(moved, np.arange(3) == near[:, None])
