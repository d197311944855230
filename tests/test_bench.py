"""What `make bench` takes for a step is the step, and its ratios and floor are right by hand."""

import bench
import lib  # noqa: F401
import reference

import keras
import numpy as np
import pytest

SIZE = (6, 4, 5)
HERE = bench.KINDS[keras.backend.backend()]
CLAIMED = {  # scale and margins of each row with a head
    "CosineHead + NormFace": (16, (1, 0, 0)),
    "CosineHead + CosFace": (16, (1, 0, 0.1)),
    "CosineHead + ArcFace": (16, (1, 0.3, 0)),
    "CosineHead + SphereFace": (16, (2, 0, 0)),
}


@pytest.mark.backends
@pytest.mark.parametrize("kind", HERE)
def test_every_row_is_the_loss_that_it_is_called(kind):
    rng = np.random.default_rng(0)  # draws what a step draws
    x = rng.standard_normal(SIZE[:2]).astype("float32")
    y = rng.integers(0, SIZE[2], SIZE[0])
    kernel = rng.standard_normal(SIZE[1:])
    initializer = keras.initializers.Constant(kernel.astype("float32"))

    def is_loss(name, values):
        run = bench.training_step(name, kind, SIZE, kernel_initializer=initializer)
        assert float(run()[0]) == pytest.approx(values.mean(), rel=1e-5)

    plain, ours, *others = bench.rows_of(kind)
    for name in (plain, ours):
        is_loss(name, reference.cross_entropy(y, x @ kernel)[0])
    cosines = reference.cosine_head(x, kernel)
    for name in set(others) & set(CLAIMED):
        scale, (m1, m2, m3) = CLAIMED[name]
        is_loss(name, reference.margin_loss(y, cosines, m1, m2, m3, scale)[0])
    peers = [name for name in others if name not in CLAIMED]
    assert bool(peers) == kind.startswith("PyTorch")
    for name in peers:
        assert np.isfinite(bench.training_step(name, kind, SIZE)()).all()


def test_what_a_step_takes_at_least_by_hand():
    operations, moved = bench.floor(batch=2, dim=3, classes=5)
    assert operations == 6 * 2 * 3 * 5
    assert moved == 4 * (3 * 15 + 5 * 10 + 3 * 6)


def test_new_tables_replace_those_of_their_kind_and_device():
    old = [{"kind": k, "device": d, "rows": 1} for k in "AB" for d in ("CPU", "GPU")]
    new = [{"kind": "A", "device": "GPU", "rows": 2}, {"kind": "C", "device": "CPU", "rows": 2}]
    assert bench.merged(old, new) == [old[0], old[2], old[3], *new]


def test_ratios_are_of_rounds_not_of_medians():
    seconds = {"plain": [1.0, 2.0, 4.0], "ours": [3.0, 4.0, 4.0]}
    assert bench.summary(seconds) == {
        "plain": [2000, 1, 1, 1],
        "ours": [4000, 2, 1.5, 2.5],
    }
