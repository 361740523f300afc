"""What makes our own commands start fast changes nothing that anybody else could notice."""

import gc
import subprocess
import sys

from irkit import light


def in_a_process(code: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_the_grammar_stays_unread_and_nothing_else_changes() -> None:
    code = (
        "import sys; from irkit import light; light.spare_the_grammar(); import nbformat, jsonschema;"
        "print('rfc3987_syntax' in sys.modules, 'lark' in sys.modules);"
        "nbformat.validate(nbformat.v4.new_notebook());"
        "import rfc3987_syntax; print(rfc3987_syntax.__name__)"
    )
    assert in_a_process(code) == ["False", "False", "rfc3987_syntax"]


def test_who_has_jsonschema_already_keeps_it() -> None:
    code = (
        "from jsonschema import Draft202012Validator as V; from irkit import light; light.spare_the_grammar();"
        "print('iri' in V.FORMAT_CHECKER.checkers)"
    )
    assert in_a_process(code) == ["True"]


def test_garbage_is_collected_again_afterwards() -> None:
    with light.uncollected():
        assert not gc.isenabled()
    gc.unfreeze()
    assert gc.isenabled()


def test_a_module_that_cannot_be_loaded_ahead_is_left_to_its_importer() -> None:
    with light.loading("irkit.no_such_module"), light.loading("json.tool"):
        pass
    assert "json.tool" in sys.modules


def test_what_follows_a_collection_is_all_there_by_its_end() -> None:
    code = (
        "import sys; from irkit import light\nwith light.loading('no.such', *light.FOR_FINDINGS): pass\n"
        "print('irkit.symptoms.oom_kills' in sys.modules, 'irkit.actions.restart' in sys.modules)"
    )
    assert in_a_process(code) == ["True", "True"]


def test_a_command_loads_no_library_that_only_another_needs() -> None:
    said = in_a_process("import sys, irkit.cli; print(*sorted(sys.modules))")
    assert {"sqlalchemy", "pandas", "papermill", "nbformat", "markdown_it", "docker", "redis"}.isdisjoint(said)


def test_who_keeps_no_incidents_holds_no_store_in_memory() -> None:
    said = in_a_process("import sys; from irkit import doctor, recorder, workspace; print(*sorted(sys.modules))")
    assert {"irkit.recorder", "irkit.workspace"} <= set(said)
    assert {"sqlalchemy", "irkit.store"}.isdisjoint(said)


def test_papermill_is_loaded_without_tables_which_whoever_needs_them_still_gets() -> None:
    code = (
        "import sys; from irkit import light; light.spare_the_grammar(); light.spare_the_tables();"
        "from irkit import notebooks, publish; publish.IrkitExporter;"
        "print('papermill' in sys.modules, 'pyarrow' in sys.modules, 'numpy' in sys.modules);"
        "import pyarrow.parquet; print(pyarrow.__name__)"
    )
    assert in_a_process(code) == ["True", "False", "False", "pyarrow"]
