"""Predict the genre of audio files: ``python -m results.predict EXPORT_DIR AUDIO...``."""

from __future__ import annotations

import io
import sys
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from data.console import Command, err
from data.errors import AudioError, HarnessError, OutputError, SettingsError
from data.io.folder import printable
from results.model.formatting import UNSURE
from results.model.input_files import expand_files
from results.predicting.copies import copy_to_genre

if TYPE_CHECKING:
    from results.predicting.writers import Writer

SOME_FAILED = 1
"""Exit status if only some of the files could be read, tagged or copied."""


@click.command(cls=Command)
@click.argument("export_dir", metavar="EXPORT_DIR")
@click.argument("audio", metavar="AUDIO...", nargs=-1, required=True)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv"]),
    default=None,
    help="One line per song: a table, JSON with all segments, or CSV.  [default: table]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--top",
    metavar="K",
    type=click.IntRange(1),
    default=None,
    help="Number of genres per song.  [default: 1 in a table, otherwise all]",
)
@click.option(
    "--hop",
    metavar="SECONDS",
    type=float,
    help="Move a window of the training segments' length over each song, by so many seconds at a time: for a"
    " finer timeline, or to sample a long recording.  [default: equal segments]",
)
@click.option("--timeline", is_flag=True, help="Show the genre over time below each song of the table.")
@click.option(
    "--min-confidence",
    metavar="P",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Print 'unsure' if the probability of the most likely genre is below P.",
)
@click.option(
    "--write-tags",
    type=click.Choice(["csv", "files"]),
    help="Write the genres into the songs' tags (files), or next to their present tags into genre-tags.csv in"
    " the current folder (csv). Unsure songs keep their tags.",
)
@click.option("--copy-to", metavar="DIR", help="Copy each song to DIR/GENRE/; files are never replaced.")
@click.option("--audacity", metavar="DIR", help="Write a label track for Audacity per song to DIR.")
@click.pass_context
def main(
    ctx: click.Context,
    export_dir: str,
    audio: tuple[str, ...],
    output_format: str | None,
    as_json: bool,
    top: int | None,
    hop: float | None,
    timeline: bool,
    min_confidence: float,
    write_tags: str | None,
    copy_to: str | None,
    audacity: str | None,
) -> None:
    """Predict the genre of AUDIO: files, folders (searched recursively), globs, or -.

    With -, file names are read from standard input, one per line. Files that cannot be read are reported on
    standard error and skipped; the exit status is then 1, and 2 if no file could be read. A model that was
    trained on spectrogram images reads such images instead of audio.
    """
    if as_json and output_format not in (None, "json"):
        raise SettingsError(f"--json and --format {output_format} contradict each other; give one of them")
    output_format = "json" if as_json else output_format or "table"
    if timeline and output_format != "table":
        raise SettingsError(f"--timeline is part of the table; --format {output_format} has the segments")
    import results
    from data.audio import decode, spectrogram_images
    from results.predicting.audacity import write_label_track
    from results.predicting.tags import TagTable, write_genre_tag
    from results.predicting.writers import summarise

    model = results.load(export_dir)
    model.check_hop(hop)
    if model.reads_images and (write_tags or audacity):
        option = "--write-tags" if write_tags else "--audacity"
        raise SettingsError(f"{option}: this model reads images, which have no tags and no time")
    if model.config.synthetic:
        err().print("This model was trained on SYNTHETIC music.", style="yellow")
    writer = _writer(output_format, model.labels, top, timeline, min_confidence)
    answers: Counter[str] = Counter()
    n_unread = n_unmatched = n_unwritten = 0

    def warn(message: str) -> None:
        click.echo(printable(" ".join(message.split())), err=True)

    def report_unmatched(message: str) -> None:
        nonlocal n_unmatched
        n_unmatched += 1
        warn(f"Skipped: {message}")

    if isinstance(sys.stdin, io.TextIOWrapper):
        # Names that are not valid UTF-8 must reach the file system unchanged.
        sys.stdin.reconfigure(errors="surrogateescape")
    suffixes = spectrogram_images.SUFFIXES if model.reads_images else decode.SUFFIXES
    with ExitStack() as stack:
        table = stack.enter_context(TagTable()) if write_tags == "csv" else None
        if (head := writer.head()) is not None:
            click.echo(head)
        for path in expand_files(audio, sys.stdin, suffixes, report_unmatched):
            try:
                prediction = model.predict(path, hop=hop)
            except HarnessError as error:
                n_unread += 1
                warn(f"Skipped: {error}")
                continue
            answer = writer.answer(prediction)
            answers[answer] += 1
            click.echo(writer.line(prediction))
            if table is not None:
                table.add(path, answer, prediction.probabilities[prediction.genre])
            try:
                if copy_to is not None:
                    copy_to_genre(path, answer, copy_to)
                if audacity is not None:
                    write_label_track(prediction, audacity)
                if write_tags == "files" and answer != UNSURE:
                    write_genre_tag(path, answer)
            except OutputError as error:
                n_unwritten += 1
                warn(f"Not written: {error}")
        if not answers:
            raise AudioError(
                f"none of the {n_unread} files could be read"
                if n_unread
                else "the arguments match no file that the model can read"
            )
    if output_format == "table" and answers.total() > 1:
        click.echo(summarise(answers, n_unread))
    if n_unread or n_unmatched or n_unwritten:
        ctx.exit(SOME_FAILED)


def _writer(
    output_format: str, genres: list[str], top: int | None, timeline: bool, min_confidence: float
) -> Writer:
    """Make the writer of an output format."""
    from results.predicting.writers import CsvWriter, JsonWriter, TableWriter

    if output_format == "table":
        return TableWriter(genres, top=top or 1, min_confidence=min_confidence, with_timeline=timeline)
    kind = JsonWriter if output_format == "json" else CsvWriter
    return kind(genres, top=min(top or len(genres), len(genres)), min_confidence=min_confidence)


if __name__ == "__main__":
    main()
