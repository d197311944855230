"""Semi-hard triplets: each pair's negative is the right one, and batches hold whole groups."""

from types import SimpleNamespace

from lib import evaluation, training
from lib.layers import CosineHead
from lib.records import recipes
from lib.records.triplets import PersonBatches, SemiHardTripletLoss
from loss_cases import array, value_and_gradient

import keras
import numpy as np
import pytest

# --- the loss -------------------------------------------------------------------------------------

UNEQUAL = np.array([3, 0, 3, 1, 0, 3, 7, 1, 3, 0, 0, 7, 5])  # 4, 4, 2, 2 and 1 images of a person


def triplets_of(labels, embeddings, margin):
    """For each anchor its triplets, by loops over a, p and n.

    Each is (cost, may be below 0; how near another choice of n is; whether none was farther).
    """
    unit = np.float64(embeddings)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    who = np.arange(len(labels))
    found = []
    for a in who:
        found.append([])
        others = [((unit[a] - unit[n]) ** 2).sum() for n in who if labels[n] != labels[a]]
        for p in who:
            if p == a or labels[p] != labels[a]:
                continue
            genuine = ((unit[a] - unit[p]) ** 2).sum()
            farther = [distance for distance in others if distance > genuine]
            negative = min(farther) if farther else max(others)
            unlike = [distance for distance in others if distance != negative]
            near = min(abs(distance - x) for distance in unlike for x in (genuine, negative))
            near = min(near, abs(negative - genuine))
            found[a].append((margin + genuine - negative, near, not farther))
    return found


def by_brute_force(labels, embeddings, margin):
    """The loss of each anchor: the mean over its positives, 0 where it has none."""
    found = triplets_of(labels, embeddings, margin)
    costs = [[max(0.0, cost) for cost, *_ in rows] for rows in found]
    return np.array([np.mean(row) if row else 0.0 for row in costs])


def drawn(seed, labels=UNEQUAL, dim=5, spread=0.8):
    """Embeddings around a direction for each person, of different lengths."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((labels.max() + 1, dim))[labels]
    points = directions + spread * rng.standard_normal((len(labels), dim))
    return (points * rng.uniform(0.2, 5, (len(labels), 1))).astype("float32")


@pytest.mark.parametrize("margin", [0.05, 0.2, 0.8, 2.0])
@pytest.mark.parametrize("spread", [0.1, 0.8, 5.0])
def test_the_loss_of_each_anchor_is_that_of_plain_loops(margin, spread):
    for seed in range(5):
        embeddings = drawn(seed, spread=spread)
        expected = by_brute_force(UNEQUAL, embeddings, margin)
        values = array(SemiHardTripletLoss(margin).call(UNEQUAL, embeddings))
        np.testing.assert_allclose(values, expected, atol=3e-6)
        assert values[UNEQUAL == 5] == 0, "this anchor has no positive"
        batch = SemiHardTripletLoss(margin)(UNEQUAL, embeddings)
        assert float(batch) == pytest.approx(expected.mean(), abs=3e-6)


def test_the_default_margin_is_that_of_facenet():
    embeddings = drawn(0)
    values = array(SemiHardTripletLoss().call(UNEQUAL, embeddings))
    np.testing.assert_allclose(values, by_brute_force(UNEQUAL, embeddings, 0.2), atol=3e-6)


def on_a_circle(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype("float32")


def squared(degrees):
    return 2 - 2 * np.cos(np.radians(degrees))


def test_of_the_farther_ones_the_closest_is_the_negative():
    """From the anchor at 0: its positive at 40, others at 20 (too close), 60 (chosen) and 90."""
    embeddings, labels = on_a_circle(0, 40, -20, 60, 90), np.array([0, 0, 1, 2, 3])
    value = array(SemiHardTripletLoss(1.0).call(labels, embeddings))[0]
    assert value == pytest.approx(1 + squared(40) - squared(60), abs=1e-6)


def test_where_none_is_farther_the_farthest_of_all_is_the_negative():
    embeddings, labels = on_a_circle(0, 100, 10, -30, 20), np.array([0, 0, 1, 2, 3])
    assert triplets_of(labels, embeddings, 0.2)[0][0][2]
    value = array(SemiHardTripletLoss(0.2).call(labels, embeddings))[0]
    assert value == pytest.approx(0.2 + squared(100) - squared(30), abs=1e-6)


def test_lengths_do_not_count_and_well_parted_people_cost_nothing():
    embeddings = drawn(1)
    loss = SemiHardTripletLoss(0.3)
    longer = embeddings * np.float32([[3], *[[0.5]] * 12])
    np.testing.assert_allclose(
        array(loss.call(UNEQUAL, longer)), array(loss.call(UNEQUAL, embeddings)), atol=3e-6
    )
    parted = np.eye(8, dtype="float32")[UNEQUAL]
    assert not array(loss.call(UNEQUAL, parted)).any()


def test_labels_may_have_an_axis_of_one_and_any_order():
    embeddings, loss = drawn(2), SemiHardTripletLoss(0.5)
    flat = array(loss.call(UNEQUAL, embeddings))
    np.testing.assert_array_equal(array(loss.call(UNEQUAL[:, None], embeddings)), flat)
    assert float(loss(UNEQUAL[:, None], embeddings)) == float(loss(UNEQUAL, embeddings))
    order = np.random.default_rng(0).permutation(len(UNEQUAL))
    turned = array(loss.call(UNEQUAL[order], embeddings[order]))
    np.testing.assert_allclose(turned, flat[order], atol=3e-6)


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_the_gradient_is_that_of_finite_differences(margin):
    """Where neither another negative nor the end of a triplet's cost is within reach."""
    labels, step, checked = np.array([0, 0, 0, 1, 1, 2]), 1e-5, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        embeddings = rng.standard_normal((6, 3)).astype("float32")
        rows = [row for anchor in triplets_of(labels, embeddings, margin) for row in anchor]
        if min(min(abs(cost), near) for cost, near, _ in rows) < 0.002:
            continue
        loss = SemiHardTripletLoss(margin)
        gradient = value_and_gradient(lambda x, loss=loss: loss.call(labels, x), embeddings)[1]
        expected = np.zeros((6, 3))
        for place in np.ndindex(6, 3):
            shift = np.zeros((6, 3))
            shift[place] = step
            up, down = (
                by_brute_force(labels, embeddings + sign * shift, margin).sum() for sign in (1, -1)
            )
            expected[place] = (up - down) / (2 * step)
        np.testing.assert_allclose(gradient, expected, atol=2e-5)
        checked += 1
    assert checked >= 5


def test_the_gradient_is_finite_where_embeddings_are_equal():
    embeddings = np.ones((4, 3), "float32")
    labels = np.array([0, 0, 1, 1])
    values, gradient = value_and_gradient(
        lambda x: SemiHardTripletLoss(0.2).call(labels, x), embeddings
    )
    np.testing.assert_allclose(values, 0.2, atol=1e-6)
    assert np.isfinite(gradient).all()


def test_where_a_batch_holds_one_person_only_there_is_no_triplet_and_no_cost():
    """The last batch of an epoch may be one group."""
    values, gradient = value_and_gradient(
        lambda x: SemiHardTripletLoss(0.2).call(np.zeros(13, "int32"), x), drawn(0)
    )
    assert not values.any()
    assert not gradient.any()


# --- batches --------------------------------------------------------------------------------------

COUNTS = {0: 8, 1: 4, 2: 12, 5: 8}  # images of each person


def batches_of(counts=COUNTS, batch_size=8, group=4, seed=0):
    """Batches of images that are just their own number."""
    labels = np.repeat(list(counts), list(counts.values()))
    order = np.random.default_rng(7).permutation(len(labels))
    keras.utils.set_random_seed(seed)
    return PersonBatches(np.arange(len(labels)), labels[order], batch_size, group)


def epoch_of(batches):
    """The images of one epoch, batch by batch."""
    return [batches[index][0] for index in range(len(batches))]


@pytest.mark.parametrize(("batch_size", "group"), [(8, 4), (8, 2), (4, 4), (12, 4), (64, 4)])
def test_a_batch_holds_whole_groups_and_an_epoch_all_images_once(batch_size, group):
    batches = batches_of(batch_size=batch_size, group=group)
    assert len(batches) == -(-32 // batch_size)
    sizes = [len(images) for images in epoch_of(batches)]
    assert sizes[:-1] == [batch_size] * (len(batches) - 1)
    for _ in range(3):
        for index in range(len(batches)):
            images, labels = batches[index]
            np.testing.assert_array_equal(labels, batches.labels[images])
            groups = labels.reshape(-1, group)
            assert (groups == groups[:, :1]).all()
        assert sorted(np.concatenate(epoch_of(batches))) == list(range(32))
        batches.on_epoch_end()


def test_what_fills_no_group_is_left_out_of_an_epoch_but_not_for_good():
    batches = batches_of({0: 9, 1: 3, 4: 6})
    seen = set()
    for _ in range(30):
        images = np.concatenate(epoch_of(batches))
        assert len(set(images)) == len(images) == 12
        assert np.bincount(batches.labels[images], minlength=5).tolist() == [8, 0, 0, 0, 4]
        seen |= set(images)
        batches.on_epoch_end()
    assert seen == set(np.flatnonzero(batches.labels != 1))


def test_the_next_epoch_has_another_order_other_groups_and_other_neighbours():
    batches = batches_of()
    first = np.concatenate(epoch_of(batches))
    batches.on_epoch_end()
    second = np.concatenate(epoch_of(batches))
    assert (first != second).any()
    groups = [{frozenset(g) for g in order.reshape(-1, 4)} for order in (first, second)]
    assert groups[0] != groups[1]
    people = [batches.labels[order[::4]].tolist() for order in (first, second)]
    assert people[0] != people[1]


def test_the_seed_decides_the_order_of_all_epochs():
    def two_epochs(seed):
        batches = batches_of(seed=seed)
        first = epoch_of(batches)
        batches.on_epoch_end()
        return np.concatenate(first + epoch_of(batches)).tolist()

    assert two_epochs(3) == two_epochs(3)
    assert two_epochs(3) != two_epochs(4)


# --- training with them ---------------------------------------------------------------------------


def tiny_backbone(embedding_dim=2):
    dense = keras.layers.Dense(embedding_dim, name="embedding")
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), dense])


@pytest.fixture
def stripes():
    """Twelve noisy pictures of each of six people: a stripe at the person's height."""
    rng = np.random.default_rng(0)
    labels = np.arange(72, dtype="int32") % 6
    images = 0.3 * rng.random((72, 28, 28, 1), dtype="float32")
    images[np.arange(72), 4 * labels + 2] += 0.5
    return SimpleNamespace(x_train=images, y_train=labels)


def test_a_training_makes_one_step_of_each_batch_and_its_rate_falls_to_zero(stripes):
    keras.utils.set_random_seed(0)
    batches = PersonBatches(stripes.x_train, stripes.y_train, batch_size=16)
    model = tiny_backbone()
    loss = SemiHardTripletLoss(0.5)
    history = training.train(model, batches, loss, epochs=3, metrics=(), verbose=False).history
    assert set(history) == {"loss"}
    assert int(model.optimizer.iterations) == 3 * len(batches) == 15
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("warmup_epochs", [0, 1])
def test_the_recipe_ends_in_a_head_of_the_class_centres(stripes, monkeypatch, warmup_epochs):
    monkeypatch.setattr(recipes, "build_backbone", tiny_backbone)
    budgets, train = [], training.train

    def counted(model, data, loss=None, epochs=None, *more, **options):
        budgets.append((type(data), getattr(loss, "margin", None), epochs))
        return train(model, data, loss, epochs, *more, **options)

    monkeypatch.setattr(training, "train", counted)
    training.set_seed(0)
    model = recipes.triplet(
        stripes, 0.4, 6, embedding_dim=4, epochs=3, warmup_epochs=warmup_epochs, verbose=False
    )
    warm = [(SimpleNamespace, None, 1)] * warmup_epochs
    assert budgets == [*warm, (PersonBatches, 0.4, 3 - warmup_epochs)]
    head = model.layers[-1]
    assert isinstance(head, CosineHead)
    embeddings = evaluation.embed(evaluation.backbone_of(model), stripes.x_train)
    assert embeddings.shape == (72, 4)
    centres = evaluation.class_centres(embeddings, stripes.y_train)
    np.testing.assert_allclose(array(head.kernel), centres.T, atol=1e-6)
    cosines = evaluation.embed(model, stripes.x_train)
    assert cosines.shape == (72, 6)
    np.testing.assert_allclose(
        cosines, np.cos(evaluation.angles_to_centres(embeddings, centres)), atol=1e-5
    )


def test_triplets_bring_the_pictures_of_a_person_together(stripes, monkeypatch):
    monkeypatch.setattr(recipes, "build_backbone", tiny_backbone)
    monkeypatch.setattr(training, "BATCH_SIZE", 24)
    options = {"num_classes": 6, "embedding_dim": 4, "warmup_epochs": 0, "verbose": False}

    def loss_after(epochs):
        training.set_seed(0)
        model = recipes.triplet(stripes, 0.4, epochs=epochs, **options)
        embeddings = evaluation.embed(evaluation.backbone_of(model), stripes.x_train)
        return by_brute_force(stripes.y_train, embeddings, 0.4).mean()

    assert loss_after(20) < 0.5 * loss_after(1)
