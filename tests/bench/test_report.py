"""What a benchmark says of its figures, and when it fails."""

import orjson

from bench.report import Figure, Goal, Report, Reports, Sense, quantile


def report(*figures: Figure) -> Report:
    """A report of these figures."""
    return Report("dispatch", "some work", figures, "a machine")


def test_a_figure_is_held_against_its_goal_in_the_goals_own_sense() -> None:
    assert Figure("ratio", 0.5, goal=Goal(Sense.AT_LEAST, 0.5)).met
    assert not Figure("ratio", 0.49, goal=Goal(Sense.AT_LEAST, 0.5)).met
    assert not Figure("lateness", 21.0, goal=Goal(Sense.AT_MOST, 20)).met
    assert not Figure("lost", 1, goal=Goal(Sense.EXACTLY, 0)).met
    assert Figure("rate", 1.0).met


def test_one_missed_goal_is_said_in_words_and_fails_the_report() -> None:
    good, bad = (Figure("lost", lost, goal=Goal(Sense.EXACTLY, 0)) for lost in (0, 3))
    assert report(good).met
    missed = report(good, bad)
    assert not missed.met
    assert "MISSED (goal = 0)" in missed.as_text()
    assert missed.as_text().endswith("A GOAL IS MISSED")
    assert [figure["met"] for figure in missed.as_json()["figures"]] == [True, False]


def test_a_goal_that_is_not_checked_is_told_and_fails_nothing() -> None:
    late = report(Figure("lateness p99", 50.0, "ms", Goal(Sense.AT_MOST, 20, checked=False)))
    assert late.met
    assert not late.all_met
    assert "MISSED (goal <= 20)" in late.as_text()
    assert late.as_text().endswith("ONE THAT IS ONLY TOLD IS MISSED")
    many = Reports("all", [("pacing", late), ("dispatch", report(Figure("rate", 1.0)))], "a machine")
    assert (many.as_json()["met"], many.as_json()["all_met"]) == (True, False)
    assert many.as_text().endswith("ONE THAT IS ONLY TOLD IS MISSED")


def test_a_report_with_every_goal_met_says_so() -> None:
    assert report(Figure("lost", 0, goal=Goal(Sense.EXACTLY, 0))).as_text().endswith("every goal is met")


def test_a_quantile_is_a_value_that_was_measured() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0], 0.99) == 1.0
    assert quantile([], 0.99) == 0.0


def test_a_report_survives_its_way_through_json() -> None:
    first = report(Figure("rate", 2.5, "/s"), Figure("lost", 3, goal=Goal(Sense.EXACTLY, 0, checked=False)))
    assert Report.from_json(orjson.loads(orjson.dumps(first.as_json()))).as_text() == first.as_text()


def test_a_run_that_was_skipped_says_why_and_misses_nothing() -> None:
    skipped = Report("compare celery", "some work", [], "a machine", skipped="no redis-server is found")
    assert skipped.met
    assert "skipped: no redis-server is found" in skipped.as_text()
    assert skipped.verdict == "skipped: no redis-server is found"


def test_the_verdict_of_many_has_a_line_for_each_and_names_what_was_missed() -> None:
    good = report(Figure("rate", 1.0), Figure("lost", 0, goal=Goal(Sense.EXACTLY, 0)))
    bad = report(Figure("lost", 3, goal=Goal(Sense.EXACTLY, 0)))
    both = Reports("all", [("dispatch sqlite", good), ("crash", bad)], "a machine")
    assert not both.met
    lines = both.as_text().splitlines()
    assert "dispatch sqlite  met, all 1 goals" in lines
    assert "crash            lost 3, MISSED (goal = 0)" in lines
    assert [told["title"] for told in both.as_json()["reports"]] == ["dispatch sqlite", "crash"]
