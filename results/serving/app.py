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

from data.audio import decode, spectrogram_images
from data.errors import AudioError, HarnessError
from results.model.classifier import Classifier
from results.model.ensemble import Ensemble
from results.model.formatting import record
from results.serving.local_socket import is_own_name

_CHUNK_BYTES = 1 << 20
_MAX_FORM_BYTES = 1 << 14
"""Maximum size of a form without its file."""


class Segment(BaseModel):
    """The probabilities of a segment of the track."""

    start_s: float
    probabilities: dict[str, float]


class Answer(BaseModel):
    """The prediction for a track."""

    file: str
    genre: str
    probabilities: dict[str, float]
    segments: list[Segment]
    synthetic: bool


def application(classifier: Classifier | Ensemble, *, max_megabytes: float) -> FastAPI:
    """Create the application: a page on ``/``, and ``POST /predict``.

    Parameters
    ----------
    classifier : Classifier or Ensemble
        The exported model.
    max_megabytes : float
        Maximum size of an upload, in units of 10^6 bytes.
    """
    app = FastAPI(title="Music genres", docs_url=None, redoc_url=None)
    limit = int(max_megabytes * 1e6)
    page = _page(classifier.reads_images)
    # One prediction at a time, because the model and the analysis use all cores themselves.
    prediction_lock = threading.Lock()

    @app.middleware("http")
    async def check_request(request: Request, call_next: Any) -> Response:
        """Refuse requests from other sites, and uploads that are too large or of unknown size, unread."""
        origin = request.headers.get("origin")
        hosts = [request.headers.get("host", ""), *([] if origin is None else [urlsplit(origin).netloc])]
        if not all(map(is_own_name, hosts)):
            return JSONResponse(
                {"detail": "open 127.0.0.1 or localhost; requests from other sites are refused"},
                status_code=403,
            )
        length = request.headers.get("content-length", "")
        if request.method == "POST" and (not length.isdigit() or "transfer-encoding" in request.headers):
            return JSONResponse({"detail": "the request needs a Content-Length header"}, status_code=411)
        if length.isdigit() and int(length) > limit + _MAX_FORM_BYTES:
            return JSONResponse({"detail": _too_large(max_megabytes)}, status_code=413)
        answer: Response = await call_next(request)
        return answer

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index() -> str:
        return page

    @app.post(
        "/predict",
        responses={
            403: {"description": "Another host name, or a request from another site"},
            411: {"description": "Upload of unknown size"},
            413: {"description": "Upload over the limit"},
            422: {"description": "The file is not usable as input of the model"},
        },
    )
    def predict(
        file: Annotated[UploadFile, File(description="Audio, or an image for a model that reads images")],
    ) -> Answer:
        """Predict the genre of a file, as a whole and over time."""
        name = Path(file.filename or "upload").name
        with tempfile.TemporaryDirectory() as scratch:
            # Only the suffix of the sender's file name is used, to detect the format.
            path = Path(scratch) / f"upload{Path(name).suffix[:8]}"
            _receive(file, path, limit, max_megabytes)
            try:
                with prediction_lock:
                    prediction = classifier.predict(path)
            except AudioError as error:
                raise HTTPException(422, str(error).replace(str(path), name)) from error
            except HarnessError as error:
                raise HTTPException(500, str(error).replace(str(path), name)) from error
        return Answer.model_validate(
            record(prediction) | {"file": name, "synthetic": classifier.config.synthetic}
        )

    return app


def _page(reads_images: bool) -> str:
    """Render the page for the kind of file that the model reads."""
    environment = Environment(
        loader=PackageLoader("results", "templates"), autoescape=True, undefined=StrictUndefined
    )
    suffixes = spectrogram_images.SUFFIXES if reads_images else {"audio/*", *decode.SUFFIXES}
    return environment.get_template("serve.html").render(
        input_name="spectrogram image" if reads_images else "song", accept=",".join(sorted(suffixes))
    )


def _receive(file: UploadFile, path: Path, limit: int, max_megabytes: float) -> None:
    """Write an upload to a file; refuse it beyond the limit."""
    size = 0
    with path.open("wb") as target:
        while chunk := file.file.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise HTTPException(413, _too_large(max_megabytes))
            target.write(chunk)


def _too_large(max_megabytes: float) -> str:
    """Format the message for an upload over the limit."""
    return f"the file is larger than {max_megabytes:g} MB; cut it, or start the server with --max-megabytes"
