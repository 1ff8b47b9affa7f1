//! schedule_delivery_time and validity_period. Absolute times are the ESME's, and are read by the machine's clock.

use std::time::Duration;

use vumi_kit::{clock::Timestamp, sms_fields::SmsTimes};
use vumi_smpp_codec::{Message, status, time::SmppTime};

use super::RefusalStatus;

/// Not before when, and how long it may wait from then on; a longer validity than the router tries is cut to that.
pub(super) fn read(
    message: &Message,
    now: Timestamp,
    wall: Timestamp,
    times: &SmsTimes,
) -> Result<(Option<Timestamp>, Option<Duration>), RefusalStatus> {
    let bad_schedule = status::ESME_RINVSCHED;
    let from_now = |time: SmppTime| match time {
        SmppTime::Relative(wait) => Ahead::In(wait),
        SmppTime::Absolute(at) => {
            let at = Timestamp::from_micros(at.timestamp_micros());
            if at < wall { Ahead::Past(wall.since(at)) } else { Ahead::In(at.since(wall)) }
        }
    };
    let schedule = SmppTime::read(&message.schedule_delivery_time).map_err(|_| bad_schedule)?.map(from_now);
    let wait = match schedule {
        None => None,
        Some(Ahead::In(wait)) if wait <= times.schedule_within => Some(wait),
        // Clocks differ.
        Some(Ahead::Past(by)) if by <= times.late_by => None,
        Some(_) => return Err(bad_schedule),
    };
    let bad_expiry = status::ESME_RINVEXPIRY;
    let validity = SmppTime::read(&message.validity_period).map_err(|_| bad_expiry)?;
    let validity = match validity {
        None => None,
        // From acceptance, or from the time for which it is scheduled.
        Some(SmppTime::Relative(valid)) => Some(valid),
        Some(absolute) => match from_now(absolute) {
            Ahead::In(until) => Some(until.saturating_sub(wait.unwrap_or_default())),
            Ahead::Past(_) => return Err(bad_expiry),
        },
    };
    if validity.is_some_and(|validity| validity < Duration::from_secs(1)) {
        return Err(bad_expiry);
    }
    Ok((wait.map(|wait| now.plus(wait)), validity.map(|validity| validity.min(times.give_up_after))))
}

/// A time as seen from now.
enum Ahead {
    In(Duration),
    Past(Duration),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::{clock::Timestamp, sms_fields::SmsTimes, testing::moment};
    use vumi_smpp_codec::{Message, status};

    /// In seconds from now: the ledger and the machine need not have the same clock.
    fn read(schedule: &'static str, validity: &'static str) -> Result<(Option<u64>, Option<u64>), u32> {
        let message = Message {
            schedule_delivery_time: schedule.as_bytes().into(),
            validity_period: validity.as_bytes().into(),
            ..Message::default()
        };
        let wall = Timestamp::parse("2026-11-27 12:00:00").unwrap();
        let read = super::read(&message, moment(), wall, &SmsTimes::default())?;
        Ok((read.0.map(|at| at.since(moment()).as_secs()), read.1.map(|valid: Duration| valid.as_secs())))
    }

    #[test]
    fn times_are_absolute_or_relative_and_what_can_not_be_is_refused() {
        for (schedule, validity, expected) in [
            ("", "", Ok((None, None))),
            ("", "000000001000000R", Ok((None, Some(600)))),
            ("", "261127121000000+", Ok((None, Some(600)))),
            ("", "261127141000008+", Ok((None, Some(600)))),
            ("000001000000000R", "", Ok((Some(86_400), None))),
            ("261127130000000+", "261127140000000+", Ok((Some(3_600), Some(3_600)))),
            ("261127130000000+", "000000001000000R", Ok((Some(3_600), Some(600)))),
            ("261127115930000+", "", Ok((None, None))),
            ("", "000100000000000R", Ok((None, Some(86_400)))),
            ("261127110000000+", "", Err(status::ESME_RINVSCHED)),
            ("000200000000000R", "", Err(status::ESME_RINVSCHED)),
            ("never", "", Err(status::ESME_RINVSCHED)),
            ("", "261127110000000+", Err(status::ESME_RINVEXPIRY)),
            ("", "000000000000000R", Err(status::ESME_RINVEXPIRY)),
            ("", "later", Err(status::ESME_RINVEXPIRY)),
        ] {
            assert_eq!(read(schedule, validity), expected, "{schedule:?} {validity:?}");
        }
    }
}
