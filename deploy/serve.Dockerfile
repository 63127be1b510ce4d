# Image that serves one export in its ONNX form: a page for songs and an API, without the search and TensorFlow.
#   docker build --file deploy/serve.Dockerfile --tag genre-serve .
#   docker run --rm --publish 127.0.0.1:8000:8000 --volume "$PWD/exports/gtzan:/export:ro" genre-serve
FROM python:3.11-slim
WORKDIR /opt/genre-search
COPY requirements-predict.lock pyproject.toml README.md LICENSE ./
RUN pip install --no-cache-dir --requirement requirements-predict.lock
COPY data data
COPY spaces spaces
COPY search search
COPY results results
COPY genre_search genre_search
RUN pip install --no-cache-dir --no-deps . \
    && useradd --create-home listener
USER listener
WORKDIR /home/listener
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
# Inside the container all addresses are its own; "docker run --publish" decides who reaches them.
CMD ["genre-search", "serve", "/export", "--host", "0.0.0.0"]
