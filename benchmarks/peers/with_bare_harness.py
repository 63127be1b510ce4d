"""The harness with no more than the others have: their space, and the BASELINE alone to begin with."""

from __future__ import annotations

from benchmarks.peers.with_harness import search

if __name__ == "__main__":
    search(set={"mixup": 0.0, "averaging": 0.0}, portfolio=False)
