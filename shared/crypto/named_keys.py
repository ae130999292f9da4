"""A file of private keys by their names, of which one is in use and the others are kept for as long as something needs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from shared.crypto.key_provider import KeyNotChangeable, RereadFile, replace_private_file

_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class NamedKeys(Generic[_Key]):
    """`current`: the name of the key in use. `keys`: all of them, the oldest first."""

    current: str
    keys: Mapping[str, _Key]


class NamedKeyFile(Generic[_Key]):
    """What such a file holds; only its owner may read it. Each change replaces it whole, and running processes read it again."""

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], NamedKeys[_Key]],
        written: Callable[[NamedKeys[_Key]], bytes],
        *,
        use: str,
    ) -> None:
        """`read` raises KeyFileUnusable. `use` completes "… is the key that … at present"."""
        self._file = RereadFile(path, read)
        self._written = written
        self._use = use

    @property
    def current(self) -> _Key:
        """The key in use."""
        content = self._file.content
        return content.keys[content.current]

    def key(self, name: str) -> _Key:
        """Raises KeyNotChangeable if there is none of that name."""
        keys = self._file.content.keys
        if name not in keys:
            raise KeyNotChangeable(f"{self._file.path} has no key {name}, only {', '.join(keys)}.")
        return keys[name]

    def use(self, name: str) -> None:
        """Use this key from now on. Raises KeyFileUnusable, KeyNotChangeable."""
        self.key(name)
        self._replace(replace(self._file.content, current=name))

    def remove(self, name: str) -> None:
        """Forget a key that is not in use. Raises KeyFileUnusable, KeyNotChangeable."""
        self.key(name)
        content = self._file.content
        if name == content.current:
            raise KeyNotChangeable(f"{name} is the key that {self._use} at present. Rotate first.")
        rest = {known: key for known, key in content.keys.items() if known != name}
        self._replace(NamedKeys(content.current, rest))

    def _add(self, name: str, key: _Key, *, use: bool) -> None:
        content = self._file.content
        self._replace(NamedKeys(name if use else content.current, {**content.keys, name: key}))

    def _replace(self, content: NamedKeys[_Key]) -> None:
        replace_private_file(self._file.path, self._written(content))
