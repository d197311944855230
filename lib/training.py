"""Train a model the same way everywhere: seeded, on a budget, with progress a person can read."""

import math
import time

import keras

from .data import course_mode

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
                f"the loss became {loss} by step {batch + 1}. Look for a learning rate that is too "
                "high, a pixel that is not a number, or an exp, log, sqrt or arccos at the edge of "
                "its range; lesson 01 shows the first two repairs."
            )


def train(model, digits, loss, epochs=None, callbacks=(), verbose=True):
    """Compile and fit `model` by the course's one recipe.

    The recipe is Adam with a learning rate that falls from 0.003 to 0 along a cosine, in batches of
    128. It is the same for every loss: none is tuned more than another.

    Args:
        model: a Keras model from images (batch, 28, 28, 1) to logits or cosines (batch, classes).
        digits: what `lib.data.load_digits` returned.
        loss: any Keras loss on (labels, model output).
        epochs: passes over the training images; by default the mode's budget.
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
    steps = math.ceil(len(digits.x_train) / BATCH_SIZE) * epochs
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss=loss,
        metrics=["accuracy"],
        # Ten steps in one call from Python: a quarter faster on two cores, with the same numbers.
        steps_per_execution=10,
    )
    return model.fit(
        digits.x_train,
        digits.y_train,
        batch_size=BATCH_SIZE,
        epochs=epochs,
        verbose=0,
        callbacks=[StopOnNonFiniteLoss(), *([EpochLines()] if verbose else []), *callbacks],
    )
