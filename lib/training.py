"""Train a model the same way everywhere: seeded, on a budget, with progress a person can read."""

import math
import time

import keras

from .backbones import build_backbone
from .data import course_mode
from .layers import CosineHead
from .losses import softmax_cross_entropy

# How many passes over the training images a model gets, by mode. The lesson mode's 20,000 images
# (4,000 digits and their jittered copies) make 120,000 image steps: about ten seconds on two cores.
EPOCHS = {"lesson": 6, "full": 10}
BATCH_SIZE = 128
LEARNING_RATE = 3e-3


def set_seed(seed):
    """Make what follows repeatable, to the bit, on one machine.

    Seeds Python, NumPy and Keras, and on TensorFlow also asks for operations that add up in the
    same order each time. Call it right before a model is built.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def epoch_budget():
    """The number of epochs that every model of this mode gets, so that comparisons are fair."""
    return EPOCHS[course_mode()]


class EpochLines(keras.callbacks.Callback):
    """Print one line an epoch: the loss, the accuracy and the seconds it took."""

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        values = " · ".join(f"{name} {logs[name]:.3f}" for name in sorted(logs, reverse=True))
        seconds = time.perf_counter() - self.started
        print(f"epoch {epoch + 1}/{self.params['epochs']} · {values} · {seconds:.1f} s")


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Raise `FloatingPointError` as soon as the running loss is NaN or infinite."""

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} by step {batch + 1}. Look for a label that is no class, a "
                "pixel that is not a number, a learning rate that is too high, or an exp, log, "
                "sqrt or arccos at the edge of its range; lesson 01 shows the first repairs."
            )


def train(
    model,
    digits,
    loss=None,
    epochs=None,
    learning_rate=LEARNING_RATE,
    batch_size=BATCH_SIZE,
    decay=True,
    metrics=("accuracy",),
    callbacks=(),
    verbose=True,
):
    """Compile and fit `model` by the course's one recipe.

    The recipe is Adam with a learning rate that falls from 0.003 to 0 along a cosine, in batches of
    128. It is the same for every loss: none is tuned more than another. (Learning rate, its decay
    and batch size are arguments for the reference demonstrations, which have their own.)

    Args:
        model: a Keras model from images (batch, 28, 28, 1) to logits or cosines (batch, classes).
        digits: what `lib.data.load_digits` returned, or anything with `x_train` and `y_train`; or a
            `keras.utils.PyDataset`, which makes its own batches.
        loss: any Keras loss on (labels, model output); None for a model that brings its own.
        epochs: passes over the training images; by default the mode's budget.
        learning_rate: Adam's at the start.
        batch_size: images in one training step.
        decay: False for a learning rate that stays.
        metrics: as for `compile`.
        callbacks: more Keras callbacks.
        verbose: print a line for each epoch.

    Returns:
        The `keras.callbacks.History` of the training.

    Raises:
        ValueError: if there are no epochs to train.
        FloatingPointError: as soon as the loss is NaN or infinite.
    """
    epochs = epoch_budget() if epochs is None else epochs
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}.")
    if isinstance(digits, keras.utils.PyDataset):
        steps, fitted = len(digits), {"x": digits}
    else:
        steps = math.ceil(len(digits.x_train) / batch_size)
        fitted = {"x": digits.x_train, "y": digits.y_train, "batch_size": batch_size}
    if decay:
        schedule = keras.optimizers.schedules.CosineDecay
        learning_rate = schedule(learning_rate, steps * epochs)
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss=loss,
        metrics=list(metrics),
        # Ten steps in one call from Python: a quarter faster on two cores, with the same numbers.
        # PyTorch calls each operation from Python anyway.
        steps_per_execution=1 if keras.backend.backend() == "torch" else 10,
    )
    return model.fit(
        **fitted,
        epochs=epochs,
        verbose=0,
        callbacks=[StopOnNonFiniteLoss(), *([EpochLines()] if verbose else []), *callbacks],
    )


def build_softmax_model(num_classes=10, embedding_dim=2):
    """The plain classifier, backbone and Dense head: images to logits (batch, num_classes)."""
    # Each layer draws its seed when it is made, so the order is a part of the recipe.
    backbone = build_backbone(embedding_dim)
    return keras.Sequential([backbone, keras.layers.Dense(num_classes, name="head")])


def warm_up(backbone, digits, num_classes=10, epochs=2, verbose=True, **recipe):
    """Train `backbone` with plain softmax first, and return a `CosineHead` that knows its classes.

    From random weights a margin asks too much at once: in 2-D it decides whether the training gets
    anywhere. The softmax head has no bias, so that its kernel can be carried over to the cosine
    head. The two phases have a learning-rate schedule each.

    Args:
        backbone: a fresh backbone; it is trained in place.
        digits: what `lib.data.load_digits` returned.
        num_classes: of the head.
        epochs: of plain softmax; subtract them from the budget of the phase that follows.
        verbose: print a line for each epoch.
        **recipe: passed to `train`.

    Returns:
        A built `lib.layers.CosineHead`.
    """
    softmax_head = keras.layers.Dense(num_classes, use_bias=False, name="softmax_head")
    model = keras.Sequential([backbone, softmax_head])
    train(model, digits, softmax_cross_entropy, epochs=epochs, verbose=verbose, **recipe)
    head = CosineHead(num_classes, name="head")
    head.build(backbone.output_shape)
    head.set_weights(softmax_head.get_weights())
    return head
