"""Scoreboards and tables: cases worked by hand, brute force, properties."""

import tracemalloc
from types import SimpleNamespace

from lib import evaluation, verification
from lib.layers import CosineHead, ModifiedSoftmaxHead, SubCenterHead
from lib.records import results
from test_verification import clusters, directions

import keras
import numpy as np
import pytest

# --- angles and centres ---------------------------------------------------------------------------


def test_angles_keep_their_digits_at_both_ends():
    wanted = np.array([0.0, 1e-9, 1e-6, 1e-3, 1.0, np.pi / 2, np.pi - 1e-6, np.pi])
    embeddings = np.stack([np.cos(wanted), np.sin(wanted)], axis=1)
    angles = evaluation.angles_to_centres(embeddings, np.array([[1.0, 0.0]]))[:, 0]
    np.testing.assert_allclose(angles, wanted, rtol=1e-9, atol=1e-15)
    with np.errstate(invalid="ignore"):
        assert np.arccos(embeddings[1, 0]) == 0, "which is why arccos will not do"


def test_an_embedding_is_at_angle_zero_to_itself():
    """Also where rounding takes the cosine above 1, which makes arccos NaN."""
    embeddings = np.random.default_rng(0).standard_normal((500, 7)).astype("float32")
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    assert (np.sum(unit * unit, axis=1) > 1).any()
    angles = evaluation.angles_to_centres(embeddings, embeddings)
    assert np.diag(angles).max() == 0
    assert np.isfinite(angles).all()


def test_angles_do_not_depend_on_lengths():
    embeddings, _ = clusters()
    lengths = np.geomspace(1e-6, 1e6, len(embeddings))[:, None]
    np.testing.assert_allclose(
        evaluation.angles_to_centres(embeddings * lengths, 3 * embeddings[:4]),
        evaluation.angles_to_centres(embeddings, embeddings[:4]),
        atol=1e-7,
    )


def test_a_centre_is_the_mean_direction_and_long_embeddings_do_not_decide():
    embeddings = directions(0, 40, 90, 100) * np.array([[100.0], [1], [7], [0.1]])
    centres = evaluation.class_centres(embeddings, np.array([0, 0, 1, 1]))
    np.testing.assert_allclose(centres, directions(20, 95), atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "degrees", "num_classes", "message"),
    [
        ([0, 2], (0, 90), 4, "labels: no embedding of class 1, 3, so it has no centre"),
        # named without the memory for all of them
        ([0, 10**9], (0, 90), None, r"class 1, 2, 3, 4, 5 and 1 more.*1,000,000,001\)"),
        ([0, 1, 1], (0, 10, 190), None, "embeddings: those of class 1 cancel out"),
    ],
)
def test_a_class_without_a_centre_is_named(labels, degrees, num_classes, message):
    with pytest.raises(ValueError, match=message):
        evaluation.class_centres(directions(*degrees), np.array(labels), num_classes=num_classes)


# --- the scoreboard -------------------------------------------------------------------------------


def hand_worked():
    """Two classes; the third image lies nearer to the wrong centre, the second has a wrong logit.

    Pairs: (0, 1) 70° impostor, (0, 2) 20° impostor, (1, 2) 50° genuine. Of the two impostor pairs
    one scores above the genuine pair, so both error rates meet at 0.5.
    """
    return {
        "logits": np.array([[2.0, 1.0], [3.0, 1.0], [0.0, 0.1]]),
        "embeddings": directions(10, 80, 30) * 5,
        "labels": np.array([0, 1, 1]),
        "centre_embeddings": directions(-5, 5, 85, 95),
        "centre_labels": np.array([0, 0, 1, 1]),
    }


def test_the_scoreboard_of_a_case_worked_by_hand():
    board = evaluation.scoreboard(**hand_worked())
    assert board.head_accuracy == pytest.approx(2 / 3)
    assert board.centre_accuracy == pytest.approx(2 / 3)
    assert board.own_angle == pytest.approx((10 + 10 + 60) / 3)
    assert board.nearest_angle == pytest.approx(90)
    assert board.eer == pytest.approx(0.5)
    assert all(type(value) is float for value in vars(board).values()), "they go into a JSON file"


def test_nearest_other_centre_is_averaged_over_classes():
    """Centres at 0°, 30° and 90°: the nearest other is 30°, 30° and 60° away."""
    case = {
        "logits": np.eye(3)[[0, 1, 2, 0]],
        "embeddings": directions(0, 30, 90, 0),
        "labels": np.array([0, 1, 2, 0]),
        "centre_embeddings": directions(0, 30, 90),
        "centre_labels": np.array([0, 1, 2]),
    }
    board = evaluation.scoreboard(**case)
    assert board.nearest_angle == pytest.approx(40)
    assert board.own_angle == pytest.approx(0, abs=1e-9)
    assert (board.head_accuracy, board.centre_accuracy, board.eer) == (1, 1, 0)


def test_a_collapsed_embedding_scores_like_chance():
    labels = np.repeat(np.arange(4), 5)
    same = np.ones((20, 3), dtype="float32")
    board = evaluation.scoreboard(np.zeros((20, 4)), same, labels, same, labels)
    assert board == evaluation.Scoreboard(0.25, 0.25, 0.0, 0.0, 0.5)


def test_the_scoreboard_is_blind_to_rotation_scaling_and_order():
    embeddings, labels = clusters(identities=4, images=40, noise=0.7)
    logits = np.random.default_rng(1).standard_normal((160, 4))
    plain = evaluation.scoreboard(logits, embeddings, labels, embeddings, labels)
    rng = np.random.default_rng(2)
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    moved = embeddings @ rotation * rng.uniform(0.1, 10, (160, 1))
    order = rng.permutation(160)
    other = evaluation.scoreboard(logits[order], moved[order], labels[order], moved, labels)
    assert vars(other) == pytest.approx(vars(plain), abs=2e-4)


@pytest.mark.parametrize("apart", [1e-3, 1e-4, 1e-6])
def test_classes_too_close_for_float32_are_told_apart_by_every_score(apart):
    """Every cosine is 1 − 1e-6 or less far from 1: in float32 most of these pairs tie."""
    angle = np.repeat([0, 1], 10) * apart + np.tile(np.linspace(-0.1, 0.1, 10), 2) * apart
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    labels = np.repeat([0, 1], 10)
    board = evaluation.scoreboard(np.eye(2)[labels], embeddings, labels, embeddings, labels)
    assert (board.head_accuracy, board.centre_accuracy, board.eer) == (1, 1, 0)
    assert verification.score_pairs(embeddings, labels).impostor.max() < 1
    ranks = verification.ranks(embeddings[[4, 14]], labels[[4, 14]], embeddings, labels)
    assert (ranks == 1).all()


class WithBackbone(keras.Model):
    """A model whose first layer is not its backbone."""

    def __init__(self, backbone, head):
        super().__init__()
        self.head, self.backbone = head, backbone

    def call(self, images):
        return self.head(self.backbone(images))


@pytest.mark.parametrize("wrap", [lambda b, h: keras.Sequential([b, h]), WithBackbone])
def test_a_model_is_evaluated_by_its_backbone_and_its_output(wrap):
    rng = np.random.default_rng(0)
    kernel, weights = rng.standard_normal((784, 3)), rng.standard_normal((3, 4))
    backbone = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)]
    )
    head = keras.layers.Dense(4, use_bias=False)
    model = wrap(backbone, head)
    model(np.zeros((1, 28, 28, 1), dtype="float32"))
    assert evaluation.backbone_of(model) is backbone
    backbone.set_weights([kernel])
    head.set_weights([weights])
    digits = SimpleNamespace(
        x_clean=rng.random((24, 28, 28, 1), dtype="float32"),
        y_clean=np.arange(24) % 4,
        x_test=rng.random((16, 28, 28, 1), dtype="float32"),
        y_test=np.arange(16) % 4,
    )
    test, clean = digits.x_test.reshape(16, 784) @ kernel, digits.x_clean.reshape(24, 784) @ kernel
    expected = evaluation.scoreboard(test @ weights, test, digits.y_test, clean, digits.y_clean)
    assert vars(evaluation.evaluate_model(model, digits)) == pytest.approx(vars(expected), abs=1e-3)
    embeddings = evaluation.embed(backbone, digits.x_test, batch_size=5)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, test, rtol=1e-4, atol=1e-4)
    shown = evaluation.for_pictures(model, digits)
    centres = evaluation.class_centres(clean, digits.y_clean)
    assert np.array_equal(shown["labels"], digits.y_test)
    for name, expected in (("embeddings", test), ("centres", centres), ("weights", weights)):
        np.testing.assert_allclose(shown[name], expected, rtol=1e-3, atol=1e-3)


def layers_of(kind, head):
    """The same layers four times over: as they are held by each kind of model."""
    inner = [keras.layers.Flatten(), keras.layers.Dense(6), keras.layers.Dense(3)]
    if kind == "flat":
        return inner, keras.Sequential([keras.Input((4, 4, 1)), *inner, head])
    if kind == "flat, built by a call":
        return inner, keras.Sequential([*inner, head])
    if kind == "probabilities behind":
        return inner, keras.Sequential(
            [keras.Input((4, 4, 1)), *inner, head, keras.layers.Softmax()]
        )
    images = x = keras.Input((4, 4, 1))
    for layer in inner:
        x = layer(x)
    return inner, keras.Model(images, head(x))


@pytest.mark.parametrize(
    "kind", ["flat", "flat, built by a call", "probabilities behind", "functional"]
)
@pytest.mark.parametrize(
    "head", [CosineHead, ModifiedSoftmaxHead, SubCenterHead, keras.layers.Dense]
)
def test_the_embedding_is_what_the_head_is_given(kind, head):
    layers, model = layers_of(kind, head(5))
    images = np.random.default_rng(0).random((7, 4, 4, 1), dtype="float32")
    model(images)
    expected = images
    for layer in layers:
        expected = layer(expected)
    embeddings = evaluation.embed(evaluation.backbone_of(model), images)
    np.testing.assert_array_equal(embeddings, keras.ops.convert_to_numpy(expected))


def test_a_subclass_without_a_backbone_is_refused_in_words():
    class Other(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.last = keras.layers.Dense(3), CosineHead(5)

        def call(self, images):
            return self.last(self.first(images))

    model = Other()
    model(np.ones((1, 4), dtype="float32"))
    with pytest.raises(ValueError, match="in a subclass of keras.Model set self.backbone"):
        evaluation.backbone_of(model)


def test_of_two_heads_none_is_taken_by_chance():
    images = keras.Input((4,))
    embeddings = keras.layers.Dense(3)(images)
    model = keras.Model(images, [keras.layers.Dense(n)(embeddings) for n in (5, 2)])
    with pytest.raises(ValueError, match="does not end in a head"):
        evaluation.backbone_of(model)


# --- distances ------------------------------------------------------------------------------------


def test_distance_scores_by_hand():
    centre_labels = np.array([0, 0, 1, 1])
    of_centres = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 6.0]])  # (2, 0) and (0, 5)
    embeddings = np.array([[2.0, 1.0], [4.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    labels = np.array([0, 0, 1, 1])
    scores = evaluation.distance_scores(embeddings, labels, of_centres, centre_labels)
    assert scores["own_distance"] == pytest.approx((1 + 2 + 0 + 17**0.5) / 4)
    assert scores["nearest_distance"] == pytest.approx(29**0.5)
    ratio = scores["own_distance"] / scores["nearest_distance"]
    assert scores["distance_ratio"] == pytest.approx(ratio)
    assert scores["distance_accuracy"] == 0.75  # (1, 1) lies nearer to (2, 0)
    assert scores["shortest_centre"] == pytest.approx(2 / 3.5)
    # genuine √5 and √17; impostors 1, √10, √20 and √41: up to √10, half of each are wrong
    assert scores["distance_eer"] == pytest.approx(0.5)


def test_distance_scores_see_lengths_and_do_not_mind_the_unit_or_the_class_numbers():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 20)
    embeddings = rng.normal(size=(60, 3)) + 3 * labels[:, None]
    scores = evaluation.distance_scores(embeddings, labels, embeddings, labels)
    other = evaluation.distance_scores(7 * embeddings, labels + 5, 7 * embeddings, labels + 5)
    for name in ("own_distance", "nearest_distance"):
        assert other.pop(name) == pytest.approx(7 * scores.pop(name))
    assert other == pytest.approx(scores)
    stretched = embeddings * rng.uniform(0.2, 5, (60, 1))
    changed = evaluation.distance_scores(stretched, labels, stretched, labels)
    assert changed["distance_ratio"] > 1.5 * scores["distance_ratio"]


def test_distances_take_little_memory():
    """All differences of 2,000 embeddings at once would be a gigabyte, of 10,000 more than 25."""
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(2000, 64)).astype("float32"), np.arange(2000) % 10
    tracemalloc.start()
    evaluation.distance_scores(embeddings, labels, embeddings, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


def test_distances_of_whole_numbers_do_not_wrap_around():
    embeddings, labels = np.array([[0], [200], [10], [210]], dtype="uint8"), np.array([0, 1, 0, 1])
    scores = evaluation.distance_scores(embeddings, labels, embeddings, labels)
    assert scores["own_distance"] == 5
    assert scores["distance_eer"] == 0


def test_a_class_without_a_centre_has_no_distance():
    embeddings, labels = np.eye(4), np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="centre_labels: no embedding of class 1, so it has no"):
        evaluation.distance_scores(embeddings, labels, embeddings, 0 * labels)


# --- the open set ---------------------------------------------------------------------------------


def fnir_by_hand(embeddings, labels):
    """Every other identity enrolled by its first image; ten in a thousand strangers get a name."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    gallery = [np.flatnonzero(labels == who)[0] for who in np.unique(labels)[::2]]
    visitors = np.setdiff1d(np.arange(len(labels)), gallery)
    cosines = unit[visitors] @ unit[gallery].T
    enrolled, best = labels[visitors] % 2 == 0, cosines.max(axis=1)
    strangers = np.sort(best[~enrolled])
    threshold = strangers[-int(0.01 * len(strangers)) - 1]
    named = labels[gallery][cosines.argmax(axis=1)] == labels[visitors]
    return 1 - np.mean((named & (best > threshold))[enrolled])


def test_open_set_scores_are_what_their_names_say():
    embeddings, labels = clusters(identities=170, images=12, noise=0.6)
    row = evaluation.open_set_scores(embeddings, 3 * labels + 1)
    theirs = verification.measure(verification.score_pairs(embeddings, labels))
    assert row["eer"] == pytest.approx(theirs.eer)
    for digits in (2, 3, 4):
        assert row[f"tar_1e-{digits}"] == pytest.approx(theirs.tar_at(10.0**-digits))
    assert (row["genuine_pairs"], row["impostor_pairs"]) == (11_220, 2_068_560)
    assert 0 < row["rank_1"] < row["rank_1_of_100"] < row["rank_5"] < 1
    centres = evaluation.class_centres(embeddings, labels)
    angles = np.degrees(evaluation.angles_to_centres(embeddings, centres))
    assert row["own_angle"] == pytest.approx(angles[np.arange(len(labels)), labels].mean())
    assert 0.5 < row["fold_accuracy"] < 1
    assert row["fnir_1e-2"] == pytest.approx(fnir_by_hand(embeddings, labels))
    assert all(type(value) is float for value in row.values()), "they go into a JSON file"


# --- tables ---------------------------------------------------------------------------------------


BOARD = evaluation.Scoreboard(0.9514, 0.94, 7.04, 33.3, 0.0612)


def row_of(shift):
    return {name: value + shift for name, value in vars(BOARD).items()}


def test_the_scoreboard_table_tells_this_run_from_the_record():
    record = results.Record("title", {str(shift): row_of(shift) for shift in (0, 0.01, 0.02)})
    one_seed = results.Record("title", {"0": row_of(0)})
    rows = {"softmax": BOARD, "ArcFace": record, "once": one_seed}
    lines = repr(evaluation.scoreboard_table(rows)).splitlines()
    assert " ".join(lines[1].split()) == "softmax this run 0.951 0.940 7.0° 33.3° 0.061"
    assert "recorded, 3 seeds" in lines[2]
    assert "0.961 ± 0.010" in lines[2]
    assert "33.3 ± 0.0°" in lines[2]
    assert " ".join(lines[3].split()) == "once recorded, 1 seed 0.951 0.940 7.0° 33.3° 0.061"
    assert len({len(line) for line in lines[:4]}) == 1, "the columns are aligned"


def test_the_table_is_the_same_in_html_and_markdown():
    table = evaluation.scoreboard_table({"a|b <i>": BOARD})
    html, markdown = table._repr_html_(), table._repr_markdown_()
    assert "a|b &lt;i&gt;</th><td>this run</td><td>0.951</td>" in html
    assert html.count('scope="col"') == 7
    assert "| a\\|b <i> | this run | 0.951 | 0.940 | 7.0° | 33.3° | 0.061 |" in markdown
    assert BOARD._repr_html_().count("<tr>") == 2


def test_the_verification_table_shows_intervals_and_pair_counts():
    scores = verification.PairScores(np.full(5, 0.9), np.linspace(0, 0.8, 1000))
    result = verification.measure(scores, (0.1, 0.01))
    table = evaluation.verification_table(
        {"plain": result, "margin": result}, {"margin": {"eer": (0.0, 0.1), 0.1: (0.8, 1.0)}}
    )
    lines = repr(table).splitlines()
    assert lines[1].split() == ["plain", "0.000", "1.000", "1.000", "5", "1,000"]
    assert "0.000 [0.000, 0.100]" in lines[2]
    assert "TAR at FAR 0.01 ↑" in lines[0]


def test_the_open_set_table_tells_this_run_from_the_record():
    row = {name: 0.12345 for name in evaluation.OPEN_SET_COLUMNS}
    record = results.Record("title", {"0": row, "1": {name: 0.14345 for name in row}})
    columns = ("tar_1e-2", "eer", "fnir_1e-2")
    lines = repr(evaluation.open_set_table({"fresh": row, "kept": record}, columns)).splitlines()
    assert " ".join(lines[1].split()) == "fresh this run 0.123 0.1235 0.123"
    assert "FNIR at FPIR 0.01" in lines[0]
    assert "recorded, 2 seeds" in lines[2]
    assert "0.133 ± 0.014" in lines[2]
