"""The comment of a review, compared whole: a change of its words is to be read before it is kept."""

from __future__ import annotations

import pytest

from mreg.render.formats.review import render_review
from tests.golden.reviews import FOLDER, REVIEWS


@pytest.mark.parametrize("name", REVIEWS)
def test_golden_review_has_not_changed(name: str) -> None:
    kept = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert render_review(REVIEWS[name]()) + "\n" == kept, "python -m tests.golden.reviews writes it anew"


def test_golden_reviews_are_all_made() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(REVIEWS)
