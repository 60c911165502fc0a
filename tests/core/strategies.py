"""Hypothesis strategies for the values of the core: all that is valid, the edges of it often."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from mreg.core.fields import Plain
from mreg.core.history.manifest import Adopted, ArchivedMark, Deletion, StageEntry
from mreg.core.history.record import Artifact, Code, Dataset, Environment, Record, Run
from mreg.core.names import ModelName, Selector, StageName, Version

RESERVED = {"latest", "archived", "none", "stages", "versions", "approvals", "artifact", "artifacts", "models", "stage"}
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}

numbers = st.one_of(st.integers(0, 3), st.integers(0, 999_999_999))
identifiers = st.one_of(
    st.sampled_from(["alpha", "beta", "rc", "RC", "0", "1", "2", "10", "a", "-", "--", "0a", "00-", "lock", "yaml"]),
    numbers.map(str),
    st.from_regex(r"[0-9A-Za-z-]{0,8}[A-Za-z-]", fullmatch=True),
)
versions = st.builds(
    Version,
    numbers,
    numbers,
    numbers,
    st.lists(identifiers, max_size=3).filter(lambda parts: parts[-1:] != ["lock"] or len(parts) == 1).map(tuple),
)
small_versions = st.integers(1, 4).map(Version)


def is_segment(text: str) -> bool:
    """Says what the grammar is, the long way round."""
    letters = set("abcdefghijklmnopqrstuvwxyz0123456789")
    is_version = text.removeprefix("v").isdigit()
    edges = bool(text) and text[0] in letters and text[-1] in letters
    return edges and not set(text) - letters - set("-_") and not is_version and text not in RESERVED | DEVICES


segments = st.one_of(
    st.sampled_from(["churn", "fraud", "eu", "a", "0a", "v", "vv1", "com", "com10", "a--b", "a_-_b", "1st", "v1a"]),
    st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,10}[a-z0-9])?", fullmatch=True).filter(is_segment),
)
model_names = st.lists(segments, min_size=1, max_size=4).map("/".join).map(ModelName)
stage_names = segments.map(StageName)
selectors = st.one_of(
    model_names.map(Selector),
    st.builds(Selector, model_names, version=versions),
    st.builds(Selector, model_names, stage=stage_names),
)

_ZONES = st.sampled_from([timezone.utc, timezone(timedelta(hours=5.5)), timezone(timedelta(hours=-11))])
moments = st.builds(
    lambda seconds, zone: (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(-62_135_510_400, 253_402_214_400),  # the years 1 to 9999
    _ZONES,
)
texts = st.one_of(st.sampled_from(["", "none", "v1.0.0", "1.10", "on", "a: b", "Approved-by: x", "x\ny\n"]), st.text())
words = texts.filter(bool)
plain: st.SearchStrategy[Plain] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
md5s = st.from_regex(r"[0-9a-f]{32}(\.dir)?", fullmatch=True)

adoptions = st.builds(Adopted, words, at=st.none() | moments, commit=texts)


@st.composite
def stage_entries(draw: st.DrawFn) -> StageEntry:
    """Draws what a stage file may say."""
    has_replaces = draw(st.booleans())
    return StageEntry(
        version=draw(st.none() | versions),
        replaces=draw(st.none() | versions) if has_replaces else None,
        has_replaces=has_replaces,
        reason=draw(texts),
        by=draw(texts),
        at=draw(st.none() | moments),
        approved_by=tuple(draw(st.lists(texts, max_size=3))),
        hold=draw(st.booleans()),
        adopted=draw(st.none() | adoptions),
        still_assigned=tuple(draw(st.lists(versions, max_size=3))),
    )


deletions = st.builds(Deletion, texts, texts, st.none() | moments)
archived_marks = st.builds(
    ArchivedMark, texts, texts, st.none() | moments, st.none() | stage_names, st.none() | deletions
)
archives = st.dictionaries(versions, archived_marks, max_size=4)

artifacts = st.builds(
    Artifact,
    path=st.sampled_from(["model.pkl", "model dir", "модель.onnx", ".hidden", "-rf", "a.dvc", "[x]", "$(id)"]),
    size=st.integers(0, 2**63),
    md5=st.just("") | md5s,
    sha256=st.just("") | hashes,
    format=texts,
    files=st.none() | st.integers(0, 10_000),
)
sections = st.text(min_size=1)
records = st.builds(
    Record,
    model=model_names,
    version=versions,
    artifact=artifacts,
    metrics=st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)),
    params=st.dictionaries(st.text(), plain, max_size=4),
    dataset=st.none() | st.builds(Dataset, sections, texts, texts, texts),
    code=st.none() | st.builds(Code, texts, st.booleans(), texts, texts),
    run=st.none() | st.builds(Run, sections, texts),
    trained_at=st.none() | moments,
    environment=st.none() | st.builds(Environment, sections, st.dictionaries(st.text(), texts, max_size=3)),
    notes=texts,
    metadata=st.dictionaries(st.text(), plain, max_size=4),
    adopted=st.none() | adoptions,
)
