"""Secrets handed to a notebook as parameters: in no form on its page, which names them and says how to do better."""

import base64
import json
from html import escape

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from irkit.publish import IrkitExporter
from irkit.publish.scrub import STAND_IN, secrets_of

TOKEN = "s3cr<t&\"'value"  # noqa: S105 (the secret of this test)


def notebook(given: dict[str, object], *outputs: object, source: str = "x = 1") -> object:
    cell = new_code_cell(source, execution_count=1, outputs=list(outputs), metadata={"tags": ["parameters"]})
    return new_notebook(cells=[new_markdown_cell(f"# {TOKEN}"), cell], metadata={"papermill": {"parameters": given}})


def page(nb: object) -> str:
    return str(IrkitExporter().from_notebook_node(nb)[0])  # type: ignore[no-untyped-call]


def test_a_secret_is_on_no_channel_of_the_page() -> None:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg"><text>{escape(TOKEN)}</text></svg>'
    inside = base64.b64encode(svg.encode()).decode()
    html = f'<p title="{escape(TOKEN)}">{escape(TOKEN)}</p><img src="data:image/svg+xml;base64,{inside}" alt="x">'
    outputs = (
        new_output("display_data", {"text/html": html}),
        new_output("display_data", {"text/plain": f"{ {'token': TOKEN} }"}),
        new_output("display_data", {"image/svg+xml": svg}),
        new_output("display_data", {"text/markdown": f"*{TOKEN}*"}),
        new_output("stream", name="stdout", text=f"json {json.dumps(TOKEN)}\n"),
        new_output("error", ename="E", evalue=TOKEN, traceback=[f"E: {TOKEN}"]),
    )
    made = page(notebook({"api_token": TOKEN, "incident_id": 42}, *outputs))
    images = [base64.b64decode(part.partition('"')[0]).decode() for part in made.split("svg+xml;base64,")[1:]]
    assert len(images) == 2
    assert [image for image in images if STAND_IN in image] == images
    text = "\n".join([made, *images])
    assert "s3cr" not in text
    assert text.count(STAND_IN) >= 8
    assert "api_token: given to the notebook as a parameter" in made


def test_a_secret_across_the_pieces_of_an_output() -> None:
    made = page(notebook({"password": "hunter22"}, new_output("display_data", {"text/plain": ["hunt", "er22"]})))
    assert "hunter22" not in made
    assert STAND_IN in made


def test_a_parameter_typed_into_its_cell_is_found_too() -> None:
    said = new_output("stream", name="stdout", text="hunter22")
    made = page(notebook({}, said, source='db_password: str = "hunter22"  # for the database'))
    assert "hunter22" not in made


@pytest.mark.parametrize(
    ("given", "names", "values"),
    [
        ({"incident_id": 42, "collect": "auto", "bundle": ""}, (), ()),
        ({"api_token": "None", "password": None}, (), ()),
        ({"store": "postgresql://me:hunter22@db/x"}, ("store",), ("hunter22",)),
        ({"webhook": {"auth_token": ["abcdef"]}, "secrets_secret": ["abcdef", 123456]}, None, ("123456", "abcdef")),
        ({"pin_secret": "abc"}, ("pin_secret",), ()),
    ],
)
def test_which_parameters_are_secret(
    given: dict[str, object], names: tuple[str, ...] | None, values: tuple[str, ...]
) -> None:
    found = secrets_of(notebook(given))  # type: ignore[arg-type]
    assert found.values == values
    assert names is None or found.names == names


def test_a_page_without_secrets_says_nothing_of_them() -> None:
    assert "scrubbed" not in page(notebook({"incident_id": 42})).partition("</head>")[2]
