"""The memory model against the papers' numbers, recorded costs, and steps on several devices."""

import math

from lib import many_classes
from lib.many_classes import fewest_devices, head_memory, head_traffic

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


@pytest.mark.parametrize("argument", ["num_classes", "dim", "batch", "share"])
@pytest.mark.parametrize("bad", [0, math.nan, math.inf])
def test_bad_plans_are_refused(argument, bad):
    arguments = {"num_classes": 1000, "dim": 8, "batch": 4, "share": 1} | {argument: bad}
    with pytest.raises(ValueError, match=argument):
        head_memory(**arguments)
    with pytest.raises(ValueError, match=argument):
        fewest_devices(**arguments, memory=8 * GB)
    with pytest.raises(ValueError, match="devices"):
        head_memory(1000, 8, 4, devices=bad)


def test_a_step_is_timed():
    for share in (1.0, 0.5):
        seconds = many_classes.step_seconds(1000, share, rounds=2)
        assert len(seconds) == 2
        assert all(0 < second < 60 for second in seconds)


def test_the_record_is_whole():
    for share in many_classes.SHARES:
        rows = many_classes.recorded_costs(share)
        wanted = [c for c in many_classes.CLASSES if share in many_classes.shares_for(c)]
        assert [row["classes"] for row in rows] == wanted
        for row in rows:
            assert row["seconds"] > 0
            # at least the weights and their momentum have to be somewhere
            assert row["bytes"] >= 2 * 4 * many_classes.DIM * row["classes"]
            assert math.isfinite(row["bytes"])
    with pytest.raises(KeyError, match="0.3"):
        many_classes.recorded_costs(0.3)


def test_replicas_hold_everything_and_step_alike():
    result = many_classes.replicas_step(2, classes=100, dim=8)
    assert result["difference"] < 1e-5
    assert result["moved"] > 0.01
    assert result["kernel"] == result["held"] == [8, 100]


def test_a_failure_in_the_process_is_told():
    with pytest.raises(RuntimeError, match="step on 2 devices failed(.|\n)*classes"):
        many_classes.replicas_step(2, classes=1)
