"""Series as pandas and polars write them into a folder; prints what is to be read from each.

usage: series.py FOLDER
"""

import hashlib
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

folder = Path(sys.argv[1])
expected = []


def fingerprint(frame, start):
    """As the program makes it: names, the clock at the first row, values row after row."""
    digest = hashlib.sha256()
    for name in frame.columns:
        digest.update(struct.pack("<Q", len(name.encode())) + name.encode())
    digest.update(struct.pack("<q", (start - pd.Timestamp(1970, 1, 1)) // pd.Timedelta(seconds=1)))
    digest.update(frame.to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()


def expect(file, frame, step, *, args=(), missing=0, start=None, last=None):
    index = frame.index
    expected.append(
        {
            "file": file,
            "args": list(args),
            "rows": len(frame),
            "step": step,
            "last": last or index[-1].strftime("%Y-%m-%d %H:%M:%S"),
            "missing": missing,
            # What is filled is not the writer's.
            "fingerprint": None if missing else fingerprint(frame, start or index[0]),
        }
    )


def frame(index):
    rng = np.random.default_rng(7)
    rows = np.arange(len(index))
    return pd.DataFrame({"a": np.sin(rows / 5) + rng.normal(size=len(index)), "b b": rows * 0.1 - 3}, index=index)


hours = frame(pd.date_range("2024-01-01", periods=100, freq="h"))
hours.to_csv(folder / "index.csv")
expect("index.csv", hours, "1 h")
hours.reset_index(names="date").to_csv(folder / "counted.csv")
expect("counted.csv", hours, "1 h")
pd.read_csv(folder / "counted.csv").to_csv(folder / "twice.csv")
expect("twice.csv", hours, "1 h")
pd.read_csv(folder / "counted.csv").sample(frac=1, random_state=1).sort_values("date").iloc[::-1].to_csv(folder / "down.csv")
expect("down.csv", hours, "1 h")
hours.to_csv(folder / "packed.csv.gz")
expect("packed.csv.gz", hours, "1 h")
hours.to_csv(folder / "wide.txt", sep="\t", encoding="utf-16")
expect("wide.txt", hours, "1 h")
hours.to_csv(folder / "excel.csv", sep=";", decimal=",", date_format="%d.%m.%Y %H:%M", encoding="utf-8-sig")
expect("excel.csv", hours, "1 h")
hours.to_csv(folder / "american.csv", date_format="%m/%d/%Y %I:%M:%S %p")
expect("american.csv", hours, "1 h")
hours.to_csv(folder / "plain.csv", header=False)
plain = hours.set_axis(["column_2", "column_3"], axis=1)
expect("plain.csv", plain, "1 h")
hours.tz_localize("UTC").to_csv(folder / "utc.csv")
expect("utc.csv", hours, "1 h", last="2024-01-05 03:00:00+00:00")

# Over the change of the clocks: hours are even in UTC, days by the clock.
berlin = frame(pd.date_range("2024-10-25", periods=100, freq="h", tz="Europe/Berlin"))
berlin.to_csv(folder / "berlin.csv")
expect("berlin.csv", berlin, "1 h", start=pd.Timestamp("2024-10-24 22:00"), last="2024-10-29 01:00:00+00:00")
berlin.tz_localize(None).to_csv(folder / "local.csv")
expect(
    "local.csv",
    berlin,
    "1 h",
    args=["--set", "series.time_zone=Europe/Berlin"],
    start=pd.Timestamp("2024-10-24 22:00"),
    last="2024-10-29 02:00:00+01:00",
)
days = frame(pd.date_range("2024-10-25", periods=100, freq="D", tz="Europe/Berlin"))
days.to_csv(folder / "days.csv")
expect("days.csv", days, "1 d", start=pd.Timestamp("2024-10-25"))

for freq, step in {
    "ME": "1 month",
    "MS": "1 month",
    "BME": "1 month",
    "QE": "1 quarter",
    "QS-FEB": "1 quarter",
    "YE": "1 year",
    "W-WED": "1 week",
    "B": "1 d from Monday to Friday",
    "2D": "2 d",
    "15min": "15 min",
}.items():
    frame(pd.date_range("1990-01-01", periods=60, freq=freq)).to_csv(folder / f"{freq}.csv")
    expect(f"{freq}.csv", frame(pd.date_range("1990-01-01", periods=60, freq=freq)), step)
quick = frame(pd.date_range("1990-01-01", periods=60, freq="125ms"))
quick.to_csv(folder / "quick.csv")
expect("quick.csv", quick, "125 ms", last="1990-01-01 00:00:07.375")
quarters = frame(pd.period_range("2000Q1", periods=60, freq="Q"))
quarters.to_csv(folder / "quarters.csv")
expect("quarters.csv", quarters.set_axis(quarters.index.to_timestamp()), "1 quarter")

holes = hours.copy()
holes.iloc[[4, 70], 0] = np.nan
fill = ["--set", "series.missing=linear"]
for name, text in {"empty": "", "na": "NA", "nan": "nan", "null": "null", "question": "?"}.items():
    holes.to_csv(folder / f"{name}.csv", na_rep=text)
    expect(f"{name}.csv", holes, "1 h", args=fill, missing=2)
gap = hours.drop(hours.index[[1, 50, 51]])
gap.to_csv(folder / "gap.csv")
expect("gap.csv", hours, "1 h", args=fill, missing=6)

panel = pd.concat({name: hours * scale for name, scale in (("H1", 1), ("H2", 2))}, names=["unique_id", "ds"])
panel.reset_index().to_csv(folder / "panel.csv", index=False)
expect("panel.csv", hours * 2, "1 h", args=["--key", "H2"])
panel.reset_index().sort_values("ds").to_csv(folder / "by_date.csv")
expect("by_date.csv", hours, "1 h", args=["--key", "unique_id=H1"])
melted = hours.reset_index(names="date").melt("date")
melted.to_csv(folder / "melted.csv", index=False)
expect("melted.csv", hours[["b b"]].set_axis(["value"], axis=1), "1 h", args=["--key", "b b"])

table = pl.DataFrame({"date": hours.index.to_pydatetime().tolist(), "a": hours["a"].to_list(), "b b": hours["b b"].to_list()})
table.write_csv(folder / "polars.csv")
expect("polars.csv", hours, "1 h")
table.write_csv(folder / "polars.tsv", separator="\t", quote_style="always")
expect("polars.tsv", hours, "1 h")
table.write_csv(folder / "comma.csv", separator=";", decimal_comma=True, datetime_format="%d/%m/%Y %H:%M")
expect("comma.csv", hours, "1 h")
table.with_columns(pl.col("date").dt.replace_time_zone("UTC")).write_csv(folder / "polars_utc.csv")
expect("polars_utc.csv", hours, "1 h", last="2024-01-05 03:00:00+00:00")
table.with_columns(pl.col("date").dt.epoch("ms")).write_csv(folder / "epoch.csv")
expect("epoch.csv", hours, "1 h", last="2024-01-05 03:00:00+00:00")

print(json.dumps(expected))
