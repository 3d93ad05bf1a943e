use proptest::prelude::*;

use super::*;

mod written;

fn read(bytes: &[u8]) -> Result<Pickle, String> {
    Pickle::read(&mut &*bytes).map_err(|fault| fault.of_file(Path::new("a.pkl")).to_string())
}

/// What one value is, for a comparison.
fn shown(pickle: &Pickle, id: Id) -> String {
    match &pickle.values[id] {
        Value::List(items) | Value::Tuple(items) => {
            let items: Vec<String> = items.iter().map(|&item| shown(pickle, item)).collect();
            format!("[{}]", items.join(" "))
        }
        value => format!("{value:?}"),
    }
}

#[test]
fn all_protocols_say_the_same() {
    for (protocol, bytes) in written::ALL.iter().enumerate() {
        let pickle = read(bytes).unwrap();
        let get = |key: &str| pickle.get(pickle.root(), key).unwrap();
        let (layout, data) = pickle.array(get("data")).unwrap();
        assert_eq!(layout.shape, [2, 3], "protocol {protocol}");
        assert!(layout.dtype.is_byte() && !layout.fortran);
        assert_eq!(data, [0, 1, 2, 3, 4, 5]);
        let (layout, data) = pickle.array(get("f")).unwrap();
        assert!(layout.fortran);
        assert_eq!(data, [0, 3, 1, 4, 2, 5]);
        assert_eq!(layout.last_index_fastest(data.to_vec()), [0, 1, 2, 3, 4, 5]);
        assert_eq!(pickle.integers(get("labels")).unwrap(), [1, -2]);
        assert_eq!(shown(&pickle, get("n")), "Integer(300)");
        assert_eq!(pickle.text(get("k")).unwrap(), "é");
        assert_eq!(
            shown(&pickle, get("t")),
            "[Nothing Truth(true) Float Integer(70000)]"
        );
        assert_eq!(pickle.get(pickle.root(), "absent"), None);
    }
}

#[test]
fn numbers_and_texts_of_python_2_and_3() {
    // pickle.dumps([b'', -1, 255, 256, 65536, -129, 2**40, -2**40], 2)
    let bytes = b"\x80\x02]q\0(c__builtin__\nbytes\nq\x01)Rq\x02J\xff\xff\xff\xffK\xffM\0\x01J\0\0\x01\0J\x7f\xff\xff\xff\x8a\x06\0\0\0\0\0\x01\x8a\x06\0\0\0\0\0\xffe.";
    let pickle = read(bytes).unwrap();
    assert_eq!(
        shown(&pickle, pickle.root()),
        "[Bytes([]) Integer(-1) Integer(255) Integer(256) Integer(65536) Integer(-129) \
         Integer(1099511627776) Integer(-1099511627776)]"
    );
    for (bytes, expected) in [
        // Python 2: 'it\'s\n\xe9', u'\u20ac', 5L, True.
        (
            &b"S\"it's\\n\\xe9\\\\\"\np1\n."[..],
            "Bytes([105, 116, 39, 115, 10, 233, 92])",
        ),
        (b"V\\u20ac\xe9\np0\n.", "Text(\"\u{20ac}\u{e9}\")"),
        (b"L5L\n.", "Integer(5)"),
        (b"I01\n.", "Truth(true)"),
        (b"I1\n.", "Integer(1)"),
        (b"\x80\x02U\x02ab.", "Bytes([97, 98])"),
        (b"T\x02\0\0\0ab.", "Bytes([97, 98])"),
        (b"(I1\nI2\nl.", "[Integer(1) Integer(2)]"),
        (b"(lp0\nI7\na.", "[Integer(7)]"),
        (b"\x8b\x01\0\0\0\xfe.", "Integer(-2)"),
        (b"\x8a\0.", "Integer(0)"),
        (b"(K\x01K\x021K\x03.", "Integer(3)"),
        (b"K\x01(0.", "Integer(1)"),
        (b"K\x012\x86.", "[Integer(1) Integer(1)]"),
    ] {
        let pickle = read(bytes).unwrap();
        assert_eq!(shown(&pickle, pickle.root()), expected);
    }
    // Big-endian numbers in one column of an array.
    let bytes = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\0cnumpy\nndarray\nq\x01K\0\x85q\x02U\x01b\x87q\x08Rq\x09(K\x01K\x03\x85q\ncnumpy\ndtype\nq\x0bU\x02i2q\x0cK\0K\x01\x87q\x0dRq\x0e(K\x03U\x01>q\x0fNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tq\x10b\x89U\x06\0\x01\0\x05\0\x09tq\x14b.";
    let pickle = read(bytes).unwrap();
    assert_eq!(pickle.integers(pickle.root()).unwrap(), [1, 5, 9]);
}

#[test]
fn a_later_key_wins_and_a_list_may_hold_itself() {
    let pickle = read(b"}(U\x01aK\x01U\x01aK\x02u.").unwrap();
    let value = pickle.get(pickle.root(), "a").unwrap();
    assert_eq!(shown(&pickle, value), "Integer(2)");
    let pickle = read(b"]q\0h\0a.").unwrap();
    assert_eq!(pickle.sequence(pickle.root()).unwrap(), [pickle.root()]);
    assert_eq!(pickle.integers(pickle.root()), None);
}

#[test]
fn whatever_is_no_data_is_refused() {
    for (bytes, said) in [
        (&b"cos\nsystem\n(S'ls'\ntR."[..], "`os.system`"),
        (
            b"\x80\x04\x8c\x08builtins\x94\x8c\x04eval\x94\x93\x94.",
            "`builtins.eval`",
        ),
        (
            b"\x80\x02ccollections\nOrderedDict\nq\0)R.",
            "`collections.OrderedDict`",
        ),
        (b"(ios\nsystem\n.", "an object of a class"),
        (b"(cnumpy\nndarray\no.", "an object of a class"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "an object of a class"),
        (b"\x80\x02cnumpy\nndarray\n)R.", "a call of a class"),
        (b"\x80\x02]}b.", "an object of a class"),
        (b"\x80\x02](K\x01tb.", "an object of a class"),
        (b"\x80\x04\x8f(K\x01\x90.", "a set"),
        (b"Pabc\n.", "outside"),
        (b"\x80\x02\x82\x01.", "registered"),
        (b"\x80\x05\x97.", "a buffer outside"),
        (
            b"\x80\x02\x8a\x0d\0\0\0@\xea\xedtF\xd0\x9c,\x9f\x0c.",
            "more than 64 bits",
        ),
        // numpy.array([1.5]) and numpy.array([None])
        (b"cnumpy\ndtype\n(S'f8'\ntR.", "the type `f8`"),
        (b"cnumpy\ndtype\n(S'O8'\ntR.", "the type `O8`"),
        (b"cnumpy\ndtype\n(S'V4'\ntR.", "the type `V4`"),
        (
            b"\x80\x02c_codecs\nencode\nX\x01\0\0\0bX\x05\0\0\0utf-8\x86R.",
            "unknown encoding",
        ),
        (b"\x80\x06.", "protocol 6"),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(
            error.contains(said) && error.contains("a.pkl"),
            "{said}: {error}"
        );
    }
}

#[test]
fn damaged_pickles_are_named() {
    let good = written::ALL[2];
    let short = read(&good[..good.len() - 1]).unwrap_err();
    assert!(short.contains("ends too early"), "{short}");
    for (bytes, said) in [
        (&b""[..], "ends too early"),
        (b".", "where there is none"),
        (b"K\x01(.", "where there is none"),
        (b"t.", "was not begun"),
        (b"h\x05.", "that it lacks"),
        (b"K\x01K\x02a.", "neither a list"),
        (b"}(K\x01u.", "without a value"),
        (b"K\x01K\x02R.", "no function"),
        (b"\x01", "0x01"),
        (b"S'a\n.", "text in it is broken"),
        (b"Vab\\x\n.", "text in it is broken"),
        (b"X\x01\0\0\0\xff.", "text in it is broken"),
        (b"Ix\n.", "none of 64 bits"),
        // A length that the file does not hold.
        (b"B\xff\xff\xff\xffab", "ends too early"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffab", "ends too early"),
        // Two bytes for an array of three.
        (
            b"cnumpy._core.numeric\n_frombuffer\n(C\x02abcnumpy\ndtype\n(S'u1'\ntRK\x03\x85S'C'\ntR.",
            "2 bytes in place",
        ),
    ] {
        let error = read(bytes).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn little_bytes_make_little_memory() {
    // A text of 200 bytes that is encoded a thousand times.
    let mut bytes = b"\x80\x02c_codecs\nencode\nq\0X\xc8\0\0\0".to_vec();
    bytes.extend([b'a'; 200]);
    bytes.extend(b"X\x06\0\0\0latin1\x86q\x010");
    for _ in 0..1000 {
        bytes.extend(b"h\0h\x01R0");
    }
    bytes.extend(b"N.");
    let error = read(&bytes).unwrap_err();
    assert!(error.contains("without end"), "{error}");
    // A list of lists of lists, each twice.
    let mut bytes = b"]q\0".to_vec();
    for _ in 0..64 {
        bytes.extend(b"h\0h\0\x86q\0");
    }
    bytes.push(b'.');
    assert!(read(&bytes).unwrap().values.len() < 100);
    let endless = vec![b'N'; 5 << 20];
    assert!(read(&endless).unwrap_err().contains("steps"));
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(
        protocol in 0usize..6,
        changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..4),
        cut in 0usize..500,
        raw: Vec<u8>,
    ) {
        let mut bytes = written::ALL[protocol].to_vec();
        let length = bytes.len();
        for (at, byte) in changes {
            bytes[at % length] = byte;
        }
        bytes.truncate(cut);
        if let Ok(pickle) = read(&bytes) {
            for id in 0..pickle.values.len() {
                let _ = (pickle.array(id), pickle.text(id), pickle.integers(id), pickle.get(id, "data"));
            }
        }
        let _ = read(&raw);
    }

    #[test]
    fn any_program_of_steps_never_panics(steps in proptest::collection::vec(
        proptest::sample::select(&b"((((N]}))taeuslde012RRbh\0h\x01q\0q\x01\x85\x86\x87K\x01\x88\x89\x94."[..]), 0..60,
    )) {
        let mut bytes = b"\x80\x02cnumpy\ndtype\nq\0c_codecs\nencode\nq\x01".to_vec();
        bytes.extend(steps);
        let _ = read(&bytes);
    }
}
