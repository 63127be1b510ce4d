"""The web application around an exported model."""

from __future__ import annotations

import base64
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, File, Form, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from starlette.responses import Response

from data.errors import AudioError, HarnessError
from results.model.classifier import Classifier
from results.model.ensemble import Ensemble
from results.model.formatting import record
from results.serving.analysis_pool import AnalysisPool
from results.serving.limits import Limits
from results.serving.local_socket import OWN_NAMES, host_name
from results.serving.model_summary import ModelSummary
from results.serving.page import render_page
from results.serving.telemetry import CONTENT_TYPE_LATEST, Telemetry

_CHUNK_BYTES = 1 << 20
_MAX_FORM_BYTES = 1 << 14
"""Maximum size of a form without its file."""
_RETRY_AFTER_S = "2"


class Segment(BaseModel):
    """The probabilities of a segment of the track."""

    start_s: float
    probabilities: dict[str, float]


class Answer(BaseModel):
    """The prediction for a track; `spectrogram` is a PNG image in Base64, if one was requested."""

    file: str
    genre: str
    probabilities: dict[str, float]
    segments: list[Segment]
    synthetic: bool
    spectrogram: str | None = None


def application(
    model: Classifier | Ensemble,
    summary: ModelSummary,
    *,
    limits: Limits,
    workers: int = 0,
    min_confidence: float = 0.0,
    allowed_hosts: Collection[str] = (),
) -> FastAPI:
    """Create the application: a page on ``/``, ``POST /predict``, and what monitoring needs.

    Parameters
    ----------
    model : Classifier or Ensemble
        The exported model.
    summary : ModelSummary
        Its description.
    limits : Limits
        What is accepted.
    workers : int
        Processes that decode and analyse uploads; 0 does this in the server's own process.
    min_confidence : float
        Probability below which the answer is ``unsure``.
    allowed_hosts : collection of str
        Host names, beside this machine's own, under which the server may be reached.
    """
    pool = AnalysisPool(model.readers, workers=workers, longest_s=limits.longest_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool.warm_up()
        yield
        pool.close()

    app = FastAPI(title="Music genres", docs_url=None, redoc_url=None, lifespan=lifespan)
    telemetry = Telemetry()
    page = render_page(summary, limits, reads_images=model.reads_images)
    # One evaluation of the network at a time, because it uses all cores itself.
    network_lock = threading.Lock()
    slots = threading.BoundedSemaphore(limits.max_requests)
    host_names = {*OWN_NAMES, *(name.lower() for name in allowed_hosts)}

    @app.middleware("http")
    async def check_request(request: Request, call_next: Any) -> Response:
        """Refuse requests from other sites, and uploads that are too large or of unknown size, unread."""
        origin = request.headers.get("origin")
        hosts = [request.headers.get("host", ""), *([] if origin is None else [urlsplit(origin).netloc])]
        if not all(host_name(host) in host_names for host in hosts):
            return JSONResponse(
                {"detail": "open 127.0.0.1 or localhost; requests from other sites are refused"},
                status_code=403,
            )
        length = request.headers.get("content-length", "")
        if request.method == "POST" and (not length.isdigit() or "transfer-encoding" in request.headers):
            return JSONResponse({"detail": "the request needs a Content-Length header"}, status_code=411)
        if length.isdigit() and int(length) > limits.max_bytes + _MAX_FORM_BYTES:
            return JSONResponse({"detail": limits.too_large()}, status_code=413)
        answer: Response = await call_next(request)
        if request.url.path == "/predict":
            telemetry.requests.labels(answer.status_code).inc()
        return answer

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> str:
        return page

    @app.get("/model")
    def describe() -> ModelSummary:
        """Describe the model: its genres, its accuracy and its training data."""
        return summary

    @app.get("/healthz")
    def health() -> dict[str, str]:
        """Answer as soon as the model is loaded."""
        return {"status": "ok"}

    @app.get("/metrics", response_class=Response)
    def metrics() -> Response:
        """Return counters in Prometheus's text format."""
        return Response(telemetry.text(), media_type=CONTENT_TYPE_LATEST)

    def analysed(path: Path, name: str, draw: bool) -> Answer:
        began = time.perf_counter()
        upload = pool.analyse(path, draw=draw and not model.reads_images)
        with network_lock:
            prediction = model.predict_inputs(upload.inputs, name)
        telemetry.seconds.observe(time.perf_counter() - began)
        telemetry.predictions.labels(prediction.genre).inc()
        picture = None if upload.spectrogram is None else base64.b64encode(upload.spectrogram).decode()
        content = record(prediction, min_confidence=min_confidence)
        return Answer.model_validate(
            content | {"file": name, "synthetic": summary.synthetic, "spectrogram": picture}
        )

    @app.post(
        "/predict",
        responses={
            403: {"description": "Another host name, or a request from another site"},
            411: {"description": "Upload of unknown size"},
            413: {"description": "Upload over the limit"},
            422: {"description": "The file is not usable as input of the model"},
            503: {"description": "Too many predictions at once; see Retry-After"},
        },
    )
    def predict(
        file: Annotated[UploadFile, File(description="Audio, or an image for a model that reads images")],
        spectrogram: Annotated[bool, Form(description="Also return a picture of the spectrogram")] = False,
    ) -> Answer:
        """Predict the genre of a file, as a whole and over time."""
        if not slots.acquire(blocking=False):
            raise HTTPException(503, limits.too_many(), headers={"Retry-After": _RETRY_AFTER_S})
        name = Path(file.filename or "upload").name
        try:
            with telemetry.running.track_inprogress(), tempfile.TemporaryDirectory() as scratch:
                # Only the suffix of the sender's file name is used, to detect the format.
                path = Path(scratch) / f"upload{Path(name).suffix[:8]}"
                _receive(file, path, limits)
                try:
                    return analysed(path, name, spectrogram)
                except AudioError as error:
                    raise HTTPException(422, str(error).replace(str(path), name)) from error
                except HarnessError as error:
                    raise HTTPException(500, str(error).replace(str(path), name)) from error
        finally:
            slots.release()

    return app


def _receive(file: UploadFile, path: Path, limits: Limits) -> None:
    """Write an upload to a file; refuse it beyond the limit."""
    size = 0
    with path.open("wb") as target:
        while chunk := file.file.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > limits.max_bytes:
                raise HTTPException(413, limits.too_large())
            target.write(chunk)
