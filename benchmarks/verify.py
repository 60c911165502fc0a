"""``mreg verify`` on a generated registry whose every change of a stage is signed.

    python benchmarks/verify.py [--transitions 10000] [--models 200] [--repeat 1] [--keep DIRECTORY]

Each version is promoted to staging, every third one approved and promoted to production; all of that is signed, and
production has a metric gate too.  Signatures are made in this process: ssh-keygen would take minutes.  Prints wall and
CPU seconds (user + system, Git included) and the peak of the memory of one process.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

from mreg.core.history.manifest import format_stage
from mreg.core.history.record import Record, parse_record
from mreg.core.history.statements import Namespace, artifact_name, encode_transition
from mreg.core.history.tags import transition_subject
from mreg.core.history.timeline import Action
from mreg.core.messages import format_message
from mreg.core.names import ModelName, StageName, Version
from mreg.core.review.approvals import Approval, approval_id, encode_approval, format_approval
from mreg.stores import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.generate import ARTIFACT, LAYOUT, START, _commit, _encode, _entry, _git, _registration
from benchmarks.measuring import BIN, Cost, Failed, print_costs, run, take_turns

TRANSITIONS = 10_000
COMMANDS = {
    "verify": ("verify",),
    "verify --incremental": ("verify", "--incremental"),
    "verify --since HEAD~100": ("verify", "--since", "HEAD~100"),
    "history --format csv": ("history", "--format", "csv"),
}
STAGING, PRODUCTION = StageName("staging"), StageName("production")
RULES = {
    "staging": {"signatures": "required"},
    "production": {
        "from": "staging",
        "gates": [{"metric": "auc", "min": 0.5}],
        "approvals": {"count": 1, "by": ["reviewers"], "not": ["author"]},
        "who": ["managers"],
        "signatures": "required",
    },
}


@dataclass(frozen=True)
class Signer:
    """A person with a key."""

    name: str
    private: Ed25519PrivateKey

    @property
    def blob(self) -> bytes:
        """The public key, as SSH encodes it."""
        return _string(b"ssh-ed25519") + _string(self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def email(self) -> str:
        """The person's address."""
        return f"{self.name}@example.com"

    @property
    def settings(self) -> dict[str, list[str]]:
        """The person's entry below ``people:``."""
        return {"emails": [self.email], "keys": [f"ssh-ed25519 {base64.b64encode(self.blob).decode()}"]}

    def sign(self, statement: bytes, namespace: Namespace) -> str:
        """Returns what ``ssh-keygen -Y sign`` would make."""
        name = namespace.value.encode()
        digest = hashlib.sha512(statement).digest()
        signed = b"SSHSIG" + b"".join(map(_string, (name, b"", b"sha512", digest)))
        made = _string(b"ssh-ed25519") + _string(self.private.sign(signed))
        body = b"SSHSIG\0\0\0\1" + b"".join(map(_string, (self.blob, name, b"", b"sha512", made)))
        text = base64.b64encode(body).decode()
        lines = [text[at : at + 70] for at in range(0, len(text), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def generate(folder: Path, *, transitions: int, models: int) -> None:
    """Makes the repository, with its tags."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "config", "user.name", "Bench")
    _git(folder, "config", "user.email", "bench@example.com")
    _git(folder, "fast-import", "--quiet", stdin=b"".join(_commits(transitions, models)))
    _git(folder, "reset", "--quiet", "--hard", "main")
    subprocess.run([sys.executable, "-m", "mreg", "-C", folder, "sync"], check=True, stdout=subprocess.DEVNULL)
    _git(folder, "pack-refs", "--all")
    _git(folder, "repack", "-adq")


def _commits(transitions: int, models: int) -> Iterator[bytes]:
    author, reviewer = (Signer(name, Ed25519PrivateKey.generate()) for name in ("bench", "rita"))
    settings = {
        "schema": 1,
        "people": {each.name: each.settings for each in (author, reviewer)},
        "roles": {"managers": [author.name], "reviewers": [reviewer.name]},
        "stages": RULES,
    }
    names = [ModelName(f"model-{index:04}") for index in range(models)]
    entries = {name: {"path": LAYOUT.artifact(name, ARTIFACT), "type": "model"} for name in names}
    first = {"registry.yaml": json.dumps(settings).encode(), "dvc.yaml": yaml.dump({"artifacts": entries}).encode()}
    yield _commit(START, "Make this repository a model registry", first)
    clock, done = START, 0
    held: dict[tuple[ModelName, StageName], Version] = {}
    index = 0
    while done < transitions:
        model, version = names[index % models], Version(index // models + 1)
        files = _registration(model, version, index, clock := clock + 60)
        record = yaml.read(files[LAYOUT.record(model, version)], "record", parse_record)
        yield _commit(clock, f"Register {model} {version}", files)
        for stage in (STAGING, PRODUCTION) if index // models % 3 == 0 else (STAGING,):
            source = held.get((model, stage))
            if stage == PRODUCTION:
                yield _approve(reviewer, record, source, clock := clock + 60)
            yield _promote(author, record, (stage, source), clock := clock + 60)
            held[model, stage] = version
            done += 1
        index += 1


def _approve(who: Signer, record: Record, source: Version | None, clock: int) -> bytes:
    model, version = record.model, record.version
    moment = datetime.fromtimestamp(clock, timezone.utc)
    made = Approval(model, version, PRODUCTION, artifact_name(record.artifact), source, who.email, at=moment)
    signed = replace(made, signature=who.sign(encode_approval(made), Namespace.APPROVAL))
    path = LAYOUT.approval(model, version, PRODUCTION, approval_id(made))
    return _commit(clock, f"Approve {model} {version} for {PRODUCTION}", {path: _encode(format_approval(signed))})


def _promote(who: Signer, record: Record, move: tuple[StageName, Version | None], clock: int) -> bytes:
    (stage, source), model, version = move, record.model, record.version
    entry = _entry(version, source, clock)
    statement = encode_transition(model, stage, artifact_name(record.artifact), entry)
    signed = replace(entry, signature=who.sign(statement, Namespace.TRANSITION))
    subject = transition_subject(Action.PROMOTE, model, stage, source, version)
    trailers = [
        ("Mreg-Action", "promote"),
        ("Mreg-Model", model),
        ("Mreg-Version", str(version)),
        ("Mreg-Stage", stage),
    ]
    message = format_message(subject, entry.reason, trailers)
    return _commit(clock, message, {LAYOUT.stage(model, stage): _encode(format_stage(signed))})


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def measure(
    folder: Path, repeat: int, *, transitions: int = TRANSITIONS, models: int = 200
) -> dict[str, Cost | Failed]:
    """Returns what each command takes on a registry in ``folder``, which is made where it is not there."""
    if not folder.exists():
        generate(folder, transitions=transitions, models=models)
    found = take_turns({f"mreg {name}": partial(_step, folder, words) for name, words in COMMANDS.items()}, repeat)
    print_costs(f"{transitions} signed transitions in {models} models", found)
    return found


def _step(folder: Path, words: Sequence[str]) -> Cost:
    if words is COMMANDS["verify"]:  # without what it found out before
        shutil.rmtree(folder / ".git" / "mreg", ignore_errors=True)
    return run([BIN / "mreg", *words], cwd=folder)


def main() -> None:
    """Makes the registry and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transitions", type=int, default=TRANSITIONS)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="make the registry here, or use the one that is here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mreg-bench-") as scratch:
        folder = arguments.keep or Path(scratch) / "registry"
        measure(folder, arguments.repeat, transitions=arguments.transitions, models=arguments.models)


if __name__ == "__main__":
    main()
