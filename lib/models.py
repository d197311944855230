"""What a loss on cosines alone cannot express: a model over backbone and head with its own loss.

Each of these models compiles, trains, predicts, saves and loads like any Keras model. It outputs
plain logits: `predict` and the accuracy see no margin and need no label.
"""

import keras
from keras import ops

from .layers import ModifiedSoftmaxHead
from .losses import _checked_margins, margin_logit, softmax_cross_entropy

PACKAGE = "softmax_to_arcface"

# The iterations of SphereFace's training, for which its released annealing was made.
_SPHEREFACE_ITERATIONS = 28_000


class _BackboneAndHead(keras.Model):
    """Logits = head(backbone(inputs)), keeping the embeddings for `compute_loss`."""

    def __init__(self, backbone, head, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.head = head
        self._embeddings = None

    def build(self, input_shape):
        if self.built:  # a loaded or cloned model is, and may be asked again
            return
        for layer, shape in (
            (self.backbone, input_shape),
            (self.head, self.backbone.compute_output_shape(input_shape)),
        ):
            if not layer.built:
                layer.build(shape)

    def call(self, inputs, training=None):
        # Keras hands `compute_loss` the model's output only. It calls it right after this, on the
        # same batch and in the same trace or replica, so the embeddings can wait here.
        self._embeddings = self.backbone(inputs, training=training)
        return self.head(self._embeddings)

    def _take_embeddings(self):
        """Return the embeddings of the batch just called, once, in float32."""
        embeddings, self._embeddings = self._embeddings, None
        return ops.cast(embeddings, "float32")

    def _feature_scale_loss(self, labels, logits, sample_weight, target_cosine):
        """Return the cross-entropy with |x| target_cosine(cos theta_y) as the target's logit."""
        if self.loss is not None:
            raise ValueError(
                f"{type(self).__name__} brings its own loss: compile it without one, as in "
                'model.compile("adam", metrics=["accuracy"]).'
            )
        squared = ops.sum(ops.square(self._take_embeddings()), axis=-1)
        length = ops.sqrt(ops.maximum(squared, 1e-24))  # the root has no gradient at 0
        labels = ops.reshape(labels, (-1, 1))
        is_target = ops.arange(logits.shape[-1], dtype="int32") == ops.cast(labels, "int32")
        cosine = ops.sum(ops.where(is_target, logits, 0.0), axis=-1) / length
        own = ops.expand_dims(length * target_cosine(cosine), axis=-1)
        values = softmax_cross_entropy(labels, ops.where(is_target, own, logits))
        return sum((ops.sum(extra) for extra in self.losses), _mean(labels, values, sample_weight))

    def compute_output_shape(self, input_shape):
        return self.head.compute_output_shape(self.backbone.compute_output_shape(input_shape))

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("backbone", "head")
            if name in config
        }
        return cls(**{**config, **layers})


@keras.saving.register_keras_serializable(package=PACKAGE)
class CenterLossModel(_BackboneAndHead):
    """Softmax joined by center loss: L = L_S + weight * 1/2 |x - c_y|**2.

    Wen et al., ECCV 2016, eq. 2 to 5, with both terms averaged over the batch (the paper sums
    both). In training, after the loss of a batch, its classes' centres move by eq. 4:

        c_j -= alpha * sum over y_i = j of (c_j - x_i) / (1 + n_j)

    with n_j the class's samples in the batch, of all replicas together. Gradients do not move the
    centres, and neither does `evaluate`.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a layer from embeddings to logits (batch, classes), such as `keras.layers.Dense`.
        weight: the paper's lambda, >= 0; 0.003 there.
        alpha: the step of the centres, in [0, 1]; 0.5 in the paper.

    Compile it with a loss on the logits, such as `softmax_cross_entropy`. A sample's weight counts
    in both terms and in the centres' sums and counts.

    Weights: `centers`, shape (classes, dim), not trainable, zero at first.
    """

    def __init__(self, backbone, head, weight=0.003, alpha=0.5, **kwargs):
        super().__init__(backbone, head, **kwargs)
        if not weight >= 0:
            raise ValueError(
                f"weight multiplies the center loss and must be >= 0, got {weight}; the paper "
                "uses 0.003."
            )
        if not 0 <= alpha <= 1:
            raise ValueError(
                f"alpha is the centres' step and must lie in [0, 1], got {alpha}; the paper uses "
                "0.5."
            )
        self.weight = float(weight)
        self.alpha = float(alpha)

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        dim = self.backbone.compute_output_shape(input_shape)[-1]
        self.centers = self.add_weight(
            name="centers",
            shape=(self.compute_output_shape(input_shape)[-1], dim),
            initializer="zeros",
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        embeddings = self._take_embeddings()
        labels = ops.cast(ops.reshape(y, (-1,)), "int32")
        softmax_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        with keras.name_scope("label_is_no_class"):  # what the error shows that stops the program
            away = embeddings - ops.take(self.centers, labels, axis=0)
        values = 0.5 * ops.sum(ops.square(away), axis=-1)
        if training:
            self._move_centers(ops.stop_gradient(away), labels, sample_weight)
        return softmax_loss + self.weight * _mean(labels, values, sample_weight)

    def _move_centers(self, away, labels, sample_weight):
        """Move each centre by alpha / (1 + n) times the sum of its samples' x - c."""
        counts = ops.ones_like(away[:, 0])
        if sample_weight is not None:
            counts = ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        classes = self.centers.shape[0]
        # 1 / (1 + n) is not linear in n, so replicas add up the sums and counts, not the steps.
        sums = _sum_over_replicas(ops.segment_sum(away * counts[:, None], labels, classes))
        counts = _sum_over_replicas(ops.segment_sum(counts, labels, classes))
        self.centers.assign(self.centers + self.alpha * sums / (1.0 + counts[:, None]))

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "head": keras.saving.serialize_keras_object(self.head),
            "weight": self.weight,
            "alpha": self.alpha,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class FeatureScaleMarginModel(_BackboneAndHead):
    """Margins with the embedding's own length as the scale: z_y = |x| (psi(m1 theta + m2) - m3).

    (m, 0, 0) is SphereFace as its paper has it (A-Softmax, Liu et al., CVPR 2017, eq. 7) without
    the annealing; many demonstrations write CosFace (1, 0, m) and ArcFace (1, m, 0) so too, where
    the papers fix the scale. The network can then lower the loss by the length alone.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        num_classes: C, at least 2.
        m1, m2, m3: margins as in `lib.losses.MarginLoss`, angles in radians.

    Compile it without a loss. Outputs |x| cos(theta), shape (batch, num_classes).
    """

    def __init__(self, backbone, num_classes, m1=1.0, m2=0.0, m3=0.0, **kwargs):
        super().__init__(backbone, ModifiedSoftmaxHead(num_classes, name="head"), **kwargs)
        self.num_classes = self.head.num_classes
        self.m1, self.m2, self.m3 = _checked_margins(m1, m2, m3)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        def target_cosine(cosine):
            return margin_logit(cosine, self.m1, self.m2, self.m3)

        return self._feature_scale_loss(y, y_pred, sample_weight, target_cosine)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "m1": self.m1,
            "m2": self.m2,
            "m3": self.m3,
        }


@keras.saving.register_keras_serializable(package=PACKAGE)
class AnnealedSphereFace(_BackboneAndHead):
    """SphereFace with its annealing: z_y = |x| (lambda cos theta + psi(m theta)) / (1 + lambda).

    Liu et al., CVPR 2017, eq. 7 and appendix G, and the released training files: lambda =
    max(5, 1000 / (1 + 0.12 iteration)). The margin grows as lambda falls; with m = 4 from the
    start the training does not get going. The files are for 28,000 iterations, so for T training
    steps one step counts as 28,000 / T of them.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        num_classes: C, at least 2.
        training_steps: T, all optimizer steps of the training: epochs * batches an epoch.
        margin: m, a factor >= 1 on the angle.
        first, last: lambda at the start, and the value where it stays.
        decay: 0.12 above.

    Compile it without a loss. Outputs |x| cos(theta), shape (batch, num_classes).

    Weights: `annealing`, lambda now; not trainable, changed by training steps only.
    """

    def __init__(
        self,
        backbone,
        num_classes,
        training_steps,
        margin=4,
        first=1000.0,
        last=5.0,
        decay=0.12,
        **kwargs,
    ):
        super().__init__(backbone, ModifiedSoftmaxHead(num_classes, name="head"), **kwargs)
        if training_steps < 1:
            raise ValueError(
                f"training_steps must be at least 1, got {training_steps}: pass the number of "
                "epochs times the number of batches in one."
            )
        if not 0 <= last <= first or decay < 0:
            raise ValueError(
                "lambda must fall from `first` to a smaller `last` >= 0 with a `decay` >= 0, got "
                f"first={first}, last={last}, decay={decay}; SphereFace has 1000, 5 and 0.12."
            )
        self.num_classes = self.head.num_classes
        self.training_steps = int(training_steps)
        self.margin = _checked_margins(margin, 0.0, 0.0)[0]
        self.first, self.last, self.decay = float(first), float(last), float(decay)

    def build(self, input_shape):
        if self.built:
            return
        super().build(input_shape)
        self.annealing = self.add_weight(
            name="annealing",
            shape=(),
            initializer=keras.initializers.Constant(self.first),
            dtype="float32",
            trainable=False,
            aggregation="only_first_replica",
        )

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        now = ops.convert_to_tensor(self.annealing)

        def target_cosine(cosine):
            return (now * cosine + margin_logit(cosine, m1=self.margin)) / (1.0 + now)

        loss = self._feature_scale_loss(y, y_pred, sample_weight, target_cosine)
        if training:
            # first / (1 + decay * iteration): 1 / lambda grows by decay / first an iteration.
            growth = self.decay / self.first * _SPHEREFACE_ITERATIONS / self.training_steps
            self.annealing.assign(ops.maximum(self.last, now / (1.0 + growth * now)))
        return loss

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "training_steps": self.training_steps,
            "margin": self.margin,
            "first": self.first,
            "last": self.last,
            "decay": self.decay,
        }


class _PerSample(keras.losses.Loss):
    """Average what is already a loss a sample as every Keras loss does: weights and replicas."""

    def call(self, labels, values):
        return values


_mean = _PerSample(name="per_sample", dtype="float32")


def _sum_over_replicas(values):
    """Add up over the replicas of a `tf.distribute` strategy; elsewhere there is one."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)
    return values
