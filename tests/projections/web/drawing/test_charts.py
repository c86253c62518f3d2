"""Charts and maps: only elements and attributes that the policy allows."""

from datetime import date
from xml.etree import ElementTree

from markupsafe import Markup

from projections.web.drawing.charts import Series, draw_lines, draw_stack
from projections.web.drawing.heat_map import HourCount, draw_heat_map, find_worst
from projections.web.drawing.timelines import draw_phase_bar

HOSTILE = '"><script>alert(1)</script>\u202e'
ALLOWED = {"svg", "g", "path", "text", "rect", "circle", "title", "a"}


def read(picture: Markup) -> ElementTree.Element:
    root = ElementTree.fromstring(str(picture))
    for element in root.iter():
        assert element.tag in ALLOWED
        assert not {"style", "target", "onclick", "rx"} & set(element.attrib) - {"rx"}
        assert "style" not in element.attrib
    return root


def test_a_stack_has_a_title_for_each_piece_and_is_small() -> None:
    days = [f"day {it}" for it in range(7)]
    series = [
        Series("completed", "completed", [9, 9, None, 9, 9, 9, 9]),
        Series(HOSTILE, "failed", [1, None, 1, 1, 1, 1, 1]),
    ]
    picture = draw_stack("Outcomes", days, days, series, lambda it: f"{it:g}")
    titles = [it.text for it in read(picture).iter("title")]
    assert titles[0] == "day 0: completed 9"
    assert len(titles) == 12
    assert "day 2: completed 9" not in titles
    assert len(picture) < 6_000
    assert "<script" not in picture
    assert "\u202e" not in picture


def test_lines_have_a_dot_with_a_title_for_each_value() -> None:
    days = [f"day {it}" for it in range(4)]
    picture = draw_lines(
        "Queued",
        days,
        days,
        [Series("p50", "p50", [2, None, 3, 4])],
        [1, 10, 60],
        lambda it: f"{it:g} s",
    )
    circles = list(read(picture).iter("circle"))
    assert [it.find("title").text for it in circles] == [  # type: ignore[union-attr]
        "day 0: p50 2 s",
        "day 2: p50 3 s",
        "day 3: p50 4 s",
    ]


def test_a_chart_without_values_is_drawn() -> None:
    read(draw_stack("Nothing", ["a"], ["a"], [], lambda it: f"{it:g}"))


def test_hours_with_three_failures_lead_to_their_runs() -> None:
    day = date(2026, 11, 24)
    hours = {(day, 3): HourCount(10, 2), (day, 14): HourCount(63, 35)}
    root = read(draw_heat_map([day], hours, lambda day, hour: f"runs?hour={hour}"))
    assert [it.get("href") for it in root.iter("a")] == ["runs?hour=14"]
    assert find_worst(hours) == (day, 14)
    assert find_worst({}) is None


def test_a_phase_bar_of_very_many_phases_is_small() -> None:
    bar = draw_phase_bar([(("queued", "in_progress")[it % 2], 1.0) for it in range(5_000)])
    assert len(bar) < 1_000
