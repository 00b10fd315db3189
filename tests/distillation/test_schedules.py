"""Settings that change over training: what is read, what comes of it, and how it is recorded."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Annotated

import click
import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from compress.cli.options import click_options
from compress.cli.options import given as typed
from compress.core.errors import CompressError
from compress.core.settings import Settings, build
from compress.distillation.schedules import Schedule, bounded

FINITE = st.floats(-1e6, 1e6)
SCHEDULES = st.builds(Schedule, FINITE, FINITE, st.sampled_from(["linear", "cosine"])).map(
    lambda one: Schedule.of(one.start) if one.start == one.end else one
)


class Example(Settings):
    temperature: Annotated[Schedule, bounded(gt=0)] = Field(Schedule.of(4.0), description="Softens.")
    alpha: Annotated[Schedule, bounded(ge=0, le=1)] = Field(Schedule.of(0.5), description="Weight.")


class Former(Settings):
    """As the settings were when they could only be numbers."""

    temperature: float = Field(4.0, gt=0)
    alpha: float = Field(0.5, ge=0, le=1)


@pytest.mark.parametrize(
    ("given", "start", "middle", "end"),
    [
        (4, 4, 4, 4),
        ("0.5", 0.5, 0.5, 0.5),
        ("8..2", 8, 5, 2),
        ("0..1", 0, 0.5, 1),
        ("8.0 .. 2.5 linear", 8, 5.25, 2.5),
        ("8..2 cosine", 8, 5, 2),
        ("1e-3...5", 0.001, 0.2505, 0.5),
    ],
)
def test_what_a_user_writes_and_the_values_over_training(
    given: float | str, start: float, middle: float, end: float
) -> None:
    schedule = Schedule.of(given)
    assert (schedule.at(0), schedule.at(1)) == (start, end)
    assert schedule.at(0.5) == pytest.approx(middle)
    assert (schedule.lowest, schedule.highest) == (min(start, end), max(start, end))


def test_a_cosine_is_half_a_wave_and_a_line_is_straight() -> None:
    assert Schedule.of("8..2 cosine").at(0.25) == pytest.approx(2 + 6 * (1 + math.cos(math.pi / 4)) / 2)
    assert Schedule.of("8..2").at(0.25) == pytest.approx(6.5)


@given(SCHEDULES, st.floats(0, 1), st.floats(0, 1))
def test_values_go_from_start_to_end_and_never_back(schedule: Schedule, one: float, other: float) -> None:
    earlier, later = schedule.at(min(one, other)), schedule.at(max(one, other))
    slack = 1e-9 * max(1.0, abs(schedule.start), abs(schedule.end))
    assert (schedule.at(0), schedule.at(1)) == (schedule.start, schedule.end)
    assert schedule.lowest - slack <= earlier <= schedule.highest + slack
    assert (later - earlier) * (1 if schedule.end >= schedule.start else -1) >= -slack


@given(SCHEDULES)
def test_a_schedule_is_read_back_from_json_and_yaml_as_it_was(schedule: Schedule) -> None:
    class Free(Settings):
        value: Schedule

    settings = Free(value=schedule)
    assert Free.model_validate_json(settings.model_dump_json()) == settings
    assert Free.model_validate(yaml.safe_load(yaml.safe_dump(settings.model_dump(mode="json")))) == settings
    assert hash(settings) == hash(Free(value=schedule))


@pytest.mark.parametrize("values", [{}, {"temperature": 2}, {"temperature": 2.5, "alpha": 0}, {"alpha": 1.0}])
def test_a_plain_number_is_recorded_as_it_was_when_there_were_no_schedules(values: dict[str, float]) -> None:
    former, now = Former(**values).model_dump(mode="json"), Example(**values).model_dump(mode="json")
    assert json.dumps(now) == json.dumps(former)


def test_a_schedule_is_recorded_as_it_is_written() -> None:
    settings = Example.model_validate({"temperature": " 8.0..2 ", "alpha": "0.1..0.9 cosine"})
    assert settings.model_dump(mode="json") == {"temperature": "8..2", "alpha": "0.1..0.9 cosine"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "'temperature' is 0 in here: must be greater than 0."),
        ({"temperature": "8..0"}, "'temperature' is '8..0' in here: its 0 must be greater than 0."),
        ({"alpha": "-0.5..2"}, "'alpha' is '-0.5..2' in here: its -0.5 must be at least 0."),
        ({"alpha": "0.5..2"}, "its 2 must be at most 1."),
        ({"alpha": "half"}, "'alpha' is 'half' in here: write a number, 'START..END' (8..2), or 'START..END cosine'."),
        ({"temperature": "8..2 sine"}, "write a number"),
        ({"temperature": "8.."}, "write a number"),
        ({"temperature": "8..4..2"}, "write a number"),
        ({"temperature": "4 cosine"}, "write a number"),
        ({"temperature": float("nan")}, "write a number"),
        ({"temperature": "inf"}, "write a number"),
        ({"temperature": "1e999"}, "finite"),
        ({"temperature": True}, "write a number"),
        ({"temperature": None}, "write a number"),
        ({"temperature": [8, 2]}, "write a number"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_with_what_can(values: dict[str, object], message: str) -> None:
    with pytest.raises(CompressError) as caught:
        build(Example, values, "here")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_takes_numbers_and_schedules_and_shows_the_default() -> None:
    seen = {}

    @click.pass_context
    def run(context: click.Context, /, **values: object) -> None:
        seen["settings"] = build(Example, typed(context, values), "the command line")

    command = click.Command("example", params=list(click_options(Example)), callback=run)
    result = CliRunner().invoke(command, ["--temperature", "8..2"], catch_exceptions=False)
    assert result.exit_code == 0
    assert seen["settings"] == Example(temperature="8..2")
    CliRunner().invoke(command, ["--alpha", "0.25"], catch_exceptions=False)
    assert seen["settings"] == Example(alpha=0.25)
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "[default: 4.0]" in shown
    assert "[default: 0.5]" in shown


def test_a_setting_with_a_schedule_is_read_without_torch() -> None:
    code = "import sys, compress.distillation.schedules; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
