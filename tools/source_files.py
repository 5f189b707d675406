#!/usr/bin/env python3
"""The files that the checks look at: what git tracks or would track, else everything on disk."""

import os
import subprocess
from pathlib import Path

SKIPPED_FOLDERS = {".git", ".venv", "build", "varve-data", "__pycache__", ".pytest_cache"}


def source_files(root: Path) -> list[Path]:
    """Paths relative to `root`, sorted. A copy without git (a tarball, a test) is walked."""
    # A checkout that belongs to another user is read all the same.
    command = ["git", "-c", "safe.directory=*", "-C", str(root), "ls-files", "-z",
               "--cached", "--others", "--exclude-standard"]
    names: list[str] = []
    if (root / ".git").exists():
        try:
            listing = subprocess.run(command, check=True, capture_output=True).stdout
            names = [name for name in os.fsdecode(listing).split("\0") if name]
        except (OSError, subprocess.CalledProcessError):
            pass
    if not names:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted({Path(name) for name in names if (root / name).is_file()})


if __name__ == "__main__":
    import sys

    suffixes = tuple(sys.argv[1:])
    for path in source_files(Path(__file__).resolve().parent.parent):
        if not suffixes or path.name.endswith(suffixes):
            print(path)
