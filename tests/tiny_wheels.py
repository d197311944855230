"""Wheels of a few bytes, for tests that install: a folder of them stands for a registry."""

import base64
import hashlib
import zipfile


def write_wheel(folder, name, tag="py3-none-any", source="", main=""):
    """Write version 1.0 of a package; return the hash that a lock has for it."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": source,
        f"{name}/__main__.py": main,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
        record += f"{file},sha256={digest.rstrip('=')},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    path = folder / f"{name}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lock_lines(name, *hashes, marker=""):
    """The lines of a lock for version 1.0 of a package."""
    return f"{name}==1.0{marker}" + "".join(f" \\\n    --hash=sha256:{h}" for h in hashes) + "\n"
