"""What makes our own commands start fast changes nothing that anybody else could notice."""

import gc
import subprocess
import sys
from pathlib import Path

from irkit import light
from irkit.errors import CollectError


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
    light.load("irkit.no_such_module", "json.tool")
    assert "json.tool" in sys.modules


def test_what_follows_a_collection_is_all_there_by_its_end() -> None:
    code = (
        "import sys; from irkit import light; light.load('no.such', *light.FOR_FINDINGS);"
        "print('irkit.symptoms.oom_kills' in sys.modules, 'irkit.actions.restart' in sys.modules)"
    )
    assert in_a_process(code) == ["True", "True"]


IN_THREADS = """
import sys, threading
class Watching:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            with open("imported", "a") as file: print(name, file=file)
sys.meta_path.insert(0, Watching())
"""


def test_nothing_is_imported_in_a_thread_beside_other_imports(tmp_path: Path) -> None:
    """Two threads that import what belongs together see it half made: on a busy machine a command died of it."""

    def run(code: str, *arguments: str) -> int:
        command = [sys.executable, "-c", IN_THREADS + code, *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=False, capture_output=True, stdin=subprocess.DEVNULL
        ).returncode

    command_line, host = "from irkit import cli; cli.main()", "from irkit.collect import host; host.main()"
    (tmp_path / "irkit.toml").write_text(f'[docker]\nhost = "unix://{tmp_path}/no-docker.sock"\n')
    assert run(command_line, "drill", "api-unresponsive", "--id", "42") == 0
    assert run(command_line, "collect", "42") == CollectError.exit_code
    assert run(command_line, "postmortem", "42") == 0
    assert run(host) == 0
    assert not (tmp_path / "imported").exists()


def test_a_command_loads_no_library_that_only_another_needs() -> None:
    said = in_a_process("import sys, irkit.cli.commands; print(*sorted(sys.modules))")
    assert {"sqlalchemy", "pandas", "papermill", "nbformat", "markdown_it", "docker", "redis"}.isdisjoint(said)


def test_who_keeps_no_incidents_holds_no_store_in_memory() -> None:
    code = "import sys, irkit.doctor, irkit.recorder.run, irkit.workspace; print(*sorted(sys.modules))"
    said = in_a_process(code)
    assert {"irkit.recorder.run", "irkit.workspace"} <= set(said)
    assert {"sqlalchemy", "irkit.store"}.isdisjoint(said)


def test_what_can_be_done_is_listed_without_what_speaks_with_redis_or_docker() -> None:
    said = in_a_process("import sys; from irkit.act import engine; engine.known(); print(*sorted(sys.modules))")
    assert "irkit.actions.flush_cache" in said
    assert {"redis", "docker", "requests", "yaml"}.isdisjoint(said)


def test_papermill_is_loaded_without_tables_which_whoever_needs_them_still_gets() -> None:
    code = (
        "import sys; from irkit import light; light.spare_the_grammar(); light.spare_the_tables();"
        "from irkit import notebooks, publish; publish.IrkitExporter;"
        "print('papermill' in sys.modules, 'pyarrow' in sys.modules, 'numpy' in sys.modules);"
        "import pyarrow.parquet; print(pyarrow.__name__)"
    )
    assert in_a_process(code) == ["True", "False", "False", "pyarrow"]
