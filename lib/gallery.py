"""Enrolled people in one file: who is there, since when, with whose consent, for which network.

    with Gallery("people.gallery", fingerprint(backbone)) as gallery:
        gallery.enrol("Ada", embeddings, consent="Ada, in writing, 2026-05-01: for the door")
        answers = recognition.decide(gallery.search(visitors), threshold)
        gallery.forget("Ada")

The file is SQLite's, from the standard library; no framework of networks is imported. What is
written is there as a whole or not at all, whoever else writes and whenever a process dies.
Embeddings of people are personal data: each carries its consent, and `forget` leaves no byte.
"""

import contextlib
import hashlib
import os
import sqlite3
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from . import inputs, recognition
from .files import Problem

TABLES = """
CREATE TABLE gallery (model TEXT NOT NULL, unfinished INTEGER NOT NULL);
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people ON DELETE CASCADE,
    model TEXT NOT NULL,
    added TEXT NOT NULL,
    consent TEXT NOT NULL,
    embedding BLOB NOT NULL
);
CREATE INDEX pictures_of ON pictures (person);
"""
OURS = 0x61726366  # SQLite's application_id, which tells a gallery from another program's file
SETTINGS = (
    "secure_delete = ON",  # zeros where something was
    "synchronous = EXTRA",  # what was forgotten stays so after a power failure
    "foreign_keys = ON",
    "temp_store = MEMORY",  # no copy of anything elsewhere
)
WAIT = 30.0  # seconds that a process waits for another one's write


@dataclass(frozen=True)
class Person:
    """One who is enrolled: number of pictures, since when (UTC), and the consents given.

    `models` are the networks that saw the pictures; one that is not the gallery's is of pictures
    that `Gallery.convert` took over.
    """

    name: str
    pictures: int
    since: str
    consents: tuple
    models: tuple


class Gallery:
    """Enrolled people in a file, which is made if it is missing, for its owner alone to read.

    Several processes may use one file: a write waits for another one's, and the next search sees
    it. Close it, or use it in a `with` statement; a thread needs one of its own.

    Args:
        path: of the file; SQLite keeps a journal beside it while it writes.
        model: the network that the embeddings are from, as `fingerprint` tells it.

    Raises:
        Problem: here and in all methods, if the file is another network's, no gallery, damaged, or
            kept busy by another process for half a minute.
        ValueError: in all methods, for a name that is unknown, taken or empty, and an embedding
            that is zero, not finite or of another dimension. Nothing is written then.
    """

    def __init__(self, path, model):
        self.path, self.model = os.fspath(path), _text(model, "model", "fingerprint(backbone)")
        self._kept = {}
        with self._clear_errors():
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
            self._file = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
        try:
            with self._clear_errors():
                self._open()
        except BaseException:
            self.close()
            raise

    def _open(self):
        for setting in SETTINGS:
            self._file.execute(f"PRAGMA {setting}")
        if not self._value("SELECT count(*) FROM sqlite_master"):
            with self._file:
                self._file.execute("BEGIN IMMEDIATE")
                if not self._value("SELECT count(*) FROM sqlite_master"):  # nobody was faster
                    for statement in TABLES.split(";"):
                        self._file.execute(statement)
                    self._file.execute("INSERT INTO gallery VALUES (?, 0)", [self.model])
                    self._file.execute(f"PRAGMA application_id = {OURS}")
        if self._value("PRAGMA application_id") != OURS:
            raise Problem(f"{self.path}: a database of another program; choose another path.")
        # no log beside the file that outlives what was deleted
        if self._value("PRAGMA journal_mode = DELETE") != "delete":
            raise Problem(f"{self.path}: another program has it open in a mode of its own; end it.")
        self._check_model()
        if self._value("SELECT unfinished FROM gallery"):
            self._leave_no_trace()

    def close(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- who is in it -----------------------------------------------------------------------------

    def enrol(self, name, embeddings, consent):
        """Take in somebody new.

        Args:
            name: of the person; nobody in the gallery has it.
            embeddings: (pictures, D) as the network gives them; kept as float32.
            consent: a text that says who agreed to what, and when.
        """
        name = _name(name)
        with self._writing():
            if self._place(name) is not None:
                raise ValueError(
                    f"name: {name!r} is enrolled already; add() takes more pictures of a person, "
                    "and of two people of one name the second needs another."
                )
            self._file.execute("INSERT INTO people (name) VALUES (?)", [name])
            self._insert(name, embeddings, consent)

    def add(self, name, embeddings, consent):
        """More pictures of somebody who is enrolled; arguments as for `enrol`."""
        name = _name(name)
        with self._writing():
            self._insert(name, embeddings, consent)

    def rename(self, name, new):
        """Give somebody another name; of the old one no byte is left."""
        name, new = _name(name), _name(new, "new")
        with self._writing(leave_no_trace=True):
            person = self._person(name)
            if self._place(new) not in (None, person):
                raise ValueError(f"new: {new!r} is enrolled already.")
            self._file.execute("UPDATE people SET name = ? WHERE id = ?", [new, person])

    def forget(self, name):
        """Delete a person with all embeddings and consents: no byte of them is left in the file.

        If the process dies in between, whoever opens the gallery next ends it. Copies of the file,
        and what a disk keeps of blocks that were freed, are out of reach: look after your backups.
        """
        name = _name(name)
        with self._writing(leave_no_trace=True):
            self._file.execute("DELETE FROM people WHERE id = ?", [self._person(name)])

    def people(self):
        """All who are enrolled, in the order of their names: a list of `Person`."""
        found = {}
        with self._reading():
            rows = self._file.execute(
                "SELECT name, added, consent, model FROM people JOIN pictures "
                "ON person = people.id ORDER BY name, pictures.id"
            )
            for name, *row in rows:
                found.setdefault(name, []).append(row)
        people = []
        for name, rows in found.items():
            dates, consents, models = zip(*rows, strict=True)
            consents, models = tuple(dict.fromkeys(consents)), tuple(dict.fromkeys(models))
            people.append(Person(name, len(rows), dates[0], consents, models))
        return people

    # --- who is it --------------------------------------------------------------------------------

    def templates(self, weighted=False):
        """One direction for each person, as `recognition.templates` makes them.

        They stay in memory until somebody, in this process or another one, writes to the file.

        Returns:
            names (G,), in their order, and unit rows (G, D), float64.
        """
        with self._reading():
            version = self._value("PRAGMA data_version"), self._file.total_changes
            if self._kept.get(weighted, (None,))[0] != version:
                _, names, embeddings = self._all()
                kept = np.zeros(0, str), embeddings
                if names:
                    kept = recognition.templates(embeddings, names, weighted)
                self._kept[weighted] = version, kept
        return self._kept[weighted][1]

    def search(self, embeddings, k=1, weighted=False):
        """The k people closest to each visitor, as `recognition.Matches`.

        Args:
            embeddings: (V, D) of visitors.
            k: how many people; where fewer are enrolled, all of them.
            weighted: whether long embeddings count more in a template.
        """
        names, gallery = self.templates(weighted)
        if not len(names):
            return recognition.no_matches(embeddings)
        return recognition.closest(names, gallery, embeddings, k)

    def convert(self, matrix, model):
        """Take all embeddings over to another network, by the map that `linear_map` found.

        They are worse than what the new network makes of pictures: enrol people anew where you can.
        Keep a copy of the file while you may have to go back.

        Args:
            matrix: (D, D') from embeddings of the old network to those of the new one.
            model: the new network's fingerprint, from then on the gallery's.
        """
        model = _text(model, "model", "fingerprint(backbone)")
        with self._writing():
            numbers, _, old = self._all()
            if len(numbers):
                matrix = inputs.array(matrix, "matrix", (old.shape[1], "dimensions"))
                new = _as_stored(old.astype("float64") @ matrix, "matrix")
                self._file.executemany(
                    "UPDATE pictures SET embedding = ? WHERE id = ?",
                    [(row.tobytes(), number) for row, number in zip(new, numbers, strict=True)],
                )
            self._file.execute("UPDATE gallery SET model = ?", [model])
        self.model = model

    # --- inside -----------------------------------------------------------------------------------

    def _value(self, statement, *arguments):
        row = self._file.execute(statement, arguments).fetchone()
        return None if row is None else row[0]

    def _place(self, name):
        return self._value("SELECT id FROM people WHERE name = ?", name)

    def _person(self, name):
        place = self._place(name)
        if place is None:
            known = [row[0] for row in self._file.execute("SELECT name FROM people ORDER BY name")]
            raise ValueError(
                f"name: nobody is enrolled as {name!r}; there are: {inputs.some(known) or 'none'}."
            )
        return place

    def _all(self, name=None):
        """Numbers, names and embeddings (N, D) of all pictures, or of those of one person."""
        of, arguments = ("", []) if name is None else ("WHERE name = ?", [name])
        rows = self._file.execute(
            "SELECT pictures.id, name, embedding FROM people "
            f"JOIN pictures ON person = people.id {of} ORDER BY pictures.id",
            arguments,
        ).fetchall()
        if not rows:
            return (), (), np.zeros((0, 0), "<f4")
        numbers, names, blobs = zip(*rows, strict=True)
        return numbers, names, np.frombuffer(b"".join(blobs), "<f4").reshape(len(rows), -1)

    def _insert(self, name, embeddings, consent):
        embeddings = _as_stored(embeddings)
        consent = _text(consent, "consent", "Ada, in writing, 2026-05-01: for the door")
        size = self._value("SELECT length(embedding) FROM pictures LIMIT 1")
        if size not in (None, 4 * embeddings.shape[1]):
            raise ValueError(
                f"embeddings: they have {embeddings.shape[1]} dimensions, those in the gallery "
                f"{size // 4}; take both from one network."
            )
        person, now = self._person(name), datetime.now(UTC).isoformat(timespec="seconds")
        self._file.executemany(
            "INSERT INTO pictures (person, model, added, consent, embedding) "
            "VALUES (?, ?, ?, ?, ?)",
            [(person, self.model, now, consent, row.tobytes()) for row in embeddings],
        )
        _, names, own = self._all(name)
        for weighted in (False, True):  # raises if they cancel out
            recognition.templates(own, names, weighted)

    @contextlib.contextmanager
    def _reading(self):
        with self._clear_errors(), self._file:
            self._file.execute("BEGIN")
            self._check_model()
            yield

    @contextlib.contextmanager
    def _writing(self, leave_no_trace=False):
        with self._clear_errors():
            with self._file:
                self._file.execute("BEGIN IMMEDIATE")
                self._check_model()
                yield
                if leave_no_trace:
                    self._file.execute("UPDATE gallery SET unfinished = 1")
            if leave_no_trace:
                self._leave_no_trace()

    def _leave_no_trace(self):
        """Write the file anew, without what its pages may keep of rows that were moved."""
        self._file.execute("VACUUM")
        self._file.execute("UPDATE gallery SET unfinished = 0")

    def _check_model(self):
        """On every use, since another process may have converted the gallery meanwhile."""
        found = self._value("SELECT model FROM gallery")
        if found != self.model:
            raise Problem(
                f"{self.path}: its embeddings are of the network {found}, yours is {self.model}, "
                "and those of two networks cannot be compared: load the old network, enrol "
                "everybody anew, or convert() the gallery by a linear_map()."
            )

    @contextlib.contextmanager
    def _clear_errors(self):
        try:
            yield
        except sqlite3.ProgrammingError:  # a gallery that is closed, or another thread's
            raise
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error)
            remedy = "another program keeps it busy, try again" if busy else "see to its folder"
            raise Problem(f"{self.path}: {error}; {remedy}.") from error
        except sqlite3.DatabaseError as error:
            raise Problem(
                f"{self.path}: no gallery, or damaged ({error}); choose another path, or take the "
                "backup."
            ) from error
        except OSError as error:
            raise Problem(f"{self.path}: {error.strerror}; choose another path.") from error


def _text(value, name, example):
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: expected a text such as {example!r}, got {inputs.shown(value)}.")
    return value.strip()


def _name(value, name="name"):
    value = unicodedata.normalize("NFC", _text(value, name, "Ada"))
    if len(value) > 200 or not value.isprintable():
        raise ValueError(f"{name}: expected one line of at most 200 letters.")
    return value


def _as_stored(embeddings, name="embeddings"):
    """(N, D) float32, little-endian, of which each row has a direction."""
    found = inputs.array(embeddings, name, ("pictures", "dimensions"))
    with np.errstate(over="ignore"):
        found = found.astype("<f4")
    inputs.unit_rows(found, name)
    return found


def fingerprint(model):
    """A short text that tells one network from another: 16 hexadecimal digits.

    It covers all weights to the bit, and of each layer its kind, activation, strides and padding;
    not the names of layers, nor what only matters in training. A network that is saved and loaded
    keeps it.

    Args:
        model: a Keras model that is built, without its head.
    """
    if not all(hasattr(model, part) for part in ("layers", "get_weights")):
        raise TypeError(f"model: expected a Keras model, got {inputs.shown(model)}.")
    weights = model.get_weights()
    if not weights:
        raise ValueError("model: it has no weights; call it on an image first.")
    hashed = hashlib.sha256(repr(list(_architecture(model))).encode())
    for weight in weights:
        hashed.update(f"{weight.dtype} {weight.shape}".encode() + weight.tobytes())
    return hashed.hexdigest()[:16]


def _architecture(model):
    for layer in model.layers:
        yield type(layer).__name__
        for name in ("activation", "strides", "padding", "pool_size", "epsilon", "axis"):
            value = getattr(layer, name, None)
            # a function, or a layer that serves as one, by its kind
            yield getattr(value, "__name__", type(value).__name__) if callable(value) else value
        if hasattr(layer, "layers"):
            yield from _architecture(layer)
