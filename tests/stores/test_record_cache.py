"""What is remembered of records is what was parsed, or nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.history.record import Artifact, Record
from mreg.core.names import ModelName, Version
from mreg.stores.caches import records as record_cache
from mreg.stores.caches.records import RecordCache
from mreg.stores.checksummed import format_checksummed
from tests.core.strategies import hashes, records

CHURN, FRAUD = ModelName("churn"), ModelName("fraud/eu")
PLAIN = Record(
    CHURN,
    Version(3, 0, 0, ("rc", "1")),
    Artifact("model.pkl", 7, "a" * 32, "b" * 64),
    metrics={"auc": 1, "loss": 1.0, "tiny": 1e-320, "large": 1e16, "zero": -0.0},
    params={"b": True, "a": [1, 1.0, None, {"é\u2028": 2**70}]},
    trained_at=datetime(2026, 11, 20, 9, 12, 0, 5, timezone(timedelta(hours=5.5))),
)


@pytest.fixture
def cache(tmp_path: Path) -> RecordCache:
    return RecordCache(tmp_path / "records")


def test_record_cache_gives_back_what_it_was_given(cache: RecordCache) -> None:
    other = replace(PLAIN, model=FRAUD)
    cache.save({CHURN: {"1": PLAIN}, FRAUD: {"2": other}})
    assert (cache.load(CHURN), cache.load(FRAUD)) == ({"1": PLAIN}, {"2": other})
    assert repr(cache.load(CHURN)) == repr({"1": PLAIN})  # 1 is not 1.0, and noon there is not noon here


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(hashes, records, max_size=3))
def test_record_cache_changes_no_record(found: dict[str, Record], cache: RecordCache) -> None:
    cache.save({CHURN: found})
    kept = cache.load(CHURN)
    assert repr(kept) == repr({oid: record for oid, record in found.items() if oid in kept})


@pytest.mark.parametrize(
    "record",
    [
        replace(PLAIN, params={"rate": math.nan}),
        replace(PLAIN, metadata={"list": [-math.inf]}),
        replace(PLAIN, notes="\ud800"),
        replace(PLAIN, trained_at=datetime(1900, 1, 1, tzinfo=timezone(timedelta(seconds=1172)))),
    ],
)
def test_record_cache_keeps_nothing_that_would_come_back_changed(record: Record, cache: RecordCache) -> None:
    cache.save({CHURN: {"1": record, "2": PLAIN}})
    assert cache.load(CHURN) == {"2": PLAIN}


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[:-1],
        lambda whole: whole.replace(b"model.pkl", b"model.bin"),
        lambda whole: whole.replace(b"mreg-records-1", b"mreg-records-0"),
        lambda _: _sealed(b"[1]"),
        lambda _: _sealed(b'{"1": {"model": 3}}'),
        lambda _: _sealed(b"\xff"),
    ],
)
def test_record_cache_that_was_damaged_counts_for_nothing(
    damage: Callable[[bytes], bytes], cache: RecordCache, tmp_path: Path
) -> None:
    cache.save({CHURN: {"1": PLAIN}})
    [path] = (tmp_path / "records").iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert cache.load(CHURN) == {}
    cache.save({CHURN: {"1": PLAIN}})
    assert cache.load(CHURN) == {"1": PLAIN}


def _sealed(body: bytes) -> bytes:
    return format_checksummed(record_cache._FORM, body)


def test_record_cache_with_many_writers_has_a_whole_file_of_one(cache: RecordCache) -> None:
    states = [{str(number): replace(PLAIN, notes=str(number) * 10_000)} for number in range(4)]
    cache.save({CHURN: states[0]})

    def write(state: dict[str, Record]) -> None:
        for _ in range(20):
            cache.save({CHURN: state})

    with ThreadPoolExecutor(len(states)) as pool:
        writers = [pool.submit(write, each) for each in states]
        while not all(writer.done() for writer in writers):
            assert cache.load(CHURN) in states
    assert [writer.exception() for writer in writers] == [None] * len(states)
    assert cache.load(CHURN) in states


def test_record_cache_that_cannot_be_written_is_no_error(cache: RecordCache, tmp_path: Path) -> None:
    (tmp_path / "records").write_text("no folder")
    cache.save({CHURN: {"1": PLAIN}})
    cache.forget_all_but({})
    assert cache.load(CHURN) == {}


def test_record_cache_forgets_models_that_are_gone(cache: RecordCache, tmp_path: Path) -> None:
    cache.save({CHURN: {"1": PLAIN}, FRAUD: {"2": PLAIN}})
    cache.save({CHURN: {"3": PLAIN}})
    cache.forget_all_but({CHURN: None})
    assert (cache.load(CHURN), cache.load(FRAUD)) == ({"3": PLAIN}, {})
    assert len(list((tmp_path / "records").iterdir())) == 1
