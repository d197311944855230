"""Training is repeatable, keeps its budget, reports, and stops at a loss that is no number."""

import re

from lib import training
from lib.backbones import build_backbone
from lib.data import Digits
from lib.layers import CosineHead
from lib.losses import softmax_cross_entropy
from lib.records import recipes

import keras
import numpy as np
import pytest


@pytest.fixture(scope="module")
def few_digits():
    """Three hundred noisy stripes in ten classes, in the place of digits."""
    rng = np.random.default_rng(0)
    labels = np.arange(300, dtype="int32") % 10
    images = 0.1 * rng.random((300, 28, 28, 1), dtype="float32")
    images[np.arange(300), 2 * labels + 4] = 1.0
    return Digits("stripes", images, labels, images, labels, images, labels)


def small_model():
    return keras.Sequential([build_backbone(embedding_dim=2), keras.layers.Dense(10)])


def test_the_same_seed_gives_the_same_weights_to_the_bit(few_digits):
    weights = []
    for seed in (3, 3, 4):
        training.set_seed(seed)
        model = small_model()
        training.train(model, few_digits, softmax_cross_entropy, epochs=2, verbose=False)
        weights.append(np.concatenate([w.numpy().ravel() for w in model.weights]))
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_the_budget_comes_from_the_one_switch(monkeypatch):
    monkeypatch.delenv("COURSE_MODE", raising=False)
    assert training.epoch_budget() == training.EPOCHS["lesson"]
    monkeypatch.setenv("COURSE_MODE", "full")
    assert training.epoch_budget() == training.EPOCHS["full"]


def test_one_readable_line_for_each_epoch(few_digits, capsys):
    history = training.train(small_model(), few_digits, softmax_cross_entropy, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(
        re.fullmatch(rf"epoch {i}/2 · loss \d+\.\d+ · accuracy [01]\.\d+ · \d+\.\d s", line)
        for i, line in enumerate(lines, start=1)
    )
    assert len(history.history["loss"]) == 2


def test_quiet_training_prints_nothing(few_digits, capsys):
    training.train(small_model(), few_digits, softmax_cross_entropy, epochs=1, verbose=False)
    assert capsys.readouterr().out == ""


def test_the_learning_rate_falls_to_zero(few_digits):
    model = small_model()
    training.train(model, few_digits, softmax_cross_entropy, epochs=2, verbose=False)
    schedule = model.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(training.LEARNING_RATE)
    assert float(schedule(int(model.optimizer.iterations))) == pytest.approx(0, abs=1e-9)


def test_a_learning_rate_without_decay_stays(few_digits):
    model = small_model()
    training.train(
        model, few_digits, softmax_cross_entropy, 1, learning_rate=0.01, decay=False, verbose=False
    )
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_a_loss_that_is_not_a_number_stops_the_training_with_a_reason(few_digits):
    with pytest.raises(FloatingPointError, match="learning rate"):
        training.train(
            small_model(),
            few_digits,
            lambda labels, logits: keras.ops.log(keras.ops.sum(logits, axis=-1) * 0 - 1),
            epochs=1,
            verbose=False,
        )


def test_no_epochs_is_an_error(few_digits):
    with pytest.raises(ValueError, match="at least 1"):
        training.train(small_model(), few_digits, softmax_cross_entropy, epochs=0)


def test_a_warm_up_trains_the_backbone_and_hands_over_its_class_weights(few_digits):
    training.set_seed(0)
    backbone = build_backbone(embedding_dim=2)
    before = backbone.get_layer("embedding").kernel.numpy().copy()
    head = training.warm_up(backbone, few_digits, epochs=1, verbose=False)
    assert isinstance(head, CosineHead)
    assert not np.array_equal(before, backbone.get_layer("embedding").kernel.numpy())
    # the new head chooses the same classes as the old one did: its columns point the same way
    training.set_seed(0)
    again = build_backbone(embedding_dim=2)
    softmax_head = keras.layers.Dense(10, use_bias=False)
    model = keras.Sequential([again, softmax_head])
    training.train(model, few_digits, softmax_cross_entropy, epochs=1, verbose=False)
    assert np.array_equal(head.kernel.numpy(), softmax_head.kernel.numpy())


@pytest.mark.parametrize(("warmup_epochs", "epochs"), [(0, None), (2, None), (1, 3)])
def test_a_warm_up_is_part_of_the_budget(few_digits, monkeypatch, warmup_epochs, epochs):
    trained = []
    whole_train = training.train
    monkeypatch.setattr(
        training,
        "train",
        lambda model, digits, loss, epochs=None, **options: trained.append(
            len(whole_train(model, digits, loss, epochs, **options).epoch)
        ),
    )
    recipes.margin(
        few_digits,
        "ArcFaceLoss",
        {"margin": 0.2, "scale": 16},
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        verbose=False,
    )
    assert sum(trained) == (epochs or training.EPOCHS["lesson"])
    assert len(trained) == (2 if warmup_epochs else 1)


def test_the_annealing_knows_the_steps_of_its_training(few_digits):
    """300 images make three batches; a schedule for too many steps would not come down in time."""
    model = recipes.annealed_sphereface(few_digits, margin=4, verbose=False)
    assert model.training_steps == 3 * training.EPOCHS["lesson"] == int(model.optimizer.iterations)
    assert model.margin == 4
    assert float(model.annealing) == 5.0


def test_a_length_scaled_margin_is_the_one_asked_for(few_digits):
    model = recipes.length_scaled_margin(few_digits, {"m1": 4}, embedding_dim=3, verbose=False)
    assert (model.m1, model.m2, model.m3) == (4, 0, 0)
    assert model.backbone.output_shape == (None, 3)
    assert int(model.optimizer.iterations) == 3 * training.EPOCHS["lesson"]
