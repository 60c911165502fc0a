from __future__ import annotations

import pytest

from mreg.core.history.trailers import Touch, find_contradiction
from mreg.core.names import ARCHIVED, ModelName, StageName, Version

CHURN, FRAUD = ModelName("churn"), ModelName("fraud")
STAGING, PRODUCTION = StageName("staging"), StageName("production")
V1, V2 = Version(1), Version(2)
PROMOTED = Touch(CHURN, V2, PRODUCTION)


def named(model: str = "churn", version: str = "v2.0.0", stage: str = "production") -> list[tuple[str, str]]:
    pairs = [("Mreg-Action", "promote"), ("Mreg-Model", model), ("Mreg-Version", version), ("Mreg-Stage", stage)]
    return [(key, value) for key, value in pairs if value]


@pytest.mark.parametrize(
    ("trailers", "touches"),
    [
        ([], []),
        ([("Signed-off-by", "x"), ("Mreg-Action", "adopt")], []),
        (named(), [PROMOTED]),
        (named(version="v2"), [PROMOTED]),
        (named(), [Touch(CHURN, V2), PROMOTED, Touch(FRAUD, V1)]),
        (named(stage=""), [Touch(CHURN, V2)]),
        (named(version="none"), [Touch(CHURN, None, PRODUCTION)]),
        (named(version="none", stage="archived"), [Touch(CHURN, None, ARCHIVED)]),
        ([("mreg-model", "churn")], [PROMOTED]),
        ([*named(), *named(stage="staging")], [PROMOTED, Touch(CHURN, V2, STAGING)]),
    ],
)
def test_find_contradiction_of_what_is_done_is_none(trailers: list[tuple[str, str]], touches: list[Touch]) -> None:
    assert find_contradiction(trailers, touches) is None


@pytest.mark.parametrize(
    ("trailers", "touches"),
    [
        (named(), []),
        (named(model="fraud"), [PROMOTED]),
        (named(version="v3.0.0"), [PROMOTED]),
        (named(version="none"), [PROMOTED]),
        (named(stage="staging"), [PROMOTED]),
        (named(model="fraud"), [PROMOTED, Touch(FRAUD, V1, PRODUCTION)]),  # each is done, and not together
        ([*named(), ("Mreg-Stage", "staging")], [PROMOTED]),
        ([("MREG-VERSION", "nonsense")], [PROMOTED]),
    ],
)
def test_find_contradiction_of_something_else_names_it(trailers: list[tuple[str, str]], touches: list[Touch]) -> None:
    lost = find_contradiction(trailers, touches)
    assert lost
    assert trailers[-1][1] in lost
