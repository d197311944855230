"""Classification heads whose class weights are normalised, so that they speak of angles."""

import contextlib
import math
import numbers

import keras
from keras import ops

on_torch = None
if keras.backend.backend() == "torch":
    with contextlib.suppress(ImportError):  # without it beside this file a step takes longer
        from . import on_torch

PACKAGE = "softmax_to_arcface"

# Far below any length that training meets. A shorter vector has no direction to speak of.
_SMALLEST_LENGTH = 1e-12


def whole_number(name, value, least, hint):
    """Return a count as an int, or say what it must be; 10.0 is a whole number, 10.5 is none."""
    whole = isinstance(value, numbers.Real) and value % 1 == 0
    if not whole or value < least:
        raise ValueError(
            f"{name} must be a whole number of at least {least}, got {value!r}: {hint}"
        )
    return int(value)


def checked_classes(num_classes):
    """Return the number of classes as an int, or say why it cannot be one."""
    hint = "with one class there is nothing to tell apart."
    return whole_number("num_classes", num_classes, 2, hint)


def _squared_length(vectors, axis):
    """Return the squared length along `axis`, kept as an axis of size one."""
    return ops.sum(ops.square(vectors), axis=axis, keepdims=True)


def _inverse_root(squared):
    """Return 1 / length of vectors with these squared lengths; 0 for a zero vector.

    With 0 in place of 1 / 0 a zero vector has cosine 0 and gradient 0, neither of them NaN.
    """
    inverse = ops.rsqrt(ops.maximum(squared, _SMALLEST_LENGTH**2))
    # "not <=" and not ">", so that the length of a NaN vector stays NaN
    return ops.where(squared <= _SMALLEST_LENGTH**2, 0.0, inverse)


def times_unit_columns(embeddings, kernel):
    """Return embeddings @ (kernel / length of its columns), with its gradient in closed form.

    Dividing the product costs batch * classes, dividing the kernel first dim * classes. The part
    of the gradient that would only change a column's length is taken out, as it is by automatic
    differentiation, in one pass over the kernel where that needs five.
    """
    kernel = ops.cast(kernel, "float32")  # in float32 whatever the kernel is stored in
    if on_torch:
        return on_torch.times_unit_columns(embeddings, kernel, _SMALLEST_LENGTH)

    @ops.custom_gradient
    def product_of(embeddings, kernel):
        inverse = _inverse_root(_squared_length(kernel, axis=0))
        product = ops.matmul(embeddings, kernel) * inverse

        def gradient(*args, upstream=None):
            if upstream is None:  # TensorFlow and JAX pass it by position, PyTorch by name
                (upstream,) = args
            scaled = upstream * inverse
            along = inverse * ops.sum(scaled * product, axis=0, keepdims=True)
            to_kernel = ops.matmul(ops.transpose(embeddings), scaled) - kernel * along
            return ops.matmul(scaled, ops.transpose(kernel)), to_kernel

        return product, gradient

    return product_of(embeddings, kernel)


def unit_rows(embeddings):
    """Return finite embeddings divided by their lengths, in float32; a zero one stays zero."""
    if on_torch:
        embeddings = ops.cast(embeddings, "float32")
        lengths = on_torch.lengths(embeddings)
        _seen_finite(lengths)
        return on_torch.unit_rows(embeddings, lengths, _SMALLEST_LENGTH)
    embeddings, squared = _finite(embeddings)
    return embeddings * _inverse_root(squared)


def _finite(embeddings):
    """Return the embeddings and their squared lengths in float32, refusing NaN and infinite ones.

    Outside compiled code and on a CPU the error names the sample. In code compiled by TensorFlow
    for a CPU the picking of a flag that is not there stops the program, and the error shows the
    operation's name. Elsewhere nothing can stop, and the sample's outputs are NaN.
    """
    embeddings = ops.cast(embeddings, "float32")
    squared = _squared_length(embeddings, axis=-1)
    # Where PyTorch records an export, sizes are tensors: the check is to be recorded, too.
    if _seen_finite(squared) and isinstance(squared.shape[0], int):
        return embeddings, squared
    valid = ops.isfinite(squared)
    if keras.backend.backend() == "tensorflow":
        count = ops.shape(valid)[0]
        with keras.name_scope("embedding_is_nan_or_infinite"):
            places = ops.where(valid[:, 0], ops.arange(count, dtype="int32"), count)
            valid = ops.logical_and(valid, ops.take(valid, places, axis=0))
    embeddings = ops.where(valid, embeddings, math.nan)
    return embeddings, _squared_length(embeddings, axis=-1)


def _seen_finite(lengths):
    """Return whether these lengths, one a sample, can be looked at; raise if one is not finite.

    They cannot in a function that is being compiled, and on another device than the CPU it would
    mean to wait for all that was sent there. A length beyond the float32 range is refused, too: it
    would pass for a cosine of 0.
    """
    try:  # each backend has its own error for what has no value yet
        if "cpu" not in str(getattr(lengths, "device", "cpu")).lower():
            return False
        finite = ops.convert_to_numpy(lengths) < math.inf
    except Exception:
        return False
    if finite.all():
        return True
    raise ValueError(
        f"The embedding of sample {int(finite.argmin())} is NaN or infinite. Look for such "
        "numbers in the images and in the backbone's weights; after a few good steps the "
        "learning rate is too high."
    )


class _NormalisedHead(keras.layers.Layer):
    """Common part of the heads: a kernel of shape (dim, num_classes), one column a class."""

    def __init__(
        self, num_classes, kernel_initializer="glorot_uniform", kernel_regularizer=None, **kwargs
    ):
        kwargs.setdefault("dtype", "float32")
        # Whatever the policy is, the kernel is read as it is stored, and computed with in float32.
        kwargs["autocast"] = False
        super().__init__(**kwargs)
        self.num_classes = checked_classes(num_classes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)

    def build(self, input_shape):
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                f"{type(self).__name__} takes embeddings of shape (batch, dim) with a known dim, "
                f"got {tuple(input_shape)}: end the backbone in a Dense layer, or put Flatten or "
                "GlobalAveragePooling2D before the head."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.num_classes),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            autocast=False,
        )

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class CosineHead(_NormalisedHead):
    """Cosine of the angle between each embedding and each class weight.

        cos(theta_j) = x . W_j / (|x| |W_j|)

    Used by NormFace, CosFace and ArcFace, whose margin is in the loss (`lib.losses`), so this
    layer needs no labels.

    Args:
        num_classes: C, at least 2.
        kernel_initializer: as in `keras.layers.Dense`; only the columns' directions matter.
        kernel_regularizer: as in `keras.layers.Dense`. It cannot change a cosine, only the
            columns' lengths, and short columns turn faster.
        dtype: of the stored kernel, float32 by default.

    Input shape: (batch, dim), any float dtype. Output shape: (batch, num_classes), float32 like
    all that is computed, also under a mixed precision policy. A zero embedding or class weight has
    cosine 0.

    Weight: `kernel`, shape (dim, num_classes), as a Dense layer has it.

    On GPUs with TF32 (since 2020) TensorFlow and JAX round the factors of a float32 product to 10
    bits by default: cosines are then off by up to 3e-4, logits at s = 64 by 0.02. Where that
    matters, as for thresholds that were chosen elsewhere, ask for full products:
    `tf.config.experimental.enable_tensor_float_32_execution(False)`, or
    `jax.config.update("jax_default_matmul_precision", "highest")`.
    """

    def call(self, embeddings):
        return times_unit_columns(unit_rows(embeddings), self.kernel)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ModifiedSoftmaxHead(_NormalisedHead):
    """Logits |x| cos(theta_j): class weights normalised, no bias.

    The modified softmax of SphereFace (Liu et al., CVPR 2017), eq. 5: all that tells the classes
    apart is the angle. Used with a plain cross-entropy.

    Args, dtypes, shapes and weight: as in `CosineHead`.
    """

    def call(self, embeddings):
        return times_unit_columns(_finite(embeddings)[0], self.kernel)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SubCenterHead(keras.layers.Layer):
    """Cosine to the nearest of K directions that each class has.

        cos(theta_j) = max over k of cos(theta_jk)

    Sub-center ArcFace (Deng et al., ECCV 2020; ArcFace's later version, eq. 7). An image has to
    be near one of its class's directions, not near all of them, so images with a wrong label can
    have one of their own. With K = 1 it is `CosineHead`.

    Args:
        num_classes: C, at least 2.
        centers: K, at least 1; 3 in the paper.

    Input shape: (batch, dim). Output shape: (batch, num_classes), float32 cosines for any margin
    loss of `lib.losses`.

    Weight: `directions/kernel`, shape (dim, C K); the K of class j are the columns j K to
    j K + K - 1.
    """

    def __init__(self, num_classes, centers=3, **kwargs):
        kwargs.setdefault("dtype", "float32")
        kwargs["autocast"] = False
        super().__init__(**kwargs)
        self.num_classes = checked_classes(num_classes)
        self.centers = whole_number("centers", centers, 1, "the paper uses 3 centers a class.")
        self.directions = CosineHead(
            self.num_classes * self.centers, dtype=self.dtype_policy, name="directions"
        )

    def build(self, input_shape):
        self.directions.build(input_shape)

    def call(self, embeddings):
        cosines = self.all_cosines(embeddings)
        # XLA on a CPU takes -inf for the largest of some NaNs.
        return ops.where(ops.isnan(cosines[..., 0]), math.nan, ops.max(cosines, axis=-1))

    def all_cosines(self, embeddings):
        """The cosines to every direction: (batch, num_classes, centers)."""
        return ops.reshape(self.directions(embeddings), (-1, self.num_classes, self.centers))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "centers": self.centers,
        }
