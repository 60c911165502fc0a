"""Serves the model that a stage of a registry holds, and follows the stage without dropping a request.

    MREG_REPO=https://git.example.com/models.git MREG_SELECTOR=churn@production uvicorn --factory app:create_app

A thread follows the registry with ``mreg.watch``.  A new version is loaded beside the one that serves; then one
reference is swapped, and requests that are under way finish on the model that they began with.  What cannot be loaded,
or reached, leaves the last good version serving, and ``/model`` and ``/readyz`` say so.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from loaders import CannotLoadError, Predict, load
from pydantic import BaseModel, Field

import mreg
from mreg.errors import MregError

__all__ = ["Follower", "Settings", "create_app"]

log = logging.getLogger("uvicorn.error")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the models are, and how closely to follow them."""

    repo: str
    """URL or path of the registry's Git repository."""
    selector: str
    """``churn@production``"""
    state: Path
    """A folder of this process alone: the model's file is here."""
    every_s: float = 30.0
    allow_pickle: bool = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Returns the settings that the environment has."""
        return cls(
            repo=environ["MREG_REPO"],
            selector=environ["MREG_SELECTOR"],
            state=Path(environ.get("STATE_DIRECTORY", "state")),
            every_s=float(environ.get("MREG_EVERY", "30")),
            allow_pickle=environ.get("ALLOW_PICKLE", "") == "1",
        )


@dataclass(frozen=True, slots=True)
class Served:
    """One loaded version; a request uses one of these from its start to its end."""

    predict: Predict
    model: str
    version: str
    commit: str
    """The registry commit that put it there."""
    sha256: str

    @property
    def facts(self) -> dict[str, str]:
        """What each answer says of itself."""
        return {"model": self.model, "version": self.version, "commit": self.commit}

    @property
    def headers(self) -> dict[str, str]:
        """The same, for proxies and logs."""
        return {"X-Model": self.model, "X-Model-Version": self.version, "X-Registry-Commit": self.commit}


class Follower:
    """The thread that follows a stage, and the version that it last loaded."""

    def __init__(self, settings: Settings) -> None:
        """Starts nothing yet."""
        self.current: Served | None = None
        self.rejected: dict[str, str] | None = None
        """The version that the stage holds and that could not be loaded, and why."""
        self._absent = ""
        self._failing = ""
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mreg-watch", daemon=True)

    @property
    def trouble(self) -> str:
        """Why the registry cannot be followed now; empty while it can."""
        return self._failing or self._absent

    @property
    def is_alive(self) -> bool:
        """False where the thread has died, which is a bug."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins to follow."""
        self._settings.state.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it, in the middle of a download too."""
        self._stop.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        settings = self._settings
        while not self._stop.is_set():
            try:
                versions = mreg.watch(
                    settings.selector,
                    repo=settings.repo,
                    output=settings.state / "model",
                    every=settings.every_s,
                    stop=self._stop,
                    on_news=self._hear,
                )
                # The file stays as it is until the next turn of this loop: nothing moves it while it is loaded.
                for pulled in versions:
                    self._absent = ""
                    self._adopt(pulled)
            except MregError as error:  # at the start: no such model, no such registry
                self._absent = error.message
                log.error("%s: %s", settings.selector, error.message)
                self._stop.wait(settings.every_s)

    def _hear(self, news: mreg.WatchNews) -> None:
        self._failing = "" if news.is_good else news.message
        log.log(logging.INFO if news.is_good else logging.WARNING, "%s", news.message)

    def _adopt(self, pulled: mreg.Pulled) -> None:
        try:
            served = self._load(pulled)
        except CannotLoadError as error:
            self.rejected = {"version": str(pulled.version), "error": str(error)}
            log.error("%s %s cannot be loaded: %s", pulled.model, pulled.version, error)
            if self.current is None:
                self._fall_back()
            return
        self.current, self.rejected = served, None  # the swap
        log.info("serving %s %s of registry commit %s", served.model, served.version, served.commit)
        self._good_path.write_text(json.dumps({"selector": f"{pulled.model}@{pulled.version}"}))

    def _load(self, pulled: mreg.Pulled) -> Served:
        format_name = pulled.record.artifact.format if pulled.record else ""
        predict = load(pulled.path, format_name, allow_pickle=self._settings.allow_pickle)
        return Served(predict, str(pulled.model), str(pulled.version), pulled.commit, pulled.sha256)

    def _fall_back(self) -> None:
        """Loads the version that served before this process was started, if there was one."""
        once = threading.Event()
        try:
            selector = json.loads(self._good_path.read_text())["selector"]
            # Unlike mreg.pull, a watch finds what this machine has also while the registry is out of reach.
            found = mreg.watch(
                selector,
                repo=self._settings.repo,
                output=self._settings.state / "last-good",
                stop=once,
                on_news=lambda _: once.set(),
            )
            for pulled in found:
                self.current = self._load(pulled)
                log.warning("serving %s, which served before", selector)
                return
            log.error("%s, which served before, is not on this machine any more", selector)
        except (OSError, ValueError, KeyError, MregError, CannotLoadError) as error:
            log.error("what served before cannot be served: %s", error)

    @property
    def _good_path(self) -> Path:
        return self._settings.state / "last-good.json"


class Question(BaseModel):
    """What is asked of the model."""

    rows: list[list[float]] = Field(min_length=1, max_length=10_000)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Returns the service; it follows the registry from its start-up to its shutdown."""
    follower = Follower(settings or Settings.from_environ(os.environ))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower.start()
        yield
        follower.stop()

    service = FastAPI(title="mreg serving example", lifespan=lifespan)

    # Plain functions, not coroutines: FastAPI runs them on threads, so a slow model blocks no health check.
    @service.post("/predict")
    def predict(question: Question) -> Response:
        served = follower.current  # read once: the answer and what it says of itself are of one model
        if served is None:
            return JSONResponse({"error": _why(follower)}, 503, {"Retry-After": "5"})
        try:
            predictions = served.predict(question.rows)
        except ValueError as error:  # rows of the wrong shape, mostly
            return JSONResponse({"error": str(error), **served.facts}, 422, served.headers)
        return JSONResponse({"predictions": predictions, **served.facts}, headers=served.headers)

    @service.get("/model")
    def model() -> Response:
        served = follower.current
        facts: dict[str, Any] = {**served.facts, "sha256": served.sha256} if served else {"model": None}
        facts |= {"trouble": follower.trouble or None, "rejected": follower.rejected}
        return JSONResponse(facts, headers=served.headers if served else None)

    @service.get("/healthz")
    def healthz() -> Response:
        """Whether the process is well; a supervisor restarts it where it is not."""
        return JSONResponse({"alive": follower.is_alive}, 200 if follower.is_alive else 503)

    @service.get("/readyz")
    def readyz() -> Response:
        """Whether to send requests here: yes from the first model on, also while the registry is out of reach."""
        served = follower.current
        if served is None:
            return JSONResponse({"status": "not ready", "why": _why(follower)}, 503)
        why = follower.trouble or (follower.rejected or {}).get("error", "")
        status = {"status": "degraded", "why": why} if why else {"status": "ready"}
        return JSONResponse({**status, **served.facts}, headers=served.headers)

    return service


def _why(follower: Follower) -> str:
    rejected = follower.rejected
    return follower.trouble or (rejected["error"] if rejected else "no model is loaded yet")
