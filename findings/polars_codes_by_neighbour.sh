#!/usr/bin/env bash
# polars numbers the classes of a Parquet file by what else is in memory; the numbers that pandas stored are gone.
#
# Software: polars 2.1.0, pandas 3.1.1 with pyarrow 26.0.1 (Python 3.11).
# Input: two Parquet files, train and test, each with one ordered categorical of pandas, categories small < medium < large,
# written by `to_parquet`. Both files hold the three names in this order, so that small is 0, medium 1 and large 2.
# Behaviour:
#   - pandas reads both back with these numbers.
#   - polars (`read_parquet`, then `to_physical`) numbers the names in the order in which the process meets them, for all
#     categoricals together. Test read alone: large is 0. Test read while train is in memory: train's order. Test read after
#     train was deleted: large is 0 again. Numbers kept from train then mean other classes in test, without an error or a
#     warning.
#   - `max` of polars goes by the alphabet, though the file says that the categories are ordered.
#   - read and written again by polars, unchanged, pandas finds another order, other numbers, and ordered is False.
# Output seen:
#   pandas, train: small=0 medium=1 large=2, ordered True, max large
#   pandas, test: small=0 medium=1 large=2, ordered True, max large
#   polars, train: small=1 medium=0 large=2, max small
#   polars, test alone: small=1 medium=2 large=0, max small
#   polars, test while train is kept: small=1 medium=0 large=2, max small
#   polars, test after train was deleted: small=1 medium=2 large=0, max small
#   pandas, test through polars: small=1 medium=2 large=0, ordered False
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0
cd "$work"
cat >write.py <<'PY'
import pandas as pd

names = ["small", "medium", "large"]
for part, rows in (("train", ["medium", "small", "large"]), ("test", ["large", "small", "medium"])):
    pd.DataFrame({"size": pd.Categorical(rows, categories=names, ordered=True)}).to_parquet(f"{part}.parquet")
PY
cat >common.py <<'PY'
import pandas as pd
import polars as pl


def numbers(names, codes):
    code = dict(zip(names, codes))
    return " ".join(f"{name}={code[name]}" for name in ("small", "medium", "large"))


def with_pandas(file):
    column = pd.read_parquet(file)["size"]
    text = f"{numbers(column, column.cat.codes)}, ordered {column.cat.ordered}"
    return f"{text}, max {column.max()}" if column.cat.ordered else text


def with_polars(column):
    return f"{numbers(column, column.to_physical())}, max {column.max()}"
PY
# Each line is a process of its own, since the numbers depend on what a process has read.
python="$work/venv/bin/python"
"$python" write.py
{
  "$python" -c 'from common import *; print("pandas, train:", with_pandas("train.parquet"))'
  "$python" -c 'from common import *; print("pandas, test:", with_pandas("test.parquet"))'
  "$python" -c 'from common import *; print("polars, train:", with_polars(pl.read_parquet("train.parquet")["size"]))'
  "$python" -c 'from common import *; print("polars, test alone:", with_polars(pl.read_parquet("test.parquet")["size"]))'
  "$python" -c 'from common import *; train = pl.read_parquet("train.parquet")
print("polars, test while train is kept:", with_polars(pl.read_parquet("test.parquet")["size"]))'
  "$python" -c 'from common import *; train = pl.read_parquet("train.parquet"); del train
print("polars, test after train was deleted:", with_polars(pl.read_parquet("test.parquet")["size"]))'
  "$python" -c 'from common import *; pl.read_parquet("test.parquet").write_parquet("copy.parquet")
print("pandas, test through polars:", with_pandas("copy.parquet"))'
} >out
cat out
diff out - <<'SEEN'
pandas, train: small=0 medium=1 large=2, ordered True, max large
pandas, test: small=0 medium=1 large=2, ordered True, max large
polars, train: small=1 medium=0 large=2, max small
polars, test alone: small=1 medium=2 large=0, max small
polars, test while train is kept: small=1 medium=0 large=2, max small
polars, test after train was deleted: small=1 medium=2 large=0, max small
pandas, test through polars: small=1 medium=2 large=0, ordered False
SEEN
