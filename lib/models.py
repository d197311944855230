"""What a loss on cosines alone cannot express: a model over backbone and head with its own loss.

Each of these models compiles, trains, predicts, saves and loads like any Keras model. It outputs
plain logits: `predict` and the accuracy see no margin and need no label.
"""

import math
import weakref

import keras
from keras import ops
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import in_stateless_scope

from .layers import (
    PACKAGE,
    CosineHead,
    ModifiedSoftmaxHead,
    times_unit_columns,
    unit_rows,
    whole_number,
)
from .losses import (
    checked_margins,
    class_index,
    margin_logit,
    number,
    softmax_cross_entropy,
)

# The iterations of SphereFace's training, for which its released annealing was made.
_SPHEREFACE_ITERATIONS = 28_000


class _Batch:
    """What `compute_loss` has to know of the call that the outputs come from."""

    def __init__(self, embeddings):
        self.embeddings = embeddings
        self.counted = False  # whether this batch has moved the model's state

    def lengths(self):
        """The embeddings' lengths, (batch,), float32; without a gradient at 0."""
        squared = ops.sum(ops.square(ops.cast(self.embeddings, "float32")), axis=-1)
        return ops.sqrt(ops.maximum(squared, 1e-24))


# Where outputs take no attribute (on JAX): the batch, by their id, as long as they live.
_BATCHES = {}


def _remember(outputs, batch):
    """Tie a batch to the outputs themselves, so that neither the order of calls can mix them up
    nor a graph's tensors stay when the graph has gone."""
    try:
        outputs._batch = batch
    except AttributeError:
        _BATCHES[id(outputs)] = batch
        weakref.finalize(outputs, _BATCHES.pop, id(outputs), None)


def _batch_of(outputs):
    return getattr(outputs, "_batch", None) or _BATCHES.get(id(outputs))


def _part_of_another(layer):
    """Whether a layer is being called by a model that asks its own loss and never the layer's.

    A training step on JAX runs only the `call` of its model, in a scope without state. So a layer
    that was called in full in such a scope is a part of some model, and nobody can say of which.
    """
    context = global_state.get_global_attribute("current_call_ctx")
    if context is None:
        return False
    if in_stateless_scope():
        return True
    outer = context.entry_layer
    if outer is layer:
        return False
    return getattr(type(outer), "compute_loss", None) is keras.Model.compute_loss


class BackboneAndHead(keras.Model):
    """Logits = head(backbone(inputs)), and the embeddings for `compute_loss`: the base of all here.

    Keras hands `compute_loss` the model's output only: the embeddings travel on it.

    Args:
        backbone: a Keras model or layer from inputs to embeddings (batch, dim).
        head: a layer from embeddings to logits (batch, classes).
    """

    arguments = ("backbone", "head")  # of the constructor, besides those of every Keras model

    def __init__(self, backbone, head, **kwargs):
        super().__init__(**kwargs)
        for name, layer in (("backbone", backbone), ("head", head)):
            if not isinstance(layer, keras.layers.Layer):
                raise ValueError(f"{name} must be a Keras model or layer, got {layer!r}.")
            if isinstance(layer, BackboneAndHead):
                raise ValueError(
                    f"{name} is a {type(layer).__name__}, whose own loss would be lost: hand over "
                    "its backbone, or its head."
                )
        self.backbone = backbone
        self.head = head

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
        if training and self.trainable and _part_of_another(self):
            raise ValueError(
                f"{type(self).__name__} has a loss of its own, which is lost where another model "
                "is trained around it. Put the layers before it into its backbone and train it "
                "itself, or freeze it by trainable = False."
            )
        embeddings = self.backbone(inputs, training=training)
        outputs = self.head(embeddings)
        if outputs is embeddings:  # from a head that does nothing: it would hold itself for good
            outputs = ops.copy(outputs)
        _remember(outputs, _Batch(embeddings))
        return outputs

    def batch_of(self, inputs, outputs, training):
        """Return what is remembered of the call that the outputs come from.

        It has the `embeddings`, (batch, dim), and says whether this batch has been `counted`: by
        whoever changes a state by it, who sets that.
        """
        batch = _batch_of(outputs)
        if batch is None and not training and inputs is not None:
            # Evaluation gives the same embeddings again: Keras asks so when it builds a model.
            batch = _Batch(self.backbone(inputs, training=False))
        if batch is None:
            raise ValueError(
                f"{type(self).__name__}.compute_loss needs the embeddings, and they belong to the "
                "tensor that the model returned. Hand over that tensor itself: "
                "y_pred = model(x, training=True), then model.compute_loss(x, y, y_pred)."
            )
        return batch

    def _feature_scale_loss(self, batch, labels, logits, sample_weight, target_cosine):
        """Return the cross-entropy with |x| target_cosine(cos theta_y) as the target's logit."""
        index, _ = class_index(labels, logits)
        length = batch.lengths()
        is_target = ops.arange(logits.shape[-1], dtype="int32") == ops.expand_dims(index, -1)
        cosine = ops.sum(ops.where(is_target, logits, 0.0), axis=-1) / length
        own = ops.expand_dims(length * target_cosine(cosine), axis=-1)
        values = softmax_cross_entropy(labels, ops.where(is_target, own, logits))
        return self.own_loss(labels, values, sample_weight)

    def own_loss(self, labels, values, sample_weight):
        """Return the loss of a model that brings its own: the mean of its values, one a sample,
        and what regularizers add."""
        if self.loss is not None:
            raise ValueError(
                f"{type(self).__name__} brings its own loss: compile it without one, as in "
                'model.compile("adam", metrics=["accuracy"]).'
            )
        # a mean over one, so that replicas share these, too
        extras = [ops.reshape(ops.sum(extra), (1,)) for extra in self.losses]
        return sum((_mean(e, e) for e in extras), _mean(labels, values, sample_weight))

    def save(self, filepath, *args, **kwargs):
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"{filepath}: Keras writes this older format but could not load "
                f"{type(self).__name__} from it. Save it as a .keras file."
            )
        return super().save(filepath, *args, **kwargs)

    def compute_output_shape(self, input_shape):
        return self.head.compute_output_shape(self.backbone.compute_output_shape(input_shape))

    def get_config(self):
        given = {name: getattr(self, name) for name in self.arguments}
        for name in self.arguments:
            if isinstance(given[name], keras.layers.Layer):
                given[name] = keras.saving.serialize_keras_object(given[name])
        return {**super().get_config(), **given}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("backbone", "head")
            if name in config
        }
        return cls(**{**config, **layers})


@keras.saving.register_keras_serializable(package=PACKAGE)
class CenterLossModel(BackboneAndHead):
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

    arguments = ("backbone", "head", "weight", "alpha")

    def __init__(self, backbone, head, weight=0.003, alpha=0.5, **kwargs):
        super().__init__(backbone, head, **kwargs)
        self.weight, self.alpha = number("weight", weight), number("alpha", alpha)
        if not 0 <= self.weight < math.inf:
            raise ValueError(
                f"weight multiplies the center loss and must be finite and >= 0, got {weight}; the "
                "paper uses 0.003."
            )
        if not 0 <= self.alpha <= 1:
            raise ValueError(
                f"alpha is the centres' step and must lie in [0, 1], got {alpha}; the paper uses "
                "0.5."
            )

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
        index, valid = class_index(y, y_pred)
        batch = self.batch_of(x, y_pred, training)
        softmax_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        with keras.name_scope("label_is_no_class"):  # what the error shows that stops the program
            centers = ops.take(self.centers, index, axis=0)
        away = ops.cast(batch.embeddings, "float32") - centers
        away = ops.where(ops.reshape(valid, (-1, 1)), away, math.nan)
        values = 0.5 * ops.sum(ops.square(away), axis=-1)
        if training and not batch.counted:
            batch.counted = True
            self._move_centers(ops.stop_gradient(away), index, valid, sample_weight)
        softmax_loss = ops.cast(softmax_loss, "float32")
        return softmax_loss + self.weight * _mean(y, values, sample_weight)

    def _move_centers(self, away, index, valid, sample_weight):
        """Move each centre by alpha / (1 + n) times the sum of its samples' x - c."""
        counts = ops.where(valid, ops.ones_like(away[:, 0]), 0.0)
        if sample_weight is not None:
            counts = counts * ops.reshape(ops.cast(sample_weight, "float32"), (-1,))
        # A label that is no class moves nothing.
        away = ops.where(ops.reshape(valid, (-1, 1)), away * counts[:, None], 0.0)
        index = ops.where(valid, index, 0)
        classes = self.centers.shape[0]
        # 1 / (1 + n) is not linear in n, so replicas add up the sums and counts, not the steps.
        sums = sum_over_replicas(ops.segment_sum(away, index, classes))
        counts = sum_over_replicas(ops.segment_sum(counts, index, classes))
        self.centers.assign(self.centers + self.alpha * sums / (1.0 + counts[:, None]))


@keras.saving.register_keras_serializable(package=PACKAGE)
class FeatureScaleMarginModel(BackboneAndHead):
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

    arguments = ("backbone", "num_classes", "m1", "m2", "m3")

    def __init__(self, backbone, num_classes, m1=1.0, m2=0.0, m3=0.0, **kwargs):
        super().__init__(backbone, ModifiedSoftmaxHead(num_classes, name="head"), **kwargs)
        self.num_classes = self.head.num_classes
        self.m1, self.m2, self.m3 = checked_margins(m1, m2, m3)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        def target_cosine(cosine):
            return margin_logit(cosine, self.m1, self.m2, self.m3)

        batch = self.batch_of(x, y_pred, training)
        return self._feature_scale_loss(batch, y, y_pred, sample_weight, target_cosine)


@keras.saving.register_keras_serializable(package=PACKAGE)
class AnnealedSphereFace(BackboneAndHead):
    """SphereFace with its annealing: z_y = |x| (lambda cos theta + psi(m theta)) / (1 + lambda).

    Liu et al., CVPR 2017, eq. 7 and appendix G, and the released training files: lambda =
    max(5, 1000 / (1 + 0.12 iteration)). The margin grows as lambda falls. The files are for 28,000
    iterations, so for T training steps one step counts as 28,000 / T of them: lambda is at 5 after
    6 % of the training, whatever T. With m = 4 from the start the course's digits are trained, too,
    but worse: in the plane an accuracy of 0.92 in the mean of three seeds against 0.955 of five.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        num_classes: C, at least 2.
        training_steps: T, all optimizer steps of the training: epochs * batches an epoch.
        margin: m, a factor >= 1 on the angle.
        first, last: lambda at the start, > 0, and the value where it stays, >= 0. Without any
            annealing it is `FeatureScaleMarginModel`.
        decay: 0.12 above.

    Compile it without a loss. Outputs |x| cos(theta), shape (batch, num_classes).

    Weights: `annealing`, lambda now; not trainable, changed by training steps only.
    """

    arguments = ("backbone", "num_classes", "training_steps", "margin", "first", "last", "decay")

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
        self.num_classes = self.head.num_classes
        hint = "pass the number of epochs times the number of batches in one."
        self.training_steps = whole_number("training_steps", training_steps, 1, hint)
        self.margin = checked_margins(margin, 0.0, 0.0)[0]
        self.first, self.last = number("first", first), number("last", last)
        self.decay = number("decay", decay)
        falls = 0 <= self.last <= self.first and 0 < self.first < math.inf
        if not (falls and 0 <= self.decay < math.inf):
            raise ValueError(
                "lambda must fall from a finite `first` > 0 to a `last` >= 0 that is not larger, "
                f"with a finite `decay` >= 0, got first={first}, last={last}, decay={decay}; "
                "SphereFace has 1000, 5 and 0.12. For no annealing take "
                "FeatureScaleMarginModel(..., m1=4)."
            )

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
        batch = self.batch_of(x, y_pred, training)
        now = ops.copy(self.annealing)  # on PyTorch the graph would see what is assigned below

        def target_cosine(cosine):
            return (now * cosine + margin_logit(cosine, m1=self.margin)) / (1.0 + now)

        loss = self._feature_scale_loss(batch, y, y_pred, sample_weight, target_cosine)
        if training and not batch.counted:
            batch.counted = True
            # first / (1 + decay * iteration): 1 / lambda grows by decay / first an iteration.
            growth = self.decay / self.first * _SPHEREFACE_ITERATIONS / self.training_steps
            self.annealing.assign(ops.maximum(self.last, now / (1.0 + growth * now)))
        return loss


@keras.saving.register_keras_serializable(package=PACKAGE)
class PartialFCModel(BackboneAndHead):
    """A cosine head of which a training step uses the batch's own classes and some others.

    Partial FC (An et al., CVPR 2022). The loss of a step is taken over S = ceil(share * C)
    columns: those of the classes in the batch, filled up with classes drawn at random without
    replacement, anew in each step. A batch with more images than that gets a column for each, so
    that all its classes have theirs. Every margin loss of `lib.losses` works unchanged: it gets the
    S cosines, and each label as its place among the S columns. The gradient in the class weights
    is zero outside of them. With share = 1 nothing is drawn, and the step is the full one.

    Only training steps draw. `predict` and `evaluate` see the cosines of all classes, and so does
    a metric that is compiled in, which costs what was saved: with very many classes compile none.

    An optimizer with a memory moves also what has no gradient in this step: under Adam or momentum
    a class that was drawn lately goes on a little in the direction it had. With several replicas
    each adds the classes of its own part of the batch to the same draw. As with Dropout, a saved
    model does not remember how far its draws had come. PyTorch, where nothing is compiled, computes
    the full cosines in each step all the same: there only the way back is saved.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a `lib.layers.CosineHead`.
        share: r, above 0 and at most 1; 0.1 in the paper.
        seed: of the draws; None takes it from `keras.utils.set_random_seed`.
        groups: into how many runs of columns, all of one length, the classes are divided; each
            draws its share from its own. Where the columns are divided over as many devices, none
            leaves its device (`lib.distributed`).

    Compile it with a loss on cosines. Outputs cosines, shape (batch, num_classes), float32.

    Raises:
        ValueError: at construction, for a share outside (0, 1], a head of another kind, or groups
            that do not divide the classes; in a training step outside compiled code, for a label
            that is no class. Compiled for a CPU by TensorFlow that stops the training with an error
            that shows `label_is_no_class`; elsewhere the loss becomes NaN.
    """

    arguments = ("backbone", "head", "share", "seed", "groups")

    def __init__(self, backbone, head, share=0.1, seed=None, groups=1, **kwargs):
        super().__init__(backbone, head, **kwargs)
        if not isinstance(head, CosineHead):
            raise ValueError(
                f"head must be a lib.layers.CosineHead, got {type(head).__name__}: the classes "
                "that are drawn are columns of its kernel."
            )
        share = number("share", share)
        if not 0 < share <= 1:
            raise ValueError(
                f"share is the part of the classes in a step and must lie in (0, 1], got {share}; "
                "the paper uses 0.1. For per cent divide by 100."
            )
        hint = "it is the number of devices that the columns are divided over."
        self.groups = whole_number("groups", groups, 1, hint)
        if head.num_classes % self.groups:
            raise ValueError(
                f"groups: {head.num_classes} classes do not divide evenly into {self.groups}; add "
                "classes that nobody has, up to the next multiple."
            )
        self.share = share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def num_sampled(self):
        """S, the columns in a step whose batch is no larger; at least 2, and as many a group."""
        # Rounded first, or 0.1 * 30 = 3.0000000000000004 would become 4.
        in_group = math.ceil(round(self.share * self.head.num_classes / self.groups, 6))
        return max(2, in_group * self.groups)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training and self.num_sampled < self.head.num_classes:
            y, y_pred = self._sampled(self.batch_of(x, y_pred, training).embeddings, y, y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _sampled(self, embeddings, labels, cosines):
        """Return the labels' places among the drawn columns, and the cosines of these."""
        index, valid = class_index(labels, cosines)
        of_group = self.head.num_classes // self.groups
        within = self._draw(index, of_group)  # (groups, columns of each)
        first = of_group * ops.arange(self.groups, dtype="int32")[:, None]
        columns = ops.reshape(within + first, (-1,))
        places = ops.searchsorted(columns, ops.where(valid, index, 0))
        # A label that is no class stays one, so that the loss refuses it by its value. Cast in
        # JAX's int32 also where floatx is bfloat16.
        places = ops.cast(ops.where(valid, places, ops.shape(columns)[0]), "int32")
        # In code that is compiled nobody asks for the full cosines, so they are not computed.
        return places, times_unit_columns(unit_rows(embeddings), self._kernel_of(within))

    def _draw(self, index, of_group):
        """Draw places within each group, the batch's classes among them, in ascending order."""
        lots = keras.random.uniform((self.head.num_classes,), seed=self.seed_generator)
        with keras.name_scope("label_is_no_class"):
            # Their lots are looked up first, so that a label that is no class is refused here.
            own = ops.take(lots, index)
            # above all other lots, which are below 1
            lots = ops.scatter_update(lots, index[:, None], ops.maximum(own, 2.0))
        count = self.num_sampled // self.groups
        if index.shape[0] is None:  # as many images as there are when it runs
            count = ops.maximum(count, ops.minimum(ops.shape(index)[0], of_group))
        else:
            count = max(count, min(index.shape[0], of_group))
        _, drawn = ops.top_k(ops.reshape(lots, (self.groups, of_group)), count, sorted=False)
        return ops.sort(ops.cast(drawn, "int32"), axis=-1)

    def _kernel_of(self, within):
        """The columns (dim, S) of the head's kernel at these places (groups, S / groups)."""
        kernel = self.head.kernel
        if self.groups == 1:
            return ops.take(kernel, within[0], axis=1)
        # Column for column within its group: a device looks at its own columns only.
        dim = kernel.shape[0]
        parts = ops.reshape(kernel, (dim, self.groups, -1))
        in_all_rows = ops.broadcast_to(within[None], (dim, *within.shape))
        return ops.reshape(ops.take_along_axis(parts, in_all_rows, axis=2), (dim, -1))


class _PerSample(keras.losses.Loss):
    """Average what is already a loss a sample as every Keras loss does: weights and replicas."""

    def call(self, labels, values):
        return values


_mean = _PerSample(name="per_sample", dtype="float32")


def _replica():
    """Return the context of this replica of a `tf.distribute` strategy; None if it is the only."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            return replica
    return None


def sum_over_replicas(values):
    """Add up over the replicas of a `tf.distribute` strategy."""
    replica = _replica()
    return replica.all_reduce("SUM", values) if replica else values


def gather_over_replicas(values):
    """Return the values, one a sample, of all replicas of a `tf.distribute` strategy."""
    replica = _replica()
    return replica.all_gather(values, axis=0) if replica else values
