//! Menus in YAML: whatever is written, it is a menu or has problems, each at a place of the text.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match vumi_menu::read(text, "menu.yaml") {
        Ok(menu) => assert!(menu.start < menu.steps.len()),
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 100);
            assert!(problems.iter().all(|problem| problem.place.line >= 1 && problem.place.column >= 1));
        }
    }
});
