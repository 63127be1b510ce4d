from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import results
from results.model.classifier import Classifier
from results.serve import main
from results.serving.app import application
from results.serving.local_socket import listen
from tests.support.browser import chromium, watched
from tests.support.paths import ROOT

BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def client(exported: Path) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    with TestClient(application(results.load(exported), max_megabytes=0.5), base_url=BASE_URL) as test_client:
        yield test_client


def test_predict_returns_the_prediction_of_the_model(client: Any, exported: Path, song: Path) -> None:
    answer = client.post("/predict", files={"file": ("my song.wav", song.read_bytes())})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    expected = results.load(exported).predict(song)
    assert content["file"] == "my song.wav"
    assert content["genre"] == expected.genre
    assert content["probabilities"] == pytest.approx(expected.probabilities)
    assert [segment["start_s"] for segment in content["segments"]] == expected.start_s
    assert content["synthetic"] is True


def test_a_file_without_audio_is_refused_with_a_reason(client: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(100, dtype=np.float32), 22050)
    for name, content, message in (
        ("notes.txt", b"not audio", "not readable as audio"),
        ("empty.mp3", b"", "empty file"),
        ("short.wav", (tmp_path / "short.wav").read_bytes(), "too short"),
    ):
        answer = client.post("/predict", files={"file": (name, content)})
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"{name}: ")
        assert message in answer.json()["detail"]
    assert client.post("/predict").status_code == 422


def test_an_upload_of_unknown_size_is_411(client: Any) -> None:
    answer = client.post("/predict", content=iter([b"a", b"b"]), headers={"content-type": "audio/wav"})
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


def test_an_upload_with_two_sizes_is_411(client: Any) -> None:
    headers = {"content-length": "1", "transfer-encoding": "chunked", "content-type": "audio/wav"}
    assert client.post("/predict", content=iter([b"abc"]), headers=headers).status_code == 411


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "LOCALHOST:8000", "origin": "http://localhost:8000"}, 200),
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_requests_from_other_sites_are_refused(client: Any, headers: dict[str, str], status: int) -> None:
    assert client.get("/", headers=headers).status_code == status


def test_an_upload_over_the_limit_is_413(client: Any) -> None:
    for size in (500_001, 2_000_000):  # detected in the file, and in the Content-Length
        answer = client.post("/predict", files={"file": ("long.wav", bytes(size))})
        assert answer.status_code == 413
        assert answer.json()["detail"].startswith("the file is larger than 0.5 MB")


def test_the_page_names_the_input_of_the_model(client: Any, exported: Path) -> None:
    from fastapi.testclient import TestClient

    accepted = client.get("/").text.partition('accept="')[2].partition('"')[0].split(",")
    assert {".flac", ".m4a", ".mp3", ".wav", "audio/*"} <= set(accepted)
    assert ".png" not in accepted
    model = results.load(exported)
    assert isinstance(model, Classifier)
    parameters = model.preprocess.parameters.model_copy(update={"from_pictures": True})
    image_model = dataclasses.replace(
        model, preprocess=model.preprocess.model_copy(update={"parameters": parameters})
    )
    with TestClient(application(image_model, max_megabytes=0.5), base_url=BASE_URL) as opened:
        page = opened.get("/").text
    assert 'accept=".jpeg,.jpg,.png"' in page
    assert "Drop a spectrogram image here" in page


def test_openapi_describes_the_api(client: Any) -> None:
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict"}
    assert {"200", "413", "422"} <= set(described["paths"]["/predict"]["post"]["responses"])


@pytest.mark.slow
def test_the_page_shows_genres_over_time(exported: Path, song: Path, tmp_path: Path) -> None:
    import uvicorn

    (tmp_path / "broken.wav").write_text("not audio")
    with listen("127.0.0.1", 0) as socket, chromium() as browser:
        app = application(results.load(exported), max_megabytes=50)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        try:
            page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme="dark")
            errors = watched(page)
            page.goto(f"http://127.0.0.1:{socket.getsockname()[1]}/", timeout=60_000)
            page.set_input_files("#file", str(song))
            page.wait_for_selector("svg rect", timeout=60_000)
            assert page.locator(".bar").count() == 3
            assert page.locator("svg rect").count() == 3
            assert "song.wav: " in page.inner_text("h2 >> nth=0")
            assert "SYNTHETIC" in page.inner_text("#answer")
            assert page.evaluate("document.documentElement.scrollWidth") == 400
            assert errors == []
            # A dropped file is sent in the same way.
            page.evaluate(
                "() => { const data = new DataTransfer();"
                "data.items.add(new File(['no audio'], 'dropped.wav'));"
                "document.getElementById('drop').dispatchEvent("
                "new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); }"
            )
            page.wait_for_selector("#status.bad", timeout=60_000)
            assert page.inner_text("#status").startswith("dropped.wav: not readable as audio")
        finally:
            server.should_exit = True
            thread.join(30)


def test_a_missing_extra_is_named(exported: Path) -> None:
    code = (
        "import sys, importlib.util\n"
        "find_spec = importlib.util.find_spec\n"
        "missing = 'fastapi'\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == missing else find_spec(name, *rest)\n"
        "from results.serve import main\n"
        f"sys.argv = ['serve', {str(exported)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == "Error: fastapi not installed; run: pip install 'genre-search[serve]'"


def test_a_port_in_use_is_reported_in_one_line(exported: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        done = CliRunner().invoke(main, [str(exported), "--port", str(taken.getsockname()[1])])
    assert done.exit_code == 2
    assert "Address already in use; name another" in done.stderr


def test_a_missing_export_is_reported_in_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [str(tmp_path / "nowhere"), "--port", "0", "--max-megabytes", "5"])
    assert done.exit_code == 2
    assert "no such folder" in done.stderr
