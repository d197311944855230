"""Steps on several virtual devices, each in a process of its own, against the step on one."""

import importlib.util
import json

from lib import distributed
from lib.distributed import CLASSES, DIM, one_step

import pytest

needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None,
    reason="JAX is not installed: `pip install -r tests/requirements-jax.txt` brings it.",
)


def test_replicas_hold_everything_and_step_alike():
    result = one_step("replicas", 2)
    assert result["difference"] < 1e-5
    assert result["moved"] > 0.01
    assert result["kernel"] == result["kernel_held"] == result["momentum_held"] == [DIM, CLASSES]


@needs_jax
@pytest.mark.parametrize("devices", [2, 8])
def test_shards_hold_their_part_and_step_alike(devices):
    result = one_step("shards", devices)
    assert result["difference"] < 1e-5
    assert result["moved"] > 0.01
    assert result["kernel"] == [DIM, CLASSES]
    assert result["kernel_held"] == result["momentum_held"] == [DIM, CLASSES // devices]


@needs_jax
def test_a_key_that_matches_nothing_divides_nothing():
    result = one_step("shards", 2, ".*head/weights")
    assert result["kernel_held"] == [DIM, CLASSES]


@needs_jax
def test_a_failure_in_the_process_is_told():
    with pytest.raises(RuntimeError, match="step on 3 devices failed(.|\n)*1000"):
        one_step("shards", 3)  # 1,000 classes cannot be divided by 3


def test_without_jax_the_record_is_shown_and_a_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="requirements-jax.txt"):
        one_step("shards", 2)
    shown = distributed.steps(("shards", 8), ("shards", 2))
    assert [step["kernel_held"] for step in shown] == [[DIM, 125], [DIM, 500]]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2
    assert all("JAX is not installed" in line and "recorded" in line for line in printed)


def test_the_record_holds_what_the_lesson_asks_for():
    recorded = json.loads(distributed.RECORD_FILE.read_text())
    assert set(recorded) == {" ".join(map(str, arguments)) for arguments in distributed.RECORDED}
    assert all(step["difference"] < 1e-5 < step["moved"] for step in recorded.values())
