"""Answers per second of the prediction server under load: ``python -m benchmarks.serve_load EXPORT SONG``.

Starts ``results.serve`` as a user does, sends the same song from several clients at once, and prints the
answers per second, the latencies and the answers that failed.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np

_BOUNDARY = "benchmark-boundary"


def post(address: str, body: bytes) -> tuple[int, float]:
    """Send a song; return the status and the seconds until the answer."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=120)
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    connection.request("POST", "/predict", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status, time.perf_counter() - began


@click.command()
@click.argument("export_dir")
@click.argument("song", type=click.Path(path_type=Path, exists=True))
@click.option("--requests", "n_requests", default=96, show_default=True, help="Number of requests.")
@click.option("--clients", default=8, show_default=True, help="Requests at once.")
@click.option("--workers", default=os.cpu_count(), show_default=True, help="Processes of the server.")
def main(export_dir: str, song: Path, n_requests: int, clients: int, workers: int) -> None:
    """Measure the server of EXPORT_DIR with SONG."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{song.name}"\r\n\r\n'
    body = head.encode() + song.read_bytes() + f"\r\n--{_BOUNDARY}--\r\n".encode()
    command = [sys.executable, "-m", "results.serve", export_dir, "--port", "0", "--workers", str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = urlsplit(re.findall(r"http://\S+", server.stdout.readline())[0]).netloc
            post(address, body)
            began = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                answers = list(pool.map(lambda _: post(address, body), range(n_requests)))
            seconds = time.perf_counter() - began
        finally:
            server.terminate()
    latencies = np.array([latency for _, latency in answers])
    n_answered = sum(status == 200 for status, _ in answers)
    p50, p95 = np.percentile(latencies, [50, 95])
    click.echo(
        f"{n_answered} of {n_requests} answered, {n_requests / seconds:.1f} a second, {clients} at once;"
        f" latency median {p50:.2f} s, 95th percentile {p95:.2f} s"
        f" (load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores)"
    )


if __name__ == "__main__":
    main()
