"""``python -m data.prepare``: audio, or the published table of features, to a cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from data.console import Command, err, out
from data.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.progress import Progress

    from data.analysis.encoders.catalogue import EncoderFiles
    from data.analysis.parameters import Parameters, Windows
    from data.collection.scan import Found
    from data.pipeline.planner import Preparation

_Model = TypeVar("_Model", bound="BaseModel")

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
"""Options that say how audio is analysed, where there is audio."""
_MELSPEC = ("window_seconds",)
_IMAGE = ("image_seconds", "image_size", "colormap")
_TENSOR = ("overlap", "n_mels", "fmin", "fmax")
"""Options that say how a kind of tensor is made, or any."""
_EMBEDDING_DETAILS = ("embedding_weights", "embedding_rate", "embedding_seconds")
_EMBEDDING = ("embeddings", *_EMBEDDING_DETAILS)
"""Options of pretrained encoders."""


@click.command(cls=Command)
@click.option(
    "--audio",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with a folder for each genre (wav, au, aiff, mp3, flac, ogg, opus).",
)
@click.option(
    "--features-csv",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The published table of features, instead of audio.",
)
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder with a folder of spectrogram pictures (png, jpg) for each genre, instead of audio.",
)
@click.option("--cache", metavar="DIR_OR_URI", required=True, help="Where the cache is written.")
@click.option(
    "--groups",
    metavar="FILE",
    help="CSV file,group: files that a split must not separate. A rerun without it keeps those given before.",
)
@click.option("--segment-seconds", type=float, default=30.0, help="Wanted length of a segment.")
@click.option("--melspec", is_flag=True, help="Cache log-mel spectrograms too.")
@click.option("--window-seconds", type=float, help="Length of a spectrogram.  [default: 3]")
@click.option("--image", is_flag=True, help="Cache pictures of log-mel spectrograms too.")
@click.option("--image-seconds", type=float, help="Length that a picture shows.  [default: 30]")
@click.option("--image-size", type=int, default=300, help="Height and width of a picture in pixels.")
@click.option("--colormap", default="magma", help="Colour map of matplotlib for the pictures.")
@click.option("--overlap", type=float, default=0.0, help="Share of a spectrogram that the next repeats.")
@click.option("--n-mels", type=int, default=128, help="Mel bands of spectrograms and pictures.")
@click.option("--fmin", type=float, default=0.0, help="Lowest frequency of the mel bands in Hz.")
@click.option("--fmax", type=float, help="Highest one.  [default: half the sample rate]")
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
@click.option("--sample-rate", type=int, default=22050, help="Rate in Hz that all audio is brought to.")
@click.option("--n-fft", type=int, default=2048, help="Length of a frame in samples.")
@click.option("--hop-length", type=int, default=512, help="Samples from frame to frame.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes at once.  [default: all cores]")
@click.option("--address", metavar="ADDR", help="Ray cluster that does the work.")
@click.option("--strict", is_flag=True, help="Fail at a file that cannot be used, instead of skipping it.")
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
    **analysis: Any,
) -> None:
    """Take features, and tensors if asked for, from audio, once, into a cache that searches read.

    A rerun analyses only files that are new or changed, and finishes what was interrupted. Tensors that it
    asks for and the cache lacks are added.
    """
    if sum(source is not None for source in (audio, features_csv, images)) != 1:
        raise SettingsError("give either --audio DIR or --features-csv FILE or --images DIR")
    from data.io.folder import Folder
    from data.io.lock import claimed

    if features_csv is not None:
        from data.collection import gtzan_table as gtzan

        _refuse(
            (*_ANALYSIS, *_EMBEDDING, "image", "image_size", "workers", "address", "strict"), "--features-csv"
        )
        with claimed(Folder.at(cache)):
            gtzan.prepare(features_csv, cache, groups)
        out().print(f"{cache}: the published table, without audio", highlight=False)
        return
    from data.pipeline.planner import Preparation

    files, parameters, left = _collection(audio, images, analysis)
    encoders = _encoders(
        embeddings, weights=embedding_weights, rate=embedding_rate, seconds=embedding_seconds
    )
    if left and strict:
        raise SettingsError(f"{audio or images}: {left} (--strict: take them away)")
    with claimed(Folder.at(cache)):
        preparation = Preparation.plan(
            cache, files, parameters, source="audio" if audio else "images", encoders=encoders
        )
        _finish(preparation, groups, workers, address, strict)
    if left:
        out().print(f"  left alone: {left}", highlight=False, soft_wrap=True)


def _collection(
    audio: Path | None, images: Path | None, analysis: dict[str, Any]
) -> tuple[list[Found], Parameters, str]:
    """Find the files, what is to be taken from them, and what is left alone."""
    from data.audio.spectrogram_images import SUFFIXES
    from data.collection.scan import find_files, left_alone

    if audio is not None:
        if not analysis["melspec"]:
            _refuse(_MELSPEC, "audio of which no --melspec is taken")
        if not analysis["image"]:
            _refuse(_IMAGE, "audio of which no --image is taken")
        if not (analysis["melspec"] or analysis["image"]):
            _refuse(_TENSOR, "audio of which neither --melspec nor --image is taken")
        return find_files(audio), _parameters(**analysis), left_alone(audio)
    if images is not None:
        _refuse((*_ANALYSIS, *_EMBEDDING), "--images")
        pictures: dict[str, Any] = {"inner": "images_original", "suffixes": SUFFIXES}
        files = find_files(images, option="--images", **pictures)
        parameters = _parameters(**(analysis | {"image": True, "melspec": False, "from_pictures": True}))
        return files, parameters, left_alone(images, **pictures)
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
    """Refuse options that were given although the source has nothing that they could change."""
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = {"embeddings": "embedding"}.get(name, name.replace("_", "-"))
            raise SettingsError(f"--{option}: does not go with {source}; leave it out")


def _finish(
    preparation: Preparation, groups: str | None, workers: int | None, address: str | None, strict: bool
) -> None:
    """Analyse what must be, write the cache and say what is in it."""
    from data.cache.writer import OK
    from data.collection.scan import read_groups

    files = preparation.files
    given = read_groups(groups, (file.track_id for file in files)) if groups else None
    with _progress() as progress:
        task = progress.add_task("analysing", total=len(preparation.todo))
        for count in preparation.run(workers=workers, address=address, strict=strict):
            progress.advance(task, count)
    info = preparation.finish(given)
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
    """Parameters from the options of their names; what is wrong with one is said of that option."""
    from data.analysis.parameters import Melspec, Parameters, Picture
    from data.analysis.spectrograms import colour_table

    mels = {"overlap": overlap, "n_mels": n_mels, "fmin": fmin, "fmax": fmax}
    # Before the lengths of windows, which it limits where they are not given.
    longest = _valid(Parameters, common).segment_seconds
    tensors: dict[str, Windows] = {}
    if melspec:
        seconds = min(3.0, longest) if window_seconds is None else window_seconds
        tensors["melspec"] = _valid(Melspec, mels | {"seconds": seconds}, seconds="window-seconds")
    if image:
        colour_table(colormap)
        seconds = min(30.0, longest) if image_seconds is None else image_seconds
        picture = mels | {"seconds": seconds, "size": image_size, "colormap": colormap}
        tensors["image"] = _valid(Picture, picture, seconds="image-seconds", size="image-size")
    return _valid(Parameters, common | tensors)


def _valid(model: type[_Model], values: Mapping[str, Any], **options: str) -> _Model:
    """Make a model of values; `options` tells which option gives a value, where it has another name."""
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = "-".join(str(part) for part in first["loc"])
        option = options.get(name, name.replace("_", "-"))
        raise SettingsError(f"{f'--{option}: ' if option else ''}{first['msg']}") from error


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


def _show_skipped(preparation: Preparation) -> None:
    reasons = Counter(reason.partition(" (")[0].partition(":")[0] for _, reason in preparation.skipped)
    for reason, count in reasons.most_common():
        example = next(path for path, why in preparation.skipped if why.startswith(reason))
        out().print(f"  skipped {count}: {reason}, such as {example}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
