use super::*;

/// A safetensors file of this header and data.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

/// The one-tensor network that hostile files are held against: `w` of shape [2, 3].
fn one_tensor() -> BTreeMap<String, Vec<usize>> {
    BTreeMap::from([("w".to_string(), vec![2, 3])])
}

/// The header of a sound file for [`one_tensor`], with parts of it replaced.
fn header(replace: &[(&str, &str)]) -> String {
    let sound = r#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}"#;
    replace.iter().fold(sound.to_string(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    })
}

fn hostile_files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let data = [0u8; 24];
    let with = |replace: &[(&str, &str)]| file(&header(replace), &data);
    let sound = with(&[]);
    let length = |n: u64| [&n.to_le_bytes(), &sound[8..]].concat();
    let second = |entry: &str| with(&[("]}}", &format!("]}},{entry}}}"))]);
    let long_name = "n".repeat(10_000);
    let many: String = (0..5000)
        .map(|i| format!(r#","x{i}":{{"dtype":"F32","shape":[1],"data_offsets":[24,28]}}"#))
        .collect();
    let nan = |bits: u32| {
        let mut file = sound.clone();
        let end = file.len();
        file[end - 4..].copy_from_slice(&bits.to_le_bytes());
        file
    };
    vec![
        ("empty", vec![], "it has 0 bytes"),
        ("seven bytes", vec![1; 7], "it has 7 bytes"),
        ("length only", 8u64.to_le_bytes().to_vec(), "cut off"),
        (
            "not safetensors",
            b"<!DOCTYPE html><html>".to_vec(),
            "header claims",
        ),
        (
            "a pickle",
            [&[0x80, 2, b'c', b'o', b's', 0, 0, 0][..], &[b'.'; 100]].concat(),
            "header claims",
        ),
        (
            "header length of u64::MAX",
            length(u64::MAX),
            "header claims",
        ),
        (
            "header length above the cap",
            length(25_000_001),
            "more than 25000000",
        ),
        ("header longer than the file", length(10_000), "cut off"),
        ("header length zero", length(0), "not a JSON object"),
        (
            "header one byte short",
            length(sound.len() as u64 - 33),
            "header is wrong",
        ),
        (
            "header reaches into the data",
            length(sound.len() as u64 - 31),
            "header is wrong",
        ),
        ("header is a list", file("[]", &data), "not a JSON object"),
        (
            "header is not UTF-8",
            {
                let mut f = sound.clone();
                f[10] = 0xff;
                f
            },
            "header is wrong",
        ),
        (
            "header is nested deeply",
            file(&format!("{{\"w\":{}", "[".repeat(100_000)), &data),
            "header is wrong",
        ),
        (
            "header starts with a blank",
            with(&[("{\"w", " {\"w")]),
            "not a JSON object",
        ),
        (
            "rubbish after the header",
            with(&[("]}}", "]}} x")]),
            "header is wrong",
        ),
        (
            "truncated data",
            sound[..sound.len() - 1].to_vec(),
            "take 24 bytes, 23 are there",
        ),
        (
            "no data",
            file(&header(&[]), &[]),
            "take 24 bytes, 0 are there",
        ),
        (
            "trailing data",
            [&sound[..], &[0]].concat(),
            "take 24 bytes, 25 are there",
        ),
        (
            "duplicate tensor",
            second(r#""w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#),
            "`w` is there twice",
        ),
        (
            "duplicate tensor with an escape",
            second(r#""\u0077":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}"#),
            "`w` is there twice",
        ),
        (
            "duplicate unexpected tensor",
            second(
                r#""x":{"dtype":"F32","shape":[1],"data_offsets":[24,28]},"x":{"dtype":"F32","shape":[1],"data_offsets":[24,28]}"#,
            ),
            "`x` is there twice",
        ),
        (
            "duplicate field",
            with(&[("\"dtype\":\"F32\"", "\"dtype\":\"F32\",\"dtype\":\"F32\"")]),
            "duplicate field `dtype`",
        ),
        (
            "unknown field",
            with(&[("\"dtype\"", "\"color\":1,\"dtype\"")]),
            "unknown field `color`",
        ),
        (
            "missing dtype",
            with(&[("\"dtype\":\"F32\",", "")]),
            "missing field `dtype`",
        ),
        (
            "missing shape",
            with(&[("\"shape\":[2,3],", "")]),
            "missing field `shape`",
        ),
        (
            "missing offsets",
            with(&[(",\"data_offsets\":[0,24]", "")]),
            "missing field `data_offsets`",
        ),
        (
            "unknown dtype",
            with(&[("F32", "F31")]),
            "unknown variant `F31`",
        ),
        ("integers", with(&[("F32", "I32")]), "unknown variant `I32`"),
        (
            "booleans",
            with(&[("F32", "BOOL")]),
            "unknown variant `BOOL`",
        ),
        (
            "dtype is a number",
            with(&[("\"F32\"", "5")]),
            "header is wrong",
        ),
        (
            "wider dtype than bytes",
            with(&[("F32", "F64")]),
            "does not take the bytes",
        ),
        (
            "narrower dtype than bytes",
            with(&[("F32", "F16")]),
            "does not take the bytes",
        ),
        (
            "zero axis",
            with(&[("[2,3]", "[0,3]")]),
            "an axis of length 0",
        ),
        (
            "zero axis hides a huge one",
            with(&[("[2,3]", "[0,18446744073709551615]")]),
            "an axis of length 0",
        ),
        (
            "negative axis",
            with(&[("[2,3]", "[-2,-3]")]),
            "header is wrong",
        ),
        (
            "fractional axis",
            with(&[("[2,3]", "[2.0,3]")]),
            "header is wrong",
        ),
        (
            "axis beyond 64 bits",
            with(&[("[2,3]", "[18446744073709551616]")]),
            "header is wrong",
        ),
        (
            "axes that overflow to the right size",
            with(&[("[2,3]", "[4611686018427387910]")]),
            "does not take the bytes",
        ),
        (
            "axes of 16 TiB",
            with(&[("[2,3]", "[4398046511104]"), ("24", "17592186044416")]),
            "take 17592186044416 bytes",
        ),
        (
            "nine axes",
            with(&[("[2,3]", "[2,3,1,1,1,1,1,1,1]")]),
            "more than 8 axes",
        ),
        (
            "a million axes",
            file(
                &header(&[("[2,3]", &format!("[2,3{}]", ",1".repeat(1_000_000)))]),
                &data,
            ),
            "more than 8 axes",
        ),
        (
            "shape is a text",
            with(&[("[2,3]", "\"2,3\"")]),
            "header is wrong",
        ),
        (
            "scalar",
            with(&[("[2,3]", "[]"), ("24", "4")]),
            "take 4 bytes, 24 are there",
        ),
        (
            "another shape of the same size",
            with(&[("[2,3]", "[3,2]")]),
            "wrong shape of `w` ([3, 2], not [2, 3])",
        ),
        (
            "offsets backwards",
            with(&[("[0,24]", "[24,0]")]),
            "does not take the bytes",
        ),
        (
            "negative offset",
            with(&[("[0,24]", "[-1,23]")]),
            "header is wrong",
        ),
        (
            "offsets past the end",
            with(&[("[0,24]", "[24,48]")]),
            "a hole or overlap",
        ),
        (
            "offsets of u64::MAX",
            with(&[("[0,24]", "[18446744073709551591,18446744073709551615]")]),
            "a hole or overlap",
        ),
        (
            "three offsets",
            with(&[("[0,24]", "[0,24,24]")]),
            "header is wrong",
        ),
        ("one offset", with(&[("[0,24]", "[24]")]), "header is wrong"),
        (
            "a hole before",
            [&file(&header(&[("[0,24]", "[4,28]")]), &data)[..], &[0; 4]].concat(),
            "a hole or overlap",
        ),
        (
            "overlap",
            second(r#""x":{"dtype":"F32","shape":[1],"data_offsets":[20,24]}"#),
            "a hole or overlap",
        ),
        (
            "an unexpected tensor backwards",
            second(r#""x":{"dtype":"F32","shape":[1],"data_offsets":[24,20]}"#),
            "a hole or overlap",
        ),
        (
            "renamed tensor",
            with(&[("\"w\"", "\"v\"")]),
            "missing `w`; unexpected `v`",
        ),
        (
            "a name with a path",
            with(&[("\"w\"", "\"../../etc/passwd\"")]),
            "unexpected `../../etc/passwd`",
        ),
        (
            "an absolute path",
            with(&[("\"w\"", "\"/etc/passwd\"")]),
            "unexpected `/etc/passwd`",
        ),
        (
            "a name with NUL and newline",
            with(&[("\"w\"", "\"w\\u0000\\n\"")]),
            "unexpected `w\\0\\n`",
        ),
        ("an empty name", with(&[("\"w\"", "\"\"")]), "unexpected ``"),
        (
            "a name of 10,000 letters",
            with(&[("\"w\"", &format!("\"{long_name}\""))]),
            "unexpected `nnn",
        ),
        (
            "5,000 tensors over the same bytes",
            file(&header(&[("]}}", &format!("]}}{many}}}"))]), &[0; 28]),
            "a hole or overlap",
        ),
        ("no tensors", file("{}", &[]), "missing `w`"),
        (
            "metadata that is not text",
            with(&[("{\"w", "{\"__metadata__\":{\"a\":1},\"w")]),
            "header is wrong",
        ),
        (
            "metadata that is a list",
            with(&[("{\"w", "{\"__metadata__\":[],\"w")]),
            "header is wrong",
        ),
        (
            "metadata twice",
            with(&[("{\"w", "{\"__metadata__\":{},\"__metadata__\":{},\"w")]),
            "`__metadata__` is there twice",
        ),
        (
            "a metadata key twice",
            with(&[("{\"w", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"},\"w")]),
            "`a` is there twice",
        ),
        (
            "tensor is null",
            file("{\"w\":null}", &data),
            "header is wrong",
        ),
        (
            "tensor is a list",
            file("{\"w\":[\"F32\",[2,3]]}", &data),
            "header is wrong",
        ),
        ("NaN", nan(f32::NAN.to_bits()), "`w` holds NaN or infinite"),
        (
            "infinity",
            nan(f32::NEG_INFINITY.to_bits()),
            "`w` holds NaN or infinite",
        ),
    ]
}

#[test]
fn hostile_weights_are_refused_in_one_sentence() {
    let shapes = one_tensor();
    let files = hostile_files();
    assert!(files.len() >= 33);
    for (name, bytes, said) in &files {
        let error = match read(bytes, &shapes) {
            Ok(_) => panic!("{name} was accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(said), "{name}: {error}");
        assert!(!error.contains(['\n', '\0']), "{name}: {error}");
        assert!(error.len() < 1000, "{name}: {error}");
    }
}

/// The address space of this process in bytes: at present, and at most so far.
fn address_space() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = |key: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((kibibytes("VmSize:")? << 10, kibibytes("VmPeak:")? << 10))
}

/// Measured in a process of its own, where no other test allocates and every large allocation is a mapping.
#[test]
fn hostile_weights_take_no_more_memory_than_their_own_size() {
    const ALONE: &str = "ZOO_TEST_ALONE";
    const SMALL_ALLOCATIONS: u64 = 1 << 20;
    if std::env::var_os(ALONE).is_none() {
        // With one test thread the thread has no name of the test's.
        let name = concat!(
            module_path!(),
            "::hostile_weights_take_no_more_memory_than_their_own_size"
        );
        let name = name.split_once("::").map_or(name, |(_, rest)| rest);
        let run = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads=2"])
            .env(ALONE, "1")
            .env("MALLOC_MMAP_THRESHOLD_", "65536")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let shapes = one_tensor();
    for (name, bytes, _) in &hostile_files() {
        let Some((before, highest)) = address_space() else {
            return;
        };
        assert!(read(bytes, &shapes).is_err());
        let (_, after) = address_space().unwrap();
        let taken = if after > highest { after - before } else { 0 };
        let allowed = bytes.len() as u64 + SMALL_ALLOCATIONS;
        assert!(taken <= allowed, "{name}: {taken} bytes, {allowed} allowed");
    }
}

#[test]
fn unusual_but_sound_weights_are_read_with_the_right_meaning() {
    let shapes = one_tensor();
    let numbers = [0.5f64, -1.0, 2.0, 3.0, -0.25, 65504.0];
    let f32s: Vec<u8> = numbers
        .iter()
        .flat_map(|v| (*v as f32).to_le_bytes())
        .collect();
    let f64s: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let halves: Vec<u8> = [0x3800u16, 0xbc00, 0x4000, 0x4200, 0xb400, 0x7bff]
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    let padded = header(&[("]}}", "]}}     ")]);
    let with_metadata = header(&[(
        "{\"w",
        "{\"__metadata__\":{\"format\":\"pt\",\"a\":\"b\"},\"w",
    )]);
    let reordered = r#"{"w":{"data_offsets":[0,24],"shape":[2,3],"dtype":"F32"}}"#;
    let cases = [
        (file(&header(&[]), &f32s), DType::F32),
        (file(&padded, &f32s), DType::F32),
        (file(&with_metadata, &f32s), DType::F32),
        (file(reordered, &f32s), DType::F32),
        (
            file(&header(&[("F32", "F64"), ("24", "48")]), &f64s),
            DType::F64,
        ),
        (
            file(&header(&[("F32", "F16"), ("24", "12")]), &halves),
            DType::F32,
        ),
    ];
    for (bytes, dtype) in cases {
        let tensors = read(&bytes, &shapes).unwrap();
        assert_eq!(tensors["w"].dtype(), dtype);
        assert_eq!(tensors["w"].dims(), [2, 3]);
        let read = tensors["w"]
            .to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap();
        assert_eq!(read.to_vec1::<f64>().unwrap(), numbers);
    }
    let brains: Vec<u8> = [0x3f00u16, 0xbf80, 0x4000, 0x4040, 0xbe80, 0x4780]
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    let bytes = file(&header(&[("F32", "BF16"), ("24", "12")]), &brains);
    let read = read(&bytes, &shapes).unwrap()["w"].flatten_all().unwrap();
    let rounded = [0.5f32, -1.0, 2.0, 3.0, -0.25, 65536.0];
    assert_eq!(read.to_vec1::<f32>().unwrap(), rounded);
}

#[test]
fn no_changed_byte_and_no_cut_is_read_as_another_network() {
    let shapes = one_tensor();
    let sound = file(&header(&[]), &[0; 24]);
    for i in 0..sound.len() {
        assert!(read(&sound[..i], &shapes).is_err(), "cut at {i}");
        for value in 0..=255 {
            let mut changed = sound.clone();
            changed[i] = value;
            if let Ok(tensors) = read(&changed, &shapes) {
                assert_eq!(tensors.len(), 1);
                assert_eq!(tensors["w"].dims(), [2, 3], "byte {i} as {value}");
            }
        }
    }
}
