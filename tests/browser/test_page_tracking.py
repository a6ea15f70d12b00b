"""Tracking and label smoothing: the page's functions, run in the browser."""

import random
from itertools import pairwise

import pytest

from maskwatch.track import NOBODY, Face
from maskwatch.track import follow as follow_on_the_command_line
from tests.browser.answers import REST, face
from tests.tracking import ALERT_AFTER, CASES, expected, faces_of, state


@pytest.fixture(scope="module")
def run(browser, stack):
    """Run a script in the page, with the exports of track.js and pace.js in `$` and an argument in `given`."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(stack)

    def call(program, given=None):
        modules = "const $ = { ...(await import('/page/track.js')), ...(await import('/page/pace.js')) };"
        return page.evaluate(f"async (given) => {{ {modules} {program} }}", given)

    yield call
    context.close()


# given: [seconds, faces] of each frame, and settings
FOLLOW = """
  const settings = { ...$.DEFAULTS, ...given.settings };
  let known = $.NOBODY;
  return given.frames.map(([now, faces]) => {
    known = $.follow(known, faces, now, settings);
    return {
      people: known.tracks.map(({ id, label, seen, probabilities }) => ({ id, label, seen, probabilities })),
      counts: $.tally(known, settings),
      bare: $.withoutMask(known, now, 1, settings).map(({ id }) => id),
    };
  });
"""


def follow(run, frames, **settings):
    return run(FOLLOW, {"frames": frames, "settings": settings})


def labels(answers):
    return [answer["people"][0]["label"] for answer in answers]


def changes(sequence):
    return sum(a != b for a, b in pairwise(sequence))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_people_are_tracked_as_specified(run, case):
    assert ALERT_AFTER == 1  # as FOLLOW has it
    answers = follow(run, [[frame["at"], faces_of(frame)] for frame in case["frames"]], **case["settings"])

    seen = [
        state(
            [(person["id"], person["label"], person["probabilities"]) for person in answer["people"]],
            answer["counts"],
            answer["bare"],
        )
        for answer in answers
    ]
    assert seen == expected(case)


@pytest.mark.parametrize("seed", range(5))
def test_the_command_line_and_the_page_track_crowds_identically(run, seed):
    chance = random.Random(seed)  # noqa: S311 -- no secret
    walkers = [[chance.uniform(0, 600), chance.uniform(0, 400)] for _ in range(12)]
    frames, now = [], 0.0
    for _ in range(200):
        now += chance.choice([0.05, 0.2, 0.2, 0.2, 1.2])
        for walker in walkers:
            walker[:] = [side + chance.gauss(0, 12) for side in walker]
        seen = [walker for walker in walkers if chance.random() < 0.7]
        faces = [face(chance.choice([*REST]), chance.uniform(0.4, 1), (*walker, 80, 100)) for walker in seen]
        frames.append([now, faces])

    known, expected_people = NOBODY, []
    for when, faces in frames:
        known = follow_on_the_command_line(
            known, [Face(each["box"], each["probabilities"]) for each in faces], when
        )
        expected_people.append(
            [[track.id, track.label, track.seen, dict(track.probabilities)] for track in known.tracks]
        )
    people = [
        [
            [person["id"], person["label"], person["seen"], person["probabilities"]]
            for person in answer["people"]
        ]
        for answer in follow(run, frames)
    ]
    assert known.next > 20
    for there, here in zip(people, expected_people, strict=True):
        assert [each[:3] for each in there] == [each[:3] for each in here]
        for (*_, chances), (*_, own) in zip(there, here, strict=True):
            assert chances == pytest.approx(own, abs=1e-12)


@pytest.mark.parametrize("rate", [2, 10, 30])
def test_a_change_takes_equally_long_at_any_frame_rate(run, rate):
    frames = [[i / rate, [face("mask" if i < 5 * rate else "no_mask")]] for i in range(10 * rate)]
    last_with = 5 - 1 / rate
    after = labels(follow(run, frames)).index("no_mask") / rate - last_with
    assert 0.3 <= after <= 0.5 + 1 / rate


def test_a_label_changes_with_hysteresis(run):
    def near(share):
        return face("mask", share) | {"probabilities": {"mask": share, "no_mask": 1 - share, "incorrect": 0}}

    hovering = [[i / 10, [near(0.55 if i % 20 < 10 else 0.45)]] for i in range(100)]
    assert changes(labels(follow(run, hovering, steadiness=0.1))) == 0
    assert changes(labels(follow(run, hovering, steadiness=0.1, margin=0))) > 5


def test_smoothed_values_are_probabilities(run):
    frames = [[i / 10, [face("mask" if i % 3 else "incorrect", 0.9)]] for i in range(30)]
    for answer in follow(run, frames):
        assert sum(answer["people"][0]["probabilities"].values()) == pytest.approx(1)


def test_a_face_with_little_overlap_is_another_person(run):
    beside = [
        [i / 10, [face(box=(0 if i < 10 else 80, 0, 100, 100))]] for i in range(30)
    ]  # a ninth is shared
    assert follow(run, beside)[-1]["counts"]["people"] == 2
    assert follow(run, beside, overlap=0.05)[-1]["counts"]["people"] == 1


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ((0, 0, 2, 2), (0, 0, 2, 2), 1),
        ((0, 0, 2, 2), (1, 0, 2, 2), 1 / 3),
        ((0, 0, 2, 2), (2, 0, 2, 2), 0),
        ((0, 0, 4, 4), (1, 1, 2, 2), 1 / 4),
    ],
)
def test_overlap_is_intersection_over_union(run, a, b, share):
    boxes = [face(box=box)["box"] for box in (a, b)]
    assert run("return $.iou(...given);", boxes) == pytest.approx(share)


def test_frames_get_smaller_while_answers_are_slow_and_larger_again(run):
    program = """
      let pace = $.START;
      return given.map((ms) => (pace = $.answered(pace, ms)).side);
    """
    sides = run(program, [400] * 40 + [20] * 100)
    assert sides[0] == 640
    assert min(sides) == sides[39] == 320
    assert sides[-1] == 960
    assert run(program, [100] * 100)[-1] == 640  # neither
    assert run(program, [60, 200, 200] * 30)[-1] < 640


def test_single_slow_answers_do_not_make_frames_smaller(run):
    program = """
      let pace = $.START;
      return given.map((ms) => (pace = $.answered(pace, ms)).side);
    """
    assert run(program, [20_000] + [100] * 50)[-1] == 640  # the first starts a function, or waits for the key
    assert run(program, ([100] * 9 + [3000]) * 10)[-1] == 640


def test_waits_grow_to_half_a_minute_and_end_with_an_answer(run):
    program = """
      let pace = $.START;
      const waits = given.map((refusal) => {
        const next = $.refused(pace, refusal);
        pace = next.pace;
        return next.wait;
      });
      return [waits, $.refused($.answered(pace, 50), given[0]).wait];
    """
    assert run(program, [{"status": 503, "after": 0}] * 7) == [[1, 2, 4, 8, 16, 30, 30], 1]
    assert run(program, [{"status": 429, "after": 7}] * 2)[0] == [7, 7]


def test_throttling_slows_the_pace_and_answers_raise_it(run):
    program = """
      let { pace } = $.refused($.refused($.START, given).pace, given);
      const slowed = $.interval(pace, 10);
      for (let i = 0; i < 200; i += 1) pace = $.answered(pace, 50);
      return [$.interval($.START, 10), slowed, $.interval(pace, 10)];
    """
    assert run(program, {"status": 429, "after": 0}) == [100, 400, 100]
    assert run(program, {"status": 500, "after": 0}) == [100, 100, 100]
