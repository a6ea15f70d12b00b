"""Whether a rule is violated, and whether an alert is over: pure functions of buckets and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.alerts.counts import SECONDS, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.alerts.counts import Bucket, Seen
    from functions.alerts.rules import Rule, Rules


def find_violation(
    buckets: Sequence[Bucket], rules: Rules, rule: Rule, since: float, ended: float
) -> tuple[float, Seen] | None:
    """Return the end of the first window that violates a rule, Unix time, and what was seen in it.

    Records come late and in any order, so every window is looked at that may hold one that has just come.

    Args:
        buckets: Of a source in the order of time, from a window's length before the new records to one after.
        rules: The document that the rule is of.
        rule: Of the source.
        since: Time of the oldest new record.
        ended: When the last alert was over, 0 if there was none; nothing before it counts again.
    """
    awake = [one for one in buckets if one.start >= ended and not rules.is_quiet(rule, one.start)]
    for last, bucket in enumerate(awake):
        end = bucket.start + SECONDS
        if end <= since or end <= ended + 60 * rule.cool_down_minutes:
            continue
        seen = total(
            [one for one in awake[: last + 1] if one.start >= end - 60 * rule.minutes], rule.min_level
        )
        if seen.violations and seen.faces >= rule.min_faces and seen.share >= rule.share:
            return end, seen
    return None


def is_over(buckets: Sequence[Bucket], rules: Rules, rule: Rule | None, started: float, now: float) -> bool:
    """Return whether an alert is over: for the rule's minutes there were too few violations, or hardly any faces.

    These are fewer than half as many a minute as an alert needs to begin, or else one person without a mask now and
    then keeps it on for days, and the next crowd raises none. Faces of quiet hours do not count, so it ends in them.

    Args:
        buckets: Of the source, in the order of time.
        rules: The document that the rule is of.
        rule: Of the source; None, and with it the alert, if it was taken away meanwhile.
        started: When the alert began, Unix time.
        now: Unix time.
    """
    if rule is None:
        return True
    since = now - 60 * rule.over_minutes
    if started > since:
        return False
    awake = [one for one in buckets if one.start + SECONDS > since and not rules.is_quiet(rule, one.start)]
    seen = total(awake, rule.min_level)
    if rule.share and 2 * seen.faces * rule.minutes < rule.min_faces * rule.over_minutes:
        return True
    return not seen.violations or seen.share < rule.share
