"""Name the genre of audio files: ``python -m results.predict EXPORT_DIR AUDIO...``."""

from __future__ import annotations

import io
import json
import sys

import click

from data.console import Command
from data.errors import AudioError, HarnessError

SOME_FAILED = 1
"""Exit status where some files could be read and others could not."""


@click.command(cls=Command)
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.argument("audio", metavar="AUDIO...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON a file.")
@click.option(
    "--min-confidence",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Answer 'unsure' where the probability of the likeliest genre is below P.",
)
@click.pass_context
def main(
    ctx: click.Context, export_dir: str, audio: tuple[str, ...], as_json: bool, min_confidence: float
) -> None:
    """Name the genre of AUDIO: files, folders (searched with all their subfolders), globs, or -.

    With - the names are read from standard input, one a line. A file that cannot be read is reported on
    standard error and the others go on; the exit status is then 1, and 2 if no file could be read. A model of
    pictures of spectrograms takes such pictures in place of audio.
    """
    import results
    from data.audio import decode as sounds
    from data.audio import spectrogram_images as pictures
    from data.console import err
    from data.io.folder import printable
    from results.model.formatting import record, text
    from results.model.input_files import meant_files

    classifier = results.load(export_dir)
    if classifier.config.synthetic:
        err().print("This model was trained on SYNTHETIC music.", style="yellow")
    read = failed = missing = 0

    def skipped(message: str) -> None:
        nonlocal missing
        missing += 1
        click.echo(printable(" ".join(f"Skipped: {message}".split())), err=True)

    if isinstance(sys.stdin, io.TextIOWrapper):
        # Names are bytes; those that are no text come back as they were when the file is opened.
        sys.stdin.reconfigure(errors="surrogateescape")
    suffixes = pictures.SUFFIXES if classifier.from_pictures else sounds.SUFFIXES
    for path in meant_files(audio, sys.stdin, suffixes, skipped):
        try:
            prediction = classifier.predict(path)
        except HarnessError as error:
            failed += 1
            click.echo(printable(" ".join(f"Skipped: {error}".split())), err=True)
            continue
        read += 1
        click.echo(
            json.dumps(record(prediction, min_confidence=min_confidence), ensure_ascii=False)
            if as_json
            else text(prediction, min_confidence=min_confidence)
        )
    if not read:
        raise AudioError(
            f"none of the {failed} files could be read"
            if failed
            else "no file to judge was found in what was named"
        )
    if failed or missing:
        ctx.exit(SOME_FAILED)


if __name__ == "__main__":
    main()
