"""Partial FC: each training step compares its batch with a random share of the classes."""

import math

import keras
from keras import ops

from .layers import CosineHead, _finite, _inverse_length, _times_unit_columns
from .losses import _class_index
from .models import PACKAGE, _BackboneAndHead


@keras.saving.register_keras_serializable(package=PACKAGE)
class PartialFCModel(_BackboneAndHead):
    """A cosine head of which a training step uses the batch's own classes and some others.

    Partial FC (An et al., CVPR 2022). The loss of a step is taken over S = ceil(share * C)
    columns: those of the classes in the batch, filled up with classes drawn at random without
    replacement, anew in each step. Every margin loss of `lib.losses` works unchanged: it gets the
    S cosines, and each label as its place among the S columns. The gradient in the class weights
    is zero outside of them. With share = 1 nothing is drawn, and the step is the full one.

    Only training steps draw. `predict` and `evaluate` see the cosines of all classes, and so does
    a metric that is compiled in, which costs what was saved: with very many classes compile none.

    An optimizer with a memory moves also what has no gradient in this step: under Adam or momentum
    a class that was drawn lately goes on a little in the direction it had. With several replicas
    each adds the classes of its own part of the batch to the same draw. As with Dropout, a saved
    model does not remember how far its draws had come.

    Args:
        backbone: a Keras model from inputs to embeddings (batch, dim).
        head: a `lib.layers.CosineHead`.
        share: r, above 0 and at most 1; 0.1 in the paper.
        seed: of the draws; None takes it from `keras.utils.set_random_seed`.

    Compile it with a loss on cosines. Outputs cosines, shape (batch, num_classes), float32.

    Raises:
        ValueError: at construction, for a share outside (0, 1] or a head of another kind; in a
            training step outside compiled code, for a label that is no class, and for a batch with
            more different classes than S. Compiled for a CPU by TensorFlow the latter two stop the
            training with an error that shows `label_is_no_class` or
            `batch_has_more_classes_than_the_share`; elsewhere the loss becomes NaN.
    """

    def __init__(self, backbone, head, share=0.1, seed=None, **kwargs):
        super().__init__(backbone, head, **kwargs)
        if not isinstance(head, CosineHead):
            raise ValueError(
                f"head must be a lib.layers.CosineHead, got {type(head).__name__}: the classes "
                "that are drawn are columns of its kernel."
            )
        share = float(share)
        if not 0 < share <= 1:
            raise ValueError(
                f"share is the part of the classes in a step and must lie in (0, 1], got {share}; "
                "the paper uses 0.1. For per cent divide by 100."
            )
        self.share = share
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def num_sampled(self):
        """S, the number of columns in a training step: ceil(share * num_classes), at least 2."""
        # Rounded first, or 0.1 * 30 = 3.0000000000000004 would become 4.
        return max(2, math.ceil(round(self.share * self.head.num_classes, 6)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        embeddings = self._take_embeddings()
        if training and self.num_sampled < self.head.num_classes:
            y, y_pred = self._sampled(embeddings, y, y_pred)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _sampled(self, embeddings, labels, cosines):
        """Return the labels' places among the drawn columns, and the cosines of these."""
        index, valid = _class_index(labels, cosines)
        columns = self._draw(index)
        places = ops.searchsorted(columns, ops.where(valid, index, 0))
        places = ops.minimum(places, self.num_sampled - 1)
        places = self._all_drawn(places, ops.take(columns, places) == index, valid)
        # A label that is no class stays one, so that the loss refuses it by its value.
        places = ops.where(valid, places, ops.where(index < 0, index, index + self.num_sampled))
        embeddings = _finite(embeddings)
        unit = embeddings * _inverse_length(embeddings, axis=-1)
        # In code that is compiled nobody asks for the full cosines, so they are not computed.
        return places, _times_unit_columns(unit, ops.take(self.head.kernel, columns, axis=1))

    def _draw(self, index):
        """Return S different classes in ascending order, those of the batch among them."""
        lots = keras.random.uniform((self.head.num_classes,), seed=self.seed_generator)
        with keras.name_scope("label_is_no_class"):
            # above all other lots, which are below 1
            lots = ops.scatter_update(lots, index[:, None], ops.full_like(index, 2.0, "float32"))
        _, drawn = ops.top_k(lots, self.num_sampled, sorted=False)
        return ops.sort(ops.cast(drawn, "int32"))

    def _all_drawn(self, places, drawn, valid):
        """Return the places, refusing a batch with more classes than there are columns."""
        missing = ops.logical_and(valid, ops.logical_not(drawn))
        try:
            any_missing = bool(ops.convert_to_numpy(missing).any())
        except Exception:  # in a function that is being compiled; each backend has its own error
            any_missing = False
        if any_missing:
            raise ValueError(
                f"This batch has more different classes than the {self.num_sampled} columns that "
                f"a share of {self.share:g} of {self.head.num_classes} classes gives: choose a "
                "larger share or a smaller batch."
            )
        # As in `lib.losses`: a flag that is set picks what is not there, and the error shows this.
        with keras.name_scope("batch_has_more_classes_than_the_share"):
            count = ops.shape(places)[0]
            rows = ops.where(missing, count, ops.arange(count, dtype="int32"))
            return ops.where(missing, self.num_sampled, ops.take(places, rows))

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "head": keras.saving.serialize_keras_object(self.head),
            "share": self.share,
            "seed": self.seed,
        }
