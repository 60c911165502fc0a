"""The layers of the design, read from the imports: arrows, who talks to what, purity of the core, size of modules.

Imports inside functions count: hiding one there does not make an arrow legal.  Those under ``if TYPE_CHECKING`` count
too, but for cycles and for purity, which a mere annotation cannot break.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"

ARROWS = {
    "mreg.__main__": {"mreg.cli"},
    "mreg": {"mreg.registry", "mreg.render", "mreg.core", "mreg.errors"},
    "mreg.cli": {"mreg", "mreg.registry", "mreg.render", "mreg.core", "mreg.errors"},
    "mreg.registry": {"mreg.core", "mreg.stores", "mreg.errors"},
    "mreg.render": {"mreg.core", "mreg.errors"},
    "mreg.stores": {"mreg.core", "mreg.errors"},
    "mreg.core": {"mreg.errors"},
    "mreg.errors": set(),
}
"""Layer → the layers below that it may import; its own modules it may always."""

PACKAGES = {
    "mreg.core": {
        "settings": set(),
        "history": {"settings"},
        "versions": {"history", "settings"},
        "review": {"history", "settings", "versions"},
        "writing": {"history", "review", "settings", "versions"},
        "sharing": {"history", "review", "settings"},
        "storage": {"history", "settings", "writing"},
        "setup": set(),
    },
    "mreg.registry": {
        "api": {"reading", "review", "serving", "setup", "sharing", "storage", "writing"},
        "setup": {"reading", "writing"},
        "storage": {"reading", "writing"},
        "sharing": {"reading", "review", "writing"},
        "review": {"reading", "writing"},
        "serving": {"reading"},
        "writing": {"reading"},
        "reading": set(),
    },
    "mreg.render": {
        "formats": {"pages"},
        "pages": set(),
    },
    "mreg.stores": {
        "dvc": {"artifacts", "dvc_files", "serving"},
        "serving": {"artifacts", "dvc_files", "git"},
        "artifacts": {"dvc_files"},
        "dvc_files": {"git", "yaml"},
        "caches": {"git"},
        "signatures": {"git"},
        "notifications": set(),
        "git": set(),
        "yaml": set(),
    },
    "mreg.stores.git": {
        "remotes": {"writing"},
        "history": set(),
        "writing": set(),
    },
}
"""Layer → package of it → those that it may import; what lies beside them all may use."""

OUTSIDE = {
    "apprise": {"mreg.stores.notifications.sending"},
    "botocore": {"mreg.stores.dvc"},
    "configobj": {"mreg.stores.dvc"},
    "cryptography": {"mreg.stores.signatures.sshsig"},
    "dvc": {"mreg.stores.dvc"},
    "dvc_data": {"mreg.stores.dvc"},
    "dvc_objects": {"mreg.stores.dvc"},
    "fsspec": {"mreg.stores.dvc"},
    "gcsfs": {"mreg.stores.dvc"},
    "git": {"mreg.stores.git.runner"},
    "msgspec": {"mreg"},
    "picklescan": {"mreg.stores.scanner"},
    "platformdirs": {"mreg.stores.dvc", "mreg.stores.serving.cache"},
    "rich": {"mreg.cli", "mreg.render"},
    "s3transfer": {"mreg.stores.dvc"},
    "subprocess": {"mreg.stores.git.programs", "mreg.stores.git.runner", "mreg.stores.serving.hook"},
    "tomli": {"mreg.stores"},
    "typer": {"mreg.cli"},
    "yaml": {"mreg.stores.yaml.pyyaml"},
}
"""Package → the modules (with what is below them) that may import it; a package that is not here may not be used."""

PURE = {
    "__future__", "abc", "base64", "binascii", "bisect", "bz2", "collections", "copy", "dataclasses", "datetime",
    "decimal", "difflib", "enum", "fnmatch", "fractions", "functools", "hashlib", "heapq", "itertools", "json", "lzma",
    "math", "operator", "pickle", "pickletools", "posixpath", "re", "statistics", "string", "struct", "textwrap",
    "types", "typing", "unicodedata", "zlib",
}  # fmt: skip
"""The standard library as far as it has no I/O, no clock and no chance."""

PURE_NAMES = {
    "pathlib.PurePath", "pathlib.PurePosixPath", "shlex", "urllib.parse.quote", "urllib.parse.urlsplit",
}  # fmt: skip
IMPURE_CALLS = {"eval", "exec", "fromtimestamp", "input", "now", "open", "print", "today", "utcnow"}

MAX_LINES = 350
"""The style's budget of 300, and some room for the rules that a module's docstring states."""


@dataclass(frozen=True)
class Import:
    name: str
    line: int
    only_for_types: bool


@cache
def modules() -> dict[str, Path]:
    return {_module_name(path): path for path in sorted(SRC.rglob("*.py"))}


def _module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(module: str) -> tuple[Import, ...]:
    return tuple(_walk(ast.parse(modules()[module].read_bytes()), only_for_types=False))


def _walk(node: ast.AST, *, only_for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, only_for_types) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(f"{child.module}.{alias.name}", child.lineno, only_for_types) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(child, only_for_types=True)
        else:
            yield from _walk(child, only_for_types=only_for_types)


def _own_target(name: str) -> str | None:
    """The module of mreg that an import reaches: ``mreg.core.names`` for ``mreg.core.names.Version``."""
    return next((found for found in (name, name.rpartition(".")[0]) if found in modules()), None)


def _is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


def _layer(module: str) -> str:
    if module == "mreg":
        return module
    layer = next((layer for layer in ARROWS if layer != "mreg" and _is_within(module, layer)), None)
    assert layer, f"{module} belongs to no layer: put it into one, or name a new layer in the design and here"
    return layer


def _place(module: str, found: Import) -> str:
    return f"{modules()[module].relative_to(SRC.parent)}:{found.line}: {found.name}"


def test_layers_arrows_point_down() -> None:
    layers = {module: _layer(module) for module in modules()}
    wrong = [
        f"{_place(module, found)} ({layer} → {layers[target]})"
        for module, layer in layers.items()
        for found in imports(module)
        if (target := _own_target(found.name)) and layers[target] not in {layer, *ARROWS[layer]}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("layer", PACKAGES)
def test_layers_packages_of_a_layer_import_one_way(layer: str) -> None:
    packages = PACKAGES[layer]

    def part(module: str) -> str:
        return module.removeprefix(f"{layer}.").partition(".")[0]

    inner = [module for module in modules() if _is_within(module, layer) and part(module) in packages]
    wrong = [
        _place(module, found)
        for module in inner
        for found in imports(module)
        if (target := _own_target(found.name)) and _is_within(target, layer)
        if part(target) in packages.keys() - {part(module), *packages[part(module)]}
    ]
    folders = {path.parent.name for path in modules().values() if path.parent.parent == SRC / layer.replace(".", "/")}
    assert folders == set(packages)
    assert not wrong, "\n".join(wrong)


def test_layers_imports_of_mreg_name_existing_modules() -> None:
    lost = [
        _place(module, found)
        for module in modules()
        for found in imports(module)
        if found.name.startswith("mreg") and not _own_target(found.name)
    ]
    assert not lost, "\n".join(lost)


def test_layers_texts_of_modules_name_existing_modules() -> None:
    named = re.compile(r"``((?:cli|core|registry|render|stores)(?:\.[a-z_]+)+)``")
    lost = [
        f"{path.relative_to(SRC.parent)}: {name}"
        for path in modules().values()
        for name in named.findall(path.read_text(encoding="utf-8"))
        if f"mreg.{name}" not in modules() and name != "registry.yaml"
    ]
    assert not lost, "\n".join(lost)


def test_layers_modules_form_no_cycle() -> None:
    graph = {
        module: {
            target
            for found in imports(module)
            if not found.only_for_types and (target := _own_target(found.name)) and target != module
        }
        for module in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' → '.join(reversed(error.args[1]))}")


def test_layers_each_outside_package_has_its_one_place() -> None:
    wrong = [
        _place(module, found)
        for module in modules()
        for found in imports(module)
        if (package := found.name.partition(".")[0]) != "mreg"
        and (package in OUTSIDE or package not in sys.stdlib_module_names)
        and not any(_is_within(module, place) for place in OUTSIDE.get(package, ()))
    ]
    assert not wrong, "\n".join(wrong)


def test_layers_core_imports_only_what_is_pure() -> None:
    wrong = [
        _place(module, found)
        for module in modules()
        if _is_within(module, "mreg.core")
        for found in imports(module)
        if found.name.partition(".")[0] not in {"mreg", "msgspec", *PURE}
        and found.name not in PURE_NAMES
        and not found.only_for_types
    ]
    assert not wrong, "\n".join(wrong)


def test_layers_core_calls_neither_io_nor_clock() -> None:
    wrong = [
        f"{path.relative_to(SRC.parent)}:{node.lineno}: {name}()"
        for module, path in modules().items()
        if _is_within(module, "mreg.core")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in IMPURE_CALLS
    ]
    assert not wrong, "\n".join(wrong)


def test_layers_modules_stay_within_the_budget() -> None:
    lengths = {module: len(path.read_bytes().splitlines()) for module, path in modules().items()}
    long = {module: length for module, length in lengths.items() if length > MAX_LINES}
    assert not long, f"more than {MAX_LINES} lines, split by what they know: {long}"
