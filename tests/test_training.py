"""Training is repeatable, keeps its budget, reports, and stops at a loss that is no number."""

import re

from lib import training
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


def tiny_backbone(embedding_dim=2):
    """Quick to compile: what is tested here needs no convolutions."""
    dense = keras.layers.Dense(embedding_dim, name="embedding")
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), dense])


@pytest.fixture
def tiny_recipes(monkeypatch):
    monkeypatch.setattr(recipes, "build_backbone", tiny_backbone)


def train_tiny(digits, loss=softmax_cross_entropy, **options):
    model = keras.Sequential([tiny_backbone(), keras.layers.Dense(10)])
    return model, training.train(model, digits, loss, **options)


def test_the_same_seed_gives_the_same_weights_to_the_bit(few_digits):
    def model_of(seed):
        training.set_seed(seed)
        return training.build_softmax_model()

    first, again = model_of(3), model_of(3)
    for model in (first, again):
        training.set_seed(3)
        training.train(model, few_digits, softmax_cross_entropy, epochs=1, verbose=False)
    for ours, theirs in zip(first.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert not np.array_equal(model_of(3).get_weights()[0], model_of(4).get_weights()[0])


def test_the_budget_comes_from_the_one_switch(monkeypatch):
    monkeypatch.delenv("COURSE_MODE", raising=False)
    assert training.epoch_budget() == training.EPOCHS["lesson"]
    monkeypatch.setenv("COURSE_MODE", "full")
    assert training.epoch_budget() == training.EPOCHS["full"]


def test_each_epoch_has_a_readable_line_and_the_learning_rate_falls_to_zero(few_digits, capsys):
    model, history = train_tiny(few_digits, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(history.history["loss"]) == 2
    for i, line in enumerate(lines, start=1):
        assert re.fullmatch(rf"epoch {i}/2 · loss \d+\.\d+ · accuracy [01]\.\d+ · \d+\.\d s", line)
    schedule = model.optimizer._learning_rate
    assert float(schedule(0)) == pytest.approx(training.LEARNING_RATE)
    assert float(schedule(int(model.optimizer.iterations))) == pytest.approx(0, abs=1e-9)


def test_a_quiet_training_prints_nothing_and_without_decay_its_learning_rate_stays(
    few_digits, capsys
):
    model, _ = train_tiny(few_digits, epochs=1, learning_rate=0.01, decay=False, verbose=False)
    assert capsys.readouterr().out == ""
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_a_loss_that_is_not_a_number_stops_the_training_with_a_reason(few_digits):
    def log_of_minus_one(labels, logits):
        return keras.ops.log(keras.ops.sum(logits, axis=-1) * 0 - 1)

    with pytest.raises(FloatingPointError, match="learning rate"):
        train_tiny(few_digits, log_of_minus_one, epochs=1, verbose=False)


def test_no_epochs_is_an_error(few_digits):
    with pytest.raises(ValueError, match="at least 1"):
        train_tiny(few_digits, epochs=0)


def test_a_warm_up_trains_the_backbone_and_hands_over_its_class_weights(few_digits, monkeypatch):
    trained = []
    train = training.train

    def remembering(model, *args, **options):
        trained.append(model)
        return train(model, *args, **options)

    monkeypatch.setattr(training, "train", remembering)
    backbone = tiny_backbone()
    before = backbone.get_layer("embedding").kernel.numpy().copy()
    head = training.warm_up(backbone, few_digits, epochs=1, verbose=False)
    assert not np.array_equal(before, backbone.get_layer("embedding").kernel.numpy())
    (model,) = trained
    assert model.loss is softmax_cross_entropy
    (kernel,) = model.layers[-1].get_weights()  # and no bias, which the cosine head could not take
    assert isinstance(head, CosineHead)
    assert np.array_equal(head.kernel.numpy(), kernel)


@pytest.mark.parametrize(
    ("warmup_epochs", "epochs", "expected"), [(0, None, [6]), (2, None, [2, 4]), (1, 3, [1, 2])]
)
def test_a_warm_up_is_part_of_the_budget(
    few_digits, monkeypatch, tiny_recipes, warmup_epochs, epochs, expected
):
    trained = []
    monkeypatch.setattr(
        training,
        "train",
        lambda model, digits, loss, epochs=None, **options: trained.append(epochs),
    )
    recipes.margin(
        few_digits,
        "ArcFaceLoss",
        {"margin": 0.2, "scale": 16},
        epochs=epochs,
        warmup_epochs=warmup_epochs,
        verbose=False,
    )
    assert trained == expected


def test_the_annealing_knows_the_steps_of_its_training(few_digits, tiny_recipes):
    """300 images make three batches; a schedule for too many steps would not come down in time."""
    model = recipes.annealed_sphereface(few_digits, margin=4, verbose=False)
    assert model.training_steps == 3 * training.EPOCHS["lesson"] == int(model.optimizer.iterations)
    assert model.margin == 4
    assert float(model.annealing) == 5.0


def test_a_length_scaled_margin_is_the_one_asked_for(few_digits, tiny_recipes):
    model = recipes.length_scaled_margin(few_digits, {"m1": 4}, embedding_dim=3, verbose=False)
    assert (model.m1, model.m2, model.m3) == (4, 0, 0)
    assert model.backbone.output_shape == (None, 3)
    assert int(model.optimizer.iterations) == 3 * training.EPOCHS["lesson"]
