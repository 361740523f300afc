"""The nbconvert exporter `irkit`: an executed notebook in, one safe page out."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter
from traitlets import default
from traitlets.config import Config

import irkit.report.styling
from irkit.compiled_templates import CompiledTemplates
from irkit.errors import InputError, NotFoundError
from irkit.publish import safe
from irkit.publish.scrub import scrubbed, secrets_of
from irkit.text.visible import cut, visible
from irkit.whole_file import write_whole

_HERE = Path(__file__).parent
_TEMPLATES = _HERE.parents[1] / "templates"
_MAX_PROBLEMS = 5
# the cells that explain the work to whoever runs the notebook, and papermill's own notes
HIDDEN_TAGS = ("working", "remove-cell", "papermill-error-cell-tag")


@dataclass(frozen=True, slots=True)
class Page:
    """The body of a page, the sections it holds as (anchor, heading), and whether it brings its own title."""

    html: Markup
    contents: tuple[tuple[str, str], ...]
    titled: bool


class IrkitExporter(TemplateExporter):
    """`jupyter nbconvert --to irkit`: outputs only, sanitised, in one file without scripts or requests."""

    export_from_notebook = "Incident report (irkit)"
    output_mimetype = "text/html"

    @default("file_extension")
    def _file_extension(self) -> str:
        return ".html"

    @default("template_name")
    def _template_name(self) -> str:
        return "irkit"

    @default("extra_template_basedirs")
    def _extra_template_basedirs(self) -> list[str]:
        """Look in the repository beside the package: an editable install has no shared data."""
        return [str(_TEMPLATES)] if (_TEMPLATES / "irkit").is_dir() else []

    @property
    def default_config(self) -> Config:
        config = Config({"TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": set(HIDDEN_TAGS)}})
        merged: Config = super().default_config.copy()
        merged.merge(config)
        return merged

    def default_filters(self) -> Iterator[tuple[str, object]]:
        yield from super().default_filters()  # type: ignore[no-untyped-call]
        yield from (("irkit_output", safe.output), ("irkit_markdown", safe.markdown), ("irkit_page", page_of))

    def _create_environment(self) -> Any:  # noqa: ANN401 (a Jinja environment, from a library without types)
        environment = super()._create_environment()  # type: ignore[no-untyped-call]
        environment.autoescape = True
        environment.bytecode_cache = CompiledTemplates(_HERE, f"{version('jinja2')} {version('nbconvert')}")
        return environment

    def from_notebook_node(  # type: ignore[override]
        self,
        nb: nbformat.NotebookNode,
        resources: dict[str, Any] | None = None,
        **kw: Any,  # noqa: ANN401 (nbconvert's own signature)
    ) -> tuple[str, dict[str, Any]]:
        """Return the page and nbconvert's resources; a notebook that did not run to its end is stamped INCOMPLETE."""
        style = stylesheet()
        secrets = secrets_of(nb)
        if secrets.names:
            nb = nbformat.from_dict(scrubbed(nb, secrets))
        problems = problems_of(nb)
        title = title_of(nb)
        resources = dict(resources or {})
        resources["irkit"] = {
            "title": f"INCOMPLETE: {title}" if problems else title,
            "style": Markup(style),  # noqa: S704 (our own file)
            "policy": policy(style),
            "problems": problems,
            "secrets": tuple(visible(cut(name, 60)) for name in secrets.names),
        }
        return super().from_notebook_node(nb, resources, **kw)


def to_html(executed_notebook: Path, html: Path) -> Path:
    """Write the page of an executed notebook to `html`, whole or not at all, and return its path.

    Raises:
        NotFoundError: there is no such notebook.
        InputError: the file is not a notebook, or the page cannot be written there.
    """
    try:
        notebook = nbformat.read(executed_notebook, as_version=4)
    except FileNotFoundError:
        raise NotFoundError(f"there is no notebook {executed_notebook}", hint="run it with papermill first") from None
    except (OSError, ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        msg = f"{executed_notebook} cannot be read as a notebook: {cut(first, 160)}"
        raise InputError(msg, hint="give the notebook that papermill wrote") from None
    page, _ = IrkitExporter().from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    try:
        write_whole(html, page.encode("utf-8"))
    except OSError as error:
        msg = f"the page {html} cannot be written: {error.strerror or error}"
        raise InputError(msg, hint="choose another place") from None
    return html


def stylesheet() -> str:
    """Return the whole style of a page: its frame's and its sections'."""
    frame = re.sub(r"\s*\n\s*", "", (_HERE / "page.css").read_text(encoding="utf-8"))
    return frame + irkit.report.styling.stylesheet()


def policy(style: str, script: str = "") -> str:
    """Return the Content-Security-Policy: no request, no other style than this one, and no script but the one given."""
    allowed = f"default-src 'none'; img-src data:; style-src {_digest(style)}; base-uri 'none'; form-action 'none'"
    return f"{allowed}; script-src {_digest(script)}" if script else allowed


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def problems_of(nb: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why a notebook's outputs are not the whole story, from the cells themselves.

    What papermill noted is not enough: where the kernel is killed, it leaves cells marked as completed.
    """
    cells = [cell for cell in nb["cells"] if cell.get("cell_type") == "code" and str(cell.get("source", "")).strip()]
    found, unrun = [], []
    for number, cell in enumerate(cells, 1):
        errors = [item for item in cell.get("outputs", ()) if item.get("output_type") == "error"]
        found += [f"Code cell {number} failed: {safe.failure(item)}" for item in errors]
        noted = cell.get("metadata", {}).get("papermill", {})
        times = cell.get("metadata", {}).get("execution", {})
        unanswered = "iopub.execute_input" in times and "shell.execute_reply" not in times
        if cell.get("execution_count") is None:
            unrun.append(number)
        elif not errors and (unanswered or noted.get("exception") or noted.get("status") in ("failed", "running")):
            found.append(f"Code cell {number} did not come to its end.")
    if unrun:
        which = "No code cell" if len(unrun) == len(cells) else f"{len(unrun)} of {len(cells)} code cells"
        found.append(f"{which} was run." if which.startswith("No") else f"{which} were not run.")
    run = nb.get("metadata", {}).get("papermill", {})
    if run.get("start_time") and not run.get("end_time"):
        found.append("The run was broken off before the notebook’s end.")
    elif run.get("exception") and not found:
        found.append("The run failed, and no cell says why.")
    return tuple(found[:_MAX_PROBLEMS])


def title_of(nb: Mapping[str, Any]) -> str:
    """Return the page's title: the first h1 of an output, else of a text cell."""
    for cell in nb["cells"]:
        for item in cell.get("outputs", ()):
            html = item.get("data", {}).get("text/html", "") if isinstance(item.get("data"), Mapping) else ""
            reader = _Headings()
            reader.feed("".join(html) if isinstance(html, list) else html)
            if reader.titles:
                return visible(cut(" ".join(reader.titles[0].split()), 120))
    for cell in nb["cells"]:
        first = str(cell.get("source", "")).lstrip().partition("\n")[0]
        if cell.get("cell_type") == "markdown" and first.startswith("# "):
            return visible(cut(first[2:].strip(), 120))
    return "Incident report"


def page_of(body: object) -> Page:
    """Return a page's body with its contents, read from the sections that name themselves."""
    html = Markup(body)  # noqa: S704 (every output in it has passed the allow-list)
    reader = _Headings()
    reader.feed(html)
    return Page(html, tuple(reader.sections), bool(reader.titles))


class _Headings(HTMLParser):
    """Collects the text of every h1, and of every h2 whose id is that of a section."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.titles: list[str] = []
        self.sections: list[tuple[str, str]] = []
        self._inside = ""
        self._in_header = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_header += tag == "header"
        if tag == "h1":
            self._inside = tag
            self.titles.append("")
        elif tag == "h2" and not self._in_header:
            anchor, _, suffix = (dict(attrs).get("id") or "").rpartition("-")
            if anchor and suffix == "heading":
                self._inside = tag
                self.sections.append((anchor, ""))

    def handle_endtag(self, tag: str) -> None:
        self._in_header -= tag == "header"
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h1":
            self.titles[-1] += data
        elif self._inside == "h2":
            anchor, heading = self.sections[-1]
            self.sections[-1] = (anchor, heading + data)
