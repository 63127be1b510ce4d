"""Accessibility checks of an open page with axe-core, which is stored in ``tests/assets``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).parent.parent / "assets" / "axe.min.js"
SCREENS = tuple((width, scheme) for width in (1400, 400) for scheme in ("light", "dark"))
_SETTLE_MS = 300


def violations(page: Any, screens: Sequence[tuple[int, str]] = SCREENS) -> list[str]:
    """Return the serious and critical violations on a page, on screens of some widths and colour schemes."""
    # Evaluated, not added as an element, which the page's policy would refuse.
    page.evaluate(_SCRIPT.read_text("utf-8"))
    problems = []
    for width, scheme in screens:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(_SETTLE_MS)
        answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        problems += [
            f"{width} {scheme}: {violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
            for violation in answer["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
        if page.evaluate("document.documentElement.scrollWidth") > width:
            problems.append(f"{width}: the page is wider than the screen")
    return problems
