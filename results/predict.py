"""Name the genre of audio files: ``python -m results.predict EXPORT_DIR AUDIO...``."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data.console import Command
from data.errors import AudioError, HarnessError

if TYPE_CHECKING:
    from results.classifier import Prediction


@click.command(cls=Command)
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.argument("audio", metavar="AUDIO...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a file.")
def main(export_dir: str, audio: tuple[str, ...], as_json: bool) -> None:
    """Name the genre of AUDIO: files, folders (searched with all their subfolders) or globs.

    A file that cannot be read is reported on standard error and the others go on.
    """
    import results
    from data.console import err

    classifier = results.load(export_dir)
    if classifier.config.synthetic:
        err().print("This model was trained on SYNTHETIC music.", style="yellow")
    read = failed = 0
    for path in _files(audio):
        try:
            prediction = classifier.predict(path)
        except HarnessError as error:
            failed += 1
            click.echo(" ".join(f"Skipped: {error}".split()), err=True)
            continue
        read += 1
        click.echo(_json(prediction) if as_json else _text(prediction))
    if not read:
        raise AudioError(
            f"none of the {failed} files could be read"
            if failed
            else "no audio file was found in what was named"
        )


def _files(given: Sequence[str]) -> Iterator[str]:
    """Each file that is meant; a name that is none of file, folder and glob is left to fail as a file."""
    from data.audio import SUFFIXES

    for name in given:
        path = Path(name)
        if path.is_dir():
            inside = sorted(str(file) for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
            if not inside:
                click.echo(f"Skipped: {name}: no audio file in this folder", err=True)
            yield from inside
        elif path.exists() or not glob.has_magic(name):
            yield name
        else:
            # Path.glob takes no absolute pattern.
            matches = glob.glob(name, recursive=True)  # noqa: PTH207
            found = sorted(file for file in matches if Path(file).is_file())
            if not found:
                click.echo(f"Skipped: {name}: no file matches this", err=True)
            yield from found


def _text(prediction: Prediction) -> str:
    count = len(prediction.segments)
    lines = [f"{prediction.path} ({count} segment{'s' if count > 1 else ''})"]
    width = max(map(len, prediction.probabilities))
    lines += [
        f"  {genre:<{width}}  {100 * share:5.1f} %" for genre, share in prediction.probabilities.items()
    ]
    return "\n".join(lines)


def _json(prediction: Prediction) -> str:
    record = {
        "file": prediction.path,
        "genre": prediction.genre,
        "probabilities": prediction.probabilities,
        "segments": [
            {"start_s": start, "probabilities": share}
            for start, share in zip(prediction.start_s, prediction.segments, strict=True)
        ],
    }
    return json.dumps(record, ensure_ascii=False)


if __name__ == "__main__":
    main()
