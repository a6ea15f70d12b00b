"""`make run`: the whole stack on this machine, until interrupted."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

import boto3
from waitress.server import create_server

from infra.local.aws import moto_server
from infra.local.backfill import run_executions
from infra.local.clock import run_schedule
from infra.local.errors import LocalError
from infra.local.function import PROJECT, Function
from infra.local.gateway import MAX_BODY, Gateway, wsgi
from infra.local.invocations import application
from infra.local.logs import LogForwarder
from infra.local.poller import Poller
from infra.local.stack import Stack, deploy, function_configs
from infra.local.template import REGION, STACK_NAME, transformed_template
from infra.local.update import Updater

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY: Final = "local"


def main() -> None:
    """Run until interrupted; exit with 1 and the reason if the stack cannot start."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--port", type=int, default=3000, help="port of the API; 0 for any free one")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value for a parameter of template.yaml (repeatable)",
    )
    options = parser.parse_args()
    parameters = dict(given.split("=", 1) for given in options.parameter)
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"  # everything is on this machine
    try:
        listener = socket.create_server(("127.0.0.1", options.port))
    except OSError as error:
        sys.exit(f"cannot start: port {options.port}: {error.strerror}. Choose another: make run PORT=3001")
    try:
        with listener:
            _run(listener, parameters)
    except LocalError as error:
        sys.exit(f"cannot start: {error}")
    except KeyboardInterrupt:
        pass


def _run(listener: socket.socket, parameters: dict[str, str]) -> None:
    with ExitStack() as cleanup:
        invocations = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
        endpoint = cleanup.enter_context(
            moto_server(functions=f"http://127.0.0.1:{invocations.getsockname()[1]}")
        )
        session = boto3.Session("local", "local", region_name=REGION)

        def client(service: str) -> Any:
            return session.client(service, endpoint_url=endpoint)

        stack = deploy(transformed_template(PROJECT / "template.yaml", parameters), parameters, client)
        log = LogForwarder(client)
        cleanup.callback(log.stop)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        functions = [Function(config, log.put) for config in function_configs(stack, endpoint, url)]
        for function in functions:
            cleanup.callback(function.stop)
        with ThreadPoolExecutor() as pool:
            list(pool.map(Function.start, functions))
        by_name = {function.config.name: function for function in functions}
        updater = Updater(stack, by_name, endpoint, url, client)
        invoker = create_server(application(by_name, updater.update), sockets=[invocations], ident=None)
        Thread(target=invoker.run, daemon=True).start()
        by_arn = _by_arn(stack, by_name)
        for mapping in stack.of_type("AWS::Lambda::EventSourceMapping"):
            poller = Poller(mapping.properties, by_arn[mapping.properties["FunctionName"]], client)
            cleanup.callback(poller.stop)
        for schedule in stack.of_type("AWS::Scheduler::Schedule"):
            target = by_arn[schedule.properties["Target"]["Arn"]]
            _start(cleanup, run_schedule, schedule.properties, target)
        machine = stack.resources["Backfill"]
        definition, invoke = machine.properties["Definition"], lambda arn, event: by_arn[arn].invoke(event)
        _start(cleanup, run_executions, machine.name, definition, client, invoke)
        server = create_server(
            wsgi(_gateway(stack, by_arn)),
            sockets=[listener],
            threads=8,
            connection_limit=1000,  # silent ones count, too
            channel_timeout=30,
            ident=None,
            recv_bytes=65536,
            inbuf_overflow=2 * MAX_BODY,  # bodies stay in memory
        )
        _print_addresses(stack, url.rstrip("/"), endpoint)
        server.run()  # until interrupted


def _start(cleanup: ExitStack, loop: Callable[..., None], *arguments: Any) -> None:
    """Start a loop in its own thread; the cleanup sets the event that is its last argument, and waits for its end."""
    stopped = Event()
    thread = Thread(target=loop, args=[*arguments, stopped], daemon=True)
    thread.start()
    cleanup.callback(thread.join)
    cleanup.callback(stopped.set)


def _by_arn(stack: Stack, by_name: Mapping[str, Function]) -> dict[str, Function]:
    """Return the functions by what event sources call them: their names, ARNs and aliases' ARNs."""
    by_arn = {**by_name, **{function.config.arn: function for function in by_name.values()}}
    for alias in stack.of_type("AWS::Lambda::Alias"):
        by_arn[alias.name] = by_name[alias.properties["FunctionName"]]
    return by_arn


def _gateway(stack: Stack, by_arn: Mapping[str, Function]) -> Gateway:
    (api,) = stack.of_type("AWS::ApiGateway::RestApi")
    (stage,) = stack.of_type("AWS::ApiGateway::Stage")
    return Gateway(api.properties["Body"], stage.name, by_arn, keys={KEY})


def _print_addresses(stack: Stack, url: str, endpoint: str) -> None:
    buckets = "".join(f"\n    {bucket.name}" for bucket in stack.of_type("AWS::S3::Bucket"))
    groups = "".join(f"\n    {group.name}" for group in stack.of_type("AWS::Logs::LogGroup"))
    function, drift = (stack.resources[f"{name}Function"].name for name in ("Predict", "Drift"))
    sample, event = (
        shlex.quote(str(PROJECT / "events" / f"{name}.json")) for name in ("predict-json", "health")
    )
    region = f"AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}"  # AWS CLI and boto3 read one each
    text = f"""
MaskWatch runs at {url}/ with the API key {KEY!r}. Ctrl-C stops it and deletes its data.

Send it the picture of the sample event (this line works as pasted), or one of yours:
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["body"])' {sample} |
        curl -H 'x-api-key: {KEY}' -H 'content-type: application/json' --data-binary @- {url}/predict
    curl -H 'x-api-key: {KEY}' -F file=@face.jpg {url}/predict
    .venv/bin/maskwatch predict --url {url} face.jpg

The AWS services are at {endpoint} (moto). The commands below reach them in a shell with this line:
    export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local NO_PROXY=127.0.0.1 {region}
    aws s3 ls

Copy pictures into the uploads bucket; seconds later the results bucket has their results:
    aws s3 cp face.jpg s3://{stack.resources["UploadsBucket"].name}/
    aws s3 cp s3://{stack.resources["ResultsBucket"].name}/face.jpg.json -

Upload a folder and wait for its results; or score uploads that have no result of this model yet:
    make score DIR=photos/ URL={url}
    make backfill STACK={STACK_NAME} PREFIX=

Compliance and drift are computed from the records of the predictions, when you ask:
    aws lambda invoke --function-name {drift} /dev/stdout
    make drift STACK={STACK_NAME}    # also prints the findings; the first time, it installs 700 MB

Every function can be invoked by itself, as on AWS:
    aws lambda invoke --function-name {function} --payload fileb://{event} /dev/stdout

Buckets:{buckets}
Log groups:{groups}
"""
    print(text, flush=True)


if __name__ == "__main__":
    main()
