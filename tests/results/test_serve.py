from __future__ import annotations

import base64
import dataclasses
import io
import json
import multiprocessing
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
from PIL import Image

import results
import results.serving.app as app_module
from data.audio import decode
from results.model.classifier import Classifier
from results.serve import main
from results.serving.app import application
from results.serving.limits import Limits
from results.serving.local_socket import listen
from results.serving.model_summary import ModelSummary
from tests.support.axe import violations
from tests.support.browser import chromium, watched
from tests.support.paths import ROOT
from tests.support.waiting import wait_until

BASE_URL = "http://127.0.0.1:8000"


LIMITS = Limits(max_megabytes=0.5, max_minutes=0.1, max_requests=2)


def app_of(exported: Path, **options: Any) -> Any:
    model = results.load(exported)
    return application(model, ModelSummary.of(exported, model), **{"limits": LIMITS, **options})


@pytest.fixture(scope="module")
def client(exported: Path) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    with TestClient(app_of(exported), base_url=BASE_URL) as test_client:
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
        ({"host": "music.example"}, 403),
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


def test_a_song_beyond_the_limit_in_minutes_is_refused(client: Any, tmp_path: Path) -> None:
    # Silence in FLAC: seven seconds in a few kilobytes.
    soundfile.write(tmp_path / "long.flac", np.zeros(7 * 22050, dtype=np.float32), 22050)
    answer = client.post("/predict", files={"file": ("long.flac", (tmp_path / "long.flac").read_bytes())})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "long.flac: longer than 0.1 minutes; cut it into pieces"


def test_more_predictions_at_once_than_allowed_are_503(exported: Path, song: Path) -> None:
    from fastapi.testclient import TestClient

    model = results.load(exported)
    entered, go = threading.Barrier(3), threading.Event()

    class Slow(type(model)):  # type: ignore[misc]
        def predict_inputs(self, inputs: Any, path: str) -> Any:
            go.wait(60)
            return super().predict_inputs(inputs, path)

    slow = Slow(**{field.name: getattr(model, field.name) for field in dataclasses.fields(model)})
    app = application(slow, ModelSummary.of(exported, model), limits=LIMITS)
    with TestClient(app, base_url=BASE_URL) as opened:
        codes: list[int] = []

        def post() -> None:
            entered.wait(60)
            codes.append(opened.post("/predict", files={"file": ("a.wav", song.read_bytes())}).status_code)

        threads = [threading.Thread(target=post) for _ in range(2)]
        for thread in threads:
            thread.start()
        entered.wait(60)
        running = "genre_predictions_running 2.0"
        wait_until(lambda: running in opened.get("/metrics").text, what="two predictions are running")
        refused = opened.post("/predict", files={"file": ("b.wav", song.read_bytes())})
        go.set()
        for thread in threads:
            thread.join(60)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "2"
    assert refused.json()["detail"] == "2 predictions are running or waiting; try again in a few seconds"
    assert codes == [200, 200]


def test_an_answer_can_be_unsure_and_hold_a_spectrogram(exported: Path, song: Path) -> None:
    from fastapi.testclient import TestClient

    with TestClient(app_of(exported, min_confidence=1.0), base_url=BASE_URL) as opened:
        content = opened.post(
            "/predict", files={"file": ("song.wav", song.read_bytes())}, data={"spectrogram": "true"}
        ).json()
        counted = opened.get("/metrics").text
    assert content["genre"] == "unsure"
    picture = Image.open(io.BytesIO(base64.b64decode(content["spectrogram"])))
    assert (picture.format, picture.size) == ("PNG", (87, 128))
    # The tone of 220 Hz is the brightest row, near the bottom.
    brightness = np.asarray(picture.convert("L"), dtype=float).mean(axis=1)
    assert brightness.argmax() > 110
    assert 'genre_requests_total{status="200"} 1.0' in counted
    assert "genre_prediction_seconds_count 1.0" in counted


@pytest.mark.slow
def test_uploads_are_analysed_in_processes_of_their_own(exported: Path, song: Path) -> None:
    from fastapi.testclient import TestClient

    expected = results.load(exported).predict(song)
    with TestClient(app_of(exported, workers=1), base_url=BASE_URL) as opened:
        files = {"file": ("song.wav", song.read_bytes())}
        assert opened.post("/predict", files=files).json()["probabilities"] == pytest.approx(
            expected.probabilities
        )
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        died = opened.post("/predict", files=files)
        assert died.status_code == 500
        assert died.json()["detail"] == "song.wav: the process that analysed the file died; try again"
        assert opened.post("/predict", files=files).status_code == 200


def test_monitoring_and_the_model_are_described(client: Any, exported: Path) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    described = client.get("/model").json()
    test = json.loads((exported / "metrics.json").read_text())["test"]
    assert described["genres"] == json.loads((exported / "labels.json").read_text())
    assert described["accuracy"] == {
        "tracks": "test",
        **{name: test[name] for name in ("accuracy", "low", "high", "n")},
    }
    assert described["synthetic"] is True


def test_the_page_names_the_input_of_the_model(client: Any, exported: Path) -> None:
    from fastapi.testclient import TestClient

    page = client.get("/").text
    accepted = page.partition('accept="')[2].partition('"')[0].split(",")
    assert set(accepted) == {"audio/*", *decode.SUFFIXES}
    assert "At most 0.1 minutes and 0.5 MB per file" in page
    assert "SYNTHETIC" in page
    model = results.load(exported)
    assert isinstance(model, Classifier)
    parameters = model.preprocess.parameters.model_copy(update={"from_pictures": True})
    image_model = dataclasses.replace(
        model, preprocess=model.preprocess.model_copy(update={"parameters": parameters})
    )
    app = application(image_model, ModelSummary.of(exported, model), limits=LIMITS)
    with TestClient(app, base_url=BASE_URL) as opened:
        page = opened.get("/").text
    assert 'accept=".jpeg,.jpg,.png"' in page
    assert "Drop spectrogram images here" in page


def test_openapi_describes_the_api(client: Any) -> None:
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/model", "/healthz", "/metrics"}
    assert {"200", "413", "422", "503"} <= set(described["paths"]["/predict"]["post"]["responses"])


@pytest.mark.slow
def test_the_page_shows_songs_and_records_one(exported: Path, song: Path, tmp_path: Path) -> None:
    import uvicorn

    (tmp_path / "broken.wav").write_text("not audio")
    with listen("127.0.0.1", 0) as socket, chromium(microphone=True) as browser:
        app = app_of(exported, limits=Limits())
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
        thread.start()
        try:
            page = browser.new_page(viewport={"width": 400, "height": 800}, color_scheme="dark")
            errors = watched(page)
            page.goto(f"http://127.0.0.1:{socket.getsockname()[1]}/", timeout=60_000)
            assert "genres apart" in page.inner_text("#model")
            # The keyboard reaches the file chooser first.
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.id") == "file"
            page.set_input_files("#file", [str(song), str(tmp_path / "broken.wav")])
            page.wait_for_selector(".song audio", timeout=60_000)
            page.wait_for_selector(".song .bad", timeout=60_000)
            page.wait_for_selector("#status:has-text('2 of 2')", timeout=60_000)
            first = page.locator(".song").nth(0)
            assert first.locator("h2").inner_text().endswith(" %")
            assert first.locator(".name").inner_text() == "song.wav"
            assert "SYNTHETIC" in first.inner_text()
            assert first.locator("svg rect").count() == 3
            assert first.locator("img").count() == 1
            assert first.locator(".axis span").count() >= 2
            assert page.locator(".song .bad").inner_text().startswith("broken.wav: not readable as audio")
            # A click on the picture moves the player and the cursor.
            ready = "document.querySelector('audio').readyState > 0"
            wait_until(lambda: page.evaluate(ready), what="the browser has read the song")
            first.locator(".tracks").click(position={"x": 180, "y": 40})
            assert 0.8 < page.evaluate("document.querySelector('audio').currentTime") < 1.3
            assert page.evaluate("document.documentElement.scrollWidth") == 400
            # A dropped file is sent in the same way.
            page.evaluate(
                "() => { const data = new DataTransfer();"
                "data.items.add(new File(['no audio'], 'dropped.wav'));"
                "document.getElementById('drop').dispatchEvent("
                "new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})); }"
            )
            page.wait_for_selector("text=dropped.wav: not readable as audio", timeout=60_000)
            page.click("#record")
            page.wait_for_timeout(1500)
            page.click("#record")
            page.wait_for_selector(".name:has-text('recording.webm')", timeout=60_000)
            assert violations(page) == []
            # The browser logs the refused uploads, nothing else.
            assert all("422" in error for error in errors), errors
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
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip() == "Error: fastapi not installed; run: pip install 'genre-search[serve]'"


def test_a_port_in_use_is_reported_in_one_line(exported: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        result = CliRunner().invoke(main, [str(exported), "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 2
    assert "Address already in use; name another" in result.stderr


def test_a_missing_export_is_reported_in_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path / "nowhere"), "--port", "0"])
    assert result.exit_code == 2
    assert "no such folder" in result.stderr


def test_the_options_reach_the_application(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    seen: dict[str, Any] = {}
    monkeypatch.setattr(app_module, "application", lambda *_, **options: seen.update(options))
    # It closes the handlers of other libraries, whose stream is pytest's and not that of the CliRunner.
    monkeypatch.setattr(uvicorn.Config, "configure_logging", lambda _: None)
    monkeypatch.setattr(
        uvicorn.Server, "run", lambda _, sockets: seen.update(address=sockets[0].getsockname()[0])
    )
    options = {
        "--port": 0,
        "--host": "127.0.0.2",
        "--allow-host": "music.example",
        "--max-megabytes": 5,
        "--max-minutes": 3,
        "--max-requests": 4,
        "--workers": 1,
        "--min-confidence": 0.4,
    }
    words = [str(word) for pair in options.items() for word in pair]
    result = CliRunner().invoke(main, [str(exported), *words])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Serving {exported} on http://127.0.0.2:")
    assert seen == {
        "limits": Limits(5, 3, 4),
        "workers": 1,
        "min_confidence": 0.4,
        "allowed_hosts": ("music.example",),
        "address": "127.0.0.2",
    }
