"""Puts the scripts of a page together, so that a browser asks for two files instead of fifty: what all pages share, and the page.

Each script stays a module with a scope of its own: a function that is run once and returns what the script exports. What names
other scripts by their place (`import(…)`, `import.meta.url`) is changed to their place as seen from the file that they lie in now.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from posixpath import dirname, join, normpath, relpath
from typing import Final, NamedTuple

# What app.js imports, in one file.
COMMON: Final = "common.js"

_FROM: Final = re.compile(r'^(?:import|export) [^;]*?from "(\.[^"]+)";|^import "(\.[^"]+)";', re.MULTILINE)
# A word of its own, looked at behind it: patterns that begin with plain letters are found several times as fast.
_LATER: Final = re.compile(r'import(?<=\bimport)\("(\.[^"]+)"\)')
_IMPORT: Final = re.compile(r'^import (?:\{([^}]*)\}|\* as (\w+)) from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_IMPORT_LATER: Final = re.compile(r'import(?<=\bimport)\((["`])(\.[^"`]+)(["`])\)')
_RENAMED: Final = re.compile(r"(\w+) as (\w+)")
_LEFT: Final = re.compile(r"^(?:import|export) .*", re.MULTILINE)


class Imports(NamedTuple):
    """The paths of the scripts that a script imports as it loads, and while it runs."""

    at_once: tuple[str, ...]
    later: tuple[str, ...]


class _Module(NamedTuple):
    """A script as it stands in a function of its own, wherever that lies, and what it exports."""

    body: str
    exported: Sequence[str]


class NotBundled(ValueError):
    """A script imports or exports in a way that is not understood here; the text names it."""


def imports_of(scripts: Mapping[str, str]) -> dict[str, Imports]:
    """What each script imports, by its path."""

    def paths(importer: str, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(_place(importer, name) for name in names)

    return {
        path: Imports(
            paths(path, (first or second for first, second in _FROM.findall(script))),
            paths(path, _LATER.findall(script)),
        )
        for path, script in scripts.items()
    }


def reached(imports: Mapping[str, Imports], start: str, *, later: bool = False) -> list[str]:
    """A script and all that it imports, in the order in which they are met; with `later`, also what it imports while it runs."""
    found: dict[str, None] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        found[path] = None
        waiting += imports[path].at_once
        if later:
            waiting += imports[path].later
    return list(found)


def bundled(scripts: Mapping[str, str], app: str, others: Iterable[str]) -> dict[str, str]:
    """The files to serve: `app`, COMMON, and below its own path each of the others, and what is imported later, with all that it needs beyond COMMON.

    Raises NotBundled for a script with another form of import or export than the others have, or for a circle of imports.
    """
    imports = imports_of(scripts)
    modules = {path: _module(path, script) for path, script in scripts.items()}
    common = [path for path in _in_order(imports, app) if path != app]
    files = {
        COMMON: _bundle(COMMON, {path: modules[path] for path in common}, "export const modules = {};\n")
    }
    files[app] = f'import {{ modules }} from "./{COMMON}";\n{_body(app, modules[app], app)}'
    later = {each for path in scripts for each in imports[path].later}
    for path in sorted({*others, *later}):
        own = [each for each in _in_order(imports, path) if each not in common]
        start = f'import {{ modules }} from "{_relative(path, COMMON)}";\n'
        end = f'export const {{ {", ".join(modules[path].exported)} }} = modules["{path}"];\n'
        files[path] = _bundle(path, {each: modules[each] for each in own}, start) + end
    return files


def _in_order(imports: Mapping[str, Imports], start: str) -> list[str]:
    """What is reached from a script, each after all that it imports itself, the script last."""
    done: dict[str, None] = {}

    def visit(path: str, above: tuple[str, ...]) -> None:
        if path in above:
            raise NotBundled(f"a circle of imports: {' → '.join((*above, path))}")
        if path not in done:
            for each in imports[path].at_once:
                visit(each, (*above, path))
            done[path] = None

    visit(start, ())
    return list(done)


def _bundle(file: str, modules: Mapping[str, _Module], start: str) -> str:
    parts = [start]
    for path, module in modules.items():
        exported = ", ".join(module.exported)
        # Two pages may share a script that is not in COMMON: it runs once.
        parts.append(
            f'modules["{path}"] ??= (() => {{\n{_body(path, module, file)}return {{ {exported} }};\n}})();\n'
        )
    return "".join(parts)


def _module(path: str, script: str) -> _Module:
    def bound(found: re.Match[str]) -> str:
        names, whole, name = found.groups()
        bindings = whole or "{" + _RENAMED.sub(r"\1: \2", names) + "}"
        return f'const {bindings} = modules["{_place(path, name)}"];\n'

    body = _EXPORT.sub("", _IMPORT.sub(bound, script))
    if left := _LEFT.search(body):
        raise NotBundled(f"{path}: {left[0]}")
    return _Module(body, _EXPORT.findall(script))


def _body(path: str, module: _Module, file: str) -> str:
    """What a script does, as it stands in `file`."""

    def later(found: re.Match[str]) -> str:
        return f"import({found[1]}{_relative(file, _place(path, found[2]))}{found[3]})"

    body = _IMPORT_LATER.sub(later, module.body)
    if "import.meta.url" not in body:
        return body
    return body.replace("import.meta.url", f'new URL("{_relative(file, path)}", import.meta.url).href')


def _place(importer: str, name: str) -> str:
    """The path of what a script names."""
    return normpath(join(dirname(importer), name))


def _relative(file: str, path: str) -> str:
    """How `file` names `path`."""
    relative = relpath(path, dirname(file) or ".")
    return relative if relative.startswith(".") else f"./{relative}"
