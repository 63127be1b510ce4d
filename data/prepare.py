"""``python -m data.prepare``: make a cache from audio, images, or the published table of features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from data.analysis.parameters import Melspec, Parameters, Picture, Windows
from data.console import Command, err, out
from data.errors import SettingsError
from data.field_options import field_default, field_option
from data.io.documents import Problem

if TYPE_CHECKING:
    from rich.progress import Progress

    from data.analysis.encoders.catalogue import EncoderFiles
    from data.collection.collect import Collected
    from data.pipeline.planner import Preparation

_Model = TypeVar("_Model", bound=BaseModel)

_WINDOW_SECONDS: float = field_default(Melspec, "seconds")
_IMAGE_SECONDS: float = field_default(Picture, "seconds")

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


@click.command(cls=Command)
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
    help="Table of labels (csv, tsv, jsonl, parquet; FMA's tracks.csv) of the files below --audio.",
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
@click.option("--subset", type=click.Choice(("small", "medium", "large", "full")), help="Subset of FMA.")
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
    help=f"Length of a spectrogram in seconds.  [default: {_WINDOW_SECONDS:g}]",
)
@click.option("--image", is_flag=True, help="Also cache images of log-mel spectrograms.")
@click.option(
    "--image-seconds", type=float, help=f"Length of an image in seconds.  [default: {_IMAGE_SECONDS:g}]"
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
    help="Cache vectors of a pretrained encoder too; may be given several times.",
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
    from data.io.folder import Folder
    from data.io.lock import claimed

    if features_csv is not None:
        from data.collection import gtzan_table as gtzan

        _refuse(
            (*_ANALYSIS, *_EMBEDDING, "image", "image_size", "workers", "address", "strict", *_LAYOUT),
            "--features-csv",
        )
        with claimed(Folder.at(cache)):
            gtzan.prepare(features_csv, cache, groups)
        out().print(f"{cache}: the published table, without audio", highlight=False)
        return
    from data.pipeline.planner import Preparation

    layout = {name: analysis.pop(name) for name in _LAYOUT}
    collected, parameters = _collection(audio, images, layout | {"groups": groups}, analysis)
    encoders = _encoders(
        embeddings, weights=embedding_weights, rate=embedding_rate, seconds=embedding_seconds
    )
    for warning in collected.warnings:
        err().print(f"Warning: {warning}", highlight=False, soft_wrap=True)
    if collected.notes and strict:
        raise SettingsError(f"{audio or images}: {collected.notes[0]} (--strict: fix or remove them)")
    if dry_run:
        _show_plan(collected)
        return
    with claimed(Folder.at(cache)):
        preparation = Preparation.plan(
            cache, collected.files, parameters, source="audio" if audio else "images", encoders=encoders
        )
        _finish(preparation, collected, workers, address, strict)
    _show_notes(collected)


def _collection(
    audio: Path | None, images: Path | None, layout: dict[str, Any], analysis: dict[str, Any]
) -> tuple[Collected, Parameters]:
    """Find the files, and the parameters of their analysis."""
    from data.audio.spectrogram_images import SUFFIXES
    from data.collection.collect import Collected, Layout, collect
    from data.collection.groups import match_groups
    from data.collection.scan import scan_folder

    if audio is not None:
        if not analysis["melspec"]:
            _refuse(_MELSPEC, "audio without --melspec")
        if not analysis["image"]:
            _refuse(_IMAGE, "audio without --image")
        if not (analysis["melspec"] or analysis["image"]):
            _refuse(_TENSOR, "audio without --melspec or --image")
        parameters = _parameters(**analysis)
        return collect(audio, Layout(**layout)), parameters
    if images is not None:
        _refuse((*_ANALYSIS, *_EMBEDDING, *_LAYOUT), "--images")
        parameters = _parameters(**(analysis | {"image": True, "melspec": False, "from_pictures": True}))
        scan = scan_folder(images, option="--images", inner="images_original", suffixes=SUFFIXES)
        notes = scan.notes()
        groups = None
        if layout["groups"]:
            named = match_groups(layout["groups"], [file.track_id for file in scan.files])
            groups = named.groups
            if not named.is_complete:
                notes.append(f"--groups {layout['groups']}: {named.summary()}")
        return Collected(scan.files, groups, notes=notes, warnings=scan.warnings()), parameters
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
    from data.cache.writer import OK

    files = preparation.files
    with _progress() as progress:
        task = progress.add_task("analysing", total=len(preparation.todo))
        for count in preparation.run(workers=workers, address=address, strict=strict):
            progress.advance(task, count)
    info = preparation.finish(collected.groups, collected.splits)
    manifest = preparation.folder.read_table("manifest.parquet", ["label", "status"])
    usable = Counter(zip(*(column.to_pylist() for column in manifest.columns), strict=True))
    genres = {label: count for (label, status), count in usable.items() if status == OK}
    tracks = sum(genres.values())
    nodes = len(preparation.nodes)
    where = f" by {nodes} {'node' if nodes == 1 else 'nodes'}" if address is not None and nodes else ""
    out().print(
        f"{preparation.folder.uri}: {tracks} tracks of {len(genres)} genres;"
        f" {len(preparation.todo)} of {len(files)} files analysed{where}, {len(files) - tracks} skipped;"
        f" fingerprint {info.fingerprint[:12]}",
        highlight=False,
        soft_wrap=True,
    )
    _show_skipped(preparation)


def _parameters(
    *,
    melspec: bool,
    window_seconds: float | None,
    image: bool,
    image_seconds: float | None,
    image_size: int,
    colormap: str,
    overlap: float,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    **common: float,
) -> Parameters:
    """Parameters from the options of the same names; an error names its option."""
    from data.analysis.spectrograms import colour_table

    mels = {"overlap": overlap, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    # Validated first: the segment length limits the default length of windows.
    longest = _valid(Parameters, common).segment_seconds
    tensors: dict[str, Windows] = {}
    if melspec:
        seconds = min(_WINDOW_SECONDS, longest) if window_seconds is None else window_seconds
        tensors["melspec"] = _valid(Melspec, mels | {"seconds": seconds}, seconds="window-seconds")
    if image:
        colour_table(colormap)
        seconds = min(_IMAGE_SECONDS, longest) if image_seconds is None else image_seconds
        picture = mels | {"seconds": seconds, "size": image_size, "colormap": colormap}
        tensors["image"] = _valid(Picture, picture, seconds="image-seconds", size="image-size")
    return _valid(Parameters, common | tensors)


def _valid(model: type[_Model], values: Mapping[str, Any], **options: str) -> _Model:
    """Make a model from values; `options` maps a field to its option if the names differ."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = Problem.first(error)
        name = "-".join(map(str, problem.location))
        option = options.get(name, name.replace("_", "-"))
        raise SettingsError(f"{f'--{option}: ' if option else ''}{problem.message}") from error


def _progress() -> Progress:
    from rich import progress
    from rich.text import Text

    class _SpeedColumn(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} files/s")

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        _SpeedColumn(),
        progress.TimeRemainingColumn(),
        console=err(),
    )


def _show_notes(collected: Collected) -> None:
    for note in collected.notes:
        out().print(f"  {note}", highlight=False, soft_wrap=True)


def _show_plan(collected: Collected) -> None:
    """Print what a scan found: genres, groups, size."""
    genres = Counter(file.label for file in collected.files)
    size = sum(max(0, file.size) for file in collected.files)
    text = ", ".join(f"{genre} {count}" for genre, count in sorted(genres.items()))
    out().print(f"{len(collected.files)} files of {len(genres)} genres, {size / 1e6:.1f} MB", highlight=False)
    out().print(f"  {text}", highlight=False, soft_wrap=True)
    groups = collected.groups
    if groups is not None:
        out().print(f"  {len(set(groups.values()))} groups of {len(groups)} files", highlight=False)
    _show_notes(collected)


def _show_skipped(preparation: Preparation) -> None:
    reasons = Counter(reason.partition(" (")[0].partition(":")[0] for _, reason in preparation.skipped)
    for reason, count in reasons.most_common():
        example = next(path for path, why in preparation.skipped if why.startswith(reason))
        out().print(f"  skipped {count}: {reason}, such as {example}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
