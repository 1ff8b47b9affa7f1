//! `vumi check --connect`: is everything there that the settings name?

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use reqwest::Url;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::{net::TcpStream, sync::oneshot, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use vumi_amqp::try_connect;

use crate::config::{ComponentConfig, Settings};

/// How long each may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Tries everything that runs here, and says how it is; whether all is there.
#[expect(clippy::print_stdout, reason = "what the command is for")]
pub(super) async fn connect(settings: &Settings) -> anyhow::Result<bool> {
    println!("connecting:");
    let tls = ClientConfig::with_platform_verifier().context("the system's CA certificates can't be used")?;
    let tls = TlsConnector::from(Arc::new(tls));
    let mut found = Vec::new();
    if !settings.deployment.sandbox_alone() {
        found.push(("store".to_owned(), store(settings).await));
    }
    if let (Some(amqp), Some(topology)) = (&settings.amqp, &settings.deployment.amqp) {
        let tried = try_connect(amqp, topology).await.map_err(|error| format!("{}: {error}", amqp.shown()));
        found.push(("amqp".to_owned(), tried.map(|()| format!("{}: in, and may declare its queues", amqp.shown()))));
    }
    for transport in
        settings.transports.iter().filter(|component| settings.deployment.transports.contains(&component.name))
    {
        if let Some(result) = provider(transport, settings, &tls).await {
            found.push((transport.name.to_string(), result));
        }
    }
    let width = found.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, result) in &found {
        match result {
            Ok(detail) => println!("  {name:width$}  {detail}"),
            Err(detail) => println!("  {name:width$}  MISSING: {detail}"),
        }
    }
    Ok(found.iter().all(|(_, result)| result.is_ok()))
}

async fn store(settings: &Settings) -> Result<String, String> {
    let store = settings.store.clone();
    if let Some(path) = store.url.strip_prefix("sqlite://").map(Path::new)
        && path.parent().is_some_and(|folder| folder.as_os_str().is_empty() || folder.is_dir())
        && !path.exists()
    {
        return Ok(format!("{} is made at the first start", path.display()));
    }
    // A thread of its own: a database that never answers is not waited for.
    let (done, pending) = oneshot::channel();
    std::thread::spawn(move || {
        let _nobody_waits = done.send(vumi_store::pending(&store));
    });
    match timeout(LIMIT, pending).await {
        Ok(Ok(Ok(pending))) if pending.is_empty() => Ok("connected; its tables are this version's".to_owned()),
        Ok(Ok(Ok(pending))) => Ok(format!(
            "connected; `vumi migrate`, or `vumi run`, brings its tables up to date: {}",
            pending.join(", ")
        )),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("trying it failed: see above".to_owned()),
        Err(_) => Err(format!("no answer within {LIMIT:?}: can this machine reach it?")),
    }
}

/// How a transport's provider is, if the kind says where that is.
async fn provider(
    transport: &ComponentConfig,
    settings: &Settings,
    tls: &TlsConnector,
) -> Option<Result<String, String>> {
    let url = Url::parse(&(transport.kind.provider_url)(&transport.settings)?).ok()?;
    let secured = url.scheme() == "https";
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default()?;
    let address = format!("{host}:{port}");
    let sandbox = settings.sandbox.as_ref().map(|sandbox| [sandbox.http_bind, sandbox.truteq_bind, sandbox.smsc_bind]);
    let sandboxed = sandbox.is_some_and(|binds| address.parse::<SocketAddr>().is_ok_and(|at| binds.contains(&at)));
    if sandboxed && settings.deployment.sandbox {
        return Some(Ok(format!("{address} is the sandbox's, which starts with the router")));
    }
    let advice = if sandboxed { ": it is the sandbox's, `vumi run --only sandbox` starts it" } else { "" };
    if let Some(trial) = (transport.kind.try_connect)(&transport.settings) {
        let tried = timeout(3 * LIMIT, trial).await;
        let tried = tried.unwrap_or_else(|_| Err(format!("no answer within {:?}", 3 * LIMIT)));
        return Some(tried.map_err(|why| format!("{why}{advice}")));
    }
    let tried = timeout(LIMIT, reach(&host, port, secured.then_some(tls))).await;
    let tried = tried.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}: does a firewall keep it away?")));
    let answers = if secured { "answers, with a certificate that is good" } else { "answers" };
    Some(tried.map(|()| format!("{address} {answers}")).map_err(|why| format!("{address}: {why}{advice}")))
}

/// Connects, shakes hands where TLS is spoken, and says goodbye.
async fn reach(host: &str, port: u16, tls: Option<&TlsConnector>) -> Result<(), String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there: check the address in the settings".to_owned(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            format!("this machine has no way there ({error})")
        }
        _ => format!("{error}: check the name in the settings, and this machine's name servers"),
    })?;
    let Some(tls) = tls else { return Ok(()) };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    tls.connect(name, stream).await.map(drop).map_err(|error| format!("TLS: {error}"))
}
