r"""The file list of a directory artifact: the text whose SHA-256 names the directory.

Rules:
    * One line a file, ``<sha256> <size> <path>\n``, sorted by path, each path once; never empty.
    * Paths keep the rules of ``paths``.
    * No file is also a folder of another.
    * ``parse_file_list(format_file_list(files)) == files``, MD5s apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from operator import attrgetter

from mreg.core.history.record import ArtifactFile
from mreg.core.paths import find_path_fault
from mreg.errors import DataError

__all__ = ["find_path_fault", "format_file_list", "hash_file_list", "parse_file_list"]

_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,17}) (.+)")


def format_file_list(files: Iterable[ArtifactFile]) -> bytes:
    """Returns the list as text, whatever the order of ``files``."""
    lines = (f"{file.sha256} {file.size} {file.path}\n" for file in sorted(files, key=attrgetter("path")))
    return "".join(lines).encode()


def hash_file_list(files: Iterable[ArtifactFile]) -> str:
    """Returns the SHA-256 of the list, which is the ``Artifact.sha256`` of the directory."""
    return hashlib.sha256(format_file_list(files)).hexdigest()


def parse_file_list(text: bytes, where: str) -> tuple[ArtifactFile, ...]:
    """Returns the files of a list, sorted by path and without MD5s.

    Args:
        text: What ``format_file_list`` wrote.
        where: The file it came from, for the message.

    Raises:
        DataError: A line breaks a rule of this module; ``details`` names file and line.
    """
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError as error:
        raise _bad_line(where, text.count(b"\n", 0, error.start) + 1, "it is not UTF-8") from None
    if lines.pop() or not lines:
        raise _bad_line(where, len(lines) + 1, "the list is empty or cut off")
    files: list[ArtifactFile] = []
    folders: set[str] = set()
    for number, line in enumerate(lines, 1):
        file = _parse_line(line, where, number)
        if files and file.path <= files[-1].path:
            raise _bad_line(where, number, f"{file.path!r} is out of order or there twice")
        files.append(file)
        folders.update(_folders(file.path))
    for number, file in enumerate(files, 1):
        if file.path in folders:
            raise _bad_line(where, number, f"{file.path!r} is a file and a folder")
    return tuple(files)


def _parse_line(line: str, where: str, number: int) -> ArtifactFile:
    match = _LINE.fullmatch(line)
    if match is None:
        raise _bad_line(where, number, "a line is '<sha256> <size> <path>'")
    fault = find_path_fault(match[3])
    if fault:
        raise _bad_line(where, number, f"{match[3]!r}: {fault}")
    return ArtifactFile(path=match[3], size=int(match[2]), sha256=match[1])


def _folders(path: str) -> Iterable[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


def _bad_line(where: str, number: int, why: str) -> DataError:
    return DataError(
        f"the file list {where}, line {number}, cannot be read: {why}",
        hint="restore the file as it was committed with its version",
        details={"file": where, "line": number},
    )
