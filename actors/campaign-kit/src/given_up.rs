//! Turns that took too long: what they led to was not shown, and may have been saved all the same.

use std::{cell::RefCell, collections::HashMap};

/// The most messages that are remembered of a person.
const EACH: usize = 4;

/// The messages whose turns were given up, by person. Only until the person's next turn ends well.
pub(crate) struct GivenUp {
    /// As many people as there may be.
    most: usize,
    messages: RefCell<HashMap<String, Vec<String>>>,
}

impl GivenUp {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, messages: RefCell::default() }
    }

    /// The person's, for a turn; they are forgotten.
    pub(crate) fn take(&self, person: &str) -> Vec<String> {
        let mut messages = self.messages.borrow_mut();
        if messages.is_empty() { Vec::new() } else { messages.remove(person).unwrap_or_default() }
    }

    /// One more after `earlier`. People who never answered again make room where there are too many.
    pub(crate) fn note(&self, person: &str, mut earlier: Vec<String>, message_id: &str) {
        let mut messages = self.messages.borrow_mut();
        if messages.len() >= self.most {
            messages.clear();
        }
        if earlier.len() >= EACH {
            earlier.remove(0);
        }
        earlier.push(message_id.to_owned());
        messages.insert(person.to_owned(), earlier);
    }
}

#[cfg(test)]
mod tests {
    use super::GivenUp;

    #[test]
    fn a_few_messages_of_each_person_and_a_bounded_number_of_people_are_remembered() {
        let given_up = GivenUp::new(2);
        for id in ["1", "2", "3", "4", "5"] {
            let earlier = given_up.take("a");
            given_up.note("a", earlier, id);
        }
        assert_eq!(given_up.take("a"), ["2", "3", "4", "5"]);
        assert!(given_up.take("a").is_empty());
        for person in ["a", "b", "c"] {
            given_up.note(person, Vec::new(), "1");
        }
        assert_eq!((given_up.take("a").len(), given_up.take("c").len()), (0, 1));
    }
}
