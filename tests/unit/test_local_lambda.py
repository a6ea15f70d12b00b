"""The local Lambda runs functions as Lambda does."""

import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest

from infra.local import function
from infra.local.errors import FunctionError, RequestTooLargeError, TooManyRequestsError
from infra.local.function import Function, FunctionConfig
from tests.system import python


@pytest.fixture
def lines():
    return []


@pytest.fixture
def started(tmp_path, lines):
    """Return a function that starts a Lambda function from source code."""
    made = []

    def make(source, **changes):
        (tmp_path / "app.py").write_text(dedent(source))
        settings = {
            "name": "stack-Function-1",
            "arn": "arn:aws:lambda:us-east-1:123456789012:function:stack-Function-1",
            "handler": "app.handler",
            "code": tmp_path,
            "environment": {"COLOUR": "blue"},
            "timeout": 5.0,
            "memory": 1769,
            "log_group": "group",
        }
        config = FunctionConfig(**(settings | changes))
        made.append(Function(config, lambda group, stream, line: lines.append((group, stream, line))))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def test_the_environment_is_that_of_the_template_and_of_lambda(started, monkeypatch):
    monkeypatch.setenv("OF_THIS_PROCESS", "1")
    environment = started("""
        import os
        def handler(event, context):
            return dict(os.environ)
    """).invoke({})

    assert environment["COLOUR"] == "blue"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "1769"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "stack-Function-1"
    assert environment["AWS_REGION"] == "us-east-1"
    assert "OF_THIS_PROCESS" not in environment


def test_the_project_is_not_on_the_path_of_a_function_of_its_own_folder(started):
    path = started("""
        import sys
        def handler(event, context):
            return sys.path
    """).invoke({})

    assert str(function.PROJECT) not in path


def test_the_context_is_lambdas(started):
    context = started("""
        def handler(event, context):
            return [context.function_name, context.memory_limit_in_mb, context.invoked_function_arn,
                    len(context.aws_request_id), context.log_group_name, context.get_remaining_time_in_millis()]
    """).invoke({})

    arn = "arn:aws:lambda:us-east-1:123456789012:function:stack-Function-1"
    assert context[:-1] == ["stack-Function-1", 1769, arn, 36, "group"]
    assert 0 < context[-1] <= 5000


def test_a_process_is_reused_for_the_next_event(started):
    counter = started("""
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            return calls
    """)

    assert [counter.invoke({}) for _ in range(3)] == [1, 2, 3]


def test_concurrent_events_run_in_separate_processes(started):
    waits = started("""
        import os, time
        def handler(event, context):
            time.sleep(0.5)
            return os.getpid()
    """)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(waits.invoke({}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 4
    assert len(set(answers)) == function.CONCURRENCY


def test_with_all_processes_busy_an_event_is_throttled_after_a_wait(started, monkeypatch):
    busy = started("""
        import time
        def handler(event, context):
            time.sleep(3)
    """)
    threads = [threading.Thread(target=busy.invoke, args=({},)) for _ in range(function.CONCURRENCY)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)

    monkeypatch.setattr(function, "WAIT_SECONDS", 0.1)
    with pytest.raises(TooManyRequestsError):
        busy.invoke({})
    for thread in threads:
        thread.join()


@pytest.fixture
def queued(monkeypatch):
    """A semaphore that is released for each event that is queued; one process takes them."""
    released = threading.Semaphore(0)

    class Executor(ThreadPoolExecutor):
        def submit(self, *arguments):
            future = super().submit(*arguments)
            released.release()
            return future

    monkeypatch.setattr(function, "ThreadPoolExecutor", Executor)
    monkeypatch.setattr(function, "CONCURRENCY", 1)
    return released


BLOCKS = """
    import os, time
    handled = []
    def handler(event, context):
        handled.append(event["name"])
        while not os.path.exists(event["until"]):
            time.sleep(0.01)
        return handled
"""


def test_no_event_overtakes_one_that_waits(started, queued, tmp_path):
    blocks, release = started(BLOCKS, timeout=60.0), tmp_path / "release"

    def invoke(*names):
        return [blocks.invoke({"name": name, "until": str(release)}) for name in names]

    with ThreadPoolExecutor(2) as pool:
        ends = pool.submit(invoke, "first", "third")  # its thread asks again as soon as it has its answer
        queued.acquire()
        pool.submit(invoke, "second")
        queued.acquire()
        release.touch()

    assert ends.result()[1] == ["first", "second", "third"]


def test_events_of_a_stopped_function_fail_at_once(started, queued, tmp_path, monkeypatch):
    monkeypatch.setattr(function, "WAIT_SECONDS", 60.0)
    blocks = started(BLOCKS, timeout=60.0)
    with ThreadPoolExecutor(2) as pool:
        events = [
            pool.submit(blocks.invoke, {"name": "", "until": str(tmp_path / "never")}) for _ in range(2)
        ]
        for _ in events:
            queued.acquire()
        while not blocks._live._processes[0]:  # noqa: SLF001 -- a process that is not yet there is not stopped
            time.sleep(0.01)
        blocks.stop()

        assert all(isinstance(event.exception(timeout=30), FunctionError) for event in events)
    with pytest.raises(FunctionError, match="stopped"):
        blocks.invoke({})


def test_output_is_logged(started, lines):
    writes = started("""
        import sys
        print("while importing")
        def handler(event, context):
            print("to standard output")
            print("to standard error", file=sys.stderr)
    """)
    writes.invoke({})
    for _ in range(100):
        if len(lines) == 3:
            break
        time.sleep(0.05)

    assert {line for _, _, line in lines} == {"while importing", "to standard output", "to standard error"}
    assert {group for group, _, _ in lines} == {"group"}
    assert "[$LATEST]" in lines[0][1]


def test_a_timeout_is_a_failure_and_the_next_event_gets_a_new_process(started, lines):
    slow = started(
        """
        import os, time
        def handler(event, context):
            time.sleep(event)
            return os.getpid()
    """,
        timeout=1.0,
    )
    first = slow.invoke(0)

    with pytest.raises(FunctionError, match=r"timed out after 1\.00 seconds"):
        slow.invoke(10)

    assert slow.invoke(0) != first
    assert any("Task timed out after 1.00 seconds" in line for _, _, line in lines)


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "sys.exit(1)"])
def test_a_crash_is_a_failure_and_the_next_event_is_served(started, end):
    fragile = started(f"""
        import os, sys
        def handler(event, context):
            if event:
                {end}
            return "served"
    """)

    with pytest.raises(FunctionError, match="exit"):
        fragile.invoke(True)  # noqa: FBT003 -- an event

    assert fragile.invoke(False) == "served"  # noqa: FBT003 -- an event


def test_the_output_of_a_process_that_dies_is_logged(started, lines):
    fragile = started("""
        import os
        def handler(event, context):
            print("before")
            os._exit(3)
    """)

    with pytest.raises(FunctionError, match="exit"):
        fragile.invoke({})
    for _ in range(100):
        if "before" in [line for _, _, line in lines]:
            return
        time.sleep(0.05)
    pytest.fail(f"only {lines} was logged")


def test_an_exception_is_a_failure_and_the_process_continues(started):
    raises = started("""
        import os
        def handler(event, context):
            if event == "bad":
                raise ValueError("no good")
            return os.getpid()
    """)
    first = raises.invoke("good")

    with pytest.raises(FunctionError, match="ValueError: no good"):
        raises.invoke("bad")

    assert raises.invoke("good") == first


@pytest.mark.parametrize("source", ["import no_such_module", "raise ValueError('checksum')", "1 / 0", ""])
def test_an_import_error_is_reported_at_the_start(started, source):
    with pytest.raises(FunctionError, match="Error"):
        started(source).start()


def test_payloads_above_lambda_s_limit_are_refused(started):
    echo = started("""
        def handler(event, context):
            return event * 2
    """)

    with pytest.raises(RequestTooLargeError):
        echo.invoke("x" * (function.MAX_PAYLOAD + 1))
    with pytest.raises(FunctionError, match="exceeds Lambda's limit"):
        echo.invoke("x" * (function.MAX_PAYLOAD - 10))
    assert echo.invoke("ab") == "abab"


def test_an_answer_that_is_not_json_is_a_failure(started):
    with pytest.raises(FunctionError, match="TypeError"):
        started("def handler(event, context): return object()").invoke({})


def test_a_process_ends_with_its_parent_even_during_an_event(tmp_path):
    handler = """
        import pathlib, time
        def handler(event, context):
            pathlib.Path(event).touch()
            time.sleep(600)
    """
    (tmp_path / "app.py").write_text(dedent(handler))
    script = f"""
        import os, time
        from infra.local.function import Function, FunctionConfig
        from pathlib import Path
        from threading import Thread
        config = FunctionConfig("name", "arn", "app.handler", Path({str(tmp_path)!r}), {{}}, 900.0, 128, "group")
        function = Function(config, print)
        function.start()
        Thread(target=function.invoke, args=["{tmp_path}/begun"], daemon=True).start()
        while not os.path.exists("{tmp_path}/begun"):
            time.sleep(0.01)
        print(function._live._processes[-1]._child.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    killed = python("-c", dedent(script))

    pid = int(killed.stdout)
    for _ in range(600):
        state = subprocess.run(
            ["ps", "-o", "state=", "-p", str(pid)], check=False, capture_output=True, text=True
        )
        if state.stdout.strip() in {"", "Z"}:
            break
        time.sleep(0.1)
    else:
        pytest.fail("it runs still")
