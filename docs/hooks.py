"""Pages of the site that are written elsewhere in the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page of the site by the file that it is made from."""
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, with their links into ``docs/`` and to each other made relative to the site."""
    from mkdocs.structure.files import File

    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_LINK.sub(_site_link, text)))
    return files


def _site_link(link: re.Match[str]) -> str:
    target = link[1].removeprefix("../").removeprefix("docs/")
    for page, source in PAGES.items():
        target = target.replace(source, page)
    return f"]({target})"
