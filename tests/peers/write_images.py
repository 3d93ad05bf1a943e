"""Image data as libraries write them, into a folder. Where a library cannot write what people have, Python does.

usage: write_images.py FOLDER
"""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import skimage.io
import torch
import torchvision
from PIL import Image, features

os.environ["HF_HUB_OFFLINE"] = "1"
import datasets  # noqa: E402

datasets.disable_progress_bars()
root = Path(sys.argv[1])
NAMES = ["cat", "cow", "dog", "owl", "pig", "emu", "ant", "bee", "elk", "fox"]


def pixels(bar, i, width=32, height=32):
    """Noise with a bright bar at the height of a class: [height, width, 3] bytes."""
    values = np.random.default_rng([bar, i]).integers(0, 60, (height, width, 3)).astype(np.uint8)
    values[np.arange(height) * 10 // height == bar] += 150
    values[..., 2] //= 2
    return values


def grey(bar, i, width=28, height=28):
    return pixels(bar, i, width, height)[..., 0]


def png(array):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def place(name):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def put(name, content):
    place(name).write_bytes(content)


def class_folders(folder, counts):
    for name, count in counts.items():
        for i in range(count):
            put(f"{folder}/{name}/{i}.png", png(pixels(NAMES.index(name), i)))


# Pictures.


def pictures(folder, name, save):
    """Two pictures of a kind, with the bar of a dog."""
    for i in range(2):
        path = place(f"pictures/{folder}/{name}/{i}")
        save(Image.fromarray(pixels(2, i)), path)


def to_mode(image, mode):
    if mode == "I16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return image.convert(mode, dither=Image.Dither.NONE) if mode == "1" else image.convert(mode)


def saved(format, ending, modes, folder, **options):
    for mode in modes:
        pictures(folder, mode, lambda image, path: to_mode(image, mode).save(f"{path}.{ending}", format, **options))


saved("TIFF", "tif", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I16"], "tiff")
pictures("floats", "cat", lambda image, path: image.save(f"{path}.png"))
pictures("floats", "dog", lambda image, path: to_mode(image, "F").save(f"{path}.tif"))
for name, compression in {
    "none": None,
    "lzw": "tiff_lzw",
    "deflate": "tiff_adobe_deflate",
    "packbits": "packbits",
    "jpeg": "jpeg",
}.items():
    pictures("packed", name, lambda image, path: image.save(f"{path}.tif", compression=compression))
saved("BMP", "bmp", ["1", "L", "P", "RGB", "RGBA"], "bmp")
saved("PNG", "png", ["1", "L", "LA", "P", "RGB", "RGBA", "I16"], "png")
saved("JPEG", "jpg", ["L", "RGB", "CMYK"], "jpeg")
pictures("jpeg", "progressive", lambda image, path: image.save(f"{path}.jpg", progressive=True))
other = Image.fromarray(pixels(0, 9))
pictures("gif", "still", lambda image, path: image.save(f"{path}.gif"))
pictures("gif", "moving", lambda image, path: image.save(f"{path}.gif", save_all=True, append_images=[other]))
pictures("webp", "lossy", lambda image, path: image.save(f"{path}.webp"))
pictures("webp", "lossless", lambda image, path: image.save(f"{path}.webp", lossless=True))
pictures("webp", "moving", lambda image, path: image.save(f"{path}.webp", save_all=True, append_images=[other]))
pictures("pnm", "pbm", lambda image, path: to_mode(image, "1").save(f"{path}.pbm"))
pictures("pnm", "pgm", lambda image, path: image.convert("L").save(f"{path}.pgm"))
pictures("pnm", "ppm", lambda image, path: image.save(f"{path}.ppm"))
assert features.check("avif")
for name in ["cat", "dog"]:
    pictures("avif", name, lambda image, path: image.save(f"{path}.png"))
Image.fromarray(pixels(2, 5)).save(place("pictures/avif/cat/web.avif"))


def turned(orientation, turn):
    def save(image, path):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = image if turn is None else image.transpose(turn)
        image.save(f"{path}.jpg", exif=exif, quality=95)

    pictures("turned", str(orientation), save)


# As the camera stores what is to be turned back.
turned(1, None)
turned(3, Image.Transpose.ROTATE_180)
turned(6, Image.Transpose.ROTATE_90)
turned(8, Image.Transpose.ROTATE_270)
for name, make in {
    "uint8": lambda i: grey(2, i, 32, 32),
    "uint16": lambda i: grey(2, i, 32, 32).astype(np.uint16) * 257,
    "float": lambda i: grey(2, i, 32, 32).astype(np.float32) / 255,
    "rgb": lambda i: pixels(2, i),
}.items():
    for i in range(2):
        skimage.io.imsave(place(f"pictures/skimage/{name}/{i}.tif"), make(i), check_contrast=False)
for name in ["cat", "dog"]:
    for i in range(6):
        tensor = torch.from_numpy(pixels(NAMES.index(name), i)).permute(2, 0, 1) / 255
        torchvision.utils.save_image(tensor, place(f"pictures/torchvision/{name}/{i}.png"))

# Tables of pictures.

for folder in ["index", "semicolons", "hub"]:
    labels = ["cat"] * 6 + ["dog"] * 6
    inside = "" if folder == "hub" else "images/"
    for i, label in enumerate(labels):
        put(f"tables/{folder}/{inside}{i}.png", png(pixels(NAMES.index(label), i)))
    column = "file_name" if folder == "hub" else "file"
    table = pd.DataFrame({column: [f"{i}.png" for i in range(12)], "label": labels})
    match folder:
        case "index":
            table.to_csv(place("tables/index/labels.csv"))
        case "semicolons":
            table.to_csv(place("tables/semicolons/labels.csv"), index=False, sep=";", encoding="utf-8-sig")
        case _:
            table.to_csv(place("tables/hub/metadata.csv"), index=False)

# Parquet.

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def images(labels, start=0, **size):
    return [png(pixels(label, start + i, **size)) for i, label in enumerate(labels)]


def bars(names, count):
    """`count` rows of each name, by their bars."""
    return [NAMES.index(name) for _ in range(count) for name in names]


def metadata(names, column="label", image="image"):
    features = {image: {"_type": "Image"}, column: {"names": names, "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def column_of(encoded, paths=None):
    paths = paths or [None] * len(encoded)
    return pa.array([{"bytes": b, "path": p} for b, p in zip(encoded, paths)], IMAGE)


def hub(encoded, labels, names):
    """A table as datasets lays it out."""
    table = pa.table({"image": column_of(encoded), "label": pa.array(labels, pa.int64())})
    return table.replace_schema_metadata(metadata(names))


def part(names, count, listed=None, start=0):
    """A table of `count` rows of each of `names`, of the classes `listed`."""
    listed = listed or names
    labels = [listed.index(name) for _ in range(count) for name in names]
    return hub(images(bars(names, count), start), labels, listed)


def write(name, table, **options):
    pq.write_table(table, place(f"parquet/{name}.parquet"), **options)


def written_twice(folder, table=lambda count: part(["cat", "dog"], count), **options):
    write(f"{folder}/train-00000-of-00001", table(6), **options)
    write(f"{folder}/test-00000-of-00001", table(2), **options)


pets = ["cat", "dog"]
write("pets/pets_train", part(pets, 6))
write("pets/pets_test", part(pets, 2))
for name, count in {"train": 6, "validation": 3, "test": 2}.items():
    write(f"three/{name}-00000-of-00001", part(pets, count))
for shard in range(2):
    write(f"shards/data/train-0000{shard}-of-00002", part(pets, 6, start=100 * shard))
write("shards/data/test-00000-of-00001", part(pets, 2))
write("partial/default/partial-train/0000", part(pets, 6))
write("partial/default/partial-test/0000", part(pets, 2))
write("folders/train/0000", part(pets, 6))
write("folders/dev/0000", part(pets, 2))
write("one", part(pets, 6))
write("fewer_names/train", part(["cat", "cow", "dog"], 6))
write("fewer_names/test", part(pets, 2))
write("other_order/train", part(pets, 6))
write("other_order/test", part(["dog", "cat"], 2))
write("more_names/train", part(pets, 6))
write("more_names/test", part(["cat", "dog", "owl"], 2))
write("shards_order/train-00000-of-00002", part(pets, 6))
write("shards_order/train-00001-of-00002", part(["dog", "cat"], 6, start=100))
write("unicode/train", part(pets, 6).replace_schema_metadata(metadata(["caf\u00e9", "dog"])))
write("unicode/test", part(pets, 2).replace_schema_metadata(metadata(["cafe\u0301", "dog"])))
write("incomplete/train-00000-of-00002", part(pets, 6))
for name in ["large", "small"]:
    write(f"configurations/{name}/train-00000-of-00001", part(pets, 6))
    write(f"configurations/{name}/test-00000-of-00001", part(pets, 2))
write("two_sets/mnist/train", part(["cow", "owl"], 6))
write("two_sets/pets/train", part(pets, 6))
write("beside/train", part(pets, 6))
class_folders("parquet/beside", {"cat": 6, "dog": 6})
written_twice("card")
put("parquet/card/README.md", b"---\ndataset_info: {}\n---\n")
put("parquet/card/dataset_infos.json", b"{}")

for codec in ["zstd", "gzip", "brotli", "lz4", "snappy", "none"]:
    written_twice(codec, compression=codec)
written_twice("pages", data_page_version="2.0", write_page_index=True, use_content_defined_chunking=True)
written_twice("groups", row_group_size=3)
labels = bars(["cat", "cow"], 6)
place("parquet/polars/x")
pl.DataFrame({"image": images(labels), "label": labels}).write_parquet(root / "parquet/polars/pets.parquet")
names = [NAMES[bar] for bar in bars(pets, 6)]
frame = pd.DataFrame({"image": images(bars(pets, 6)), "label": names})
place("parquet/pandas/x"), place("parquet/category/x")
frame.to_parquet(root / "parquet/pandas/pets.parquet")
frame.assign(label=pd.Categorical(frame["label"])).to_parquet(root / "parquet/category/pets.parquet")


def by_datasets(pictures, labels, names):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    return datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=features)


for name, count in {"train": 6, "test": 2}.items():
    pictures_of = [Image.fromarray(pixels(bar, i)) for i, bar in enumerate(bars(pets, count))]
    place("parquet/datasets/x")
    data = by_datasets(pictures_of, [0, 1] * count, pets)
    data.to_parquet(root / f"parquet/datasets/{name}.parquet")
data.save_to_disk(place("arrow/saved"))


def with_labels(name, make):
    """Two parts whose labels are made of names."""

    def table(count):
        there = bars(pets, count)
        return pa.table({"image": column_of(images(there)), "label": make([NAMES[bar] for bar in there])})

    written_twice(name, table)


with_labels("text", lambda names: pa.array(names, pa.string()))
with_labels("large_text", lambda names: pa.array(names, pa.large_string()))
with_labels("dictionary", lambda names: pa.array(names).dictionary_encode())


def numbered(name, kind, classes=("cat", "dog"), named=True):
    def table(count):
        there = bars(classes, count)
        labels = [classes.index(NAMES[bar]) for bar in there]
        made = pa.table({"image": column_of(images(there)), "label": pa.array(labels, kind)})
        return made.replace_schema_metadata(metadata(list(classes))) if named else made

    written_twice(name, table)


numbered("int8", pa.int8())
numbered("uint64", pa.uint64())
numbered("unnamed", pa.int64(), classes=("cat", "cow"), named=False)
for name, kind in {"bytes": pa.binary(), "large_bytes": pa.large_binary(), "views": pa.binary_view()}.items():

    def plain(count):
        there = bars(pets, count)
        table = pa.table({"image": pa.array(images(there), kind), "label": pa.array([0, 1] * count, pa.int64())})
        return table.replace_schema_metadata(metadata(pets))

    written_twice(name, plain)


def fine(count):
    there = bars(pets, count)
    columns = {"img": column_of(images(there)), "fine_label": [0, 1] * count, "coarse_label": [1, 0] * count}
    features = {
        "img": {"_type": "Image"},
        "fine_label": {"names": pets, "_type": "ClassLabel"},
        "coarse_label": {"names": ["x", "y"], "_type": "ClassLabel"},
    }
    return pa.table(columns).replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": features}})})


written_twice("fine", fine)

class_folders("parquet/pool", {"cat": 6, "dog": 6})
files = [f"{name}/{i}.png" for i in range(6) for name in pets]


def by_path(paths):
    table = pa.table({"image": column_of([None] * 12, paths), "label": pa.array([0, 1] * 6, pa.int64())})
    return table.replace_schema_metadata(metadata(pets))


write("paths/pets", by_path([str(root / "parquet/pool" / file) for file in files]))
write("gone/pets", by_path([f"/nowhere/{file}" for file in files]))
write("relative/pets", by_path([f"pictures/{file}" for file in files]))
shutil.copytree(root / "parquet/pool", root / "parquet/relative/pictures")
(root / "parquet/exported").mkdir()
folder = datasets.load_dataset("imagefolder", data_dir=str(root / "parquet/pool"), split="train")
folder.to_parquet(root / "parquet/exported/pets.parquet")
embedded = folder.with_format("arrow").map(datasets.table.embed_table_storage, batched=True)
embedded.to_parquet(place("parquet/embedded/pets.parquet"))


def stored(name, modes):
    pictures = [to_mode(Image.fromarray(pixels(bar, i)), modes[i // 2 % len(modes)]) for i, bar in enumerate(bars(pets, 6))]
    by_datasets(pictures, [0, 1] * 6, pets).to_parquet(place(f"parquet/{name}/pets.parquet"))


stored("tiff", ["P", "CMYK", "YCbCr", "I16"])
stored("floats", ["RGB", "L", "RGBA", "F", "P", "1"])
both = bars(pets, 6)
write("grey_first/pets", hub([png(pixels(0, 0)[..., 0])] + images(both)[1:], [0, 1] * 6, pets))
write("large_first/pets", hub([png(pixels(0, 0, 500, 375))] + images(both)[1:], [0, 1] * 6, pets))
write("wide/pets", hub(images(both, width=48, height=40), [0, 1] * 6, pets))


def odd(name, *, image=..., label=...):
    """A fourth row, from 0 the third, with something else; cats have even numbers."""
    rows = column_of(images(both)).to_pylist()
    labels = [0, 1] * 6
    # Row 3 is a dog; make it a cat and row 2 a dog, so that a cat is lost.
    rows[2], rows[3] = rows[3], rows[2]
    labels[2], labels[3] = labels[3], labels[2]
    if image is not ...:
        rows[3] = image
    if label is not ...:
        labels[3] = label
    table = pa.table({"image": pa.array(rows, IMAGE), "label": pa.array(labels, pa.int64())})
    write(f"{name}/pets", table.replace_schema_metadata(metadata(pets)))


odd("null_image", image=None)
odd("null_bytes", image={"bytes": None, "path": "3.png"})
odd("broken", image={"bytes": b"no picture", "path": "3.png"})
odd("null_label", label=None)
odd("beyond", label=7)
for name, label in {"minus_one": -1, "null_labels": None}.items():
    write(f"{name}/train", part(pets, 6))
    write(f"{name}/test", hub(images(bars(pets, 2)), [label] * 4, pets))
write("all_minus_one/train", hub(images(both), [-1] * 12, pets))


def labelled(name, labels, there=None):
    write(f"{name}/pets", pa.table({"image": column_of(images(there or both)), "label": labels}))


labelled("float", pa.array([0.0, 1.0] * 6), bars(["cat", "cow"], 6))
labelled("fractions", pa.array([0.5, 1.0] * 6))
labelled("lists", pa.array([[0], [0, 1]] * 6))
write("numbers/table", pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]}))
write("arrays/pets", pa.table({"image": [pixels(bar, 0).tolist() for bar in both], "label": [0, 1] * 6}))
write("empty/train", part(pets, 6).slice(0, 0))
whole = (root / "parquet/one.parquet").read_bytes()
put("parquet/cut.parquet", whole[: len(whole) // 2])
put("parquet/text.parquet", b"no parquet at all, but some text\n" * 20)


# Formats of well-known data sets.


def idx(array, kind=8):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape)
    return header + array.astype(">i4" if kind == 12 else np.uint8).tobytes()


def numbers(count, classes=3):
    labels = np.tile(np.arange(classes), count)
    return np.stack([grey(label, i) for i, label in enumerate(labels)]), labels


for split, start, transpose in [("letters", 1, True), ("digits", 0, True)]:
    for name, count in {"train": 6 if start == 0 else 4, "test": 2}.items():
        there, labels = numbers(count)
        for folder in [split, "both"]:
            base = f"emnist/{folder}/emnist-{split}-{name}"
            put(f"{base}-images-idx3-ubyte.gz", gzip.compress(idx(there.transpose(0, 2, 1))))
            put(f"{base}-labels-idx1-ubyte.gz", gzip.compress(idx(labels + start)))
    mapping = [f"{i} {64 + i} {96 + i}" for i in range(1, 27)] if start else [f"{i} {48 + i}" for i in range(10)]
    for folder in [split, "both"]:
        put(f"emnist/{folder}/emnist-{split}-mapping.txt", "\n".join(mapping).encode() + b"\n")
for name, count in {"train": 6, "test": 2}.items():
    there, labels = numbers(count)
    place("kmnist/x")
    np.savez_compressed(root / f"kmnist/kmnist-{name}-imgs.npz", there)
    np.savez_compressed(root / f"kmnist/kmnist-{name}-labels.npz", labels.astype(np.uint8))
    put(f"qmnist/qmnist-{name}-images-idx3-ubyte", idx(there))
    put(f"qmnist/qmnist-{name}-labels-idx2-int", idx(np.stack([labels] + [labels * 0 + 9] * 7, 1), 12))


def medmnist(name, make, save=np.savez, labels=lambda labels: labels[:, None].astype(np.uint8)):
    arrays = {}
    for part, count in {"train": 6, "val": 3, "test": 2}.items():
        there, numbered = numbers(count)
        arrays[f"{part}_images"] = make(there)
        arrays[f"{part}_labels"] = labels(numbered)
    save(place(f"medmnist/{name}"), **arrays)


medmnist("grey", lambda there: there)
medmnist("packed", lambda there: there, save=np.savez_compressed)
medmnist("colour", lambda there: np.stack([there, there, there // 2], -1))
medmnist("several", lambda there: there, labels=lambda labels: np.eye(3, dtype=np.uint8)[labels] | 1)
medmnist("volumes", lambda there: np.repeat(there[..., None], 28, -1))
medmnist("objects", lambda there: np.array(list(there) + [None], object)[:-1])
np.save(place("medmnist/one.npy"), numbers(2)[0])
arrays = {}
for name, count in {"train": 6, "test": 2}.items():
    arrays[f"x_{name}"], arrays[f"y_{name}"] = numbers(count)
place("keras/x")
np.savez_compressed(root / "keras/mnist.npz", **arrays)


class Old(pickle._Pickler):
    """Pickles as Python 2 did: text and bytes are one, and NumPy's modules have their old names."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        data = text if isinstance(text, bytes) else text.encode("latin-1")
        short = len(data) < 256
        self.write((b"U" + bytes([len(data)]) if short else b"T" + struct.pack("<i", len(data))) + data)
        self.memoize(text)

    dispatch[str] = save_text
    dispatch[bytes] = save_text

    def save_global(self, item, name=None):
        if getattr(item, "__name__", "") == "_reconstruct":
            self.write(b"cnumpy.core.multiarray\n_reconstruct\n")
            return self.memoize(item)
        return super().save_global(item, name)

    dispatch[type(pickle.dumps)] = save_global
    dispatch[type(lambda: 0)] = save_global
    dispatch[type] = save_global


def old(item):
    out = io.BytesIO()
    Old(out, protocol=2).dump(item)
    return out.getvalue()


def today(item):
    return pickle.dumps({key.encode(): value for key, value in item.items()})


CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def planes(bars, start):
    return np.stack([pixels(bar, start + i).transpose(2, 0, 1).reshape(-1) for i, bar in enumerate(bars)])


def batch(start):
    return {
        "batch_label": f"training batch {start} of 3",
        "labels": list(range(10)),
        "data": planes(range(10), 10 * start),
        "filenames": [f"{name}_s_{start:06}.png" for name in CIFAR10],
    }


def pack(archive, folder):
    with tarfile.open(place(archive), "w:gz") as tar:
        tar.add(root / folder, Path(folder).name)


for kind, dump in {"old": old, "new": today}.items():
    base = f"cifar/{kind}/cifar-10-batches-py"
    for i in range(3):
        put(f"{base}/data_batch_{i + 1}", dump(batch(i)))
    put(f"{base}/test_batch", dump(batch(3)))
    put(f"{base}/batches.meta", dump({"num_cases_per_batch": 10, "label_names": CIFAR10, "num_vis": 3072}))
    put(f"{base}/readme.html", b"<meta http-equiv='refresh' content='0'>")
pack("cifar/old.tar.gz", "cifar/old/cifar-10-batches-py")
fine_names = ["apple", "aquarium_fish"] + [f"class {i}" for i in range(2, 100)]
for name, count in {"train": 2, "test": 1}.items():
    labels = list(range(10)) * count
    item = {
        "filenames": [f"{label}.png" for label in labels],
        "batch_label": f"{name} batch 1 of 1",
        "fine_labels": labels,
        "coarse_labels": [19 - label for label in labels],
        "data": planes(labels, 0),
    }
    put(f"cifar/cifar-100-python/{name}", old(item))
put("cifar/cifar-100-python/meta", old({"fine_label_names": fine_names, "coarse_label_names": [f"coarse {i}" for i in range(20)]}))
put("cifar/cifar-100-python/file.txt~", b"")
pack("cifar/hundred.tar.gz", "cifar/cifar-100-python")


class Evil:
    def __reduce__(self):
        return os.system, (f"touch {root}/evil-ran",)


put("cifar/evil/data_batch_1", pickle.dumps({"data": Evil(), "labels": [0]}))
put("cifar/else/data_batch_1", pickle.dumps([1, 2, 3]))

# Archives.

class_folders("tree/pets/train", {"cat": 6, "dog": 6})
class_folders("tree/pets/test", {"cat": 2, "dog": 2})
place("packed/x")
with zipfile.ZipFile(root / "packed/pets.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for file in sorted((root / "tree").rglob("*")):
        archive.write(file, file.relative_to(root / "tree"))
with zipfile.ZipFile(root / "packed/lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
    for file in sorted((root / "tree").rglob("*.png")):
        archive.write(file, file.relative_to(root / "tree"))
plain = io.BytesIO()
with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
    archive.add(root / "tree/pets", "pets")
plain = plain.getvalue()
put("packed/pets.tar.xz", lzma.compress(plain, preset=1))
put("packed/pets.txz", lzma.compress(plain, preset=1))
put("packed/pets.tar.bz2", bz2.compress(plain))
zst = pa.compress(plain, codec="zstd", asbytes=True)
put("packed/pets.tar.zst", zst)
put("packed/cut.tar.xz", lzma.compress(plain, preset=1)[:-2000])
put("packed/cut.tar.zst", zst[:-2000])
with tarfile.open(root / "packed/pax.tar", "w", format=tarfile.PAX_FORMAT) as archive:
    archive.add(root / "tree/pets", "pets/" + "a long name of a folder " * 8 + "\u00fc")
with zipfile.ZipFile(root / "packed/parquet.zip", "w") as archive:
    for name in ["train", "test"]:
        archive.write(root / f"parquet/zstd/{name}-00000-of-00001.parquet", f"data/{name}-00000-of-00001.parquet")
with tarfile.open(root / "packed/parquet.tar.gz", "w:gz") as archive:
    archive.add(root / "parquet/zstd", "pets")
with tarfile.open(root / "packed/idx.tar.xz", "w:xz", preset=1) as archive:
    for name, count in {"train": 6, "t10k": 2}.items():
        there, labels = numbers(count)
        for kind, content in {"images-idx3": idx(there), "labels-idx1": idx(labels)}.items():
            member = tarfile.TarInfo(f"mnist/{name}-{kind}-ubyte")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
with zipfile.ZipFile(root / "packed/records.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    for i, name in enumerate(["data_batch_1", "data_batch_2", "data_batch_3", "test_batch"]):
        there = planes(range(10), 10 * i)
        content = np.concatenate([np.arange(10, dtype=np.uint8)[:, None], there], 1).tobytes()
        archive.writestr(f"cifar-10-batches-bin/{name}.bin", content)
