#!/usr/bin/env bash
# Three CSV readers, one column of dates, up to three different calendars, no error.
#
# Software: pandas 3.1.1, polars 2.1.0, DuckDB 2.0.1 (Python 3.11).
# Input: valid CSV files of two rows, the dates in the forms 01/02/2024, 01.02.2024 and 01/02/24.
# Behaviour, each reader told or left to find the dates by itself (parse_dates, try_parse_dates, auto-detection):
#   - 01/02/2024: pandas reads 2 January, polars and DuckDB read 1 February.
#   - 01.02.2024: pandas reads 2 January too, although dots are the form of countries that write the day first.
#   - 01/02/24: pandas reads 2 January 2024, polars 1 February of the year 24, DuckDB 24 February 2001.
# A series of the first twelve days of a month keeps an even step in none but one of these readings, and no reader
# raises an error. Output seen:
#   01/02/2024 pandas=2024-01-02 polars=2024-02-01 duckdb=2024-02-01
#   01.02.2024 pandas=2024-01-02 polars=2024-02-01 duckdb=2024-02-01
#   01/02/24 pandas=2024-01-02 polars=0024-02-01 duckdb=2001-02-24
#   readings that differ: 7 dates from 3 spellings of one day
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 polars==2.1.0 duckdb==2.0.1
cd "$work"
"$work/venv/bin/python" - <<'PY'
import warnings

import duckdb
import pandas as pd
import polars as pl

warnings.simplefilter("ignore")
seen = {}
for first, second in [("01/02/2024", "02/02/2024"), ("01.02.2024", "02.02.2024"), ("01/02/24", "02/02/24")]:
    with open("series.csv", "w") as file:
        file.write(f"date;y\n{first};1\n{second};2\n")
    read = {
        "pandas": pd.read_csv("series.csv", sep=";", parse_dates=["date"])["date"][0].date(),
        "polars": pl.read_csv("series.csv", separator=";", try_parse_dates=True)["date"][0],
        "duckdb": duckdb.sql("select date from read_csv('series.csv')").fetchall()[0][0],
    }
    seen[first] = {name: f"{d.year:04}-{d.month:02}-{d.day:02}" for name, d in read.items()}
    print(first, *(f"{name}={date}" for name, date in seen[first].items()))
expected = {
    "01/02/2024": {"pandas": "2024-01-02", "polars": "2024-02-01", "duckdb": "2024-02-01"},
    "01.02.2024": {"pandas": "2024-01-02", "polars": "2024-02-01", "duckdb": "2024-02-01"},
    "01/02/24": {"pandas": "2024-01-02", "polars": "0024-02-01", "duckdb": "2001-02-24"},
}
count = sum(len(set(dates.values())) for dates in seen.values())
print(f"readings that differ: {count} dates from {len(seen)} spellings of one day")
raise SystemExit(seen != expected)
PY
