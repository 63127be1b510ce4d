"""``python -m data.prepare``: make a cache from audio, images, or the published table of features."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from data.analysis.parameters import Melspec, Parameters, Picture, Windows
from data.console import Command, err, out
from data.errors import SettingsError
from data.field_options import field_default, field_option
from data.io.counts import counted
from data.io.folder import Folder
from data.io.lock import claimed
from data.io.progress import counted_files
from data.io.stages import Stages

if TYPE_CHECKING:
    from data.analysis.encoders.catalogue import EncoderFiles
    from data.collection.collect import Collected
    from data.collection.summary import Contents
    from data.io.folder import Folder
    from data.pipeline.planner import Preparation

_ANALYSIS = (
    "segment_seconds",
    "melspec",
    "window_seconds",
    "image_seconds",
    "colormap",
    "overlap",
    "n_mels",
    "fmin",
    "fmax",
    "sample_rate",
    "n_fft",
    "hop_length",
)
"""Options of the analysis of audio."""
_MELSPEC = ("window_seconds",)
_IMAGE = ("image_seconds", "image_size", "colormap")
_TENSOR = ("overlap", "n_mels", "fmin", "fmax")
"""Options of one kind of tensor, or of all."""
_LAYOUT = (
    *("labels", "label_column", "group_column", "split_column", "subset", "labels_from", "groups_from"),
    *("flat", "merge_labels", "min_tracks"),
)
"""Options of the layout of a folder of audio."""
_EMBEDDING_DETAILS = ("embedding_weights", "embedding_rate", "embedding_seconds")
_EMBEDDING = ("embeddings", *_EMBEDDING_DETAILS)
"""Options of pretrained encoders."""


@click.command(cls=Command, extra="search")
@click.option(
    "--audio",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with one folder per genre.",
)
@click.option(
    "--features-csv",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Published table of features (of clips, or of segments of 3 s), instead of audio.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with a folder of spectrogram pictures (png, jpg) for each genre, instead of audio.",
)
@click.option("--cache", metavar="DIR_OR_URI", required=True, help="Folder of the cache.")
@click.option(
    "--groups",
    metavar="FILE",
    help="CSV file,group: files that no split may separate. A rerun without it keeps the groups.",
)
@click.option(
    "--groups-from",
    type=click.Choice(("artist", "album", "albumartist", "folder")),
    help="Tag that names the groups, or the folder above each file.",
)
@click.option(
    "--labels",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Table of labels of the files below --audio: csv, tsv, jsonl, parquet, or tracks.csv of the Free"
    " Music Archive.",
)
@click.option(
    "--label-column", metavar="NAME", help="Column of --labels with the genre.  [default: label or genre]"
)
@click.option(
    "--group-column", metavar="NAME", help="Column of --labels with the group.  [default: group or artist]"
)
@click.option(
    "--split-column",
    metavar="NAME",
    help="Column of --labels with the partition: train, valid, test, or folds.  [default: split or fold]",
)
@click.option(
    "--subset",
    type=click.Choice(("small", "medium", "large", "full")),
    help="Subset of the Free Music Archive.",
)
@click.option("--labels-from", type=click.Choice(("genre",)), help="Tag that names the genre.")
@click.option("--flat", is_flag=True, help="Ignore subfolders of the genre folders.")
@click.option("--merge-labels", is_flag=True, help="Join genres that differ in case, spaces or hyphens only.")
@click.option(
    "--min-tracks", type=click.IntRange(min=1), default=1, help="Leave out genres with fewer files."
)
@click.option("--dry-run", is_flag=True, help="Print what would be analysed, and stop.")
@field_option(Parameters, "segment_seconds", "Approximate length of a segment in seconds.")
@click.option("--melspec", is_flag=True, help="Also cache log-mel spectrograms.")
@click.option(
    "--window-seconds",
    type=float,
    help=f"Length of a spectrogram in seconds.  [default: {field_default(Melspec, 'seconds'):g}]",
)
@click.option("--image", is_flag=True, help="Also cache images of log-mel spectrograms.")
@click.option(
    "--image-seconds",
    type=float,
    help=f"Length of an image in seconds.  [default: {field_default(Picture, 'seconds'):g}]",
)
@field_option(Picture, "size", "Height and width of an image in pixels.", flags="--image-size")
@field_option(Picture, "colormap", "Matplotlib colour map of the images.")
@field_option(Windows, "overlap", "Fraction of a spectrogram that the next one repeats.")
@field_option(Windows, "n_mels", "Mel bands of spectrograms and images.")
@field_option(Windows, "fmin", "Lowest frequency of the mel bands in Hz.")
@field_option(Windows, "fmax", "Highest frequency in Hz.  [default: half the sample rate]")
@click.option(
    "--embedding",
    "embeddings",
    metavar="musicnn|FILE.onnx",
    multiple=True,
    help="Also cache vectors of a pretrained encoder; can be repeated.",
)
@click.option(
    "--embedding-weights",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of MusiCNN's weights.  [default: the package that 'make embeddings' installs]",
)
@click.option("--embedding-rate", type=int, metavar="HZ", help="Sample rate that an ONNX encoder takes.")
@click.option("--embedding-seconds", type=float, help="Length of the patches that an ONNX encoder takes.")
@field_option(Parameters, "sample_rate", "Sample rate of the analysis in Hz.")
@field_option(Parameters, "n_fft", "Length of a frame in samples.")
@field_option(Parameters, "hop_length", "Samples between frames.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at once.  [default: all cores]")
@click.option("--address", metavar="ADDR", help="Address of a Ray cluster to use.")
@click.option(
    "--strict", is_flag=True, help="Fail at the first file that cannot be used, instead of skipping it."
)
def main(
    audio: Path | None,
    features_csv: Path | None,
    images: Path | None,
    cache: str,
    groups: str | None,
    embeddings: tuple[str, ...],
    embedding_weights: Path | None,
    embedding_rate: int | None,
    embedding_seconds: float | None,
    workers: int | None,
    address: str | None,
    strict: bool,
    dry_run: bool,
    **analysis: Any,
) -> None:
    """Extract features (and optionally spectrograms) from audio into a cache.

    A rerun analyses only files that are new or changed, and finishes an interrupted run. Requested tensors
    that the cache lacks are added.
    """
    if sum(source is not None for source in (audio, features_csv, images)) != 1:
        raise SettingsError("give either --audio DIR or --features-csv FILE or --images DIR")
    if features_csv is not None:
        from data.collection import gtzan_table as gtzan
        from data.collection.summary import Contents

        _refuse(
            (
                *_ANALYSIS,
                *_EMBEDDING,
                "image",
                "image_size",
                "workers",
                "address",
                "strict",
                "dry_run",
                *_LAYOUT,
            ),
            "--features-csv",
        )
        with claimed(Folder.at(cache)):
            gtzan.prepare(features_csv, cache, groups)
        contents = Contents.of_cache(Folder.at(cache))
        out().print(
            f"{cache}: {contents.tracks} tracks of {len(contents.genres)} genres, from a table without audio",
            highlight=False,
            soft_wrap=True,
        )
        for line in contents.lines():
            out().print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
        return
    from data.pipeline.planner import Preparation

    layout = {name: analysis.pop(name) for name in _LAYOUT}
    with Stages(lines=False) as stage:
        stage("Reading the folders")
        collected, parameters = _collection(audio, images, layout | {"groups": groups}, analysis)
    encoders = _encoders(
        embeddings, weights=embedding_weights, rate=embedding_rate, seconds=embedding_seconds
    )
    for warning in collected.warnings:
        err().print(f"Warning: {warning}", highlight=False, soft_wrap=True)
    if collected.notes and strict:
        more = f"; and {len(collected.notes) - 1} more kinds" if len(collected.notes) > 1 else ""
        raise SettingsError(f"{audio or images}: {collected.notes[0]}{more} (--strict: fix or remove them)")
    if dry_run:
        _show_plan(collected, parameters, encoders, Folder.at(cache), workers or os.cpu_count() or 1)
        return
    with claimed(Folder.at(cache)):
        with Stages(lines=False) as stage:
            stage("Comparing the files with the cache")
            preparation = Preparation.plan(
                cache, collected.files, parameters, source="audio" if audio else "images", encoders=encoders
            )
        _finish(preparation, collected, workers, address, strict)


def _collection(
    audio: Path | None, images: Path | None, layout: dict[str, Any], analysis: dict[str, Any]
) -> tuple[Collected, Parameters]:
    """Find the files, and the parameters of their analysis."""
    from data.analysis.option_values import parameters_of_options
    from data.collection.collect import Layout, collect, collect_images

    if audio is not None:
        if not analysis["melspec"]:
            _refuse(_MELSPEC, "audio without --melspec")
        if not analysis["image"]:
            _refuse(_IMAGE, "audio without --image")
        if not (analysis["melspec"] or analysis["image"]):
            _refuse(_TENSOR, "audio without --melspec or --image")
        parameters = parameters_of_options(**analysis)
        return collect(audio, Layout(**layout)), parameters
    if images is not None:
        _refuse((*_ANALYSIS, *_EMBEDDING, *_LAYOUT), "--images")
        pictures = {"image": True, "melspec": False, "from_pictures": True}
        return collect_images(images, layout["groups"]), parameters_of_options(**(analysis | pictures))
    raise SettingsError("give either --audio DIR or --images DIR")


def _encoders(embeddings: Sequence[str], **details: Any) -> list[EncoderFiles]:
    """Find the encoders that are wanted; an option of another kind of encoder is refused."""
    from data.analysis.encoders.catalogue import MUSICNN, find_encoders

    if MUSICNN not in embeddings:
        _refuse(("embedding_weights",), "encoders other than musicnn")
    if not any(value != MUSICNN for value in embeddings):
        _refuse(("embedding_rate", "embedding_seconds"), "encoders other than ONNX files")
    return find_encoders(embeddings, **details)


def _refuse(names: Iterable[str], source: str) -> None:
    """Refuse options that have no effect on this source."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = {"embeddings": "embedding"}.get(name, name.replace("_", "-"))
            raise SettingsError(f"--{option}: does not go with {source}; leave it out")


def _finish(
    preparation: Preparation,
    collected: Collected,
    workers: int | None,
    address: str | None,
    strict: bool,
) -> None:
    """Analyse the files, write the cache and print its content."""
    from data.collection.summary import Contents

    files = preparation.files
    with counted_files("Analysing", len(preparation.todo)) as advance:
        for count in preparation.run(workers=workers, address=address, strict=strict):
            advance(count)
    with Stages() as stage:
        stage("Writing the cache")
        info = preparation.finish(collected.groups, collected.splits)
    contents = Contents.of_cache(preparation.folder)
    nodes = len(preparation.nodes)
    where = f" by {counted(nodes, 'node')}" if address is not None and nodes else ""
    out().print(
        f"{preparation.folder.uri}: {contents.tracks} tracks of {len(contents.genres)} genres;"
        f" {len(preparation.todo)} of {len(files)} files analysed{where},"
        f" {len(files) - contents.tracks} skipped; fingerprint {(info.collection or info.fingerprint)[:16]}",
        highlight=False,
        soft_wrap=True,
    )
    known = [item for item in preparation.unusable.items() if item not in preparation.skipped]
    _show_summary(contents, [*preparation.skipped, *known], collected)


def _show_summary(contents: Contents, skipped: Iterable[tuple[str, str]], collected: Collected) -> None:
    """Print what was read, skipped and left out, and how groups and sides were found."""
    from data.collection.summary import skipped_lines

    for line in (*contents.lines(), *skipped_lines(skipped), *collected.notes):
        out().print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _show_plan(
    collected: Collected, parameters: Parameters, encoders: Sequence[EncoderFiles], cache: Folder, cores: int
) -> None:
    """Print what a scan found, and what preparing it would take."""
    from data.collection.summary import Contents
    from data.pipeline.estimate import estimate

    contents = Contents.of_scan(collected, cache)
    size = sum(max(0, file.size) for file in collected.files)
    out().print(
        f"{contents.tracks} files of {len(contents.genres)} genres, {size / 1e6:.1f} MB", highlight=False
    )
    _show_summary(contents, [], collected)
    embeddings = {encoder.name: encoder.embedding for encoder in encoders}
    guess = estimate(collected.files, parameters.model_copy(update={"embeddings": embeddings}))
    if guess is not None:
        out().print(f"  {guess.line(cores)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
