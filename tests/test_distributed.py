"""Several processes train what one does, hold parts of the classes, and survive the loss of one."""

import dataclasses
import json
import os
import signal
import sys
import time

from lib import distributed
from lib.distributed import record, traffic, worker

import numpy as np
import pytest

TASK = distributed.Task(people=24, images=4, steps=12, batch=16, dim=16, every=4)

starts_processes = pytest.mark.skipif(
    sys.platform == "win32", reason="no such signals, and not tried with JAX's processes"
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same training by one process and by two."""
    return {
        count: distributed.train(TASK, count, tmp_path_factory.mktemp("run"), collectives=True)
        for count in (1, 2)
    }


@starts_processes
def test_two_processes_train_what_one_does(undisturbed):
    (one, (alone,)), (two, several) = undisturbed[1], undisturbed[2]
    assert len(alone["loss"]) == 3
    for seen in several:  # the sums are the same numbers in another order
        assert seen["loss"] == pytest.approx(alone["loss"], rel=2e-3)
        assert seen["loss"][0] == pytest.approx(alone["loss"][0], rel=1e-4)
    weights = one.backbone().get_weights(), two.backbone().get_weights()
    untrained = worker_backbone().get_weights()
    for mine, twin, before in zip(*weights, untrained, strict=True):
        assert np.abs(mine - twin).max() < 0.2 * np.abs(mine - before).max() + 1e-6


@starts_processes
def test_with_partial_fc_each_process_draws_from_its_own_columns(tmp_path):
    task = dataclasses.replace(TASK, people=64, share=0.5, groups=2)
    _, (alone,) = distributed.train(task, 1, tmp_path / "one")
    _, several = distributed.train(task, 2, tmp_path / "two", collectives=True)
    for seen in several:
        assert seen["loss"] == pytest.approx(alone["loss"], rel=2e-3)
    shapes = {shape for _, shape, _ in several[0]["collectives"]}
    # neither class weights (dim, classes) nor logits (batch, columns of a process) travel
    assert not {f"f32[{rows},{columns}]" for rows in (16,) for columns in (32, 64)} & shapes


@starts_processes
def test_a_run_at_its_end_is_started_again_without_training(undisturbed):
    run, (before,) = undisturbed[1]
    _, (after,) = distributed.train(TASK, 1, run.folder)
    assert (after["started_at"], after["loss"]) == (TASK.steps, [])
    assert after["held_sha1"] == before["held_sha1"]


def worker_backbone():
    from lib.backbones import build_backbone

    import keras

    keras.utils.set_random_seed(TASK.seed)
    return build_backbone(TASK.dim)


@starts_processes
def test_each_process_holds_its_part_of_the_classes_and_none_travels(undisturbed):
    _, (first, second) = undisturbed[2]
    assert (first["kernel"], first["held"], second["held"]) == ([16, 24], [16, 12], [16, 12])
    assert first["held_sha1"] != second["held_sha1"]
    sent = first["collectives"]
    embeddings = f"f32[{TASK.batch},{TASK.dim}]"
    assert "all-gather" in {operation for operation, shape, _ in sent if shape == embeddings}
    shapes = {tuple(map(int, shape[4:-1].split(","))) for _, shape, _ in sent if "," in shape}
    assert shapes
    classes = {TASK.people, TASK.people // 2}
    assert not any(classes & set(shape) for shape in shapes), "class weights or logits travel"
    _, (alone,) = undisturbed[1]
    assert alone["collectives"] == []


def lost(run):
    """What is said of a run that loses a process."""
    with pytest.raises(distributed.ProcessLost) as error:
        run.wait()
    assert all(process.poll() is not None for process in run.processes), "none is left over"
    (line,) = str(error.value).splitlines()
    return line


def wait_for(condition, seconds=300):
    for _ in range(10 * seconds):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it took too long")


@starts_processes
def test_a_run_that_loses_a_process_says_which_and_goes_on_to_the_same_end(undisturbed, tmp_path):
    run = distributed.Run(TASK, 2, tmp_path)
    checkpoints = tmp_path / "checkpoints"
    wait_for(lambda: any(path.name.isdigit() for path in checkpoints.glob("*")))
    run.processes[1].send_signal(signal.SIGKILL)
    assert lost(run).startswith("process 1 of 2 ended with -9 after step ")
    _, seen = distributed.train(TASK, 2, tmp_path)
    assert 0 < seen[0]["started_at"] < TASK.steps
    _, expected = undisturbed[2]
    for mine, theirs in zip(seen, expected, strict=True):
        assert mine["held_sha1"] == theirs["held_sha1"], "to the last bit"
        assert mine["loss"] == theirs["loss"][-len(mine["loss"]) :]


@starts_processes
def test_a_process_that_does_not_answer_ends_the_run(tmp_path):
    run = distributed.Run(TASK, 2, tmp_path, patience=20)
    wait_for(lambda: all((tmp_path / f"beat_{number}").exists() for number in (0, 1)))
    run.processes[0].send_signal(signal.SIGSTOP)
    assert lost(run).startswith("process 0 of 2 does not answer since 2")


class Silent:
    """A process that runs and says nothing."""

    def poll(self):
        return None


def test_a_process_has_five_minutes_until_its_first_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed.launcher.subprocess, "Popen", lambda *a, **k: Silent())
    run = distributed.Run(TASK, 2, tmp_path, patience=10)
    for earlier, beats, lost in ((100, False, False), (301, False, True), (100, True, True)):
        run.started = time.time() - earlier
        if beats:
            for number in (0, 1):
                (tmp_path / f"beat_{number}").write_text("3")
                os.utime(tmp_path / f"beat_{number}", (run.started, run.started))
        if lost:
            with pytest.raises(distributed.ProcessLost, match=f"does not answer since {earlier}"):
                run._look()
        else:
            run._look()


def test_a_checkpoint_of_another_task_is_not_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.setattr(distributed.launcher.subprocess, "Popen", lambda *a, **k: None)
    small = {"people": 4, "images": 2, "batch": 4, "every": 4}
    old = tmp_path / "checkpoints" / "4"
    for steps, processes, stays in ((8, 2, False), (8, 2, True), (12, 2, False), (12, 1, False)):
        old.mkdir(parents=True, exist_ok=True)
        distributed.Run(distributed.Task(steps=steps, **small), processes, tmp_path)
        assert old.exists() == stays, (steps, processes)


@pytest.mark.parametrize(
    ("task", "processes", "said"),
    [
        (TASK, 5, "batch: 16 cannot be divided evenly over 5"),
        (distributed.Task(people=25, batch=16), 2, "people: 25 cannot be divided evenly over 2"),
        (distributed.Task(steps=50, every=20), 1, "steps: 50 is no multiple of every, 20"),
        (TASK, 0, "processes"),
    ],
)
def test_what_cannot_be_divided_is_refused_before_anything_starts(task, processes, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        distributed.Run(task, processes, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_worker_refuses_another_number_than_was_prepared_for(tmp_path, monkeypatch):
    distributed.prepare(TASK, 2, tmp_path)
    with pytest.raises(ValueError, match="prepared for 2 processes, not for 4"):
        worker.work(tmp_path, "127.0.0.1:1", 4, 0)


def test_a_preparation_that_is_cut_off_is_done_again(tmp_path, monkeypatch):
    distributed.prepare(TASK, 2, tmp_path)
    other = dataclasses.replace(TASK, people=26)
    with monkeypatch.context() as patch:
        patch.setattr(distributed.launcher.faces, "people", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            distributed.prepare(other, 2, tmp_path)
    distributed.prepare(TASK, 2, tmp_path)
    assert len(np.load(tmp_path / "labels.npy")) == 24 * 4
    assert (tmp_path / "asked.json").exists()


def test_any_number_of_processes_sees_the_same_batches_and_one_that_goes_on_as_well():
    labels = np.arange(TASK.people * TASK.images)
    images = labels[:, None]
    whole = worker.batches(TASK, images, labels, 1, 0)
    parts = [worker.batches(TASK, images, labels, 4, number) for number in range(4)]
    later = worker.batches(TASK, images, labels, 1, 0, start=8)
    assert (len(whole), len(later)) == (12, 4)
    for step in range(TASK.steps):
        _, seen = whole[step]
        np.testing.assert_array_equal(seen, np.concatenate([part[step][1] for part in parts]))
        assert len(set(seen)) == TASK.batch
        if step >= 8:
            np.testing.assert_array_equal(seen, later[step - 8][1])


def test_collectives_are_read_from_a_compiled_program():
    text = """
  %all-gather = f32[8,4]{1,0} all-gather(f32[4,4]{1,0} %x), dimensions={0}
  %all-reduce.1 = (f32[8]{0}, f32[]) all-reduce(f32[8]{0} %a, f32[] %b), to_apply=%add
  %p = bf16[2]{0} reduce-scatter-start(bf16[4]{0} %c)
  %fusion = f32[8,4]{1,0} fusion(%all-gather), kind=kLoop
"""
    assert traffic.read_collectives(text) == [
        ("all-gather", "f32[8,4]", 128),
        ("all-reduce", "f32[8]", 32),
        ("all-reduce", "f32[]", 4),
        ("reduce-scatter", "bf16[2]", 4),
    ]


def test_what_a_process_sends_in_a_ring_is_told_apart():
    task = distributed.Task(people=24, batch=16, dim=8, share=0.5)
    found = [
        ("all-gather", "f32[16,8]", 512),  # embeddings: a quarter stays
        ("all-reduce", "f32[8,16]", 512),  # twice round
        ("all-reduce", "f32[16]", 64),
        ("all-gather", "f32[4,6]", 96),
        ("reduce-scatter", "f32[5,8]", 160),  # the result is a quarter of what went round
        ("all-reduce", "f32[]", 4),
    ]
    parts = traffic.sent(found, task, 4)
    assert parts == {"embeddings": 384 + 768, "softmax": 96, "lots": 72, "backbone": 480 + 6}


def test_a_task_is_read_as_it_was_written(tmp_path):
    TASK.write(tmp_path / "task.json")
    assert distributed.Task.read(tmp_path / "task.json") == TASK
    assert json.loads((tmp_path / "task.json").read_text())["people"] == 24


def test_the_record_of_processes_holds_what_the_lesson_shows():
    found = record.recorded()
    for name, task in record.TASKS.items():
        assert set(found[name]) == {str(count) for count in record.PROCESSES}
        one = found[name]["1"]
        for processes, run in found[name].items():
            columns = task.people // int(processes)
            assert run["held"] == [[task.dim, columns]] * int(processes)
            assert run["loss"] == pytest.approx(one["loss"], rel=0.02)
    assert found["lost"]["same_bits"]
    assert 0 < found["lost"]["went_on_from"] < record.Task().steps
    assert found["slipped"]["held"] == [found["slipped"]["kernel"]] * 2
