"""Unpacks what others packed: nothing is written outside the folder, and nothing grows past what it may be."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from robustbench_nlp.errors import UsageError

__all__ = ["MOST_BYTES", "extracted", "gunzipped"]

MOST_BYTES = 512 * 2**20
"""Of one archive, unpacked."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError, ValueError)
"""What the library raises for archives that are not as they say."""
_NAMES = (None, errno.EINVAL, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
"""Of errors of the system those that an archive's places and names are to blame for; a decompressor's have no number."""


def extracted(archive: Path, folder: Path, inside: str, most: int = MOST_BYTES) -> Path:
    """Unpack a zip file's members below `inside` into the folder; where they lie.

    Raises `UsageError` for a member that leads elsewhere or is a link, for more than `most` bytes in all, whatever the archive's
    index says of them, and for a damaged archive.
    """
    left = most
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in packed.infolist():
                if not member.filename.startswith(inside) or member.is_dir():
                    continue
                _refuse_paths(archive, member)
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, target.open("wb") as file:
                    while piece := source.read(min(1 << 20, left + 1)):
                        left -= len(piece)
                        if left < 0:
                            raise UsageError(_too_large(archive, most))
                        file.write(piece)
    except _DAMAGE as problem:
        if isinstance(problem, OSError) and problem.errno not in _NAMES:
            raise
        raise UsageError(f"{archive.name} is damaged: {problem}; delete it and fetch it again") from problem
    return folder / inside


def _refuse_paths(archive: Path, member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    link = stat.S_ISLNK(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename or link:
        raise UsageError(
            f"{archive.name} holds {member.filename!a}, which leads out of it; don't trust where it is from"
        )


def gunzipped(path: Path, most: int = MOST_BYTES) -> bytes:
    """What a gzip file holds. Raises `UsageError` for more than `most` bytes and for a damaged file, `OSError` where it can't
    be read."""
    unpacker = zlib.decompressobj(wbits=31)
    content = path.read_bytes()
    try:
        found = unpacker.decompress(content, most + 1)
    except zlib.error as problem:
        raise UsageError(f"{path.name} is damaged: {problem}") from problem
    if len(found) > most:
        raise UsageError(_too_large(path, most))
    if not unpacker.eof or unpacker.unused_data:
        raise UsageError(f"{path.name} is damaged: it {'ends early' if not unpacker.eof else 'goes on past its end'}")
    return found


def _too_large(path: Path, most: int) -> str:
    return f"{path.name} unpacks to more than {most >> 20} MB; don't trust where it is from"
