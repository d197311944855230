"""Pictures from a disk, good and bad ones; and LFW's list of pairs."""

from lib import faces, folder, verification
from lib.files import Problem

import numpy as np
import pytest
from PIL import Image

PEOPLE = faces.people("test", count=4, images=5)


def save(path, pixels, **options):
    """Numbers from 0 to 1 as a picture of 8 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(np.asarray(pixels) * 255).astype("uint8")
    Image.fromarray(pixels.squeeze()).save(path, **options)
    return path


@pytest.fixture
def album(tmp_path):
    for name, label in (("Bob", 1), ("Ada", 0)):
        for number, image in enumerate(PEOPLE.images[PEOPLE.labels == label]):
            save(tmp_path / name / f"{number}.png", image)
    return tmp_path


def ramp(height, width):
    """Dark on the left, light on the right."""
    return np.tile(np.linspace(0, 1, width), (height, 1))


def test_a_folder_is_read_as_it_was_written(album):
    found = folder.read_folder(album)
    assert found.names == ("Ada", "Bob")
    np.testing.assert_array_equal(found.labels, [0] * 5 + [1] * 5)
    assert found.images.dtype == np.float32
    np.testing.assert_allclose(found.images, PEOPLE.images[:10], atol=0.5001 / 255)
    assert [path.name for path in found.paths[:5]] == [f"{i}.png" for i in range(5)]
    assert found.passed_over == ()
    assert repr(found) == "10 pictures of 2 people"


def test_what_is_no_picture_is_passed_over_and_named(album):
    ada = album / "Ada"
    (ada / ".DS_Store").write_bytes(b"")
    (ada / "notes.txt").write_text("no picture")
    (ada / "phone.heic").write_bytes(b"\0\0\0 ftypheic")
    (ada / "empty.jpg").write_bytes(b"")
    whole = save(ada / "cut.png", np.random.default_rng(0).random((99, 99))).read_bytes()
    (ada / "cut.png").write_bytes(whole[: len(whole) // 2])
    (ada / "flipped.png").write_bytes(whole[:60] + b"\xff" * 40 + whole[100:])
    (ada / "inner").mkdir()
    (album / ".cache").mkdir()
    (album / "Nobody").mkdir()
    save(album / "loose.png", ramp(9, 9))
    Image.fromarray(ramp(9, 9).astype("float32")).save(ada / "floats.tiff")
    found = folder.read_folder(album)
    reasons = {path.name: reason for path, reason in found.passed_over}
    expected = {
        ".DS_Store": "hidden",
        "notes.txt": "not a picture",
        "phone.heic": "save it as JPEG",
        "empty.jpg": "beginning is damaged",
        "cut.png": "cannot be decoded",
        "flipped.png": "cannot be decoded",
        "inner": "a folder, not a picture",
        ".cache": "hidden",
        "Nobody": "no picture of this person",
        "loose.png": "not in a person's folder",
        "floats.tiff": "white is not known",
    }
    assert reasons.keys() == expected.keys()
    for name, words in expected.items():
        assert words in reasons[name], name
        assert f"{name} (" in repr(found)
    assert found.names == ("Ada", "Bob")
    assert len(found.images) == 10


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp"])
def test_whatever_is_damaged_is_read_or_passed_over(tmp_path, suffix):
    """Bytes changed and ends cut off at random places."""
    path = save(tmp_path / "Ada" / f"whole.{suffix}", np.random.default_rng(0).random((30, 30, 3)))
    whole = np.frombuffer(path.read_bytes(), "uint8")
    rng = np.random.default_rng(1)
    for number in range(40):
        damaged = whole[: rng.integers(len(whole))] if number % 2 else whole.copy()
        if number % 2 == 0:
            damaged[rng.integers(len(whole), size=20)] = rng.integers(256, size=20)
        (tmp_path / "Ada" / f"{number}.{suffix}").write_bytes(damaged.tobytes())
    found = folder.read_folder(tmp_path)
    assert len(found.images) + len(found.passed_over) == 41
    assert len(found.passed_over) > 5


def test_kinds_of_pictures(tmp_path):
    """The same ramp in every form that Pillow writes; transparent parts are white."""
    grey = np.rint(ramp(40, 40) * 255).astype("uint8")
    colour = np.stack([grey] * 3, axis=-1)
    half = np.where(np.arange(40)[:, None] < 20, 255, 0).astype("uint8") * np.ones_like(grey)
    on_white = np.where(half > 0, grey, 255) / 255
    for name, image, expected in (
        ("grey.png", Image.fromarray(grey), grey / 255),
        ("colour.png", Image.fromarray(colour), grey / 255),
        ("cmyk.tiff", Image.fromarray(colour).convert("CMYK"), grey / 255),
        ("deep.png", Image.fromarray(grey.astype("uint16") * 257), grey / 255),
        ("alpha.png", Image.fromarray(np.dstack([colour, half])), on_white),
        ("grey alpha.png", Image.fromarray(np.dstack([grey, half]), "LA"), on_white),
        ("black and white.png", Image.fromarray(grey > 127), grey > 127),
        ("palette.gif", Image.fromarray(grey), grey / 255),
    ):
        image.save(tmp_path / name)
        read = folder.read_picture(tmp_path / name, size=40)
        np.testing.assert_allclose(read[..., 0], expected, atol=1e-6, err_msg=name)
    blue = save(tmp_path / "blue.png", np.full((30, 30, 3), [0, 0, 1.0]))
    np.testing.assert_allclose(folder.read_picture(blue), 29 / 255, atol=1e-6)  # its luma: 0.114


def test_the_camera_says_which_way_is_up(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    path = save(tmp_path / "turned.png", ramp(20, 20), exif=exif)
    top_to_bottom = folder.read_picture(path, size=20)[..., 0]
    np.testing.assert_allclose(top_to_bottom, ramp(20, 20).T, atol=1 / 255)


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (31, 92)])
def test_the_square_is_in_the_middle_and_nothing_is_squeezed(tmp_path, shape):
    """A disc in the middle stays a disc, at the size that its share of the height says."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    radius = np.hypot(y - shape[0] / 2, x - shape[1] / 2)
    path = save(tmp_path / "disc.png", radius < min(shape) / 4)
    read = folder.read_picture(path, size=60)[..., 0]
    assert abs(read.sum() - np.pi * 15**2) < 0.03 * np.pi * 15**2
    for axis in (0, 1):
        extent = np.flatnonzero(read.max(axis=axis) > 0.5)
        assert abs(len(extent) - 30) <= 2
        assert abs(extent.mean() - 29.5) <= 1


def test_a_crop_is_in_shares_of_the_picture(tmp_path):
    path = save(tmp_path / "wide.png", ramp(100, 200))
    read = folder.read_picture(path, size=10, crop=(0.5, 0, 1, 1))
    np.testing.assert_allclose(read[0, :, 0], 0.5 + (np.arange(10) + 0.5) / 20, atol=0.005)
    middle = folder.read_picture(path, size=10, crop=(0.1, 0.4, 0.9, 0.6))  # 160 × 20 pixels
    np.testing.assert_allclose(middle[0, :, 0], 0.45 + (np.arange(10) + 0.5) / 100, atol=0.005)


def test_one_name_in_two_spellings_of_unicode_is_one_person(album):
    save(album / "Jos\u00e9" / "one.png", ramp(9, 9))
    save(album / "Jose\u0301" / "two.png", ramp(9, 9))
    found = folder.read_folder(album)
    assert found.names == ("Ada", "Bob", "Jos\u00e9")
    assert (found.labels == 2).sum() == 2
    assert found.passed_over == ()


def test_what_is_wrong_is_said(album, tmp_path):
    with pytest.raises(Problem, match="nowhere: there is no such folder"):
        folder.read_folder(tmp_path / "nowhere")
    with pytest.raises(Problem, match=r"no picture in it.*first\.png.*0\.png: not in a person's"):
        folder.read_folder(album / "Ada")
    with pytest.raises(Problem, match="missing.png: there is no such file"):
        folder.read_picture(album / "missing.png")
    for crop in ((0, 0, 1), (0, 0, 0, 1), (0.5, 0, 0.4, 1), (0, -0.1, 1, 1), (0, 0, 1, np.nan)):
        with pytest.raises(ValueError, match="crop: "):
            folder.read_folder(album, crop=crop)
    for size in (7, 513, 28.0, None):
        with pytest.raises(ValueError, match="size: "):
            folder.read_picture(album / "Ada" / "0.png", size=size)


# --- LFW ------------------------------------------------------------------------------------------

LIST = """\
2\t2
Ada\t1\t4
Bob\t3\t2
Ada\t5\tBob\t1
Bob\t2\tAda\t2
Cy\t1\t2
Di\t12\t3
Cy\t1\tDi\t3
Di\t1\tCy\t5
"""


def listed(tmp_path, text):
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    return path


def test_the_list_of_pairs_is_read_in_its_order(tmp_path):
    pairs = folder.read_pairs(listed(tmp_path, LIST))
    assert repr(pairs) == "2 folds of 4 pairs, 13 pictures"
    names = np.array(pairs.files)
    short = np.char.replace(names, ".jpg", "")
    compared = np.stack([short[pairs.first[1]], short[pairs.second[1]]], axis=1)
    assert compared.tolist() == [
        ["Cy/Cy_0001", "Cy/Cy_0002"],
        ["Di/Di_0012", "Di/Di_0003"],
        ["Cy/Cy_0001", "Di/Di_0003"],
        ["Di/Di_0001", "Cy/Cy_0005"],
    ]
    np.testing.assert_array_equal(pairs.genuine, [[True, True, False, False]] * 2)
    assert len(set(pairs.files)) == len(pairs.files)
    assert folder.read_pairs(tmp_path / "pairs.txt", suffix=".png").files[0] == "Ada/Ada_0001.png"


def test_a_small_set_in_the_form_of_lfw(tmp_path):
    """Written from pairs that are known, and read back: the same accuracy on the same folds."""
    people = faces.people("test", count=24, images=4)
    flat = people.images.reshape(len(people.labels), -1)
    first, second, genuine = verification.fold_pairs(people.labels, folds=4, pairs=12)
    lines = ["4\t12"]
    for a, b, same in zip(first.flat, second.flat, genuine.flat, strict=True):
        (who, i), (other, j) = (divmod(row, 4) for row in (a, b))
        middle = "" if same else f"\tPerson_{other}"
        lines.append(f"Person_{who}\t{i + 1}{middle}\t{j + 1}")
    for row, image in enumerate(people.images):
        name = f"Person_{row // 4}"
        save(tmp_path / name / f"{name}_{row % 4 + 1:04d}.png", image)
    pairs = folder.read_pairs(listed(tmp_path, "\n".join(lines)), suffix=".png")
    images = np.stack([folder.read_picture(tmp_path / file) for file in pairs.files])
    found = images.reshape(len(images), -1)
    expected = verification.fold_accuracy(np.round(flat * 255), first, second, genuine)
    np.testing.assert_array_equal(pairs.genuine, genuine)
    for mine, rows in ((pairs.first, first), (pairs.second, second)):
        np.testing.assert_allclose(found[mine], flat[rows], atol=0.5001 / 255)
    got = verification.fold_accuracy(found, pairs.first, pairs.second, pairs.genuine)
    assert got.accuracies == expected.accuracies
    assert 0.5 < got.mean < 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("2\t2", "4"), "line 1: expected the number of folds .* got '4'"),
        (("2\t2", "2\t0"), "line 1"),
        ((LIST, ""), "line 1"),
        (("2\t2", "3\t2"), "are 12 lines after the first, and there are 8"),
        (("Bob\t3\t2\n", ""), "and there are 7"),
        (("Bob\t3\t2", "Bob\t3\tAda\t2"), "line 3: expected NAME a b"),
        (("Ada\t5\tBob\t1", "Ada\t5\t1"), "line 4: expected NAME a OTHER b"),
        (("Cy\t1\t2", "Cy\t1\t01"), "line 6: .*two pictures"),
        (("Cy\t1\tDi\t3", "Cy\t1\tCy\t3"), "line 8: .*two people"),
        (("Di\t1\tCy\t5", "Di\t0\tCy\t5"), "line 9"),
        (("Di\t1\tCy\t5", "Di\tx\tCy\t5"), "line 9"),
    ],
)
def test_a_list_of_another_form_is_refused_with_its_line(tmp_path, change, message):
    with pytest.raises(Problem, match=r"pairs\.txt.*" + message):
        folder.read_pairs(listed(tmp_path, LIST.replace(*change)))
    assert folder.read_pairs(listed(tmp_path, LIST + "\n\n")).genuine.shape == (2, 4)


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(Problem, match=r"none\.txt: it cannot be read"):
        folder.read_pairs(tmp_path / "none.txt")
