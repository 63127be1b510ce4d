"""The project's folder, from which tests start commands."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
