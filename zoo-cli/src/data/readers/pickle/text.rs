//! The texts of protocol 0.

/// The bytes of a text as Python 2 shows it: in quotes, with escapes.
pub(super) fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let (quote, rest) = line.split_first()?;
    let (last, inner) = rest.split_last()?;
    if quote != last || !matches!(quote, b'\'' | b'"') {
        return None;
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut left = inner.iter();
    while let Some(&byte) = left.next() {
        bytes.push(match byte {
            b'\\' => match left.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'x' => digits(&mut left, 2).and_then(|code| u8::try_from(code).ok())?,
                &other @ (b'\\' | b'\'' | b'"') => other,
                _ => return None,
            },
            plain => plain,
        });
    }
    Some(bytes)
}

/// The text of bytes that each stand for themselves, but for `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn unicode(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut left = line.iter();
    while let Some(&byte) = left.next() {
        text.push(match byte {
            b'\\' => match left.next()? {
                b'u' => char::from_u32(digits(&mut left, 4)?)?,
                b'U' => char::from_u32(digits(&mut left, 8)?)?,
                _ => return None,
            },
            plain => char::from(plain),
        });
    }
    Some(text)
}

/// A number of so many hexadecimal digits.
fn digits(left: &mut std::slice::Iter<'_, u8>, count: usize) -> Option<u32> {
    (0..count).try_fold(0u32, |value, _| {
        let digit = char::from(*left.next()?).to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit)
    })
}
