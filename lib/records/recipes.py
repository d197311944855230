"""How each recorded model is trained: one function for each kind, with plain arguments.

Every recipe takes the digits and returns a trained model whose backbone `lib.evaluation` finds. All
have the same budget of epochs; a warm-up is a part of it. Seed the random numbers before the call.
"""

import math

import keras

from .. import losses, models, training
from ..backbones import build_backbone, build_demo_2d_backbone, build_demo_20d_backbone
from ..layers import CosineHead, ModifiedSoftmaxHead
from ..models import PartialFCModel


def softmax(digits, num_classes=10, embedding_dim=2, verbose=True):
    """Plain softmax: a Dense head with bias, and cross-entropy."""
    model = training.build_softmax_model(num_classes, embedding_dim)
    training.train(model, digits, losses.softmax_cross_entropy, verbose=verbose)
    return model


def margin(digits, loss, options, num_classes=10, embedding_dim=2, warmup_epochs=2, verbose=True):
    """A cosine head and one of the margin losses, after a warm-up with plain softmax.

    Args:
        digits: what `lib.data.load_digits` returned.
        loss: the name of a class in `lib.losses`.
        options: its arguments, such as {"margin": 0.2, "scale": 16}.
        num_classes, embedding_dim: of head and backbone.
        warmup_epochs: how many epochs of the budget are plain softmax; 0 for none.
        verbose: print a line for each epoch.
    """
    backbone = build_backbone(embedding_dim)
    if warmup_epochs:
        head = training.warm_up(backbone, digits, num_classes, warmup_epochs, verbose)
    else:
        head = CosineHead(num_classes, name="head")
    model = keras.Sequential([backbone, head])
    epochs = training.epoch_budget() - warmup_epochs
    training.train(model, digits, getattr(losses, loss)(**options), epochs, verbose=verbose)
    return model


def modified_softmax(digits, num_classes=10, embedding_dim=2, warmup_epochs=2, verbose=True):
    """Class weights of length one and no bias, embeddings as long as they like; cross-entropy.

    Args as for `margin`.
    """
    backbone = build_backbone(embedding_dim)
    head = ModifiedSoftmaxHead(num_classes, name="head")
    if warmup_epochs:
        warm_head = training.warm_up(backbone, digits, num_classes, warmup_epochs, verbose)
        head.build(backbone.output_shape)
        head.set_weights(warm_head.get_weights())
    model = keras.Sequential([backbone, head])
    epochs = training.epoch_budget() - warmup_epochs
    training.train(model, digits, losses.softmax_cross_entropy, epochs, verbose=verbose)
    return model


def length_scaled_margin(digits, options, num_classes=10, embedding_dim=2, verbose=True):
    """A margin with the embedding's own length as the scale, from random weights.

    Args:
        digits, num_classes, embedding_dim, verbose: as for `margin`.
        options: the margins of `lib.models.FeatureScaleMarginModel`, such as {"m1": 4}.
    """
    backbone = build_backbone(embedding_dim)
    model = models.FeatureScaleMarginModel(backbone, num_classes, **options)
    training.train(model, digits, verbose=verbose)
    return model


def annealed_sphereface(digits, margin=4, num_classes=10, embedding_dim=2, verbose=True):
    """SphereFace as its paper has it: the scale is the embedding's length, lambda is annealed.

    Args:
        digits, num_classes, embedding_dim, verbose: as for `margin`.
        margin: the whole number that multiplies the angle.
    """
    steps = training.epoch_budget() * math.ceil(len(digits.x_train) / training.BATCH_SIZE)
    backbone = build_backbone(embedding_dim)
    model = models.AnnealedSphereFace(backbone, num_classes, steps, margin)
    training.train(model, digits, verbose=verbose)
    return model


def center(digits, weight, num_classes=10, embedding_dim=2, verbose=True):
    """Plain softmax joined by center loss, the centres' step as in its paper (alpha 0.5).

    Args:
        digits: what `lib.data.load_digits` returned.
        weight: lambda, the weight of the center loss; 0 is softmax alone.
        num_classes, embedding_dim: of head and backbone.
        verbose: print a line for each epoch.
    """
    backbone = build_backbone(embedding_dim)
    model = models.CenterLossModel(backbone, keras.layers.Dense(num_classes, name="head"), weight)
    training.train(model, digits, losses.softmax_cross_entropy, verbose=verbose)
    return model


# --- glyph identities -----------------------------------------------------------------------------


def glyph_softmax(glyphs, num_classes, embedding_dim=64, epochs=10, verbose=True):
    """Plain softmax on glyph identities: a Dense head with bias, and cross-entropy.

    Args:
        glyphs: a `lib.glyphs.GlyphSet` to train on.
        num_classes: how many identities it has.
        embedding_dim: of the backbone.
        epochs: the whole budget, the same in lesson and full mode.
        verbose: print a line for each epoch.
    """
    model = training.build_softmax_model(num_classes, embedding_dim)
    training.train(model, glyphs, losses.softmax_cross_entropy, epochs, verbose=verbose)
    return model


def glyph_margin(
    glyphs,
    loss,
    options,
    num_classes,
    embedding_dim=64,
    epochs=10,
    warmup_epochs=2,
    verbose=True,
):
    """A cosine head and one of the margin losses on glyph identities, after a warm-up.

    Args:
        glyphs, num_classes, embedding_dim, verbose: as for `glyph_softmax`.
        loss, options: as for `margin`.
        epochs: the whole budget; the warm-up is a part of it.
        warmup_epochs: how many of them are plain softmax.
    """
    backbone = build_backbone(embedding_dim)
    head = training.warm_up(backbone, glyphs, num_classes, warmup_epochs, verbose)
    model = keras.Sequential([backbone, head])
    loss = getattr(losses, loss)(**options)
    training.train(model, glyphs, loss, epochs - warmup_epochs, verbose=verbose)
    return model


def glyph_partial(
    glyphs, share, loss, options, num_classes, embedding_dim=64, epochs=10, verbose=True
):
    """A margin loss on glyph identities with Partial FC from the first step on, no warm-up.

    Args:
        glyphs, num_classes, embedding_dim, verbose: as for `glyph_softmax`.
        share: of the classes in each training step; 1 is the plain cosine head.
        loss, options: as for `margin`.
        epochs: the whole budget.
    """
    backbone = build_backbone(embedding_dim)
    model = PartialFCModel(backbone, CosineHead(num_classes, name="head"), share)
    training.train(model, glyphs, getattr(losses, loss)(**options), epochs, verbose=verbose)
    return model


# --- the two reference demonstrations, with all of MNIST ------------------------------------------


def demo_2d(digits, method, options=None, epochs=3, num_classes=10, verbose=True):
    """The 2-D demonstration: Adam, batches of 32, three epochs, the embedding's length as scale.

    Args:
        digits: what `lib.data.load_digits` returned; the demonstration has all of MNIST.
        method: "softmax" or "margin".
        options: for "margin", those of `lib.models.FeatureScaleMarginModel`; {} is modified
            softmax.
        epochs: three there.
        num_classes: of the head.
        verbose: print a line for each epoch.
    """
    backbone = build_demo_2d_backbone()
    if method == "softmax":
        model = keras.Sequential([backbone, keras.layers.Dense(num_classes, name="head")])
    else:
        model = models.FeatureScaleMarginModel(backbone, num_classes, **(options or {}))
    loss = losses.softmax_cross_entropy if method == "softmax" else None  # the model brings it
    _fit_demo(model, digits, loss, epochs, learning_rate=0.001, batch_size=32, verbose=verbose)
    return model


def demo_20d(digits, method, options=None, loss=None, num_classes=10, verbose=True):
    """The 20-D demonstration: Adam with 0.01, batches of 64, ten epochs.

    What has a margin gets one more epoch of plain softmax before, as there, and takes its class
    weights over.

    Args:
        digits, num_classes, verbose: as for `demo_2d`.
        method: "softmax", "center" or "margin".
        options: for "center", those of `lib.models.CenterLossModel`; for "margin", those of
            `lib.models.FeatureScaleMarginModel`, or of the loss if one is named.
        loss: for "margin" with a fixed scale, the name of a class in `lib.losses`; without one the
            embedding's length is the scale.
    """
    recipe = {"learning_rate": 0.01, "batch_size": 64, "verbose": verbose}
    backbone = build_demo_20d_backbone()
    head = keras.layers.Dense(num_classes, use_bias=method != "margin", name="head")
    model = keras.Sequential([backbone, head])
    compiled_loss = losses.softmax_cross_entropy
    if method == "center":
        model = models.CenterLossModel(backbone, head, **options)
    if method == "margin":
        _fit_demo(model, digits, compiled_loss, epochs=1, **recipe)
        if loss:
            compiled_loss = getattr(losses, loss)(**options)
            model = keras.Sequential([backbone, CosineHead(num_classes, name="head")])
        else:
            compiled_loss = None  # the model brings it along
            model = models.FeatureScaleMarginModel(backbone, num_classes, **options)
        model.build((None, *digits.x_train.shape[1:]))
        model.get_layer("head").set_weights(head.get_weights())
    _fit_demo(model, digits, compiled_loss, epochs=10, **recipe)
    return model


def _fit_demo(model, digits, loss, epochs, learning_rate, batch_size, verbose):
    """Adam with a fixed learning rate, as the demonstrations have it."""
    model.compile(
        keras.optimizers.Adam(learning_rate),
        loss=loss,
        metrics=["accuracy"],
        steps_per_execution=10,
    )
    callbacks = [training.StopOnNonFiniteLoss(), *([training.EpochLines()] if verbose else [])]
    model.fit(
        digits.x_train,
        digits.y_train,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=callbacks,
    )
