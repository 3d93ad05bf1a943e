//! Names by patterns.

/// Whether `pattern` describes the whole of `text`: `*` stands for any characters, `?` for one. Takes pattern × text
/// steps at the most.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let [pattern, text] = [pattern, text].map(|text| text.chars().collect::<Vec<char>>());
    // Where the last star stood, and where in the text it was tried to end.
    let (mut at, mut here, mut star) = (0, 0, None);
    while here < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[here] => {
                at += 1;
                here += 1;
            }
            _ => match star {
                Some((position, taken)) => {
                    star = Some((position, taken + 1));
                    at = position + 1;
                    here = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_like_file_names() {
        for (pattern, text) in [
            ("a.txt", "a.txt"),
            ("*.parquet", "plain_text/train-00000-of-00001.parquet"),
            ("*/test-*.parquet", "plain_text/test-00000-of-00001.parquet"),
            ("*.plain", "cifar-classifier.plain"),
            ("a?c", "abc"),
            ("a?c", "aäc"),
            ("*", ""),
            ("*a*a*b", "aaaaab"),
            ("*a*a*b", "aacab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a.txt", "a.txt2"),
            ("", "a"),
            ("a?c", "ac"),
            ("*.json", "json"),
            ("*a*a*b", "aaaaa"),
            ("cifar-classifier", "cifar-classifier.plain"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
