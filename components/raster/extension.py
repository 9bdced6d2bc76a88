"""User code that a configuration names by its dotted path, or as an entry point.

Reading a configuration imports none of it; `Extension.require` and the calls do.
"""

import difflib
import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import entry_points, packages_distributions, version
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field, JsonValue, WithJsonSchema

from components.raster.errors import ConfigError
from components.raster.fingerprint import checksums_of_files, fingerprint_of
from components.raster.frozen import Frozen
from components.raster.messages import first_line

_DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"
_REFERENCE = rf"^({_DOTTED}:{_DOTTED}|[A-Za-z_][\w-]*)$"
_DIGEST_LENGTH = 16
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _well_formed(reference: str) -> str:
    if re.match(_REFERENCE, reference):
        return reference
    raise ValueError("write package.module:attribute, or the name of an entry point")


#: Names an attribute of a module, `package.module:attribute`, or an installed entry point.
Reference = Annotated[
    str,
    AfterValidator(_well_formed),
    WithJsonSchema({"type": "string", "pattern": _REFERENCE}),
]


class PackageMissing(ConfigError):
    """The package of an extension is not installed here, so it cannot be checked."""


class Extension(Frozen):
    """A class or function in user code, and its arguments.

    Attributes:
        group: group of the entry points that a configuration may name.
        field: the field with the path or name.
        passes: positional arguments of every call.
        offers: keyword arguments for a function or class with a parameter of that name.
    """

    group: ClassVar[str]
    field: ClassVar[str]
    passes: ClassVar[tuple[str, ...]] = ()
    offers: ClassVar[tuple[str, ...]] = ()

    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="Arguments, passed by name; plain values."
    )

    @property
    def reference(self) -> str:
        """The path or name, as configured."""
        return str(getattr(self, self.field))

    def find(self, key: str) -> ModuleSpec:
        """Finds its package; imports nothing.

        Raises:
            PackageMissing: the package is not installed here.
        """
        module, _ = _target(self.reference, self.group, key)
        return _spec(module, key)

    def load(self, key: str) -> Callable[..., Any]:
        """Imports the class or function.

        Args:
            key: where the configuration names it, for errors.

        Raises:
            PackageMissing: its package is not installed here.
            ConfigError: it cannot be imported, does not exist, or cannot be called.
        """
        module, attribute = _target(self.reference, self.group, key)
        found: Any = _imported(module, key)
        for name in attribute.split("."):
            if not hasattr(found, name):
                raise ConfigError(f"{key}: {module} has no {attribute}.{_near(name, found)}")
            found = getattr(found, name)
        if not callable(found):
            raise ConfigError(
                f"{key}: {module}:{attribute} is a {type(found).__name__}, which cannot be called; "
                "name a function or a class."
            )
        return found

    def require(self, key: str) -> Callable[..., Any]:
        """Imports it and checks the arguments against its signature; calls nothing.

        Raises:
            ConfigError: as in `load`; or it does not accept the arguments, or needs others.
        """
        found = self.load(key)
        _require_arguments(found, self, key)
        return found

    def identity(self, key: str) -> str:
        """Returns text that changes with the code, for cache keys; imports nothing.

        Raises:
            PackageMissing: its package is not installed here.
        """
        module, attribute = _target(self.reference, self.group, key)
        spec = self.find(key)
        places = tuple(spec.submodule_search_locations or [str(spec.origin)])
        return f"{module}:{attribute} {_package_identity(spec.name, places)}"

    def _call(self, key: str, known: Mapping[str, Any]) -> Any:
        """Calls the result of `require` with the arguments, and with the known ones of `offers`."""
        found = self.require(key)
        try:
            return found(**self._known_to(found, known), **self.arguments)
        except ConfigError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(
                f"{key}: {self.reference} failed with {type(error).__name__}: {first_line(error)}"
            ) from error

    def _known_to(self, found: Callable[..., Any], known: Mapping[str, Any]) -> dict[str, Any]:
        wanted = {name for name in _parameters(found) or () if name not in self.arguments}
        return {name: value for name, value in known.items() if name in wanted}


class Built(Extension):
    """An object made by one call of the class or function with the arguments."""

    field: ClassVar[str] = "build"

    build: Reference = Field(
        description="package.module:attribute, or the name of an entry point: a class, "
        "or a function that makes it."
    )

    def made(self, key: str, **known: Any) -> Any:
        """Makes it.

        Args:
            known: values for parameters that `offers` names.

        Raises:
            ConfigError: it cannot be found, does not take the arguments, or fails.
        """
        return self._call(key, known)


class Called(Extension):
    """A function that is called with the arguments, or a class that is instantiated with them."""

    field: ClassVar[str] = "call"

    call: Reference = Field(
        description="package.module:attribute, or the name of an entry point: a "
        "function, or a class whose instance is called."
    )

    def bound(self, key: str, **known: Any) -> Callable[..., Any]:
        """Returns a function that takes only `passes`.

        Args:
            known: values for parameters that `offers` names.

        Raises:
            ConfigError: it cannot be found, does not take the arguments, or fails.
        """
        found = self.require(key)
        if inspect.isclass(found):
            made = self._call(key, known)
            if not callable(made):
                raise ConfigError(
                    f"{key}: an instance of {self.reference} cannot be called; give it a "
                    f"__call__({', '.join(self.passes)})."
                )
            return made
        given = {**self._known_to(found, known), **self.arguments}
        return lambda *values: found(*values, **given)


def extensions_of(tree: BaseModel, key: str = "") -> Iterator[tuple[str, Extension]]:
    """Yields all extensions below a configuration, each with the key of its path or name."""
    if isinstance(tree, Extension):
        yield f"{key}.{tree.field}", tree
    for name, field in type(tree).model_fields.items():
        yield from _within(getattr(tree, name), f"{key}.{field.alias or name}".lstrip("."))


def _within(value: Any, key: str) -> Iterator[tuple[str, Extension]]:
    if isinstance(value, BaseModel):
        yield from extensions_of(value, key)
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _within(item, f"{key}.{number}")


def _target(reference: str, group: str, key: str) -> tuple[str, str]:
    """Returns the module and the attribute in it."""
    if ":" in reference:
        module, _, attribute = reference.partition(":")
        return module, attribute
    known = {each.name: each for each in entry_points(group=group)}
    if reference in known:
        return known[reference].module, known[reference].attr
    there = f"there are {', '.join(sorted(known))}" if known else "there are none"
    raise PackageMissing(
        f"{key}: {reference!r} is not an entry point of {group} installed here ({there}). "
        "Install the package that has it, or name it as package.module:attribute."
    )


def _spec(module: str, key: str) -> ModuleSpec:
    """Finds the package of a module, importing none of it: the first part that holds code."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        found = importlib.util.find_spec(name)
        if found is None:
            raise PackageMissing(
                f"{key}: {name} is not installed here: install the package that has it, in the "
                "environment (the image, on a cluster) that runs Skymill, or put its folder on "
                "PYTHONPATH."
            )
        if found.origin is not None:  # else a namespace, which holds only packages
            return found
    raise ConfigError(f"{key}: {module} is a folder without code.")


def _imported(module: str, key: str) -> Any:
    _spec(module, key)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(f"{key}: there is no module {error.name}.") from error
        raise ConfigError(
            f"{key}: {module} cannot be imported, since it imports {error.name}, which is not "
            "installed here."
        ) from error
    except Exception as error:  # the module's own code runs here
        raise ConfigError(
            f"{key}: {module} cannot be imported: {type(error).__name__}: {first_line(error)}"
        ) from error


def _near(name: str, found: Any) -> str:
    public = [each for each in dir(found) if not each.startswith("_")]
    near = difflib.get_close_matches(name, public, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _parameters(found: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """Returns the parameters by name; None for one without a readable signature."""
    try:
        return inspect.signature(found).parameters
    except (ValueError, TypeError):
        return None


def _require_arguments(found: Callable[..., Any], extension: Extension, key: str) -> None:
    parameters = _parameters(found)
    if parameters is None:
        return
    kinds = {each.kind for each in parameters.values()}
    # A class gets `passes` only when its instances are called.
    passed = () if inspect.isclass(found) else extension.passes
    positional = [name for name, each in parameters.items() if each.kind in _POSITIONAL]
    if len(positional) < len(passed) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        raise ConfigError(
            f"{key}: {extension.reference} takes {len(positional)} values by position, and is "
            f"called with ({', '.join(passed)})."
        )
    accepted = {
        name: each.default is inspect.Parameter.empty
        for name, each in parameters.items()
        if each.kind in _NAMED and name not in positional[: len(passed)]
    }
    given, offered = set(extension.arguments), set(extension.offers)
    takes_any = inspect.Parameter.VAR_KEYWORD in kinds
    strange = [] if takes_any else sorted(given - set(accepted))
    lacking = [name for name, needed in accepted.items() if needed and name not in given | offered]
    faults = [f"has no argument {_quoted(strange)}"] if strange else []
    faults += [f"needs the argument {_quoted(lacking)}"] if lacking else []
    if faults:
        own = [name for name in accepted if name not in offered]
        raise ConfigError(
            f"{key}: {extension.reference} {' and '.join(faults)}; "
            + (f"its arguments are {', '.join(own)}." if own else "it has none.")
        )


def _quoted(names: list[str]) -> str:
    return " and ".join(map(repr, names))


@cache
def _package_identity(name: str, places: tuple[str, ...]) -> str:
    """Returns the version of a package's distribution, if it has one, and a digest of its files.

    Sources count by their content, other files by their size. The result stays the same for the
    life of a process, which keeps the code that it has imported.
    """
    entries: list[tuple[str, str | int]] = []
    for place in places:
        files = list(_files(place))
        sources = [path for path in files if path.endswith(".py")]
        checksums = dict(zip(sources, checksums_of_files(sources), strict=True))
        entries += [
            (os.path.relpath(f, place), checksums.get(f) or os.path.getsize(f)) for f in files
        ]
    return f"{_version(name)} {fingerprint_of(entries)[:_DIGEST_LENGTH]}".lstrip()


def _files(place: str) -> Iterator[str]:
    if os.path.isfile(place):
        yield place
    for folder, below, names in os.walk(place):
        below[:] = [name for name in below if name != "__pycache__"]
        yield from (os.path.join(folder, name) for name in names)


def _version(package: str) -> str:
    """Returns name and version of the distributions to which a top-level package belongs."""
    names = packages_distributions().get(package.partition(".")[0], [])
    return " ".join(f"{name} {version(name)}" for name in sorted(set(names)))
