"""The tables of the pages are those of the record, and have a row for every loss."""

import math
import re

from lib.files import Problem
from lib.records import results
from lib.tools import tables

import pytest


def test_the_readme_shows_the_record():
    for page, parts in tables.tables().items():
        text = page.read_text(encoding="utf-8")
        assert tables.with_tables(text, parts) == text, "run `make results`: it writes the tables"


def test_every_loss_has_its_numbers_in_two_three_and_sixty_four_dimensions():
    parts = {**tables.tables()[tables.README], **tables.tables()[tables.RESULTS]}
    del parts["cost in short"]  # whose devices have sizes of their own
    for name, part in parts.items():
        empty = [line for line in part.splitlines()[2:] if "–" in line.replace("| – | ", "", 1)]
        assert empty == [], f"{name}: numbers are missing"


def test_each_column_says_what_its_numbers_are():
    for part in (part for parts in tables.tables().values() for part in parts.values()):
        names = [name.strip() for name in part.splitlines()[0].strip("|").split("|")]
        bare = [name for name in names if re.match(r"[\d.,]+(,|$)", name)]
        assert bare == [], "a rate of false accepts is not what is measured"


def test_no_two_losses_have_the_same_row():
    for part in (part for parts in tables.tables().values() for part in parts.values()):
        rows = [line.split("|", 2)[2] for line in part.splitlines()[2:]]
        assert len(set(rows)) == len(rows) >= 4


def test_a_step_has_its_ratio_spread_and_time_by_hand():
    rows = [["plain", 2.0, 1.0, 1.0, 1.0, None], ["ours", 2.468, 1.25, 1.2, 1.3, 80.5]]
    parts = [
        {"kind": "A", "size": [1, 2, 3000], "rows": rows},
        {"kind": "B", "size": [1, 2, 4], "rows": [["ours", 1.0, 1.5, None, None, None]]},
    ]
    assert tables.bench_table(parts).splitlines() == [
        "| backend | head and loss | B 1, D 2, C 3,000 | B 1, D 2, C 4 |",
        "| --- | --- | --- | --- |",
        "| A | plain | 1.00, 2 ms | – |",
        "| A | ours | 1.25 (1.20 to 1.30), 2.47 ms | – |",
        "| B | ours | – | 1.50, 1 ms |",
    ]


def test_the_short_table_of_costs_by_hand():
    rows = [["Dense", 2.0, 1.0, 1.0, 1.0, None], [tables.OURS, 2468.1, 1.25, 1.2, 1.3, 80.5]]
    parts = [
        {"kind": "JAX, jit", "device": "CPU", "size": [1, 2, 10_000], "rows": rows},
        {"kind": "JAX, jit", "device": "NVIDIA A1 80GB", "size": [1, 2, 1_000_000], "rows": rows},
        {"kind": "TensorFlow", "device": "CPU", "size": [1, 2, 10_000], "rows": rows},
    ]
    assert tables.short_bench_table(parts).splitlines()[2:] == [
        f"| CPU, JAX, jit | {tables.OURS} | 1.25, 2,468 ms | – | – |",
        f"| A1, JAX, jit | {tables.OURS} | – | – | 1.25, 2,468 ms |",
    ]


def test_mean_and_spread_by_hand():
    two = results.Record("two seeds", {"0": {"eer": 0.01}, "1": {"eer": 0.03}})
    assert tables.mean_and_spread(two, "eer") == f"0.020 ± {math.sqrt(0.0002):.3f}"
    assert tables.mean_and_spread(results.Record("one", {"0": {"eer": 0.01}}), "eer") == "0.010"
    assert tables.mean_and_spread(None, "eer") == "–"


def test_a_table_replaces_what_stood_there_and_nothing_else():
    text = "before\n<!-- it -->\nold\nrows\n<!-- end of it -->\nafter\n"
    new = tables.with_tables(text, {"it": "| new |"})
    assert new == "before\n<!-- it -->\n| new |\n<!-- end of it -->\nafter\n"
    assert tables.with_tables(new, {"it": "| new |"}) == new


def test_a_readme_without_the_place_is_left_alone_and_says_what_it_needs():
    with pytest.raises(Problem, match="<!-- it -->"):
        tables.with_tables("no place\n", {"it": "| new |"})
