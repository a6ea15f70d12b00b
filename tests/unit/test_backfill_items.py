"""Items of Distributed Map, as Step Functions documents them, become uploads."""

import pytest

from functions.inference.upload import Upload, parse_batch

PREFIX = {"reader": "prefix", "bucket": "uploads"}
INVENTORY = {"reader": "inventory", "bucket": "uploads"}


def listed(key):
    return {
        "Etag": '"05704fbdccb224cb01c59005bebbad28"',
        "Key": key,
        "LastModified": 1668699881,
        "Size": 34910,
        "StorageClass": "STANDARD",
    }


def test_a_listed_object_is_in_the_bucket_of_the_batch():
    (upload,) = parse_batch({"BatchInput": PREFIX, "Items": [listed("2026/gate 3/ü+%20.jpg")]})

    assert upload == Upload("uploads", "2026/gate 3/ü+%20.jpg", None, "05704fbdccb224cb01c59005bebbad28")


def test_a_row_of_an_inventory_has_its_bucket_and_an_encoded_key():
    row = {
        "Bucket": "uploads",
        "Key": "gate+3/%C3%BC%2B%2520.jpg",
        "Size": "1",
        "ETag": "e1",
        "VersionId": "v1",
    }

    assert parse_batch({"BatchInput": INVENTORY, "Items": [row]}) == [
        Upload("uploads", "gate 3/ü+%20.jpg", "v1", "e1")
    ]


def test_missing_columns_of_an_inventory_are_unknown():
    rows = [{"Bucket": "b", "Key": "a.jpg"}, {"Bucket": "b", "Key": "b.jpg", "ETag": "", "VersionId": ""}]

    assert parse_batch({"BatchInput": INVENTORY, "Items": rows}) == [
        Upload("b", "a.jpg"),
        Upload("b", "b.jpg"),
    ]


def test_older_versions_and_deletions_are_left_out():
    rows = [
        {"Bucket": "b", "Key": "now.jpg", "IsLatest": "true", "IsDeleteMarker": "false"},
        {"Bucket": "b", "Key": "before.jpg", "IsLatest": "false", "IsDeleteMarker": "false"},
        {"Bucket": "b", "Key": "deleted.jpg", "IsLatest": "true", "IsDeleteMarker": "true"},
    ]

    assert [upload.key for upload in parse_batch({"BatchInput": INVENTORY, "Items": rows})] == ["now.jpg"]


def test_objects_not_named_like_pictures_are_scored_too():
    keys = ["a.jpg", "B.Jpg", "c.HeIc", "notes.txt", "snapshot", "x.jfif", "photo.jpg?v=1"]

    found = parse_batch({"BatchInput": PREFIX, "Items": [listed(key) for key in keys]})

    assert [upload.key for upload in found] == keys


def test_an_unknown_reader_is_refused():
    with pytest.raises(ValueError, match="'parquet'"):
        parse_batch({"BatchInput": {"reader": "parquet"}, "Items": []})
