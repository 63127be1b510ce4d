"""Run the harness on the other peers' space, with the BASELINE as its only starting point."""

from __future__ import annotations

from benchmarks.peers.with_harness import search

if __name__ == "__main__":
    search(set={"mixup": 0.0, "averaging": 0.0}, portfolio=False)
