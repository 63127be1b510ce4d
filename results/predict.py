"""Predict the genre of audio files: ``python -m results.predict EXPORT_DIR AUDIO...``."""

from __future__ import annotations

import io
import json
import sys

import click

from data.console import Command
from data.errors import AudioError, HarnessError

SOME_FAILED = 1
"""Exit status if only some of the files could be read."""


@click.command(cls=Command)
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.argument("audio", metavar="AUDIO...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per file.")
@click.option(
    "--min-confidence",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Print 'unsure' if the probability of the most likely genre is below P.",
)
@click.pass_context
def main(
    ctx: click.Context, export_dir: str, audio: tuple[str, ...], as_json: bool, min_confidence: float
) -> None:
    """Predict the genre of AUDIO: files, folders (searched recursively), globs, or -.

    With -, file names are read from standard input, one per line. Files that cannot be read are reported on
    standard error and skipped; the exit status is then 1, and 2 if no file could be read. A model that was
    trained on spectrogram images reads such images instead of audio.
    """
    import results
    from data.audio import decode, spectrogram_images
    from data.console import err
    from data.io.folder import printable
    from results.model.formatting import record, text
    from results.model.input_files import expand_files

    classifier = results.load(export_dir)
    if classifier.config.synthetic:
        err().print("This model was trained on SYNTHETIC music.", style="yellow")
    n_predicted = n_failed = n_unmatched = 0

    def report_unmatched(message: str) -> None:
        nonlocal n_unmatched
        n_unmatched += 1
        click.echo(printable(" ".join(f"Skipped: {message}".split())), err=True)

    if isinstance(sys.stdin, io.TextIOWrapper):
        # Names that are not valid UTF-8 must reach the file system unchanged.
        sys.stdin.reconfigure(errors="surrogateescape")
    suffixes = spectrogram_images.SUFFIXES if classifier.reads_images else decode.SUFFIXES
    for path in expand_files(audio, sys.stdin, suffixes, report_unmatched):
        try:
            prediction = classifier.predict(path)
        except HarnessError as error:
            n_failed += 1
            click.echo(printable(" ".join(f"Skipped: {error}".split())), err=True)
            continue
        n_predicted += 1
        click.echo(
            json.dumps(record(prediction, min_confidence=min_confidence), ensure_ascii=False)
            if as_json
            else text(prediction, min_confidence=min_confidence)
        )
    if not n_predicted:
        raise AudioError(
            f"none of the {n_failed} files could be read"
            if n_failed
            else "the arguments match no file that the model can read"
        )
    if n_failed or n_unmatched:
        ctx.exit(SOME_FAILED)


if __name__ == "__main__":
    main()
