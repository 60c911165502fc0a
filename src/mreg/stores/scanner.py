"""Scanning for pickles that run code, by picklescan; nothing is loaded, and nothing is unpacked to where it could be.

Rules:
    * What cannot be read to its end is a finding, never a pass.  picklescan itself calls bytes that it cannot read "no
      pickle", and clean; here every pickle must end where a pickle ends, and the next begin right behind it.
    * A file that is a pickle, or is named like one, must be read whole.  All others are looked at as far as they read
      like a pickle: a dangerous name is a finding there too.
    * Models of other formats that can run code (Keras, SavedModel, TorchScript) are findings: picklescan reads pickles.
    * joblib puts the bytes of arrays between the opcodes, where they can hide any: such a file is a finding.
    * picklescan has a list of what is dangerous; every such list lets something through.  A list of allowed formats
      (``formats:``) is the stronger gate.
"""

from __future__ import annotations

import io
import pickletools
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import IO

from msgspec import Struct, field

from mreg.core.review.gates import Scan
from mreg.core.versions.formats import HEAD_SIZE, ZIP_STARTS, recognise_directory, recognise_file, unsafe_reason
from mreg.errors import MregError
from mreg.stores.artifacts.survey import survey_artifact

__all__ = ["scan_pickles"]

_MISSING = "no scanner is installed: pip install 'mreg[scan]'"
_READABLE = frozenset({"pickle", "joblib", "torch-zip"})
"""Formats that can run code by the pickles in them alone."""
_SUFFIXES = frozenset({".pkl", ".pickle", ".p", ".joblib", ".dill", ".cloudpickle"})
_JOBLIB_ARRAYS = "joblib.numpy_pickle"
_NUMPY = b"\x93NUMPY"
_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle that begins what torch.save wrote before 1.6."""
_TORCH_PICKLES = 5
"""Magic number, version, system, model and keys of the tensors; then come the tensors, which are no pickles."""
MAX_DEPTH = 3
"""Archives within archives."""
MAX_PICKLES = 1000
"""In one file; each costs a walk of its own."""
SMALL = 1 << 20
"""Bytes that are worth no second thought: of a packed member, and of the start of what is no pickle."""
MAX_RATIO = 100
"""A larger member may unpack to so many times its packed size."""
MAX_FINDINGS = 5
MAX_SHOWN = 100
"""Characters of a name out of an artifact."""

Classifier = Callable[[IO[bytes], str], Iterable["_Import"]]
"""Gives what the pickle at a file's position asks for."""


def scan_pickles(source: Path | Mapping[str, Path]) -> Scan:
    """Returns what picklescan finds in an artifact.

    Args:
        source: The file or the directory; or where the bytes of each file are, by its path in the artifact.

    Returns:
        Not clean where something was found or could not be read, and where no scanner is installed.
    """
    classify = _load_picklescan()
    if classify is None:
        return Scan("none", is_clean=False, message=_MISSING)
    tool = f"picklescan {metadata.version('picklescan')}"
    try:
        files = source if isinstance(source, Mapping) else _list_files(source)
    except MregError as error:
        return Scan(tool, is_clean=False, message=error.message)
    search = _Search(classify)
    for name, path in sorted(files.items()):
        search.take(name, path)
    search.judge_formats()
    findings = [*search.dangers, *search.faults]
    message = _join(findings) if findings else _describe(search.unlisted)
    return Scan(tool, is_clean=not findings, message=message)


def _load_picklescan() -> Classifier | None:
    try:
        from picklescan.scanner import scan_pickle_bytes
    except ImportError:
        return None

    def classify(file: IO[bytes], name: str) -> Iterator[_Import]:
        # One pickle at a time: of several, picklescan does not say whether it read the last to its end.
        for each in scan_pickle_bytes(file, name, multiple_pickles=False).globals:
            yield _Import(str(each.module), str(each.name), str(each.safety.value))

    return classify


def _list_files(source: Path) -> dict[str, Path]:
    survey = survey_artifact(source, source)
    return {file.path or survey.name: Path(file.place) for file in survey.files}


class _Import(Struct, frozen=True):
    """One name that a pickle asks for."""

    module: str
    name: str
    safety: str
    """picklescan's word: ``innocuous``, ``suspicious`` (on none of its lists) or ``dangerous``."""

    @property
    def is_told(self) -> bool:
        """False where picklescan could not tell what is asked for, and calls it dangerous for that."""
        return "unknown" not in {self.module, self.name}

    def __str__(self) -> str:
        """Returns ``module.name``, in printable characters and not too long."""
        return ascii(f"{self.module}.{self.name}")[1:-1][:MAX_SHOWN]


class _Search(Struct):
    """Goes through files one by one, and collects what they show."""

    classify: Classifier
    dangers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    """What pickles ask for that picklescan has on no list."""
    formats: list[tuple[str, str]] = field(default_factory=list)
    """Path and format of each file."""
    pickles: int = 0
    """How many files were read as pickles, to their end."""

    def take(self, name: str, path: Path) -> None:
        """Looks at one file, and at all members of an archive."""
        with self._noting(name), path.open("rb") as file:
            self._look(name, file)

    def judge_formats(self) -> None:
        """Notes which formats nobody has read, and that there should have been a pickle where there was none."""
        parts = sorted({*recognise_directory(self.formats).split("+")} - {""})
        for part in parts:
            reason = unsafe_reason(part)
            if reason and part not in _READABLE and "pickle" not in part:
                self.faults.append(f"picklescan does not read {part}: {reason}")
        if not self.pickles and not self.faults and (not parts or any(map(unsafe_reason, parts))):
            self.faults.append(f"no pickle was found in it to read: {'+'.join(parts) or 'its format is not known'}")

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - hostile bytes make a parser raise anything, and that is the finding
            why = " ".join(str(error).split())[:MAX_SHOWN] or type(error).__name__
            self.faults.append(f"{_show(name)} could not be read to its end: {ascii(why)[1:-1]}")

    def _look(self, name: str, file: IO[bytes], depth: int = 0) -> None:
        head = file.read(HEAD_SIZE)
        if head.startswith(ZIP_STARTS):
            self._look_into(name, file, depth)
            return
        path = PurePosixPath(name.lower())
        form = recognise_file(path.name, head)
        if depth == 0:
            self.formats.append((name, form))
        if _READABLE.isdisjoint(form.split("+")) and _SUFFIXES.isdisjoint(path.suffixes):
            self._read(name, io.BytesIO(head + file.read(SMALL)), head, is_pickle=False)
        elif depth == 0:
            self._read(name, file, head, is_pickle=True)
        else:
            # A packed member goes back only by starting over, and its checksum is compared only at its end.
            with tempfile.SpooledTemporaryFile(max_size=16 * SMALL) as copy:
                copy.write(head)
                shutil.copyfileobj(file, copy)
                self._read(name, copy, head, is_pickle=True)

    def _look_into(self, name: str, file: IO[bytes], depth: int) -> None:
        if depth == MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} archives are packed into one another")
        with zipfile.ZipFile(file) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if depth == 0:
                heads = {member.filename: b"" for member in members}
                self.formats.append((name, recognise_file(PurePosixPath(name).name, ZIP_STARTS[0], heads)))
            for member in members:
                inner = f"{name}/{member.filename}"
                with self._noting(inner):
                    if member.file_size > max(SMALL, MAX_RATIO * member.compress_size):
                        raise ValueError(f"it unpacks to more than {MAX_RATIO} times its size")
                    with archive.open(member) as content:
                        self._look(inner, content, depth + 1)

    def _read(self, name: str, file: IO[bytes], head: bytes, *, is_pickle: bool) -> None:
        imports: set[_Import] = set()
        fault: Exception | None = None
        try:
            self._walk(name, file, head, imports)
        except Exception as error:  # noqa: BLE001 - as above; what was found before it counts all the same
            fault = error
        if any(each.module.startswith(_JOBLIB_ARRAYS) for each in imports):
            fault = ValueError("joblib keeps arrays between the opcodes, where picklescan cannot tell them apart")
        dangers = sorted(str(each) for each in imports if each.safety == "dangerous" and (is_pickle or each.is_told))
        if dangers:
            self.dangers.append(f"{_show(name)} asks for {_join(dangers, ', ')}")
        if fault is None:
            self.pickles += 1
            self.unlisted.update(str(each) for each in imports if each.safety == "suspicious")
        elif is_pickle:
            raise fault

    def _walk(self, name: str, file: IO[bytes], head: bytes, imports: set[_Import]) -> None:
        start, most = _find_start(head), _TORCH_PICKLES if head.startswith(_TORCH) else 0
        for number in range(1, MAX_PICKLES + 1):
            file.seek(start)
            imports.update(self.classify(file, name))
            file.seek(start)
            for _ in pickletools.genops(file):
                pass  # raises where a pickle does not end as one
            start = file.tell()
            if number == most or not file.read(1):
                return
        raise ValueError(f"it has more than {MAX_PICKLES} pickles")


def _find_start(head: bytes) -> int:
    """Returns where the first pickle begins: at the start, or behind the header of a NumPy array."""
    if not head.startswith(_NUMPY):
        return 0
    start = 10 if head[6:7] == b"\x01" else 12
    return start + int.from_bytes(head[8:start], "little")


def _describe(unlisted: Collection[str]) -> str:
    return f"picklescan has on no list: {_join(sorted(unlisted), ', ')}" if unlisted else ""


def _join(texts: Sequence[str], sign: str = "; ") -> str:
    more = f" and {len(texts) - MAX_FINDINGS} more" if len(texts) > MAX_FINDINGS else ""
    return sign.join(texts[:MAX_FINDINGS]) + more


def _show(name: str) -> str:
    return ascii(name)[:MAX_SHOWN]
