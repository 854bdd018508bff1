"""Which connections and variables the DAGs use, against what pods ask for and what rules grant.

    python -m leoflow_runtime scan dags/ [--pods pods/] [--rules rules.yaml]

It reads Python files and imports none. An id that stands there as text is known; one that is made
when the program runs cannot be, and is listed as such. Pods are files with volumeAttributes, such as
pod templates and values of a chart, and volume(...) in the DAGs themselves.
"""

from __future__ import annotations

import ast
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

Name = tuple[str, str]

# Calls that look an entry up, by the end of what is called.
_CALLS = {
    "get_connection": "connection", "aget_connection": "connection", "Connection.get": "connection", "Connection.async_get": "connection",
    "get_hook": "connection", "gcs_client": "connection", "google_credentials": "connection", "s3_client": "connection",
    "blob_client": "connection", "Variable.get": "variable", "get_variable": "variable",
}  # fmt: skip

_TEMPLATES = (
    ("connection", re.compile(r"\{[\{%][^}]*?\bconn\.([\w-]+)")),
    ("connection", re.compile(r"\{[\{%][^}]*?\bconn\.get\(\s*['\"]([^'\"]+)['\"]")),
    ("variable", re.compile(r"\{[\{%][^}]*?\bvar\.(?:value|json)\.(?!get\()([\w-]+)")),
    ("variable", re.compile(r"\{[\{%][^}]*?\bvar\.(?:value|json)\.get\(\s*['\"]([^'\"]+)['\"]")),
)


class Use:
    """A place in a file that uses an entry; without a name where that is made when the program runs."""

    def __init__(self, kind: str, name: str | None, path: str, line: int) -> None:
        self.kind = kind
        self.name = name
        self.where = f"{path}:{line}"


class Found:
    """What is used, and what the DAGs themselves ask for by volume(...)."""

    def __init__(self) -> None:
        self.uses: list[Use] = []
        self.asked: set[Name] = set()
        self.unread: list[str] = []


def read_dags(paths: Iterable[str]) -> Found:
    """Reads all Python files below the paths."""
    found = Found()
    for path in sorted(_files(paths, (".py",))):
        try:
            with open(path, "rb") as file:
                tree = ast.parse(file.read(), path)
        except (SyntaxError, ValueError) as error:
            found.unread.append(f"{path}: {error}")
            continue
        for node in ast.walk(tree):
            _look_at(node, path, found)
    return found


def _look_at(node: ast.AST, path: str, found: Found) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        for kind, pattern in _TEMPLATES:
            found.uses.extend(Use(kind, name, path, node.lineno) for name in pattern.findall(node.value))
    if not isinstance(node, ast.Call):
        return
    called = ast.unparse(node.func)
    if called == "volume" or called.endswith(".volume"):
        for kind, value in zip(("connection", "variable"), (*node.args[:2], *(None,) * 2)):
            asked = value or next((each.value for each in node.keywords if each.arg == f"{kind}s"), None)
            found.asked.update(_ids(kind, _text(asked) or ""))
        return
    for end, kind in _CALLS.items():
        if called == end or called.endswith("." + end):
            argument = node.args[0] if node.args else next((each.value for each in node.keywords if each.arg in ("conn_id", "key")), None)
            if argument is not None:
                found.uses.append(Use(kind, _text(argument), path, node.lineno))
            return
    for each in node.keywords:
        is_id = each.arg is not None and (each.arg == "conn_id" or each.arg.endswith("_conn_id"))
        if is_id and not (isinstance(each.value, ast.Constant) and each.value.value is None):
            found.uses.append(Use("connection", _text(each.value), path, node.lineno))


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _ids(kind: str, written: str) -> Iterator[Name]:
    """The ids of an attribute, without a "?" or a source."""
    for each in written.split(","):
        name = each.strip().rstrip("?").partition("@")[0]
        if name:
            yield kind, name


# On a line of its own or in braces, where the next key ends a text without quotes.
_ATTRIBUTE = re.compile(
    r"""(?:^|[{,])[\s\-"']*(connections|variables)["']?\s*:\s*(?:"([^"]*)"|'([^']*)'|((?:(?!,\s*["']?\w+["']?\s*:)[^#\n{}\[\]])*))""", re.MULTILINE
)


def read_pods(paths: Iterable[str]) -> set[Name]:
    """What files of pods ask for: the lines "connections:" and "variables:" of their volumeAttributes."""
    asked: set[Name] = set()
    for path in _files(paths, (".yaml", ".yml", ".json")):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for block in re.split(r"volumeAttributes[\"']?\s*:", text)[1:]:
            for kind, double, single, plain in _ATTRIBUTE.findall("\n".join(block.splitlines()[:12])):
                asked.update(_ids(kind[:-1], double or single or plain))
    return asked


def read_rules(path: str) -> list[dict[str, Any]]:
    """The rules of core's file. YAML needs PyYAML, which comes with Airflow; JSON needs nothing."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".json"):
        import json

        content = json.loads(text)
    else:
        from .upstream import take

        try:
            load = take("yaml", "safe_load")
        except ImportError:
            raise SystemExit(f"scan: {path} is YAML, and PyYAML is not installed: pip install pyyaml, or write it as JSON") from None
        content = load(text)
    try:
        rules: list[dict[str, Any]] = content["rules"] or []
    except (TypeError, KeyError):
        raise SystemExit(f'scan: {path} has no list "rules"') from None
    return rules


def is_granted(name: Name, rules: list[dict[str, Any]]) -> bool:
    """Tells whether any rule grants the entry to anyone."""
    from fnmatch import fnmatchcase

    kind, written = name
    return any(fnmatchcase(written, pattern) for rule in rules for pattern in rule.get(f"{kind}s") or ())


def _files(paths: Iterable[str], ends: tuple[str, ...]) -> Iterator[str]:
    for path in paths:
        if os.path.isfile(path):
            yield path
        elif not os.path.isdir(path):
            raise SystemExit(f"scan: there is no {path}")
        for directory, _, names in os.walk(path):
            yield from (os.path.join(directory, name) for name in names if name.endswith(ends))


def report(found: Found, asked: set[Name] | None, rules: list[dict[str, Any]] | None) -> tuple[list[str], int]:
    """Lines for a person, and how many of them are faults."""
    lines: list[str] = []
    faults = 0
    places: dict[Name, list[str]] = {}
    for use in found.uses:
        if use.name is not None:
            places.setdefault((use.kind, use.name), []).append(use.where)
    for name in sorted(places):
        wrong: list[str] = []
        if asked is not None and name not in asked and (name[0], "*") not in asked:
            wrong.append("no pod asks for it")
        if rules is not None and not is_granted(name, rules):
            wrong.append("no rule grants it")
        faults += len(wrong)
        lines.append(f"{name[0]} {name[1]}: {', '.join(sorted(set(places[name])))}" + "".join(f"; {each}" for each in wrong))
    for use in found.uses:
        if use.name is None:
            lines.append(f"{use.kind} ?: {use.where}; its id is made when the program runs")
    if asked is not None:
        lines.extend(f"{kind} {name}: a pod asks for it, and no DAG uses it" for kind, name in sorted(asked - places.keys()) if name != "*")
    for each in found.unread:
        faults += 1
        lines.append(f"unread: {each}")
    return lines, faults


def main(arguments: list[str]) -> int:
    """The command line."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m leoflow_runtime scan", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("dags", nargs="+", help="files or directories of DAGs")
    parser.add_argument("--pods", nargs="+", help="files or directories of pods, templates and values")
    parser.add_argument("--rules", help="core's file of rules")
    options = parser.parse_args(arguments)
    found = read_dags(options.dags)
    asked = found.asked | read_pods(options.pods or ()) if options.pods or found.asked else None
    lines, faults = report(found, asked, read_rules(options.rules) if options.rules else None)
    sys.stdout.write("".join(line + "\n" for line in lines))
    return 1 if faults else 0
