"""What functions write is delivered to CloudWatch Logs, and shown on the terminal if it tells something."""

from unittest.mock import Mock

from infra.local.logs import LogForwarder


def test_the_runtime_s_greeting_is_logged_but_not_shown(capsys):
    greeting = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
    logs = Mock()
    forwarder = LogForwarder(lambda _: logs)

    for line in (greeting, "[WARNING] a message"):
        forwarder.put("group", "stream", line)
    forwarder.stop()

    assert capsys.readouterr().err == "[WARNING] a message\n"
    delivered = [one for call in logs.put_log_events.call_args_list for one in call.kwargs["logEvents"]]
    assert [event["message"] for event in delivered] == [greeting, "[WARNING] a message"]
