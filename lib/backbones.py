"""The networks that turn an image into an embedding.

A backbone ends in a plain linear layer: what comes after it (a head) decides how the embedding is
compared with the classes.
"""

import keras
from keras import layers

from .layers import whole_number

IMAGE_SHAPE = (28, 28, 1)


def build_backbone(embedding_dim=2, input_shape=IMAGE_SHAPE):
    """The course's backbone: two strided convolutions and a dense layer, small enough for a laptop.

    Args:
        embedding_dim: D, the number of values in one embedding.
        input_shape: (height, width, channels) of one image.

    Returns:
        A `keras.Sequential` that maps (batch, height, width, channels) to (batch, embedding_dim).

    Raises:
        ValueError: if `embedding_dim` is no whole number of at least 1.
    """
    embedding_dim = _checked_dim(embedding_dim)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(32, 5, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Conv2D(64, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dense(128, use_bias=False),
            layers.BatchNormalization(),
            layers.PReLU(),
            layers.Dense(embedding_dim, name="embedding"),
        ],
        name="backbone",
    )


def build_demo_2d_backbone(embedding_dim=2, input_shape=IMAGE_SHAPE):
    """The network of a well-known 2-D demonstration, for comparison with its reported accuracies.

    Its convolutions have no activation. Train it as that demonstration does: Adam, batches of 32,
    three epochs of all of MNIST.

    Args, returns and errors as for `build_backbone`.
    """
    embedding_dim = _checked_dim(embedding_dim)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(20, 3),
            layers.MaxPooling2D(),
            layers.Conv2D(20, 3),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(embedding_dim, name="embedding"),
        ],
        name="demo_2d_backbone",
    )


def build_demo_20d_backbone(embedding_dim=20, input_shape=IMAGE_SHAPE):
    """The network of a well-known 20-D demonstration, which ends in dropout on the embedding.

    Train it as that demonstration does: Adam with a learning rate of 0.01, batches of 64, ten
    epochs, one epoch of plain cross-entropy before each margin head.

    Args, returns and errors as for `build_backbone`.
    """
    embedding_dim = _checked_dim(embedding_dim)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(embedding_dim, name="embedding"),
            layers.Dropout(0.2),
        ],
        name="demo_20d_backbone",
    )


def _checked_dim(embedding_dim):
    return whole_number("embedding_dim", embedding_dim, 1, "the course uses 2, 3, 20 and 64.")
