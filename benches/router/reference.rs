//! The reference: what a bare actix-web handler with a group-committing SQLite writer reaches, and nothing else:
//! no accounts, no limits, no checks, no routing; the same columns, indexes and `synchronous=full`.

use actix_web::{App, HttpResponse, HttpServer, web};
use diesel::{Connection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, prelude::*};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

diesel::table! {
    sms (id) {
        id -> BigInt,
        account -> BigInt,
        transport -> Text,
        to_msisdn -> Text,
        from_msisdn -> Text,
        message -> Text,
        status -> SmallInt,
        attempts -> Integer,
        claimed_by -> Nullable<Text>,
        next_attempt_at -> Nullable<BigInt>,
        give_up_at -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

const TABLE: &str = "
    CREATE TABLE sms (id INTEGER PRIMARY KEY, account BIGINT NOT NULL, transport TEXT NOT NULL, to_msisdn TEXT NOT NULL,
        from_msisdn TEXT NOT NULL, message TEXT NOT NULL, status SMALLINT NOT NULL, attempts INTEGER NOT NULL,
        claimed_by TEXT, next_attempt_at BIGINT, give_up_at BIGINT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
    CREATE INDEX due ON sms (transport, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
    CREATE INDEX changed ON sms (account, transport, updated_at, id);";

#[derive(Deserialize)]
struct Form {
    to_msisdn: String,
    from_msisdn: String,
    message: String,
}

type ReferenceJob = (Form, oneshot::Sender<i64>);

/// Serves until killed; `folder_and_port` is `FOLDER:PORT`.
pub(crate) fn serve(folder_and_port: &str) {
    let (folder, port) = folder_and_port.rsplit_once(':').unwrap();
    let mut connection = SqliteConnection::establish(&format!("{folder}/reference.db")).unwrap();
    connection.batch_execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;").unwrap();
    connection.batch_execute(TABLE).unwrap();
    let (jobs, queue) = mpsc::channel::<ReferenceJob>(10_000);
    std::thread::spawn(move || write(&mut connection, queue));
    actix_web::rt::System::new()
        .block_on(async move {
            let server = HttpServer::new(move || {
                App::new().app_data(web::Data::new(jobs.clone())).route("/", web::post().to(accept))
            })
            .workers(2)
            .bind(("127.0.0.1", port.parse().unwrap()))?
            .run();
            eprintln!("ready");
            server.await
        })
        .unwrap();
}

async fn accept(form: web::Form<Form>, jobs: web::Data<mpsc::Sender<ReferenceJob>>) -> HttpResponse {
    let (reply, id) = oneshot::channel();
    let (to, message) = (form.to_msisdn.clone(), form.message.clone());
    if jobs.try_send((form.into_inner(), reply)).is_err() {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let id = id.await.unwrap();
    HttpResponse::Ok()
        .json(serde_json::json!([{ "id": id, "to_msisdn": to, "message": message, "transport_status": 0 }]))
}

fn write(connection: &mut SqliteConnection, mut queue: mpsc::Receiver<ReferenceJob>) {
    let mut batch = Vec::with_capacity(512);
    while queue.blocking_recv_many(&mut batch, 512) > 0 {
        let written: Vec<(i64, oneshot::Sender<i64>)> = connection
            .immediate_transaction::<_, diesel::result::Error, _>(|connection| {
                batch.drain(..).map(|(form, reply)| Ok((insert(connection, &form)?, reply))).collect()
            })
            .unwrap();
        for (id, reply) in written {
            let _client_gone = reply.send(id);
        }
    }
}

fn insert(connection: &mut SqliteConnection, form: &Form) -> QueryResult<i64> {
    let at = 1_790_000_000_000_000_i64;
    diesel::insert_into(sms::table)
        .values((
            sms::account.eq(1),
            sms::transport.eq("clickatell"),
            sms::to_msisdn.eq(&form.to_msisdn),
            sms::from_msisdn.eq(&form.from_msisdn),
            sms::message.eq(&form.message),
            sms::status.eq(0),
            sms::attempts.eq(0),
            sms::next_attempt_at.eq(at),
            sms::give_up_at.eq(at),
            sms::created_at.eq(at),
            sms::updated_at.eq(at),
        ))
        .returning(sms::id)
        .get_result(connection)
}
