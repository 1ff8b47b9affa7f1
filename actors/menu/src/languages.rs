//! What languages are called by those who speak them.

/// Codes and names, in letters of the GSM alphabet where the language is known without its other letters, too.
const NAMES: [(&str, &str); 37] = [
    ("af", "Afrikaans"),
    ("ak", "Akan"),
    ("am", "Amarigna"),
    ("ar", "Arabi"),
    ("bm", "Bamanankan"),
    ("de", "Deutsch"),
    ("ee", "Ewe"),
    ("en", "English"),
    ("es", "Español"),
    ("ff", "Fulfulde"),
    ("fr", "Francais"),
    ("ha", "Hausa"),
    ("hi", "Hindi"),
    ("ig", "Igbo"),
    ("ki", "Gikuyu"),
    ("lg", "Luganda"),
    ("ln", "Lingala"),
    ("luo", "Dholuo"),
    ("mg", "Malagasy"),
    ("nr", "isiNdebele"),
    ("nso", "Sepedi"),
    ("ny", "Chichewa"),
    ("om", "Oromoo"),
    ("pt", "Portugues"),
    ("rw", "Kinyarwanda"),
    ("sn", "chiShona"),
    ("so", "Soomaali"),
    ("ss", "siSwati"),
    ("st", "Sesotho"),
    ("sw", "Kiswahili"),
    ("tn", "Setswana"),
    ("ts", "Xitsonga"),
    ("ve", "Tshivenda"),
    ("wo", "Wolof"),
    ("xh", "isiXhosa"),
    ("yo", "Yoruba"),
    ("zu", "isiZulu"),
];

/// What a language is called; its code where this table does not know it.
pub(crate) fn language_name(code: &str) -> &str {
    let base = code.split('-').next().unwrap_or(code);
    NAMES.iter().find(|(known, _)| *known == base).map_or(code, |(_, name)| name)
}

/// Whether a text has the form of a language's code: `zu`, `nso`, `pt-BR`.
pub(crate) fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let base = parts.next().unwrap_or_default();
    (2..=3).contains(&base.len())
        && base.bytes().all(|letter| letter.is_ascii_lowercase())
        && parts.clone().count() <= 2
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::{NAMES, is_language, language_name};
    use vumi_kit::text::is_gsm;

    #[test]
    fn every_language_has_a_name_that_a_phone_shows() {
        for (code, name) in NAMES {
            assert!(is_language(code) && name.chars().all(is_gsm), "{code}");
        }
        assert_eq!((language_name("zu"), language_name("pt-BR"), language_name("xx")), ("isiZulu", "Portugues", "xx"));
        for wrong in ["", "z", "ZU", "english", "zu-", "zu-x", "z1"] {
            assert!(!is_language(wrong), "{wrong}");
        }
    }
}
