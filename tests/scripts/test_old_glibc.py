"""The adapted wheels, judged by pyelftools, by the loader and by the wheel format's own rules."""

import base64
import csv
import hashlib
import importlib.metadata
import io
import platform
import re
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from packaging.utils import parse_wheel_filename

from scripts import old_glibc
from scripts.old_glibc import SetupError

TFDV = "tensorflow-data-validation"
MLMD = "ml-metadata"
TOO_NEW = {"GLIBC_2.38", "GLIBCXX_3.4.32", "CXXABI_1.3.15"}
# What `readelf --dyn-syms` shows in these versions.
MISSING = {
    MLMD: {
        "__cxa_call_terminate": "CXXABI_1.3.15",
        "_ZSt21ios_base_library_initv": "GLIBCXX_3.4.32",
    },
    TFDV: {
        "__isoc23_strtol": "GLIBC_2.38",
        "__isoc23_strtoll": "GLIBC_2.38",
        "__isoc23_strtoul": "GLIBC_2.38",
        "__isoc23_strtoull": "GLIBC_2.38",
        "_ZSt21ios_base_library_initv": "GLIBCXX_3.4.32",
    },
}
PYTHON_TAG = f"cp{sys.version_info.major}{sys.version_info.minor}"

Symbols = list[tuple[str, str | None]]

for_linux = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="the wheels in question are for Linux on x86_64",
)


def as_wheel(package: str, folder: Path) -> Path:
    """A wheel of an installed package, for systems that install it without a change."""
    distribution = importlib.metadata.distribution(package)
    version = distribution.version
    path = folder / (
        f"{package.replace('-', '_')}-{version}-{PYTHON_TAG}-{PYTHON_TAG}-manylinux_2_39_x86_64.whl"
    )
    with zipfile.ZipFile(path, "w") as wheel:
        for file in distribution.files or []:
            if file.suffix != ".pyc":
                wheel.writestr(str(file), Path(str(file.locate())).read_bytes())
    return path


@pytest.fixture(scope="session")
def original(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Finds the untouched wheel of a package: the set-up keeps it where it had to adapt it."""
    folder = tmp_path_factory.mktemp("wheels")

    def find(package: str) -> Path:
        name = f"{package.replace('-', '_')}-*-{PYTHON_TAG}-*manylinux_2_39*.whl"
        kept = [*(repository / ".wheels").glob(name), *folder.glob(name)]
        return kept[0] if kept else as_wheel(package, folder)

    return find


@pytest.fixture(scope="session")
def patched(
    original: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Makes the adapted wheel of a package."""
    folder = tmp_path_factory.mktemp("patched")

    def make(package: str) -> Path:
        source = original(package)
        target = folder / source.name.replace("manylinux_2_39", "manylinux_2_34")
        if not target.exists():
            old_glibc.patch_wheel(source, target)
        return target

    return make


def extension(wheel: Path) -> bytes:
    """The one extension module in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        return archive.read(name)


def symbols_of(elf: bytes) -> Symbols:
    """All dynamic symbols and the version each asks for, as pyelftools reads them."""
    file = ELFFile(io.BytesIO(elf))
    versions = {
        auxiliary["vna_other"]: auxiliary.name
        for _, auxiliaries in file.get_section_by_name(".gnu.version_r").iter_versions()
        for auxiliary in auxiliaries
    }
    indices = file.get_section_by_name(".gnu.version")
    return [
        (symbol.name, versions.get(indices.get_symbol(number)["ndx"]))
        for number, symbol in enumerate(file.get_section_by_name(".dynsym").iter_symbols())
    ]


def version_flags(elf: bytes) -> dict[str, int]:
    """The flags of every version that a module requires, as pyelftools reads them."""
    table = ELFFile(io.BytesIO(elf)).get_section_by_name(".gnu.version_r")
    return {a.name: a["vna_flags"] for _, entries in table.iter_versions() for a in entries}


@for_linux
@pytest.mark.parametrize("package", [MLMD, TFDV])
def test_it_finds_the_symbols_that_an_older_system_lacks(
    original: Callable[[str], Path], package: str
) -> None:
    assert old_glibc.missing_symbols(extension(original(package))) == MISSING[package]


@for_linux
@pytest.mark.parametrize("package", [MLMD, TFDV])
def test_only_those_symbols_change(
    original: Callable[[str], Path], patched: Callable[[str], Path], package: str
) -> None:
    before, after = extension(original(package)), extension(patched(package))
    expected = [
        (old_glibc.RENAMES[name], None) if version in TOO_NEW else (name, version)
        for name, version in symbols_of(before)
    ]
    assert symbols_of(after) == expected
    assert old_glibc.missing_symbols(after) == {}
    assert len(after) == len(before)


@for_linux
@pytest.mark.parametrize("package", [MLMD, TFDV])
def test_only_unused_versions_become_weak(
    original: Callable[[str], Path], patched: Callable[[str], Path], package: str
) -> None:
    before, after = (
        version_flags(extension(original(package))),
        version_flags(extension(patched(package))),
    )
    assert set(before.values()) == {0}
    assert {name for name, flags in after.items() if flags} == TOO_NEW & set(before)
    assert set(after.values()) == {0, 2}


@for_linux
@pytest.mark.parametrize("package", [MLMD, TFDV])
def test_the_new_wheel_is_a_valid_one(patched: Callable[[str], Path], package: str) -> None:
    wheel = patched(package)
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(files[record].decode()))}
    assert rows.pop(record) == ["", ""]
    for name, (digest, size) in rows.items():
        encoded = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode()
        assert digest == f"sha256={encoded.rstrip('=')}"
        assert int(size) == len(files[name])
    assert set(rows) == set(files) - {record}

    name, _, _, tags = parse_wheel_filename(wheel.name)
    assert name == package
    assert {tag.platform for tag in tags} == {"manylinux_2_34_x86_64"}
    metadata = files[record.replace("RECORD", "WHEEL")].decode()
    assert re.findall(r"^Tag: (.*)$", metadata, re.MULTILINE) == [str(tag) for tag in tags]


@for_linux
def test_the_adapted_ml_metadata_keeps_records(
    patched: Callable[[str], Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(patched(MLMD)) as archive:
        archive.extractall(tmp_path / "site")
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as proto
assert ml_metadata.__file__.startswith(sys.argv[1]), ml_metadata.__file__
config = proto.ConnectionConfig()
config.sqlite.filename_uri = sys.argv[2]
config.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
store = ml_metadata.MetadataStore(config)
kind = store.put_artifact_type(proto.ArtifactType(name="Model"))
store.put_artifacts([proto.Artifact(type_id=kind, uri=f"model/{n}") for n in (1, 2)])
print(*(artifact.uri for artifact in store.get_artifacts_by_type("Model")))
try:
    store.get_artifact_type("Nothing")
except ml_metadata.errors.NotFoundError:
    print("not found")
"""
    assert run_python(program, tmp_path / "site", tmp_path / "store.db") == (
        "model/1 model/2\nnot found\n"
    )


@for_linux
def test_the_adapted_validation_reads_numbers(
    patched: Callable[[str], Path], tmp_path: Path
) -> None:
    module = tmp_path / "tensorflow_data_validation_extension.so"
    module.write_bytes(extension(patched(TFDV)))
    program = """
import importlib.util
import sys
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
spec = importlib.util.spec_from_file_location("tensorflow_data_validation_extension", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
statistics = statistics_pb2.DatasetFeatureStatistics(num_examples=3)
feature = statistics.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
feature.path.step.append("season")
feature.string_stats.unique = 2
common = feature.string_stats.common_stats
common.num_non_missing, common.min_num_values, common.max_num_values = 3, 1, 1
for name, count in (("summer", 2), ("winter", 1)):
    feature.string_stats.rank_histogram.buckets.add(label=name, sample_count=count)
schema = schema_pb2.Schema.FromString(
    module.validation.InferSchema(statistics.SerializeToString(), 10, False)
)
print(schema.feature[0].name, *schema.string_domain[0].value)
"""
    assert run_python(program, module) == "season summer winter\n"


def run_python(program: str, *arguments: Path) -> str:
    """Returns the output of a program in a Python of its own."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@for_linux
def test_a_symbol_without_equivalent_is_named(original: Callable[[str], Path]) -> None:
    elf = extension(original(TFDV)).replace(b"__isoc23_strtoll\0", b"__isoc23_imaxabs\0")
    with pytest.raises(SetupError, match=r"__isoc23_imaxabs \(GLIBC_2\.38\) has no known equiv"):
        old_glibc.patch(elf)


@for_linux
def test_a_name_that_ends_another_symbols_is_not_overwritten(
    original: Callable[[str], Path],
) -> None:
    elf = bytearray(extension(original(MLMD)))
    table = ELFFile(io.BytesIO(elf)).get_section_by_name(".dynsym")
    names = [symbol.name for symbol in table.iter_symbols()]
    entry = table["sh_offset"] + 24 * names.index("__cxa_call_terminate")
    (name,) = struct.unpack_from("<I", elf, entry)
    struct.pack_into("<I", elf, table["sh_offset"] + 24, name + len("__cxa_call_"))
    with pytest.raises(SetupError, match="__cxa_call_terminate is shared"):
        old_glibc.patch(bytes(elf))


def test_other_files_are_refused() -> None:
    with pytest.raises(SetupError, match="not a 64-bit little-endian ELF file"):
        old_glibc.patch(b"\xcf\xfa\xed\xfe Mach-O")


@pytest.mark.parametrize(
    ("version", "too_new"),
    [
        ("GLIBC_2.34", False),
        ("GLIBC_2.2.5", False),
        ("GLIBC_2.38", True),
        ("GLIBCXX_3.4", False),
        ("GLIBCXX_3.4.29", False),
        ("GLIBCXX_3.4.30", True),
        ("CXXABI_1.3.13", False),
        ("CXXABI_1.3.15", True),
        ("GCC_3.0", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, too_new: bool) -> None:
    assert old_glibc.is_too_new(version) is too_new


LOCK = """\
lxml==6.1.3 \\
    --hash=sha256:aaaa
    # via pg8000
ml-metadata==1.21.0 \\
    --hash=sha256:bbbb \\
    --hash=sha256:{digest}
    # via tfx
ml-pipelines-sdk==1.21.0 \\
    --hash=sha256:cccc
"""


def fake_pip(tmp_path: Path, content: bytes) -> list[str]:
    """A `pip` that "downloads" a wheel with the given content."""
    program = tmp_path / "pip.py"
    name = f"ml_metadata-1.21.0-{PYTHON_TAG}-{PYTHON_TAG}-manylinux_2_39_x86_64.whl"
    program.write_text(
        "import pathlib, sys\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
        f"(folder / {name!r}).write_bytes({content!r})\n"
        "print(*sys.argv[1:])\n"
    )
    return [sys.executable, str(program)]


def test_a_download_that_the_lock_does_not_list_is_refused(tmp_path: Path) -> None:
    lock = LOCK.format(digest=hashlib.sha256(b"what was locked").hexdigest())
    pip = fake_pip(tmp_path, b"what came")
    with pytest.raises(SetupError, match=r"ml_metadata.* has the sha256 [0-9a-f]{64}, which"):
        old_glibc.local_wheel(MLMD, lock, tmp_path / "wheels", pip)
    assert not list((tmp_path / "wheels").rglob("*.whl"))


def test_a_damaged_wheel_is_downloaded_again(tmp_path: Path) -> None:
    entry = old_glibc.lock_entry(
        LOCK.format(digest=hashlib.sha256(b"what was locked").hexdigest()), MLMD
    )
    pip = fake_pip(tmp_path, b"what was locked")
    wheel = old_glibc.original_wheel(entry, tmp_path, pip)
    wheel.write_bytes(b"half of i")
    assert old_glibc.original_wheel(entry, tmp_path, pip).read_bytes() == b"what was locked"
    assert old_glibc.original_wheel(entry, tmp_path, ["false"]) == wheel


def test_a_failed_download_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"could not download ml-metadata==1\.21\.0"):
        old_glibc.local_wheel(MLMD, LOCK, tmp_path, ["false"])


@pytest.mark.parametrize("glibc", [(2, 39), (2, 41), (3, 0), None])
def test_a_newer_system_takes_the_lock_as_it_is(
    tmp_path: Path, glibc: tuple[int, int] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert old_glibc.lock_for(glibc, LOCK, tmp_path / "wheels", ["false"]) == LOCK
    assert not (tmp_path / "wheels").exists()
    assert capsys.readouterr().out == ""


def test_a_local_wheel_takes_the_place_of_its_entry_alone(tmp_path: Path) -> None:
    wheel = tmp_path / "a folder" / "ml_metadata.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"patched")
    lock = old_glibc.replace_entry(LOCK, MLMD, wheel)
    assert lock.splitlines() == [
        *LOCK.splitlines()[:3],
        f"ml-metadata @ {tmp_path.as_uri()}/a%20folder/ml_metadata.whl \\",
        f"    --hash=sha256:{hashlib.sha256(b'patched').hexdigest()}",
        *LOCK.splitlines()[6:],
    ]


def test_the_lock_names_what_it_has_to(repository: Path) -> None:
    lock = (repository / "requirements" / "lock.txt").read_text()
    for package in old_glibc.WHEELS:
        assert old_glibc.lock_entry(lock, package).count("--hash=sha256:") >= 3
    with pytest.raises(SetupError, match="the lock does not name pg8001"):
        old_glibc.lock_entry(lock, "pg8001")


def test_the_version_of_glibc_is_the_loaders(tmp_path: Path) -> None:
    name, number = platform.libc_ver()
    expected = tuple(map(int, number.split("."))) if name == "glibc" else None
    assert old_glibc.glibc_version() == expected
