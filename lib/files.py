"""Files that are never seen half written, and the error for what a person has to mend.

Only the standard library, on any Python from 3.6 on: the installer uses it before there are
packages.
"""

import contextlib
import os
import tempfile


class Problem(Exception):
    """Something that a person has to mend; the text says in one line what and how."""


def write_atomically(path, content):
    """Write text (as UTF-8) or bytes to a file: whoever looks finds the old file or the new one.

    Args:
        path: of the file; its folder is made if it is missing.
        content: str or bytes, the whole of the file. Lines end as they do in `content`.

    Raises:
        OSError: if it cannot be written; a file that was there is as before.
    """
    path = os.path.abspath(str(path))
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    # a name of its own, so that two writers do not meet
    handle, unfinished = tempfile.mkstemp(prefix=os.path.basename(path) + ".", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        with contextlib.suppress(OSError):
            os.chmod(unfinished, _mode(path))
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(unfinished)
        raise


def _mode(path):
    """The permissions of the file that is replaced, or those that a new one gets."""
    if os.path.exists(path):
        return os.stat(path).st_mode & 0o777
    mask = os.umask(0)  # there is no way to read it without setting it
    os.umask(mask)
    return 0o666 & ~mask
