"""Settings are read from the environment."""

import pytest

from functions.inference.settings import BatchSettings, Settings, read_batch_settings, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings("", "", 0.0, "*", "MaskWatch", "local", 1)


def test_the_environment_is_read() -> None:
    environment = {
        "MODEL_URI": "s3://models/7/",
        "CHALLENGER_URI": "s3://models/8/",
        "CHALLENGER_SHARE": "12.5",
        "CORS_ORIGIN": "https://example.com",
        "POWERTOOLS_METRICS_NAMESPACE": "Mine",
        "POWERTOOLS_SERVICE_NAME": "predict",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538",
    }
    assert read_settings(environment) == Settings(
        "s3://models/7/", "s3://models/8/", 12.5, "https://example.com", "Mine", "predict", 2
    )


@pytest.mark.parametrize("share", ["101", "-1", "half", "nan"])
def test_an_invalid_share_is_refused(share: str) -> None:
    with pytest.raises(RuntimeError, match="CHALLENGER_SHARE"):
        read_settings({"CHALLENGER_SHARE": share})


@pytest.mark.parametrize(
    ("memory", "threads"), [(128, 1), (1024, 1), (1769, 1), (2048, 1), (3008, 2), (5307, 3), (10_240, 6)]
)
def test_the_number_of_threads_depends_on_the_memory(memory: int, threads: int) -> None:
    assert read_settings({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory)}).threads == threads


BATCH = {
    "UPLOADS_BUCKET": "uploads",
    "RESULTS_BUCKET": "results",
    "DEAD_LETTERS_URL": "https://sqs/dead",
    "MAX_RECEIVES": "5",
}


def test_settings_of_batch_are_read() -> None:
    assert read_batch_settings(BATCH) == BatchSettings("uploads", "results", "https://sqs/dead", 5)


@pytest.mark.parametrize("name", BATCH)
def test_settings_of_batch_have_no_defaults(name: str) -> None:
    with pytest.raises(RuntimeError, match=name):
        read_batch_settings({key: value for key, value in BATCH.items() if key != name})
