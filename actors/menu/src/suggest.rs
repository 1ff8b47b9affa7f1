//! What somebody may have meant who wrote a word that nobody knows.

/// Words longer than this, in characters, are not compared.
const LONGEST_WORD: usize = 64;
/// So many candidates are compared at the most.
const MOST_CANDIDATES: usize = 4_000;

/// The candidate that is written most like a word, if any is like it.
#[must_use]
pub(crate) fn meant<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let word: Vec<char> = word.to_lowercase().chars().take(LONGEST_WORD + 1).collect();
    if word.len() > LONGEST_WORD {
        return None;
    }
    let far = word.len() / 3 + 1;
    let candidates = candidates.into_iter().take(MOST_CANDIDATES);
    let measured = candidates.filter_map(|candidate| {
        let letters: Vec<char> = candidate.to_lowercase().chars().take(LONGEST_WORD + 1).collect();
        let distance = distance(&word, &letters);
        (distance <= far).then_some((distance, candidate))
    });
    measured.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate.to_owned())
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let change = at(&row, j) + usize::from(x != y);
            let mut best = change.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn the_nearest_word_is_suggested_and_a_strange_one_is_not() {
        let words = ["question", "options", "expect", "teen", "town"];
        for (written, expected) in [
            ("qestion", Some("question")),
            ("teens", Some("teen")),
            ("Option", Some("options")),
            ("exepct", Some("expect")),
            ("clinic", None),
            ("", None),
        ] {
            assert_eq!(meant(written, words).as_deref(), expected, "{written}");
        }
        assert_eq!(meant(&"x".repeat(10_000), words), None);
    }
}
