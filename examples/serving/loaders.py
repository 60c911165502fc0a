"""How this service makes a model of verified bytes: one loader a format, and no other is tried.

mreg verifies bytes and never loads them.  To load a pickle (joblib files are pickles) is to run a program that came
with it, so that is decided here, by whoever runs the service: ``ALLOW_PICKLE=1``.  skops and ONNX files need no such
trust, and are loaded always.
"""
# ruff: noqa: PLC0415 - only what the model at hand needs is imported

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CannotLoadError", "Predict", "load"]

Rows = Sequence[Sequence[float]]
Predict = Callable[[Rows], list[object]]
"""Takes rows of numbers and gives an answer for each; raises ``ValueError`` for rows that it cannot take."""

TRUSTED_TYPES: tuple[str, ...] = ()
"""Types that skops may load besides those it knows: look at each, then name it here."""


class CannotLoadError(Exception):
    """The bytes are the right ones, and this service makes no model of them."""


@dataclass(frozen=True, slots=True)
class _Loader:
    read: Callable[[Path], Predict]
    is_program: bool = False
    """True where loading runs code that came with the model."""


def load(path: Path, format_name: str, *, allow_pickle: bool) -> Predict:
    """Returns what a model file or directory predicts with.

    Args:
        path: Where ``mreg.watch`` put it.
        format_name: As the registry's record names it: ``skops``, ``joblib``.
        allow_pickle: True where whoever may register models may also run code here.

    Raises:
        CannotLoadError: There is no loader for this format, or it may not be loaded.
    """
    found = [loader for name, loader in _LOADERS.items() if name in format_name.casefold()]
    if not found:
        raise CannotLoadError(f"no loader for the format {format_name!r}: add one to loaders.py")
    if any(loader.is_program for loader in found) and not allow_pickle:
        raise CannotLoadError(f"{format_name} runs code while it is loaded: register skops or ONNX, or ALLOW_PICKLE=1")
    try:
        return found[0].read(path)
    except CannotLoadError:
        raise
    except Exception as error:
        raise CannotLoadError(f"{type(error).__name__}: {error}") from error


def _read_skops(path: Path) -> Predict:
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES))
    if unknown:
        raise CannotLoadError(f"skops does not know {', '.join(unknown)}: look at them, then add them to TRUSTED_TYPES")
    return _predict_sklearn(skops.io.load(path, trusted=list(TRUSTED_TYPES)))


def _read_onnx(path: Path) -> Predict:
    import numpy
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(rows: Rows) -> list[object]:
        try:
            return session.run(None, {name: numpy.asarray(rows, dtype=numpy.float32)})[0].tolist()
        except InvalidArgument as error:
            raise ValueError(str(error)) from error

    return predict


def _read_pickle(path: Path) -> Predict:
    import joblib  # it reads plain pickles too

    return _predict_sklearn(joblib.load(path))


def _predict_sklearn(model: object) -> Predict:
    predict = getattr(model, "predict", None)
    if not callable(predict):
        raise CannotLoadError(f"a {type(model).__name__} has no predict()")
    return lambda rows: predict(rows).tolist()


_LOADERS: Mapping[str, _Loader] = {
    "skops": _Loader(_read_skops),
    "onnx": _Loader(_read_onnx),
    "joblib": _Loader(_read_pickle, is_program=True),
    "pickle": _Loader(_read_pickle, is_program=True),
}
