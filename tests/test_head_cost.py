"""What the head costs: the memory model against the papers' numbers, and the recorded file."""

import math

from lib import head_cost
from lib.head_cost import fewest_devices, head_memory, head_traffic

import pytest

GB = 1e9


def test_the_memory_model_gives_the_papers_numbers():
    """Partial FC: at d 512, N 64, ten million classes and 80 devices logits are ten times W."""
    plan = head_memory(10_000_000, 512, 64, devices=80)
    assert plan.logits / plan.weights == pytest.approx(10)
    assert plan.weights == 4 * 512 * 10_000_000 / 80
    assert plan.logits == 4 * 64 * 80 * 10_000_000 / 80
    assert plan.total == 3 * plan.weights + 2 * plan.logits


def test_only_logits_shrink_with_the_share_and_only_weights_with_the_devices():
    one, tenth = (head_memory(10**6, 128, 64, 8, share) for share in (1, 0.1))
    assert tenth.weights == one.weights
    assert tenth.logits == pytest.approx(one.logits / 10)
    more = head_memory(10**6, 128, 64, 16)
    assert more.weights == one.weights / 2
    assert more.logits == one.logits


def test_traffic():
    # 2 (k - 1) / k of the gradient, about 38 GiB for 64 devices and ten million classes
    whole = head_traffic(10_000_000, 512, 64, 64, sharded=False)
    assert whole / 2**30 == pytest.approx(38, abs=0.6)
    divided = head_traffic(10_000_000, 512, 64, 64, sharded=True)
    assert divided == 63 * 4 * (2 * 512 * 64 + 4 * 64)
    assert head_traffic(10**4, 512, 64, 64, sharded=True) == divided
    assert head_traffic(10**6, 512, 64, 1, sharded=False) == 0
    assert head_traffic(10**6, 512, 64, 1, sharded=True) == 0


@pytest.mark.parametrize("share", [1, 0.1])
@pytest.mark.parametrize("memory", [8 * GB, 32 * GB])
def test_fewest_devices_is_the_first_number_that_fits(share, memory):
    devices = fewest_devices(10_000_000, 512, 64, memory, share)
    assert head_memory(10_000_000, 512, 64, devices, share).total <= memory
    if devices > 1:
        assert head_memory(10_000_000, 512, 64, devices - 1, share).total > memory


def test_what_never_fits_is_refused():
    with pytest.raises(ValueError, match="no number of devices.*5.1 GB.*share"):
        fewest_devices(10_000_000, 512, 64, 5 * GB)
    assert fewest_devices(10_000_000, 512, 64, 5 * GB, share=0.1) == 14


@pytest.mark.parametrize("bad", [{"devices": 0}, {"batch": 0}, {"share": 0}, {"share": 10}])
def test_bad_plans_are_refused(bad):
    arguments = {"num_classes": 1000, "dim": 8, "batch": 4} | bad
    with pytest.raises(ValueError, match=next(iter(bad))):
        head_memory(**arguments)


def test_a_step_is_timed():
    for share in (1.0, 0.5):
        seconds = head_cost.step_seconds(1000, share, rounds=2)
        assert len(seconds) == 2
        assert all(0 < second < 60 for second in seconds)


def test_the_record_is_whole():
    for share in head_cost.SHARES:
        rows = head_cost.recorded(share)
        wanted = [c for c in head_cost.CLASSES if share in head_cost.shares_for(c)]
        assert [row["classes"] for row in rows] == wanted
        for row in rows:
            assert row["seconds"] > 0
            # at least the weights and their momentum have to be somewhere
            assert row["bytes"] >= 2 * 4 * head_cost.DIM * row["classes"]
            assert math.isfinite(row["bytes"])
    with pytest.raises(KeyError, match="0.3"):
        head_cost.recorded(0.3)
