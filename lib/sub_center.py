"""Sub-centres: several directions for each class, so that wrong labels can gather at one aside."""

import keras
from keras import ops

from .layers import PACKAGE, CosineHead


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
        super().__init__(**kwargs)
        if num_classes < 2 or centers < 1:
            raise ValueError(
                "num_classes must be at least 2 and centers at least 1, got "
                f"{num_classes} and {centers}; the paper uses 3 centers a class."
            )
        self.num_classes, self.centers = int(num_classes), int(centers)
        self.directions = CosineHead(self.num_classes * self.centers, name="directions")

    def build(self, input_shape):
        self.directions.build(input_shape)

    def call(self, embeddings):
        return ops.max(self.all_cosines(embeddings), axis=-1)

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
