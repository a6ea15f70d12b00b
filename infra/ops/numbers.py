"""Numbers on the command line."""

from __future__ import annotations

from maskwatch.arguments import checked

positive_count = checked(int, lambda number: number >= 1, "a whole number, at least 1")
positive_share = checked(float, lambda number: 0 < number <= 1, "a share: give a number above 0, at most 1")
percentage = checked(float, lambda number: 0 <= number <= 100, "a percentage: give a number from 0 to 100")
