"""Softmax cross-entropy and the margin losses, all of them one formula.

For a sample with label y and cosines c_j = cos(theta_j) between its embedding and the class
weights, every loss here is the cross-entropy of the logits s * c_j, in which only the target's
is replaced:

    z_y = s * (psi(m1 * theta_y + m2) - m3)

(1, 0, 0) is NormFace, (m, 0, 0) SphereFace, (1, m, 0) ArcFace and (1, 0, m) CosFace; the combined
form is ArcFace's eq. 4 (Deng et al., CVPR 2019). Angles and the margins m1, m2 are in radians
(m1 multiplies an angle), m3 is a difference of cosines, s is the scale. `margin_cross_entropy` is
that formula; its margins may differ from sample to sample, and a loss that also changes the other
classes' logits hands it how. What came after ArcFace (`lib.adaptive`) is built on it.

The losses take cosines, as `lib.layers.CosineHead` outputs them, and integer labels. They compute
in float32 whatever the precision policy is: in float16 a cosine close to 1 is 1. The angle of the
target, one number a sample, is computed in float64 where the backend has it by default.
"""

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

# A cosine of a float32 head exceeds 1 by a few 1e-7, one of a bfloat16 head by up to 0.008.
_LARGEST_COSINE = 1.01

# What rounding an angle to float32 does to a logit of scale 128 is 3e-5, and near theta = pi it
# spoils four digits of a SphereFace gradient. JAX has float64 only when asked, some of PyTorch's
# devices not at all.
_ANGLE_DTYPE = "float64" if keras.backend.backend() == "tensorflow" else "float32"

_SMALLEST_SINE = 1e-15

# PyTorch looks up by int64 alone.
_INDEX_DTYPE = "int64" if keras.backend.backend() == "torch" else "int32"

# Whether an index out of range stops compiled code, as it does on TensorFlow and a CPU.
_STOPS_OUTSIDE = keras.backend.backend() == "tensorflow"

# Up to here every whole number is exact in the float type to which labels were converted.
_EXACT_UP_TO = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24}


@keras.saving.register_keras_serializable(package=PACKAGE)
def softmax_cross_entropy(labels, logits):
    """Return the cross-entropy of softmax(logits) with integer labels, one value a sample.

    Written out from scratch and stable: the row's maximum is subtracted before `exp`, which
    changes nothing in the quotient and keeps `exp` from overflowing. The gradient in the logits
    is softmax(logits) - onehot(labels).

    Args:
        labels: class indices, shape (batch,) or (batch, 1), in any integer dtype or in the
            float32 to which Keras converts them (exact up to 2**24).
        logits: shape (batch, classes), any float dtype; computed in float32.

    Returns:
        A float32 tensor of shape (batch,). Usable as `model.compile(loss=softmax_cross_entropy)`.

    Raises:
        ValueError: labels that are not one index a sample, or (outside compiled code, on a CPU)
            that are no whole number in [0, classes). Compiled for a CPU by TensorFlow such a label
            stops the training; by XLA, on other backends and devices its loss is NaN.
    """
    logits = ops.cast(logits, "float32")
    index, valid = class_index(labels, logits)
    # The maximum is only a shift: seen as a constant, the gradient is exactly softmax - onehot.
    logits = logits - ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    log_sum_exp = ops.log(ops.sum(ops.exp(logits), axis=-1))
    return _or_nan(valid, log_sum_exp - _pick(logits, index))


def psi(angle):
    """Return the cosine continued so that it keeps falling beyond pi.

        psi(a) = (-1)**k * cos(a) - 2 * k,   k = floor(a / pi)

    It equals cos(a) on [0, pi] and falls without a jump for every a >= 0, so a larger angle never
    gives a larger logit. For a = m * theta with whole m it is eq. 7 of SphereFace (Liu et al.,
    CVPR 2017).

    Args:
        angle: float tensor of any shape, in radians, >= 0.

    Returns:
        A tensor of the same shape and dtype.
    """
    k = ops.floor(angle / math.pi)
    return _sign(k) * ops.cos(angle) - 2.0 * k


def _sign(k):
    """Return (-1)**k."""
    return 1.0 - 2.0 * ops.mod(k, 2.0)


def margin_logit(cosine, m1=1.0, m2=0.0, m3=0.0):
    """Return the target's cosine with its margin: psi(m1 * theta + m2) - m3, theta = arccos c.

    The angle is arctan2(sqrt((1 - c)(1 + c)), c): near c = 1 a float32 `arccos` loses digits that
    this form keeps. At c = +-1, and for a cosine that rounding left beyond, the value is the
    limit's and the gradient is finite, where `arccos` would give NaN.

    Args:
        cosine: float tensor of any shape.
        m1: factor on the angle (SphereFace).
        m2: angle added, in radians (ArcFace).
        m3: cosine subtracted (CosFace).

    Returns:
        A float32 tensor of the same shape, not yet multiplied by the scale.
    """
    margins = (_number(margin) for margin in (m1, m2, m3))
    return ops.cast(_margin_logit(ops.cast(cosine, _ANGLE_DTYPE), *margins)[0], "float32")


def _margin_logit(cosine, m1, m2, m3):
    """Return `margin_logit` in the cosine's dtype, and two functions that return its derivatives.

    The first is the derivative in the cosine, the second the one in m2.
    """
    if _is_plain(m1, m2):  # psi(arccos c) is c itself: no trigonometry
        return cosine - m3, lambda: 1.0, None
    # sin(arccos c), and at c = +-1 or beyond a number near 0 that does not depend on c. The floor
    # lies below (1 - c)(1 + c) of the float32 next to 1. At the ends themselves it keeps out the
    # derivative of the square root, which is infinite there.
    sine = ops.sqrt(ops.maximum((1.0 - cosine) * (1.0 + cosine), _SMALLEST_SINE**2))
    # No angle is below 0: where a margin is negative, the cosine ends at its top.
    angle = ops.maximum(m1 * ops.arctan2(sine, cosine) + m2, 0.0)

    def fall():
        """-psi'(m1 theta + m2)."""
        return _sign(ops.floor(angle / math.pi)) * ops.sin(angle)

    def slope():
        """psi'(m1 theta + m2) * m1 * dtheta/dc."""
        rise = fall() * m1 / sine
        return ops.cast(ops.where(sine > _SMALLEST_SINE, rise, 0.0), "float32")

    return psi(angle) - m3, slope, lambda: -ops.cast(fall(), "float32")


def _number(value):
    """Return a margin or scale as a float, or as a tensor if it is one, as precise as an angle."""
    return float(value) if isinstance(value, numbers.Real) else ops.cast(value, _ANGLE_DTYPE)


def _is_plain(m1, m2):
    """Return whether these leave the angle as it is; a margin for each sample may not."""
    return isinstance(m1, float) and isinstance(m2, float) and m1 == 1.0 and m2 == 0.0


def margin_cross_entropy(
    labels, cosines, m1=1.0, m2=0.0, m3=0.0, scale=64.0, smoothing=0.0, others=None, detached=False
):
    """Return the cross-entropy of the margin logits, one value a sample.

    What `MarginLoss` computes, for losses and models whose margins are not the same for all
    samples, or which change the other classes' logits as well.

    Args:
        labels: class indices, shape (batch,) or (batch, 1), any integer dtype or float32.
        cosines: shape (batch, classes).
        m1, m2, m3: the margins, each a number or a tensor of shape (batch,); m2 in radians. Where
            m1 * theta + m2 would be negative it counts as 0. The loss is differentiable in a tensor
            m2; m1 and m3 are constants, so hand over what `ops.stop_gradient` returns.
        scale: s, a number or a tensor of shape (); a constant, too.
        smoothing: the share of the target that is spread evenly over all classes.
        others: None, or a function of the cosines (batch, classes) and of the target's with its
            margin (batch,). It returns what takes the place of the other classes' cosines and its
            derivative in them, both (batch, classes); what it returns for the target is not used.
            The gradient takes the second argument as a constant.
        detached: whether the gradient passes the margin by, as if the target's logit were
            s * (cos(theta) + constant): see `MarginLoss`.

    Returns:
        A float32 tensor of shape (batch,); NaN where a label or a target's cosine is none and
        nobody can look (`MarginLoss`).

    Raises:
        ValueError: as `MarginLoss` in a call.
    """
    cosines = ops.cast(cosines, "float32")
    index, is_class = class_index(labels, cosines)
    is_cosine = _is_cosine(_pick(cosines, index))
    for name, value, shapes in (
        ("m1", m1, ("()", "(batch,)")),
        ("m2", m2, ("()", "(batch,)")),
        ("m3", m3, ("()", "(batch,)")),
        ("scale", scale, ("()",)),
    ):
        if len(getattr(value, "shape", ())) >= len(shapes):
            raise ValueError(
                f"{name} must be a number or of shape {' or '.join(shapes)}, got "
                f"{tuple(value.shape)}."
            )
    formula = (_number(value) for value in (m1, m2, m3, scale))
    loss = _margin_cross_entropy(cosines, index, *formula, smoothing, others, detached)
    return _or_nan(is_class & is_cosine, loss)


def _margin_cross_entropy(cosines, index, m1, m2, m3, scale, smoothing, others, detached):
    """Return the cross-entropy of the margin logits, with its gradient in closed form.

    With o = log sum exp of the other classes' logits, the loss is log(1 + exp(o - z_y)) and the
    probability that is missing at the target is 1 - p_y = sigmoid(o - z_y). Neither subtracts
    numbers close to each other, so a sample that is nearly perfect keeps its digits.

    Automatic differentiation gives the same gradient but passes over (batch, classes) several
    times more; the trigonometry is for the target alone either way.

    Label smoothing adds to the loss how far the target's logit is above the mean of all.
    """
    if on_torch and _holds_values(cosines):
        more = scale, smoothing, others, detached, _SMALLEST_SINE
        return on_torch.margin_cross_entropy(cosines, index, m1, m2, m3, *more)
    classes = ops.cast(_class_count(cosines), "float32")
    exact_scale = scale
    scale = scale if isinstance(scale, float) else ops.cast(scale, "float32")

    @ops.custom_gradient
    def loss_of(cosines, *own_margin):  # only a tensor of margins has a gradient
        target = ops.cast(_pick(cosines, index), _ANGLE_DTYPE)
        logit, slope, of_margin = _margin_logit(target, m1, *(own_margin or (m2,)), m3)
        own = ops.cast(exact_scale * logit, "float32")
        changed, steepness = cosines, 1.0
        if others:
            changed, steepness = others(cosines, ops.cast(logit, "float32"))
        logits = _with_target(scale * changed, index, ops.full_like(own, -math.inf))
        largest = ops.max(logits, axis=-1, keepdims=True)
        exps = ops.exp(logits - largest)
        total = ops.sum(exps, axis=-1)
        ahead = ops.log(total) + ops.squeeze(largest, axis=-1) - own

        def gradient(*args, upstream=None):
            if upstream is None:  # TensorFlow and JAX pass it by position, PyTorch by name
                (upstream,) = args
            missing = scale * upstream * ops.sigmoid(ahead)  # what the others share, s (1 - p_y)
            of_others = exps * ops.expand_dims(missing / total, axis=-1)
            if smoothing:
                lifted = scale * smoothing * upstream
                of_others = of_others - ops.expand_dims(lifted, axis=-1) / classes
                missing = missing - lifted * (1.0 - 1.0 / classes)
            of_others = of_others * steepness if others else of_others
            of_target = -missing if detached else -missing * slope()
            of_cosines = _with_target(of_others, index, of_target)
            if not own_margin:
                return of_cosines
            return of_cosines, ops.zeros_like(missing) if detached else -missing * of_margin()

        value = ops.softplus(ahead)
        if smoothing:
            away = scale * (ops.sum(changed, axis=-1) - _pick(changed, index))
            value = value + smoothing * (own - (own + away) / classes)
        return value, gradient

    return loss_of(cosines) if isinstance(m2, float) else loss_of(cosines, m2)


def _with_target(logits, index, target):
    """Return the logits with the target's, one a sample, in its place.

    JAX compiles, and what picks by a mask is fused with all else that is done to the logits: two
    passes less over (batch, classes). TensorFlow, where it does not compile, is faster with this.
    """
    if keras.backend.backend() == "jax":
        is_target = ops.arange(logits.shape[-1], dtype="int32") == index[:, None]
        return ops.where(is_target, target[:, None], logits)
    places = ops.stack([ops.arange(ops.shape(index)[0], dtype="int32"), index], axis=-1)
    with keras.name_scope("label_is_no_class"):  # which of this and `_pick` fails first is chance
        return ops.scatter_update(logits, places, target)


@keras.saving.register_keras_serializable(package=PACKAGE)
class MarginLoss(keras.losses.Loss):
    """Cross-entropy over scaled cosines whose target carries the margins m1, m2 and m3.

    ArcFace (Deng et al., CVPR 2019), eq. 4. The margin lives here and not in the model: the model
    outputs plain cosines, so `metrics=["accuracy"]` and `predict` see no margin and need no label.

    Args:
        m1: factor on the target's angle, > 0; below 1 only with m2 >= (1 - m1) * pi.
        m2: angle added to the target's, in radians, in [0, pi/2].
        m3: cosine subtracted from the target's, in [0, 2].
        scale: s, the length given to all embeddings, > 0.
        reduction: as in every Keras loss; "sum_over_batch_size" is the mean.
        name: name of the loss.
        label_smoothing: the share of the target that is spread evenly over all classes, in [0, 1).
        straight_through: whether the gradient passes the margin by, as in insightface's code since
            2022 and in SphereFace-R's: the loss is the same, and in its gradient the target's logit
            is s * (cos(theta) + constant). Of a margin that adds to the angle that leaves out the
            factor sin(theta + m2) / sin(theta), of one on the cosine it changes nothing.

    Call arguments:
        labels: class indices, shape (batch,) or (batch, 1), any integer dtype or float32.
        cosines: shape (batch, classes), the output of `lib.layers.CosineHead`.

    Raises:
        ValueError: at construction, for a margin or scale outside its range; in a call outside
            compiled code and on a CPU, for a label that is no whole number in [0, classes) or for
            target cosines that are none. Compiled for a CPU by TensorFlow they stop the training
            with an error that shows the label and `label_is_no_class`, or `target_is_no_cosine`.
            Nothing can stop code that XLA compiled (`jit_compile=True`), or another backend, and
            nothing waits for another device to look at a value: there the loss becomes NaN, never
            a plausible number, and `model.compile(..., run_eagerly=True)` on a CPU names the
            sample.
    """

    def __init__(
        self,
        m1=1.0,
        m2=0.0,
        m3=0.0,
        scale=64.0,
        reduction="sum_over_batch_size",
        name="margin_loss",
        label_smoothing=0.0,
        straight_through=False,
    ):
        # float32 also where keras.config.floatx() is less: see the module's docstring.
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self.m1, self.m2, self.m3 = checked_margins(m1, m2, m3)
        self.scale = checked_scale(scale)
        self.label_smoothing = number("label_smoothing", label_smoothing)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                "label_smoothing is a share of the target and must lie in [0, 1), got "
                f"{label_smoothing}; 0.1 is common."
            )
        self.straight_through = bool(straight_through)

    def others(self, cosines, target):
        """What takes the place of the other classes' cosines: `margin_cross_entropy` says more.

        Here nothing does; a loss that changes them has its own.
        """
        return cosines, 1.0

    def call(self, labels, cosines):
        changes = type(self).others is not MarginLoss.others
        return margin_cross_entropy(
            labels,
            cosines,
            self.m1,
            self.m2,
            self.m3,
            self.scale,
            self.label_smoothing,
            self.others if changes else None,
            self.straight_through,
        )

    def get_config(self):
        return _config(self, "m1", "m2", "m3", "scale", "label_smoothing", "straight_through")


@keras.saving.register_keras_serializable(package=PACKAGE)
class NormFaceLoss(MarginLoss):
    """Scaled cosines without a margin: NormFace (Wang et al., ACM MM 2017), eq. 6.

    Args:
        scale: s, > 0; the paper prefers a learned one and names 20 or 30 for a fixed one.
        reduction, name, label_smoothing: as in `MarginLoss`.
    """

    def __init__(
        self,
        scale,
        reduction="sum_over_batch_size",
        name="normface_loss",
        label_smoothing=0.0,
    ):
        super().__init__(1.0, 0.0, 0.0, scale, reduction, name, label_smoothing)

    def get_config(self):
        return _config(self, "scale", "label_smoothing")


@keras.saving.register_keras_serializable(package=PACKAGE)
class SphereFaceLoss(MarginLoss):
    """Multiplied angle: psi(margin * theta), SphereFace (Liu et al., CVPR 2017), eq. 7.

    With a fixed scale in place of the paper's embedding length; `lib.models` has the paper's.

    Args:
        margin: m, a factor >= 1 without a unit, whole or not.
        scale: s, > 0.
        reduction, name, label_smoothing, straight_through: as in `MarginLoss`.
    """

    def __init__(
        self,
        margin=4,
        scale=64.0,
        reduction="sum_over_batch_size",
        name="sphereface_loss",
        label_smoothing=0.0,
        straight_through=False,
    ):
        super().__init__(
            margin, 0.0, 0.0, scale, reduction, name, label_smoothing, straight_through
        )
        self.margin = self.m1

    def get_config(self):
        return _config(self, "margin", "scale", "label_smoothing", "straight_through")


@keras.saving.register_keras_serializable(package=PACKAGE)
class CosFaceLoss(MarginLoss):
    """Subtracted cosine: cos(theta) - margin, CosFace (Wang et al., CVPR 2018), eq. 4.

    Args:
        margin: m, a difference of cosines in [0, 2].
        scale: s, > 0.
        reduction, name, label_smoothing: as in `MarginLoss`.
    """

    def __init__(
        self,
        margin=0.35,
        scale=64.0,
        reduction="sum_over_batch_size",
        name="cosface_loss",
        label_smoothing=0.0,
    ):
        super().__init__(1.0, 0.0, margin, scale, reduction, name, label_smoothing)
        self.margin = self.m3

    def get_config(self):
        return _config(self, "margin", "scale", "label_smoothing")


@keras.saving.register_keras_serializable(package=PACKAGE)
class ArcFaceLoss(MarginLoss):
    """Added angle: cos(theta + margin), ArcFace (Deng et al., CVPR 2019), eq. 3.

    Beyond theta + margin = pi the paper's cosine would rise again; `psi` goes on falling.

    Args:
        margin: m, in radians, in [0, pi/2]; 0.5 is 28.6 degrees.
        scale: s, > 0.
        reduction, name, label_smoothing, straight_through: as in `MarginLoss`.
    """

    def __init__(
        self,
        margin=0.5,
        scale=64.0,
        reduction="sum_over_batch_size",
        name="arcface_loss",
        label_smoothing=0.0,
        straight_through=False,
    ):
        super().__init__(
            1.0, margin, 0.0, scale, reduction, name, label_smoothing, straight_through
        )
        self.margin = self.m2

    def get_config(self):
        return _config(self, "margin", "scale", "label_smoothing", "straight_through")


@keras.saving.register_keras_serializable(package=PACKAGE)
class CombinedMarginLoss(MarginLoss):
    """All three margins: cos(m1 * theta + m2) - m3, ArcFace (Deng et al., CVPR 2019), eq. 4.

    Args:
        m1, m2, m3, scale, reduction, name, label_smoothing, straight_through: as in `MarginLoss`;
            the margins have no default.
    """

    def __init__(
        self,
        m1,
        m2,
        m3,
        scale=64.0,
        reduction="sum_over_batch_size",
        name="combined_margin_loss",
        label_smoothing=0.0,
        straight_through=False,
    ):
        super().__init__(m1, m2, m3, scale, reduction, name, label_smoothing, straight_through)


@keras.saving.register_keras_serializable(package=PACKAGE)
class MVSoftmaxLoss(MarginLoss):
    """Rivals that pass the target with its margin count more: MV-Softmax (Wang et al., AAAI 2020).

    The logit of another class is s * ((t + 1) cos(theta_j) + t) where cos(theta_j) exceeds what
    the margin leaves of the target's, and s * cos(theta_j) elsewhere. So the released code; its
    earlier form (SV-Softmax) calls t + 1 what is t here. The code leaves the margin out where
    cos(theta_y) <= 0; here it stays.

    Args:
        t: such a rival is raised by t * (cos(theta_j) + 1), t >= 0; with 0 the loss is that of its
            margin alone.
        m2, m3: ArcFace's margin and CosFace's; for ArcFace's alone pass m3=0.
        scale, reduction, name, label_smoothing: as in `MarginLoss`.
    """

    def __init__(
        self,
        t=0.2,
        m2=0.0,
        m3=0.35,
        scale=32.0,
        reduction="sum_over_batch_size",
        name="mv_softmax_loss",
        label_smoothing=0.0,
    ):
        super().__init__(1.0, m2, m3, scale, reduction, name, label_smoothing)
        self.t = number("t", t)
        if not 0 <= self.t < math.inf:
            raise ValueError(
                f"t raises hard rivals and must be finite and >= 0, got {t}; the authors use 0.2."
            )

    def others(self, cosines, target):
        raise_by = self.t * ops.cast(cosines > ops.expand_dims(target, axis=-1), "float32")
        return cosines + raise_by * (cosines + 1.0), 1.0 + raise_by

    def get_config(self):
        return _config(self, "t", "m2", "m3", "scale", "label_smoothing")


def _config(loss, *arguments):
    """Return the arguments of a loss as its `get_config` has them."""
    config = keras.losses.Loss.get_config(loss)
    return {**config, **{name: getattr(loss, name) for name in arguments}}


def checked_margins(m1, m2, m3):
    """Return the margins as floats, or say which one cannot be meant."""
    m1, m2, m3 = number("m1", m1), number("m2", m2), number("m3", m3)
    if not (math.isfinite(m1) and m1 > 0):
        raise ValueError(
            f"m1 multiplies the angle and must be positive, got {m1}; 1 means no such margin."
        )
    if not m2 <= math.pi / 2:
        raise ValueError(
            f"m2 adds an angle in radians and must not exceed pi/2 = 1.571, got {m2}. Did you "
            f"mean degrees? {m2} degrees are {math.radians(m2):.4f} radians: math.radians({m2})."
        )
    if m2 < max(0.0, (1.0 - m1) * math.pi):
        raise ValueError(
            f"With m1 = {m1} and m2 = {m2} the target logit would exceed the plain one, a bonus "
            f"in place of a margin: choose m2 >= {max(0.0, (1.0 - m1) * math.pi):.4f} or a larger "
            "m1."
        )
    if not 0.0 <= m3 <= 2.0:
        raise ValueError(
            f"m3 is subtracted from a cosine and must lie in [0, 2], got {m3}; CosFace uses 0.35. "
            "The scale multiplies it later."
        )
    return m1, m2, m3


def checked_scale(scale):
    """Return the scale as a float, or say why it cannot be one."""
    scale = number("scale", scale)
    if not (math.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be a positive number, got {scale}; the papers use 16 to 64.")
    return scale


def number(name, value):
    """Return an argument as a float, or say which one is no number."""
    try:
        if not isinstance(value, str):  # "0.5" is refused like any other text
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} must be a number, got {value!r}.")


def class_index(labels, logits):
    """Return labels as an integer index of shape (batch,), and whether each is a class.

    The latter is True for all where the labels can be looked at, and otherwise a tensor. What is
    no class gets an index out of range where looking that up stops the program, and
    elsewhere 0: there the caller makes the sample's loss NaN.
    """
    if len(logits.shape) != 2 or (logits.shape[-1] is not None and logits.shape[-1] < 2):
        raise ValueError(
            "Expected logits or cosines of shape (batch, classes) with at least two classes, got "
            f"{tuple(logits.shape)}."
        )
    if labels is None:
        raise ValueError("The labels are missing: pass one class index a sample, as in fit(x, y).")
    labels = ops.convert_to_tensor(labels)
    if len(labels.shape) > 2 or (len(labels.shape) == 2 and labels.shape[-1] != 1):
        raise ValueError(
            "Expected one class index a sample, labels of shape (batch,) or (batch, 1), got "
            f"{tuple(labels.shape)}. One-hot labels become indices by argmax(axis=-1)."
        )
    num_classes = _class_count(logits)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    # the largest label; how many classes there are is always known where a model puts them out
    if logits.shape[-1] and num_classes - 1 > _EXACT_UP_TO.get(dtype, num_classes):
        raise ValueError(
            f"Labels came as {dtype}, which is exact up to {_EXACT_UP_TO[dtype]} only: some of "
            f"{num_classes} classes would be taken for their neighbours. Pass the labels as "
            "integers and keep the loss in float32."
        )
    # Not squeeze: it would also drop the batch axis of a batch of one.
    labels = ops.reshape(labels, (-1,))
    # One label would be broadcast, and all samples taken for its class.
    if None not in (labels.shape[0], logits.shape[0]) and labels.shape[0] != logits.shape[0]:
        raise ValueError(
            f"Expected one class index a sample, got {labels.shape[0]} labels for "
            f"{logits.shape[0]} samples."
        )
    index = ops.cast(labels, _INDEX_DTYPE)
    values = values_at_hand(labels)
    if values is not None:
        # "<=", since the largest label is a number of their type, and the next may be none
        valid = (values >= 0) & (values <= num_classes - 1) & (values == values.round())
        if valid.all():
            return index, True
        row = int(valid.argmin())
        raise ValueError(
            f"Label {values[row]} of sample {row} is no class: with {num_classes} classes labels "
            f"are whole numbers from 0 to {num_classes - 1}. A sample that should not count gets "
            "the sample_weight 0 and any class."
        )
    inside = ops.clip(index, 0, num_classes - 1)
    # Casting back also finds what is no whole number: 0.5 and NaN.
    valid = ops.cast(inside, labels.dtype) == labels
    if not _STOPS_OUTSIDE:
        return inside, valid
    # Indices count from the end where they are negative: -1 is moved where it is refused, and so
    # is what is no whole number.
    moved = ops.where(index < 0, index - num_classes, index + num_classes)
    return ops.where(valid, index, ops.where(index < num_classes, moved, index)), valid


def _class_count(logits):
    """Return the number of classes: a tensor where it is known only when the step runs."""
    return ops.shape(logits)[-1]


def _is_cosine(target):
    """Return whether each target cosine is one, up to rounding: a tensor, or True for all."""
    values = values_at_hand(target)
    if values is not None:
        valid = abs(values) <= _LARGEST_COSINE
        if valid.all():
            return True
        row = int(valid.argmin())
        raise ValueError(
            f"The target cosine of sample {row} is {values[row]}: the margin losses take cosines "
            "in [-1, 1]. Let the model end in lib.layers.CosineHead (without a softmax), and look "
            "for NaN or infinite embeddings if it does."
        )
    valid = ops.abs(target) <= _LARGEST_COSINE
    if not _STOPS_OUTSIDE:
        return valid
    # As for a label: a false flag picks what is not there, and the error shows this name.
    count = ops.shape(valid)[0]
    with keras.name_scope("target_is_no_cosine"):
        places = ops.where(valid, ops.arange(count, dtype="int32"), count)
        return ops.logical_and(valid, ops.take(valid, places))


def values_at_hand(tensor):
    """Return a tensor's values as a NumPy array, or None if nobody can look at them.

    Nobody can in a function that is being compiled, and on another device than the CPU it would
    mean to wait for all that was sent there.
    """
    try:
        if "cpu" in str(getattr(tensor, "device", "cpu")).lower():
            return ops.convert_to_numpy(tensor)
    except Exception:  # each backend has its own error for what has no value yet
        pass
    return None


def _or_nan(valid, values):
    """Return the values with NaN where they are not valid; `valid` may be True for all."""
    if valid is True:
        return values
    if _holds_values(values) and on_torch:
        return on_torch.or_nan(valid, values)
    return ops.where(valid, values, math.nan)


def _holds_values(tensor):
    """Return False for what only has a shape, with which Keras asks for the shape of a result."""
    return not isinstance(tensor, keras.KerasTensor)


def _pick(values, index):
    """Return values[i, index[i]] for each row i.

    In code compiled by TensorFlow for a CPU an index out of range stops the program, and the
    error shows the index and this operation's name.
    """
    if _holds_values(values) and on_torch:
        return on_torch.pick(values, index)
    with keras.name_scope("label_is_no_class"):
        return ops.squeeze(ops.take_along_axis(values, index[:, None], axis=-1), axis=-1)
