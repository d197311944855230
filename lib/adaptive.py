"""What came after ArcFace: margins and scales that follow what a batch shows.

Each of these is `lib.losses.margin_cross_entropy` with one of its parts made variable:

- AdaCos: the scale s, by the angles of the batch;
- CurricularFace: the logits of rivals that pass the target, by how far the training has come;
- MagFace, AdaFace: the margin of a sample, by the length of its embedding;
- ElasticFace: the margin of a sample, by chance.

They need more than cosines: a state, the embedding's length, or to know whether they are training.
So they are models over a backbone and a head that outputs cosines (`lib.layers.CosineHead`, or
`SubCenterHead`), compiled without a loss. They output plain cosines like any other. The state is
kept in weights that no optimizer trains: it changes in training alone, is saved, and is the same on
all replicas, for which a batch is what all of them see together. A sample of weight 0 is not in it.
It moves with each training batch, those of a gradient that is accumulated as well, and stays where
the model is frozen.

What is measured by the length wants it as the network gives it: no normalisation at the end of the
backbone, and under mixed precision a last layer with dtype="float32". `PartialFCModel` cannot hold
one of these models; with it, `lib.losses.MVSoftmaxLoss` looks at the rivals that were drawn.

Sources: CurricularFace, MagFace, AdaFace and ElasticFace by their released code, AdaCos by notes on
its paper and by code that is widely copied. So no equation is numbered here, and "released" is what
a value is called that stands in code.
"""

import math
import warnings

import keras
from keras import ops

from .layers import PACKAGE, whole_number
from .losses import checked_margins, checked_scale, class_index, margin_cross_entropy, number
from .models import BackboneAndHead, gather_over_replicas, sum_over_replicas


def adacos_scale(num_classes):
    """Return the scale of fixed AdaCos (Zhang et al., CVPR 2019): sqrt(2) ln(C - 1).

    With it the probability of the target is steepest where its angle is 45 degrees and those of
    all others are right ones. AdaCos with this scale is `lib.losses.NormFaceLoss`.

    Raises:
        ValueError: for fewer than three classes, with two it would be 0; for what is no whole
            number.
    """
    hint = "AdaCos's scale is a multiple of ln(C - 1); for two classes choose that of NormFaceLoss."
    return math.sqrt(2.0) * math.log(whole_number("num_classes", num_classes, 3, hint) - 1.0)


class AdaptiveModel(BackboneAndHead):
    """The base of these models: it counts a batch once, and adds up over replicas.

    A model of one's own has two methods. `update(cosines, index, weights, lengths)` changes its
    state by a batch, in training only; `loss_values(labels, cosines, lengths, training)` returns
    the loss of each sample, most often by `lib.losses.margin_cross_entropy`.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes).
    """

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        batch = self.batch_of(x, y_pred, training)
        cosines = ops.cast(y_pred, "float32")
        index, valid = class_index(y, cosines)
        lengths = batch.lengths()
        if training and self.trainable and not batch.counted:
            batch.counted = True
            index = ops.where(valid, index, 0)
            seen = ops.stop_gradient(cosines), index, _weights(valid, lengths, sample_weight)
            self.update(*seen, ops.stop_gradient(lengths))
        values = self.loss_values(y, cosines, lengths, training)
        return self.own_loss(y, values, sample_weight)

    def update(self, cosines, index, weights, lengths):
        """Change the state by a batch: without one there is nothing to do.

        Args:
            cosines: (batch, classes), constants like all that is handed over here.
            index: the classes, (batch,); 0 where a label is none.
            weights: how much a sample counts, (batch,); 0 where its label is no class.
            lengths: of the embeddings, (batch,).
        """

    def loss_values(self, labels, cosines, lengths, training):
        """Return one loss a sample, (batch,)."""
        raise NotImplementedError

    def margins_of(self, lengths):
        """Return m2 and m3 of embeddings of these lengths, (batch,): tensors or plain numbers."""
        return 0.0, 0.0

    def add_state(self, name, value):
        """Return a new number that is kept with the weights."""
        return self.add_weight(
            name=name,
            shape=(),
            initializer=keras.initializers.Constant(value),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )


def _weights(valid, lengths, sample_weight):
    """How much each sample counts in the state: not at all where its label is no class."""
    weights = ops.where(valid, ops.ones_like(lengths), 0.0)
    if sample_weight is not None:
        weights = weights * ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
    return weights


def _mean(values, weights):
    """The weighted mean over all replicas, and 0 / 0 where nothing counts."""
    # a value that does not count may be NaN
    total = sum_over_replicas(ops.sum(ops.where(weights > 0, values * weights, 0.0)))
    return total / sum_over_replicas(ops.sum(weights))


def _moved(old, new, momentum):
    """The moving average with the weight `momentum` on the new value; a batch of NaN is passed."""
    return ops.where(ops.isfinite(new), (1.0 - momentum) * old + momentum * new, old)


def _target(cosines, index):
    return ops.squeeze(ops.take_along_axis(cosines, index[:, None], axis=-1), axis=-1)


def _checked_momentum(momentum):
    momentum = number("momentum", momentum)
    if not 0 < momentum <= 1:
        raise ValueError(
            "momentum is the weight of the new batch in a moving average and must lie in (0, 1], "
            f"got {momentum}; the released code has 0.01. Two papers print 0.99 and mean the old "
            "value's weight."
        )
    if 0.5 < momentum < 1:  # with 1 there is no average, which nobody takes for the old weight
        warnings.warn(
            f"momentum is {momentum:g}, the weight of the new batch: little but the last batch is "
            f"left in the state. Was the old value's weight meant? Then pass {1 - momentum:.4g}.",
            stacklevel=3,
        )
    return momentum


@keras.saving.register_keras_serializable(package=PACKAGE)
class AdaCosModel(AdaptiveModel):
    """A scale that follows the training, no margin: dynamic AdaCos (Zhang et al., CVPR 2019).

    Before the loss of a training batch the scale becomes

        s = ln(B) / cos(min(pi / 4, theta))

    with B the batch's mean of the sum of exp(s cos(theta_j)) over the other classes, by the scale
    before, and theta the median of the target's angles (the smaller of two middle ones). So the
    probability of the target is steepest where half of the batch is. The gradient takes s as a
    constant. It starts at `adacos_scale`, and stays there as long as all other classes are at right
    angles and the median is 45 degrees or more: an argument for many classes in many dimensions.
    Few classes can turn away further: B falls, and the scale with it, with ten classes to about 2;
    here a step takes it no lower than 1. In few dimensions directions are spread so widely that
    exp(s cos) is large for some: the scale feeds itself and grows, in the plane to tens or hundreds
    before the training gets hold of it. What is saved is that of the last batch, however small.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes), for at least three classes.

    Weights: `scale`, not trainable.
    """

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        classes = self.compute_output_shape(input_shape)[-1]
        self.scale = self.add_state("scale", max(1.0, adacos_scale(classes)))

    def update(self, cosines, index, weights, lengths):
        old = ops.copy(self.scale)
        is_target = ops.arange(cosines.shape[-1], dtype="int32") == index[:, None]
        # exp(s (cos - 1)) cannot overflow
        exps = ops.where(is_target, 0.0, ops.exp(old * (cosines - 1.0)))
        log_of_others = old + ops.log(_mean(ops.sum(exps, axis=-1), weights))
        angles = ops.arccos(ops.clip(_target(cosines, index), -1.0, 1.0))
        median = _median(gather_over_replicas(angles), gather_over_replicas(weights))
        new = log_of_others / ops.cos(ops.minimum(median, math.pi / 4))
        self.scale.assign(_moved(old, ops.where(new < 1.0, 1.0, new), 1.0))

    def loss_values(self, labels, cosines, lengths, training):
        return margin_cross_entropy(labels, cosines, scale=ops.copy(self.scale))


def _median(values, weights):
    """The weighted median, the smaller of two middle values."""
    order = ops.argsort(values)
    reached = ops.cumsum(ops.take(weights, order))
    before = ops.sum(ops.cast(reached < reached[-1] / 2, "int32"))
    return ops.take(ops.take(values, order), before)


@keras.saving.register_keras_serializable(package=PACKAGE)
class CurricularFaceModel(AdaptiveModel):
    """Hard rivals count little at first and more later: CurricularFace (Huang et al., CVPR 2020).

    ArcFace, in which the logit of another class is s cos(theta_j) (t + cos(theta_j)) where
    cos(theta_j) exceeds the target's cos(theta_y + m), and s cos(theta_j) elsewhere. t is the
    moving average of the target's cosine, updated before it is used. Without such rivals it is
    ArcFace.

    Against the paper as printed, the new batch has the weight 0.01 in the average, not 0.99, and
    its mean counts, not its sum: so the code, which the authors call right. Beyond theta_y + m = pi
    the code has cos(theta_y) - m sin(m); here `psi` goes on falling, as in ArcFaceLoss.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes).
        margin: m, in radians, in [0, pi/2].
        scale: s, > 0.
        momentum: the weight of a batch in the average, in (0, 1]; above 0.5 a warning asks whether
            the old value's was meant.

    Weights: `t`, not trainable, 0 at first.
    """

    arguments = ("backbone", "head", "margin", "scale", "momentum")

    def __init__(self, backbone, head, margin=0.5, scale=64.0, momentum=0.01, **kwargs):
        super().__init__(backbone, head, **kwargs)
        self.margin = checked_margins(1.0, margin, 0.0)[1]
        self.scale = checked_scale(scale)
        self.momentum = _checked_momentum(momentum)

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        self.t = self.add_state("t", 0.0)

    def update(self, cosines, index, weights, lengths):
        new = _mean(_target(cosines, index), weights)
        self.t.assign(_moved(ops.copy(self.t), new, self.momentum))

    def loss_values(self, labels, cosines, lengths, training):
        t = ops.copy(self.t)

        def others(cosines, target):
            hard = ops.cast(cosines > ops.expand_dims(target, axis=-1), "float32")
            return cosines + hard * cosines * (t + cosines - 1.0), 1.0 + hard * (
                t + 2.0 * cosines - 1.0
            )

        m2, m3 = self.margins_of(lengths)
        return margin_cross_entropy(labels, cosines, m2=m2, m3=m3, scale=self.scale, others=others)

    def margins_of(self, lengths):
        return self.margin, 0.0


@keras.saving.register_keras_serializable(package=PACKAGE)
class MagFaceModel(AdaptiveModel):
    """A margin that grows with the embedding's length: MagFace (Meng et al., CVPR 2021).

    With a = |x|, kept within [l, u], the loss of a sample is ArcFace's with the margin

        m(a) = lower + (upper - lower) (a - l) / (u - l)

    plus weight * (1 / a + a / u**2). The gradient goes through a: the margin pulls it down, what is
    added pushes it up, so that an image that is easy for its class ends up longer. Outside of
    [l, u] there is no such gradient: choose them around the lengths that the backbone has. One that
    ends in batch normalisation gives all embeddings a length near sqrt(dim), and if that lies
    outside, this is ArcFace.

    The released code leaves the margin out where cos(theta_y) <= 0; here it stays. Its margins are
    the defaults here; the paper is said to have (0.4, 0.8).

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes).
        margins: the margins (lower, upper) at the ends, in radians.
        lengths: l and u, 0 < l < u.
        weight: the factor of what is added, the paper's lambda_g; None takes 1.5 times
            `least_weight`, as the released 35 is to 22.6. (The trainer's own default, 20, is less.)
        scale: s, > 0.

    Has no state. `least_weight` is the smallest weight with which no image, however hard, is pulled
    to the lower end: s (upper - lower) / (u - l) * l**2 u**2 / (u**2 - l**2). Below it a warning
    says so at construction. With more the shortest lengths are nobody's best.
    """

    arguments = ("backbone", "head", "margins", "lengths", "weight", "scale")

    def __init__(
        self,
        backbone,
        head,
        margins=(0.45, 0.8),
        lengths=(10.0, 110.0),
        weight=None,
        scale=64.0,
        **kwargs,
    ):
        super().__init__(backbone, head, **kwargs)
        self.margins = _pair("margins", margins)
        self.lengths = _pair("lengths", lengths)
        for margin in self.margins:
            checked_margins(1.0, margin, 0.0)
        if self.margins[0] > self.margins[1]:
            raise ValueError(
                f"margins are (lower, upper): a longer embedding gets the larger one, got {margins}"
            )
        if not 0 < self.lengths[0] < self.lengths[1] < math.inf:
            raise ValueError(f"lengths are (l, u) with 0 < l < u, got {lengths}.")
        self.scale = checked_scale(scale)
        self.weight = 1.5 * self.least_weight if weight is None else number("weight", weight)
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be finite and >= 0, got {weight}.")
        if self.weight < self.least_weight:
            warnings.warn(
                f"weight is {self.weight:g}, and below {self.least_weight:.4g} the margin pulls "
                "images that are far from their class down to the lower end of the lengths. Take "
                "more, or leave it out.",
                stacklevel=2,
            )

    @property
    def least_weight(self):
        """s K l**2 u**2 / (u**2 - l**2), with K the slope of the margin."""
        (lower, upper), (short, long) = self.margins, self.lengths
        slope = (upper - lower) / (long - short)
        return self.scale * slope * short**2 * long**2 / (long**2 - short**2)

    def margins_of(self, lengths):
        (lower, upper), (short, long) = self.margins, self.lengths
        length = ops.clip(lengths, short, long)
        return lower + (upper - lower) / (long - short) * (length - short), 0.0

    def loss_values(self, labels, cosines, lengths, training):
        short, long = self.lengths
        length, (m2, m3) = ops.clip(lengths, short, long), self.margins_of(lengths)
        values = margin_cross_entropy(labels, cosines, m2=m2, m3=m3, scale=self.scale)
        return values + self.weight * (1.0 / length + length / long**2)


def _pair(name, values):
    try:
        first, second = values
    except (TypeError, ValueError):
        raise ValueError(f"{name} are two numbers, got {values!r}.") from None
    return number(name, first), number(name, second)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AdaFaceModel(AdaptiveModel):
    """A margin by the length as a sign of quality: AdaFace (Kim et al., CVPR 2022).

        a = clip(|x|, 0.001, 100)
        q = clip(h (a - mean) / (std + 0.001), -1, 1)
        z_y = s (cos(theta_y - m q) - (m + m q))

    The short embedding, q = -1, has ArcFace's margin, q = 0 CosFace's, the long one, q = 1, the
    mirror of ArcFace's and 2 m off the cosine: of long embeddings those far from their class are
    pulled most, of short ones those near. q is a constant for the gradient. mean and std are moving
    averages of a over batches, updated before they are used. So a backbone whose embeddings are all
    longer than 100, or all of length one, leaves q at 0 and has CosFace.

    The released code keeps the angle with its margin within [0.001, pi - 0.001], and cosines within
    0.999, without a gradient beyond; here an angle that would be negative counts as 0, and beyond
    pi `psi` goes on falling.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes).
        margin: m, in [0, 1]; released is 0.4. An angle in radians and a difference of cosines.
        h: how much the length counts; released is 0.333, 0 is CosFace. With h < 0 the short
            embedding passes for the good one.
        scale: s, > 0.
        momentum: the weight of a batch in mean and std, in (0, 1]; released is 0.01, and the paper
            prints 0.99: above 0.5 a warning asks whether the old value's was meant.
        start: mean and std before the first batch. The released (20, 100) keep q near 0, which is
            CosFace, for some hundred steps; None takes them from the first batch.

    Weights: `mean` and `std`, not trainable; std is -1 while nothing has been seen. A batch of one
    changes neither.
    """

    arguments = ("backbone", "head", "margin", "h", "scale", "momentum", "start")

    def __init__(
        self,
        backbone,
        head,
        margin=0.4,
        h=0.333,
        scale=64.0,
        momentum=0.01,
        start=(20.0, 100.0),
        **kwargs,
    ):
        super().__init__(backbone, head, **kwargs)
        self.margin, self.h = number("margin", margin), number("h", h)
        if not 0 <= self.margin <= 1:
            raise ValueError(
                f"margin must lie in [0, 1], got {margin}: up to twice as much is subtracted from "
                "a cosine. The paper uses 0.4."
            )
        if not math.isfinite(self.h):
            raise ValueError(f"h must be finite, got {h}; the paper uses 0.333.")
        self.scale = checked_scale(scale)
        self.momentum = _checked_momentum(momentum)
        self.start = None if start is None else _pair("start", start)
        if self.start and not (0 <= self.start[0] < math.inf and 0 < self.start[1] < math.inf):
            raise ValueError(f"start is a mean >= 0 and a std > 0 of lengths, got {start}.")

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        mean, std = self.start or (0.0, -1.0)
        self.mean, self.std = self.add_state("mean", mean), self.add_state("std", std)

    def update(self, cosines, index, weights, lengths):
        lengths = _kept(lengths)
        # so many samples the weights stand for: their number where they are 1 or 0
        squares = sum_over_replicas(ops.sum(ops.square(weights)))
        count = ops.square(sum_over_replicas(ops.sum(weights))) / squares
        mean = _mean(lengths, weights)
        # the unbiased one, as the released code has it: one sample has none
        variance = _mean(ops.square(lengths - mean), weights) * count / (count - 1.0)
        std = ops.sqrt(ops.where(count > 1.0, variance, math.nan))
        first, known = ops.copy(self.std) < 0, ops.isfinite(std)
        for state, new in ((self.mean, mean), (self.std, std)):
            old = ops.copy(state)
            moved = ops.where(first, new, _moved(old, new, self.momentum))
            state.assign(ops.where(known, moved, old))

    def quality(self, lengths):
        """Return q of embeddings of these lengths, (batch,), in [-1, 1]; 0 if none were seen."""
        mean, std = ops.copy(self.mean), ops.copy(self.std)
        q = self.h * (_kept(lengths) - mean) / (ops.maximum(std, 0.0) + 1e-3)
        return ops.where(std < 0, 0.0, ops.clip(q, -1.0, 1.0))

    def margins_of(self, lengths):
        q = ops.stop_gradient(self.quality(lengths))
        return -self.margin * q, self.margin * (1.0 + q)

    def loss_values(self, labels, cosines, lengths, training):
        m2, m3 = self.margins_of(lengths)
        return margin_cross_entropy(labels, cosines, m2=m2, m3=m3, scale=self.scale)


def _kept(lengths):
    """The lengths within the released code's bounds."""
    return ops.clip(lengths, 1e-3, 100.0)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ElasticFaceModel(AdaptiveModel):
    """A margin drawn for each sample and step: ElasticFace (Boutros et al., 2022).

    In training the margin is drawn from a normal distribution around `margin`; in evaluation it is
    `margin` itself. "plus" gives the larger ones of a batch's draws to the samples that are farther
    from their class. So it is meant: the released code sorts the draws and takes them by the order
    of the cosines where it needs the inverse of that permutation, which leaves them as good as
    random. `plus="as released"` does that.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to cosines (batch, classes).
        margin: the mean, in radians for "arcface" (0.5 in the released code), a difference of
            cosines for "cosface" (0.35).
        std: of the margins, >= 0; released are 0.05, with "plus" 0.0175 and 0.02.
        scale: s, > 0.
        kind: "arcface" or "cosface", which margin it is.
        plus: False, True or "as released".
        seed: of the draws; None takes it from `keras.utils.set_random_seed`.

    The draws are unbounded: with a large std a margin may be negative. Several replicas draw alike,
    and each sorts its own part of the batch.

    Has no state but its draws; as with Dropout a saved model does not remember how far they were.
    """

    arguments = ("backbone", "head", "margin", "std", "scale", "kind", "plus", "seed")

    def __init__(
        self,
        backbone,
        head,
        margin=0.5,
        std=0.05,
        scale=64.0,
        kind="arcface",
        plus=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(backbone, head, **kwargs)
        if kind not in ("arcface", "cosface"):
            raise ValueError(f'kind is "arcface" or "cosface", got {kind!r}.')
        if plus not in (False, True, "as released"):
            raise ValueError(f'plus is False, True or "as released", got {plus!r}.')
        checked_margins(1.0, *((margin, 0.0) if kind == "arcface" else (0.0, margin)))
        self.margin, self.std = number("margin", margin), number("std", std)
        if not 0 <= self.std < math.inf:
            raise ValueError(f"std must be finite and >= 0, got {std}; released are 0.05.")
        self.scale = checked_scale(scale)
        self.kind, self.plus, self.seed = kind, plus, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def _drawn(self, labels, cosines):
        """A margin for each sample, (batch,)."""
        index, valid = class_index(labels, cosines)
        margins = keras.random.normal(
            (ops.shape(cosines)[0],), self.margin, self.std, "float32", self.seed_generator
        )
        if not self.plus:
            return margins
        nearest_first = ops.argsort(-_target(cosines, ops.where(valid, index, 0)))
        places = nearest_first if self.plus == "as released" else ops.argsort(nearest_first)
        return ops.take(ops.sort(margins), places)

    def loss_values(self, labels, cosines, lengths, training):
        margin = self.margin
        if training:
            margin = ops.stop_gradient(self._drawn(labels, cosines))
        m2, m3 = self._placed(margin)
        return margin_cross_entropy(labels, cosines, m2=m2, m3=m3, scale=self.scale)

    def margins_of(self, lengths):
        """The mean of what is drawn."""
        return self._placed(self.margin)

    def _placed(self, margin):
        """The margin as m2 and m3."""
        return (margin, 0.0) if self.kind == "arcface" else (0.0, margin)
