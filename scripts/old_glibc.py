"""Adaptation of two locked wheels to systems with an older C library.

ml-metadata and tensorflow-data-validation are built for glibc 2.39, which Debian 12 (2.36) and
Ubuntu 22.04 (2.35) do not have, so installers refuse them there. Their extension modules lack
six symbols on such systems and nothing else. For each wheel this module

1. downloads it for the platform it claims and checks its sha256 against the lock,
2. renames those symbols to equivalents that every supported system has, drops their versions,
   and marks the version requirements that nothing uses any more as weak,
3. tags the result manylinux_2_34 and writes a lock that names it in place of the original.

Where glibc is new enough the lock is passed on as it is. Only the standard library is used.

The ELF structures are those of the System V gABI (sections, symbols) and of the Linux Standard
Base, "Symbol Versioning" (.gnu.version, .gnu.version_r); all are little-endian and 64 bits wide.
"""

import base64
import hashlib
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

WHEELS = ("ml-metadata", "tensorflow-data-validation")
CLAIMED_GLIBC = (2, 39)
PATCHED_GLIBC = (2, 34)

# The newest versions that manylinux_2_34 promises (glibc 2.34, GCC 11's libstdc++).
NEWEST_VERSIONS = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13)}

# A new name takes the old one's place in the string table, so it is never the longer of the two.
RENAMES = {
    # C23's strtol also reads "0b101"; these callers parse decimal numbers.
    "__isoc23_strtol": "strtol",
    "__isoc23_strtoll": "strtoll",
    "__isoc23_strtoul": "strtoul",
    "__isoc23_strtoull": "strtoull",
    # GCC 14's way to leave a noexcept function by an exception: it marks the exception as caught
    # and calls std::terminate, so the process ends just the same.
    "__cxa_call_terminate": "_ZSt9terminatev",
    # <iostream> refers to this only to ask for a libstdc++ that sets up std::cout by itself. No
    # relocation uses it and neither module uses a standard stream, so nothing is ever called. The
    # equivalent in an older libstdc++ is the constructor of std::ios_base::Init.
    "_ZSt21ios_base_library_initv": "_ZNSt8ios_base4InitC1Ev",
}

_DYNSYM, _VERNEED, _VERSYM = 11, 0x6FFFFFFE, 0x6FFFFFFF  # section types
_SYMBOL_BYTES = 24
_GLOBAL = 1  # the version index of a symbol without a version
_WEAK = 2  # the flag of a version whose absence the loader accepts


class SetupError(Exception):
    """A wheel cannot be made to work; the message is for the user."""


@dataclass(frozen=True)
class Section:
    """Section of an ELF file; `link` is the index of its string table."""

    kind: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class Requirement:
    """One version that a file requires of a library, and the offset of its entry."""

    version: str
    index: int
    offset: int


@dataclass(frozen=True)
class Import:
    """A symbol that a file imports from a library: its offset, name and version."""

    index: int
    name: str
    name_offset: int
    requirement: Requirement


def sections(elf: bytes) -> list[Section]:
    """Returns the sections of a 64-bit little-endian ELF file."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise SetupError("not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    size, count = struct.unpack_from("<HH", elf, 0x3A)
    found = []
    for position in range(table, table + size * count, size):
        kind, _, _, offset, length, link = struct.unpack_from("<IQQQQI", elf, position + 4)
        found.append(Section(kind, offset, length, link))
    return found


def requirements(elf: bytes) -> list[Requirement]:
    """Returns the versions that a file requires of other libraries (.gnu.version_r)."""
    table = sections(elf)
    found = []
    for section in table:
        if section.kind != _VERNEED:
            continue
        strings, library, following = table[section.link].offset, section.offset, 1
        while following:
            _, count, _, first, following = struct.unpack_from("<HHIII", elf, library)
            entry = library + first
            for _ in range(count):
                _, _, index, name, step = struct.unpack_from("<IHHII", elf, entry)
                found.append(Requirement(_text(elf, strings + name), index, entry))
                entry += step
            library += following
    return found


def imports(elf: bytes) -> Iterator[Import]:
    """Yields the versioned symbols that a file imports from other libraries."""
    table = sections(elf)
    by_index = {requirement.index: requirement for requirement in requirements(elf)}
    symbols, versions = _only(table, _DYNSYM), _only(table, _VERSYM)
    strings = table[symbols.link].offset
    for index in range(symbols.size // _SYMBOL_BYTES):
        (version,) = struct.unpack_from("<H", elf, versions.offset + 2 * index)
        if version in by_index:
            (name,) = struct.unpack_from("<I", elf, symbols.offset + _SYMBOL_BYTES * index)
            yield Import(index, _text(elf, strings + name), strings + name, by_index[version])


def is_too_new(version: str) -> bool:
    """Checks whether a version such as `GLIBC_2.38` is newer than manylinux_2_34 promises."""
    family, _, number = version.partition("_")
    newest = NEWEST_VERSIONS.get(family)
    return newest is not None and tuple(map(int, re.findall(r"\d+", number))) > newest


def missing_symbols(elf: bytes) -> dict[str, str]:
    """Returns the symbols that a manylinux_2_34 system may lack, by name, with their versions."""
    return {
        symbol.name: symbol.requirement.version
        for symbol in imports(elf)
        if is_too_new(symbol.requirement.version)
    }


def patch(elf: bytes) -> bytes:
    """Returns the same extension module, requiring only what manylinux_2_34 promises.

    Its size and layout stay as they are. Raises SetupError for a symbol that has no known
    equivalent.
    """
    patched = bytearray(elf)
    versions = _only(sections(elf), _VERSYM).offset
    for symbol in imports(elf):
        if is_too_new(symbol.requirement.version):
            _rename(elf, patched, symbol)
            struct.pack_into("<H", patched, versions + 2 * symbol.index, _GLOBAL)
    for requirement in requirements(elf):
        if is_too_new(requirement.version):
            (flags,) = struct.unpack_from("<H", elf, requirement.offset + 4)
            struct.pack_into("<H", patched, requirement.offset + 4, flags | _WEAK)
    return bytes(patched)


def _rename(elf: bytes, patched: bytearray, symbol: Import) -> None:
    new = RENAMES.get(symbol.name)
    if new is None:
        raise SetupError(f"{symbol.name} ({symbol.requirement.version}) has no known equivalent")
    start, end = symbol.name_offset, symbol.name_offset + len(symbol.name)
    # Linkers share name suffixes; a name that ends within another one must not change with it.
    if any(start < other <= end for other in _name_offsets(elf)):
        raise SetupError(f"the name {symbol.name} is shared with another symbol")
    patched[start:end] = new.encode().ljust(end - start, b"\0")


def _name_offsets(elf: bytes) -> Iterator[int]:
    table = sections(elf)
    symbols = _only(table, _DYNSYM)
    strings = table[symbols.link].offset
    for position in range(symbols.offset, symbols.offset + symbols.size, _SYMBOL_BYTES):
        yield strings + struct.unpack_from("<I", elf, position)[0]


def _only(table: Sequence[Section], kind: int) -> Section:
    found = [section for section in table if section.kind == kind]
    if len(found) != 1:
        raise SetupError(f"expected one section of type {kind:#x}, found {len(found)}")
    return found[0]


def _text(elf: bytes, offset: int) -> str:
    return elf[offset : elf.index(b"\0", offset)].decode()


def patch_wheel(source: Path, target: Path) -> dict[str, str]:
    """Writes a patched copy of a wheel and returns the symbols that were renamed.

    The copy appears whole or not at all. RECORD holds the new hashes, as the wheel format requires.
    """
    renamed: dict[str, str] = {}
    rows: list[str] = []
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(partial, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                record = entry
                continue
            if entry.filename.endswith(".so"):
                renamed |= missing_symbols(content)
                content = patch(content)
            elif entry.filename.endswith(".dist-info/WHEEL"):
                content = re.sub(rb"-manylinux\S+", b"-" + _platform().encode(), content)
            if not entry.is_dir():
                rows.append(_record_row(entry.filename, content))
            new.writestr(entry, content, zipfile.ZIP_DEFLATED)
        new.writestr(record, "".join([*rows, f"{record.filename},,\n"]), zipfile.ZIP_DEFLATED)
    os.replace(partial, target)
    return renamed


def _record_row(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def _platform(glibc: tuple[int, int] = PATCHED_GLIBC) -> str:
    return f"manylinux_{glibc[0]}_{glibc[1]}_x86_64"


def lock_entry(lock: str, package: str) -> str:
    """Returns the lines of a lock that pin one package."""
    found = re.search(rf"^{re.escape(package)}==.*(?:\n[ ]+--hash=.*)*", lock, re.MULTILINE)
    if found is None:
        raise SetupError(f"the lock does not name {package}")
    return found[0]


def sha256(path: Path) -> str:
    """Returns the hex digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_locked(path: Path, entry: str) -> bool:
    """Checks whether the lock's entry lists a file."""
    return f"--hash=sha256:{sha256(path)}" in entry


def replace_entry(lock: str, package: str, wheel: Path) -> str:
    """Returns the lock with a local wheel in place of the package's entry."""
    entry = lock_entry(lock, package)
    marker = re.search(r";[^\\\n]*", entry)
    local = f"{package} @ {wheel.resolve().as_uri()} {marker[0] if marker else ''}"
    return lock.replace(entry, f"{local.rstrip()} \\\n    --hash=sha256:{sha256(wheel)}")


def original_wheel(entry: str, folder: Path, pip: Sequence[str]) -> Path:
    """Returns the wheel that the lock pins for this Python, from `folder` or the package index."""
    requirement = entry.split()[0]
    python = f"{sys.version_info.major}{sys.version_info.minor}"
    name = requirement.replace("-", "_").replace("==", "-")
    for kept in folder.glob(f"{name}-cp{python}-*{_platform(CLAIMED_GLIBC)}.whl"):
        if is_locked(kept, entry):
            return kept
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        options = ["--no-deps", "--only-binary=:all:", "--dest", fresh, "--quiet"]
        target = ["--platform", _platform(CLAIMED_GLIBC), "--python-version", python]
        result = subprocess.run([*pip, "download", *options, *target, requirement], check=False)
        if result.returncode:
            raise SetupError(f"could not download {requirement}: see pip's message above")
        (wheel,) = Path(fresh).glob("*.whl")
        if not is_locked(wheel, entry):
            raise SetupError(
                f"{wheel.name} from the package index has the sha256 {sha256(wheel)}, which "
                "requirements/lock.txt does not list; refusing a file that was not locked"
            )
        return wheel.replace(folder / wheel.name)


def local_wheel(package: str, lock: str, folder: Path, pip: Sequence[str]) -> Path:
    """Returns a package's patched wheel; the first call for this lock and module makes it."""
    folder.mkdir(parents=True, exist_ok=True)
    original = original_wheel(lock_entry(lock, package), folder, pip)
    # A changed original or module gets a folder of its own, so that no stale wheel is used.
    key = hashlib.sha256(original.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:12]
    patched = folder / key / original.name.replace(_platform(CLAIMED_GLIBC), _platform())
    if not patched.exists():
        patched.parent.mkdir(exist_ok=True)
        renamed = patch_wheel(original, patched)
        print(f"  {patched.name}: replaced {', '.join(sorted(renamed))}", flush=True)
    return patched


def lock_for(glibc: tuple[int, int] | None, lock: str, folder: Path, pip: Sequence[str]) -> str:
    """Returns the lock that this system can install; `glibc` is None on other C libraries."""
    if glibc is None or glibc >= CLAIMED_GLIBC:
        return lock
    print(
        f"glibc {glibc[0]}.{glibc[1]} is older than 2.39: adapting {' and '.join(WHEELS)}",
        flush=True,
    )
    for package in WHEELS:
        lock = replace_entry(lock, package, local_wheel(package, lock, folder, pip))
    return lock


def glibc_version() -> tuple[int, int] | None:
    """Returns the version of the GNU C library, or None on another one."""
    try:
        name, _, number = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, ValueError):
        return None
    if name != "glibc":
        return None
    major, minor = number.split(".")[:2]
    return int(major), int(minor)
