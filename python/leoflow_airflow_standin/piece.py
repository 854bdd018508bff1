"""The small functions that hooks take from Airflow."""

from __future__ import annotations

import contextlib
import datetime
import os

from .error import AirflowConfigException, AirflowException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from types import ModuleType
    from typing import Any

utc = datetime.timezone.utc


def chunks(items: Sequence[Any], chunk_size: int) -> Iterator[Sequence[Any]]:
    """The items in lists of a size."""
    if chunk_size <= 0:
        raise ValueError("chunk_size is not positive")
    for begin in range(0, len(items), chunk_size):
        yield items[begin : begin + chunk_size]


def exactly_one(*args: Any) -> bool:
    """Tells whether one is true, and no other."""
    return sum(bool(each) for each in args) == 1


def at_most_one(*args: Any) -> bool:
    """Tells whether at most one is true; what was not given counts as untrue."""
    return sum(is_arg_set(each) and bool(each) for each in args) <= 1


def prune_dict(val: Any, mode: str = "strict") -> Any:
    """Takes out, at every depth, what is None, or with mode "truthy" what is untrue."""
    if mode not in ("strict", "truthy"):
        raise ValueError(f"mode is {mode}, and strict and truthy are known")

    def is_empty(each: Any) -> bool:
        return each is None if mode == "strict" else not each

    kind = val.__class__
    if kind is dict:
        pruned = {key: prune_dict(each, mode) for key, each in val.items()}
        return {key: each for key, each in pruned.items() if not is_empty(each)}
    if kind is list:
        return [each for each in (prune_dict(each, mode) for each in val) if not is_empty(each)]
    return val


def merge_dicts(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, at every depth; the other's values win."""
    merged = dict(one)
    for key, value in other.items():
        mine = merged.get(key)
        merged[key] = merge_dicts(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType]
    return merged


def convert_camel_to_snake(text: str) -> str:
    """SomeName is some_name."""
    import re

    return re.sub(r"(?<!^)(?=[A-Z])", "_", text).lower()


def to_boolean(text: str | None) -> bool:
    """Tells whether a text says yes."""
    return (text or "").lower() in ("true", "yes", "y", "t", "on", "1")


@contextlib.contextmanager
def patch_environ(changes: Mapping[str, str | None]) -> Generator[None, None, None]:
    """Has other environment variables within; None takes one out."""
    before = {name: os.environ.get(name) for name in changes}
    _apply(changes)
    try:
        yield
    finally:
        _apply(before)


def _apply(changes: Mapping[str, str | None]) -> None:
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def import_string(dotted: str) -> Any:
    """The attribute of a module, both in one text."""
    from importlib import import_module

    module, dot, name = dotted.rpartition(".")
    if not dot:
        raise ImportError(f"{dotted} names no module")
    try:
        return getattr(import_module(module), name)
    except AttributeError:
        raise ImportError(f"{module} has no {name}") from None


def iter_namespace(package: ModuleType) -> Iterator[str]:
    """The modules of a package."""
    import pkgutil

    return (each.name for each in pkgutil.iter_modules(package.__path__, package.__name__ + "."))


def qualname(named: Any, **_: Any) -> str:
    """The full name of a class or a function, or of an object's class."""
    described = named if hasattr(named, "__qualname__") else named.__class__
    return f"{described.__module__}.{described.__qualname__}"


class ArgNotSet:
    """The class of NOTSET."""


NOTSET = ArgNotSet()


def is_arg_set(value: Any) -> bool:
    """Tells whether an argument was given."""
    return not isinstance(value, ArgNotSet)


def utcnow() -> datetime.datetime:
    """Now."""
    return datetime.datetime.now(utc)


def is_localized(value: datetime.datetime) -> bool:
    """Tells whether a time has a zone."""
    return value.utcoffset() is not None


def make_aware(value: datetime.datetime | None, timezone: datetime.tzinfo | None = None) -> datetime.datetime | None:
    """The time with a zone."""
    return value if value is None or is_localized(value) else value.replace(tzinfo=timezone or utc)


def parse(text: str, timezone: datetime.tzinfo | None = None) -> datetime.datetime:
    """The time of a text in ISO 8601."""
    return make_aware(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")), timezone) or utcnow()


def mask_secret(secret: Any, name: str | None = None) -> None:
    """Nothing: what is printed here passes by no supervisor."""


def redact(value: Any, name: str | None = None, max_depth: int | None = None) -> Any:
    """Nothing of a value: what is masked cannot be known here."""
    return "***" if value else value


class Configuration:
    """Airflow's settings: those of the environment, AIRFLOW__SECTION__KEY, and else the fallback."""

    def get(self, section: str, key: str, *, fallback: Any = NOTSET, **_: Any) -> Any:
        """A setting's text."""
        name = f"AIRFLOW__{section}__{key}".upper().replace(".", "_")
        value = os.environ.get(name)
        if value is not None:
            return value
        if is_arg_set(fallback):
            return fallback
        raise AirflowConfigException(f"[{section}] {key} is not set: there is no Airflow here; set {name}")

    def getboolean(self, section: str, key: str, **named: Any) -> bool:
        """A setting that is true or false."""
        value = self.get(section, key, **named)
        return to_boolean(value) if isinstance(value, str) else bool(value)

    def getint(self, section: str, key: str, **named: Any) -> int:
        """A setting that is a number."""
        return int(self.get(section, key, **named))

    def getfloat(self, section: str, key: str, **named: Any) -> float:
        """A setting that may have a fraction."""
        return float(self.get(section, key, **named))

    def getimport(self, section: str, key: str, **named: Any) -> Any:
        """What a setting names."""
        value = self.get(section, key, **named)
        return import_string(value) if value else None

    def getjson(self, section: str, key: str, **named: Any) -> Any:
        """A setting that is JSON."""
        import json

        value = self.get(section, key, **named)
        return json.loads(value) if isinstance(value, str) else value

    def has_option(self, section: str, key: str) -> bool:
        """Tells whether a setting is there."""
        return self.get(section, key, fallback=None) is not None


conf = Configuration()


class Collector:
    """Takes notes for nobody of what data a hook reads and writes."""

    _extra: dict[str, Any] = {}  # noqa: RUF012 # common.compat looks for it

    @property
    def collected_assets(self) -> None:
        """Nothing."""

    collected_datasets = collected_assets

    @property
    def has_collected(self) -> bool:
        """Never."""
        return False

    def _nothing(self, *_: Any, **__: Any) -> None: ...

    create_asset = create_dataset = add_input_asset = add_output_asset = _nothing
    add_input_dataset = add_output_dataset = add_extra = _nothing


_collector = Collector()


def get_hook_lineage_collector() -> Collector:
    """The one there is."""
    return _collector


def absent(name: str) -> type:
    """A class of Airflow's in name alone: hooks' modules import it, and nothing works that is made of it."""

    def refuse(self: object, *_: Any, **__: Any) -> None:
        raise AirflowException(f"{type(self).__name__} needs Airflow: this image has leoflow_airflow_standin, which hooks run on and nothing else")

    return type(name, (), {"__init__": refuse, "__doc__": "Needs Airflow.", "template_fields": ()})
