"""The README's program, outside this course: its own model, saved, loaded, exported and served."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lib  # noqa: F401
from lib import layers

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.backends

ROOT = Path(__file__).resolve().parents[1]
TORCH = keras.backend.backend() == "torch"

# What the test asks of the program at its end.
KEEP = """
hits = (model.predict(images, verbose=0).argmax(axis=1) == labels).mean()
few = images[:50].astype("float32")
np.savez("expected.npz", images=few, embeddings=embeddings[:50], hits=hits)
"""


def program():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    (block,) = (block for block in blocks if "import keras" in block)
    return block


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the program ran: three files of `lib`, and nothing else of the course."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "margins").mkdir()
    for name in ("losses", "layers", "models"):
        shutil.copy(ROOT / "lib" / f"{name}.py", folder / "margins")
    (folder / "program.py").write_text(program() + KEEP, encoding="utf-8")
    # Packages are found there as here, the course is not.
    packages = [entry for entry in sys.path if Path(entry).resolve() not in (ROOT, ROOT / "tests")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(packages),
        "KERAS_BACKEND": keras.backend.backend(),
    }
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return folder


def served(folder, name, inputs):
    """What the exported model gives, by a runtime that knows neither Keras nor the course."""
    if TORCH:
        os.environ["XDG_CACHE_HOME"] = str(folder)  # else it leaves an id in the home
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / f"{name}.onnx")
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]
    import tensorflow as tf

    loaded = tf.saved_model.load(folder / name)
    return loaded.serve(inputs).numpy()


def test_it_learns_and_what_is_served_gives_the_same_embeddings(folder):
    expected = np.load(folder / "expected.npz")
    assert expected["hits"] > 0.9
    for count in (50, 1):  # any batch
        embeddings = served(folder, "service", expected["images"][:count])
        np.testing.assert_allclose(embeddings, expected["embeddings"][:count], atol=2e-3)
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("head", ["CosineHead", "ModifiedSoftmaxHead", "SubCenterHead"])
def test_a_head_can_be_served_too_and_refuses_what_is_no_number(head, tmp_path):
    model = keras.Sequential([keras.Input((6,)), getattr(layers, head)(5)])
    inputs = np.random.default_rng(0).standard_normal((7, 6)).astype("float32")
    inputs[1] = 0
    expected = model.predict(inputs, verbose=0)
    if TORCH:
        model.export(tmp_path / "whole.onnx", format="onnx", verbose=False)
    else:
        model.export(tmp_path / "whole", verbose=False)
    np.testing.assert_allclose(served(tmp_path, "whole", inputs), expected, atol=1e-6)
    for wrong in (np.nan, np.inf, 1e30):  # the last: a length beyond float32
        bad = inputs.copy()
        bad[2, 0] = wrong
        if keras.backend.backend() == "tensorflow":
            with pytest.raises(Exception, match="embedding_is_nan_or_infinite"):
                served(tmp_path, "whole", bad)
            continue
        outputs = served(tmp_path, "whole", bad)
        assert np.isnan(outputs[2]).all()
        np.testing.assert_allclose(np.delete(outputs, 2, 0), np.delete(expected, 2, 0), atol=1e-6)
