"""The web application around an exported model."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import FastAPI, File, HTTPException, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel
from starlette.responses import Response

from data.audio import decode as audio
from data.audio import spectrogram_images as pictures
from data.errors import AudioError, HarnessError
from results.model.classifier import Classifier
from results.model.ensemble import Ensemble
from results.model.formatting import record
from results.serving.local_socket import is_own_name

_CHUNK = 1 << 20
_FORM = 1 << 14
"""Bytes that a form may have around its file."""


class Segment(BaseModel):
    """What the model says of a stretch of the track."""

    start_s: float
    probabilities: dict[str, float]


class Answer(BaseModel):
    """What the model says of a track."""

    file: str
    genre: str
    probabilities: dict[str, float]
    segments: list[Segment]
    synthetic: bool


def application(classifier: Classifier | Ensemble, *, max_megabytes: float) -> FastAPI:
    """Make the application: a page on ``/``, and ``POST /predict``.

    Parameters
    ----------
    classifier : Classifier or Ensemble
        The model.
    max_megabytes : float
        Greatest size of an upload, in units of 10^6 bytes.
    """
    app = FastAPI(title="Music genres", docs_url=None, redoc_url=None)
    limit = int(max_megabytes * 1e6)
    page = _page(classifier.from_pictures)
    # One at a time: the model and the analysis use all cores by themselves.
    turn = threading.Lock()

    @app.middleware("http")
    async def bounded(request: Request, go_on: Any) -> Response:
        """Refuse what is asked from elsewhere, is too large, or does not say how large it is, unreceived."""
        origin = request.headers.get("origin")
        asked = [request.headers.get("host", ""), *([] if origin is None else [urlsplit(origin).netloc])]
        if not all(map(is_own_name, asked)):
            return JSONResponse({"detail": "ask for 127.0.0.1 or localhost, from there"}, status_code=403)
        length = request.headers.get("content-length", "")
        if request.method == "POST" and (not length.isdigit() or "transfer-encoding" in request.headers):
            return JSONResponse({"detail": "say by Content-Length how large it is"}, status_code=411)
        if length.isdigit() and int(length) > limit + _FORM:
            return JSONResponse({"detail": _too_large(max_megabytes)}, status_code=413)
        answer: Response = await go_on(request)
        return answer

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> str:
        return page

    @app.post(
        "/predict",
        responses={
            403: {"description": "Asked by another name, or from another site"},
            411: {"description": "Upload of unknown size"},
            413: {"description": "Upload over the limit"},
            422: {"description": "Not usable as what the model takes"},
        },
    )
    def predict(
        file: Annotated[UploadFile, File(description="Audio, or a picture for a model of those")],
    ) -> Answer:
        """Name the genre of a file, as a whole and over time."""
        name = Path(file.filename or "upload").name
        with tempfile.TemporaryDirectory() as scratch:
            # Only the ending of the sender's name is used, and only to tell formats apart.
            path = Path(scratch) / f"upload{Path(name).suffix[:8]}"
            _receive(file, path, limit, max_megabytes)
            try:
                with turn:
                    prediction = classifier.predict(path)
            except AudioError as error:
                raise HTTPException(422, str(error).replace(str(path), name)) from error
            except HarnessError as error:
                raise HTTPException(500, str(error).replace(str(path), name)) from error
        return Answer.model_validate(
            record(prediction) | {"file": name, "synthetic": classifier.config.synthetic}
        )

    return app


def _page(from_pictures: bool) -> str:
    """Fill in the page what kind of file the model takes."""
    environment = Environment(
        loader=PackageLoader("results", "templates"), autoescape=True, undefined=StrictUndefined
    )
    endings = pictures.SUFFIXES if from_pictures else {"audio/*", *audio.SUFFIXES}
    return environment.get_template("serve.html").render(
        thing="picture of a spectrogram" if from_pictures else "song", accept=",".join(sorted(endings))
    )


def _receive(file: UploadFile, path: Path, limit: int, max_megabytes: float) -> None:
    """Write an upload to a file, as far as the limit goes."""
    size = 0
    with path.open("wb") as target:
        while chunk := file.file.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, _too_large(max_megabytes))
            target.write(chunk)


def _too_large(max_megabytes: float) -> str:
    return f"the file is larger than {max_megabytes:g} MB; cut it, or start the server with --max-megabytes"
