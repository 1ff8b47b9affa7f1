//! Odd traffic at every provider: names in place of numbers, both ways, and SMS in every alphabet.

use serde_json::json;
use vumi_kit::{
    address::Address,
    charset::Charset,
    sms::Submission,
    webhook::{WebhookForm, WebhookRequest},
};

use super::{
    exam::{changed, example_webhook, provider, submission},
    fake_provider::{FakeProvider, answers},
    webhooks::{get, inbound, post, post_form, webhook},
};
use crate::{
    http_provider::HttpProvider,
    provider::Provider,
    providers::{clickatell::Clickatell, clickatell_platform::ClickatellPlatform, e_scape::EScape, opera::Opera},
};

const TWILIO: &str = include_str!("../http_provider/twilio.toml");

fn twilio() -> std::sync::Arc<dyn WebhookForm> {
    webhook(&HttpProvider::webhooks(&changed::<HttpProvider>(TWILIO, &[])), "receive.json")
}

fn opera_event(encoding: &str, remote: &str, text: &[u8]) -> Vec<u8> {
    let start = format!(
        "<?xml version=\"1.0\"{encoding}?><bspostevent><field name=\"Local\">*38080</field>\
         <field name=\"Remote\">{remote}</field><field name=\"Text\">"
    );
    [start.as_bytes(), text, b"</field></bspostevent>"].concat()
}

fn platform(from: &str, text: &str, charset: &str) -> WebhookRequest {
    let sms = json!({ "messageId": "m1", "fromNumber": from, "toNumber": "38080", "text": text, "charset": charset });
    post("application/json", sms.to_string())
}

/// What a provider is sent when the sender is this.
async fn sent_from<P: Provider>(settings: &str, sender: &str) -> String {
    let mut server = FakeProvider::start(answers(200, "")).await;
    let from = Address::sender(sender).unwrap();
    provider::<P>(settings, &server.url).submit(&Submission { from, ..submission("hello") }).await;
    server.call().await
}

#[tokio::test]
async fn an_sms_may_go_out_from_a_name_or_a_short_code() {
    for (sender, form, json, features) in
        [("INFO SMS", "INFO+SMS", "INFO SMS", "req_feat=8208"), ("42", "42", "42", "req_feat=8224")]
    {
        let clickatell = sent_from::<Clickatell>(Clickatell::EXAMPLE, sender).await;
        assert!(clickatell.contains(&format!("from={form}&")) && clickatell.contains(features), "{clickatell}");
        let escape = sent_from::<EScape>(EScape::EXAMPLE, sender).await;
        assert!(escape.contains(&format!("s={form}&")), "{escape}");
        let platform = sent_from::<ClickatellPlatform>(ClickatellPlatform::EXAMPLE, sender).await;
        assert!(platform.contains(&format!("\"from\":\"{json}\"")), "{platform}");
        let africas_talking = sent_from::<HttpProvider>(HttpProvider::EXAMPLE, sender).await;
        assert!(africas_talking.contains(&format!("from={form}&")), "{africas_talking}");
        let twilio = sent_from::<HttpProvider>(TWILIO, sender).await;
        assert!(twilio.contains(&format!("From={form}&")), "{twilio}");
    }
}

#[test]
fn a_sender_may_be_a_name_at_every_provider() {
    for (form, request, name) in [
        (twilio(), post_form("MessageSid=SM1&From=SUPPORT&To=42&Body=hi"), "SUPPORT"),
        (example_webhook::<EScape>("receive.json"), get("s=VODACOM&r=42&text=hi"), "VODACOM"),
        (example_webhook::<Clickatell>("receive.json"), get("moMsgId=1&from=MTN&to=42&text=hi"), "MTN"),
        (example_webhook::<ClickatellPlatform>("receive.json"), platform("INFO SMS", "hi", "UTF-8"), "INFO SMS"),
        (example_webhook::<HttpProvider>("receive.json"), post_form("from=Safaricom&to=42&text=hi&id=1"), "Safaricom"),
        (example_webhook::<Opera>("receive.xml"), post("text/xml", opera_event("", "T-Mobile", b"hi")), "T-Mobile"),
    ] {
        let sms = inbound(&*form, &request);
        assert_eq!((sms.from.as_str(), sms.message.as_str()), (name, "hi"));
        assert!(!sms.from.is_number() && sms.to.is_number(), "{name}");
    }
}

/// A call in a character set that its content type or its transport names.
fn named(charset: &str, request: WebhookRequest) -> WebhookRequest {
    WebhookRequest { charset: Some(Charset::of_label(charset)), ..request }
}

#[test]
fn a_text_is_read_in_the_alphabet_that_the_call_or_a_field_names() {
    let (clickatell, escape) =
        (example_webhook::<Clickatell>("receive.json"), example_webhook::<EScape>("receive.json"));
    let (platform_form, opera) =
        (example_webhook::<ClickatellPlatform>("receive.json"), example_webhook::<Opera>("receive.xml"));
    let by_clickatell = |rest: &str| get(&format!("moMsgId=1&from=27123456789&to=38080&{rest}"));
    let by_twilio = |text: &str| post_form(&format!("MessageSid=SM1&From=27123456789&To=38080&Body={text}"));
    let by_escape = |rest: &str| get(&format!("s=27123456789&r=38080&{rest}"));
    let by_opera = |encoding: &str, text: &[u8]| post("text/xml", opera_event(encoding, "27123456789", text));
    for (form, request, text) in [
        (twilio(), named("ISO-8859-1", by_twilio("je+suis+tr%E8s+satisfait")), "je suis très satisfait"),
        (twilio(), named("UTF-16BE", by_twilio("%00h%00i%00+%D8%3D")), "hi \u{fffd}"),
        (twilio(), by_twilio("je+suis+tr%E8s"), "je suis très"),
        (twilio(), by_twilio("%F0%9F%98%80+caf%C3"), "😀 caf\u{fffd}"),
        (clickatell.clone(), by_clickatell("charset=windows-1252&text=%93hi%94+%80+5"), "“hi” € 5"),
        (clickatell.clone(), by_clickatell("charset=cp1252&text=%80"), "€"),
        (clickatell.clone(), by_clickatell("charset=ISO-8859-15&text=%A4"), "€"),
        (clickatell.clone(), by_clickatell("charset=UTF-16BE&text=%00%68%00%69%00%20%D8%3D"), "hi \u{fffd}"),
        (clickatell.clone(), by_clickatell("charset=UTF-16BE&text=%FE%FF%00%68%00%69"), "hi"),
        (clickatell.clone(), by_clickatell("charset=UTF-16&text=%FF%FEh%00i%00"), "hi"),
        (clickatell.clone(), named("windows-1251", by_clickatell("charset=EBCDIC&text=%CF")), "П"),
        (escape.clone(), named("iso-8859-7", by_escape("text=%E1")), "α"),
        (escape, by_escape("charset=UTF-16BE&text=%04%1F"), "П"),
        (platform_form.clone(), platform("27", "%93hi%94 1", "windows-1252"), "“hi” 1"),
        (platform_form.clone(), platform("27", "%00h%D8%3D", "UTF-16BE"), "h\u{fffd}"),
        (platform_form, platform("27", "100% “hi”", "windows-1252"), "100% “hi”"),
        (opera.clone(), by_opera(" encoding=\"windows-1252\"", b"\x93hi\x94"), "“hi”"),
        (opera.clone(), named("ISO-8859-15", by_opera("", b"\xa4 5")), "€ 5"),
        (opera, by_opera("", "très".as_bytes()), "très"),
    ] {
        assert_eq!(inbound(&*form, &request).message, text, "{request:?}");
    }
    let unknown = clickatell.read(&by_clickatell("charset=EBCDIC&text=caf%E9")).unwrap_err();
    assert!(unknown.field == "text" && unknown.what.contains("`EBCDIC`"), "{unknown}");
}

#[test]
fn a_field_that_settings_name_tells_the_alphabet() {
    let settings = json!({ "format": "form", "from": "f", "to": "t", "text": "m", "charset": "enc" });
    let form =
        webhook(&HttpProvider::webhooks(&changed::<HttpProvider>(TWILIO, &[("inbound", settings)])), "receive.json");
    assert_eq!(inbound(&*form, &get("f=27831234567&t=42&m=%04%1F&enc=UTF-16BE")).message, "П");
    assert_eq!(inbound(&*form, &get("f=27831234567&t=42&m=%C3%A9&enc=")).message, "é");
}
