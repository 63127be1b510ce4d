"""optuna-dashboard on the study of one run: under the run's name, read-only, without what cannot work so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import copy
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from optuna.storages import JournalStorage

from data.dataset.scores import METRIC_WORDS, sign
from results.evaluation.study import ReadOnlyJournal, journal_path
from results.serving.local_socket import LOOPBACK, OWN_NAMES, host_name
from search.storage.run_folder import STUDY, RunFolder

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from optuna.study._frozen import FrozenStudy

_READ_METHODS = frozenset({"GET", "HEAD"})
_PAGES = "/dashboard"
_SCRIPT = "/static/read-only.js"
_METRIC_NAMES = "study:metric_names"
"""Optuna's attribute with the name of the objective."""


class NamedStorage(JournalStorage):
    """The storage of a run, read-only, whose study has the name of the run and a named objective.

    Parameters
    ----------
    run : RunFolder
        The run.

    Raises
    ------
    RunError
        If the run does not exist or has no journal.
    """

    def __init__(self, run: RunFolder) -> None:
        super().__init__(ReadOnlyJournal(str(journal_path(run))))
        metric = run.info().metric
        self._shown_name = run.name
        self._objective = f"validation {METRIC_WORDS[metric]}"
        if sign(metric) < 0:
            # The study maximises it.
            self._objective = f"negative {self._objective}"

    def get_study_id_from_name(self, study_name: str) -> int:
        """Find a study under the name of the run too."""
        return super().get_study_id_from_name(STUDY if study_name == self._shown_name else study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of the run."""
        super().get_study_name_from_id(study_id)  # raises if there is no such study
        return self._shown_name

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Add the name of the objective."""
        return {**super().get_study_system_attrs(study_id), _METRIC_NAMES: [self._objective]}

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return the study under the name of the run."""
        studies = []
        for study in map(copy, super().get_all_studies()):
            study.study_name = self._shown_name
            study.system_attrs = {**study.system_attrs, _METRIC_NAMES: [self._objective]}
            studies.append(study)
        return studies


def dashboard_app(run: RunFolder) -> WSGIApplication:
    """Make the application that serves the dashboard of a run.

    Raises
    ------
    RunError
        If the run does not exist or has no journal.
    """
    from optuna_dashboard import wsgi  # type: ignore[import-untyped]

    return _read_only(_without_offers(wsgi(NamedStorage(run))))


def _read_only(app: WSGIApplication) -> WSGIApplication:
    """Pass on read requests that address this machine by its own name; refuse all others."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if host_name(environ.get("HTTP_HOST", "")) not in OWN_NAMES:
            reason = f"open {LOOPBACK} or localhost"
        elif environ["REQUEST_METHOD"] not in _READ_METHODS:
            reason = "the study is read-only here; only its search writes to it"
        else:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [json.dumps({"reason": reason}).encode()]

    return respond


def _without_offers(app: WSGIApplication) -> WSGIApplication:
    """Add a script to the pages that hides what cannot work with a study that is read-only."""
    script = (files("results") / "templates" / "dashboard.js").read_bytes()

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == _SCRIPT:
            length = ("Content-Length", str(len(script)))
            start_response("200 OK", [("Content-Type", "text/javascript; charset=utf-8"), length])
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [script]
        if path != _PAGES and not path.startswith(f"{_PAGES}/"):
            return app(environ, start_response)
        # A browser that knows the original page must get this one.
        plain = {name: value for name, value in environ.items() if not name.startswith("HTTP_IF_")}
        started: list[Any] = []

        def start(*head: Any) -> Callable[[bytes], None]:
            started.extend(head)
            return _no_write

        body = app({**plain, "REQUEST_METHOD": "GET"}, start)
        page = b"".join(body).replace(
            b"</head>", f'<script defer src="{_SCRIPT}"></script></head>'.encode(), 1
        )
        status, headers = started[:2]
        kept = [
            pair for pair in headers if pair[0].lower() not in ("content-length", "etag", "last-modified")
        ]
        start_response(status, [*kept, ("Content-Length", str(len(page))), ("Cache-Control", "no-store")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [page]

    return respond


def _no_write(content: bytes) -> None:
    """Refuse the old way of writing a response, which no application uses here."""
    raise NotImplementedError
