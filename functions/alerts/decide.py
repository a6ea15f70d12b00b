"""Decides whether a rule is violated and whether an alert is over: pure functions of buckets and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.alerts.counts import BUCKET_SECONDS, count_faces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from functions.alerts.counts import Bucket, FaceCounts
    from functions.alerts.rules import Rule, Rules


def find_violation(
    buckets: Sequence[Bucket], rules: Rules, rule: Rule, since: float, ended: float
) -> tuple[float, FaceCounts] | None:
    """Return the end (Unix time) and the counts of the first window that violates a rule, or None.

    Records arrive late and in any order, so every window that may contain a new record is checked.

    Args:
        buckets: The source's buckets in chronological order, from one window before the new records to one after.
        rules: The document that contains the rule.
        rule: The source's rule.
        since: Time of the oldest new record.
        ended: When the source's last alert ended, 0 if there was none; earlier faces do not count again.
    """
    awake = [bucket for bucket in buckets if bucket.start >= ended and not rules.is_quiet(rule, bucket.start)]
    for last, newest in enumerate(awake):
        end = newest.start + BUCKET_SECONDS
        if end <= since or end <= ended + 60 * rule.cool_down_minutes:
            continue
        window = [bucket for bucket in awake[: last + 1] if bucket.start >= end - 60 * rule.minutes]
        counts = count_faces(window, rule.min_step, others=not rule.min_share)
        if counts.violations and counts.faces >= rule.min_faces and counts.share >= rule.min_share:
            return end, counts
    return None


def counted_until(buckets: Sequence[Bucket], rule: Rule, now: float) -> float:
    """Return the Unix time up to which a source's pictures are counted: before `now` while they are scored late."""
    if is_silent(buckets, rule, now):
        return now
    return now - max(buckets[-1].written - (buckets[-1].start + BUCKET_SECONDS), 0)


def is_silent(buckets: Sequence[Bucket], rule: Rule, now: float) -> bool:
    """Return whether no picture of a source was scored for `over_minutes`."""
    return not buckets or buckets[-1].written < now - 60 * rule.over_minutes


def is_over(buckets: Sequence[Bucket], rules: Rules, rule: Rule, started: float, now: float) -> bool:
    """Return whether an alert is over: for `over_minutes`, the share was below the rule's, or faces were few.

    Few means fewer than half the faces per minute that the rule needs for an alert. Otherwise a single person without
    a mask now and then would keep the alert open for days, and the next crowd would raise none. Faces in quiet hours
    do not count, so quiet hours end an alert.

    Args:
        buckets: The source's buckets in chronological order.
        rules: The document that contains the rule.
        rule: The source's rule.
        started: When the alert began, Unix time.
        now: Unix time up to which pictures are counted.
    """
    since = now - 60 * rule.over_minutes
    if started > since:
        return False
    recent = [bucket for bucket in buckets if bucket.start + BUCKET_SECONDS > since]
    awake = [bucket for bucket in recent if not rules.is_quiet(rule, bucket.start)]
    counts = count_faces(awake, rule.min_step, others=not rule.min_share)
    if rule.min_share and 2 * counts.faces * rule.minutes < rule.min_faces * rule.over_minutes:
        return True
    return not counts.violations or counts.share < rule.min_share
