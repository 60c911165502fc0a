"""Errors as Python meets them: in tracebacks, in notebooks, from the workers of a pool."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from mreg import errors
from mreg.errors import MregError, NotFoundError, RefusedError

KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
def test_error_comes_out_of_another_process_whole(kind: type[MregError]) -> None:
    error = kind("no model 'chrn'", hint="mreg list", details={"model": "chrn", "near": ["churn"]})
    for same in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(same) is kind
        assert (same.message, str(same), same.hint) == ("no model 'chrn'", "no model 'chrn'", "mreg list")
        assert same.details == error.details
        assert traceback.format_exception_only(same) == traceback.format_exception_only(error)


def test_error_shows_its_hint_below_the_message() -> None:
    assert NotFoundError("x", hint="mreg list").__notes__ == ["hint: mreg list"]
    assert NotFoundError("x").__notes__ == []


def test_refusal_by_no_gate_has_no_findings() -> None:
    assert RefusedError("the version exists").findings == ()
