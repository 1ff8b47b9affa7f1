//! The parts of long SMS, until they are whole.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use vumi_smpp_codec::{
    Message,
    udh::{Concat, Width},
};

/// How many long SMS wait for parts; the oldest is forgotten when one more comes.
const MAX_WAITING: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LongSmsKey {
    source: Bytes,
    destination: Bytes,
    reference: u16,
    width: Width,
    total: u8,
}

/// Long SMS of which parts are missing.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    parts: HashMap<LongSmsKey, Vec<Option<String>>>,
    order: VecDeque<LongSmsKey>,
}

impl Reassembly {
    /// Adds a part; the whole text if it was the last one missing. A part that comes again replaces the first.
    pub(super) fn add(&mut self, message: &Message, concat: Concat, text: String) -> Option<String> {
        let key = LongSmsKey {
            source: Bytes::copy_from_slice(&message.source.addr),
            destination: Bytes::copy_from_slice(&message.destination.addr),
            reference: concat.reference,
            width: concat.width,
            total: concat.total,
        };
        if !self.parts.contains_key(&key) {
            self.make_capacity();
            self.order.push_back(key.clone());
        }
        let parts = self.parts.entry(key.clone()).or_insert_with(|| vec![None; usize::from(concat.total)]);
        // Counted from 1 to total.
        if let Some(part) = parts.get_mut(usize::from(concat.number) - 1) {
            *part = Some(text);
        }
        let whole: String = parts.iter().cloned().collect::<Option<_>>()?;
        self.parts.remove(&key);
        self.order.retain(|waiting| *waiting != key);
        Some(whole)
    }

    fn make_capacity(&mut self) {
        if self.order.len() >= MAX_WAITING
            && let Some(oldest) = self.order.pop_front()
        {
            self.parts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use vumi_smpp_codec::{
        Message,
        udh::{Concat, Width},
    };

    use super::{MAX_WAITING, Reassembly};

    #[test]
    fn parts_in_any_order_make_the_whole_text_and_memory_is_bounded() {
        let mut reassembly = Reassembly::default();
        let part = |reference, number| Concat::new(reference, Width::Eight, 2, number).unwrap();
        let message = Message::default();
        assert_eq!(reassembly.add(&message, part(1, 2), "b".to_owned()), None);
        assert_eq!(reassembly.add(&message, part(2, 1), "c".to_owned()), None);
        assert_eq!(reassembly.add(&message, part(1, 1), "a".to_owned()), Some("ab".to_owned()));
        for reference in 3..20_000 {
            assert_eq!(reassembly.add(&message, part(reference, 1), String::new()), None);
        }
        assert_eq!((reassembly.parts.len(), reassembly.order.len()), (MAX_WAITING, MAX_WAITING));
    }
}
