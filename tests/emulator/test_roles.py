"""No role has a right too many: each that is taken away is missed, by its function's job or by a documented call."""

import os

from tests.emulator.calls import CALLS, wrong_calls
from tests.emulator.removals import UNNOTICED, page, survey
from tests.emulator.template import PROJECT

PAGE = PROJECT / "docs" / "roles.md"


def test_every_role_allows_what_services_do_with_it_and_no_more(stack):
    assert {role: wrong_calls(role, stack) for role in CALLS} == {role: [] for role in CALLS}


def test_every_right_is_missed_and_the_page_says_so(stack, everything):
    found = survey([stack, everything])

    if "WRITE_ROLES" in os.environ:
        PAGE.write_text(page(found))
    assert {(each.role, each.what) for each, notice in found.items() if not notice} == UNNOTICED.keys()
    assert PAGE.read_text() == page(found), "make roles writes it anew"
