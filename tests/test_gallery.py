"""A gallery keeps what it took in, whoever else writes and whenever a process dies; and forgets."""

import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lib import gallery as module
from lib.files import Problem
from lib.gallery import Gallery, fingerprint
from lib.recognition import decide, linear_map, templates

import keras
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
YES = "agreed in writing on 2026-05-01: the door"
RNG = np.random.default_rng(0)
DIM = 16


def pictures(count=3, dim=DIM):
    return RNG.normal(1, 1, (count, dim)).astype("float32")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "at the door").mkdir()
    return tmp_path / "at the door" / "people.gallery"


@pytest.fixture
def gallery(path):
    with Gallery(path, "net") as found:
        yield found


def names(found):
    return [person.name for person in found.people()]


# --- what it keeps --------------------------------------------------------------------------------


def test_what_is_enrolled_is_there_for_the_next_process(path):
    ada, more, bob = pictures(), pictures(1), pictures(2)
    with Gallery(path, "net") as first:
        first.enrol("Bob", bob, f"Bob {YES}")
        first.enrol(" Ada ", ada, f"Ada {YES}")
        first.add("Ada", more.astype("float64"), "Ada agreed once more")
    with Gallery(str(path), "net") as again:
        found = again.people()
        for weighted in (False, True):
            who, rows = again.templates(weighted)
            expected = templates(
                np.concatenate([ada, more, bob]), ["Ada"] * 4 + ["Bob"] * 2, weighted
            )
            np.testing.assert_array_equal(who, expected[0])
            np.testing.assert_allclose(rows, expected[1], atol=1e-12)
    assert [person.name for person in found] == ["Ada", "Bob"]
    assert (found[0].pictures, found[1].pictures) == (4, 2)
    assert found[0].consents == (f"Ada {YES}", "Ada agreed once more")
    assert found[0].models == ("net",)
    age = datetime.now(UTC) - datetime.fromisoformat(found[0].since)
    assert timedelta(0) <= age < timedelta(minutes=2)


def test_who_comes_to_the_door(gallery):
    people = {name: pictures(2) for name in ("Ada", "Bob", "Cy")}
    visitors = np.stack([rows[0] * 3 for rows in people.values()])
    assert decide(gallery.search(visitors), -1) == [None] * 3
    for name, rows in people.items():
        gallery.enrol(name, rows, YES)
    found = gallery.search(visitors, k=2)
    assert found.names.shape == found.scores.shape == (3, 2)
    assert decide(found, 0.5) == ["Ada", "Bob", "Cy"]
    gallery.rename("Bob", "Robert")
    gallery.forget("Cy")
    answers = decide(gallery.search(visitors), float(found.scores[:, 0].min()))
    assert answers[:2] == ["Ada", "Robert"]
    assert answers[2] != "Cy"
    assert names(gallery) == ["Ada", "Robert"]


def test_every_letter_is_kept_and_spellings_of_one_name_are_one(gallery):
    gallery.enrol("Jose\u0301 O'Brien; DROP TABLE people --", pictures(), YES)
    assert names(gallery) == ["Jos\u00e9 O'Brien; DROP TABLE people --"]
    with pytest.raises(ValueError, match="enrolled already"):
        gallery.enrol("Jos\u00e9 O'Brien; DROP TABLE people --", pictures(), YES)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_only_the_owner_reads_it(gallery, path):
    assert path.stat().st_mode & 0o777 == 0o600


# --- what it refuses ------------------------------------------------------------------------------

ADA = pictures()
NAN, ZERO, LONG = (pictures() for _ in range(3))
NAN[1, 2], ZERO[1] = np.nan, 0
LONG = LONG.astype("float64")
LONG[0, 0] = 1e60  # beyond float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g: g.enrol("Ada", pictures(), YES), "name: 'Ada' is enrolled already"),
        (lambda g: g.add("Bob", pictures(), YES), "name: nobody is enrolled as 'Bob'; .* Ada"),
        (lambda g: g.rename("Bob", "Cy"), "name: nobody is enrolled as 'Bob'"),
        (lambda g: g.rename("Ada", "Di"), "new: 'Di' is enrolled already"),
        (lambda g: g.rename("Ada", ""), "new: expected a text"),
        (lambda g: g.forget("bob"), "name: nobody is enrolled as 'bob'"),
        (lambda g: g.enrol("", pictures(), YES), "name: expected a text"),
        (lambda g: g.enrol(3, pictures(), YES), "name: expected a text .* got 3"),
        (lambda g: g.enrol("two\nlines", pictures(), YES), "name: expected one line"),
        (lambda g: g.enrol("Bob", pictures(), ""), "consent: expected a text"),
        (lambda g: g.enrol("Bob", pictures(), None), "consent: expected a text"),
        (lambda g: g.add("Ada", pictures(), "  "), "consent: expected a text"),
        (lambda g: g.enrol("Bob", pictures(dim=5), YES), "embeddings: they have 5 .* gallery 16"),
        (lambda g: g.search(pictures(dim=5)), "gallery and embeddings have 16 and 5 dimensions"),
        (lambda g: g.enrol("Bob", NAN, YES), "embeddings: 1 of 3 are not finite"),
        (lambda g: g.enrol("Bob", LONG, YES), "embeddings: 1 of 3 are not finite"),
        (lambda g: g.enrol("Bob", ZERO, YES), "embeddings: 1 of 3 are zero"),
        (lambda g: g.search(ZERO), "embeddings: 1 of 3 are zero"),
        (lambda g: g.enrol("Bob", pictures()[0], YES), "embeddings: expected shape"),
        (lambda g: g.enrol("Bob", pictures()[:0], YES), "embeddings: expected shape"),
        (lambda g: g.add("Ada", -ADA, YES), "embeddings: those of Ada cancel out"),
        (lambda g: g.search(pictures(), k=0), "k: expected a whole number"),
        (lambda g: g.convert(np.eye(5), "new"), "matrix: expected shape"),
        (lambda g: g.convert(np.zeros((16, 4)), "new"), "matrix: 4 of 4 are zero"),
        (lambda g: g.convert(np.eye(16), ""), "model: expected a text"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(gallery, call, message):
    gallery.enrol("Ada", ADA, YES)
    gallery.enrol("Di", pictures(1), YES)
    before = gallery.people(), gallery.templates()
    with pytest.raises(ValueError, match=message):
        call(gallery)
    assert gallery.people() == before[0]
    np.testing.assert_array_equal(gallery.templates()[1], before[1][1])
    assert gallery.model == "net"


def test_another_network_is_refused(gallery, path):
    gallery.enrol("Ada", ADA, YES)
    with pytest.raises(Problem, match="of the network net, yours is other, .* convert"):
        Gallery(path, "other")
    with pytest.raises(ValueError, match="model: expected a text such as 'fingerprint"):
        Gallery(path, None)
    assert names(gallery) == ["Ada"]


def test_files_that_are_no_gallery_are_named_and_left_alone(path, tmp_path):
    path.write_text("no database" * 500)
    with pytest.raises(Problem, match=r"people\.gallery: no gallery, or damaged"):
        Gallery(path, "net")
    assert path.read_text() == "no database" * 500
    other = tmp_path / "other.sqlite"
    database = sqlite3.connect(other)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE notes (text)")
    database.commit()
    database.close()
    before = other.read_bytes()
    with pytest.raises(Problem, match="other.sqlite: a database of another program"):
        Gallery(other, "net")
    assert other.read_bytes() == before
    with pytest.raises(Problem, match="missing"):
        Gallery(tmp_path / "missing" / "a.gallery", "net")
    with pytest.raises(Problem, match="at the door"):
        Gallery(tmp_path / "at the door", "net")


def test_damage_is_noticed(path):
    with Gallery(path, "net") as gallery:
        for number in range(40):
            gallery.enrol(f"person {number}", pictures(4), YES)
    pages = bytearray(path.read_bytes())
    pages[4096:] = bytes(len(pages) - 4096)
    path.write_bytes(pages)
    with pytest.raises(Problem, match="damaged"), Gallery(path, "net") as gallery:
        gallery.people()


def test_a_gallery_that_is_kept_busy_says_so(gallery, path, monkeypatch):
    monkeypatch.setattr(module, "WAIT", 0.1)
    busy = pytest.raises(Problem, match="locked; another program keeps it busy")
    with Gallery(path, "net") as other, gallery._writing(), busy:
        other.enrol("Ada", ADA, YES)


# --- several processes ----------------------------------------------------------------------------

START = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from lib import gallery as module, recognition
path, who = sys.argv[1:]
assert not {{"keras", "tensorflow", "jax", "torch"}} & set(sys.modules)
def rows(number, count=3):
    return np.random.default_rng(number).normal(1, 1, (count, {DIM})).astype("float32")
"""


def start(path, code, who=""):
    command = [sys.executable, "-c", START + code, str(path), who]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def rows(number, count=3):
    return np.random.default_rng(number).normal(1, 1, (count, DIM)).astype("float32")


def sound(path):
    database = sqlite3.connect(path)
    answer = database.execute("PRAGMA integrity_check").fetchone()[0]
    database.close()
    return answer == "ok" and os.listdir(path.parent) == [path.name]


ENROL = """
with module.Gallery(path, "net") as gallery:
    for number in range({count}):
        gallery.enrol(f"{{who}} {{number}}", rows(number), "yes")
        gallery.add("everybody", rows(number, 1), f"yes, {{who}}")
        print(number, flush=True)
"""


def test_two_processes_at_once_lose_nothing(path):
    with Gallery(path, "net") as gallery:
        gallery.enrol("everybody", rows(99, 1), YES)
        both = [start(path, ENROL.format(count=12), who) for who in ("left", "right")]
        seen = [0]
        while any(process.poll() is None for process in both):
            answer = gallery.search(rows(0), k=100)
            seen.append(answer.names.shape[1])
        assert [process.wait() for process in both] == [0, 0]
        for process in both:
            process.stdout.close()
        assert seen == sorted(seen)
        found = {person.name: person for person in gallery.people()}
        assert len(found) == 25
        assert found["everybody"].pictures == 25
        assert all(
            found[f"{who} {n}"].pictures == 3 for who in ("left", "right") for n in range(12)
        )
        assert gallery.search(rows(0), k=100).names.shape[1] == 25
    assert sound(path)


def test_two_processes_make_one_gallery(path):
    code = 'module.Gallery(path, "net").enrol(who, rows(0), "yes")'
    both = [start(path, code, who) for who in ("left", "right", "middle")]
    for process in both:
        assert process.wait() == 0
        process.stdout.close()
    with Gallery(path, "net") as gallery:
        assert names(gallery) == ["left", "middle", "right"]


@pytest.mark.parametrize("lines", [1, 4, 9])
def test_a_process_that_is_killed_leaves_what_it_said(path, lines):
    """At three moments that nobody chose, in the middle of many writes."""
    with Gallery(path, "net") as gallery:
        gallery.enrol("everybody", rows(99, 1), YES)
    process = start(path, ENROL.format(count=1000), "new")
    said = [int(process.stdout.readline()) for _ in range(lines)]
    time.sleep(lines / 300)
    process.kill()
    process.wait()
    said += [int(line) for line in process.stdout]
    process.stdout.close()
    with Gallery(path, "net") as gallery:
        found = {person.name: person.pictures for person in gallery.people()}
        assert {f"new {number}": 3 for number in said}.items() <= found.items()
        assert len(said) <= len(found) - 1 <= len(said) + 1
        assert found.pop("everybody") - 1 in (len(said), len(found))
        assert set(found.values()) == {3}
        # a journal that the killed process had only begun goes with the next write
        gallery.forget("everybody")
    assert sound(path)
    assert not traces(path, rows(99, 1), "everybody")


def until_it_says(path, code, word):
    """Run until the word is printed, and kill."""
    process = start(path, code)
    assert process.stdout.readline().strip() == word
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_enrolment_that_is_half_written_is_undone(path):
    with Gallery(path, "net") as gallery:
        gallery.enrol("Ada", rows(1), YES)
    until_it_says(
        path,
        """
gallery = module.Gallery(path, "net")
gallery._file.execute("PRAGMA cache_size = 1")  # so that it writes before it is done
recognition.templates = lambda *a: (print("half", flush=True), time.sleep(99))
gallery.enrol("Bob", rows(2, 3000), "yes")
""",
        "half",
    )
    assert len(os.listdir(path.parent)) == 2  # the journal
    assert path.stat().st_size > 100_000
    with Gallery(path, "net") as gallery:
        assert [(p.name, p.pictures) for p in gallery.people()] == [("Ada", 3)]
        np.testing.assert_allclose(gallery.search(rows(1)).scores[:, 0] > 0.5, True)
    assert sound(path)
    assert not traces(path, rows(2, 3000), "Bob")


# --- what it forgets ------------------------------------------------------------------------------


def traces(path, embeddings, *texts):
    """What of these is in any file of the folder: texts, and any two numbers of an embedding."""
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    found = [text for text in texts if text.encode() in content]
    numbers = np.ascontiguousarray(embeddings, "<f4")
    pairs = [row[i : i + 2].tobytes() for row in numbers for i in range(0, row.size, 2)]
    return found + [pair for pair in pairs if pair in content]


def many(path, count=40):
    """People whose pages were split, moved and filled again: what is in each at the end."""
    kept = {}
    with Gallery(path, "net") as gallery:
        for number in RNG.permutation(count):
            name = f"person number {number}"
            kept[name] = pictures(RNG.integers(1, 9))
            gallery.enrol(name, kept[name], f"{name} said yes")
        for name in list(kept)[::3]:
            more = pictures(4)
            gallery.add(name, more, f"{name} said yes")
            kept[name] = np.concatenate([kept[name], more])
    return kept


def test_who_is_forgotten_is_gone_to_the_last_byte(path):
    kept = many(path)
    with Gallery(path, "net") as gallery:
        for name, rows in list(kept.items())[::2]:
            assert len(traces(path, rows, name, f"{name} said yes")) == rows.size // 2 + 2
            gallery.forget(name)
            del kept[name]
            assert not traces(path, rows, f"{name} said")
        assert names(gallery) == sorted(kept)
        for name, rows in kept.items():
            assert len(traces(path, rows, name)) == rows.size // 2 + 1
    assert sound(path)


@pytest.mark.parametrize("without", ["VACUUM", "secure_delete"])
def test_either_of_two_means_would_do_for_a_row(path, monkeypatch, without):
    """Zeros at once, and the file written anew: if one is stopped, the other one has done it."""
    if without == "VACUUM":
        monkeypatch.setattr(Gallery, "_leave_no_trace", lambda _: None)
    else:
        kept = [s for s in module.SETTINGS if without not in s]
        monkeypatch.setattr(module, "SETTINGS", (*kept, "secure_delete = OFF"))
    with Gallery(path, "net") as gallery:
        gallery.enrol("Ada", ADA, YES)
        gallery.enrol("Bob", pictures(), YES)
        gallery.forget("Ada")
    assert not traces(path, ADA, "Ada")


def test_the_old_name_is_gone_too(path):
    many(path, 20)
    with Gallery(path, "net") as gallery:
        gallery.enrol("The old name", ADA, YES)
        gallery.rename("The old name", "The new one")
        assert "The new one" in names(gallery)
    assert not traces(path, ADA[:0], "The old name")


def test_forgetting_that_was_killed_is_ended_by_the_next(path):
    kept = many(path, 20)
    name, rows = list(kept.items())[7]
    until_it_says(
        path,
        f"""
module.SETTINGS = ("secure_delete = OFF", "foreign_keys = ON")
module.Gallery._leave_no_trace = lambda _: (print("deleted", flush=True), time.sleep(99))
module.Gallery(path, "net").forget({name!r})
""",
        "deleted",
    )
    assert traces(path, rows, name)  # or this test would say nothing
    with Gallery(path, "net") as gallery:
        assert name not in names(gallery)
        assert len(names(gallery)) == 19
        assert not traces(path, rows, f"{name} said")
        assert not gallery._value("SELECT unfinished FROM gallery")


def test_a_log_that_another_program_left_is_cleared(path):
    """Somebody wrote with SQLite's own tools in another mode, and was killed."""
    with Gallery(path, "net") as gallery:
        gallery.enrol("Ada", ADA, YES)
        gallery.enrol("Bob", pictures(), YES)
    until_it_says(
        path,
        """
import sqlite3
database = sqlite3.connect(path)
database.execute("PRAGMA journal_mode = WAL")
database.execute("UPDATE pictures SET consent = consent || '.'")
database.commit()
print("written", flush=True)
time.sleep(99)
""",
        "written",
    )
    assert len(os.listdir(path.parent)) == 3
    with Gallery(path, "net") as gallery:
        assert gallery.people()[0].consents == (YES + ".",)
        gallery.forget("Ada")
        assert os.listdir(path.parent) == [path.name]
        assert not traces(path, ADA, "Ada")


# --- another network ------------------------------------------------------------------------------


def test_a_gallery_moves_to_another_network(path):
    """To one that turns all embeddings: who was enrolled is found by its pictures."""
    turn = np.linalg.qr(RNG.normal(size=(DIM, DIM)))[0]
    anybody = pictures(100)
    matrix = linear_map(anybody, anybody @ turn)
    people = {name: pictures(2) for name in ("Ada", "Bob", "Cy")}
    with Gallery(path, "old") as gallery, Gallery(path, "old") as elsewhere:
        for name, rows in people.items():
            gallery.enrol(name, rows, YES)
        before = elsewhere.search(np.concatenate(list(people.values())))
        gallery.convert(matrix, "new")
        visitors = np.concatenate(list(people.values())) @ turn
        found = gallery.search(visitors)
        np.testing.assert_array_equal(found.names, before.names)
        np.testing.assert_allclose(found.scores, before.scores, atol=1e-6)
        gallery.add("Ada", visitors[:1], YES)
        assert gallery.people()[0].models == ("old", "new")
        assert gallery.people()[1].models == ("old",)
        for call in (
            lambda: elsewhere.search(visitors),
            lambda: elsewhere.add("Ada", visitors, YES),
            elsewhere.people,
        ):
            with pytest.raises(Problem, match="of the network new, yours is old"):
                call()
    with pytest.raises(Problem, match="of the network new"):
        Gallery(path, "old")
    with Gallery(path, "new") as gallery:
        gallery.convert(RNG.normal(size=(DIM, 5)), "shorter")
        assert gallery.templates()[1].shape == (3, 5)
        with pytest.raises(ValueError, match="those in the gallery 5"):
            gallery.add("Ada", visitors, YES)


def network(units=3, activation="relu", name=None, **options):
    layers = [
        keras.Input((8, 8, 1)),
        keras.layers.Conv2D(4, 3, activation=activation, name=name, **options),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(units),
    ]
    model = keras.Sequential(layers)
    model.set_weights([np.full(w.shape, 0.5 + i) for i, w in enumerate(model.get_weights())])
    return model


def test_a_network_is_told_by_weights_and_layers_and_not_by_names(tmp_path):
    first = fingerprint(network())
    assert len(first) == 16
    assert fingerprint(network(name="another")) == first
    frozen = network()
    frozen.trainable = False
    assert fingerprint(frozen) == first
    frozen.save(tmp_path / "model.keras")
    assert fingerprint(keras.models.load_model(tmp_path / "model.keras")) == first
    nested = keras.Sequential([keras.Input((8, 8, 1)), network()])
    changed = network()
    weights = changed.get_weights()
    weights[0].flat[3] = np.nextafter(weights[0].flat[3], 1)
    changed.set_weights(weights)
    others = [
        changed,
        nested,
        network(units=4),
        network(activation="elu"),
        network(activation=keras.layers.LeakyReLU()),
        network(strides=2, padding="same", dilation_rate=1),
    ]
    found = [fingerprint(model) for model in others]
    assert len({first, *found}) == 7
    again = network(activation=keras.layers.LeakyReLU(name="a name of its own"))
    assert fingerprint(again) == found[4]


def test_what_has_no_weights_has_no_fingerprint():
    with pytest.raises(ValueError, match="model: it has no weights; call it on an image"):
        fingerprint(keras.Sequential([keras.layers.Dense(3)]))
    with pytest.raises(TypeError, match="model: expected a Keras model"):
        fingerprint("net")
