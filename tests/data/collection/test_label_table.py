from __future__ import annotations

import time
from pathlib import Path

import pytest

from data.collection.collect import Layout, collect
from data.collection.label_table import label_files
from data.errors import SettingsError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def table(tmp_path: Path, content: str, name: str = "labels.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


FMA = """,album,artist,set,set,track
,title,id,split,subset,genre_top
track_id,,,,,
2,"Long, with ""quotes""
and lines",1,training,small,Hip-Hop
3,b,1,training,medium,Rock
1001,c,7,test,small,Rock
1002,d,8,test,large,Jazz
5,e,9,training,small,
"""


def test_fma_as_downloaded(tmp_path: Path) -> None:
    audio = touch(tmp_path / "fma", *(f"{n // 1000:03d}/{n:06d}.mp3" for n in (2, 3, 5, 1001)))
    labelled = label_files(audio, table(tmp_path, FMA, "tracks.csv"))
    assert {file.track_id: file.label for file in labelled.scan.files} == {
        "000/000002.mp3": "Hip-Hop",
        "000/000003.mp3": "Rock",
        "001/001001.mp3": "Rock",
    }
    assert labelled.groups == {"000/000002.mp3": "1", "000/000003.mp3": "1", "001/001001.mp3": "7"}
    assert labelled.summary() == (
        "1 files without a label, such as 000/000005.mp3; 1 rows match no file, such as 1002"
    )
    small = label_files(audio, tmp_path / "tracks.csv", subset="small")
    assert [file.track_id for file in small.scan.files] == ["000/000002.mp3", "001/001001.mp3"]


def test_a_large_fma_table_is_read_in_seconds(tmp_path: Path) -> None:
    names = [f"{n // 1000:03d}/{n:06d}.mp3" for n in range(1, 3000)]
    audio = touch(tmp_path / "fma", *names)
    rows = "".join(f"{n},a,{n % 50},training,small,{'Rock' if n % 2 else 'Pop'}\n" for n in range(1, 3000))
    header = "".join(FMA.splitlines(keepends=True)[:3])
    start = time.process_time()
    labelled = label_files(audio, table(tmp_path, header + rows, "tracks.csv"))
    assert len(labelled.scan.files) == len(names)
    assert time.process_time() - start < 10


JSON_LINES = """{"file_name": "a.mp3", "class": "rock", "group": "x"}
{"note": null, "file_name": "b.mp3", "class": "pop", "group": "y"}
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.csv", "Filename , GENRE,Artist\na.mp3,rock,x\nb.mp3,pop,y\n"),
        ("labels.tsv", "path\tlabel\tgroup\n/home/me/music/rock/a.mp3\trock\tx\nsub/b.mp3\tpop\ty\n"),
        ("labels.csv", "track_id;category;album\na;rock;x\nb;pop;y\n"),
        ("labels.jsonl", JSON_LINES),
    ],
)
def test_tables_as_people_have_them(tmp_path: Path, name: str, content: str) -> None:
    audio = touch(tmp_path / "audio", "rock/a.mp3", "sub/b.mp3")
    labelled = label_files(audio, table(tmp_path, content, name))
    assert [(file.track_id, file.label) for file in labelled.scan.files] == [
        ("rock/a.mp3", "rock"),
        ("sub/b.mp3", "pop"),
    ]
    assert labelled.groups == {"rock/a.mp3": "x", "sub/b.mp3": "y"}
    assert labelled.summary() == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,genre\na.mp3,x\n", "no column 'file' or .* its columns are name, genre"),
        ("file,style\na.mp3,x\n", "its columns are file, style; name one with --label-column"),
        ("file,label\na.mp3,x\na.mp3,y\n", "line 3: 'a.mp3' has the label 'y', but 'x' above"),
        ("file,label\nz.mp3,x\n", r"labels none of the 2 audio files below \S+ \(it has 'z.mp3'\)"),
        ("file,label\na.mp3,x\nb.mp3,x\n", r"only one genre \(x\)"),
        ("", "not a table: it has no header"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    audio = touch(tmp_path / "audio", "1/a.mp3", "2/b.mp3")
    with pytest.raises(SettingsError, match=message):
        label_files(audio, table(tmp_path, content))


def test_a_name_of_several_files_is_refused_and_a_path_is_not(tmp_path: Path) -> None:
    audio = touch(tmp_path / "audio", "1/a.mp3", "2/a.mp3")
    with pytest.raises(
        SettingsError, match=r"line 2: 'a\.mp3' is the name of several files; give their paths"
    ):
        label_files(audio, table(tmp_path, "file,label\na.mp3,x\n"))
    assert len(label_files(audio, table(tmp_path, "file,label\n1/a.mp3,x\n2/a.mp3,y\n")).scan.files) == 2


def test_an_audiofolder_with_metadata_is_labelled_by_it(tmp_path: Path) -> None:
    audio = touch(tmp_path / "audio", "data/a.wav", "data/b.wav", "data/c.wav")
    table(audio, "file_name,label\ndata/a.wav,rock\ndata/b.wav,pop\ndata/c.wav,pop\n", "metadata.csv")
    collected = collect(audio, Layout())
    assert [file.label for file in collected.files] == ["rock", "pop", "pop"]
    assert collected.notes == []


def test_a_column_of_a_partition(tmp_path: Path) -> None:
    audio = touch(tmp_path / "audio", "a.mp3", "b.mp3", "c.mp3", "d.mp3", "e.mp3")
    content = "file,label,Split\na.mp3,x,Training\nb.mp3,y,TRAIN\nc.mp3,x,val\nd.mp3,y,Eval\ne.mp3,y,\n"
    labelled = label_files(audio, table(tmp_path, content))
    assert labelled.splits == {"a.mp3": "train", "b.mp3": "train", "c.mp3": "valid", "d.mp3": "test"}
    content = "file,label,part\na.mp3,x,1\nb.mp3,y,2\nc.mp3,x,2.0\nd.mp3,y,01\n"
    labelled = label_files(audio, table(tmp_path, content), split_column="part")
    assert labelled.splits == {"a.mp3": "1", "b.mp3": "2", "c.mp3": "2", "d.mp3": "1"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.mp3,x,learn\nb.mp3,y,test\n", r"line 2: 'learn' is not a side of a partition; write train\|"),
        ("a.mp3,x,train\na.mp3,x,test\n", "line 3: 'a.mp3' is in 'test', but 'train' above"),
        ("a.mp3,x,1\nb.mp3,y,valid\n", "numbered folds and valid"),
        ("a.mp3,x,test\nb.mp3,y,test\n", "no track is in train"),
    ],
)
def test_a_partition_that_cannot_be_used(tmp_path: Path, rows: str, message: str) -> None:
    audio = touch(tmp_path / "audio", "a.mp3", "b.mp3")
    with pytest.raises(SettingsError, match=message):
        label_files(audio, table(tmp_path, f"file,label,split\n{rows}"))


def test_fma_comes_with_a_partition(tmp_path: Path) -> None:
    audio = touch(tmp_path / "fma", *(f"{n // 1000:03d}/{n:06d}.mp3" for n in (2, 3, 1001)))
    labelled = label_files(audio, table(tmp_path, FMA, "tracks.csv"))
    assert labelled.splits == {"000/000002.mp3": "train", "000/000003.mp3": "train", "001/001001.mp3": "test"}


def test_an_audiofolder_with_train_and_test(tmp_path: Path) -> None:
    audio = touch(tmp_path / "plain", "data/train/x/1.wav", "data/train/y/2.wav", "data/test/x/1.wav")
    collected = collect(audio, Layout())
    assert [(file.track_id, file.label) for file in collected.files] == [
        ("test/x/1.wav", "x"),
        ("train/x/1.wav", "x"),
        ("train/y/2.wav", "y"),
    ]
    assert collected.splits == {"test/x/1.wav": "test", "train/x/1.wav": "train", "train/y/2.wav": "train"}
    audio = touch(tmp_path / "described", "train/1.wav", "train/2.wav", "test/1.wav")
    table(audio / "train", "file_name,label\n1.wav,x\n2.wav,y\n", "metadata.csv")
    table(audio / "test", "file_name,label\n1.wav,y\n", "metadata.csv")
    collected = collect(audio, Layout())
    assert [file.label for file in collected.files] == ["y", "x", "y"]
    assert collected.splits == {"test/1.wav": "test", "train/1.wav": "train", "train/2.wav": "train"}
    assert collected.notes == []
    # Genres are genres even if one of them is named like a side.
    audio = touch(tmp_path / "genres", "test/1.wav", "rock/2.wav")
    assert collect(audio, Layout()).splits is None
    audio = touch(tmp_path / "unlabelled", "train/1.wav", "test/2.wav")
    with pytest.raises(SettingsError, match="its files have no labels; give a table with --labels"):
        collect(audio, Layout())


def test_regions_of_a_file_are_tracks_of_one_group(tmp_path: Path) -> None:
    audio = touch(tmp_path / "audio", "show.mp3", "other.mp3", "whole.mp3")
    content = (
        "file;label;start;end;artist\nshow.mp3;rock;0;12,5;\nshow.mp3;jazz;12.5;;\n"
        "other.mp3;rock;1;2;x\nother.mp3;jazz;2;3;y\nwhole.mp3;jazz;;;\n"
    )
    path = table(tmp_path, content)
    collected = collect(audio, Layout(labels=path))
    assert [(file.track_id, file.label) for file in collected.files] == [
        ("other.mp3#t=1,2", "rock"),
        ("other.mp3#t=2,3", "jazz"),
        ("show.mp3#t=0,12.5", "rock"),
        ("show.mp3#t=12.5", "jazz"),
        ("whole.mp3", "jazz"),
    ]
    assert collected.groups == {
        "other.mp3#t=1,2": "x",
        "other.mp3#t=2,3": "y",
        "show.mp3#t=0,12.5": "show.mp3",
        "show.mp3#t=12.5": "show.mp3",
    }
    groups = tmp_path / "groups.csv"
    groups.write_text("file,group\nshow.mp3,host\n")
    by_file = collect(audio, Layout(labels=path, groups=str(groups))).groups
    assert by_file is not None
    assert (by_file["show.mp3#t=12.5"], by_file["other.mp3#t=1,2"]) == ("host", "other.mp3")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.mp3,x,5,2", "line 2: a region from 5 s to 2 s; end must be above start"),
        ("a.mp3,x,-1,2", "line 2: a region from -1 s to 2 s"),
        ("a.mp3,x,soon,", "line 2: 'soon' is not a time in seconds"),
        ("a.mp3,x,1,2\na.mp3,y,1.0,2.0", "line 3: 'a.mp3' has the label 'y', but 'x' above"),
    ],
)
def test_a_region_that_is_none(tmp_path: Path, row: str, message: str) -> None:
    audio = touch(tmp_path / "audio", "a.mp3", "b.mp3")
    with pytest.raises(SettingsError, match=message):
        label_files(audio, table(tmp_path, f"file,label,start,end\n{row}\n"))
