"""Render the page of the server."""

from __future__ import annotations

from data.audio import decode, spectrogram_images
from data.io.pages import page_templates
from results.serving.limits import Limits
from results.serving.model_summary import ModelSummary


def render_page(summary: ModelSummary, limits: Limits, *, reads_images: bool) -> str:
    """Render the page for a model.

    Parameters
    ----------
    summary : ModelSummary
        Description of the model, which the page shows.
    limits : Limits
        What the server accepts, which the page says.
    reads_images : bool
        Whether the model reads spectrogram images instead of audio.

    Returns
    -------
    str
        A self-contained HTML document.
    """
    suffixes = spectrogram_images.SUFFIXES if reads_images else {"audio/*", *decode.SUFFIXES}
    return (
        page_templates("results")
        .get_template("serve.html")
        .render(
            summary=summary,
            limits=limits,
            reads_images=reads_images,
            input_name="spectrogram images" if reads_images else "songs",
            accept=",".join(sorted(suffixes)),
        )
    )
