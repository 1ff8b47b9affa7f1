//! `GET /`: the page for an operator who opens the sandbox's address.

use std::fmt::Write as _;

use crate::control::ControlPages;

pub(crate) fn text(pages: &ControlPages) -> String {
    let (http, callback) = (pages.addresses.http, &pages.callback_url);
    let mut page =
        String::from("Vumi's sandbox: servers that speak the providers' protocols, on this machine only.\n\n");
    let _written_to_a_string = write!(
        page,
        "The phone in the browser: http://{http}/phone\n\n\
         Providers (give a transport this url):\n",
    );
    for provider in &pages.providers {
        let name = provider.core().name;
        let url = format!("http://{http}/{name}");
        let _written_to_a_string = writeln!(page, "  {name:<20} {url:<48} {}", provider.serves());
    }
    let address = pages.addresses.truteq.to_string();
    let routers = pages.network.routers();
    let _written_to_a_string =
        writeln!(page, "  {:<20} {address:<48} SSMI over TCP; routers logged in: {routers}", "truteq");
    let address = pages.addresses.smsc.to_string();
    let _written_to_a_string =
        writeln!(page, "  {:<20} {address:<48} SMPP 3.4 over TCP; sessions: {}", "smsc", pages.smsc.sessions());
    let _written_to_a_string = write!(
        page,
        "\nReceipts and inbound SMS go to {callback}/{{transport}}/...\n\n\
         Try:\n\
         \x20 The SMS that a provider took, with the ids:\n\
         \x20   curl 'http://{http}/seen/clickatell?ids=true'\n\
         \x20 Forget them:\n\
         \x20   curl -X DELETE http://{http}/seen\n\
         \x20 A person sends an SMS (add \"method\":\"GET\" for Clickatell's and Twilio's other form):\n\
         \x20   curl -d '{{\"from\":\"27831234567\",\"to\":\"27820000000\",\"text\":\"hello\"}}' http://{http}/inbound/clickatell\n\
         \x20 Every third SMS is refused, answers come late (a body of {{}} makes the provider behave):\n\
         \x20   curl -X PUT -d '{{\"refuse_every\":3,\"delay\":\"2s\"}}' http://{http}/misbehave/clickatell\n\
         \x20 What can be set:\n\
         \x20   curl http://{http}/misbehave/clickatell\n\
         \x20 A person dials, answers, hangs up:\n\
         \x20   curl -d '{{\"msisdn\":\"27831234567\",\"code\":\"*120*663*79#\"}}' http://{http}/handset/dial\n\
         \x20   curl -d '{{\"msisdn\":\"27831234567\",\"text\":\"1\"}}' http://{http}/handset/answer\n\
         \x20   curl -d '{{\"msisdn\":\"27831234567\"}}' http://{http}/handset/hang_up\n"
    );
    page
}
