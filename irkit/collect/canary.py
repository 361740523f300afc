"""Secrets made up for one run and sent through the writer of evidence, to see them replaced before it is trusted."""

from __future__ import annotations

import json
import secrets
import string
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from irkit.collect.contract import Document, Table
from irkit.collect.writer import EvidenceWriter
from irkit.errors import CollectError

if TYPE_CHECKING:
    from irkit.redact import Redactor

_HINT = "nothing was collected; reinstall irkit with its dependencies, and report this if it happens again"
_MAX_SIZE_BYTES = 1 << 20


def check(redactor: Redactor, folder: Path) -> None:
    """Write invented secrets as evidence of both forms into a folder that goes again, and look for them in its files.

    There is one for each way a secret is found: a vendor's token as it is and in escaped JSON, a named value, a URL,
    and the name of a field.

    Raises:
        CollectError: one of them came out as it went in, or the rules could not be loaded at all.
    """
    planted = _planted()
    lines = [text for text, _ in planted]
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".canary-") as name:
            writer = EvidenceWriter(Path(name), redactor, _MAX_SIZE_BYTES, lambda **_: None)
            writer.write(Table("canary_rows", {"line": "string"}, ({"line": line} for line in lines)))
            writer.write(Document("canary_facts", {"lines": lines, "password": planted[-1][1]}))
            written = "".join(path.read_text(encoding="ascii") for path in Path(name).iterdir())
    except OSError as error:
        msg = f"no evidence can be written to {folder.parent}: {error.strerror or error}"
        raise CollectError(msg, hint="free some space there, or set another home in irkit.toml") from None
    except Exception as error:  # whatever keeps the rules from working keeps evidence from being taken
        reason = f"secrets cannot be taken out of evidence: {type(error).__name__}: {error}"
        raise CollectError(reason.strip().splitlines()[0], hint=_HINT) from error
    if missed := [kind for kind, (_, secret) in zip(_KINDS, planted, strict=True) if secret in written]:
        raise CollectError(f"redaction let a made-up secret through ({', '.join(missed)})", hint=_HINT)


_KINDS = ("vendor's token", "vendor's token in escaped JSON", "named value", "URL", "named field")


def _planted() -> list[tuple[str, str]]:
    """Return texts and the secret in each; the token's format is one that our own rules do not know."""
    tokens = [f"dop_v1_{secrets.token_hex(32)}" for _ in range(2)]
    plain = ["".join(secrets.choice(string.ascii_letters) for _ in range(16)) for _ in range(3)]
    escaped = json.dumps(json.dumps({"note": f"first\n{tokens[1]}"}))
    return [
        (f"sent {tokens[0]} along", tokens[0]),
        (escaped, tokens[1]),
        (f"CANARY_PASSWORD={plain[0]}", plain[0]),
        (f"redis://canary:{plain[1]}@cache:6379/0", plain[1]),
        (f"login password: {plain[2]}", plain[2]),
    ]
