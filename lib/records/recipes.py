"""How each recorded model is trained: one function for each kind, with plain arguments.

Every recipe returns a trained model whose backbone `lib.evaluation` finds. Seed the random numbers
before the call. What all of them take:

    data           what to train on, with `x_train` and `y_train`: digits, or faces
    num_classes    of the head
    embedding_dim  of the backbone
    epochs         the whole budget, of which a warm-up is a part; None for that of the mode
    verbose        print a line for each epoch
"""

import math

import keras

from .. import evaluation, losses, models, training
from ..backbones import build_backbone, build_demo_2d_backbone, build_demo_20d_backbone
from ..layers import CosineHead, ModifiedSoftmaxHead
from .triplets import PersonBatches, SemiHardTripletLoss


def softmax(data, num_classes=10, embedding_dim=2, epochs=None, label_smoothing=0.0, verbose=True):
    """Plain softmax: a Dense head with bias, and cross-entropy.

    Args:
        label_smoothing: the share of the target that is spread evenly over all classes.
    """
    model = training.build_softmax_model(num_classes, embedding_dim)
    training.train(model, data, _cross_entropy(label_smoothing), epochs, verbose=verbose)
    return model


def _cross_entropy(label_smoothing):
    """Softmax cross-entropy, with smoothed labels if wanted."""
    if not label_smoothing:
        return losses.softmax_cross_entropy

    def smoothed(labels, logits):
        hard = losses.softmax_cross_entropy(labels, logits)
        mean = -keras.ops.mean(keras.ops.log_softmax(logits), axis=-1)
        return (1 - label_smoothing) * hard + label_smoothing * mean

    return smoothed


def margin(
    data,
    loss,
    options,
    num_classes=10,
    embedding_dim=2,
    epochs=None,
    warmup_epochs=2,
    verbose=True,
):
    """A cosine head and one of the margin losses, after a warm-up with plain softmax.

    Args:
        loss: the name of a class in `lib.losses`.
        options: its arguments, such as {"margin": 0.2, "scale": 16}.
        warmup_epochs: how many epochs of the budget are plain softmax; 0 for none.
    """
    epochs = training.epoch_budget() if epochs is None else epochs
    backbone = build_backbone(embedding_dim)
    if warmup_epochs:
        head = training.warm_up(backbone, data, num_classes, warmup_epochs, verbose)
    else:
        head = CosineHead(num_classes, name="head")
    model = keras.Sequential([backbone, head])
    loss = getattr(losses, loss)(**options)
    training.train(model, data, loss, epochs - warmup_epochs, verbose=verbose)
    return model


def modified_softmax(
    data,
    num_classes=10,
    embedding_dim=2,
    epochs=None,
    warmup_epochs=2,
    label_smoothing=0.0,
    verbose=True,
):
    """Class weights of length one and no bias, embeddings as long as they like; cross-entropy.

    The warm-up is that of `margin`, the smoothing that of `softmax`.
    """
    epochs = training.epoch_budget() if epochs is None else epochs
    backbone = build_backbone(embedding_dim)
    head = ModifiedSoftmaxHead(num_classes, name="head")
    if warmup_epochs:
        warm_head = training.warm_up(backbone, data, num_classes, warmup_epochs, verbose)
        head.build(backbone.output_shape)
        head.set_weights(warm_head.get_weights())
    model = keras.Sequential([backbone, head])
    loss = _cross_entropy(label_smoothing)
    training.train(model, data, loss, epochs - warmup_epochs, verbose=verbose)
    return model


def length_scaled_margin(data, options, num_classes=10, embedding_dim=2, epochs=None, verbose=True):
    """A margin with the embedding's own length as the scale, from random weights.

    Args:
        options: the margins of `lib.models.FeatureScaleMarginModel`, such as {"m1": 4}.
    """
    backbone = build_backbone(embedding_dim)
    model = models.FeatureScaleMarginModel(backbone, num_classes, **options)
    training.train(model, data, epochs=epochs, verbose=verbose)
    return model


def annealed_sphereface(
    data, margin=4, last=5.0, num_classes=10, embedding_dim=2, epochs=None, verbose=True
):
    """SphereFace as its paper has it: the scale is the embedding's length, lambda is annealed.

    Args:
        margin: the whole number that multiplies the angle.
        last: where lambda stays.
    """
    epochs = training.epoch_budget() if epochs is None else epochs
    steps = epochs * math.ceil(len(data.x_train) / training.BATCH_SIZE)
    backbone = build_backbone(embedding_dim)
    model = models.AnnealedSphereFace(backbone, num_classes, steps, margin, last=last)
    training.train(model, data, epochs=epochs, verbose=verbose)
    return model


def center(data, weight, num_classes=10, embedding_dim=2, epochs=None, verbose=True):
    """Plain softmax joined by center loss, the centres' step as in its paper (alpha 0.5).

    Args:
        weight: lambda, the weight of the center loss; 0 is softmax alone.
    """
    backbone = build_backbone(embedding_dim)
    model = models.CenterLossModel(backbone, keras.layers.Dense(num_classes, name="head"), weight)
    training.train(model, data, losses.softmax_cross_entropy, epochs, verbose=verbose)
    return model


def triplet(
    data, margin=0.2, num_classes=10, embedding_dim=2, epochs=None, warmup_epochs=2, verbose=True
):
    """Semi-hard triplets after the warm-up of `margin`; batches hold four images of each person.

    The model ends in a cosine head of the mean directions of the classes, which nothing trained.

    Args:
        margin: of the triplets, in squared distances between unit vectors.
    """
    epochs = training.epoch_budget() if epochs is None else epochs
    backbone = build_backbone(embedding_dim)
    if warmup_epochs:
        training.warm_up(backbone, data, num_classes, warmup_epochs, verbose)
    batches = PersonBatches(data.x_train, data.y_train, training.BATCH_SIZE)
    loss = SemiHardTripletLoss(margin)
    training.train(backbone, batches, loss, epochs - warmup_epochs, metrics=(), verbose=verbose)
    head = CosineHead(num_classes, name="head")
    head.build(backbone.output_shape)
    centres = evaluation.class_centres(evaluation.embed(backbone, data.x_train), data.y_train)
    head.kernel.assign(centres.T)
    return keras.Sequential([backbone, head])


# --- the two reference demonstrations, with all of MNIST and learning rates that do not fall ------


def demo_2d(data, margins=None, num_classes=10, epochs=3, verbose=True):
    """The 2-D demonstration: Adam, batches of 32, three epochs, the embedding's length as scale.

    Args:
        margins: those of `lib.models.FeatureScaleMarginModel`; {} is modified softmax, None plain
            softmax.
    """
    backbone = build_demo_2d_backbone()
    loss = None  # the model brings it along
    if margins is None:
        loss = losses.softmax_cross_entropy
        model = keras.Sequential([backbone, keras.layers.Dense(num_classes, name="head")])
    else:
        model = models.FeatureScaleMarginModel(backbone, num_classes, **margins)
    training.train(model, data, loss, epochs, 0.001, batch_size=32, decay=False, verbose=verbose)
    return model


def demo_20d(data, method, options=None, loss=None, num_classes=10, verbose=True):
    """The 20-D demonstration: Adam with 0.01, batches of 64, ten epochs.

    What has a margin gets one more epoch of plain softmax before, as there, and takes its class
    weights over.

    Args:
        method: "softmax", "center" or "margin".
        options: for "center", those of `lib.models.CenterLossModel`; for "margin", those of
            `lib.models.FeatureScaleMarginModel`, or of the loss if one is named.
        loss: for "margin" with a fixed scale, the name of a class in `lib.losses`; without one the
            embedding's length is the scale.
    """
    recipe = {"learning_rate": 0.01, "batch_size": 64, "decay": False, "verbose": verbose}
    backbone = build_demo_20d_backbone()
    head = keras.layers.Dense(num_classes, use_bias=method != "margin", name="head")
    model = keras.Sequential([backbone, head])
    compiled_loss = losses.softmax_cross_entropy
    if method == "center":
        model = models.CenterLossModel(backbone, head, **options)
    if method == "margin":
        training.train(model, data, compiled_loss, epochs=1, **recipe)
        if loss:
            compiled_loss = getattr(losses, loss)(**options)
            model = keras.Sequential([backbone, CosineHead(num_classes, name="head")])
        else:
            compiled_loss = None  # the model brings it along
            model = models.FeatureScaleMarginModel(backbone, num_classes, **options)
        model.build((None, *data.x_train.shape[1:]))
        model.get_layer("head").set_weights(head.get_weights())
    training.train(model, data, compiled_loss, epochs=10, **recipe)
    return model
