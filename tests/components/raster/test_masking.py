"""Passwords and signatures stay out of messages and logs."""

import json
import pickle

import pytest

from components.ingest.records.reject import Reject
from components.raster.errors import DataError
from components.raster.masking import masked, masked_tree, unsigned
from components.raster.reasons import Reason

S3 = (
    "https://b.s3.amazonaws.com/a.tif?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F2"
    "&X-Amz-Date=20260101T000000Z&X-Amz-Expires=600&X-Amz-Security-Token=tok&X-Amz-Signature=5ec"
)
AZURE = "https://a.blob.core.windows.net/c/a.tif?sv=2024-11-04&se=2026-01-01&sr=b&sp=r&sig=5ec%3D"
GOOGLE = "https://storage.googleapis.com/b/a.tif?X-Goog-Credential=me%40p&X-Goog-Signature=5ec"
CLOUDFRONT = "https://d1.cloudfront.net/a.tif?Expires=1&Signature=5ec&Key-Pair-Id=K2"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("https://u:p%40@h/a.tif?sig=a&b=c: 404", "https://***@h/a.tif?*** 404"),
        ("(s3://key:se@cret@bucket/x)", "(s3://***@bucket/x)"),
        ("at http://h/?a=b and 'http://i?c'", "at http://h/?*** and 'http://i?***'"),
        ("with url: /m.csv?sig=a (refused)", "with url: /m.csv?*** (refused)"),
        (f"'{S3}' not recognized", "'https://b.s3.amazonaws.com/a.tif?***' not recognized"),
        (f"/vsicurl/{AZURE}", "/vsicurl/https://a.blob.core.windows.net/c/a.tif?***"),
        (f"uri: {GOOGLE}\n", "uri: https://storage.googleapis.com/b/a.tif?***\n"),
        ("cut: &X-Amz-Signature=5ec&x=1", "cut: &X-Amz-Signature=***&x=1"),
        ("#access_token=5ec, password=5ec", "#access_token=***, password=***"),
        ("/vsicurl?url=https%3A%2F%2Fu%3Ap%40h", "/vsicurl?***"),
    ],
)
def test_addresses_without_secrets(text: str, right: str) -> None:
    assert masked(text) == right
    assert masked(right) == right


@pytest.mark.parametrize(
    "text",
    [
        "gs://bucket/land, a@b.c, /a/b?c",
        "ghcr.io/a/skymill:1.0@sha256:0f0f",
        "group_pattern: '(?P<a>x=1)' needs one group; tile_????.tif",
        "config=a.yaml, key=roofs, monitor=val_loss, tokens=3",
    ],
)
def test_what_gives_no_access_stays(text: str) -> None:
    assert masked(text) == text


def test_a_document_is_masked_all_through() -> None:
    tree = {"a": [AZURE, 1, None], "b": {"c": (S3, True)}}
    shown = json.dumps(masked_tree(tree))
    assert "5ec" not in shown
    assert masked_tree(tree)["a"] == ["https://a.blob.core.windows.net/c/a.tif?***", 1, None]


def test_an_error_of_ours_never_tells_a_secret() -> None:
    for error in (DataError(f"{S3}: 403"), pickle.loads(pickle.dumps(DataError(f"{S3}: 403")))):
        assert str(error) == "https://b.s3.amazonaws.com/a.tif?*** 403"
        assert "5ec" not in f"{error!r} {error}"


def test_a_reject_is_written_without_the_secrets_of_its_place() -> None:
    line = Reject("a.tif", AZURE, Reason.UNREADABLE, f"HTTP 403 at {AZURE}").to_json()
    assert "5ec" not in line
    assert json.loads(line)["uri"] == "https://a.blob.core.windows.net/c/a.tif?***"


@pytest.mark.parametrize(
    ("address", "right"),
    [
        (S3, "https://b.s3.amazonaws.com/a.tif"),
        (AZURE, "https://a.blob.core.windows.net/c/a.tif"),
        (GOOGLE, "https://storage.googleapis.com/b/a.tif"),
        (CLOUDFRONT, "https://d1.cloudfront.net/a.tif"),
        ("https://u:p@h/tile?id=7&token=5ec", "https://h/tile?id=7"),
        ("gs://bucket/a b/c#1.tif", "gs://bucket/a b/c#1.tif"),
        ("viewfs:///a/b.tif", "viewfs:///a/b.tif"),
    ],
)
def test_the_same_image_has_the_same_name_however_its_address_is_signed(
    address: str, right: str
) -> None:
    assert unsigned(address) == right
