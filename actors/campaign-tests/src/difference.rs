//! The difference of two texts, line by line.

/// How many lines of each are compared; what is beyond is shown as it is.
const COMPARED: usize = 200;

/// Both texts' lines in one list: `-` before those that only `expected` has, `+` before those that only `seen` has.
pub(crate) fn lines_between(expected: &[String], seen: &[String]) -> Vec<String> {
    let (expected_head, expected_rest) = expected.split_at(expected.len().min(COMPARED));
    let (seen_head, seen_rest) = seen.split_at(seen.len().min(COMPARED));
    let mut lines = compared(expected_head, seen_head);
    lines.extend(expected_rest.iter().map(|line| format!("- {line}")));
    lines.extend(seen_rest.iter().map(|line| format!("+ {line}")));
    lines
}

fn compared(expected: &[String], seen: &[String]) -> Vec<String> {
    // `common[i][j]`: the longest list of lines that both have from `i` and from `j` on, in the same order.
    let mut common = vec![vec![0_usize; seen.len() + 1]; expected.len() + 1];
    let at = |common: &[Vec<usize>], i: usize, j: usize| common.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0);
    for (i, wanted) in expected.iter().enumerate().rev() {
        for (j, found) in seen.iter().enumerate().rev() {
            let longest = if wanted == found {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = longest;
            }
        }
    }
    let mut lines = Vec::with_capacity(expected.len() + seen.len());
    let (mut i, mut j) = (0, 0);
    loop {
        match (expected.get(i), seen.get(j)) {
            (Some(wanted), Some(found)) if wanted == found => {
                lines.push(format!("  {wanted}"));
                (i, j) = (i + 1, j + 1);
            }
            (Some(wanted), found) if found.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(format!("- {wanted}"));
                i += 1;
            }
            (_, Some(found)) => {
                lines.push(format!("+ {found}"));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lines_between;

    #[test]
    fn lines_that_both_have_stand_between_those_that_differ() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        for (expected, seen, difference) in [
            ("a\nb", "a\nb", "  a\n  b"),
            ("Town?\n1. A\n2. B", "Town?\n1. A\n2. C\n3. B", "  Town?\n  1. A\n- 2. B\n+ 2. C\n+ 3. B"),
            ("a\nb\nc", "b\nc\nd", "- a\n  b\n  c\n+ d"),
            ("", "a", "+ a"),
            ("a", "", "- a"),
        ] {
            assert_eq!(lines_between(&lines(expected), &lines(seen)).join("\n"), difference, "{expected:?} {seen:?}");
        }
        let long: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
        assert_eq!(lines_between(&long, &[]).len(), 1_000);
    }
}
