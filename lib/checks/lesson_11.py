"""Self-checks of lesson 11. A `Hint` answers one wrong answer that people really give."""

import contextlib
import functools
import math
import numbers
import sqlite3
import tempfile
from pathlib import Path

from lib import faces
from lib.course import Hint, require_shape, self_check
from lib.files import Problem
from lib.gallery import Gallery, fingerprint
from lib.records import results

import numpy as np
from PIL import Image
from scipy import stats


@self_check("11.1 a hundred times as many")
def grown(fpir_100, fpir_10_000, fmr_needed, fpir_unlike):
    def close(value, right):
        return math.isclose(value, right, rel_tol=0.01)

    if close(fpir_100, 0.0001) or close(fpir_10_000, 0.0001):
        raise Hint("that is one comparison; a stranger is compared with everybody enrolled.")
    if close(fpir_100, 0.9999**100) or close(fpir_10_000, 0.9999**10_000):
        raise Hint("that is how likely nobody's name is given: take it from 1.")
    if not close(fpir_100, 1 - 0.9999**100):
        raise Hint("each comparison goes well with 0.9999; all 100 of them with its power.")
    if close(fpir_10_000, 1):
        raise Hint("that is how many names to expect: how likely is at least one of them?")
    if not close(fpir_10_000, 1 - 0.9999**10_000):
        raise Hint("as in front of 100: each goes well with 0.9999, now 10,000 of them.")
    if close(fmr_needed, 0.01):
        raise Hint("that is the rate for a visit; one comparison in 10,000 has to be far rarer.")
    if close(1 - fmr_needed, 1e-6):
        raise Hint("that is how likely one comparison goes well: take it from 1.")
    if not close(fmr_needed, 1 - 0.99 ** (1 / 10_000)):
        raise Hint("solve 1 − (1 − FMR)^10,000 = 0.01 for the FMR.")
    if close(fpir_unlike, 1 - 0.9999**10_000):
        raise Hint("that is for ten strangers who are alike; nine of these are never taken.")
    if close(fpir_unlike, 1 - 0.999**10_000):
        raise Hint("that is the one in ten; the mean over all strangers was asked.")
    if not close(fpir_unlike, 0.1 * (1 - 0.999**10_000)):
        raise Hint("one stranger in ten: 0.1 times what one with an FMR of 0.001 meets.")
    return (
        "right. The FMR is the same and the FPIR a sixth: it is measured in front of a gallery, "
        "not worked out from pairs."
    )


@self_check("11.2 identify, or refuse")
def identified(identify):
    gallery = np.array([[3.0, 0, 0], [0, 1, 0], [0, 3, 4], [0, 0, -2], [0, 0, -4]])
    names = np.array([7, 5, 9, 4, 6])
    queries = np.array([[0.2, 0, 0], [0, 5, 1], [-2, 0.1, 0.1], [1, 0.9, 0], [1, 0, -3]])
    right = [7, 5, -1, -1, -1]
    result = require_shape(identify(queries, gallery, names, 0.8), (5,)).tolist()
    if {0, 1, 2, 3} & set(result):
        raise Hint("these are places in the gallery: look up the names there, names[place].")
    if -1 not in result:
        raise Hint("nobody is refused: where the largest cosine is below the threshold, give −1.")
    if result[1] == 9:
        raise Hint("a long entry of the gallery wins by its length: divide every row by its own.")
    if set(result) == {-1}:
        raise Hint("all are refused: that others tie does not matter where somebody is closer.")
    if result[0] == -1:
        raise Hint("a short query is refused, though its direction is right: divide by its length.")
    if result[:4] == right[:4] and result[4] in (4, 6):
        raise Hint("the last query is as close to name 4 as to name 6: that is nobody, too.")
    if result != right:
        raise Hint(f"the answers should be {right}, yours are {result}: the largest cosine wins.")
    if identify(queries, gallery, names, 0.7).tolist() != [7, 5, -1, 7, -1]:
        raise Hint("query 3, [1, 0.9, 0], has a cosine of 0.74 with name 7, and 0.7 is asked.")
    return "right. recognition.decide does the same; where its threshold is from is 11.3."


@self_check("11.3 the lowest threshold")
def lowest_threshold(function):
    # of ten strangers; each one's second person has his highest cosine
    highest = np.array([0.4, 0.1, 0.9, 0.5, 0.2, 0.8, 0.3, 0.7, 0.6, 0.35])
    cosines = highest[:, None] - np.array([0.2, 0, 0.05, 0.4])
    found = _number(function(cosines.copy(), 0.25))
    named = np.count_nonzero(highest >= found)
    if math.isclose(found, np.quantile(cosines, 0.75)):
        raise Hint("a quantile of all cosines: a stranger is named by the highest of his own.")
    if named in (7, 8):
        raise Hint("that names three quarters of them: 0.25 is the share that is let in.")
    if math.isclose(found, np.quantile(highest, 0.75)):
        raise Hint("np.quantile lies between two of them and lets a third in: 0.3 is over 0.25.")
    if found == 0.7:
        raise Hint("who scores the threshold itself is named, ≥: at 0.7 those are three, not two.")
    if named > 2:
        raise Hint(f"it names {named} of ten, a share of {named / 10}; 0.25 allows two.")
    if found > 0.8:
        raise Hint(f"it names {named} of ten, and two are allowed: it can be lower.")
    tied = _number(function(np.array([[0.3], [0.6], [0.8], [0.6], [0.2]]), 0.4))
    if tied <= 0.6:
        raise Hint("two tie at 0.6, and with 0.8 they are three of five: neither may be named.")
    if tied > 0.8:
        raise Hint("two tie at 0.6 and stay out, but the one at 0.8 may be named.")
    if _number(function(cosines, 0.05)) <= 0.9:
        raise Hint("0.05 of ten strangers is less than one: it takes a threshold that all fail.")
    return "right. A few strangers decide it, so recognition.threshold_for gives an interval."


def _number(value):
    if np.ndim(value) != 0:
        raise Hint(f"the result has shape {np.shape(value)}, expected one number.")
    return float(value)


# --- what is left of somebody ---------------------------------------------------------------------


@self_check("11.4 what is left of Ada")
def left(what_is_left):
    rng = np.random.default_rng(0)
    ada, bob, cleo = rng.normal(size=(3, 64)).astype("float32")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        shop, mended = Path(temporary, "for Ada"), Path(temporary, "mended")

        def found(folder, name, embedding):
            # in float64, of which other bytes are stored
            return _files(what_is_left(folder, name, embedding.astype("float64")), folder)

        _keep(shop, ada, bob)
        _forget(shop, "Ada")
        _check_left(found(shop, "Ada", ada))
        if found(shop, "Cleo", cleo):
            raise Hint("Cleo was never there, and your function finds her.")
        mended.mkdir()
        with Gallery(mended / "people.gallery", "network") as gallery:
            gallery.enrol("Ada", ada[None], "in writing, for the door")
            gallery.enrol("Bob", bob[None], "in writing, for the door")
            if not found(mended, "Ada", ada):
                raise Hint("Ada is enrolled in a lib.gallery, and nothing of her was found.")
            gallery.forget("Ada")
            if found(mended, "Ada", ada):
                raise Hint("lib.gallery forgot Ada, and yet something was found.")
    return "right: five places. DELETE frees a row and leaves its bytes; lib.gallery wipes them."


# Where something is left, and the hint for who overlooks it there.
LEFT = {
    "door.log": "door.log has the name: look into every file, whatever it is called.",
    ".people.json": ".people.json has the name: glob.glob passes over files that are hidden.",
    "cache/templates.npy": "templates.npy has no name in it, but the embedding, as float32.",
    "people/Ada/1.png": "1.png lies in people/Ada: her name is in its path.",
    "people.db": "people.db: DELETE frees the row, its bytes stay. Read all files as bytes.",
}


def _keep(folder, ada, bob):
    """The colleague's folder, with two people in it."""
    for path in ("cache", "people/Ada", "people/Bob"):
        (folder / path).mkdir(parents=True)
    for path, text in (
        ("door.log", "2026-05-02 Bob\n2026-05-03 Ada\n"),
        ("hours.txt", "Open from nine to five.\n"),
        (".people.json", '["Ada", "Bob"]'),
        ("people/Ada/1.png", "a picture"),
        ("people/Bob/1.png", "a picture"),
    ):
        (folder / path).write_text(text, encoding="utf-8")
    np.save(folder / "cache" / "templates.npy", [bob, ada])
    np.save(folder / "cache" / "visitor.npy", bob)
    base = sqlite3.connect(folder / "people.db")
    base.execute("PRAGMA secure_delete = OFF")  # as SQLite has it, where nobody chose
    base.execute("CREATE TABLE people (name TEXT, embedding BLOB)")
    for name, embedding in (("Ada", ada), ("Bob", bob)):
        base.execute("INSERT INTO people VALUES (?, ?)", [name, embedding.tobytes()])
    base.commit()
    base.close()


def _forget(folder, name):
    """As the exercise shows it, where nobody built SQLite to wipe."""
    base = sqlite3.connect(folder / "people.db")
    base.execute("PRAGMA secure_delete = OFF")
    base.execute("DELETE FROM people WHERE name = ?", [name])
    base.commit()
    base.close()


def _files(found, folder):
    """What was returned, as a set of paths below the folder."""
    if isinstance(found, str | bytes) or not hasattr(found, "__iter__"):
        raise Hint(f"expected a list of paths, got {found!r:.60}.")
    paths = [Path(folder, path) for path in found]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise Hint(f"there is no {missing[0]} in the folder itself: return whole paths.")
    files = {path.resolve() for path in paths if path.is_file()}
    return {file.relative_to(folder.resolve()).as_posix() for file in files}


def _check_left(found):
    """Hints about the files found after the colleague's `forget`."""
    if "hours.txt" in found:
        raise Hint(
            "hours.txt knows nothing of Ada. Of a path, only the part below `folder` counts."
        )
    for path in ("people/Bob/1.png", "cache/visitor.npy"):
        if path in found:
            raise Hint(f"{path} is of Bob alone.")
    if not any("/" in path for path in found):
        raise Hint("something is left in folders below `folder`, too: rglob goes there.")
    for path, hint in LEFT.items():
        if path not in found:
            raise Hint(hint)


# --- the capstone ---------------------------------------------------------------------------------

FPIR, CONSENT = 0.1, "all of them in writing, 2026-05-01: for this door"
NAMES = [f"Guest {number:02}" for number in range(20)]  # who is enrolled
STRANGERS = 100
ENROLLED_BY, PICTURES = 4, 5  # the last one is a visit; a stranger comes once
DAMAGED = "cut.png"


@self_check("11.5 a recogniser of your own")
def recogniser(build):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        trial = _Trial(build, Path(temporary))
        trial.knows_nobody()
        trial.enrols()
        found, named = trial.answers_at_the_door()
        trial.survives()
        trial.forgets(NAMES[7])
    return (
        f"{found:.0%} of the enrolled found, and {named:.1%} of the strangers given a name where "
        f"{FPIR:.0%} may be. Now the page that goes with it."
    )


@functools.cache
def _drawn():
    """The network, its validation people, and the pictures (people, each, 28, 28) for the trial."""
    backbone = results.recorded_backbone("faces-arcface-1000")
    test = faces.people("test", len(NAMES) + STRANGERS, PICTURES)
    images = np.rint(255 * test.images).astype("uint8").reshape(-1, PICTURES, 28, 28)
    return backbone, faces.people("validation", 80, 8), images


class _Trial:
    """A recogniser in a folder with pictures, and what it has to bear."""

    def __init__(self, build, folder):
        self.backbone, self.validation, images = _drawn()
        self.build, self.folder = build, folder
        self.path = folder / "door" / "people.gallery"
        self.path.parent.mkdir()
        self.visits = {}  # each picture and the right answer
        for person, pictures in enumerate(images):
            name = NAMES[person] if person < len(NAMES) else None
            for number, picture in enumerate(pictures if name else pictures[:1]):
                place = folder / "visits" / f"{person}-{number}.png"
                if name and number < ENROLLED_BY:
                    place = folder / "people" / name / f"{number}.png"
                else:
                    self.visits[place] = name
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(place)
        for place in (folder / "people" / NAMES[3], folder / "visits"):
            (place / DAMAGED).write_bytes(next(iter(self.visits)).read_bytes()[:200])
        self.own = self.opened(self.backbone)

    def opened(self, backbone):
        return self.build(backbone, self.path, FPIR, self.validation)

    def answers(self, paths, own=None):
        found = (own or self.own).answer(list(paths))
        if not isinstance(found, list | tuple | np.ndarray) or len(found) != len(paths):
            raise Hint(f"answer() of {len(paths)} pictures: a list with one answer for each.")
        if set(found) - {None, *NAMES}:
            wrong = next(answer for answer in found if answer not in (None, *NAMES))
            raise Hint(f"{wrong!r} is no answer: a name as its folder has it, or None.")
        return list(found)

    def share_found(self, own, names):
        """The share of these people's visits that are given the right name."""
        visits = {path: name for path, name in self.visits.items() if name in names}
        answers = self.answers(visits, own)
        return np.mean([a == name for a, name in zip(answers, visits.values(), strict=True)])

    def knows_nobody(self):
        with _stops("answer() in front of an empty gallery"):
            (answer,) = self.answers(list(self.visits)[:1])
        if answer is not None:
            raise Hint(f"nobody is enrolled yet, and the answer is {answer!r}: None is right.")

    def enrols(self):
        people = self.folder / "people"
        with _stops("enrol_folder()"):
            self.own.enrol_folder(people, CONSENT)
        self.check_reported(people / NAMES[3] / DAMAGED)
        try:
            with Gallery(self.path, fingerprint(self.backbone)) as gallery:
                enrolled = gallery.people()
        except Problem as problem:
            raise Hint(f"the file should be a lib.gallery of this network: {problem}") from None
        if [person.name for person in enrolled] != NAMES:
            raise Hint(
                f"{len(enrolled)} are enrolled, {', '.join(p.name for p in enrolled[:2])}, …: it "
                f"should be {len(NAMES)}, each by the name of the folder."
            )
        if any(person.consents != (CONSENT,) for person in enrolled):
            raise Hint("the gallery should keep the consent as it was given.")

    def answers_at_the_door(self):
        answers = self.answers(self.visits)
        right = list(self.visits.values())
        named = np.mean([a is not None for a, name in zip(answers, right, strict=True) if not name])
        found = np.mean([a == name for a, name in zip(answers, right, strict=True) if name])
        if named == 1:
            raise Hint("every stranger is given a name: below the threshold nobody is named.")
        # twice as many, and the luck of these visits: the threshold is from few people, too
        if named * STRANGERS > stats.binom.ppf(0.999, STRANGERS, 2 * FPIR):
            raise Hint(
                f"{named:.0%} of the strangers are given a name, and {FPIR:.0%} may be. Is the "
                "threshold one for as many people as are enrolled?"
            )
        if found < 0.8:
            raise Hint(
                f"{found:.0%} of the visits of enrolled people get the right name; more than 80% "
                f"can, with {FPIR:.0%} of the strangers named. Is the threshold the lowest one?"
            )
        if not isinstance(self.own.threshold, numbers.Real):
            raise Hint(f"threshold should be a number, not {self.own.threshold!r:.60}.")
        damaged, sound = self.folder / "visits" / DAMAGED, list(self.visits)[:2]
        with _stops("answer() on a damaged picture"):
            again = self.answers([sound[0], damaged, sound[1]])
        if again != [answers[0], None, answers[1]]:
            raise Hint(
                f"a damaged picture between two others: {again}; None in its place is right."
            )
        self.check_reported(damaged)
        return found, named

    def survives(self):
        with _stops("a second recogniser on the same file"):
            self.second = self.opened(self.backbone)
            if self.share_found(self.second, NAMES[:5]) < 0.6:
                raise Hint("a second recogniser on the same file does not know who is enrolled.")
        try:
            self.opened(results.recorded_backbone("faces-softmax-1000"))
        except Problem:
            return
        raise Hint("another network opened the gallery without a word: give it fingerprint().")

    def forgets(self, name):
        before = self.stored()
        with _stops("forget()"):
            self.own.forget(name)
        for own in (self.own, self.second):
            if self.share_found(own, [name]):
                raise Hint(f"{name} is forgotten, and is given this name again.")
        if self.share_found(self.own, NAMES[8:13]) < 0.6:
            raise Hint(f"others than {name} were forgotten, too.")
        traces = {name.encode(), *(before - self.stored())}
        for file in self.path.parent.rglob("*"):
            if file.is_file() and any(trace in file.read_bytes() for trace in traces):
                raise Hint(f"{name} is forgotten, and something of that person is in {file.name}.")

    def stored(self):
        """All embeddings in the gallery, as bytes."""
        with contextlib.closing(sqlite3.connect(self.path)) as base:
            return {row[0] for row in base.execute("SELECT embedding FROM pictures")}

    def check_reported(self, path):
        reported = str(self.own.passed_over)
        if path.name not in reported or path.parent.name not in reported:
            raise Hint(f"{path.parent.name}/{path.name} is damaged: passed_over has to name it.")


@contextlib.contextmanager
def _stops(what):
    """Say at what a student's code stopped."""
    try:
        yield
    except (Hint, NotImplementedError):
        raise
    except Exception as error:
        raise Hint(f"{what} stopped with {type(error).__name__}: {error}") from None
